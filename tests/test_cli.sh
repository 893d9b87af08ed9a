#!/bin/sh
# test_cli.sh - the command as its users see it: help, options, exit codes, JSON, colour, paths, stdin.
# Uses DLC (default build/dlc), python3 (no packages). Reports as tests/run.py reads.
. "$(dirname -- "$0")/lib.sh"
cd "$tmp" || exit 1

cat >gate.dl <<'DL'
net = Linear(2, 1)
export fn infer(x: f32[B, 2]) -> (y: f32[B, 1]) = net(x)
DL
cat >two.dl <<'DL'
arg width = 4
export fn double(x: f32[N, width]) -> f32[N, width] = x * 2
export fn half(x: f32[N, width]) -> f32[N, width] = x / 2
DL
cat >wrong.dl <<'DL'
export fn f(x: f32[2, 3]) -> f32[2, 3] = x @ x
export fn g(x: f32[2]) -> f32[2] = y
DL
cat >warns.dl <<'DL'
export fn f(x: f32[N]) -> f32[N] {
    unused = x * 2
    return x
}
DL

# ---- help and version

five_examples() { "$dlc" >out && [ "$(grep -c '^  dlc ' out)" = 5 ]; }
report "dlc alone prints five examples" five_examples
commands="check fmt run train summary bench inspect explain"
lists_commands() { "$dlc" --help >out && for c in $commands; do grep -q "^  $c " out || { echo "no $c"; return 1; }; done; }
report "--help lists every command" lists_commands
for command in compile $commands; do
    try "$command --help" 0 '^usage: dlc ' "$dlc" "$command" --help
done
for word in -h help; do try "dlc $word" 0 '^usage: dlc ' "$dlc" $word; done
try "--version" 0 "^dlc $(sed -n "s/^ *version: '\(.*\)',/\1/p" "$root/meson.build")\$" "$dlc" --version

# ---- usage errors: exit code 2, and what was meant

try "a misspelt command" 2 "unknown command 'chekc'; did you mean 'check'" "$dlc" chekc gate.dl
try "a misspelt option" 2 "unknown option '--weigths'; did you mean --weights" "$dlc" run gate.dl --weigths w.safetensors
try "an unknown option" 2 "unknown option '--xyzzy'" "$dlc" gate.dl --xyzzy
try "an unknown letter" 2 "unknown option '-x'" "$dlc" gate.dl -qx
try "an option without its value" 2 "'-o' needs a value" "$dlc" gate.dl -o
try "a value for a flag" 2 "json takes no value" "$dlc" gate.dl --json=yes
try "a number that is none" 2 "threads wants a whole number, not 'two'" "$dlc" run gate.dl --threads=two
try "a negative number" 2 "threads wants a whole number" "$dlc" run gate.dl --threads=-1
try "a level over 3" 2 "O is 0 to 3, not '4'" "$dlc" gate.dl -O4
try "an unknown pass" 2 "no pass 'fuze'; there are: frontend inline raise autodiff simplify" "$dlc" inspect gate.dl --after=fuze
for command in check fmt run summary bench inspect; do
    try "$command without a model" 2 "which model" "$dlc" "$command"
done
try "two models at a time" 2 "one model at a time" "$dlc" gate.dl two.dl
try "an argument of run that is no argument" 2 "'x' is not ARGUMENT=DATA" "$dlc" run gate.dl x

# ---- the input's faults: exit code 1

