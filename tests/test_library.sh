#!/bin/sh
# test_library.sh - the standard library's text: every file is as `dlc fmt` writes it, docs/library.md has every public name with
# its arguments, and no more; private ones begin with `_`.
. "$(dirname -- "$0")/lib.sh"
cd "$root/frontend/std" || exit 1

formatted() { "$dlc" fmt - <"$1" >"$tmp/formatted" && cmp "$1" "$tmp/formatted"; }
for file in *.dl; do report "$file: as dlc fmt writes it" formatted "$file"; done

# name(arguments) of what the files define, without types.
signatures() {
    awk '/^(fn|module) [A-Za-z]/ {
        text = $0
        sub(/^(fn|module) /, "", text)
        depth = 0
        for (i = 1; i <= length(text); i++) {
            c = substr(text, i, 1)
            if (c == "(") depth++
            if (c == ")" && --depth == 0) break
        }
        text = substr(text, 1, i)
        gsub(/: (int|list|dim|type|module|[fi]32\[[^]]*\])/, "", text)
        print text
    }' "$@" | sort
}
documented() {
    signatures *.dl >"$tmp/source"
    sed -n 's/^| `\([^`]*)\)` |.*/\1/p' "$root/docs/library.md" | sort >"$tmp/page"
    [ "$(wc -l <"$tmp/source")" -gt 100 ] || { echo "no functions found"; return 1; }
    diff "$tmp/source" "$tmp/page"
}
report "docs/library.md: every function, with its arguments" documented
exit $failed
