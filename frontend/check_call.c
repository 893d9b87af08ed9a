/* check_call.c - calls: arguments to parameters, functions (evaluated anew, into the function being built),
 * modules (which make instances), instances (their forward), lists (their items in turn), dtypes (casts).
 */
#include <string.h>

#include "frontend/check.h"

/* ---- arguments to parameters ------------------------------------------------------------------------- */

/* What is given for each parameter; V_MISSING where nothing is. */
static bool place_arguments(Check *c, const char *name, const FnParam *param, uint32_t n, Span declared, const Arguments *a,
                            Value *value, Span *at)
{
    uint32_t next = 0;
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) value[i] = v_missing();
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t to = n;
        if (!a->name[i]) {
            if (next >= n) {
                Diag *d = problem(c, DL_too_many_arguments, a->at[i], "`%s` takes %u argument%s, not %u", name, n, n == 1 ? "" : "s", a->n);
                if (declared.file) note(c, d, declared, "it is defined here");
                return false;
            }
            to = next++;
        } else {
            for (to = 0; to < n && param[to].name != a->name[i]; to++) {}
            if (to == n) {
                const char **names = arena_array(c->a, const char *, n);
                for (uint32_t k = 0; k < n; k++) names[k] = param[k].name;
                Diag *d = problem(c, DL_unknown_keyword, a->name_at[i], "`%s` has no argument `%s`", name, a->name[i]);
                suggest(c, d, a->name[i], names, n);
                if (declared.file) note(c, d, declared, "it is defined here");
                ok = false;
                continue;
            }
            if (value[to].kind != V_MISSING) {
                fail(c, DL_duplicate_argument, a->name_at[i], "`%s` is given twice in this call of `%s`", a->name[i], name);
                ok = false;
                continue;
            }
        }
        value[to] = a->value[i];
        at[to] = a->at[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        if (value[i].kind != V_MISSING || param[i].value) continue;
        Diag *d = problem(c, DL_missing_argument, a->span, "this call of `%s` gives no `%s`", name, param[i].name);
        if (declared.file) note(c, d, param[i].span, "it is declared here");
        return false;
    }
    return ok;
}

/* Define the parameters in c->scope, in order: a default may use those before it. */
static bool define_parameters(Check *c, const char *name, const FnParam *param, uint32_t n, Value *value, Span *at, Rest *rest, Scope *into)
{
    for (uint32_t i = 0; i < n; i++) {
        const FnParam *p = &param[i];
        bool from_default = value[i].kind == V_MISSING;
        if (from_default) {
            value[i] = eval(c, p->value);
            at[i] = p->value->span;
            if (is_poison(value[i])) return false;
        }
        bool none_default = p->value && p->value->kind == EX_none && value[i].kind == V_NONE;
        if (!none_default && p->type) {
            const char *what = arena_printf(c->a, "argument `%s` of `%s`", p->name, name);
            if (!match_value(c, p->type, &value[i], rest, false, at[i], what)) return false;
        }
        scope_set(c, into, p->name, value[i], from_default ? at[i] : user_place(c, at[i]));      /* notes show the user's line */
    }
    return true;
}

/* ---- entering ------------------------------------------------------------------------------------------- */

/* A function that is reached again from itself through calls that name their function would never end. A value
 * that was passed in may be the same function again (a schedule around a schedule): depth bounds those. */
static bool may_enter(Check *c, const Frame *f)
{
    if (f->depth > MAX_CALLS) {
        fail(c, DL_too_deep, f->call, "calls are nested deeper than %d, in `%s`", MAX_CALLS, frame_name(c, f));
        return false;
    }
    if (!f->direct) return true;
    for (const Frame *g = c->frame; g; g = g->up) {
        if (g->decl && g->decl == f->decl && g->home == f->home) {
            if (f->module_body) fail(c, DL_recursion, f->call, "the module `%s` contains itself", f->name);
            else fail(c, DL_recursion, f->call, "`%s` calls itself: there is no recursion; `for` repeats", frame_name(c, f));
            return false;
        }
        if (!g->direct) break;
    }
    return true;
}

typedef struct Saved { Scope *scope, *define; Instance *self; Frame *frame; Place *initial; const View *view; bool training; } Saved;

static Saved save(const Check *c)
{
    return (Saved){c->scope, c->define, c->self, c->frame, c->initial, c->view, c->training};
}
static void restore(Check *c, Saved s)
{
    c->scope = s.scope;
    c->define = s.define;
    c->self = s.self;
    c->frame = s.frame;
    c->initial = s.initial;
    c->view = s.view;
    c->training = s.training;
}

/* ---- functions ---------------------------------------------------------------------------------------------- */

