"""A second implementation of the attacks: eager PyTorch, no optimisation; cloaks one photo at a time.

The C++ attacks are compared with them, so they are written only from the formulas:
  Fawkes v0.3  "Fawkes: Protecting Privacy against Unauthorized Deep Learning Models" (USENIX Security 2020),
               release of July 2020
  Fawkes v1.0  the same authors' untargeted rewrite, as it was on 21 April 2021
  LowKey       "LowKey: Leveraging Adversarial Attacks to Protect Social Media Users from Facial Recognition"
               (ICLR 2021)
  TIP-IM       "Towards Face Encryption by Generating Adversarial Identity Masks" (ICCV 2021)
  OPOM         "OPOM: Customized Invisible Cloak towards Face Privacy Protection" (TPAMI 2022)
  Chameleon    "Personalized Privacy Protection Mask Against Unauthorized Facial Recognition" (ECCV 2024)
  Protego      its loss without the 3D warp (CVPR 2026)

The last three learn a mask, 3xHxW, from Nx3xHxW photos of one person. Random numbers are arguments.

A photo is a tensor 1x3xHxW, RGB, in [0,1]. A network is any callable from such a tensor to a raw 1xD embedding.
In a trace, row k is measured on the picture after k steps; row 0 is the start.
"""
import itertools
import math
from dataclasses import dataclass
from typing import Callable, NamedTuple

import torch
from torch.nn import functional

TANH_SCALE = 2 - 1e-6  # a little under 2, so that black and white have a finite arctanh


class Row(NamedTuple):
    iteration: int
    loss: float  # what the attack minimises
    dssim: float
    similarity: float  # the attack's own feature term: v0.3 makes it small, v1.0 and LowKey make it large


@dataclass
class Result:
    pixels: torch.Tensor  # 1x3xHxW in [0,1], before it becomes 8 bits
    status: str  # "ok", "last-iterate" or "infeasible"; an infeasible photo stays as it was
    trace: list  # of Row
    similarity: Callable  # the feature term of another picture, such as the written one


# ---- what the attacks share

def gaussian(size, sigma, like):
    """One size x size window for each of three channels, its weights summing to one."""
    offsets = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    line = torch.exp(-offsets**2 / (2 * sigma**2))
    window = torch.outer(line, line)
    return (window / window.sum()).to(like).expand(3, 1, size, size)


def dssim(a, b):
    """(1 - SSIM) / 2 as TensorFlow's tf.image.ssim has it: 11x11 Gaussian windows of sigma 1.5, K1 .01, K2 .03, only
    windows that lie inside the picture, the mean over windows and channels. The same number for [0,1] and 0..255."""
    window = gaussian(11, 1.5, a)

    def local_mean(x):
        return functional.conv2d(x, window, groups=3)

    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b = local_mean(a), local_mean(b)
    products, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    luminance = (2 * products + c1) / (squares + c1)
    structure = (2 * (local_mean(a * b) - products) + c2) / (local_mean(a**2 + b**2) - squares + c2)
    return (1 - (luminance * structure).mean()) / 2


class Adadelta:
    """Zeiler's Adadelta on one tensor, as in TensorFlow and Keras:
    the mean of updates does not include the rate."""

    def __init__(self, epsilon, rho=0.95):
        self.epsilon, self.rho = epsilon, rho
        self.gradients = self.updates = 0  # decaying means of their squares

    def step(self, parameter, gradient, rate):
        """The parameter after one step; does not change the given tensor."""
        self.gradients = self.rho * self.gradients + (1 - self.rho) * gradient**2
        update = gradient * ((self.updates + self.epsilon) ** 0.5 / torch.sqrt(self.gradients + self.epsilon))
        self.updates = self.rho * self.updates + (1 - self.rho) * update**2
        return parameter - rate * update


def to_tanh(pixels):
    return torch.atanh((pixels - 0.5) * TANH_SCALE)


def from_tanh(variable):
    return torch.tanh(variable) / TANH_SCALE + 0.5


def gradient_of(loss, variable):
    return torch.autograd.grad(loss, variable)[0]


