/* check_replace.c - replace(m, pattern, f): m with f(sub) for each submodule whose path below m matches. Instances on the
 * way to one are copied, with their functions; all others, and every param that is kept, are shared.
 */
#include <string.h>

#include "frontend/check.h"

enum { REPLACE_DEPTH = 200 };

typedef struct Replace {
    Check      *c;
    const char *pattern;
    Value       f;
    const View *view;                   /* of m: what is kept stays frozen */
    Map        *made;                   /* members of an instance -> Value * it became */
    Map        *names;                  /* of the submodules, where nothing matches */
    uint32_t    matches;
    bool        failed;
    Span        at;
} Replace;

static Value replaced(Replace *r, Value v, const char *path, uint32_t depth, bool *changed);

static void copy_scope(Check *c, Scope *to, const Scope *from)
{
    for (uint32_t i = 0; i < from->entry.n; i++) *scope_set(c, to, from->entry.at[i].name, from->entry.at[i].value, from->entry.at[i].span) = from->entry.at[i];
}

/* What instances in v became. */
static Value remade(Replace *r, Value v, int depth)
{
    if (v.kind == V_INSTANCE) {
        const Value *made = map_get(r->made, &v.inst->members, sizeof v.inst->members);
        return made && (made->kind != V_INSTANCE || made->inst->members != v.inst->members) ? *made : v;
    }
    if (!is_list(v) || depth >= MAX_LIST_DEPTH || !step(r->c, v.list->n, r->at)) return v;
    List *l = arena_new(r->c->a, List);
    *l = *v.list;
    l->at = arena_array(r->c->a, Value, l->n + 1);
    for (uint32_t i = 0; i < l->n; i++) l->at[i] = remade(r, v.list->at[i], depth + 1);
    v.list = l;
    return v;
}

/* A scope whose names lead to the old instance, such as that of a comprehension, for functions made in it. */
static Scope *new_scope(Replace *r, Scope *s, const Instance *old, Instance *fresh, int depth)
{
    if (s == old->args) return fresh->args;
    if (s == old->members) return fresh->members;
    if (!s || depth > REPLACE_DEPTH) return s;
    Scope *up = new_scope(r, s->up, old, fresh, depth + 1);
    if (up == s->up) return s;
    Scope *copy = scope_new(r->c, up);
    copy_scope(r->c, copy, s);
    for (uint32_t i = 0; i < copy->entry.n; i++) copy->entry.at[i].value = remade(r, copy->entry.at[i].value, 0);
    return copy;
}

/* Functions of the old instance become those of the new one. */
static Value new_functions(Replace *r, Value v, const Instance *old, Instance *fresh, int depth)
{
    Check *c = r->c;
    if (v.kind == V_FN && v.fn->self && v.fn->self->members == old->members) {
        Closure *f = arena_new(c->a, Closure);
        *f = *v.fn;
        f->self = fresh;
        f->scope = new_scope(r, f->scope, old, fresh, 0);
        v.fn = f;
    } else if (is_list(v) && depth < MAX_LIST_DEPTH && step(c, v.list->n, (Span){0})) {
        for (uint32_t i = 0; i < v.list->n; i++) {
            Value x = new_functions(r, v.list->at[i], old, fresh, depth + 1);
            if (x.kind != V_FN || x.fn == v.list->at[i].fn) continue;
            List *l = arena_new(c->a, List);
            *l = *v.list;
            l->at = arena_array(c->a, Value, l->n + 1);
            memcpy(l->at, v.list->at, l->n * sizeof *l->at);
            l->at[i] = x;
            v.list = l;
        }
    }
    return v;
}

static bool replace_in(Replace *r, Scope *s, const char *path, uint32_t depth)
{
    bool any = false;
    for (uint32_t i = 0; i < s->entry.n && !r->failed; i++) {
        Entry *e = &s->entry.at[i];
        if (e->loop) continue;
        bool changed = false;
        Value v = replaced(r, e->value, join_path(r->c, path, e->as ? e->as : e->name), depth + 1, &changed);
        if (changed) s->entry.at[i].value = v;
        any |= changed;
    }
    return any;
}

