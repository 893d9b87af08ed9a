/* file.c - programs as IR text. The comment on top says how they are run:
 *
 *   # random: exact, data 17, dims 3 5, dims 1 1
 */
#include "tests/random/random.h"

#include <stdlib.h>
#include <string.h>

void program_print(Str *s, const RandomProgram *p, const char *notes)
{
    str_fmt(s, "# random: %s, data %llu", p->exact ? "exact" : "approximate", (unsigned long long)p->data);
    for (uint32_t b = 0; b < p->nbindings; b++) {
        str_add(s, ", dims");
        for (uint32_t i = 0; i < p->m->funcs.at[0]->dims.n; i++) str_fmt(s, " %lld", (long long)p->dims[b][i]);
    }
    str_char(s, '\n');
    for (const char *at = notes; at && *at;) {
        size_t n = strcspn(at, "\n");
        str_fmt(s, "# %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
    ir_print(s, p->m);
}

const char *program_read(Arena *a, const char *name, const char *text, size_t n, RandomProgram *p)
{
    Diags *d = arena_new(a, Diags);
    d->arena = a;
    *p = (RandomProgram){.m = ir_read(a, d, diag_source(d, name, text, n))};
    const char *error = NULL;
    if (!p->m || !ir_verify(a, p->m, "reading", &error)) {
        Str s = {.arena = a};
        diag_print(d, &s, false);
        return error ? error : s.at ? s.at : "not read";
    }
    p->m->diags = d;
    if (!p->m->funcs.n || p->m->funcs.at[0]->dims.n > RANDOM_DIMS || p->m->funcs.at[0]->args.n > RANDOM_ARGS || p->m->funcs.at[0]->results.n > RANDOM_RESULTS)
        return "no function, or one that is too large";
    const char *at = strstr(text, "# random: "), *end = at ? strchr(at, '\n') : NULL;
    if (!end) return "no line `# random: exact, data 17, dims 3 5`";
    p->exact = !strncmp(at + 10, "exact", 5);
    for (at = strchr(at, ','); at && at < end; at = strchr(at, ',')) {
        at += 2;
        if (!strncmp(at, "data ", 5)) p->data = strtoull(at + 5, NULL, 10);
        if (!strncmp(at, "dims", 4) && p->nbindings < BINDINGS) {
            char *next = (char *)at + 4;
            for (uint32_t i = 0; i < p->m->funcs.at[0]->dims.n; i++) p->dims[p->nbindings][i] = strtoll(next, &next, 10);
            p->nbindings++;
        }
    }
    return p->nbindings ? NULL : "no dims";
}
