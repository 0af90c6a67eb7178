"""Builds a person in Blender (Cycles, CPU) and takes photos: linear RGBA, and the landmarks that the mesh gives."""
import os

import bpy
import numpy as np

from camera import Camera
from glasses import build_glasses
from makehuman import BODY_VERTICES, MOUTH_CORNERS, picture
from paint import Masks, hair_cover, skin_picture, smoothstep, vertex_tint
from people import ORIGINS

EXR = "/dev/shm/facepoison-render-{}.exr" if os.path.isdir("/dev/shm") else "/tmp/facepoison-render-{}.exr"
TEETH = ["Teeth_Base"] + [f"Teeth_Shape0{i}" for i in range(1, 6)]
LASHES = ["Eyelashes01", "eyelashes02", "eyelashes03", "eyelashes04"]


def to_blender(points):
    """y up → z up."""
    points = np.asarray(points, dtype=np.float32)
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def turned(points, angle, pivot):
    """Points turned about the vertical axis by an angle that may differ from point to point."""
    p = points - pivot
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * p[..., 0] + s * p[..., 2], p[..., 1], -s * p[..., 0] + c * p[..., 2]], -1) + pivot


class Nodes:
    """A material's nodes, written as nested calls."""

    def __init__(self, material):
        material.use_nodes = True
        self.tree = material.node_tree
        self.tree.nodes.clear()

    def add(self, kind, inputs=None, **settings):
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for key, value in settings.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            socket = node.inputs[key]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node

    def mix(self, factor, a, b, blend="MIX"):
        node = self.add("Mix", data_type="RGBA", blend_type=blend)
        for index, value in ((0, factor), (6, a), (7, b)):
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[index])
            else:
                node.inputs[index].default_value = value
        return node.outputs[2]

    def finish(self, shader):
        self.add("OutputMaterial", {"Surface": shader})


class Item:
    """A mesh in the scene whose vertices can be moved."""

    def __init__(self, name, vertices, faces, material, uvs=None, attributes=None):
        used, inverse = np.unique(faces, return_inverse=True)
        self.used = used
        quads = inverse.reshape(faces.shape)
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(to_blender(vertices[used]), [], [tuple(dict.fromkeys(q)) for q in quads.tolist()])
        if uvs is not None:
            mesh.uv_layers.new().data.foreach_set("uv", uvs.astype(np.float32).ravel())
        for key, values in (attributes or {}).items():
            attribute = mesh.color_attributes.new(key, "FLOAT_COLOR", "POINT")
            rgba = np.ones((len(used), 4), np.float32)
            rgba[:, :3] = values[used].reshape(len(used), -1)
            attribute.data.foreach_set("color", rgba.ravel())
        mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
        mesh.materials.append(material)
        self.object = bpy.data.objects.new(name, mesh)
        bpy.context.scene.collection.objects.link(self.object)

    def move(self, vertices):
        mesh = self.object.data
        mesh.vertices.foreach_set("co", to_blender(vertices[self.used]).ravel())
        mesh.update()

    def show(self, visible):
        self.object.hide_render = not visible


