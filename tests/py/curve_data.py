"""The networks, weights and batches of tests/library/curves.dl, the same for make_goldens.py and test_library.py: all
from NumPy's legacy generator, whose numbers do not change between versions."""
import numpy as np

STEPS = 200
PARAMS = {
    "mlp": {"l1.weight": (32, 20), "l1.bias": (32,), "l2.weight": (5, 32), "l2.bias": (5,)},
    "lenet": {"conv1.weight": (6, 1, 5, 5), "conv1.bias": (6,), "conv2.weight": (16, 6, 5, 5), "conv2.bias": (16,),
              "fc1.weight": (120, 400), "fc1.bias": (120,), "fc2.weight": (84, 120), "fc2.bias": (84,),
              "fc3.weight": (10, 84), "fc3.bias": (10,)},
}
BATCH = {"mlp": ((16, 20), 5), "lenet": ((8, 1, 28, 28), 10)}           # shape, classes


def weights(model):
    """Uniform in +-1 / sqrt(fan in)."""
    rng = np.random.RandomState(1)
    bound, result = 1.0, {}
    for name, shape in PARAMS[model].items():
        if name.endswith("weight"):
            bound = 1 / np.sqrt(np.prod(shape[1:]))
        result[name] = rng.uniform(-bound, bound, shape)
    return result


def batches(model):
    """STEPS pairs (x, y): a pattern a class, and noise."""
    rng = np.random.RandomState(2)
    shape, classes = BATCH[model]
    pattern = rng.uniform(-1, 1, (classes,) + shape[1:])
    for _ in range(STEPS):
        y = rng.randint(0, classes, shape[0]).astype(np.int32)
        yield pattern[y] + rng.uniform(-1, 1, shape), y
