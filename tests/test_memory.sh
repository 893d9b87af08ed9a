#!/bin/sh
# test_memory.sh - what bounds and what explains the memory of a function: recomputation, --memory-budget, --explain; and
# --f32-as=f64. Uses DLC (default build/dlc), PYTHON (default python3, with NumPy).
. "$(dirname -- "$0")/lib.sh"
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1

# deep TAG: six layers h = sin(tanh(h w)) and the gradients by their weights, as IR text. TAG: two layers each are a recompute(...).
deep() {
    awk -v tag="${1:-}" '
        function emit(text) { body = body "  %" n " = " text "\n"; return n++ }
        BEGIN {
            layers = 6; n = 0
            print "ir 1\nmodule \"deep\""
            for (i = 0; i < layers; i++) print "param \"w" i "\" : f32[64,64]"
            x = emit("input \"x\" : f32[B,64]")
            for (i = 0; i < layers; i++) { w[i] = emit("param \"w" i "\" : f32[64,64]"); of = of ", %" w[i]; types = types (i ? ", " : "") "f32[64,64]" }
            h = x
            for (i = 0; i < layers; i++) {
                t = tag ? "remat = " int(i / 2) + 1 : ""
                d = emit("dot %" h ", %" w[i] " {contract = [1]x[0]" (tag ? ", " t : "") "} : f32[B,64]")
                a = emit("tanh %" d (tag ? " {" t "}" : "") " : f32[B,64]")
                h = emit("sin %" a (tag ? " {" t "}" : "") " : f32[B,64]")
            }
            s = emit("reduce %" h " {kind = sum, axes = [0, 1]} : f32[]")
            g = emit("grad %" s of " : (" types ")")
            for (i = 0; i < layers; i++) r = r ", \"d" i "\" %" emit("get %" g " {member = " i "} : f32[64,64]")
            printf "\nfunc export @step(B in 1..256) {\n%s  return \"loss\" %%%d%s\n}\n", body, s, r
        }'
}
deep >"$tmp/deep.ir"
deep 1 >"$tmp/again.ir"

# The workspace of a summary, in bytes.
workspace() { "$dlc" summary "$@" --json | sed -n 's/.*"workspace": \([0-9]*\).*/\1/p'; }
less() { echo "$1 and $2"; [ -n "$1" ] && [ -n "$2" ] && [ "$1" -le "$2" ]; }
half() { full=$(workspace "$tmp/deep.ir" --dim B=256) && less $((2 * $(workspace "$tmp/again.ir" --dim B=256))) $((full + full / 8)); }
within() { less "$(workspace "$tmp/deep.ir" --dim B=256 "--memory-budget=$1")" "$2"; }
report "recompute needs about half the memory" half
report "a budget is kept" within 400K 409600
report "a smaller budget is kept" within 0.25MiB 262144
try "no budget without sizes" 0 '' "$dlc" "$tmp/deep.ir" -o "$tmp/x.so" --memory-budget=1G
sed 's/B in 1..256/B/' "$tmp/deep.ir" >"$tmp/open.ir"
try "a budget needs numbers" 1 'give --dim B=N' "$dlc" "$tmp/open.ir" -o "$tmp/x.so" --memory-budget=1G
try "... which --dim gives" 0 '' "$dlc" "$tmp/open.ir" -o "$tmp/x.so" --memory-budget=400K --dim B=256
try "a budget that cannot be kept" 1 'needs [0-9]+ bytes between its kernels at the least' "$dlc" "$tmp/deep.ir" -o "$tmp/x.so" --memory-budget=1K
try "a budget that is none" 2 "wants a number of bytes" "$dlc" "$tmp/deep.ir" -o "$tmp/x.so" --memory-budget=lots

try "--explain says what is kept" 0 'the backward pass keeps from the forward pass' "$dlc" "$tmp/deep.ir" -o "$tmp/x.so" --explain
try "--explain says what is computed again" 0 'computed again instead of kept, in steps: [0-9]' "$dlc" "$tmp/again.ir" -o "$tmp/x.so" --explain
try "--explain gives the peak" 0 'workspace .* most of it at step' "$dlc" summary "$tmp/deep.ir" --explain --dim B=256

try "--f32-as knows f64 alone" 2 '--f32-as is f64' "$dlc" "$tmp/deep.ir" -o "$tmp/x.so" --f32-as=f32
try "--f32-as=f64 leaves no f32" 0 'input "x" : f64\[B,64\]' "$dlc" inspect "$tmp/deep.ir" --f32-as=f64
report "... at all" sh -c '! "$1" inspect "$2" --f32-as=f64 | grep f32' sh "$dlc" "$tmp/deep.ir"