def over_budget(distance, threshold):
    """The soft budget of both Fawkes versions: 0 below the threshold, the squared excess above it."""
    return torch.clamp(distance - threshold, min=0) ** 2


def unit(embedding):
    return functional.normalize(embedding, dim=1)


# ---- Fawkes v0.3

def v03_similarity(photo, target, networks):
    """The sum over networks of |t - F(x')| / |t|; t is twice as far from F(x) as F(target) is."""
    with torch.no_grad():
        sources = [network(photo) for network in networks]
        goals = [source + 2 * (network(target) - source) for network, source in zip(networks, sources)]

    def similarity(picture):
        return sum((goal - network(picture)).norm() / goal.norm() for network, goal in zip(networks, goals))

    return similarity


def fawkes_v03(
    photo, target, networks, threshold=0.008, steps=500, rate=10.0, penalty=1e9, epsilon=1e-8, start=1e-6, decay=0.8
):
    """Fawkes v0.3 towards a target picture; the defaults are its mode "high".

    The iterate with the smallest feature term wins, whatever its DSSIM: only the penalty limits the budget.
    """
    base = to_tanh(photo)
    source = from_tanh(base)  # the attack sees the photo only after this round trip
    similarity_of = v03_similarity(source, from_tanh(to_tanh(target)), networks)
    modifier = torch.full_like(photo, start)
    optimiser, trace = Adadelta(epsilon), []
    best, best_picture = math.inf, None
    for k in range(steps + 1):
        modifier.requires_grad_()
        picture = from_tanh(base + modifier)
        distance, similarity = dssim(picture, source), similarity_of(picture)
        loss = penalty * over_budget(distance, threshold) + similarity
        trace.append(Row(k, loss.item(), distance.item(), similarity.item()))
        if k > 0 and trace[k].similarity < best:  # the start itself never competes
            best, best_picture = trace[k].similarity, picture.detach()
        if k == steps:
            break
        modifier = optimiser.step(modifier.detach(), gradient_of(loss, modifier), rate)
        if k != 0 and steps >= 3 and k % (steps // 3) == 0:
            rate *= decay
    if best_picture is None:  # no number ever came out
        return Result(photo.clone(), "infeasible", trace, similarity_of)
    return Result(best_picture.clamp(0, 1), "ok", trace, similarity_of)


# ---- Fawkes v1.0

def v10_similarity(photo, networks):
    """The sum over networks of |F(x') - F(x)|^2 / |F(x)|, embeddings of length one."""
    with torch.no_grad():
        sources = [unit(network(photo)) for network in networks]

    def similarity(picture):
        moves = [unit(network(picture)) - source for network, source in zip(networks, sources)]
        return sum((move**2).sum() / source.norm() for move, source in zip(moves, sources))

    return similarity


class Weight:
    """The weight of v1.0's feature term, which reacts to the DSSIM of each iterate.

    It doubles while the budget is clearly kept and halves while it is clearly exceeded. It starts again at 1 after a
    direct change of sides, near the budget, and past its range (128 doubles once more, 256 does
    not).
    """

    def __init__(self):
        self.value, self.side = 1.0, "under"

    def react(self, distance, threshold):
        if distance <= 0.9 * threshold and self.value <= 129:
            self.value = 1.0 if self.side == "over" else self.value * 2
            self.side = "under"
        elif distance >= 1.1 * threshold and self.value >= 1 / 129:
            self.value = 1.0 if self.side == "under" else self.value / 2
            self.side = "over"
        else:
            self.value, self.side = 1.0, "neither"


def fawkes_v10(
    photo,
    networks,
    threshold=0.017,
    steps=150,
    rate=15.0,
    penalty=1e6,
    epsilon=1e-7,
    clip=15.0,
    start=1e-4,
    sign_step=0.01,
):
    """Fawkes v1.0 away from the photo's own embedding; the defaults are its mode "high" of April 2021.

    start is a number, or a tensor like the photo, in tanh space; clip is in grey levels of 0..255.
    Each iterate is measured before its step, so the picture after the last step is never measured.
    """
    base = to_tanh(photo)
    source = from_tanh(base)
    similarity_of = v10_similarity(source, networks)
    modifier = start.clone() if torch.is_tensor(start) else torch.full_like(photo, start)
    optimiser, weight, trace = Adadelta(epsilon), Weight(), []
    best, best_picture = 0.0, None
    for k in range(steps):
        modifier.requires_grad_()
        picture = source + torch.clamp(from_tanh(base + modifier) - source, -clip / 255, clip / 255)
        distance, similarity = dssim(picture, source), similarity_of(picture)
        loss = penalty * over_budget(distance, threshold) - weight.value * similarity
        trace.append(Row(k, loss.item(), distance.item(), similarity.item()))
        if trace[k].dssim <= 1.1 * threshold and trace[k].similarity > best:
            best, best_picture = trace[k].similarity, picture.detach()
        gradient = gradient_of(loss, modifier)
        modifier = optimiser.step(modifier.detach(), gradient, rate)
        if k == 0:  # one jolt; then Adadelta starts without memory
            modifier = modifier - sign_step * gradient.sign()
            optimiser = Adadelta(epsilon)
        weight.react(trace[k].dssim, threshold)
    return v10_choice(photo, best, best_picture, picture.detach(), trace, similarity_of)


def v10_choice(photo, best, best_picture, last_picture, trace, similarity_of):
    """The last iterate replaces a weak best one if it moved further at a DSSIM below .015,
    whatever the threshold."""
    if best < 0.3 and trace[-1].dssim < 0.015 and trace[-1].similarity > best:
        return Result(last_picture.clamp(0, 1), "last-iterate", trace, similarity_of)
    if best_picture is None:  # the original would write a black picture here
        return Result(photo.clone(), "infeasible", trace, similarity_of)
    return Result(best_picture.clamp(0, 1), "ok", trace, similarity_of)


# ---- LowKey

FEATURES = 512  # LowKey's mean over dimensions divides by this: its own networks' number, for any network here


def blur(pixels):
    """LowKey's 7x7 Gaussian of sigma 3; the border is mirrored without repeating its outermost pixel."""
    padded = functional.pad(pixels, (3, 3, 3, 3), mode="reflect")
    return functional.conv2d(padded, gaussian(7, 3.0, pixels), groups=3)


def flip_feature(network, pixels):
    """The sum of the embeddings of the picture and of its mirror image, at length one."""
    return unit(network(pixels) + network(pixels.flip(3)))


def lowkey_similarity(photo, networks):
    """The mean over networks and over {blurred, plain} of the sum over dimensions of (f - v)^2 / |v|, divided by 512:
    the original's mean over its features, so that networks of other dimensions weigh as much beside the perceptual
    distance. Both views of a network are held against v, the feature of the photo as it is, not blurred."""
    with torch.no_grad():
        sources = [flip_feature(network, photo) for network in networks]

    def similarity(picture):
        views = [blur(picture), picture]
        pairs = [(flip_feature(network, view), source) for network, source in zip(networks, sources) for view in views]
        terms = [((feature - source) ** 2).sum() / FEATURES / source.norm() for feature, source in pairs]
        return sum(terms) / len(pairs)

    return similarity


def lowkey(photo, networks, start_noise, step=0.0025, steps=50, similarity_weight=0.05, distance=dssim):
    """LowKey with one start: signed steps up J = feature term - similarity_weight * distance, taken in pixels.

    There is no projection; the picture is clamped once, at the end. The last iterate is the result. The trace's loss is
    -J, and all its rows, the last one too, are measured on the picture that is not clamped.
    distance(photo, picture) stands where LowKey has LPIPS.
    """
    similarity_of = lowkey_similarity(photo, networks)
    picture, trace = photo + start_noise, []
    for k in range(steps + 1):
        picture.requires_grad_()
        similarity = similarity_of(picture)
        loss = similarity_weight * distance(photo, picture) - similarity
        trace.append(Row(k, loss.item(), dssim(photo, picture).item(), similarity.item()))
        if k < steps:
            picture = picture.detach() - step * gradient_of(loss, picture).sign()
    return Result(picture.detach().clamp(0, 1), "ok", trace, similarity_of)


# ---- TIP-IM

def tip_im_gain(picture, source, goals, networks):
    """log(1 + the largest exp(distance from the photo - distance to a target)): distances between embeddings of length
    one, as means over networks. source has the photo's embeddings by network, goals[j] the j-th target's."""
    here = [unit(network(picture)) for network in networks]
    away = sum((h - s).norm() for h, s in zip(here, source)) / len(networks)
    left = [sum((h - g).norm() for h, g in zip(here, goal)) / len(networks) for goal in goals]
    return torch.log(1 + max(torch.exp(away - distance) for distance in left))


def random_view(stream):
    """An affine map near the identity after a small turn, 1x2x3, as torch's affine_grid wants it."""
    of_map, of_angle = 0.01 + 0.09 * stream.uniform(), 0.01 + 0.09 * stream.uniform()
    near = torch.tensor([float(i in (0, 4)) + of_map * stream.normal() for i in range(6)]).view(2, 3).double()
    angle = of_angle * stream.normal()
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, s, 0], [-s, c, 0], [0, 0, 1]], dtype=torch.float64)
    return (near @ turn)[None]