try "a missing file" 1 "cannot open nothing.dl: No such file" "$dlc" nothing.dl
try "errors of a model" 1 'wrong.dl:1:[0-9]+: error DL[0-9]{4}: ' "$dlc" wrong.dl
counted() { "$dlc" check wrong.dl 2>out; [ "$(tail -n 1 out)" = "$(grep -c ' error DL' out) errors" ]; }
report "all errors in one run, and their number" counted
try "check of several files" 1 'wrong.dl' "$dlc" check gate.dl wrong.dl two.dl
try "warnings are no errors" 0 'warning DL' "$dlc" check warns.dl
try "--werror" 1 'warning DL' "$dlc" check --werror warns.dl
try "--set" 0 'f32\[N,6\]' "$dlc" inspect two.dl --ir --set width=6
try "--set of an unknown name" 1 "widht" "$dlc" check two.dl --set widht=6
try "--set of a value of another kind" 1 "width" "$dlc" check two.dl --set 'width="six"'
try "--set of nonsense" 1 "error" "$dlc" check two.dl --set 'width=)('
try "--set without a value" 1 "NAME=VALUE, not 'width'" "$dlc" check two.dl --set width
try "--fn" 0 '^func export @half' "$dlc" inspect two.dl --ir --fn half
try "--fn of an unknown name" 1 "halv" "$dlc" inspect two.dl --ir --fn halv
try "--cpu of an unknown name" 1 "x86-64-v9" "$dlc" two.dl --cpu=x86-64-v9
try "--blas of an unknown name" 1 "openblas, not 'mkl'" "$dlc" two.dl --blas=mkl
try "-o of another ending" 1 "ends with .so, .o or .a" "$dlc" gate.dl -o gate.dl
report "... leaves the model as it was" grep -q 'Linear(2, 1)' gate.dl
try "--dim of an unknown name" 1 "no dim 'M'" "$dlc" summary two.dl --dim M=3
try "--dim of nonsense" 1 "not a size" "$dlc" summary two.dl --dim N=-3

# ---- explain

try "explain" 0 '^DL0201: ' "$dlc" explain DL0201
try "explain, in any spelling" 0 '^DL0201: ' "$dlc" explain dl201
try "explain of an unknown code" 1 "no diagnostic 'DL9999'" "$dlc" explain DL9999
explains_all() {
    "$dlc" explain >codes && [ "$(wc -l <codes)" -ge 30 ] && "$dlc" explain $(cut -d ' ' -f 1 codes) >out && [ "$(grep -c '^DL[0-9]*: ' out)" = "$(wc -l <codes)" ]
}
report "explain lists at least 30 codes, and explains each" explains_all

# ---- JSON

json() {        # NAME CODE COMMAND...: stdout is JSON
    name=$1 want=$2
    shift 2
    "$@" >out.json 2>"$tmp/log" </dev/null
    code=$?
    cat out.json >>"$tmp/log"
    if [ $code != "$want" ]; then failure "$name" "exit code $code instead of $want"
    elif ! is_json out.json 2>>"$tmp/log"; then failure "$name" "no JSON"
    else echo "ok $name"
    fi
}
has() { python3 -c 'import json, sys; x = json.load(open("out.json")); sys.exit(not ('"$1"'))'; }
json "check --json of a good model" 0 "$dlc" check --json gate.dl
report "... is an empty list" has 'x == []'
json "check --json of a bad model" 1 "$dlc" check --json wrong.dl
report "... has every error and its place" has 'len(x) >= 2 and all(d["code"].startswith("DL") and d["severity"] == "error" and d["file"] == "wrong.dl" and d["line"] in (1, 2) and d["column"] > 0 and d["text"] for d in x)'
json "check --json of a missing file" 1 "$dlc" check --json nothing.dl
json "check --json of a name that needs escapes" 1 "$dlc" check --json "$(printf 'no\n"such".dl')"
json "compile --json" 0 "$dlc" --json warns.dl -o warns.so
report "... says what was made" has 'x["file"] == "warns.so" and x["header"] == "warns.h" and x["bytes"] > 1000 and x["functions"] == ["f"] and len(x["diagnostics"]) == 1'
json "compile --json of a bad model" 1 "$dlc" --json wrong.dl -o wrong.so
json "summary --json" 0 "$dlc" summary --json gate.dl --dim B=10
report "... has params, FLOPs and bytes" has '[p["path"] for p in x["params"]] == ["net.weight", "net.bias"] and x["functions"][0]["flops"] >= 40 and x["functions"][0]["workspace"] == 0'
json "inspect --json of a bad model" 1 "$dlc" inspect --json wrong.dl
json "run --json" 0 "$dlc" run --json two.dl --fn double x="$root/models/weights/digits.safetensors:net.f2.bias" --set width=1
report "... has the results" has 'len(x["out"]) == 10 and len(x["out"][0]) == 1'
json "run --json of what fails" 1 "$dlc" run --json two.dl --fn double
json "bench --json" 0 "$dlc" bench --json two.dl --fn half --seconds=0 --threads=1
report "... has times" has 'x["fused"]["median"] > 0 and x["fused"]["runs"] >= 10 and x["unfused"]["p90"] > 0 and x["peak_flops"] > 0'

