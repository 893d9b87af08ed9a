#!/bin/sh
# test_builds.sh - every file compiles without a warning under gcc and clang-19, optimised, and the unit and golden
# tests pass with clang's address and undefined-behaviour sanitizers.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
. tests/compile.sh

# try NAME FOLDER [MESON-OPTION...]
try() {
    name=$1
    shift
    if compile "$@" 2>"$build/$1.err"; then echo "ok $name"; else echo "not ok $name: see build/$1.log"; sed 's/^/# /' "$build/$1.err"; fi
}

export CC=gcc
try "build with gcc, warnings as errors" gcc --werror
if ! command -v clang-19 >/dev/null; then
    echo "skip builds with clang-19: it is not installed"
    exit
fi
export CC=clang-19
try "build with clang-19, warnings as errors" clang --werror
try "build with sanitizers" sanitize --werror -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
export ASAN_OPTIONS=exitcode=99:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99
DLC=$build/sanitize/driver/dlc python3 tests/run.py -v "$build/sanitize" tests/golden.sh |
    sed -n 's/^  \(not ok\|ok\|skip\)\(:\? \)/\1 with sanitizers: /p; /^    #/s/^ *//p'
