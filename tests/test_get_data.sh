#!/bin/sh
# test_get_data.sh - models/get-data.sh against file:// addresses: fetching, resuming, checking, a mirror that lies.
# With DLC_DATA set, the real table too, with that folder as the mirror.
set -u
root=$(cd "$(dirname -- "$0")/.." && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() { echo "not ok get-data: $*"; exit 1; }
real=${DLC_DATA:-}

mkdir -p "$tmp/mirror/a" "$tmp/mirror/b"
printf 'one two three\n' >"$tmp/mirror/a/plain file.txt"
printf 'inside\n' | gzip -9 >"$tmp/mirror/b/packed.gz"
sum1=$(sha256sum <"$tmp/mirror/a/plain file.txt" | cut -d' ' -f1)
sum2=$(printf 'inside\n' | sha256sum | cut -d' ' -f1)
printf '# table\na/plain file.txt\t%s\thttps://nowhere.invalid/a\nb/packed.gz\t%s\thttps://nowhere.invalid/b\n' \
    "$sum1" "$sum2" >"$tmp/table"
export DLC_DATA_FILES="$tmp/table" DLC_DATA_MIRROR="file://$tmp/mirror" DLC_DATA="$tmp/data"
get() { "$root/models/get-data.sh" "$@" >"$tmp/out" 2>&1; }

get || fail "first run: $(cat "$tmp/out")"
cmp -s "$tmp/mirror/a/plain file.txt" "$tmp/data/a/plain file.txt" || fail "plain file differs"
cmp -s "$tmp/mirror/b/packed.gz" "$tmp/data/b/packed.gz" || fail "packed file differs"
[ -z "$(find "$tmp/data" -name '*.part')" ] || fail "a .part is left"

get || fail "second run"
grep -q '^have     a/plain file.txt$' "$tmp/out" || fail "second run fetched again"
grep -q '^fetched' "$tmp/out" && fail "second run fetched again"

# An interrupted run: half of one file, all of the other, neither under its name.
rm "$tmp/data/a/plain file.txt"; printf 'one two' >"$tmp/data/a/plain file.txt.part"
mv "$tmp/data/b/packed.gz" "$tmp/data/b/packed.gz.part"
get || fail "resuming: $(cat "$tmp/out")"
cmp -s "$tmp/mirror/a/plain file.txt" "$tmp/data/a/plain file.txt" || fail "resumed file differs"
cmp -s "$tmp/mirror/b/packed.gz" "$tmp/data/b/packed.gz" || fail "whole part was not taken"

# The same content in another gzip wrapping is right; other content, at the mirror or on disk, is not.
printf 'inside\n' | gzip -1 -n >"$tmp/data/b/packed.gz"
get b || fail "another wrapping was refused"
grep -q '^have     b/packed.gz$' "$tmp/out" || fail "another wrapping was fetched again"
grep -q 'a/plain' "$tmp/out" && fail "a folder that was not asked for was read"
printf 'changed\n' >"$tmp/data/a/plain file.txt"
get || fail "repairing"
cmp -s "$tmp/mirror/a/plain file.txt" "$tmp/data/a/plain file.txt" || fail "not repaired"
rm "$tmp/data/a/plain file.txt"
printf 'one TWO three\n' >"$tmp/mirror/a/plain file.txt"
get && fail "a lying mirror was believed"
grep -q 'wrong checksum' "$tmp/out" || fail "no word of the checksum: $(cat "$tmp/out")"
[ ! -e "$tmp/data/a/plain file.txt" ] && [ ! -e "$tmp/data/a/plain file.txt.part" ] || fail "a wrong file was kept"
rm "$tmp/mirror/a/plain file.txt"
get && fail "a missing file was not noticed"
grep -q 'cannot fetch' "$tmp/out" || fail "no word of the missing file"
get nonsense; [ $? = 2 ] || fail "an unknown folder was accepted"

unset DLC_DATA_FILES
if [ -n "$real" ]; then
    export DLC_DATA_MIRROR="file://$real"
    get || fail "the real table: $(cat "$tmp/out")"
    (cd "$real" && grep -v '^#' "$root/models/data/files.tsv" | cut -f1) | while read -r path; do
        cmp -s "$real/$path" "$tmp/data/$path" || exit 1
    done || fail "a fetched file differs from its source"
fi
echo "ok get-data"