class Studio:
    def __init__(self, human):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.human, self.masks, self.skins = human, Masks(human), {}
        self.nose = human.moved_by("nose/nose-point-up")
        self.ears = [human.moved_by(f"ears/{side}-ear-wing-out") for side in "rl"]
        self.count = 0  # names are never used twice: Cycles keeps textures by name
        scene = bpy.context.scene
        scene.render.engine = "CYCLES"
        scene.cycles.device = "CPU"
        scene.cycles.use_denoising = True
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
        scene.cycles.max_bounces = 4
        scene.cycles.transparent_max_bounces = 12
        scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
        scene.render.film_transparent = True
        scene.render.use_persistent_data = False
        scene.view_settings.view_transform = "Raw"
        scene.render.image_settings.file_format = "OPEN_EXR"
        scene.render.image_settings.color_depth = "16"
        scene.render.image_settings.color_mode = "RGBA"
        self.exr = EXR.format(os.getpid())
        scene.render.filepath = self.exr
        scene.world = bpy.data.worlds.new("world")
        scene.world.use_nodes = True
        # An importance map for each photo would cost more than the photo.
        scene.world.cycles.sampling_method = "MANUAL"
        scene.world.cycles.sample_map_resolution = 64
        self.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self.camera.data.sensor_width = 36
        scene.collection.objects.link(self.camera)
        scene.camera = self.camera
        self.lights = []
        for i in range(2):
            light = bpy.data.objects.new(f"light{i}", bpy.data.lights.new(f"light{i}", "AREA"))
            scene.collection.objects.link(light)
            self.lights.append(light)

    def fresh(self, name):
        self.count += 1
        return f"{name}-{self.count}"

    def image(self, name, pixels, colour_space="sRGB"):
        """pixels: H×W×3 or 4 in [0,1], top row first."""
        height, width = pixels.shape[:2]
        image = bpy.data.images.new(self.fresh(name), width, height, alpha=True, float_buffer=colour_space != "sRGB")
        image.colorspace_settings.name = colour_space
        rgba = np.ones((height, width, 4), np.float32)
        rgba[..., : pixels.shape[2]] = pixels
        image.alpha_mode = "CHANNEL_PACKED"
        image.pixels.foreach_set(rgba[::-1].ravel())
        image.update()
        return image

    def material(self, name):
        material = bpy.data.materials.new(self.fresh(name))
        return material, Nodes(material)

    # Who stands there

    def seat(self, person):
        """Builds the person; whoever was there before goes."""
        for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.materials, bpy.data.images):
            for block in list(kind):
                if block not in (self.camera, *self.lights):
                    kind.remove(block)
        human, masks = self.human, self.masks
        self.person = person
        self.neutral = human.shape(person.targets)
        self.scale = human.head_scale(self.neutral)
        self.hair_parts, self.worn = {}, []
        cover, standing = hair_cover(person, masks)
        self.standing = standing
        faces = human.body_faces[human.vertices[human.faces[human.body_faces]][..., 1].min(1) > 4.6]
        grey = lambda v: np.repeat(v[:, None], 3, 1)  # noqa: E731
        pad = lambda v: np.concatenate([v, np.zeros((len(human.vertices) - len(v), v.shape[1]))])  # noqa: E731
        attributes = {"tint": pad(vertex_tint(person, masks, human)), "hair": pad(grey(cover)), "cloth": pad(grey(masks.cloth))}
        self.skin_material, self.cloth_socket = self.skin(person)
        self.body = Item("body", human.vertices, human.faces[faces], self.skin_material, human.uvs[human.uv_faces[faces]].reshape(-1, 2), attributes)
        hair = np.array(person.hair_colour)
        self.wear("eyes", "Low-Poly", self.eye_material(person.eye_colour))
        self.wear("teeth", TEETH[person.teeth], None)
        self.wear("tongue", "tongue01", None)
        self.wear("eyebrows", f"eyebrow{person.brows:03d}", hair * person.brow_darkness)
        self.wear("eyelashes", LASHES[person.lashes - 1], np.array([0.03, 0.025, 0.02]))
        for style in {person.hair, person.other_hair} - {"bald", "cropped"}:
            self.hair_parts[style] = self.wear_hair(style, hair)
        self.glasses = None

    def skin(self, person):
        material, nodes = self.material("skin")
        texture = nodes.add("TexImage", image=self.image("skin", skin_picture(person, self.human, self.skins)))
        colour = nodes.mix(1.0, texture.outputs["Color"], nodes.add("VertexColor", layer_name="tint").outputs[0], "MULTIPLY")
        # Hair that is painted on: strokes, not a flat colour.
        place = nodes.add("TexCoord").outputs["Object"]
        strokes = nodes.add("Mapping", {"Vector": place, "Scale": (55, 55, 16)}).outputs[0]
        noise = nodes.add("TexNoise", {"Vector": strokes, "Scale": 1.0, "Detail": 2.0}).outputs["Fac"]
        amount = nodes.add("VertexColor", layer_name="hair").outputs[0]
        ink = nodes.add("MapRange", {"Value": noise, "From Min": 0.30, "From Max": 0.62, "To Min": 1.15, "To Max": 0.70}).outputs[0]
        factor = nodes.add("Math", {0: amount, 1: ink}, operation="MULTIPLY", use_clamp=True).outputs[0]
        shade = np.array(linear(person.hair_colour)) * 0.9
        colour = nodes.mix(factor, colour, (*shade, 1))
        cloth = nodes.add("RGB")
        slope = nodes.add("VertexColor", layer_name="cloth").outputs[0]
        on_cloth = nodes.add("MapRange", {"Value": slope, "From Min": 0.49, "From Max": 0.51}).outputs[0]
        colour = nodes.mix(on_cloth, colour, cloth.outputs[0])
        pores = nodes.add("TexNoise", {"Vector": place, "Scale": 28.0, "Detail": 3.0}).outputs["Fac"]
        bump = nodes.add("Bump", {"Height": pores, "Strength": 0.10 + 0.15 * person.age, "Distance": 0.02}).outputs[0]
        rng = np.random.default_rng([*person.seed, 902])
        shader = nodes.add("BsdfPrincipled", {
            "Base Color": colour, "Roughness": float(rng.uniform(0.42, 0.6)), "Specular IOR Level": float(rng.uniform(0.25, 0.45)),
            "Subsurface Weight": 0.12, "Subsurface Radius": (0.05, 0.02, 0.01), "Subsurface Scale": 1.0, "Normal": bump,
        })  # fmt: skip
        nodes.finish(shader.outputs[0])
        return material, cloth.outputs[0]

    def eye_material(self, colour):
        material, nodes = self.material("eye")
        pixels = picture(self.human.data / "proxies/eyes/Low-Poly/textures" / f"{colour}_eye.png")
        texture = nodes.add("TexImage", image=self.image("eye", pixels[..., :3] * 0.85))
        shader = nodes.add("BsdfPrincipled", {"Base Color": texture.outputs[0], "Roughness": 0.12, "Specular IOR Level": 0.5})
        nodes.finish(shader.outputs[0])
        return material

    def strand_material(self, texture, colour, keep=False):
        """A picture of strands with transparency, its colour replaced and its light and dark kept."""
        pixels = picture(texture)
        alpha = pixels[..., 3:] if pixels.shape[2] == 4 else np.ones_like(pixels[..., :1])
        grey = pixels[..., :3].mean(-1, keepdims=True)
        mean = (grey * alpha).sum() / max(alpha.sum(), 1)
        painted = np.clip(np.array(colour) * (0.55 + 0.45 * grey / max(mean, 0.02)), 0, 1)
        material, nodes = self.material("strands")
        image = nodes.add("TexImage", image=self.image("strands", np.concatenate([painted, alpha], -1)))
        opacity = image.outputs["Alpha"]
        if keep:
            kept = nodes.add("VertexColor", layer_name="keep").outputs[0]
            opacity = nodes.add("Math", {0: opacity, 1: kept}, operation="MULTIPLY").outputs[0]
        shader = nodes.add("BsdfPrincipled", {"Base Color": image.outputs["Color"], "Roughness": 0.65, "Specular IOR Level": 0.2, "Alpha": opacity})
        nodes.finish(shader.outputs[0])
        return material

    def plain_material(self, texture):
        material, nodes = self.material("plain")
        image = nodes.add("TexImage", image=self.image("plain", picture(texture)[..., :3]))
        nodes.finish(nodes.add("BsdfPrincipled", {"Base Color": image.outputs[0], "Roughness": 0.3}).outputs[0])
        return material

    def wear(self, kind, name, look):
        """look: a material, the colour of strands, or None for the texture as it is."""
        proxy = self.human.proxy(kind, name)
        if look is None:
            look = self.plain_material(proxy.texture)
        elif isinstance(look, np.ndarray):
            look = self.strand_material(proxy.texture, look)
        vertices = proxy.fit(self.neutral, self.scale)
        item = Item(name, vertices, proxy.faces, look, proxy.uvs[proxy.uv_faces].reshape(-1, 2))
        self.worn.append((kind, proxy, item))

    def wear_hair(self, style, colour):
        proxy = self.human.proxy("hair", style)
        vertices = proxy.fit(self.neutral, self.scale)
        keep = self.off_the_face(vertices)
        faces = keep[proxy.faces].max(1) > 0.02
        material = self.strand_material(proxy.texture, colour, keep=True)
        uvs = proxy.uvs[proxy.uv_faces[faces]].reshape(-1, 2)
        item = Item(style, vertices, proxy.faces[faces], material, uvs, {"keep": np.repeat(keep[:, None], 3, 1)})
        return vertices, item

    def off_the_face(self, vertices):
        """0 where hair hangs before eyes, nose or mouth, 1 beside and above them."""
        eyes = self.eye_centres(self.neutral)
        middle, span = eyes.mean(0), eyes[1, 0] - eyes[0, 0]
        x = np.abs(vertices[:, 0] - middle[0]) / (1.1 * span)
        y = (vertices[:, 1] - (middle[1] - 0.55 * span)) / (1.08 * span)
        inside = np.hypot(x, y)
        before = smoothstep(-0.25, -0.05, vertices[:, 2] - middle[2])
        return 1 - before * (1 - smoothstep(0.92, 1.08, inside))

    # A photo

    def eye_centres(self, vertices):
        """Right eye, left eye: the ball's centres."""
        return np.stack([vertices[self.human.parts[f"helper-{side}-eye"]].mean(0) for side in "rl"])

    def lid_centres(self, vertices):
        """Middle of the lids' rim, from where the lashes grow."""
        rims = []
        for side in "rl":
            rim = np.concatenate([vertices[self.human.parts[f"helper-{side}-eyelashes-{i}"]] for i in (1, 2)])
            rims.append((rim.min(0) + rim.max(0)) / 2)
        return np.stack(rims)

    def landmarks(self, vertices):
        """5×3: eyes, tip of the nose, mouth corners; of each pair the person's right first, which is left in a picture."""
        nose = vertices[self.nose]
        weight = np.exp((nose[:, 2] - nose[:, 2].max()) / 0.015)
        tip = (nose * weight[:, None]).sum(0) / weight.sum()
        return np.vstack([self.lid_centres(vertices), tip, vertices[list(MOUTH_CORNERS)]])

    def expressive(self, units):
        """The person's vertices with an expression, made by the origins' own targets in their shares."""
        vertices = self.neutral.copy()
        for name, weight in units.items():
            for origin, share in zip(ORIGINS, self.person.origin):
                if weight * share > 0.01:
                    vertices += weight * share * self.human.target(f"expression/units/{origin}/{name}")
        return vertices

    def dressed(self, vertices):
        """Clothes and beards stand off the skin."""
        body = vertices[:BODY_VERTICES]
        normals = normals_of(vertices, self.human.faces[self.human.body_faces])[:BODY_VERTICES]
        result = vertices.copy()
        result[:BODY_VERTICES] = body + normals * (self.standing + 0.05 * smoothstep(0.45, 0.55, self.masks.cloth))[:, None]
        return result

    def pose(self, shot):
        vertices = self.expressive(shot.units)
        points = self.landmarks(vertices)
        eyes = points[:2]
        camera = Camera(shot, middle=(eyes.mean(0) + points[3:].mean(0)) / 2, eye_distance=np.linalg.norm(eyes[1] - eyes[0]))
        below = lambda p: shot.torso * (1 - smoothstep(5.6, 6.45, p[..., 1]))  # noqa: E731
        turn = lambda p: turned(p, below(p), np.array([0, 0, 0.2]))  # noqa: E731
        self.body.move(turn(self.dressed(vertices)))
        for kind, proxy, item in self.worn:
            fitted = proxy.fit(vertices, self.scale)
            item.move(self.looking(fitted, vertices, camera, shot.gaze) if kind == "eyes" else fitted)
        for style, (hair, item) in self.hair_parts.items():
            item.show(style == shot.hair)
            item.move(turn(hair))
        self.put_on_glasses(shot, vertices)
        return camera, points

    def looking(self, balls, vertices, camera, gaze):
        result = balls.copy()
        for centre in self.eye_centres(vertices):
            own = np.sign(balls[:, 0]) == np.sign(centre[0])
            to_camera = camera.position - centre
            yaw = np.clip(np.arctan2(to_camera[0], to_camera[2]), -0.45, 0.45) + gaze[0]
            pitch = np.clip(np.arctan2(to_camera[1], np.hypot(to_camera[0], to_camera[2])), -0.2, 0.2) + gaze[1]
            p = balls[own] - centre
            c, s = np.cos(-pitch), np.sin(-pitch)
            p = np.stack([p[:, 0], c * p[:, 1] - s * p[:, 2], s * p[:, 1] + c * p[:, 2]], -1)
            result[own] = turned(p, yaw, np.zeros(3)) + centre
        return result

    def put_on_glasses(self, shot, vertices):
        for item in self.glasses or ():
            mesh = item.object.data
            bpy.data.objects.remove(item.object)
            bpy.data.meshes.remove(mesh)
        self.glasses = None
        if shot.glasses == "none":
            return
        dark = shot.glasses == "sunglasses"
        shape = self.person.glasses or {"width": 0.23, "height": 0.17, "roundness": 2.6, "thickness": 0.018, "metal": False, "colour": (0.02, 0.02, 0.02)}
        if dark:
            shape = {**shape, "width": shape["width"] + 0.02, "height": max(shape["height"], 0.17)}
        lids = self.lid_centres(vertices)
        lashes = np.concatenate([vertices[self.human.parts[f"helper-{s}-eyelashes-{i}"]] for s in "rl" for i in (1, 2)])
        ears = np.stack([vertices[ear].mean(0) for ear in self.ears]) + (0, 0.12, 0.1)
        frame, lenses = build_glasses(shape, lids, lashes[:, 2].max() + 0.05, ears)
        material, nodes = self.material("frame")
        nodes.finish(nodes.add("BsdfPrincipled", {"Base Color": (*shape["colour"], 1), "Roughness": 0.3, "Metallic": 0.9 * shape["metal"]}).outputs[0])
        glass, nodes = self.material("glass")
        tint = (0.02, 0.02, 0.025, 1) if dark else (0.97, 0.97, 0.97, 1)
        through = nodes.add("BsdfTransparent", {"Color": tint}).outputs[0]
        mirror = nodes.add("BsdfAnisotropic", {"Roughness": 0.05}).outputs[0]
        mixed = nodes.add("MixShader", {0: 0.02 if dark else 0.05, 1: through, 2: mirror})
        nodes.finish(mixed.outputs[0])
        self.glasses = [Item("frame", *frame, material), Item("lenses", *lenses, glass)]

    def light(self, shot, camera):
        for light, (towards, power, size, colour) in zip(self.lights, shot.lights):
            direction = camera.axes.T @ np.array(towards)  # right, up, towards the camera
            place = to_blender(camera.middle + 12 * direction)
            light.location = place
            light.rotation_euler = vector(to_blender(-direction)).to_track_quat("-Z", "Y").to_euler()
            light.data.energy, light.data.size, light.data.color = 1100 * power, size, colour
        world = bpy.context.scene.world
        nodes = world.node_tree.nodes
        nodes.clear()
        for image in [i for i in bpy.data.images if i.name.startswith("sky")]:
            bpy.data.images.remove(image)
        texture = nodes.new("ShaderNodeTexEnvironment")
        texture.image = self.image("sky", shot.environment, "Non-Color")
        background, output = nodes.new("ShaderNodeBackground"), nodes.new("ShaderNodeOutputWorld")
        world.node_tree.links.new(texture.outputs[0], background.inputs[0])
        world.node_tree.links.new(background.outputs[0], output.inputs[0])

    def photograph(self, shot):
        """(side×side×4 linear RGBA with colour premultiplied, 5×2 landmarks in pixels)."""
        camera, points = self.pose(shot)
        self.cloth_socket.default_value = (*shot.cloth, 1)
        self.light(shot, camera)
        scene = bpy.context.scene
        scene.render.resolution_x = scene.render.resolution_y = shot.side
        scene.cycles.samples = shot.samples
        scene.cycles.seed = int(np.random.default_rng([*shot.seed, 903]).integers(2**31))
        self.camera.data.lens = shot.focal
        self.camera.matrix_world = matrix(camera)
        bpy.ops.render.render(write_still=True)
        return read_exr(self.exr), camera.project(points)


def linear(srgb):
    srgb = np.asarray(srgb, dtype=float)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def vector(v):
    from mathutils import Vector

    return Vector([float(x) for x in v])


def matrix(camera):
    from mathutils import Matrix

    axes = to_blender(camera.axes)  # rows: right, up, backwards
    result = np.eye(4)
    result[:3, :3] = axes.T
    result[:3, 3] = to_blender(camera.position)
    return Matrix(result.tolist())


def normals_of(vertices, faces):
    corner = vertices[faces]
    across = np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1])
    result = np.zeros_like(vertices)
    for k in range(4):
        np.add.at(result, faces[:, k], across)
    return result / np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-12)


def read_exr(path):
    image = bpy.data.images.load(path)
    image.colorspace_settings.name = "Non-Color"
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    width, height = image.size
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1].copy()