static bool check_facts(Check *c, const Fn *f, Span at)
{
    for (uint32_t i = 0; i < f->nfacts; i++) {
        const Expr *e = f->fact[i];
        Value v = eval(c, e);
        if (is_poison(v)) return false;
        if (v.kind == V_REL) {
            Dim *a = v.rel->a, *b = v.rel->b;
            require_fact(c, v.rel->rel, a, b, NULL, e->span);
        } else if (v.kind == V_BOOL) {
            if (v.b) continue;
            Diag *d = problem(c, DL_fact_broken, at, "`%s` needs %s, which does not hold", f->name ? f->name : "fn", text_of(c, e->span));
            note(c, d, e->span, "it is stated here");
            dim_origins(c, d, e);
            return false;
        } else {
            fail(c, DL_fact_broken, e->span, "a fact compares dims; this is %s", kind_text(c, v));
            return false;
        }
    }
    return true;
}

Value check_results(Check *c, const Fn *f, Value v, Rest *rest, Span at)
{
    const char *name = f->name ? f->name : "fn";
    if (!f->has_results || is_poison(v)) return v;
    if (f->nresults == 1) {
        if (v.kind == V_NONE) return fail(c, DL_no_value, f->span, "`%s` declares a result and returns nothing", name);
        const char *what = arena_printf(c->a, "result of `%s`", name);
        return match_value(c, f->result[0].type, &v, rest, true, at, what) ? v : v_error();
    }
    if (!is_list(v) || v.list->n != f->nresults) {
        Diag *d = problem(c, DL_unpack, at, "`%s` declares %u results; this is %s", name, f->nresults, kind_text(c, v));
        note(c, d, f->span, "they are declared here");
        return v_error();
    }
    List *l = list_new(c, f->nresults, at);
    if (!l) return v_error();
    l->name = arena_array(c->a, const char *, f->nresults);
    for (uint32_t i = 0; i < f->nresults; i++) {
        const FnResult *r = &f->result[i];
        l->name[i] = r->name;
        l->at[i] = v.list->at[i];
        const char *what = r->name ? arena_printf(c->a, "result `%s` of `%s`", r->name, name) : arena_printf(c->a, "result %u of `%s`", i, name);
        if (!match_value(c, r->type, &l->at[i], rest, true, at, what)) l->at[i] = v_error();
    }
    return v_tuple(l);
}

static Value run_function(Check *c, Frame *frame, const Fn *f, Value *value, Span *at)
{
    Rest rest = {0};
    const char *name = frame_name(c, frame);
    c->frame = frame->up;               /* what is wrong with arguments is the caller's fault */
    bool ok = define_parameters(c, name, f->param, f->nparams, value, at, &rest, c->scope) && check_facts(c, f, frame->call);
    if (!ok) return v_error();
    c->frame = frame;
    frame->result_at = f->span;
    Value v = run_block(c, &f->body, true);
    if (frame->done) v = frame->result;
    return check_results(c, f, v, &rest, frame->result_at);
}

static void enter_view(Check *c, const View *v)
{
    if (view_evaluates(v)) c->training = false;
    if (view_binds(v) && c->view != v) c->view = view_join(c, v, c->view);
}

static Value call_closure(Check *c, Closure *f, const Arguments *a, bool direct)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (is_poison(a->value[i])) return a->value[i];
    if (f->builtin) return call_builtin(c, f->builtin, a);
    if (f->recompute || f->custom) return call_wrapped(c, f, a);
    const Fn *fn = f->fn;
    Frame frame = {.up = c->frame, .name = fn->name ? fn->name : "fn", .decl = fn, .home = f->scope, .call = a->span,
                   .direct = direct && fn->name, .depth = c->frame ? c->frame->depth + 1 : 1};
    if (f->self && fn->name && scope_find(f->self->members, fn->name)) frame.of = f->self->module->decl->name;
    if (!may_enter(c, &frame)) return v_error();
    Value *value = arena_array(c->a, Value, fn->nparams + 1);
    Span *at = arena_array(c->a, Span, fn->nparams + 1);
    if (!place_arguments(c, frame_name(c, &frame), fn->param, fn->nparams, fn->name_span, a, value, at)) return v_error();
    Saved saved = save(c);
    c->scope = c->define = scope_new(c, f->scope);
    c->self = f->self;
    if (f->self && f->self->view) enter_view(c, f->self->view);
    Value v = run_function(c, &frame, fn, value, at);
    restore(c, saved);
    return v;
}

/* ---- modules -------------------------------------------------------------------------------------------------- */

