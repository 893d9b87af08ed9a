#!/bin/sh
# test_random.sh - random programs of fresh seeds, in every configuration, for RANDOM_SECONDS (600) a mode.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
. tests/random/lib.sh
random --seed=now --count=1000000000 --configs=0 --seconds="${RANDOM_SECONDS:-600}"
random --seed=now --count=1000000000 --configs=3 --updates --seconds="${RANDOM_SECONDS:-600}"
