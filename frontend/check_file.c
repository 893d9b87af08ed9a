/* check_file.c - files: the library's, the program's and its imports; what runs at file level.
 */
#include <string.h>

#include "frontend/check.h"

static void run_unit(Check *c, Unit *u);

static Unit *unit_new(Check *c, const char *path, const char *name, const char *text, size_t n)
{
    Unit *u = arena_new(c->a, Unit);
    u->path = path;
    u->name = name;
    u->source = diag_source(c->d, path, text, n);
    while (c->library_source.n <= u->source) vec_push(c->a, &c->library_source, false);
    uint32_t errors = c->d->errors;
    u->file = parse_file(c->a, &c->names, c->d, u->source);
    if (c->d->errors != errors) u->file = NULL;         /* what is missing would only make more errors */
    return u;
}

bool load_library(Check *c)
{
    bool ok = true;
    for (uint32_t i = 0; i < std_file_count; i++) {
        Unit *u = unit_new(c, std_files[i].name, NULL, std_files[i].text, std_files[i].n);
        u->library = true;
        c->library_source.at[u->source] = true;
        u->scope = c->library;          /* the library's files see each other */
        if (!u->file) ok = false;
        else run_unit(c, u);
    }
    return ok;
}

/* ---- imports ---------------------------------------------------------------------------------------------- */

static Unit *load_import(Check *c, Unit *from, const Stmt *s)
{
    const char *dir = strcmp(from->path, "-") ? path_dir(c->a, from->path) : ".";
    const char *path = path_join(c->a, dir, s->import.path), *error = NULL;
    if (!strcmp(path, "-")) path = "./-";               /* a file of that name, not stdin */
    Unit *u = map_get(c->units, path, strlen(path));
    if (u && u->running) {
        Diag *d = problem(c, DL_import_cycle, s->import.path_span, "\"%s\" imports itself, by way of the files it imports", s->import.path);
        for (Unit *v = from; v && v != u; v = v->parent) note(c, d, v->imported_at, "\"%s\" is imported here", v->path);
        return NULL;
    }
    if (u) return u->file ? u : NULL;
    uint32_t depth = 0;
    for (Unit *v = from; v; v = v->parent) depth++;
    if (depth > 64) {
        fail(c, DL_too_deep, s->import.path_span, "imports are nested deeper than 64 files");
        return NULL;
    }
    char *text;
    size_t n;
    if (!file_read(c->a, path, 0, &text, &n, &error)) {
        fail(c, DL_import_failed, s->import.path_span, "%s", error);
        return NULL;
    }
    const char *name = s->import.as ? s->import.as : path_identifier(c->a, path_stem(c->a, path));
    u = unit_new(c, path, name, text, n);
    u->parent = from;
    u->imported_at = s->import.path_span;
    map_set(c->units, path, strlen(path), u);
    if (!u->file) return NULL;
    u->scope = scope_new(c, scope_new(c, c->library));
    run_unit(c, u);
    return u;
}

static void bring_names(Check *c, Unit *to, Unit *from, Span at)
{
    Scope *s = to->scope->up;
    for (uint32_t i = 0; i < from->scope->entry.n; i++) {
        Entry e = from->scope->entry.at[i];
        if (e.name[0] == '_' || e.value.kind == V_UNBOUND) continue;
        Entry *old = scope_find(s, e.name);
        if (old) {
            old->clash |= old->from != from;
            continue;
        }
        scope_set(c, s, e.name, e.value, at)->from = from;
    }
    vec_push(c->a, &to->imports, from);
}

static void run_import(Check *c, Unit *u, const Stmt *s)
{
    Unit *from = load_import(c, u, s);
    u->import_failed |= !from;
    if (s->import.as) {
        Value v = from ? (Value){.kind = V_NAMESPACE, .unit = from} : v_error();
        scope_set(c, u->scope, s->import.as, v, s->import.as_span);
    } else if (from) {
        bring_names(c, u, from, s->import.path_span);
    }
}

/* ---- args --------------------------------------------------------------------------------------------------- */

/* The value of a --set, read as an expression; a bare word is a string where the default is one. */
static Value set_value(Check *c, const char *name, const char *text, Value fallback)
{
    const char *label = arena_printf(c->a, "--set %s", name);
    Unit *u = unit_new(c, label, NULL, text, strlen(text));
    if (!u->file) return v_error();
    Span all = {u->source, 0, (uint32_t)strlen(text)};
    const Body *b = &u->file->body;
    if (b->n != 1 || b->at[0]->kind != ST_expr || b->at[0]->values.n != 1)
        return fail(c, DL_bad_set, all, "a value is a number, true, false, none, a string or a list of them");
    const Expr *e = b->at[0]->values.at[0];
    if (e->kind == EX_name && fallback.kind == V_STRING) return v_string(e->name);
    Scope *scope = c->scope;
    c->scope = c->builtins;
    Value v = eval(c, e);
    c->scope = scope;
    if (v.kind == V_INT && fallback.kind == V_FLOAT) return v_float((double)v.i);
    bool same = v.kind == fallback.kind || fallback.kind == V_NONE || (is_list(v) && is_list(fallback));
    if (!same && !is_poison(v) && !is_poison(fallback))
        return fail(c, DL_bad_set, all, "`%s` is %s by default; %s is not of that kind", name, kind_text(c, fallback), kind_text(c, v));
    return v;
}

