#!/bin/sh
# golden.sh - compare what dlc prints for small models with the text beside them.
#
# tests/FOLDER/NAME.dl begins with `# run: ARGS`. dlc runs on it in its folder, and what it prints (both streams)
# must be NAME.out or NAME.ir, with exit code 0, or NAME.err, with exit code 1. ARGS may begin with a subcommand; else
# the folder names it: `check` in tests/check, `fmt` in tests/fmt, `inspect` elsewhere. A file without that first
# line is tested with no ARGS if a text stands beside it; otherwise other models import it. NAME.in.ir is IR text as input.
#
# DLC: the command to test.  UPDATE=1: write the texts instead of comparing.  Arguments: files, instead of all.
set -u
here=$(cd "$(dirname -- "$0")" && pwd)
dlc=${DLC:-$here/../build/dlc}
case $dlc in /*) ;; */*) dlc=$PWD/$dlc ;; esac
got=$(mktemp) && trap 'rm -f "$got" "$got.diff"' EXIT || exit 1
unset NO_COLOR
status=0

# The file without .dl or .in.ir.
stem() {
    case $1 in
        *.in.ir) echo "${1%.in.ir}" ;;
        *) echo "${1%.dl}" ;;
    esac
}

# The text that NAME.dl is compared with; empty if there is none.
expected_file() {
    for suffix in out ir err; do
        if [ -f "$(stem "$1").$suffix" ]; then echo "$(stem "$1").$suffix"; return; fi
    done
}

golden() {
    file=$1
    name=${file#"$here"/}
    want=$(expected_file "$file")
    args=$(sed -n '1s/^# run://p' "$file")
    if [ -z "$want" ] && ! sed -n 1p "$file" | grep -q '^# run:'; then return; fi
    set -f                              # the words of ARGS are not patterns
    set -- $args
    set +f
    folder=$(basename -- "$(dirname -- "$file")")
    case ${1:--} in
        -*) case $folder in
                check | fmt) set -- "$folder" "$@" ;;
                *) set -- inspect "$@" ;;
            esac ;;
    esac
    # `fmt` rewrites its file unless it reads stdin.
    if [ "$1" = fmt ]; then
        (cd "$(dirname -- "$file")" && "$dlc" "$@" - <"$(basename -- "$file")") >"$got" 2>&1
    else
        (cd "$(dirname -- "$file")" && "$dlc" "$@" "$(basename -- "$file")") >"$got" 2>&1 </dev/null
    fi
    code=$?

    if [ "${UPDATE:-}" = 1 ]; then
        case $code$folder in
            0ir) suffix=ir ;;
            0*) suffix=out ;;
            1*) suffix=err ;;
            *) echo "not ok $name: exit code $code"; status=1; return ;;
        esac
        new=$(stem "$file").$suffix
        if [ -n "$want" ] && [ "$want" != "$new" ]; then
            if [ "$code" = 0 ] && [ "${want##*.}" != err ]; then new=$want; else rm "$want"; fi
        fi
        cmp -s "$got" "$new" 2>/dev/null || { cp "$got" "$new"; echo "# wrote ${new#"$here"/}"; }
        return
    fi

    if [ -z "$want" ]; then
        echo "not ok $name: no text beside it (UPDATE=1 writes it)"; status=1
        return
    fi
    expected_code=0
    if [ "${want##*.}" = err ]; then expected_code=1; fi
    if [ "$code" != "$expected_code" ]; then
        echo "not ok $name: exit code $code instead of $expected_code"; status=1
        head -n 20 "$got" | sed 's/^/# /'
    elif ! diff -u "$want" "$got" >"$got.diff"; then
        echo "not ok $name: differs from ${want##*/}"; status=1
        sed -n '3,40s/^/# /p' "$got.diff"
    else
        echo "ok $name"
    fi
}

if [ $# = 0 ]; then set -- "$here"/*/*.dl "$here"/*/*.in.ir; fi
for file in "$@"; do
    case $file in /*) ;; *) file=$PWD/$file ;; esac
    if [ -f "$file" ]; then golden "$file"; fi
done
exit $status