static Value replaced_instance(Replace *r, Value v, const char *path, uint32_t depth, bool *changed)
{
    Check *c = r->c;
    Instance *old = v.inst;
    Value *made = map_get(r->made, &old->members, sizeof old->members);
    if (made) {
        *changed = made->kind != V_INSTANCE || made->inst != old;
        return *made;
    }
    made = arena_new(c->a, Value);
    *made = v;
    map_set(r->made, &old->members, sizeof old->members, made);
    if (*path && name_matches(path, r->pattern)) {
        r->matches++;
        if (r->view) {
            Instance *kept = arena_new(c->a, Instance);
            *kept = *old;
            kept->view = view_join(c, old->view, r->view);
            v.inst = kept;
        }
        *made = call1(c, r->f, v, r->at);
        r->failed |= is_poison(*made);
        if (!is_poison(*made) && !is_callable(c, *made)) {
            fail(c, DL_view, r->at, "`replace` puts a layer in the place of `%s`; the function gives %s", path, kind_text(c, *made));
            r->failed = true;
        }
        *changed = true;
        return *made;
    }
    if (*path) map_set(r->names, path, strlen(path), (void *)path);
    Instance *fresh = arena_new(c->a, Instance);
    *fresh = *old;
    fresh->visits = 0;
    fresh->members = scope_new(c, old->members->up);
    fresh->args = scope_new(c, fresh->members);
    copy_scope(c, fresh->args, old->args);
    copy_scope(c, fresh->members, old->members);
    bool args = replace_in(r, fresh->args, path, depth), members = replace_in(r, fresh->members, path, depth);
    if (!args && !members) return v;
    for (uint32_t i = 0; i < fresh->members->entry.n; i++) {
        Entry *e = &fresh->members->entry.at[i];
        e->value = new_functions(r, e->value, old, fresh, 0);
    }
    *made = (Value){.kind = V_INSTANCE, .inst = fresh};
    *changed = true;
    return *made;
}

static Value replaced(Replace *r, Value v, const char *path, uint32_t depth, bool *changed)
{
    if (r->failed || depth > REPLACE_DEPTH || !step(r->c, 1, r->at)) return v;
    if (v.kind == V_INSTANCE) return replaced_instance(r, v, path, depth, changed);
    if (wrapped_value(v)) {
        Value *of = arena_new(r->c->a, Value);
        *of = replaced(r, *wrapped_value(v), path, depth + 1, changed);
        if (!*changed) return v;
        Closure *f = arena_new(r->c->a, Closure);
        *f = *v.fn;
        *(f->recompute ? &f->recompute : &f->custom) = of;
        v.fn = f;
        return v;
    }
    if (!is_list(v)) return v;
    List *l = NULL;
    for (uint32_t i = 0; i < v.list->n; i++) {
        bool other = false;
        Value x = v.list->at[i];
        if (x.kind != V_INSTANCE && !is_list(x) && !wrapped_value(x)) continue;
        x = replaced(r, x, join_path(r->c, path, arena_printf(r->c->a, "%u", i)), depth + 1, &other);
        if (!other) continue;
        if (!l) {
            l = arena_new(r->c->a, List);
            *l = *v.list;
            l->at = arena_array(r->c->a, Value, l->n + 1);
            memcpy(l->at, v.list->at, l->n * sizeof *l->at);
        }
        l->at[i] = x;
    }
    if (!l) return v;
    *changed = true;
    v.list = l;
    return v;
}

Value bi_replace(Check *c, Call *k)
{
    bool changed = false;
    if (k->arg[0].kind != V_INSTANCE) return bad_arg(c, k, 0, "an instance of a module");
    if (k->arg[1].kind != V_STRING) return bad_arg(c, k, 1, "a string");
    if (!is_callable(c, k->arg[2])) return bad_arg(c, k, 2, "a function of the submodule");
    Replace r = {.c = c, .pattern = k->arg[1].s, .f = k->arg[2], .view = k->arg[0].inst->view, .made = map_new(c->a), .names = map_new(c->a), .at = k->span};
    Value m = replaced(&r, k->arg[0], "", 0, &changed);
    if (r.failed) return v_error();
    if (r.matches) return m;
    Diag *d = problem(c, DL_view, k->at[1], "`replace`: no submodule matches \"%s\"", r.pattern);
    uint32_t n = map_count(r.names);
    const char **names = arena_array(c->a, const char *, n + 1);
    for (uint32_t i = 0; i < n; i++) names[i] = map_at(r.names, i, &(const void *){0}, &(size_t){0});
    suggest_path(c, d, r.pattern, names, n);
    return v_error();
}
