/* support.c - see support.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

Module *must_read_ir(Arena *a, const char *text)
{
    Diags *d = arena_new(a, Diags);
    d->arena = a;
    Module *m = ir_read(a, d, diag_source(d, "test.ir", text, strlen(text)));
    const char *error = NULL;
    if (!m || !ir_verify(a, m, "reading", &error)) {
        Str s = {.arena = a};
        diag_print(d, &s, false);
        fail_msg("%s%s\n%s", s.at ? s.at : "", error ? error : "", text);
    }
    m->diags = d;
    return m;
}
