#!/bin/sh
# test_docs_ir.sh - docs/ir.md and docs/passes.md: every block of IR is read, and printed again it is the same; every operator
# and every pass has its line; a before and an after are what the pass does. Uses DLC (default build/dlc).
. "$(dirname -- "$0")/lib.sh"
cd "$root" || exit 1

# blocks FILE KIND: the fenced blocks ```KIND, each in $tmp/blocks/LINE.KIND
blocks() {
    rm -rf "$tmp/blocks" && mkdir "$tmp/blocks"
    awk -v out="$tmp/blocks" -v kind="$2" '
        $0 == "```" kind { file = out "/" NR "." kind; next }
        /^```/ { if (file) close(file); file = ""; next }
        file { print > file }' "$1"
}

same() { "$dlc" inspect "$1" --ir --after=frontend >"$tmp/again" && diff -u "$1" "$tmp/again"; }
blocks docs/ir.md ir
for file in $(ls "$tmp"/blocks/*.ir | sort -V); do
    report "docs/ir.md:$(basename "$file" .ir): reads back the same" same "$file"
done
operators() {   # each in a table, and in an example
    cat "$tmp"/blocks/*.ir >"$tmp/all"
    sed -n 's/^OP(\([a-z_0-9]*\),.*/\1/p' ir/ops.def | while read -r op; do
        [ "$op" = arg ] && continue
        grep -Eq "^\\|.*\`$op\`" docs/ir.md || { echo "no line for $op"; exit 1; }
        grep -q " = $op " "$tmp/all" || { echo "no example of $op"; exit 1; }
    done
}
report "docs/ir.md has every operator" operators

# docs/passes.md: after the heading of a pass come a block `before` and a block `after`: bodies of one function.
passes=$(sed -n 's/^PASS(\([a-z_]*\),.*/\1/p' passes/passes.def)
section() { awk -v name="$1" '/^## / { on = $0 == "## " name } on' docs/passes.md; }
changes() {
    section "$1" >"$tmp/section"
    blocks "$tmp/section" ir
    set -- "$1" $(ls "$tmp"/blocks/*.ir | sort -V)
    [ $# = 3 ] || { echo "$(($# - 1)) blocks instead of two"; return 1; }
    same "$2" && "$dlc" inspect "$2" --ir --after="$1" >"$tmp/again" && diff -u "$3" "$tmp/again"
}
for pass in $passes; do
    report "docs/passes.md: $pass does what it shows" changes "$pass"
done

# A model and its kernels: ```dl followed by ```kernels.
shows() {
    blocks docs/passes.md dl
    model=$(ls "$tmp"/blocks/*.dl | head -n 1)
    "$dlc" inspect "$model" --kernels >"$tmp/kernels" || return 1
    blocks docs/passes.md kernels
    diff -u "$tmp"/blocks/*.kernels "$tmp/kernels"
}
report "docs/passes.md: the kernels of its model" shows
exit $failed
