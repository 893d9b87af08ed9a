/* fuzz_ir.c - IR text: what is read prints, reads again as the same text, and its clone prints the same; the passes leave a
 * module that verifies, or say what they cannot do. */
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *text_of(Arena *a, const Module *m)
{
    Str s = {.arena = a};
    ir_print(&s, m);
    return s.at;
}

static Module *read_text(Arena *a, Diags *d, const char *text, size_t n)
{
    return ir_read(a, d, diag_source(d, "fuzz.ir", text, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena a = {0};
    Diags d = {.arena = &a};
    const char *text = arena_strndup(&a, (const char *)data, size), *error = "";
    Module *m = read_text(&a, &d, text, size);
    if (!m && !d.errors) abort();               /* a refusal says why */
    if (m && ir_verify(&a, m, "read", &error)) {
        const char *first = text_of(&a, m);
        Module *again = read_text(&a, &d, first, strlen(first));
        if (!again || strcmp(first, text_of(&a, again))) abort();
        if (!ir_verify(&a, again, "again", &error)) abort();
        if (strcmp(first, text_of(&a, module_clone(&a, m)))) abort();
        again->diags = &d;
        if (!passes_run(again, &(PassOptions){.level = 2, .verify = true}, NULL, &error) && !d.errors) abort();
    }
    Str s = {.arena = &a};
    diag_print(&d, &s, false);
    arena_free(&a);
    return 0;
}
