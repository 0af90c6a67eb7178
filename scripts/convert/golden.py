"""The golden picture and a network's output for it. An integer formula draws it, so that every
language gives the same bits. The golden outputs come from the original runtimes."""
import numpy as np

# The golden pictures of MTCNN's nets, scaled as RGB, (x - 127.5) / 128.
MTCNN_SIZES = {"pnet": (60, 40), "rnet": (24, 24), "onet": (48, 48)}  # width, height


def tri(t):
    m = t % 256
    return np.where(m < 128, 2 * m, 511 - 2 * m)


def picture(width, height):
    """H×W×3 uint8, RGB."""
    y, x, c = np.ogrid[0:height, 0:width, 0:3]
    value = tri(x * (3 + c) + y * 5) + tri(y * (4 + c) - x * 2 + 1000) + tri(x * y // (7 + c) + c * 40)
    return (value // 3).astype(np.uint8)


def network_input(rgb, recipe):
    """A uint8 picture as 1×3×H×W float32, scaled as the "input" part of a recogniser's card says."""
    pixels = rgb.astype(np.float64) / 255
    pixels = pixels[..., ::-1] if recipe["channels"] == "bgr" else pixels
    scaled = (pixels * recipe["scale"] - recipe["mean"]) / recipe["std"]
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], dtype=np.float32)


def size(recipe):
    """Width and height of the network's input, from the "input" part of a card."""
    return (recipe["side"], recipe["side"]) if "side" in recipe else (recipe["width"], recipe["height"])


def mtcnn_input(net):
    rgb = picture(*MTCNN_SIZES[net]).astype(np.float32)
    return np.ascontiguousarray(((rgb - 127.5) / 128).transpose(2, 0, 1)[None])


def golden_output(module, name, card):
    """The module's output for the golden picture, as one row of numbers."""
    import torch

    with torch.no_grad():
        if name == "mtcnn":
            parts = [t for net in MTCNN_SIZES for t in getattr(module, net)(torch.from_numpy(mtcnn_input(net)))]
        else:
            pixels = picture(*size(card["input"]))
            parts = [module(torch.from_numpy(network_input(pixels, card["input"])))]
    return torch.cat([t.flatten() for t in parts]).numpy()


def compare(output, golden):
    """Cosine and the largest absolute difference."""
    if output.shape != golden.shape:
        raise ValueError(f"{output.size} numbers where the golden output has {golden.size}")
    a, b = output.astype(np.float64), golden.astype(np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))), float(np.abs(a - b).max())
