"""What is painted on a head: where hair grows, lips, blush, moles, the skin's picture."""
import numpy as np

from makehuman import BODY_VERTICES, picture
from people import AGES, ORIGINS

# The package's pictures by age and origin; the same man or woman is "light" or "dark" skinned.
SKINS = {
    ("african", "female"): "darkskinned_female_diffuse", ("african", "male"): "darkskinned_male_diffuse",
    ("asian", "female"): "lightskinned_female_diffuse{asian}", ("asian", "male"): "lightskinned_male_diffuse{asian}",
    ("caucasian", "female"): "lightskinned_female_diffuse", ("caucasian", "male"): "lightskinned_male_diffuse",
}  # fmt: skip


def smoothstep(low, high, value):
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


class Masks:
    """Per vertex of the body, in [0,1], from where it lies on the base head (decimetres, y up, face to +z)."""

    def __init__(self, human):
        body = human.vertices[:BODY_VERTICES]
        x, y, z = np.abs(body[:, 0]), body[:, 1], body[:, 2]
        self.lips = np.maximum(*(self._strength(human, f"mouth/mouth-{lip}lip-volume-inflate") for lip in ("upper", "lower")))
        self.lips = smoothstep(0.35, 0.6, self.lips)
        ears = sum(smoothstep(0.10, 0.25, self._strength(human, f"ears/{side}-ear-size-big")) for side in "lr")
        face = (1 - np.clip(ears, 0, 1)) * (1 - self.lips)
        top = np.interp(x, [0, 0.28, 0.38, 0.50, 0.66, 0.72, 0.80], [6.86, 6.84, 6.64, 6.66, 6.95, 7.25, 7.3])
        bottom = np.interp(z, [0.1, 0.5, 1.0, 1.3], [6.5, 6.32, 6.17, 6.13])
        self.beard = smoothstep(-0.05, 0.06, top - y) * smoothstep(-0.08, 0.10, y - bottom) * smoothstep(0.25, 0.5, z) * face
        philtrum = (y > 6.60) & (x < 0.40)
        self.moustache = self.beard * smoothstep(6.60, 6.68, y) * smoothstep(0.36, 0.26, x)
        self.goatee = self.beard * smoothstep(0.34, 0.24, x) * np.where(philtrum, smoothstep(0.34, 0.28, x), 1)
        hairline = np.interp(z, [-0.3, 0.1, 0.45, 0.8, 1.0, 1.25, 1.45], [6.45, 6.6, 7.05, 7.25, 7.75, 7.95, 8.0])
        hairline -= 0.30 * smoothstep(0.35, 0.65, x) * smoothstep(0.95, 1.1, z)  # down to the temples
        self.above_hairline = y - hairline
        self.scalp_free_of_ears = 1 - np.clip(ears, 0, 1)
        self.cheeks = smoothstep(0.30, 0.0, np.hypot((x - 0.45) * 1.1, y - 6.92)) * (z > 0.7)
        self.bags = smoothstep(0.22, 0.05, np.hypot((x - 0.34) * 0.8, (y - 7.12) * 1.6)) * (z > 1.0)
        collar = 5.72 + 0.30 * (1 - np.clip(z, -0.4, 1.0))
        self.cloth = np.clip(0.5 + (collar - y) / 0.8, 0, 1)  # a slope: the shader cuts it at .5, finer than the mesh

    @staticmethod
    def _strength(human, target):
        length = np.linalg.norm(human.target(target)[:BODY_VERTICES], axis=1)
        return length / length.max()

    def scalp(self, receding):
        return smoothstep(-0.03, 0.06, self.above_hairline - receding) * self.scalp_free_of_ears


def hair_cover(person, masks):
    """How far hair covers the skin, and how far it stands off, per vertex."""
    cover = masks.scalp(person.receding) * {"bald": 0.30 * (1 - person.age) + 0.04, "cropped": 0.88}.get(person.hair, 0.96)
    beard = {"none": 0.05 * (person.sex > 0.5), "stubble": 0.45}.get(person.beard, 0.93)
    where = {"goatee": masks.goatee, "moustache": masks.moustache}.get(person.beard, masks.beard)
    cover = np.maximum(cover, beard * where)
    below_hair = smoothstep(0.0, 0.3, masks.above_hairline) * masks.scalp_free_of_ears
    return cover, person.beard_length * where - 0.06 * below_hair  # a broad head must not pierce its hair


def vertex_tint(person, masks, human):
    """V×3 factors on the skin's colour: mottling, lips, blush, shadows below the eyes."""
    rng = np.random.default_rng([*person.seed, 900])
    body = human.vertices[:BODY_VERTICES]
    mottling = np.zeros(len(body))
    for _ in range(24):
        wave = rng.normal(0, 5.0, 3)
        mottling += np.cos(body @ wave + rng.uniform(0, 2 * np.pi))
    tint = np.exp(0.012 * mottling)[:, None] * np.array(person.tone)
    lip = np.array([1.0, 0.80, 0.80]) ** rng.uniform(0.2, 1.6) * np.exp(rng.normal(0, 0.06))
    blush = np.array([1.0, 0.90, 0.90]) ** rng.uniform(0, 1.3)
    bags = np.array([0.88, 0.84, 0.86]) ** rng.uniform(0, 1.2 + person.age)
    for mask, colour in ((masks.lips, lip), (masks.cheeks, blush), (masks.bags, bags)):
        tint *= 1 + mask[:, None] * (colour - 1)
    return tint


def skin_picture(person, human, cache):
    """512×512×3 sRGB: the package's skins mixed by origin, age and sex, with this person's moles and freckles."""
    sex = "male" if person.sex > 0.5 else "female"
    place = person.age * 2
    mixed = 0
    for row, age in enumerate(AGES):
        share = max(0.0, 1 - abs(place - row))
        for origin, part in zip(ORIGINS, person.origin):
            if share * part < 0.02:
                continue
            asian = "3" if age == "young" else "2"
            file = f"{age}_{SKINS[origin, sex].format(asian=asian)}.png"
            if file not in cache:
                cache[file] = picture(human.data / "skins" / f"{age}_{origin}_{sex}" / "textures" / file)[..., :3]
            mixed = mixed + share * part * cache[file]
    mixed = (mixed / mixed.max() * 0.97).copy() if mixed.max() > 1 else mixed.copy()
    paint_spots(person, human, mixed)
    return mixed


def paint_spots(person, human, skin):
    rng = np.random.default_rng([*person.seed, 901])
    centres = human.vertices[human.faces[human.body_faces]].mean(1)
    on_face = human.body_faces[(centres[:, 1] > 6.3) & (centres[:, 1] < 8.0) & (centres[:, 2] > 0.75)]
    moles = [(rng.uniform(0.8, 1.6), 0.45) for _ in range(rng.poisson(1.2))]
    freckles = [(rng.uniform(0.6, 1.0), rng.uniform(0.75, 0.9)) for _ in range(int(rng.integers(30, 120)) if rng.random() < 0.15 else 0)]
    side = skin.shape[0]
    grid_y, grid_x = np.mgrid[0:side, 0:side]
    for radius, factor in moles + freckles:
        u, v = human.uvs[human.uv_faces[rng.choice(on_face)]].mean(0)
        spot = np.exp(-((grid_x - u * side) ** 2 + (grid_y - (1 - v) * side) ** 2) / (2 * radius**2))
        skin *= 1 - spot[..., None] * (1 - factor * np.array([1.0, 0.95, 0.9]))
