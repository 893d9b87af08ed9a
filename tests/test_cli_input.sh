#!/bin/sh
# test_cli_input.sh - bad input: hostile sources and IR text, lying weights and data, calls that break what the model
# requires, no place to write, no linker. Each is a clear message and exit code 1; nothing partial is left, nothing is lost.
# Uses DLC (default build/dlc), python3 (no packages). Reports as tests/run.py reads.
. "$(dirname -- "$0")/lib.sh"
cd "$tmp" || exit 1
ulimit -v 8000000 2>/dev/null           # bytes of KiB: nothing here may need more
limit="timeout 20"                      # and nothing may take long

# ---- sources

bad() {         # NAME PATTERN FILE: every command that reads it fails well
    try "$1" 1 "$2" $limit "$dlc" check "$3"
    try "$1, compiled" 1 "$2" $limit "$dlc" "$3" -o bad.so
    try "$1, inspected" 1 "$2" $limit "$dlc" inspect "$3" --ir
}
many() { python3 -c 'import sys; sys.stdout.write(eval(sys.argv[1]))' "$1"; }       # text by a Python expression

many '"x = " + "(" * 20000 + "1" + ")" * 20000 + "\n"' >parens.dl
bad "20,000 nested parentheses" 'error DL0111' parens.dl
many '"x = " + "[" * 20000' >brackets.dl
bad "20,000 open brackets" 'error DL' brackets.dl
many '"fn f(x) " + "{ if x " * 20000' >blocks.dl
bad "20,000 open blocks" 'error DL' blocks.dl
many '"x = " + "-" * 20000 + "1\n"' >signs.dl
bad "20,000 signs" 'error DL0111' signs.dl
many '"x = 2" + " ^ 2" * 20000 + "\n"' >powers.dl
bad "20,000 powers" 'error DL0111' powers.dl
many '"x = 1" + " + 1" * 20000 + "\n"' >sums.dl
bad "20,000 sums in one expression" 'error DL0111' sums.dl
many '"x = a" + ".b" * 20000 + "\n"' >members.dl
bad "20,000 members" 'error DL' members.dl
many '"export fn f(x: f32[" + "N + " * 500 + "1]) -> f32 = sum(x)\n"' >dims.dl
bad "a dim of 500 terms that nothing binds" 'error DL' dims.dl
many '"}" * 100000' >closing.dl
bad "100,000 closing braces" 'error DL' closing.dl
many '"x = 9" + "9" * 5000 + "\n"' >digits.dl
bad "a number of 5,000 digits" 'error DL0105' digits.dl
printf 'module A() { inner = A() }\na = A()\nexport fn f(x: f32) -> f32 = x\n' >itself.dl
bad "a module that contains itself" 'error DL.*itself|error DL' itself.dl
printf 'module A() { b = B() }\nmodule B() { a = A() }\na = A()\nexport fn f(x: f32) -> f32 = x\n' >mutual.dl
bad "two modules that contain each other" 'error DL' mutual.dl
printf 'fn f(x) = g(x)\nfn g(x) = f(x)\nexport fn h(x: f32) -> f32 = f(x)\n' >recursion.dl
bad "functions that call each other" 'error DL' recursion.dl
printf 'import "own.dl"\nexport fn f(x: f32) -> f32 = x\n' >own.dl
bad "a file that imports itself" 'error DL' own.dl
printf 'import "nowhere.dl"\nimport "."\nexport fn f(x: f32) -> f32 = x\n' >imports.dl
bad "imports of nothing and of a folder" 'nowhere.dl' imports.dl
printf 'export fn f(x: f32) -> f32 {\n    for i in range(1000000000000) { x = x + 1 }\n    return x\n}\n' >forever.dl
bad "a loop that never ends" 'error DL' forever.dl
printf 'fn d(x) = x + x\nl = d(d(d(d(d(d(d(d(d(d([1, 2, 3, 4]))))))))))\nm = d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(l)))))))))))))))\nk = d(d(d(d(d(d(d(d(d(d(m))))))))))\nexport fn f(x: f32) -> f32 = x * len(k)\n' >lists.dl
bad "a list that doubles 35 times" 'error DL' lists.dl
printf 'export fn f() -> f32[1000000, 1000000, 1000000, 1000000] = zeros(f32[1000000, 1000000, 1000000, 1000000])\n' >huge.dl
bad "a tensor of 10^24 elements" 'error DL' huge.dl
printf 'table = f32(range(100000000))\nexport fn f() -> f32 = sum(table)\n' >table.dl
bad "a table of 10^8 numbers" 'error DL' table.dl
: >empty.dl
bad "an empty file" 'error DL' empty.dl
printf '# nothing\n' >comment.dl
bad "a file of comments" 'error DL' comment.dl
python3 -c 'import random, sys; sys.stdout.buffer.write(random.Random(1).randbytes(5000))' >random.dl
bad "random bytes" 'error DL0103' random.dl
printf 'x = 1\0\nexport fn f(x: f32) -> f32 = x\n' >zero.dl
bad "a zero byte" 'error DL0103' zero.dl
python3 -c 'import random; r = random.Random(2); print("".join(chr(r.randrange(32, 127)) for _ in range(5000)))' >letters.dl
bad "random letters" 'error DL' letters.dl
many '"y = nothing\n" * 20000' >errors.dl
bad "20,000 errors" 'error DL' errors.dl
many '"# x\n" * (5 << 20)' >large.dl
bad "a file of 20 MiB" 'DL0102|larger than' large.dl
rm -f large.dl
bad "a missing file" 'No such file' missing.dl
mkdir folder.dl
bad "a folder" 'folder.dl: Is a directory' folder.dl
long=$(many '"a" * 300')
bad "a file name of 300 letters" 'File name too long' "$long.dl"
bad "a path of 5,000 letters" 'File name too long' "$(many '"/a" * 2500').dl"
try "fmt of random bytes" 1 'error DL0103' $limit "$dlc" fmt random.dl
try "fmt of 20,000 parentheses" 1 'error DL0111' $limit "$dlc" fmt parens.dl
try "ast of 20,000 parentheses" 1 'error DL0111' $limit "$dlc" inspect --ast parens.dl
report "nothing was written" test ! -e bad.so -a ! -e bad.h

