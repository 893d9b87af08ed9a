/* micro_build.c - a build step: the micro-kernels of one target row as an object file, which dlc carries inside.
 *   micro_build ROW OUT.o
 */
#include "codegen/llvm/llvm.h"

int main(int argc, char **argv)
{
    Arena a = {0};
    const char *error = "usage: micro_build ROW OUT.o";
    const void *bytes;
    size_t n;
    CodegenOptions o = {.cpu = argc == 3 ? argv[1] : NULL};
    Emit *e = o.cpu ? llvm_begin(&a, &o, "micro", &error) : NULL;
    bool ok = e != NULL;
    if (ok) micro_library(e);
    ok = ok && llvm_object(e, &bytes, &n, &error) && file_write(&a, argv[2], bytes, n, &error);
    if (!ok) fprintf(stderr, "micro_build: %s\n", error);
    if (e) llvm_end(e);
    arena_free(&a);
    return ok ? 0 : 1;
}
