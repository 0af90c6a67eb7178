"""From linear light to the JPEG that is posted: backdrop, exposure, tone, and what cameras and uploads do to a picture."""
import colorsys

import cv2
import numpy as np

FACE_LIGHT = 0.23  # linear median of the face after exposure
EXPOSED = 0.72  # how far exposure goes to meet it: dark skin stays darker than light skin


def srgb(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def shoulder(light, knee=0.55):
    """Highlights bend towards 1 and never clip."""
    above = np.maximum(light - knee, 0)
    return np.minimum(light, knee) + (1 - knee) * (1 - np.exp(-above / (1 - knee)))


def backdrop(spec, side):
    """side×side×3, linear."""
    rng = np.random.default_rng(spec["seed"])
    light = spec["light"] ** 1.6
    hue = lambda shift, value: np.array(colorsys.hsv_to_rgb((spec["hue"] + shift) % 1, min(spec["colour"], 0.35), value))  # noqa: E731
    y, x = np.mgrid[0:side, 0:side] / side
    base = np.ones((side, side, 3)) * hue(0, light)
    if spec["kind"] == "gradient":
        angle = rng.uniform(0, 2 * np.pi)
        t = (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) + 0.5)[..., None]
        base = base * t + hue(0.1, np.clip(light * rng.uniform(0.3, 2.0), 0, 1)) * (1 - t)
    elif spec["kind"] == "blobs":
        for _ in range(int(rng.integers(4, 14))):
            centre, radius = rng.uniform(-0.1, 1.1, 2), rng.uniform(0.06, 0.3)
            inside = (np.hypot(x - centre[0], y - centre[1]) < radius)[..., None]
            base = np.where(inside, hue(rng.normal(0, 0.08), np.clip(light * np.exp(rng.normal(0, 0.6)), 0, 1)), base)
    elif spec["kind"] == "bars":
        for _ in range(int(rng.integers(2, 7))):
            start, width = rng.uniform(-0.2, 1.0), rng.uniform(0.05, 0.4)
            along = x if rng.random() < 0.7 else y
            inside = ((along > start) & (along < start + width))[..., None]
            base = np.where(inside, hue(rng.normal(0, 0.08), np.clip(light * np.exp(rng.normal(0, 0.5)), 0, 1)), base)
    return cv2.GaussianBlur(base.astype(np.float32), (0, 0), spec["blur"] * side / 192)


def face_light(rgba, landmarks):
    """Median luminance over the ellipse that the landmarks span, where there is a face."""
    side = rgba.shape[0]
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    middle, reach = (eyes + mouth) / 2, np.linalg.norm(eyes - mouth)
    y, x = np.mgrid[0:side, 0:side]
    inside = (np.hypot(x - middle[0], y - middle[1]) < reach) & (rgba[..., 3] > 0.95)
    values = rgba[inside][:, :3] @ [0.2126, 0.7152, 0.0722]
    return float(np.median(values)) if len(values) else 1.0


def develop(rgba, landmarks, shot):
    """The JPEG's bytes of a photo. rgba: linear, premultiplied; landmarks: pixels."""
    d, side = shot.develop, shot.side
    rng = np.random.default_rng(d["seed"])
    gain = (FACE_LIGHT / max(face_light(rgba, landmarks), 1e-4)) ** EXPOSED * 2 ** d["exposure"]
    lit = rgba[..., :3] * gain + (1 - rgba[..., 3:].clip(0, 1)) * backdrop(shot.backdrop, side)
    picture = srgb(shoulder(lit * d["cast"])).astype(np.float32)
    picture = 0.45 + (picture - 0.45) * d["contrast"]
    grey = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    picture = grey[..., None] + (picture - grey[..., None]) * d["saturation"]
    if d["blur"] > 0.15:
        picture = cv2.GaussianBlur(picture, (0, 0), d["blur"] * side / 192)
    if d["rescale"] < 0.98:
        small = cv2.resize(picture, (round(side * d["rescale"]),) * 2, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    noise = rng.normal(0, d["noise"], (side, side, 1)) + rng.normal(0, d["noise"] * 0.5, (side, side, 3))
    picture = picture + cv2.GaussianBlur(noise, (0, 0), 0.6)
    pixels = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, d["quality"]])
    assert done
    return data.tobytes()
