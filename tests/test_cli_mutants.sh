#!/bin/sh
# test_cli_mutants.sh - models and IR texts with random mistakes never crash dlc: see py/mutants.py. Always the same mutants.
# Uses DLC (default build/dlc), python3 (no packages), MUTANTS (of a file, default 20); KEEP: a folder for those that fail.
# Reports as tests/run.py reads.
. "$(dirname -- "$0")/lib.sh"
keep=${KEEP:-$tmp/mutants}
mkdir -p "$keep"
for model in digits mlp; do
    "$dlc" inspect "$root/models/$model.dl" --ir >"$tmp/$model.ir" 2>/dev/null || exit 1
done
"$dlc" inspect "$root/models/transformer.dl" --ir --set layers=1 >"$tmp/transformer.ir" || exit 1
python3 "$root/tests/py/mutants.py" "$dlc" "$keep" "${MUTANTS:-20}" "$root"/models/*.dl "$tmp"/*.ir "$root"/tests/ir/inline.in.ir || failed=1
report "no temporary files are left" test -z "$(ls -A "$TMPDIR")"
exit $failed
