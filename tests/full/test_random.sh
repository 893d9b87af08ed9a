#!/bin/sh
# test_random.sh - thousands of random programs of fixed seeds.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
. tests/random/lib.sh
random --seed=10000 --count=2000 --configs=3
random --seed=10000 --count=1000 --configs=3 --updates
random --seed=20000 --count=150 --configs=0