def viewed(picture, view):
    grid = functional.affine_grid(view.to(picture), picture.shape, align_corners=False)
    return functional.grid_sample(picture, grid, padding_mode="zeros", align_corners=False)


def tip_im(photo, targets, networks, views, epsilon=12 / 255, momentum=1.0):
    """One step for each of `views`, a random_view() or None. Each step tries every target and keeps the best."""
    with torch.no_grad():
        source = [unit(network(photo)) for network in networks]
        goals = [[unit(network(target)) for network in networks] for target in targets]
    length = 1.5 * epsilon / len(views) * math.sqrt(photo.numel())
    picture, gathered = photo, torch.zeros_like(photo)
    for view in views:
        candidates = []
        for goal in goals:
            start = picture.detach().requires_grad_()
            seen = start if view is None else viewed(start, view)
            here = [unit(network(seen)) for network in networks]
            loss = sum(((h - g) ** 2).sum() - ((h - s) ** 2).sum() for h, g, s in zip(here, goal, source))
            gradient = gradient_of(loss, start)
            new = momentum * gathered + gradient / gradient.abs().mean()
            moved = picture - length * new / new.norm()
            moved = (photo + (moved - photo).clamp(-epsilon, epsilon)).clamp(0, 1)
            with torch.no_grad():
                candidates.append((tip_im_gain(moved, source, goals, networks).item(), moved, new))
        _, picture, gathered = max(candidates, key=lambda candidate: candidate[0])
    return Result(picture, "ok", [], lambda written: tip_im_gain(written, source, goals, networks))


