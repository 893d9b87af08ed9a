"""Write seeded random tensors: random_inputs.py OUT NAME:DTYPE:DIMxDIM[:LOW:HIGH]...   (f32: normal where no bounds are given)"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "models", "data"))
from tensorfile import save


def tensors(texts):
    rng = np.random.RandomState(0)
    result = {}
    for text in texts:
        name, dtype, dims, *bounds = text.split(":")
        shape = [int(d) for d in dims.split("x") if d]
        if dtype == "bool":
            x = rng.rand(*shape) < 0.7
        elif dtype == "f32":
            x = rng.uniform(float(bounds[0]), float(bounds[1]), shape) if bounds else rng.randn(*shape)
            x = np.asarray(x, np.float32)
        else:
            x = np.asarray(rng.randint(int(bounds[0]), int(bounds[1]), shape), {"u8": np.uint8, "i32": np.int32}[dtype])
        result[name] = x
    return result


if __name__ == "__main__":
    save(sys.argv[1], tensors(sys.argv[2:]))
