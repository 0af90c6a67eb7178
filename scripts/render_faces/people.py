"""A person is a seed: shape, skin, hair, brows, eyes, beard. Drawn here, built in scene.py."""
from dataclasses import dataclass, field

import numpy as np

GROUPS = {"gallery": 1, "training": 2}
SLIDER_SIGMA = 0.30  # .4 is grotesque, .14 makes lookalikes
SLIDER_CLIP = 0.75
ASYMMETRY = 0.05
# Softer: what turns a face odd before it makes it another face.
SOFT = {"eyes/eye-push1": 0.7, "eyes/eye-push2": 0.7, "eyes/eye-height": 0.7, "eyes/eye-bag": 0.7}
FIRM = {"head/head-trans": 0.08, "neck/neck-trans": 0.08, "mouth/mouth-trans:in": 0.08, "nose/nose-trans-horiz": 0.08,
        "ears/": 0.08, "chin/chin-cleft": 0.12, "nose/nose-compression": 0.12}  # fmt: skip
HEAD_SHAPES = ["diamond", "invertedtriangular", "oval", "rectangular", "round", "square", "triangular"]
ORIGINS = ("african", "asian", "caucasian")
AGES = ("young", "middleage", "old")

# Hair: sRGB, and how likely among (african, asian, caucasian) when young.
HAIR_COLOURS = {
    "black": ((0.05, 0.045, 0.042), (0.75, 0.65, 0.10)),
    "darkbrown": ((0.12, 0.085, 0.065), (0.20, 0.28, 0.28)),
    "brown": ((0.22, 0.15, 0.10), (0.04, 0.06, 0.25)),
    "lightbrown": ((0.36, 0.26, 0.17), (0.01, 0.01, 0.15)),
    "blond": ((0.56, 0.47, 0.34), (0.0, 0.0, 0.15)),
    "red": ((0.38, 0.17, 0.08), (0.0, 0.0, 0.07)),
}
GREY = (0.62, 0.61, 0.60)
WOMEN = {"long01": 3, "bob01": 3, "bob02": 3, "ponytail01": 3, "Braid01": 2, "short03": 1, "short02": 1, "afro01": 1}
MEN = {"short01": 3, "short02": 3, "short03": 2, "short04": 4, "cropped": 4, "bald": 2, "afro01": 1, "long01": 0.4}
BEARDS = {"none": 5, "stubble": 4, "full": 2, "goatee": 1.5, "moustache": 1}
EYES = {
    "brown": (6, 6, 4), "brownlight": (2, 1, 3), "deepblue": (0, 0, 1), "blue": (0, 0, 2), "lightblue": (0, 0, 2),
    "green": (0, 0, 1.5), "bluegreen": (0, 0, 1), "grey": (0, 0, 1.5),
}  # fmt: skip


@dataclass
class Person:
    group: str
    index: int
    sex: float  # 0 woman, 1 man
    age: float  # 0 young, 1 old
    origin: tuple  # shares of ORIGINS
    targets: dict = field(default_factory=dict)
    hair: str = ""
    hair_colour: tuple = ()
    other_hair: str = ""  # worn in some photos
    brows: int = 1
    brow_darkness: float = 1.0
    lashes: int = 1
    eye_colour: str = ""
    teeth: int = 1
    beard: str = "none"
    beard_length: float = 0.0  # decimetres
    receding: float = 0.0  # decimetres by which the hairline stands back
    glasses: dict | None = None  # their shape, worn in some photos; None: never
    tone: tuple = ()  # factor on the skin's colour
    seed: tuple = ()

    @property
    def name(self):
        return f"{self.group}-{self.index:03d}"


def choose(rng, weights):
    """A key of {key: weight}."""
    names = list(weights)
    shares = np.array([weights[n] for n in names], dtype=float)
    return names[rng.choice(len(names), p=shares / shares.sum())]


def macro_targets(sex, age, origin, muscle, weight):
    """MakeHuman's own blend: each (origin, sex, age) corner by the product of its shares."""
    result = {}
    sexes = {"female": 1 - sex, "male": sex}
    ages = {"young": 1 - age, "old": age}
    levels = lambda value: {"min": max(-value, 0), "average": 1 - abs(value), "max": max(value, 0)}  # noqa: E731
    for s, ws in sexes.items():
        for a, wa in ages.items():
            for o, wo in zip(ORIGINS, origin):
                result[f"macrodetails/{o}-{s}-{a}"] = ws * wa * wo
            for m, wm in levels(muscle).items():
                for w, ww in levels(weight).items():
                    result[f"macrodetails/universal-{s}-{a}-{m}muscle-{w}weight"] = ws * wa * wm * ww
    return result