# ---- colour: only on a terminal, and not with NO_COLOR

escapes() { LC_ALL=C grep -q "$(printf '\033')"; }
plain() { "$dlc" check wrong.dl 2>&1 | escapes && return 1; return 0; }
report "no colour in a pipe" plain
if script -qec true /dev/null >/dev/null 2>&1; then
    on_terminal() { script -qec "'$dlc' check wrong.dl" /dev/null </dev/null | escapes; }
    no_color() { NO_COLOR=1 script -qec "'$dlc' check wrong.dl" /dev/null </dev/null >out; ! escapes <out && grep -q DL0 out; }
    report "colour on a terminal" on_terminal
    report "NO_COLOR" no_color
else
    skip "colour on a terminal" "no script(1)"
fi

# ---- outputs and paths

says() { "$dlc" gate.dl >out && [ -s gate.so ] && [ -s gate.h ] && grep -Eq '^gate\.so [0-9.]+ [KM]iB, gate\.h, 1 function, .*, [0-9]+ ms$' out; }
report "without -o: STEM.so and STEM.h, here" says
elsewhere() { mkdir here && (cd here && "$dlc" ../two.dl -q >../out) && [ -s here/two.so ] && [ -s here/two.h ] && [ ! -e two.so ] && [ ! -s out ]; }
report "... also of a model elsewhere; -q says nothing" elsewhere
mkdir "a folder" "a folder/out put" "$tmp/temporary/two words"
cp gate.dl "a folder/my model.dl"
spaces() {
    (cd "a folder" && TMPDIR="$tmp/temporary/two words" "$dlc" "my model.dl" && [ -s "my model.so" ] && grep -q 'my_model_infer' "my model.h") &&
        "$dlc" "a folder/my model.dl" -o "a folder/out put/x y.so" && [ -s "a folder/out put/x y.h" ]
}
report "spaces in paths" spaces
rmdir "$tmp/temporary/two words"
odd_names() {
    cp two.dl ./-dash.dl && "$dlc" ./-dash.dl && [ -s ./-dash.so ] && "$dlc" check -- -dash.dl &&
        cp two.dl "1'\"\$(x).dl" && "$dlc" "1'\"\$(x).dl" && [ -s "1'\"\$(x).so" ] && rm -f ./-dash.* ./1*
}
report "odd characters in paths" odd_names
try "--name" 0 '' "$dlc" gate.dl -o named.so --name other
report "... is the prefix" grep -q 'int other_infer(other \*m' named.h
try "--name that is no identifier" 1 "name 'a b' is no identifier" "$dlc" gate.dl -o bad.so --name 'a b'
read_only() {
    mkdir locked && cp gate.dl locked/ && chmod 555 locked && chmod 755 "$tmp" && mkdir -p open && chmod 777 open "$tmp/temporary"
    try "from a read-only folder" 0 '' $as sh -c 'cd locked && TMPDIR=../temporary "$1" gate.dl -o ../open/gate.so && "$1" check gate.dl && "$1" inspect gate.dl && "$1" fmt - <gate.dl' - "$dlc"
    try "into a read-only folder" 1 'cannot write .*Permission denied' $as sh -c 'cd locked && TMPDIR=../temporary "$1" gate.dl' - "$dlc"
    chmod 755 locked
}
as=
if [ "$(id -u)" = 0 ]; then as="setpriv --reuid=65534 --clear-groups"; fi
if $as "$dlc" --version >/dev/null 2>&1; then read_only; else skip "read-only folders" "needs to be another user than root"; fi