# Attention with its gradients: the probabilities are not kept, and the gradients are those of the primitives (-O0).
cat >"$tmp/attention.dl" <<'DL'
export fn f(q: f32[B, 2, T, 8], k: f32[B, 2, T, 8], v: f32[B, 2, T, 8], bias: f32[T, T]) -> (dq: f32[B, 2, T, 8], dk: f32[B, 2, T, 8], dv: f32[B, 2, T, 8], db: f32[T, T]) {
    y = attention(q, k, v, causal(T, T), bias)
    d = grad(sum(sin(3 * y)), [q, k, v, bias])
    return d[0], d[1], d[2], d[3]
}
DL
keeps_no_matrix() { "$dlc" summary "$tmp/attention.dl" --explain >"$tmp/kept" && sed -n '/backward pass keeps/,/computed again/p' "$tmp/kept" | tee /dev/stderr | grep -q 'f32\[B,2,T' && ! sed -n '/backward pass keeps/,/computed again/p' "$tmp/kept" | grep -q 'T,T'; }
report "attention's gradient keeps no matrix of scores" keeps_no_matrix

if ! "$python" -c 'import numpy' 2>/dev/null; then
    skip "values computed again, and in f64" "no Python packages (NumPy) in $python"
    exit $failed
fi
# Kept or computed again: the same values.
same() {
    "$python" "$root/tests/py/random_inputs.py" "$tmp/w.safetensors" $(for i in 0 1 2 3 4 5; do echo "w$i:f32:64x64:-0.2:0.2"; done) &&
        "$python" "$root/tests/py/random_inputs.py" "$tmp/x.safetensors" x:f32:9x64 || return 1
    run() { "$dlc" run "$@" --weights "$tmp/w.safetensors" "x=$tmp/x.safetensors:x"; }
    run "$tmp/deep.ir" -o "$tmp/kept.safetensors" && run "$tmp/again.ir" -o "$tmp/again.safetensors" &&
        run "$tmp/deep.ir" --memory-budget=300K -o "$tmp/budget.safetensors" && run "$tmp/deep.ir" --eval -o "$tmp/truth.safetensors" || return 1
    for how in kept again budget; do
        "$python" "$root/tests/py/compare.py" "$tmp/$how.safetensors" "$tmp/truth.safetensors" --rtol 1e-4 --atol 1e-4 || return 1
    done
}
report "computed again, the values are the same" same
wide() {        # weights in a file of f32 widen
    run "$tmp/deep.ir" --f32-as=f64 -o "$tmp/wide.safetensors" && run "$tmp/deep.ir" --eval --f64 -o "$tmp/truth.safetensors" &&
        "$python" "$root/tests/py/compare.py" "$tmp/wide.safetensors" "$tmp/truth.safetensors" --rtol 1e-12 --atol 1e-12
}
report "in f64: as the evaluator has it in f64" wide
as_primitives() {
    "$python" "$root/tests/py/random_inputs.py" "$tmp/qkv.safetensors" q:f32:2x2x9x8 k:f32:2x2x9x8 v:f32:2x2x9x8 bias:f32:9x9 || return 1
    for level in 0 2; do
        "$dlc" run "$tmp/attention.dl" -O$level $(for x in q k v bias; do echo "$x=$tmp/qkv.safetensors:$x"; done) --f32-as=f64 -o "$tmp/O$level.safetensors" || return 1
    done
    "$python" "$root/tests/py/compare.py" "$tmp/O2.safetensors" "$tmp/O0.safetensors" --rtol 1e-10 --atol 1e-12
}
report "attention's gradient is that of the primitives" as_primitives
printf 'net = Linear(4, 2)\nexport fn f(x: f32[B, 4]) -> (y: f32[B, 2]) = precision(net, bf16)(x)\n' >"$tmp/precise.dl"
try "--explain names a precision that is not used" 0 'precision.bf16.: still computed in f32 .*precise.dl:2' "$dlc" "$tmp/precise.dl" --explain -o "$tmp/precise.so"
in_f64() {    # MODEL EXPORT INPUTS OPTIONS...
    model=$1 export=$2 inputs=$3
    shift 3
    report "models/$model.dl in f64: compiled as evaluated" against "$root/models/$model.dl" "$model" "$export" 1e-12 $inputs -- --f32-as=f64 "$@"
}
in_f64 digits classify images:u8:5x8x8:0:17 --weights "$root/models/weights/digits.safetensors"
in_f64 llama read ids:i32:2x6:0:512
in_f64 mlp infer x:f32:7x784
in_f64 lenet classify images:u8:3x28x28:0:256
in_f64 transformer encode "x:f32:2x9x64 mask:bool:2x9" --set dim=64 --set heads=4 --set layers=2
exit $failed