# ---- masks

def with_mask(photos, mask):
    return (photos + mask).clamp(0, 1)


def mask_similarity(photo, networks):
    """1 - the cosine between the embeddings without and with the mask, as a mean over networks."""
    with torch.no_grad():
        sources = [unit(network(photo)) for network in networks]
    return lambda picture: sum(1 - (unit(n(picture)) * s).sum() for n, s in zip(networks, sources)) / len(networks)


def affine_point(vectors, point):
    """The sum of the vectors (kxD), with weights that sum to 1, that is nearest to the point (D), and the weights: the
    conditions of a minimum, solved as they stand."""
    k = len(vectors)
    equations, right = torch.ones(k + 1, k + 1).double(), torch.ones(k + 1).double()
    equations[:k, :k], equations[k, k], right[:k] = vectors @ vectors.T, 0, vectors @ point
    weights = torch.linalg.solve(equations, right)[:k]
    return weights @ vectors, weights


def convex_point(vectors, point):
    """Likewise with weights that are not below 0: the best of the faces of the hull whose own solution has none."""
    best = None
    for count in range(1, len(vectors) + 1):
        for chosen in itertools.combinations(range(len(vectors)), count):
            found, weights = affine_point(vectors[list(chosen)], point)
            if weights.min() >= -1e-9 and (best is None or (found - point).norm() < (best - point).norm()):
                best = found
    return best


