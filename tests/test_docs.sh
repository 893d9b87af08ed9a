#!/bin/sh
# test_docs.sh - what the documentation shows works.
#   ```dl   every block is a program that `dlc check` accepts
#   ```sh   the blocks of README.md, docs/tutorial.md, docs/capi.md, docs/train.md, docs/text.md and docs/gallery.md are run, page by page in order, in an empty folder with
#           a link to models/ and with dlc on PATH; a ```dl, ```c or ```py block whose first line is a comment that names a file is
#           that file
# Also: links between the pages lead somewhere. Uses DLC (default build/dlc), CC. Reports as tests/run.py reads.
set -u
root=$(cd "$(dirname -- "$0")/.." && pwd)
dlc=${DLC:-$root/build/dlc}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0
report() {      # NAME COMMAND...
    name=$1; shift
    if "$@" >"$tmp/log" 2>&1; then echo "ok $name"; else echo "not ok $name"; sed 's/^/# /' "$tmp/log"; failed=1; fi
}

cd "$root" || exit 1
pages=$(ls README.md docs/*.md models/*/README.md 2>/dev/null)

for page in $pages; do
    # A file a block, named for the line where it begins.
    mkdir -p "$tmp/blocks"
    awk -v out="$tmp/blocks" '
        /^```dl$/   { file = out "/" NR ".dl"; next }
        /^```/      { if (file) close(file); file = ""; next }
        file        { print > file }' "$page"
    for block in $(ls "$tmp/blocks" | sort -n); do
        report "$page:${block%.dl}: program" "$dlc" check "$tmp/blocks/$block"
    done
    rm -rf "$tmp/blocks"
done

mkdir "$tmp/bin"
ln -s "$dlc" "$tmp/bin/dlc"
PATH=$tmp/bin:$PATH
run_page() {
    mkdir "$tmp/page"
    ln -s "$root/models" "$tmp/page/models"
    awk '
        /^```(dl|c|py)$/ { named = 1; next }
        named       { named = 0
                      if (match($0, /^(#|\/\*) [A-Za-z0-9_.]+\.(dl|c|py)( |$)/)) {
                          split($0, word, " "); print "cat >" word[2] " <<\"END_OF_BLOCK\""; file = 1 } }
        /^```sh$/   { shell = 1; next }
        /^```/      { if (file) print "END_OF_BLOCK"; file = shell = 0; next }
        file || shell { print }' "$1" >"$tmp/script"
    (cd "$tmp/page" && sh -eux "$tmp/script")
    status=$?
    rm -rf "$tmp/page"
    return $status
}
for page in README.md docs/tutorial.md docs/capi.md docs/train.md docs/text.md docs/gallery.md; do
    report "$page: commands" run_page "$page"
done

# Every builtin has its line in the language page, and an example.
rows() { sed -n 's/^    {"\([a-z_0-9]*\)", ".*", bi_[a-z_]*,.*/\1/p' frontend/check_builtin.c; }
builtins() {
    awk '/^```dl$/ { on = 1; next } /^```/ { on = 0 } on' docs/language.md >"$tmp/examples"
    [ "$(rows | wc -l)" -gt 80 ] || { echo "no table of builtins"; return 1; }
    rows | while read -r name; do
        grep -qw "$name" docs/language.md || { echo "docs/language.md does not name $name"; exit 1; }
        grep -q "\(^\|[^A-Za-z_.]\)$name\((\|)\)" "$tmp/examples" || { echo "docs/language.md has no example of $name"; exit 1; }
    done
}
report "docs/language.md: every builtin" builtins

links() {       # of page $1 to files of the repository
    grep -o '](\([^):#]*\)[)#]' "$1" | sed 's/^](//; s/[)#]$//' | while read -r to; do
        [ -z "$to" ] || [ -e "$(dirname "$1")/$to" ] || { echo "no $to"; exit 1; }
    done
}
for page in $pages; do
    report "$page: links" links "$page"
done
exit $failed
