"""A photo is a seed: pose, lens, expression, gaze, light, what is worn, backdrop, and what the camera and JPEG do to it."""
from dataclasses import dataclass

import numpy as np

from people import choose


@dataclass(frozen=True)
class Setting:
    side: int  # pixels
    samples: int
    yaw: float  # σ, radians
    max_yaw: float
    pitch: float  # σ, radians
    expression: float  # factor
    degradation: float  # factor
    other_hair: float  # share of photos
    sunglasses: float  # share of photos


SETTINGS = {
    "normal": Setting(192, 12, 0.22, 0.45, 0.10, 1.0, 0.8, 0.0, 0.0),
    "middle": Setting(192, 12, 0.35, 0.61, 0.15, 1.0, 1.0, 0.25, 0.0),
    "hard": Setting(192, 12, 0.50, 0.87, 0.18, 1.3, 1.8, 0.50, 0.15),
    "training": Setting(128, 8, 0.40, 0.70, 0.15, 1.0, 0.8, 0.25, 0.03),
}

# Units of expression by name; l and r stand for left and right.
EXPRESSIONS = {
    "neutral": {},
    "smile": {"mouth-corner-puller": 0.65, "eye-l-slit": 0.15, "eye-r-slit": 0.15},
    "grin": {"mouth-corner-puller": 0.75, "mouth-part-later": 0.5, "eye-l-slit": 0.3, "eye-r-slit": 0.3},
    "laugh": {"mouth-corner-puller": 0.8, "mouth-open": 0.45, "mouth-part-later": 0.4, "eye-l-slit": 0.5, "eye-r-slit": 0.5},
    "talk": {"mouth-open": 0.3, "mouth-parling": 0.4},
    "surprise": {"eyebrows-l-up": 0.7, "eyebrows-r-up": 0.7, "eye-l-opened-up": 0.6, "eye-r-opened-up": 0.6, "mouth-open": 0.3},
    "frown": {"eyebrows-l-down": 0.7, "eyebrows-r-down": 0.7, "mouth-depression": 0.35, "mouth-compression": 0.3},
    "sad": {"eyebrows-l-inner-up": 0.7, "eyebrows-r-inner-up": 0.7, "mouth-depression": 0.5},
    "smirk": {"mouth-corner-puller": 0.35, "eyebrows-l-up": 0.5, "eye-r-slit": 0.25},
    "squint": {"eye-l-slit": 0.7, "eye-r-slit": 0.7, "mouth-compression": 0.4, "nose-compression": 0.3},
}
EXPRESSION_WEIGHTS = {"neutral": 30, "smile": 18, "grin": 13, "laugh": 8, "talk": 8, "surprise": 4, "frown": 5, "sad": 4, "smirk": 5, "squint": 5}


@dataclass
class Shot:
    setting: str
    side: int
    samples: int
    yaw: float  # of the face against the camera, radians; > 0: the face looks to the picture's right
    pitch: float  # > 0: seen from above
    roll: float
    focal: float  # mm on a 36 mm frame
    frame: float  # side of the picture in eye distances
    centre: tuple  # offset of the face's middle, share of the side
    torso: float  # radians by which the shoulders are turned against the face
    expression: str
    units: dict  # name in expression/units/<origin>/ → weight
    gaze: tuple  # radians away from the camera: yaw, pitch
    hair: str
    glasses: str  # none, glasses, sunglasses
    cloth: tuple  # linear RGB
    lights: list  # (direction, power, size, colour) each
    environment: np.ndarray  # 32×64×3, linear
    backdrop: dict
    develop: dict
    seed: tuple


def units_of(name, strength, rng):
    units = {}
    for unit, weight in EXPRESSIONS[name].items():
        full = unit.replace("-l-", "-left-").replace("-r-", "-right-")
        units[full] = float(np.clip(weight * strength * rng.uniform(0.7, 1.15), 0, 1))
    frown = max(0.0, rng.normal(0.25, 0.10))  # the mesh at rest frowns a little
    for side in ("left", "right"):
        brow = f"eyebrows-{side}-inner-up"
        units[brow] = min(units.get(brow, 0.0) + frown, 1.0)
        units[f"eye-{side}-closure"] = float(np.clip(rng.normal(0.06, 0.08), 0, 0.35))  # lids are never all alike
    return units


def warm(rng, spread):
    """Colour of a light: along the line from warm to cool, of brightness 1."""
    t = rng.normal(0, spread)
    colour = np.array([np.exp(t), 1.0, np.exp(-1.1 * t)])
    return tuple(colour / colour.mean())


def direction(rng, azimuth, elevation):
    a, e = rng.uniform(*azimuth), rng.uniform(*elevation)
    return (np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e))


