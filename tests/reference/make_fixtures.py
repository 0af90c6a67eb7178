"""Makes fixtures/ with TensorFlow and Keras, whose formulas the attacks use. Needed only to make the fixtures
again.

  python3.11 -m venv VENV
  VENV/bin/pip install tensorflow-cpu==2.19.1 keras==3.15.1 numpy==2.1.3
  CUDA_VISIBLE_DEVICES= VENV/bin/python make_fixtures.py

All files are float32, C order, NPY version 1:
  dssim-pairs.npy          3x2x3x16x20  pairs of pictures, RGB in [0,1]: grey levels divided by 255
  dssim.npy                3            (1 - tf.image.ssim) / 2 of each pair, computed on grey levels with max_val 255
  dssim-gradient.npy       3x3x16x20    its gradient by the pixels of the pair's first picture, computed in [0,1]
                                        with max_val 1
  adadelta-start.npy       6            parameters before the first step
  adadelta-gradients.npy   5x6          the gradient of each step
  adadelta-keras.npy       5x6          parameters after each step, keras.optimizers.Adadelta, rho .95, epsilon 1e-7,
                                        rate 15
  adadelta-tf1.npy         5x6          the same of tf.compat.v1.train.AdadeltaOptimizer, epsilon 1e-8,
                                        rate 10 times .8 after each step
"""
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

FOLDER = Path(__file__).resolve().parent / "fixtures"
HEIGHT, WIDTH = 16, 20


def save(name, values):
    np.save(FOLDER / name, np.ascontiguousarray(values, dtype=np.float32))


def picture_pairs():
    """Grey levels from integer sums: a pair that hardly differs, a pair that does,
    and a texture against its negative."""
    c, y, x = np.mgrid[:3, :HEIGHT, :WIDTH]
    smooth = 60 + 7 * x + 3 * y + 11 * c
    texture = (29 * x * x + 17 * y * y + 31 * x * y + 53 * c) % 256
    speckle = (37 * x + 61 * y + 23 * x * y + 7 * c) % 9 - 4
    pairs = [
        (smooth, smooth + speckle),
        (smooth + 10 * speckle, smooth + 2 * speckle[..., ::-1]),
        (texture, 255 - texture),
    ]
    return np.clip(np.array(pairs), 0, 255)


def dssim(a, b, largest):
    def as_tf(picture):
        return tf.transpose(picture, (1, 2, 0))

    return (1 - tf.image.ssim(as_tf(a), as_tf(b), max_val=largest)) / 2


def dssim_with_gradient(a, b):
    a, b = (tf.constant(grey / 255, dtype=tf.float32) for grey in (a, b))
    with tf.GradientTape() as tape:
        tape.watch(a)
        value = dssim(a, b, 1.0)
    return value.numpy(), tape.gradient(value, a).numpy()


def make_dssim():
    pairs = picture_pairs()
    found = [dssim_with_gradient(a, b) for a, b in pairs]
    grey = [dssim(a.astype(np.float32), b.astype(np.float32), 255.0).numpy() for a, b in pairs]
    # In float32 a variance is a small difference of large numbers;
    # where a picture is flat and bright that shows at 5e-6.
    assert np.allclose(grey, [value for value, _ in found], rtol=0, atol=1e-5), "the scale should not matter"
    save("dssim-pairs.npy", pairs / 255)
    save("dssim.npy", grey)
    save("dssim-gradient.npy", [gradient for _, gradient in found])


def keras_path(start, gradients):
    variable = keras.Variable(start)
    optimiser = keras.optimizers.Adadelta(learning_rate=15.0, rho=0.95, epsilon=1e-7)
    for gradient in gradients:
        optimiser.apply([tf.constant(gradient)], [variable])
        yield variable.numpy().copy()


def tf1_path(start, gradients):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.Variable(start)
        gradient, rate = (tf.compat.v1.placeholder(tf.float32, shape) for shape in (start.shape, ()))
        step = tf.compat.v1.train.AdadeltaOptimizer(rate, rho=0.95, epsilon=1e-8).apply_gradients(
            [(gradient, variable)]
        )
        session.run(tf.compat.v1.global_variables_initializer())
        for i, value in enumerate(gradients):
            session.run(step, {gradient: value, rate: 10 * 0.8**i})
            yield session.run(variable)


def make_adadelta():
    """Gradients of all sizes relative to epsilon: none, tiny, ordinary and large ones."""
    start = np.array([0.0, 1e-4, -0.5, 1.0, -2.0, 3.0], dtype=np.float32)
    sizes = np.array([0.0, 1e-5, 1e-3, 0.1, 1.0, 50.0])
    waves = np.array(
        [[1, -1, 1, -1, 1, -1], [2, 1, -1, 1, 3, 1], [1, 0, 2, -2, -1, 1], [-1, 2, 1, 1, 0, -3], [1, 1, -2, 3, 1, 2]]
    )
    gradients = (waves * sizes).astype(np.float32)
    save("adadelta-start.npy", start)
    save("adadelta-gradients.npy", gradients)
    save("adadelta-keras.npy", list(keras_path(start, gradients)))
    save("adadelta-tf1.npy", list(tf1_path(start, gradients)))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    make_dssim()
    make_adadelta()