# ---- IR text

ir() {          # NAME PATTERN TEXT
    printf 'ir 1\nmodule "m"\n%b' "$3" >bad.ir
    try "IR: $1" 1 "$2" $limit "$dlc" inspect bad.ir --kernels
}
ir "no such operator" 'bad.ir:4:[0-9]+: error DL0702: no operator frob' 'func export @f() {\n  %0 = frob : f32[]\n  return "y" %0\n}\n'
ir "a value that is not there" 'DL0702: no value %7' 'func export @f() {\n  %0 = neg %7 : f32[]\n  return "y" %0\n}\n'
ir "another type than the rule's" 'DL0703: exp gives f32\[8\]' 'func export @f() {\n  %0 = input "x" : f32[8]\n  %1 = exp %0 : f32[9]\n  return "y" %1\n}\n'
ir "one element for a terabyte" 'DL0704' 'func export @f() {\n  %0 = const 1.0 : f32[1000000,1000000]\n  return "y" %0\n}\n'
ir "a dim that overflows" 'DL0704' 'func export @f(N) {\n  %0 = input "x" : f32[N*9223372036854775807*N*9223372036854775807]\n  return "y" %0\n}\n'
ir "a rank of 17" 'DL0704' 'func export @f() {\n  %0 = input "x" : f32[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]\n  return "y" %0\n}\n'
ir "a function that calls itself" 'DL0702' 'func export @f() {\n  %0 = input "x" : f32[]\n  %1 = call %0 {callee = @f} : f32[]\n  return "y" %1\n}\n'
ir "a call that breaks the callee's facts" 'DL0703: .*its facts do not follow' 'func @g(N % 2) {\n  %0 = input "x" : f32[N]\n  %1 = reshape %0 : f32[N // 2,2]\n  return "y" %1\n}\nfunc export @f() {\n  %0 = input "x" : f32[3]\n  %1 = call %0 {callee = @g} : f32[1,2]\n  return "y" %1\n}\n'
ir "a name that C does not take" 'no identifier of C' 'func export @"f(" () {\n  %0 = input "x" : f32[]\n  return "y" %0\n}\n'
{
    printf 'ir 1\nmodule "m"\nfunc @f0(N) {\n  %%0 = input "x" : f32[N]\n  %%1 = exp %%0 : f32[N]\n  return "y" %%1\n}\n'
    for i in $(seq 1 40); do
        printf 'func %s@f%d(N) {\n  %%0 = input "x" : f32[N]\n  %%1 = call %%0 {callee = @f%d} : f32[N]\n  %%2 = call %%1 {callee = @f%d} : f32[N]\n  return "y" %%2\n}\n' \
            "$([ "$i" = 40 ] && echo 'export ')" "$i" $((i - 1)) $((i - 1))
    done
} >calls.ir
try "IR: calls that double 40 times" 1 'call is not supported in compiled code yet' $limit "$dlc" inspect calls.ir --kernels
many '"ir 1\nmodule \"m\"\nfunc @f() {\n  %0 = input \"x\" : f32[" + "(" * 20000' >deep.ir
try "IR: 20,000 parentheses" 1 'DL0704' $limit "$dlc" inspect deep.ir
python3 -c 'import random, sys; sys.stdout.buffer.write(random.Random(3).randbytes(5000))' >random.ir
try "IR: random bytes" 1 'DL07' $limit "$dlc" inspect random.ir

