#!/bin/sh
# test_models.sh - the models in models/: each compiles, applications in C build and run, the digits are read. test_zoo.py has more.
# Uses DLC (default build/dlc), PYTHON (default python3, with NumPy), CC. Reports as tests/run.py reads.
. "$(dirname -- "$0")/lib.sh"
python=${PYTHON:-python3}
cc=${CC:-cc}
export PYTHONDONTWRITEBYTECODE=1
models=$root/models

# Every model becomes a shared object; the seconds are for the reader.
compiles() { "$dlc" "$1" -o "$tmp/$2.so" && [ -s "$tmp/$2.so" ] && [ -s "$tmp/$2.h" ]; }
for file in "$models"/*.dl; do
    stem=$(basename "$file" .dl)
    report "models/$stem.dl compiles" compiles "$file" "$stem"
    sed -n 's/^.*, \([0-9]*\) ms$/  \1 ms/p' "$tmp/log"
done

# Applications in C, with plain cc.
weights=$models/weights/digits.safetensors
build() { $cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$tmp" "$models/embed/$1.c" "$tmp/digits.so" -o "$tmp/$1"; }
short() { [ "$(wc -l <"$models/embed/digits.c")" -le 25 ]; }
reads() { [ "$("$tmp/digits" "$weights")" = 5 ]; }
names_missing() { ! "$tmp/digits" /nonexistent >"$tmp/out" 2>&1 && grep -q nonexistent "$tmp/out"; }
demo() { sh "$models/demo.sh" "$dlc" >"$tmp/out" 2>&1; status=$?; cat "$tmp/out"; [ $status = 0 ] && grep -Eq '^accuracy +(9[89]|97\.[5-9]|100)' "$tmp/out"; }
headers() {     # of all models, in one C and one C++ file
    for header in "$tmp"/*.h; do echo "#include \"$header\""; done >"$tmp/all.c"
    $cc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$tmp/all.c" &&
        { ! command -v c++ >/dev/null || c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ "$tmp/all.c"; }
}
report "headers are C11 and C++17" headers
report "embed/digits.c builds" build digits
report "embed/demo.c builds" build demo
report "embed/digits.c has at most 25 lines" short
report "embed/digits.c reads a digit" reads
report "embed/digits.c names a missing file" names_missing
report "demo.sh reads 97.5 % of the digits" demo

# The whole training step inside an application; where the compiler has sanitizers, under them.
trains() {
    "$dlc" "$models/mlp.dl" --set features=64 --set hidden=96 -o "$tmp/mlp.so" || return 1
    sanitize=
    echo 'int main(void) { return 0; }' >"$tmp/empty.c"
    $cc -fsanitize=address,undefined "$tmp/empty.c" -o "$tmp/empty" 2>/dev/null && "$tmp/empty" && sanitize=-fsanitize=address,undefined
    $cc -std=c11 -Wall -Wextra -Wpedantic -Werror $sanitize -I"$tmp" "$models/embed/train_digits.c" "$tmp/mlp.so" -o "$tmp/train_digits" &&
        "$tmp/train_digits" "$models/data/digits.safetensors" "$tmp/trained.safetensors" >"$tmp/out" && cat "$tmp/out" &&
        grep -Eq '^test accuracy (9[5-9]|100)' "$tmp/out" && [ -s "$tmp/trained.safetensors" ]
}
short_training() { [ "$(wc -l <"$models/embed/train_digits.c")" -le 40 ]; }
cut_short() {   # a cut file of digits
    head -c 50000 "$models/data/digits.safetensors" >"$tmp/cut.safetensors"
    "$tmp/train_digits" "$tmp/cut.safetensors" "$tmp/x.safetensors" >"$tmp/out" 2>&1
    [ $? = 2 ] && grep -q usage "$tmp/out"
}
report "embed/train_digits.c trains the MLP" trains
report "embed/train_digits.c has at most 40 lines" short_training
report "embed/train_digits.c refuses a cut file" cut_short

# The weights of the demo, made anew.
retrains() {
    sh "$models/weights/train.sh" "$dlc" "$tmp/new.safetensors" >"$tmp/out" 2>&1; status=$?
    tail -n 2 "$tmp/out"
    [ $status = 0 ] && grep -Eq '^accuracy: .* (1|0\.9(7[5-9]|[89])[0-9]*)$' "$tmp/out"
}
report "weights/train.sh reaches 97.5 %" retrains

# The MLP of the language reference, without weights, stripped: at most 64 KiB, with its training step 96 KiB.
small() {       # MODEL BYTES
    "$dlc" "$1" -o "$tmp/small.so" && strip "$tmp/small.so" && wc -c <"$tmp/small.so" && [ "$(wc -c <"$tmp/small.so")" -le "$2" ]
}
sed '/^export fn evaluate/,$d; /^host = /d; s/lr = host/lr = rate/' "$models/mlp.dl" >"$tmp/step.dl"
sed '/^export train/,$d; /^opt = /d; /^host = /d' "$models/mlp.dl" >"$tmp/infer.dl"
report "mlp.dl without its step takes at most 64 KiB" small "$tmp/infer.dl" 65536
report "mlp.dl with its step takes at most 96 KiB" small "$tmp/step.dl" 98304

if ! "$python" -c 'import numpy' 2>/dev/null; then
    skip "models against the evaluator" "no Python packages (NumPy) in $python"
    exit $failed
fi
same() { report "$1 $2: compiled as evaluated" against "$models/$1.dl" "$@"; }
# A row alone and in a batch, one thread and two: equal bits.
rows_alone() {  # MODEL EXPORT INPUT ROWS OPTIONS...
    model=$1 export=$2 input=$3 rows=$4
    shift 4
    name=${input%%:*}
    run() { "$dlc" run "$models/$model.dl" --fn "$export" "$@"; }
    "$python" "$root/tests/py/random_inputs.py" "$tmp/all.safetensors" "$input" || return 1
    run "$@" --threads 1 "$name=$tmp/all.safetensors:$name" -o "$tmp/one.npy" && run "$@" --threads 2 "$name=$tmp/all.safetensors:$name" -o "$tmp/two.npy" || return 1
    cmp "$tmp/one.npy" "$tmp/two.npy" || return 1
    for row in $rows; do
        "$python" - "$root/models/data" "$tmp" "$name" "$row" <<'PY' || return 1
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from tensorfile import load
tmp, name, row = sys.argv[2], sys.argv[3], int(sys.argv[4])
np.save(f"{tmp}/row.npy", load(f"{tmp}/all.safetensors")[name][row:row + 1])
np.save(f"{tmp}/want.npy", np.load(f"{tmp}/one.npy")[row:row + 1])
PY
        run "$@" "$name=$tmp/row.npy" -o "$tmp/alone.npy" && cmp "$tmp/alone.npy" "$tmp/want.npy" || return 1
    done
}
report "digits classify: equal bits alone, in a batch, and over threads" rows_alone digits classify images:u8:33x8x8:0:17 "0 7 32" --weights "$weights"
report "lenet classify: equal bits alone, in a batch, and over threads" rows_alone lenet classify images:u8:33x28x28:0:256 "1 32"
report "llama read: equal bits alone, in a batch, and over threads" rows_alone llama read ids:i32:5x17:0:512 "0 4"
same digits classify 1e-5 images:u8:33x8x8:0:17 -- --weights "$weights"
same digits label 0 images:u8:33x8x8:0:17 -- --weights "$weights"
same digits score 1e-6 images:u8:33x8x8:0:17 labels:i32:33:0:10 -- --weights "$weights"
same mlp infer 1e-5 x:f32:5x784
same lenet classify 1e-5 images:u8:3x28x28:0:256
same mnist_cnn infer 1e-2 x:f32:2x1x28x28:0:255
same mnist_cnn label 0 images:u8:3x28x28:0:256
same llama read 1e-4 ids:i32:2x20:0:512
same transformer encode 1e-4 x:f32:2x17x64 mask:bool:2x17 -- --set dim=64 --set heads=4 --set layers=2
exit $failed
