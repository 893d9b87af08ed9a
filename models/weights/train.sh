#!/bin/sh
# train.sh - make models/weights/digits.safetensors: the network of models/digits.dl trained on models/data, seeded, in a few
# seconds. The same bytes on every CPU of one class, whatever the number of threads.
# usage: models/weights/train.sh [DLC] [OUTPUT]     default build/dlc, models/weights/digits.safetensors
set -eu
root=$(cd "$(dirname -- "$0")/../.." && pwd)
dlc=${1:-${DLC:-$root/build/dlc}}
out=${2:-$root/models/weights/digits.safetensors}
cd "$root"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
data=models/data/digits.safetensors
"$dlc" train models/digits.dl images=$data:train_x labels=$data:train_y --augment images:crop=1 --epochs 20 --batch 32 --seed 1 \
    --checkpoint "$tmp/checkpoint.safetensors" -o "$out"
"$dlc" run models/digits.dl --fn score --weights "$out" images=$data:test_x labels=$data:test_y