# ---- weights and data

cat >model.dl <<'DL'
module Net() {
    param w: f32[2, 3]
    state s: f32
    fn forward(x: f32[T, 2]) -> f32[T, 3] = x @ w + s
}
net = Net() as ""
export fn infer(x: f32[T, 2]) -> (y: f32[T, 3]) with T <= 8, T % 2 == 0 = net(x)
export fn rows(x: f32[T, 2], ids: i32[N]) -> (y: f32[N, T]) = x'[ids]
export fn later(x: f32[T, 2], ids: i32[N]) -> (y: f32[N, T]) = x'[ids + 0]
export fn grid(N: dim) -> f32[N, N] = iota(f32[N, N], axis = 0)
DL
python3 "$root/tests/py/bad_files.py" . || exit 1
run() { $limit "$dlc" run model.dl "$@"; }
infer="--fn infer --weights"             # and a file of weights, and x=...
try "good weights and data" 0 'y: f32\[4,3\]' run $infer good.safetensors x=good_x.npy
try "... evaluated" 0 'y: f32\[4,3\]' run $infer good.safetensors x=good_x.npy --eval
for file in bad_*.safetensors; do
    name=${file#bad_} && name=${name%.safetensors}
    case $name in
        shape_of_model_differs | dtype_of_model_differs) pattern='bad_.*(w|f32)' ;;
        param_missing) pattern='w' ;;
        *) pattern="bad_$name.safetensors" ;;
    esac
    try "weights: $name" 1 "$pattern" run $infer "$file" x=good_x.npy
    # As data, one tensor of such a file.
    case $name in
        *missing | *other* | *of_model_differs | json_twice) ;;
        *) try "data: $name" 1 'error DL' run --eval --fn infer --weights good.safetensors x="$file:w" ;;
    esac
done
for file in bad_*.npy; do try "data: ${file#bad_}" 1 "$file" run --eval --fn infer --weights good.safetensors x="$file"; done
try "weights that are a folder" 1 'folder.dl' run $infer folder.dl x=good_x.npy
try "weights that are not there" 1 'nowhere' run $infer nowhere.safetensors x=good_x.npy
try "weights that are a model" 1 'model.dl' run $infer model.dl x=good_x.npy
try "no weights for a param without an initial value" 1 'w' run --fn infer x=good_x.npy
mkfifo pipe.safetensors
try "weights from a pipe" 1 'pipe.safetensors' run $infer pipe.safetensors x=good_x.npy

# ---- calls that break what the model requires, compiled and evaluated