def smooth_field(rng, height, width, waves, spread):
    """Low frequencies only: height×width×3 around 1, greyish."""
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    grey = np.zeros((height, width))
    for _ in range(waves):
        fy, fx = rng.uniform(0.3, 2.2, 2) * rng.choice([-1, 1], 2)
        grey += rng.normal() * np.cos(2 * np.pi * (fy * y + fx * x + rng.random()))
    tint = 1 + rng.normal(0, 0.06, 3)
    return np.exp(spread * grey / np.sqrt(waves))[..., None] * tint


def lights_of(rng):
    side = rng.choice([-1, 1])
    key = (direction(rng, sorted((side * 0.15, side * 1.25)), (0.15, 1.0)), rng.uniform(0.7, 1.3), rng.uniform(2.5, 9), warm(rng, 0.05))
    fill_power = rng.uniform(0.08, 0.5)
    fill = (direction(rng, sorted((-side * 0.3, -side * 1.4)), (-0.3, 0.7)), fill_power, rng.uniform(5, 12), warm(rng, 0.05))
    return [key, fill]


def backdrop_of(rng):
    return {
        "kind": choose(rng, {"plain": 3, "gradient": 3, "blobs": 4, "bars": 2}),
        "light": float(np.clip(rng.beta(1.3, 1.3), 0.03, 0.95)),
        "hue": float(rng.random()), "colour": float(abs(rng.normal(0, 0.10))), "blur": float(rng.uniform(3, 12)),
        "seed": int(rng.integers(2**31)),
    }  # fmt: skip


def develop_of(rng, degradation):
    d = degradation
    return {
        "exposure": float(rng.normal(0, 0.16 * d)),  # log2
        "cast": tuple(float(v) for v in np.exp(rng.normal(0, 0.025 * d, 3))),
        "contrast": float(np.exp(rng.normal(0, 0.10 * d))),
        "saturation": float(np.clip(np.exp(rng.normal(-0.05, 0.16 * d)), 0, 1.6)) * (0.0 if rng.random() < 0.03 * d else 1.0),
        "blur": float(max(rng.normal(0.25, 0.35 * d), 0)),  # σ, pixels
        "rescale": float(np.clip(1 - abs(rng.normal(0, 0.17 * d)), 0.35, 1)),  # there and back
        "noise": float(abs(rng.normal(0, 0.012 * d))),  # σ, share of full scale
        "quality": int(rng.integers(max(55, round(78 - 12 * d)), 93)),
        "seed": int(rng.integers(2**31)),
    }


def draw_shot(person, index, setting_name, hard_share=0.0):
    """Photo `index` of a person, in the setting or, by chance, in the setting `hard`."""
    seed = (*person.seed, 1 + index)
    rng = np.random.default_rng(seed)
    setting_name = "hard" if rng.random() < hard_share else setting_name
    s = SETTINGS[setting_name]
    yaw = float(np.clip(rng.normal(0, s.yaw), -s.max_yaw, s.max_yaw))
    expression = choose(rng, EXPRESSION_WEIGHTS)
    glasses = "none"
    if rng.random() < s.sunglasses:
        glasses = "sunglasses"
    elif person.glasses and rng.random() < 0.6:
        glasses = "glasses"
    grey = rng.beta(0.9, 2.0)
    return Shot(
        setting=setting_name, side=s.side, samples=s.samples, yaw=yaw,
        pitch=float(np.clip(rng.normal(0.02, s.pitch), -0.4, 0.4)), roll=float(rng.normal(0, 0.10)),
        focal=float(np.exp(rng.uniform(np.log(55), np.log(190)))), frame=float(rng.uniform(3.7, 4.5)),
        centre=tuple(float(v) for v in rng.normal(0, 0.02, 2)), torso=float(np.clip(rng.normal(0, 0.3), -0.6, 0.6)),
        expression=expression, units=units_of(expression, s.expression * rng.uniform(0.6, 1.1), rng),
        gaze=tuple(float(v) for v in rng.normal(0, (0.10, 0.05)) * (3 if rng.random() < 0.25 else 1)),
        hair=person.other_hair if rng.random() < s.other_hair else person.hair, glasses=glasses,
        cloth=tuple(float(v) for v in np.clip(grey * np.exp(rng.normal(0, 0.11, 3)), 0.02, 0.8)),
        lights=lights_of(rng), environment=smooth_field(rng, 32, 64, 5, rng.uniform(0.3, 0.9)).astype(np.float32) * rng.uniform(0.25, 0.9),
        backdrop=backdrop_of(rng), develop=develop_of(rng, s.degradation), seed=seed,
    )  # fmt: skip
