#!/bin/sh
# test_fuzz.sh - every target of tests/fuzz for FUZZ_SECONDS (30). fuzz_KIND.c and fuzz_KIND_MORE.c begin with the
# repository's files that end in .KIND, with the words of KIND.dict if there is one; what one finds is kept in build/fuzz, with a corpus that the next run goes on from.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
. tests/compile.sh

if ! command -v clang-19 >/dev/null; then
    echo "skip fuzzing: clang-19 is not installed"
    exit
fi
export CC=clang-19
compile fuzz -Dfuzz=true -Dtests=false -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false ||
    { echo "not ok build of the fuzz targets: see build/fuzz.log"; exit; }

for source in tests/fuzz/fuzz_*.c; do
    target=$(basename -- "$source" .c)
    kind=${target#fuzz_}
    kind=${kind%%_*}
    work=$build/fuzz/work-$target
    rm -rf "$work/seeds"
    mkdir -p "$work/corpus" "$work/seeds"
    number=0
    find frontend models tests -name "*.$kind" -size -64k | sort >"$work/list"
    while read -r file; do
        number=$((number + 1))
        cp "$file" "$work/seeds/$number"
    done <"$work/list"
    words=
    [ ! -f "tests/fuzz/$kind.dict" ] || words=-dict=tests/fuzz/$kind.dict
    if "$build/fuzz/tests/$target" $words -max_total_time="${FUZZ_SECONDS:-30}" -timeout=20 -rss_limit_mb=3000 -max_len=16384 \
        -artifact_prefix="$work/" -print_final_stats=1 "$work/corpus" "$work/seeds" >"$work/log" 2>&1
    then
        echo "ok $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log") runs"
    else
        echo "not ok $target: see ${work#"$PWD"/}/log"
        grep -E 'ERROR|SUMMARY|runtime error|Test unit' "$work/log" | sed 's/^/# /'
    fi
done
