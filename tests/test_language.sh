#!/bin/sh
# test_language.sh - what programs mean. Each export of tests/language/*.dl returns `got` and `want`, a number worked out by hand.
# Compiled code and the evaluator must both give what is wanted, to a relative 1e-5. Inputs, if any, are zeros. Arguments: files, instead of all.
. "$(dirname -- "$0")/lib.sh"
cd "$root/tests/language" || exit 1

cat >"$tmp/compare.py" <<'END'
import json, math, sys

def flat(x):
    return [n for item in x for n in flat(item)] if isinstance(x, list) else [x]

out = json.load(open(sys.argv[1]))
got, want = flat(out["got"]), flat(out["want"])
ok = len(got) == len(want) and all(isinstance(g, (int, float)) and math.isfinite(g) and abs(g - w) <= 1e-5 * max(1, abs(w)) for g, w in zip(got, want))
if not ok:
    print("got", got, "want", want)
sys.exit(not ok)
END
cat >"$tmp/zeros.py" <<'END'
import sys
for name, shape in ("scalar", "()"), ("pair", "(2,)"):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % shape
    header = header.ljust(117) + "\n"
    with open(f"{sys.argv[1]}/{name}.npy", "wb") as out:
        out.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(8 if name == "pair" else 4))
END
python3 "$tmp/zeros.py" "$tmp" || exit 1

# right FILE NAME INPUTS OPTIONS...: what one export gives
right() {
    file=$1 export=$2
    shift 2
    "$dlc" run "$file" --fn "$export" --json "$@" >"$tmp/out.json" && python3 "$tmp/compare.py" "$tmp/out.json"
}
[ $# -gt 0 ] || set -- *.dl
for file in "$@"; do
    sed -n 's/^export \(train \)\{0,1\}fn \([a-z_]*\)(\(.*\)) -> .*/\2 \3/p' "$file" >"$tmp/exports"
    [ -s "$tmp/exports" ] || { echo "not ok $file: no exports"; failed=1; }
    while read -r name inputs; do
        case $inputs in
            '') input= ;;
            *\[2\]) input=x=$tmp/pair.npy ;;
            *) input=x=$tmp/scalar.npy ;;
        esac
        [ "$file" = loops.dl ] ||              # loops are not compiled yet
            report "$file $name: compiled" right "$file" "$name" $input
        report "$file $name: evaluated" right "$file" "$name" --eval $input
    done <"$tmp/exports"
done
exit $failed
