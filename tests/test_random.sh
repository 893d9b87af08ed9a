#!/bin/sh
# test_random.sh - random programs (tests/random/random.h) of fixed seeds, in two configurations each, and the kept ones.
set -u
cd "$(dirname -- "$0")/.." || exit 1
. tests/random/lib.sh
random --seed=1 --count=80
random --seed=1 --count=30 --updates
random_corpus
