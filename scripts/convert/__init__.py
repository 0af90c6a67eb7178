"""Turns the networks in packages of npm and PyPI into PyTorch modules."""


def build(name, members):
    """The eager module of a model. members: the package's files that its card lists, by path.

    Imports late: a check whether a model is there should not wait for PyTorch.
    """
    files = {path.rsplit("/", 1)[-1]: data for path, data in members.items()}
    if name == "mtcnn":
        from .mtcnn import build_mtcnn

        return build_mtcnn(files["pnet.tflite"], files["rnet.tflite"], files["onet.tflite"])
    if name == "faceplugin":
        from .onnx_reader import read_onnx

        return read_onnx(files["fr_feature.onnx"])
    if name == "mobilefacenet":
        from .tflite_reader import read_tflite

        return read_tflite(files["MobileFaceNet.tflite"])
    if name == "dlib":
        from .dlib import build_dlib

        return build_dlib(
            files["face_recognition_model-weights_manifest.json"], files["face_recognition_model.bin"]
        )
    if name == "hse-faceres":
        from .tfjs_reader import read_tfjs

        # The 1024 numbers before the heads for age and gender are the embedding.
        return read_tfjs(files["faceres.json"], files["faceres.bin"], "global_pooling/Mean")
    if name == "lite0":
        from .lite0 import build_lite0

        return build_lite0(files["efficientnet-lite0-57934424.pth"])
    if name == "mobileface":
        from .tfjs_reader import read_tfjs

        return read_tfjs(files["mobileface.json"], files["mobileface.bin"], "batchnorm0/add_1")
    raise KeyError(f"no converter for {name}")
