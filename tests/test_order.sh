#!/bin/sh
# test_order.sh - operators that routines of the runtime compute (cumulate, sort, top_k, scatter): compiled code gives what the
# evaluator gives, to the bit but for sums of floats, for every dtype, axis and order; with ties, NaN, infinities and nothing at all.
. "$(dirname -- "$0")/lib.sh"
python=${PYTHON:-python3}
if ! "$python" -c 'import numpy' 2>/dev/null; then
    skip "routines against the evaluator" "no Python packages (NumPy) in $python"
    exit $failed
fi
model=$tmp/order.ir

# Floats are x / (x * x - x): NaN, inf, ties.
begin() {           # DTYPE: %4 is [A,N,3] of it
    echo 'ir 1'
    echo 'module "order"'
    echo 'func export @f(A, N) {'
    echo '  %0 = input "x" : i32[A,N,3]'
    case $1 in
    f*) echo "  %1 = cast %0 : $1[A,N,3]"; echo "  %2 = mul %1, %1 : $1[A,N,3]"; echo "  %3 = sub %2, %1 : $1[A,N,3]"
        echo "  %4 = div %1, %3 : $1[A,N,3]" ;;
    *)  echo '  %1 = abs %0 : i32[A,N,3]'; echo "  %2 = mul %1, %1 : i32[A,N,3]"; echo "  %3 = mul %2, %0 : i32[A,N,3]"
        echo "  %4 = cast %3 : $1[A,N,3]" ;;
    esac
}
lines() {           # DTYPE: everything along every axis; also members that nobody gets, and results read by other kernels
    t=$1 v=5 results=''
    begin "$t"
    for axis in 0 1 2; do
        for kind in sum prod max min; do
            for reverse in '' ', reverse = true'; do
                echo "  %$v = cumulate %4 {kind = $kind, axes = [$axis]$reverse} : $t[A,N,3]"
                results="$results, \"c$v\" %$v" v=$((v + 1))
            done
        done
        for descending in '' ', descending = true'; do
            echo "  %$v = sort %4 {axis = $axis$descending} : ($t[A,N,3], i32[A,N,3])"
            echo "  %$((v + 1)) = get %$v {member = 0} : $t[A,N,3]"
            echo "  %$((v + 2)) = get %$v {member = 1} : i32[A,N,3]"
            results="$results, \"v$v\" %$((v + 1)), \"i$v\" %$((v + 2))" v=$((v + 3))
        done
    done
    echo "  %$v = top_k %4 {axis = 2} : ($t[A,N,2], i32[A,N,2])"
    echo "  %$((v + 1)) = get %$v {member = 1} : i32[A,N,2]"
    echo "  %$((v + 2)) = mul %$((v + 1)), %$((v + 1)) : i32[A,N,2]"
    echo "  return \"at\" %$((v + 2))$results"
    echo '}'
}
rows() {            # DTYPE: rows of %4, by ids that are computed
    begin "$1"
    echo '  %5 = input "ids" : i32[5,2]'
    echo '  %6 = add %5, %5 : i32[5,2]'
    echo '  %7 = input "v" : i32[5,2,N,3]'
    echo "  %8 = cast %7 : $1[5,2,N,3]"
    v=9 results=''
    for kind in sum max none; do
        echo "  %$v = scatter %4, %6, %8 {kind = $kind} : $1[A,N,3]"
        results="$results, \"s$v\" %$v" v=$((v + 1))
    done
    echo "  return${results#,}"
    echo '}'
}
for t in f32 f64 i64 i32 u8; do
    lines $t >"$model"
    for x in 4x7x3 1x1x3 2x40x3 0x5x3 5x0x3; do
        report "$t, $x: along axes" against "$model" order f 0 x:i32:$x:-1:5
    done
    rows $t >"$model"
    for n in 7 1 0; do
        report "$t, rows of $n x 3: scatter" against "$model" order f 1e-6 x:i32:9x${n}x3:-1:5 ids:i32:5x2:0:5 v:i32:5x2x${n}x3:0:9
    done
done

# The source of a position, a constant, an argument; a whole line of equal elements; two threads.
cat >"$model" <<'END'
ir 1
module "order"
func export @f(N) {
  %0 = iota {axis = 0} : i32[N]
  %1 = input "x" : f32[N,2]
  %2 = const 1 : f32[]
  %3 = broadcast %2 {axes = []} : f32[N,2]
  %4 = scatter %1, %0, %3 {kind = sum} : f32[N,2]
  %5 = sort %3 {axis = 0} : (f32[N,2], i32[N,2])
  %6 = get %5 {member = 1} : i32[N,2]
  %7 = cumulate %0 {kind = sum, axes = [0]} : i32[N]
  %8 = transpose %1 {perm = [1, 0]} : f32[2,N]
  %9 = sort %8 {axis = 1} : (f32[2,N], i32[2,N])
  %10 = get %9 {member = 0} : f32[2,N]
  return "a" %4, "b" %6, "c" %7, "d" %10, "e" %10
}
END
report "operands that are not stored" against "$model" order f 0 x:f32:1000x2
report "two threads" against "$model" order f 0 x:f32:50000x2 -- --threads=2
report "without fusion and plan" against "$model" order f 0 x:f32:100x2 -- --no-fuse --no-plan

rows f32 >"$model"
out_of_range() {    # ID OPTIONS
    "$python" "$root/tests/py/random_inputs.py" "$tmp/in.safetensors" x:i32:9x2x3:0:5 "ids:i32:5x2:$1:$(($1 + 1))" v:i32:5x2x2x3:0:9
    try "scatter to row $((2 * $1)) of 9$2" 1 'index out of range' "$dlc" run "$model" $2 x="$tmp/in.safetensors:x" ids="$tmp/in.safetensors:ids" v="$tmp/in.safetensors:v"
}
out_of_range 5 ''
out_of_range -1 ''
out_of_range 5 ' --eval'
cat >"$model" <<'END'
ir 1
module "order"
func export @f(N) {
  %0 = input "x" : f32[N,2]
  %1 = top_k %0 {axis = 0} : (f32[4,2], i32[4,2])
  %2 = get %1 {member = 0} : f32[4,2]
  return "y" %2
}
END
four() {            # ROWS CODE PATTERN
    "$python" "$root/tests/py/random_inputs.py" "$tmp/in.safetensors" "x:f32:$1x2"
    try "top 4 of $1" "$2" "$3" "$dlc" run "$model" x="$tmp/in.safetensors:x"
}
report "top 4 of 9" against "$model" order f 0 x:f32:9x2
four 4 0 'y: '
four 3 1 'top_k: fewer elements than asked for'

rows f32 >"$model"
try "inspect --kernels names the routine" 0 '^kernel routine scatter: ' "$dlc" inspect "$model" --kernels
try "inspect --plan" 0 'scatter_f32: ' "$dlc" inspect "$model" --plan
try "summary counts its work" 0 'FLOPs ' "$dlc" summary "$model"
exit $failed