for how in "" --eval; do
    now=${how:+, evaluated}
    try "a dim over its bound$now" 1 'T <= 8' run $how $infer good.safetensors x=long_x.npy
    try "a dim that is not divisible$now" 1 'T % 2 == 0' run $how $infer good.safetensors x=odd_x.npy
    try "a dim of the type$now" 1 'x' run $how $infer good.safetensors x=wide_x.npy
    try "another dtype$now" 1 'x.*f64|f64.*x' run $how $infer good.safetensors x=double_x.npy
    try "another rank$now" 1 'x' run $how $infer good.safetensors x=good.safetensors:s
    try "a missing argument$now" 1 "argument 'ids' has no data" run $how --fn rows x=good_x.npy
    try "an unknown argument$now" 1 "no argument 'idx'; did you mean 'ids'" run $how --fn rows x=good_x.npy idx=good_ids.npy
    try "an argument twice$now" 1 "argument 'x' is given twice" run $how --fn infer --weights good.safetensors x=good_x.npy x=good_x.npy
    try "a good index$now" 0 'y: f32\[4,4\]' run $how --fn rows x=good_x.npy ids=good_ids.npy
    try "an index out of range$now" 1 'ids|index' run $how --fn rows x=good_x.npy ids=far_ids.npy
    try "an index below 0$now" 1 'ids|index' run $how --fn rows x=good_x.npy ids=low_ids.npy
    try "a computed index out of range$now" 1 'index' run $how --fn later x=good_x.npy ids=far_ids.npy
    try "a dim that no input shows$now" 1 'N' run $how --fn grid
    try "... given$now" 0 'out: f32\[3,3\]' run $how --fn grid --dim N=3
    try "... that overflows$now" 1 '' run $how --fn grid --dim N=4000000000000
    try "... that is no number$now" 1 'not a size' run $how --fn grid --dim N=3x
    try "a function that is not there$now" 1 "infre" run $how --fn infre
    try "no function, and several$now" 1 "which function" run $how
    try "data without a file$now" 1 'x' run $how --fn infer --weights good.safetensors x=
    try "a key of a file without keys$now" 1 '' run $how --fn infer --weights good.safetensors x=good_x.npy:key
    try "a key that is not there$now" 1 "v" run $how --fn infer --weights good.safetensors x=good.safetensors:v
    try "results into a folder that is not there$now" 1 'nowhere/y.npy' run $how $infer good.safetensors x=good_x.npy -o nowhere/y.npy
    try "results of another format$now" 1 'npy or .safetensors' run $how $infer good.safetensors x=good_x.npy -o y.txt
done
try "results" 0 '' run $infer good.safetensors x=good_x.npy -o y.npy
same_results() { run $infer good.safetensors x=good_x.npy -o y2.npy --eval && cmp y.npy y2.npy; }
report "results as evaluated" same_results

# ---- no place to write

cat >good.dl <<'DL'
export fn f(x: f32[N]) -> (y: f32[N]) = x * 2
DL
echo "what was there before" >kept
fresh() { rm -rf out && mkdir out && cp kept out/good.so && cp kept out/good.h && cp kept out/y.npy; }
# Fails as `try` says, and the folder is as it was.
untouched() {
    fresh
    try "$@"
    as_before() { cmp kept out/good.so && cmp kept out/good.h && cmp kept out/y.npy && [ "$(ls -A out | wc -l)" = 3 ] && [ -z "$(ls -A temporary)" ]; }
    report "... and nothing is lost or left: $1" as_before
}
try "a folder that is not there" 1 'nowhere/x.so: No such file' "$dlc" good.dl -o nowhere/x.so
try "a file as a folder" 1 'Not a directory' "$dlc" good.dl -o good.dl/x.so
mkdir is.so
try "a folder of the output's name" 1 'is.so' "$dlc" good.dl -o is.so
mkdir other.h
try "a folder of the header's name" 1 'other.h' "$dlc" good.dl -o other.so
report "... leaves no .so" test ! -e other.so
untouched "a bad model" 1 'error DL' "$dlc" errors.dl -o out/good.so
untouched "an export that is not there" 1 'error DL' "$dlc" good.dl -o out/good.so --fn g
for kind in so o a; do
    untouched "no ld for a .$kind" 1 'cannot find .ld., .*binutils' env PATH="$tmp/nothing" "$dlc" good.dl -o out/good.$kind