static Value instantiate(Check *c, ModuleValue *m, const Arguments *a, bool direct)
{
    const ModuleDecl *decl = m->decl;
    for (uint32_t i = 0; i < a->n; i++)
        if (is_poison(a->value[i])) return a->value[i];
    if (c->func != c->root) {
        Diag *d = problem(c, DL_instance_at_run_time, a->span, "`%s(...)` makes an instance, with params of its own, inside a call", decl->name);
        note(c, d, (Span){0}, "make it once, at file level or in the body of a module, and use it here");
        return v_error();
    }
    Frame frame = {.up = c->frame, .name = decl->name, .decl = decl, .home = m->scope, .call = a->span, .direct = direct, .module_body = true,
                   .depth = c->frame ? c->frame->depth + 1 : 1};
    if (!may_enter(c, &frame)) return v_error();
    Value *value = arena_array(c->a, Value, decl->nparams + 1);
    Span *at = arena_array(c->a, Span, decl->nparams + 1);
    if (!place_arguments(c, decl->name, decl->param, decl->nparams, decl->name_span, a, value, at)) return v_error();
    Instance *inst = arena_new(c->a, Instance);
    inst->module = m;
    inst->members = scope_new(c, m->scope);
    inst->args = scope_new(c, inst->members);
    Saved saved = save(c);
    Rest rest = {0};
    c->scope = inst->args;
    c->define = inst->members;
    c->self = inst;
    c->initial = NULL;
    Value result = v_error();
    if (define_parameters(c, decl->name, decl->param, decl->nparams, value, at, &rest, inst->args)) {
        c->frame = &frame;
        run_block(c, &decl->body, false);
        result = frame.done && is_poison(frame.result) ? frame.result : (Value){.kind = V_INSTANCE, .inst = inst};
    }
    restore(c, saved);
    return result;
}

/* ---- everything that can be called ------------------------------------------------------------------------------ */

static Value call_list(Check *c, List *l, const Arguments *a)
{
    if (a->n != 1 || a->name[0]) return fail(c, DL_too_many_arguments, a->span, "a list of layers is called with one argument, not %u", a->n);
    Value v = a->value[0];
    for (uint32_t i = 0; i < l->n && !is_poison(v); i++) {
        if (!step(c, 1, a->span)) return v_error();
        v = call1(c, l->at[i], v, a->span);
    }
    return v;
}

static Value call_instance(Check *c, Instance *m, const Arguments *a, bool direct)
{
    Entry *e = scope_find(m->members, c->n_forward);
    if (e && is_poison(e->value)) return e->value;
    if (e && e->value.kind == V_FN) return call_closure(c, seen_through(c, m, e->value).fn, a, direct);
    Diag *d = problem(c, DL_no_forward, a->span, "the module `%s` has no `forward`, so its instances cannot be called", m->module->decl->name);
    if (m->module->decl->name_span.file) note(c, d, m->module->decl->name_span, "it is defined here");
    return v_error();
}

static Value call_type(Check *c, Type *t, const Arguments *a)
{
    if (t->rank) return fail(c, DL_not_callable, a->span, "the type %s cannot be called; a dtype can: it casts", type_text(c->a, t));
    if (a->n != 1 || a->name[0]) return fail(c, DL_too_many_arguments, a->span, "a cast takes one argument, not %u", a->n);
    return cast_value(c, a->value[0], t->dtype, a->span);
}

Value call_value(Check *c, Value f, const Arguments *a, bool direct)
{
    if (is_poison(f)) return f;
    if (c->nest >= MAX_NEST) return fail(c, DL_too_deep, a->span, "calls and expressions are nested deeper than %d", MAX_NEST);
    c->nest++;
    Value v;
    switch ((ValueKind)f.kind) {
    case V_FN:       v = call_closure(c, f.fn, a, direct); break;
    case V_MODULE:   v = instantiate(c, f.module, a, direct); break;
    case V_INSTANCE: v = call_instance(c, f.inst, a, direct); break;
    case V_LIST: case V_TUPLE: v = call_list(c, f.list, a); break;
    case V_TYPE:     v = call_type(c, f.type, a); break;
    default:         v = fail(c, DL_not_callable, a->span, "%s cannot be called", kind_text(c, f));
    }
    c->nest--;
    return v;
}

Value call1(Check *c, Value f, Value x, Span at)
{
    const char *no_name = NULL;
    Span nowhere = {0};
    Arguments a = {.span = at, .value = &x, .name = &no_name, .at = &at, .name_at = &nowhere, .n = 1};
    return call_value(c, f, &a, false);
}

Value eval_call_expr(Check *c, const Expr *e, const Value *piped, const Span *piped_at)
{
    Value f = eval(c, e->call.fn);
    uint32_t extra = piped != NULL, n = e->call.nargs + extra;
    Arguments a = {.span = e->span, .n = n};
    a.value = arena_array(c->a, Value, n + 1);
    a.name = arena_array(c->a, const char *, n + 1);
    a.at = arena_array(c->a, Span, n + 1);
    a.name_at = arena_array(c->a, Span, n + 1);
    if (piped) {
        a.value[0] = *piped;
        a.at[0] = *piped_at;
    }
    for (uint32_t i = extra; i < n; i++) {
        const Argument *arg = &e->call.arg[i - extra];
        a.name[i] = arg->name;
        a.name_at[i] = arg->name_span;
        a.value[i] = eval(c, arg->value);
        a.at[i] = arg->value->span;
    }
    ExprKind k = e->call.fn->kind;
    return call_value(c, f, &a, k == EX_name || k == EX_member || k == EX_self);
}