static void run_arg(Check *c, Unit *u, const Stmt *s)
{
    Value v = eval(c, s->decl.value);
    const char *name = u->name ? arena_printf(c->a, "%s.%s", u->name, s->decl.name) : s->decl.name;
    for (uint32_t i = 0; c->o && i < c->o->nset; i++) {
        if (strcmp(c->o->set[i].name, name)) continue;
        c->set_used[i] = true;
        v = set_value(c, name, c->o->set[i].value, v);
    }
    if (is_tensor(v)) v = fail(c, DL_not_compile_time, s->decl.value->span, "an arg is a compile-time value, not %s", kind_text(c, v));
    Rest rest = {0};
    if (s->decl.type && !match_value(c, s->decl.type, &v, &rest, false, s->decl.value->span, arena_printf(c->a, "arg `%s`", name))) v = v_error();
    scope_set(c, u->scope, s->decl.name, v, s->decl.name_span);
}

static void arg_names(Check *c, const Unit *u, const char ***names, uint32_t *n, uint32_t *cap)
{
    for (uint32_t i = 0; i < u->file->body.n; i++) {
        const Stmt *s = u->file->body.at[i];
        if (s->kind != ST_arg) continue;
        vec_grow(c->a, (void **)names, cap, *n + 1, sizeof **names);
        (*names)[(*n)++] = u->name ? arena_printf(c->a, "%s.%s", u->name, s->decl.name) : s->decl.name;
    }
}

void check_sets(Check *c)
{
    for (uint32_t i = 0; c->o && i < c->o->nset; i++) {
        if (c->set_used[i]) continue;
        const char **names = NULL;
        uint32_t n = 0, cap = 0;
        for (uint32_t k = 0; k < c->order.n; k++) arg_names(c, c->order.at[k], &names, &n, &cap);
        Diag *d = diag_error(c->d, DL_unknown_arg, (Span){0}, "--set %s: the program has no arg of that name", c->o->set[i].name);
        const char *near = n ? nearest(c->o->set[i].name, names, n) : NULL;
        if (near) diag_note(c->d, d, (Span){0}, "did you mean `%s`?", near);
        else for (uint32_t k = 0; k < n && k < 8; k++) diag_note(c->d, d, (Span){0}, "it has `%s`", names[k]);
    }
}

/* ---- file level ------------------------------------------------------------------------------------------------ */

/* A name of the file, defined once. Returns false where it is there already. */
static bool declare(Check *c, Unit *u, const char *name, Span at)
{
    if (name == c->n_underscore) return true;
    Entry *e = scope_find(u->scope, name);
    if (e) {
        Diag *d = problem(c, DL_defined_twice, at, "`%s` is defined twice in this file", name);
        note(c, d, e->span, "it is first defined here");
        return false;
    }
    Value unbound = {.kind = V_UNBOUND};
    scope_set(c, u->scope, name, unbound, at);
    return true;
}

/* Every name of the file, in order: what paths are found by, and what is used too early is known for it. */
static void declare_names(Check *c, Unit *u)
{
    const Body *b = &u->file->body;
    for (uint32_t i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        switch (s->kind) {
        case ST_fn:     declare(c, u, s->fn->name, s->fn->name_span); break;
        case ST_module: declare(c, u, s->module->name, s->module->name_span); break;
        case ST_arg:    declare(c, u, s->decl.name, s->decl.name_span); break;
        case ST_import: if (s->import.as) declare(c, u, s->import.as, s->import.as_span); break;
        case ST_assign:
            for (uint32_t k = 0; k < s->assign.ntargets; k++)
                if (s->assign.target[k]->kind == EX_name) declare(c, u, s->assign.target[k]->name, s->assign.target[k]->span);
            break;
        default: break;
        }
    }
}

static void run_unit(Check *c, Unit *u)
{
    Scope *scope = c->scope, *define = c->define;
    Frame *outer = c->frame, frame = {.name = u->path, .direct = true};
    u->running = true;
    c->scope = c->define = u->scope;
    c->frame = &frame;
    const Body *b = &u->file->body;
    declare_names(c, u);
    for (uint32_t i = 0; i < b->n; i++)
        if (b->at[i]->kind == ST_import) run_import(c, u, b->at[i]);
    hoist(c, b);
    for (uint32_t i = 0; i < b->n && !c->exhausted; i++) {
        Stmt *s = b->at[i];
        Body one = {&s, 1, s->span};
        if (s->kind == ST_arg) run_arg(c, u, s);
        else if (s->kind != ST_import && s->kind != ST_fn && s->kind != ST_module) run_block(c, &one, false);
    }
    u->running = false;
    c->scope = scope;
    c->define = define;
    c->frame = outer;
    vec_push(c->a, &c->order, u);
    if (!u->library) lint_unit(c, u);
}

Unit *load_program(Check *c, const char *path, const char *text, size_t n)
{
    Unit *u = unit_new(c, path, NULL, text, n);
    map_set(c->units, path, strlen(path), u);
    c->program = u;
    if (!u->file) return NULL;
    u->scope = scope_new(c, scope_new(c, c->library));
    run_unit(c, u);
    return u;
}
