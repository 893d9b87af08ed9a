"""Compare tensors of two safetensors files: exit 1, with the worst element of each, if any differs.

usage: compare.py A B [--rtol R] [--atol A] [NAME | NAME_A=NAME_B]...     default: all names of A, exactly
"""
import argparse
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "models", "data"))
from tensorfile import load

parser = argparse.ArgumentParser()
parser.add_argument("a")
parser.add_argument("b")
parser.add_argument("names", nargs="*")
parser.add_argument("--rtol", type=float, default=0)
parser.add_argument("--atol", type=float, default=0)
args = parser.parse_intermixed_args()
a, b = load(args.a), load(args.b)
failed = False
for name in args.names or a:
    name_a, _, name_b = name.partition("=")
    x, y = a[name_a], b[name_b or name_a]
    if x.shape != y.shape or x.dtype != y.dtype:
        print(f"{name}: {x.dtype}{list(x.shape)} against {y.dtype}{list(y.shape)}")
        failed = True
        continue
    x, y = np.atleast_1d(x).astype(np.float64), np.atleast_1d(y).astype(np.float64)
    far = np.abs(x - y) - args.atol - args.rtol * np.abs(y)
    far[np.isnan(x) != np.isnan(y)] = np.inf
    if far.size and np.nanmax(far) > 0:
        at = np.unravel_index(np.nanargmax(far), far.shape)
        print(f"{name}: {(far > 0).sum()} of {far.size} differ, most at {[int(i) for i in at]}: {x[at]!r} against {y[at]!r}")
        failed = True
sys.exit(failed)
