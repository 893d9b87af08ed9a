#!/bin/sh
# test_random.sh - more than a thousand random programs of fixed seeds (about four minutes on two cores).
set -u
cd "$(dirname -- "$0")/../.." || exit 1
. tests/random/lib.sh
random --seed=10000 --count=600 --configs=3
random --seed=10000 --count=300 --configs=3 --updates
random --seed=20000 --count=40 --configs=0
