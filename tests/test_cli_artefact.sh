#!/bin/sh
# test_cli_artefact.sh - what dlc writes, from the outside: .so, .o and .a in C and C++ programs, their symbols and needs, and
# an artefact on a CPU without its features. Uses DLC (default build/dlc), CC, CXX. Reports as tests/run.py reads.
. "$(dirname -- "$0")/lib.sh"
cd "$tmp" || exit 1
cc=${CC:-cc}
cxx=${CXX:-c++}
strict="-Wall -Wextra -Wpedantic -Werror"

cat >scale.dl <<'DL'
module Scale() { param factor = full(f32[3], 2) }
s = Scale()
# Three columns, each by its factor.
export fn apply(x: f32[B, 3]) -> (y: f32[B, 3]) with B <= 4 = x * s.factor
export fn row(x: f32[B, 3], i: i32) -> (y: f32[3]) = x[i]
DL
cat >norm.dl <<'DL'
export fn softened(x: f32[N]) -> (y: f32[N]) = softmax(x)
export fn total(x: f32[N], weight: f32) -> (sum: f32, count: i64) = weight * sum(x), i64(N)
DL
# A program of both models, which is C and C++.
cat >both.c <<'C'
#include "scale.h"
#include "norm.h"
#include <stdio.h>

int main(void)
{
    scale *a = scale_create(NULL);
    norm *b = norm_create(NULL);
    float x[6] = {1, 2, 3, 4, 5, 6}, y[6] = {0}, sum = 0, soft[3] = {0};
    int64_t count = 0;
    if (!a || !b || scale_apply(a, 2, x, y) || norm_total(b, 6, y, 0.5f, &sum, &count) || norm_softened(b, 3, x, soft)) {
        printf("failed: %s, %s\n", scale_error(a), norm_error(b));
        return 1;
    }
    printf("%g %g %d %.3f\n", (double)y[5], (double)sum, (int)count, (double)(soft[0] + soft[1] + soft[2]));
    /* What must fail, and how. */
    float many[15] = {0}, out[15];
    printf("%d %s\n", scale_apply(a, 5, many, out), scale_error(a));
    printf("%d %s\n", scale_apply(a, -1, many, out), scale_error(a));
    printf("%d %s\n", scale_row(a, 2, x, 7, y), scale_error(a));
    printf("%d %s\n", scale_apply(a, 1, NULL, out), scale_error(a));
    printf("%d %s\n", scale_apply(a, 1, x, x + 1), scale_error(a));
    printf("%d %s\n", scale_load(a, "no such file"), scale_error(a));
    printf("%d %s\n", scale_set(a, "s.faktor", x, 12), scale_error(a));
    printf("%d\n", scale_apply(a, 0, x, y));
    scale_destroy(a);
    norm_destroy(b);
    norm_destroy(NULL);
    return 0;
}
C
cp both.c both.cc

# ---- kinds of artefact

report "two models as .so" "$dlc" scale.dl -q -o scale.so
report "... the other" "$dlc" norm.dl -q -o norm.so
mkdir o a
report "one as .o" "$dlc" scale.dl -q -o o/scale.o
report "one as .a" "$dlc" norm.dl -q -o a/norm.a
same_headers() { cmp scale.h o/scale.h && cmp norm.h a/norm.h; }
report "the headers are the same" same_headers

cat >expected <<'TEXT'
12 21 6 1.000
TEXT
runs() { "./$1" >out && head -n 1 out | cmp - expected; }
report "C program with the .so" $cc -std=c11 $strict both.c ./scale.so ./norm.so -o c_so
report "... runs" runs c_so
report "C program with .o and .a" $cc -std=c11 $strict both.c o/scale.o a/norm.a -lm -pthread -o c_static
report "... runs" runs c_static
report "C++ program with the .so" $cxx -std=c++17 $strict both.cc ./scale.so ./norm.so -o cc_so
report "... runs" runs cc_so
report "C++ program with .o and .a" $cxx -std=c++17 $strict both.cc o/scale.o a/norm.a -lm -pthread -o cc_static
report "... runs" runs cc_static
cat >twice.c <<'C'
#include "scale.h"
#include "scale.h"
typedef int apply;          /* a header takes only names with its prefix */
apply main(void) { return scale_param_count() != 1; }
C
report "a header can be included twice, and takes no other names" $cc -std=c11 $strict twice.c ./scale.so -o twice