# ---- stdin

from_stdin() { "$dlc" - -o piped.so <gate.dl && grep -q 'int piped_infer' piped.h && [ -s piped.so ]; }
stdin() { name=$1; shift; if "$@" >"$tmp/log" 2>&1; then echo "ok $name"; else failure "$name" "failed"; fi; }
stdin "dlc - -o OUT" from_stdin
stdin "dlc check -" "$dlc" check - <gate.dl
stdin "dlc inspect -" "$dlc" inspect - <gate.dl
wrong_stdin() { "$dlc" check - <wrong.dl >out 2>&1; [ $? = 1 ] && grep -q '^-:1:[0-9]*: error\|^<stdin>:1:[0-9]*: error' out; }
stdin "errors of stdin have a place" wrong_stdin
try "stdin without -o" 1 'from stdin needs -o' "$dlc" - -q
try "... also with a name" 1 'from stdin needs -o' "$dlc" - -q --name x
formats() { printf 'export   fn f( x:f32[N] )->f32[N]=x*2\n' | "$dlc" fmt - >out && [ "$(cat out)" = 'export fn f(x: f32[N]) -> f32[N] = x * 2' ]; }
stdin "dlc fmt -" formats

# ---- fmt

ugly() { printf '# keep me\nexport   fn f( x:f32[N] )->f32[N]=x*2\n' >ugly.dl; }
in_place() { ugly && "$dlc" fmt ugly.dl && grep -q '^export fn f(x: f32\[N\])' ugly.dl && grep -q '^# keep me' ugly.dl && "$dlc" fmt --check ugly.dl; }
report "fmt in place" in_place
only_checks() { ugly && cp ugly.dl before && "$dlc" fmt --check gate.dl ugly.dl >out; [ $? = 1 ] && [ "$(cat out)" = ugly.dl ] && cmp ugly.dl before; }
report "fmt --check changes nothing and names what would change" only_checks
keeps_broken() { printf 'fn f( = \n' >broken.dl && cp broken.dl before && "$dlc" fmt broken.dl; [ $? = 1 ] && cmp broken.dl before; }
report "fmt leaves a broken file as it was" keeps_broken

# ---- inspect

for view in --ast --ir --kernels --plan --header --llvm --asm; do
    try "inspect $view" 0 . "$dlc" inspect gate.dl $view
done
each_pass() {
    for pass in frontend $(sed -n 's/^PASS(\([a-z_]*\),.*/\1/p' "$root/passes/passes.def"); do
        "$dlc" inspect gate.dl --ir --after="$pass" >out && grep -q '^func export @infer' out || return 1
    done
}
report "inspect --after of each pass" each_pass
try "--time-passes" 0 'simplify +[0-9.]+ ms' "$dlc" inspect gate.dl --time-passes
round_trip() {
    "$dlc" inspect gate.dl --ir >gate.ir && "$dlc" inspect gate.ir --ir --after=frontend >again && cmp gate.ir again &&
        "$dlc" inspect gate.dl --kernels >k1 && "$dlc" inspect gate.ir --kernels >k2 && cmp k1 k2
}
report "inspect reads IR text" round_trip
try "compiling IR text" 0 'ir.so' "$dlc" gate.ir -o ir.so --name gate

# ---- what is left behind

report "no temporary files are left" test -z "$(ls -A "$tmp/temporary")"
exit $failed
