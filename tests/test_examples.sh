#!/bin/sh
# test_examples.sh - the acceptance test of the language: the programs of tests/examples (drafts of published models, which
# move to models/ as the language grows). All pass the checker. Exports with run-time loops are left out of compiled code; the others
# compile, and give what the evaluator gives.
. "$(dirname -- "$0")/lib.sh"
python=${PYTHON:-python3}
cd "$root/tests/examples" || exit 1

# left_out FILE EXPORT: it is checked, and left out of compiled code.
left_out() { try "$1: $2 is left out: loops are not compiled yet" 1 "'$2' is left out" "$dlc" inspect "$1.dl" --kernels --fn "$2"; }
left_out t5 answer
left_out lstm features
left_out lstm generate
for file in *.dl; do try "$file: every export is checked" 0 '' "$dlc" check "$file" --werror; done

# trains FILE EXPORT: the whole step is planned: its gradients exist, and all of its kernels.
trains() { try "$1 $2: a training step" 0 '' "$dlc" inspect "$1.dl" --plan --fn "$2"; }
trains t5 step

if ! "$python" -c 'import numpy' 2>/dev/null; then
    skip "examples against the evaluator" "no Python packages (NumPy) in $python"
    exit $failed
fi
same() { report "$1 $2: compiled as evaluated" against "$1.dl" "$@"; }
same t5 step 1e-4 source:i32:2x5:0:50 target:i32:2x4:0:50 -- --set dim=32 --set hidden=48 --set layers=1 --set heads=4 --set vocab=50
exit $failed
