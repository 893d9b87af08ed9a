"""Write digits.safetensors from the copy of the UCI digits in scikit-learn (pip install scikit-learn).

1,797 images of 8x8 pixels, 0 (paper) to 16 (ink). In the original order the last rows are by other writers than the first,
so the rows are permuted with a fixed seed: the first 1,347 train, the last 450 test. The same bytes on every machine.

usage: make_digits.py [digits.safetensors]
"""
import os
import sys

import numpy as np
from sklearn.datasets import load_digits

from tensorfile import save

SEED = 1797
TRAIN = 1347

digits = load_digits()
order = np.random.RandomState(SEED).permutation(len(digits.target))     # the legacy generator: its stream is frozen
images = digits.images.astype(np.uint8)[order]
labels = digits.target.astype(np.int32)[order]
assert images.shape == (1797, 8, 8) and images.max() == 16 and (images == digits.images[order]).all()

path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "digits.safetensors")
save(path, {"train_x": images[:TRAIN], "train_y": labels[:TRAIN], "test_x": images[TRAIN:], "test_y": labels[TRAIN:]})
