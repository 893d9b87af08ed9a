/* check_export.c - exported functions: their signature becomes the arguments and dims of an IR function, their body
 * is evaluated into it.
 */
#include <string.h>

#include "frontend/check.h"

static bool reserved(const char *name)
{
#define RESERVED(x) if (!strcmp(name, #x)) return true;
#define RESERVED_PREFIX(x) if (!strncmp(name, #x, sizeof #x - 1)) return true;
#include "base/reserved.def"
#undef RESERVED
#undef RESERVED_PREFIX
    return false;
}

/* A name of the C function's parameters, which must all differ. */
static bool c_name(Check *c, Map *taken, const char *name, Span at, const char *what)
{
    if (map_get(taken, name, strlen(name))) {
        fail(c, DL_export_clash, at, "%s `%s` has the name of another parameter, dim or result of this function; in C all are arguments", what, name);
        return false;
    }
    map_set(taken, name, strlen(name), c);
    return true;
}

static bool declare_parameters(Check *c, const Fn *fn, Func *f, Map *taken)
{
    bool ok = true;
    for (uint32_t i = 0; i < fn->nparams; i++) {
        const FnParam *p = &fn->param[i];
        const char *what = arena_printf(c->a, "parameter `%s` of `%s`", p->name, fn->name);
        uint32_t dims = f->dims.n;
        if (p->value) {
            fail(c, DL_export_param, p->span, "%s: a parameter of an exported function has no default", what);
            scope_set(c, c->scope, p->name, v_error(), p->span);
            ok = false;
            continue;
        }
        if (p->type && !strcmp(p->type->name, "dim") && !p->type->brackets) {
            Dim *d = dim_sym(c->m, f, p->name);
            vec_push(c->a, &f->dims, d);
            scope_set(c, c->scope, p->name, dim_value_of(d), p->span);
            ok &= c_name(c, taken, p->name, p->span, "the dim");
            continue;
        }
        Type *t;
        if (!declare_type(c, p->type, f, what, &t)) {
            scope_set(c, c->scope, p->name, v_error(), p->span);
            ok = false;
            continue;
        }
        for (uint32_t k = dims; k < f->dims.n; k++) ok &= c_name(c, taken, dim_as_sym(f->dims.at[k])->name, p->type->span, "the dim");
        ok &= c_name(c, taken, p->name, p->span, "the parameter");
        Node *n = func_arg(f, ARG_INPUT, p->name, t, NULL, p->span);
        scope_set(c, c->scope, p->name, tensor_value(c, n), p->span);
    }
    return ok;
}

/* V_ERROR: reported. */
static Value add_result(Check *c, Func *f, const char *name, Value v, Span at, Map *taken)
{
    if (is_poison(v)) return v;
    if (!is_tensor(v) && !is_number(v) && v.kind != V_BOOL && v.kind != V_REL)
        return fail(c, DL_export_result, at, "the result `%s` of `%s` is %s; an exported function returns tensors", name, f->name, kind_text(c, v));
    Node *n = operand(c, v, at);
    if (!n || !c_name(c, taken, name, at, "the result")) return v_error();
    func_result(f, name, n, NULL);
    return v_none();
}

static Value add_results(Check *c, const Fn *fn, Func *f, Value v, Span at, Map *taken)
{
    if (is_poison(v)) return v;
    if (fn->has_results && fn->nresults == 1) return add_result(c, f, fn->result[0].name ? fn->result[0].name : "out", v, fn->result[0].span, taken);
    if (v.kind == V_NONE) return v;
    if (!is_list(v)) return add_result(c, f, "out", v, at, taken);
    Value poison = v_none();
    for (uint32_t i = 0; i < v.list->n; i++) {
        const char *name = fn->has_results ? fn->result[i].name : v.list->name ? v.list->name[i] : NULL;
        if (!name) {
            Diag *d = problem(c, DL_export_result, fn->has_results ? fn->result[i].span : at, "`%s` returns %u values; each needs a name", fn->name, v.list->n);
            note(c, d, (Span){0}, "as in `-> (loss: f32, accuracy: f32)`");
            return v_error();
        }
        Value r = add_result(c, f, name, v.list->at[i], fn->has_results ? fn->result[i].span : at, taken);
        if (is_poison(r) && poison.kind != V_ERROR) poison = r;
    }
    return poison;
}

static Value build(Check *c, const Fn *fn, Func *f)
{
    Map *taken = map_new(c->a);
    Frame frame = {.name = fn->name, .decl = fn, .home = c->program->scope, .direct = true, .depth = 1, .result_at = fn->span};
    c->scope = c->define = scope_new(c, c->program->scope);
    c->self = NULL;
    c->initial = NULL;
    c->training = fn->train;
    c->frame = NULL;
    if (!prepare_facts(c, fn, f) || !declare_parameters(c, fn, f, taken)) return v_error();
    c->frame = &frame;
    Value v = run_block(c, &fn->body, true);
    if (frame.done) v = frame.result;
    c->frame = NULL;
    Rest rest = {0};
    v = check_results(c, fn, v, &rest, frame.result_at);
    v = add_results(c, fn, f, v, frame.result_at, taken);
    return v;
}

static void compile_export(Check *c, const Fn *fn)
{
    uint32_t errors = c->d->errors;
    if (reserved(fn->name)) {
        fail(c, DL_export_reserved, fn->name_span, "`%s` is the name of one of the artefact's own functions; export it under another name", fn->name);
        return;
    }
    Func *f = func_new(c->m, fn->name, fn->name_span);
    f->exported = true;
    f->train = fn->train;
    f->doc = fn->doc;
    begin_func(c, f);
    Value v = build(c, fn, f);
    c->training = false;
    if (!is_poison(v) && c->d->errors == errors) {
        add_effects(c, f);
        prune(c, f);
        mark_indices(c, f);
        return;
    }
    c->m->funcs.n--;
    if (!c->d->errors) fail(c, DL_operator_rule, fn->name_span, "`%s` cannot be compiled", fn->name);     /* an error nobody reported */
}

void compile_exports(Check *c)
{
    const Body *b = &c->program->file->body;
    const char **names = arena_array(c->a, const char *, b->n + 1);
    uint32_t n = 0;
    bool found = false;
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->at[i]->kind != ST_fn || !b->at[i]->fn->exported) continue;
        const Fn *fn = b->at[i]->fn;
        names[n++] = fn->name;
        if (c->o && c->o->only && strcmp(c->o->only, fn->name)) continue;
        found = true;
        if (c->exhausted) break;
        compile_export(c, fn);
    }
    if (!n) {
        diag_error(c->d, DL_no_exports, (Span){c->program->source, 0, 0}, "nothing is exported: there is nothing to compile");
    } else if (!found && !c->exhausted) {
        Diag *d = diag_error(c->d, DL_unknown_export, (Span){c->program->source, 0, 0}, "there is no exported function `%s`", c->o->only);
        const char *near = nearest(c->o->only, names, n);
        if (near) diag_note(c->d, d, (Span){0}, "did you mean `%s`?", near);
    }
}
