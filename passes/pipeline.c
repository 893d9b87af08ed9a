/* pipeline.c - run the passes of passes.def in order, verifying after each. */
#include "passes/passes.h"

#include <string.h>

typedef struct Pass {
    const char *name;
    int         level;
    void      (*run)(Module *m);
} Pass;

static const Pass passes[] = {
#define PASS(name, level, what) {#name, level, pass_##name},
#include "passes/passes.def"
#undef PASS
};

bool pass_find(const char *name, const char **all)
{
    static const char list[] =
#define PASS(name, level, what) " " #name
#include "passes/passes.def"
#undef PASS
        ;
    if (all) *all = list + 1;
    for (size_t i = 0; i < COUNT(passes); i++)
        if (!strcmp(passes[i].name, name)) return true;
    return false;
}

bool passes_run(Module *m, const PassOptions *o, PassTimes *times, const char **error)
{
    bool verify = o->verify;
#ifndef NDEBUG
    verify = true;
#endif
    if (verify && !ir_verify(m->arena, m, "frontend", error)) return false;
    for (size_t i = 0; i < COUNT(passes); i++) {
        const Pass *p = &passes[i];
        if (p->level <= o->level) {
            double start = time_now();
            p->run(m);
            if (times && times->n < PASS_MAX) {
                times->name[times->n] = p->name;
                times->seconds[times->n++] = time_now() - start;
            }
            if (verify && !ir_verify(m->arena, m, p->name, error)) return false;
        }
        if (o->stop_after && !strcmp(o->stop_after, p->name)) break;
    }
    return true;
}
