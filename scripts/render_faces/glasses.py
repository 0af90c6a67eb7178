"""Spectacles as a mesh: two swept rims, a bridge, two temples, two lenses. Decimetres, in the head's frame."""
import numpy as np


def tube(path, radius, sides=6, closed=False):
    """Vertices and quads of a tube along a path of points."""
    path = np.asarray(path)
    ahead, behind = np.roll(path, -1, 0), np.roll(path, 1, 0)
    if not closed:
        ahead[-1], behind[0] = path[-1], path[0]
    tangent = ahead - behind
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    helper = np.where(np.abs(tangent[:, 2:3]) < 0.9, [[0, 0, 1.0]], [[0, 1.0, 0]])
    first = np.cross(tangent, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(tangent, first)
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.cos(angle)[None, :, None] * first[:, None] + np.sin(angle)[None, :, None] * second[:, None]
    vertices = (path[:, None] + radius * ring).reshape(-1, 3)
    count = len(path)
    quads = []
    for i in range(count if closed else count - 1):
        j = (i + 1) % count
        for k in range(sides):
            m = (k + 1) % sides
            quads.append((i * sides + k, i * sides + m, j * sides + m, j * sides + k))
    return vertices, np.array(quads)


def joined(parts):
    vertices, quads, start = [], [], 0
    for v, q in parts:
        vertices.append(v)
        quads.append(q + start)
        start += len(v)
    return np.concatenate(vertices), np.concatenate(quads)


def build_glasses(shape, eyes, front, ears):
    """eyes: 2×3 centres (right, left); front: z of what must stay behind the lenses; ears: 2×3. Returns frame, lenses."""
    width, height, power, thickness = (shape[k] for k in ("width", "height", "roundness", "thickness"))
    angle = np.arange(40) * 2 * np.pi / 40
    outline = np.stack([np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power), np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / power)], 1)
    frame, lenses, inner = [], [], []
    for eye, ear in zip(eyes, ears):
        side = np.sign(eye[0])
        middle = np.array([eye[0] * 1.03, eye[1] - 0.03])
        points = middle + outline * (width, height)
        bend = front - 0.35 * np.clip(np.abs(points[:, 0]) - abs(middle[0]), 0, None)  # the front curves back outside
        rim = np.column_stack([points, bend])
        frame.append(tube(rim, thickness, closed=True))
        lenses.append((np.vstack([rim, rim.mean(0)]), np.array([(i, (i + 1) % 40, 40, 40) for i in range(40)])))
        outer = rim[np.argmax(side * rim[:, 0])]
        inner.append(rim[np.argmin(side * rim[:, 0])])
        hinge = outer + (side * 0.01, 0.05, 0)
        frame.append(tube([outer, hinge, (max(abs(ear[0]), abs(hinge[0])) * side, ear[1], ear[2])], thickness * 0.8))
    top = (inner[0] + inner[1]) / 2 + (0, 0.05, 0.02)
    frame.append(tube([inner[0], top, inner[1]], thickness * 0.9))
    return joined(frame), joined(lenses)
