# lib.sh - for the tests of the command, which source it:  . "$(dirname -- "$0")/lib.sh"
#
#   root      the repository                        dlc     the command, an absolute path (DLC; default build/dlc)
#   tmp       an empty folder, gone at the end      failed  1 once a test failed: `exit $failed` ends the script
#
#   try NAME CODE PATTERN COMMAND...    one test: COMMAND exits with CODE, and what it prints (both streams, kept in
#                                       $tmp/log) has PATTERN, an extended regular expression; '': anything
#   report NAME COMMAND...              one test: COMMAND succeeds
#   skip NAME WHY
set -u
root=$(cd "$(dirname -- "$0")/.." && pwd)
dlc=${DLC:-$root/build/dlc}
case $dlc in /*) ;; */*) dlc=$PWD/$dlc ;; esac
[ -x "$dlc" ] || { echo "not ok ${0##*/}: no command $dlc"; exit 1; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/temporary"
export TMPDIR="$tmp/temporary"          # dlc's own temporary files: must be gone after every call
unset NO_COLOR
failed=0

failure() {     # NAME WHY: with what the command printed
    echo "not ok $1: $2"
    head -n 20 "$tmp/log" | cut -c 1-200 | LC_ALL=C tr -c '[:print:]\n' '?' | sed 's/^/# /'
    failed=1
}

try() {
    test_name=$1 code=$2 pattern=$3
    shift 3
    "$@" >"$tmp/log" 2>&1 </dev/null
    got=$?
    if [ $got -gt 128 ]; then failure "$test_name" "killed by signal $((got - 128))"
    elif [ $got != "$code" ]; then failure "$test_name" "exit code $got instead of $code"
    elif [ -n "$pattern" ] && ! grep -aEq -e "$pattern" "$tmp/log"; then failure "$test_name" "prints nothing like '$pattern'"
    else echo "ok $test_name"
    fi
}

report() {
    test_name=$1
    shift
    if "$@" >"$tmp/log" 2>&1 </dev/null; then echo "ok $test_name"; else failure "$test_name" "failed"; fi
}

skip() { echo "skip $1: $2"; }

is_json() { python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$1"; }

# against FILE MODEL EXPORT TOLERANCE INPUT... [-- OPTIONS]: compiled code and the evaluator give the same, with the initial
# weights or those of the options. INPUT as tests/py/random_inputs.py takes it.
against() {
    file=$1 export=$3 tolerance=$4
    shift 4
    inputs='' arguments=''
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        inputs="$inputs $1" arguments="$arguments ${1%%:*}=$tmp/in.safetensors:${1%%:*}"
        shift
    done
    [ $# -gt 0 ] && shift
    "$python" "$root/tests/py/random_inputs.py" "$tmp/in.safetensors" $inputs &&
        "$dlc" run "$file" --fn "$export" "$@" $arguments -o "$tmp/compiled.safetensors" &&
        "$dlc" run "$file" --fn "$export" "$@" $arguments --eval -o "$tmp/eval.safetensors" &&
        "$python" "$root/tests/py/compare.py" "$tmp/compiled.safetensors" "$tmp/eval.safetensors" --rtol "$tolerance" --atol "$tolerance"
}