done
mkdir tools broken
ln -s "$(command -v ld)" tools/ld
untouched "no objcopy" 1 'objcopy' env PATH="$tmp/tools" "$dlc" good.dl -o out/good.o
printf '#!/bin/sh\necho "ld: it is broken" >&2\nexit 1\n' >broken/ld && chmod +x broken/ld
untouched "an ld that fails" 1 'it is broken' env PATH="$tmp/broken:$PATH" "$dlc" good.dl -o out/good.so
printf '#!/bin/sh\nkill -9 $$\n' >broken/ld
untouched "an ld that is killed" 1 'signal 9' env PATH="$tmp/broken:$PATH" "$dlc" good.dl -o out/good.so
untouched "no folder for temporary files" 1 'nothing' env TMPDIR="$tmp/nothing" "$dlc" good.dl -o out/good.so
try "... for run" 1 'nothing' env TMPDIR="$tmp/nothing" "$dlc" run good.dl x=good_ids.npy
for blocks in 0 1 8 32; do              # of 512 bytes (dash, POSIX): the header fits at some, the object at none
    limited() { (ulimit -f $blocks && "$dlc" good.dl -o out/good.so -q 2>&1) | cat; }
    no_room() { limited >said; grep -Eq 'error DL.*(File too large|limit|failed|signal|truncated)' said || { cat said; return 1; }; }
    fresh
    report "no room: $blocks blocks" no_room
    report "... nothing is lost or left at $blocks" as_before
done
results_limited() { fresh; (ulimit -f 0 && run $infer good.safetensors x=good_x.npy --eval -o out/y.npy 2>&1) | grep -q 'y.npy: File too large' && as_before; }
report "no room for results" results_limited
formats_limited() { printf 'export   fn f(x: f32)->f32=x\n' >ugly.dl && cp ugly.dl before && (ulimit -f 0 && "$dlc" fmt ugly.dl 2>&1) | grep -q 'ugly.dl: File too large' && cmp ugly.dl before; }
report "no room for fmt" formats_limited
if unshare -rm true 2>/dev/null; then
    full_disk() {
        mkdir -p disk
        unshare -rm sh -c 'mount -t tmpfs -o size=16k none disk && cp kept disk/good.so && cp kept disk/good.h && head -c 100k /dev/zero >disk/fill 2>/dev/null
            "$1" good.dl -o disk/good.so
            [ $? = 1 ] && cmp kept disk/good.so && cmp kept disk/good.h && [ "$(ls -A disk | wc -l)" = 3 ]' - "$dlc" 2>&1 | tee said
        grep -q 'No space left' said && ! grep -q differ said
    }
    full_temporary() {
        unshare -rm sh -c 'mount -t tmpfs -o size=16k none disk && cd disk && cp ../good.dl . && TMPDIR=. "$1" good.dl
            [ $? = 1 ] && [ "$(ls -A | wc -l)" = 1 ] && echo clean' - "$dlc" >said 2>&1
        cat said
        grep -q clean said
    }
    report "a full disk" full_disk
    report "a full disk for temporary files" full_temporary
else
    skip "a full disk" "cannot mount one here"
fi
for view in check summary "inspect --kernels" "explain"; do
    full_stdout() { if [ "$view" = check ]; then "$dlc" --help >/dev/full; elif [ "$view" = explain ]; then "$dlc" explain >/dev/full; else "$dlc" $view good.dl >/dev/full; fi; [ $? = 1 ]; }
    report "a full stdout of $view" full_stdout
done
closed() { fresh; "$dlc" good.dl -o out/good.so >&- 2>&-; "$dlc" run good.dl x=good_x.npy <&- >&- 2>&-; [ "$(head -c 4 out/good.so | od -An -c | tr -d ' ')" = '177ELF' ]; }
report "closed standard streams" closed

report "no temporary files are left" test -z "$(ls -A "$tmp/temporary")"
exit $failed
