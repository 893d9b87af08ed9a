"""The ONNX model zoo's MNIST network and the MNIST test set as safetensors, for models/mnist_cnn.dl.

usage: convert_mnist.py DATA OUT    DATA: the folder of models/get-data.sh
    OUT/mnist_cnn.safetensors       weights, under the names of models/mnist_cnn.dl
    OUT/mnist_reference.safetensors x0 y0 x1 y1 x2 y2: the inputs and outputs that come with the model
    OUT/mnist_test.safetensors      images u8[10000, 28, 28], labels i32[10000]
"""
import gzip
import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "models", "data"))
from onnx_tensors import initialisers, read_tensor
from tensorfile import save


def read_idx(path):
    with gzip.open(path) as f:
        data = f.read()
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4:4 + 4 * rank])
    return np.frombuffer(data, "u1", offset=4 + 4 * rank).reshape(shape)


def weights(model):
    w = initialisers(model)
    return {
        "c1.weight": w["Parameter5"],                   # [8, 1, 5, 5]
        "c1.bias": w["Parameter6"].reshape(8),
        "c2.weight": w["Parameter87"],                  # [16, 8, 5, 5]
        "c2.bias": w["Parameter88"].reshape(16),
        "output.weight": np.ascontiguousarray(w["Parameter193"].reshape(256, 10).T),     # stored [in, out]
        "output.bias": w["Parameter194"].reshape(10),
    }


def main(data, out):
    zoo = os.path.join(data, "mnist8_onnx")
    save(os.path.join(out, "mnist_cnn.safetensors"), weights(os.path.join(zoo, "model.onnx")))
    pairs = {}
    for i in range(3):
        pairs[f"x{i}"] = read_tensor(os.path.join(zoo, f"test_data_set_{i}", "input_0.pb"))
        pairs[f"y{i}"] = read_tensor(os.path.join(zoo, f"test_data_set_{i}", "output_0.pb"))
    save(os.path.join(out, "mnist_reference.safetensors"), pairs)
    images = read_idx(os.path.join(data, "mnist", "t10k-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(data, "mnist", "t10k-labels-idx1-ubyte.gz")).astype(np.int32)
    save(os.path.join(out, "mnist_test.safetensors"), {"images": images, "labels": labels})


if __name__ == "__main__":
    main(*sys.argv[1:])
