/* fuzz_dl_check.c - any bytes as a program: the checker ends with a graph that verifies, or with an error. */
#include "frontend/frontend.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena a = {0};
    Diags d = {.arena = &a};
    FrontendOptions options = {0};
    Str messages = {.arena = &a};
    const char *error;
    Module *m = frontend_compile_text(&a, &d, "in.dl", arena_strndup(&a, (const char *)data, n), n, &options);
    if (m ? !ir_verify(&a, m, "the frontend", &error) : !d.errors) abort();
    diag_print(&d, &messages, false);
    arena_free(&a);
    return 0;
}
