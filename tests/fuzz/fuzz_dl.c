/* fuzz_dl.c - any bytes as model text: no crash, no leak; and what parses is formatted without changing its tree, once for all. */
#include "frontend/ast.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *ast(Arena *a, Strings *names, Diags *d, uint32_t source)
{
    Str s = { .arena = a };
    ast_print(&s, parse_file(a, names, d, source));
    return s.at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena a = { 0 };
    Strings names = { .arena = &a };
    Diags d = { .arena = &a };
    Str once = { .arena = &a }, twice = { .arena = &a }, messages = { .arena = &a };
    char *text = arena_strndup(&a, (const char *)data, n);
    uint32_t source = diag_source(&d, "in.dl", text, n);
    const char *tree = ast(&a, &names, &d, source);
    if (d.errors == 0) {
        if (!format_file(&a, &names, &d, source, &once)) abort();
        source = diag_source(&d, "once.dl", once.at, once.n);
        if (strcmp(tree, ast(&a, &names, &d, source)) != 0) abort();
        if (!format_file(&a, &names, &d, source, &twice)) abort();
        if (strcmp(once.at, twice.at) != 0) abort();
    }
    diag_print(&d, &messages, false);
    arena_free(&a);
    return 0;
}
