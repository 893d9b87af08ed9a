/* fuzz_check.c - any bytes as a program: errors or a module that the verifier accepts; never a crash, and in
 * bounded time. */
#include "frontend/frontend.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena a = { 0 };
    Diags d = { .arena = &a };
    Str messages = { .arena = &a };
    const char *error = NULL;
    char *text = arena_strndup(&a, (const char *)data, n);
    Module *m = frontend_compile_text(&a, &d, "in.dl", text, n, NULL);
    if (!m && !d.errors) abort();
    if (m && !ir_verify(&a, m, "the frontend", &error)) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    diag_print(&d, &messages, false);
    arena_free(&a);
    return 0;
}
