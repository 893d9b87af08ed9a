/* check_path.c - names of params and states: a walk from the file-level names in their order, in each instance
 * through its arguments, then its members; what a file imports comes after its own. The first path to a param is
 * its name, others are aliases.
 */
#include <string.h>

#include "frontend/check.h"

enum { WALK_LIMIT = 200000, WALK_DEPTH = 200, MAX_ALIASES = 64 };

typedef struct Walk { Check *c; uint32_t steps, order; } Walk;

const char *join_path(Check *c, const char *path, const char *name)
{
    if (!*path) return name;
    return *name ? arena_printf(c->a, "%s.%s", path, name) : path;
}

static void walk(Walk *w, Value v, const char *path, uint32_t depth);

static bool leads_on(Value v) { return v.kind == V_INSTANCE || v.kind == V_PLACE || is_list(v) || wrapped_value(v); }

static void walk_scope(Walk *w, const Scope *s, const char *path, uint32_t depth)
{
    for (uint32_t i = 0; i < s->entry.n; i++) {
        const Entry *e = &s->entry.at[i];
        if (e->loop || !leads_on(e->value)) continue;
        walk(w, e->value, join_path(w->c, path, e->as ? e->as : e->name), depth);
    }
}

/* FNV-1a of the name, then of the number of the draw. */
uint64_t stream_of(const char *path, uint64_t ordinal)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (; *path; path++) h = (h ^ (unsigned char)*path) * 0x100000001B3u;
    for (int i = 0; i < 8; i++) h = (h ^ (ordinal >> (8 * i) & 255)) * 0x100000001B3u;
    return h;
}

static void walk_place(Walk *w, Place *p, const char *path)
{
    Param *param = p->param;
    if (!p->walked) {
        p->walked = true;
        p->order = w->order++;
        param->path = path;
        for (uint32_t i = 0; i < p->draws.n; i++) p->draws.at[i]->attr.rng.stream = stream_of(path, i);
        return;
    }
    if (param->aliases.n >= MAX_ALIASES || !strcmp(param->path, path)) return;
    vec_push(w->c->a, &param->aliases, path);
}

static void walk(Walk *w, Value v, const char *path, uint32_t depth)
{
    w->steps++;
    if (depth > WALK_DEPTH) return;
    if (v.kind == V_PLACE) {
        walk_place(w, v.place, path);
    } else if (wrapped_value(v)) {
        walk(w, *wrapped_value(v), path, depth + 1);
    } else if (v.kind == V_INSTANCE) {
        if (v.inst->visits++ && w->steps > WALK_LIMIT) return;     /* shared parts make many paths: aliases have a limit */
        walk_scope(w, v.inst->args, path, depth + 1);
        walk_scope(w, v.inst->members, path, depth + 1);
    } else if (is_list(v)) {
        for (uint32_t i = 0; i < v.list->n; i++) {
            Value x = v.list->at[i];
            if (w->steps > WALK_LIMIT && is_list(x)) continue;
            if (!leads_on(x)) continue;
            walk(w, x, join_path(w->c, path, v.list->name ? v.list->name[i] : arena_printf(w->c->a, "%u", i)), depth + 1);
        }
    }
}

static void walk_unit(Walk *w, Unit *u, const char *path, uint32_t depth)
{
    if (depth > WALK_DEPTH) return;
    walk_scope(w, u->scope, path, 0);
    for (uint32_t i = 0; i < u->scope->entry.n; i++) {
        const Entry *e = &u->scope->entry.at[i];
        if (e->value.kind == V_NAMESPACE) walk_unit(w, e->value.unit, join_path(w->c, path, e->name), depth + 1);
    }
    for (uint32_t i = 0; i < u->imports.n; i++) walk_unit(w, u->imports.at[i], path, depth + 1);
}

void find_paths(Check *c)
{
    Walk w = {.c = c};
    walk_unit(&w, c->program, "", 0);
}