# ---- statuses that the application sees

said() { sed -n "$1p" out; }
states() {      # LINE STATUS PATTERN
    "./c_so" >out || return 1
    said "$1" | grep -Eq "^$2 .*$3" && return 0
    said "$1"
    return 1
}
report "a dim that breaks a fact names it" states 2 3 'B <= 4'
report "a negative dim" states 3 3 'B'
report "an index out of range names its line" states 4 4 'scale.dl:5|[0-9]'
report "a null pointer names the argument" states 5 2 'x'
report "an output that overlaps an input" states 6 2 'overlap'
report "a weight file that is not there" states 7 8 'no such file'
report "an unknown param" states 8 8 's.faktor'
empty_batch() { [ "$(said 9)" = 0 ]; }
report "an empty batch" empty_batch

# ---- symbols, libraries, sections

# libc, libm, the loader and the kernel's page: nothing else.
needs_nothing() { ldd "$1" | sed 's/^[[:space:]]*//; s/[. ].*//' | grep -Ev '^(libc|libm|linux-vdso|/lib.*/ld-linux.*|/lib64/ld-linux.*)$' && return 1; return 0; }
for file in scale norm; do
    report "ldd $file.so shows libc and libm" needs_nothing ./$file.so
done
only_own() { nm -D --defined-only "$1.so" | awk '{print $NF}' | sed 's/@.*//' | grep -v "^$1_" && return 1; [ "$(nm -D --defined-only "$1.so" | wc -l)" -gt 15 ]; }
report "the .so exports X_* alone" only_own scale
only_own_o() { nm -g --defined-only "$1" | awk 'NF == 3 {print $NF}' | grep -v "^$2_" && return 1; nm -g --defined-only "$1" | grep -q " $2_create"; }
report "the .o defines X_* alone" only_own_o o/scale.o scale
report "the .a defines X_* alone" only_own_o a/norm.a norm
declared() { nm -D --defined-only scale.so | awk '$2 == "T" {print $3}' >names && while read -r name; do grep -q "[ *]$name(" scale.h || { echo "$name is not declared"; return 1; }; done <names; }
report "the header declares what is exported" declared
no_soname() { readelf -dW scale.so >dynamic && ! grep -E 'SONAME|TEXTREL|RPATH|RUNPATH' dynamic; }
report "no SONAME, no RPATH, no text relocations" no_soname
stack() { readelf -lW scale.so | grep GNU_STACK | grep -qv RWE; }
report "the stack is not executable" stack
no_paths() { LC_ALL=C grep -aq -e "$tmp" -e "$root" scale.so && return 1; return 0; }
report "no path of this machine is inside" no_paths
repeatable() { "$dlc" scale.dl -q -o again.so --name scale && cmp again.so scale.so && "$dlc" scale.dl -q -o again.a --name scale && "$dlc" scale.dl -q -o once.a --name scale && cmp again.a once.a; }
report "the same input gives the same bytes" repeatable

# ---- another CPU

for cpu in generic x86-64-v3; do
    runs_for() { "$dlc" scale.dl -q -o scale.so --cpu=$cpu && "$dlc" norm.dl -q -o norm.so --cpu=$cpu && runs c_so; }
    if [ $cpu = generic ] || grep -q avx2 /proc/cpuinfo; then report "--cpu=$cpu runs" runs_for; else skip "--cpu=$cpu runs" "not this CPU"; fi
done
# The list of needed features lies in the artefact: name one there that no CPU has.
lacking() {
    "$dlc" scale.dl -q -o scale.so --cpu=x86-64-v3 && LC_ALL=C sed -i 's/avx2,fma/avx0,fma/' scale.so && "$dlc" norm.dl -q -o norm.so || return 1
    ./c_so >out
    [ $? = 1 ] && cat out && grep -q 'failed: scale was compiled for x86-64-v3 and needs avx0, which this CPU does not have' out
}
report "an artefact on a CPU without its features says so" lacking

report "no temporary files are left" test -z "$(ls -A "$tmp/temporary")"
exit $failed