def slider_sigma(name):
    for start, sigma in FIRM.items():
        if name.startswith(start):
            return sigma
    return SLIDER_SIGMA * next((share for start, share in SOFT.items() if name.startswith(start)), 1.0)


def slider_targets(rng, sliders):
    result = {}
    for name, (lower, higher) in sliders.items():
        if name.startswith("head/head:"):
            continue  # a shape of the head, drawn below
        value = np.clip(rng.normal(0, slider_sigma(name)), -SLIDER_CLIP, SLIDER_CLIP)
        for side in range(len(lower)):
            own = value + (rng.normal(0, ASYMMETRY) if len(lower) == 2 else 0)
            chosen = higher if own > 0 else lower
            result[chosen[side]] = abs(own)
    if rng.random() < 0.4:
        for shape in rng.choice(HEAD_SHAPES, 2, replace=False):
            result[f"head/head-{shape}"] = min(abs(rng.normal(0, 0.35)), 0.8)
    return result


def hair_colour(rng, origin, age):
    weights = {name: float(np.dot(origin, shares)) for name, (_, shares) in HAIR_COLOURS.items()}
    colour = np.array(HAIR_COLOURS[choose(rng, weights)][0]) * np.exp(rng.normal(0, 0.15))
    grey = np.clip((age - 0.35) * 1.6 + rng.normal(0, 0.25), 0, 0.95) if age > 0.3 else 0.0
    return tuple(colour * (1 - grey) + np.array(GREY) * rng.uniform(0.75, 1.1) * grey)


def glasses_shape(rng):
    return {
        "width": rng.uniform(0.20, 0.245), "height": rng.uniform(0.14, 0.20), "roundness": rng.uniform(2, 4.5),
        "thickness": rng.choice([0.010, 0.018, 0.026]), "metal": bool(rng.random() < 0.4),
        "colour": [(0.02, 0.02, 0.02), (0.10, 0.05, 0.03), (0.25, 0.25, 0.27), (0.35, 0.25, 0.1), (0.05, 0.07, 0.15)][rng.integers(5)],
    }  # fmt: skip


def draw_person(group, index, sliders):
    seed = (GROUPS[group], index)
    rng = np.random.default_rng([*seed, 0])
    origin = tuple(rng.dirichlet([0.45] * 3))
    sex = float(np.clip(abs(rng.normal(0, 0.15)), 0, 0.5))
    man = bool(rng.random() < 0.5)
    sex = 1 - sex if man else sex
    age = float(rng.beta(0.8, 1.4))
    person = Person(group, index, sex, age, origin, seed=seed)
    build = np.clip(rng.normal(0, [0.4, 0.5]), -1, 1)
    person.targets = {**macro_targets(sex, age, origin, *build), **slider_targets(rng, sliders)}
    person.hair_colour = hair_colour(rng, origin, age)
    styles = dict(MEN if man else WOMEN)
    styles["afro01"] *= (0.2 + 4 * origin[0]) * (max(person.hair_colour) < 0.3)  # a pale one looks like cloth
    if man:
        styles["bald"] *= 0.3 + 2.5 * age
    person.hair = choose(rng, styles)
    person.other_hair = choose(rng, {name: w for name, w in styles.items() if name not in (person.hair, "bald")})
    person.brows, person.lashes, person.teeth = int(rng.integers(1, 13)), int(rng.integers(1, 5)), int(rng.integers(0, 6))
    person.brow_darkness = float(rng.uniform(0.45, 0.9))
    person.eye_colour = choose(rng, {name: float(np.dot(origin, shares)) for name, shares in EYES.items()})
    if man:
        person.beard = choose(rng, BEARDS)
        person.beard_length = float(rng.uniform(0.015, 0.06)) if person.beard != "stubble" else 0.0
        person.receding = float(abs(rng.normal(0, 0.06)) + 0.12 * age * rng.random())
    if rng.random() < 0.35:
        person.glasses = glasses_shape(rng)
    person.tone = tuple(np.exp(rng.normal(0, 0.11)) * np.exp(rng.normal(0, [0.02, 0.015, 0.03])))
    return person
