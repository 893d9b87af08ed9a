#!/bin/sh
# test_data.sh - published networks with their published weights on real data:
#   mnist   models/mnist_cnn.dl: the three reference outputs of the ONNX model, and 9,891 +- 1 of MNIST's 10,000 test images
#   llama   models/llama.dl with stories260K: the logits of 64 tokens as the evaluator and NumPy have them
# Data from DLC_DATA (default ~/.cache/dlc/data): models/get-data.sh. Uses DLC (default build/dlc) and PYTHON (with NumPy).
# usage: tests/full/test_data.sh [mnist|llama]...       reports as tests/run.py reads
set -u
root=$(cd "$(dirname -- "$0")/../.." && pwd)
dlc=${DLC:-$root/build/dlc}
python=${PYTHON:-python3}
data=${DLC_DATA:-${XDG_CACHE_HOME:-$HOME/.cache}/dlc/data}
py=$root/tests/py
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export PYTHONDONTWRITEBYTECODE=1
failed=0

report() {      # NAME COMMAND...
    name=$1; shift
    if "$@" >"$tmp/log" 2>&1; then echo "ok $name"; else echo "not ok $name"; sed 's/^/# /' "$tmp/log"; failed=1; fi
}
run() { "$dlc" run "$@"; }
compare() { "$python" "$py/compare.py" "$@"; }

reference() {   # number [--eval]
    run $model --fn infer x="$tmp/mnist_reference.safetensors:x$1" ${2:-} -o "$tmp/y.safetensors" &&
        compare "$tmp/y.safetensors" "$tmp/mnist_reference.safetensors" --rtol 1e-3 --atol 1e-3 "logits=y$1"
}
ten_thousand() {
    run $model --fn label images="$tmp/mnist_test.safetensors:images" -o "$tmp/digit.safetensors" &&
        "$python" - "$root/models/data" "$tmp" <<'PY'
import sys
sys.path.insert(0, sys.argv[1])
from tensorfile import load
right = int((load(f"{sys.argv[2]}/digit.safetensors")["digit"] == load(f"{sys.argv[2]}/mnist_test.safetensors")["labels"]).sum())
print(f"{right} of 10000 right")
sys.exit(abs(right - 9891) > 1)
PY
}
from_idx() {    # the original files, gzipped, straight from the command line
    run $model --fn score images="$data/mnist/t10k-images-idx3-ubyte.gz" labels="$data/mnist/t10k-labels-idx1-ubyte.gz" >"$tmp/out" &&
        cat "$tmp/out" && grep -Eq '0\.989[012]' "$tmp/out"
}
mnist() {
    [ -f "$data/mnist8_onnx/model.onnx" ] && [ -f "$data/mnist/t10k-images-idx3-ubyte.gz" ] || { echo "skip mnist: no data (set DLC_DATA)"; return; }
    report "mnist: weights converted" "$python" "$py/convert_mnist.py" "$data" "$tmp"
    model="$root/models/mnist_cnn.dl --weights $tmp/mnist_cnn.safetensors"
    for i in 0 1 2; do
        report "mnist: reference output $i" reference $i
        report "mnist: reference output $i, evaluated" reference $i --eval
    done
    report "mnist: 9,891 +- 1 of 10,000 right" ten_thousand
    report "mnist: the same from the idx files" from_idx
}

read_story() {  # RESULT [--eval]
    run "$root/models/llama.dl" --fn read --weights "$tmp/stories.safetensors" ids="$tmp/stories_ids.safetensors:ids" ${2:-} -o "$tmp/$1.safetensors"
}
story_begins() { "$python" "$py/llama_numpy.py" --story "$data" | grep -q '^Once upon a time, there was a little girl named Lily\. She loved'; }
llama() {
    [ -f "$data/stories260K/stories260K.bin" ] || { echo "skip llama: no data (set DLC_DATA)"; return; }
    report "llama: weights converted" "$python" "$py/convert_stories.py" "$data" "$tmp"
    report "llama: NumPy tells the story" story_begins
    report "llama: NumPy's logits" "$python" "$py/llama_numpy.py" "$tmp/stories.safetensors" "$tmp/stories_ids.safetensors" "$tmp/numpy.safetensors"
    report "llama: runs" read_story compiled
    report "llama: runs in the evaluator" read_story eval --eval
    for pair in "compiled numpy" "eval numpy" "compiled eval"; do
        report "llama: ${pair% *} against ${pair#* }" \
            compare "$tmp/${pair% *}.safetensors" "$tmp/${pair#* }.safetensors" --rtol 1e-4 --atol 1e-4 logits
    done
}

if ! "$python" -c 'import numpy' 2>/dev/null; then
    echo "skip data: no Python packages (NumPy) in $python"
    exit 0
fi
[ $# -gt 0 ] || set -- mnist llama
for name in "$@"; do $name; done
exit $failed