def hull_points(hull, clean, masked, i, centre_steps):
    """For each masked embedding the point that it is driven away from at step i."""
    if hull == "fi-uap":
        return clean
    if hull == "class-center" or (hull == "convex" and i < centre_steps):
        return clean.mean(0, keepdim=True)
    nearest = convex_point if hull == "convex" else lambda vectors, point: affine_point(vectors, point)[0]
    return torch.stack([nearest(clean.double(), row.double()) for row in masked]).to(clean)


def opom(photos, networks, start, hull="convex", steps=16, step=1 / 255, epsilon=8 / 255, centre_steps=5):
    with torch.no_grad():
        clean = [unit(network(photos)) for network in networks]
    mask = start
    for i in range(steps):
        mask = mask.detach().requires_grad_()
        gain = 0
        for network, own in zip(networks, clean):
            masked = unit(network(with_mask(photos, mask)))
            gain = gain + ((masked - hull_points(hull, own, masked.detach(), i, centre_steps)) ** 2).sum()
        mask = (mask.detach() + step * gradient_of(gain, mask).sign()).clamp(-epsilon, epsilon)
    return mask.detach()


def penalty_weight(weight, distance, low, high):
    """Half under the budget and twice over it, as long as it is within 1/129 to 129; 1 near the budget."""
    if distance <= low:
        return weight / 2 if weight >= 1 / 129 else weight
    if distance >= high:
        return weight * 2 if weight <= 129 else weight
    return 1.0


def dssims(photos, pictures):
    return torch.stack([dssim(photo[None], picture[None]) for photo, picture in zip(photos, pictures)])


def chameleon(photos, networks, start, orders, batch=4, step=0.001, epsilon=16 / 255, threshold=0.03):
    """One epoch for each of `orders`, which has the photos' numbers in the order of their use."""
    with torch.no_grad():
        clean = [unit(network(photos)) for network in networks]
    mask, weight = start, 1.0
    for order in orders:
        for first in range(0, len(order), batch):
            rows = order[first : first + batch]
            mask = mask.detach().requires_grad_()
            pictures = with_mask(photos[rows], mask)
            angles = [torch.acos((unit(network(pictures)) * own[rows]).sum(1)) for network, own in zip(networks, clean)]
            distances = dssims(photos[rows], pictures)
            loss = weight * (distances - threshold).clamp(min=0).mean() - sum(angles).mean()
            mask = (mask.detach() - step * gradient_of(loss, mask).sign()).clamp(-epsilon, epsilon)
            weight = penalty_weight(weight, distances.mean().item(), 0.9 * threshold, 1.1 * threshold)
    return mask.detach()


def closeness(embeddings):
    """Large if embeddings of length one point the same way."""
    gram = embeddings @ embeddings.T + 1e-4 * torch.eye(len(embeddings)).to(embeddings)
    return -torch.log(torch.linalg.det(gram) + 1e-4)


def protego_flat(photos, networks, start, epochs=100, batch=16, step=0.01 * 16 / 255, epsilon=16 / 255, ssim=0.95):
    with torch.no_grad():
        clean = [unit(network(photos)) for network in networks]
    mask, weight = start, 1.0
    for _ in range(epochs):
        for first in range(0, len(photos), batch):
            some = photos[first : first + batch]
            mask = mask.detach().requires_grad_()
            pictures = with_mask(some, mask)
            alike = 1 - 2 * dssims(some, pictures).mean()
            loss = weight * (ssim - alike).clamp(min=0)
            for network, own in zip(networks, clean):
                masked = unit(network(pictures))
                cosine = (masked * own[first : first + batch]).sum(1).mean()
                loss = loss + (cosine + closeness(masked)) / len(networks)
            mask = (mask.detach() - step * gradient_of(loss, mask).sign()).clamp(-epsilon, epsilon)
            weight = penalty_weight(weight, -alike.item(), -1.01 * ssim, -0.99 * ssim)
    return mask.detach()
