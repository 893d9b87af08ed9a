/* check_stmt.c - statements. Blocks do not open scopes: what a kept branch or an unrolled loop binds lives on.
 */
#include <string.h>

#include "frontend/check.h"

/* Stop the function (or module body) with this value. */
static void stop(Check *c, Value v)
{
    if (!c->frame || c->frame->done) return;
    c->frame->done = true;
    c->frame->result = v;
}

static bool at_file_level(const Check *c) { return !c->frame || !c->frame->decl; }

/* Functions and modules can be used above their definition. */
void hoist(Check *c, const Body *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == ST_fn) {
            Closure *f = arena_new(c->a, Closure);
            *f = (Closure){.fn = s->fn, .scope = c->scope, .self = c->self};
            scope_set(c, c->define, s->fn->name, (Value){.kind = V_FN, .fn = f}, s->fn->name_span);
        } else if (s->kind == ST_module) {
            ModuleValue *m = arena_new(c->a, ModuleValue);
            *m = (ModuleValue){.decl = s->module, .scope = c->scope};
            scope_set(c, c->define, s->module->name, (Value){.kind = V_MODULE, .module = m}, s->module->name_span);
        }
    }
}

/* ---- bindings ------------------------------------------------------------------------------------------ */

static void bind(Check *c, const Expr *target, Value v, const char *as)
{
    if (target->kind != EX_name) {
        fail(c, DL_bad_target, target->span, "`=` binds names; `%s` is none", text_of(c, target->span));
        return;
    }
    if (target->name == c->n_underscore) return;
    bool lost;
    Entry *e = scope_bound(c->define, target->name, &lost);
    if (e && lost) {
        Diag *d = problem(c, DL_loop, target->span, "`%s` is bound outside of this loop and not carried: its value would be lost", target->name);
        note(c, d, e->span, "it is bound here");
        note(c, d, (Span){0}, "`with %s = %s` carries it from iteration to iteration; or choose another name", target->name, target->name);
        return;
    }
    e = scope_set(c, c->define, target->name, v, target->span);
    e->loop = false;
    if (as) e->as = as;
}

static void run_assign(Check *c, const Stmt *s)
{
    uint32_t nt = s->assign.ntargets, nv = s->assign.nvalues;
    Value *v = arena_array(c->a, Value, nt > nv ? nt : nv);
    if (nv == 1) {
        Value all = eval(c, s->assign.value[0]);
        if (all.kind == V_NONE && s->assign.value[0]->kind == EX_call)
            all = fail(c, DL_no_value, s->assign.value[0]->span, "`%s` has no value to bind", text_of(c, s->assign.value[0]->span));
        if (nt == 1) v[0] = all;
        else if (!unpack(c, all, nt, s->span, v))
            for (uint32_t i = 0; i < nt; i++) v[i] = v_error();
    } else {
        for (uint32_t i = 0; i < nv; i++) v[i] = eval(c, s->assign.value[i]);
        if (nt != nv) {
            fail(c, DL_unpack, s->span, "%u names for %u values", nt, nv);
            for (uint32_t i = 0; i < nt; i++) v[i] = v_error();
        }
    }
    for (uint32_t i = 0; i < nt; i++) {
        const Expr *t = s->assign.target[i];
        if (s->assign.type) {
            Rest rest = {0};
            const char *what = arena_printf(c->a, "`%s`", text_of(c, t->span));
            if (!match_value(c, s->assign.type, &v[i], &rest, false, nv == nt ? s->assign.value[i]->span : s->span, what)) v[i] = v_error();
        }
        bind(c, t, snapshot(c, v[i]), s->assign.as);
    }
}

/* ---- params and states ------------------------------------------------------------------------------------ */

static void run_place(Check *c, const Stmt *s)
{
    Entry *e = scope_find(c->define, s->decl.name);
    if (e && e->value.kind == V_PLACE) {
        Diag *d = problem(c, DL_defined_twice, s->decl.name_span, "`%s` is defined twice in this module", s->decl.name);
        note(c, d, e->span, "it is first defined here");
        return;
    }
    Value v = declare_place(c, s);
    e = scope_set(c, c->define, s->decl.name, v, s->decl.name_span);
    if (s->decl.as) e->as = s->decl.as;
}

/* ---- control ------------------------------------------------------------------------------------------------- */

static void run_for(Check *c, const Stmt *s)
{
    List *in;
    Value v = eval(c, s->loop.in);
    if (!iterate(c, v, s->loop.in->span, &in)) {
        if (!at_file_level(c)) stop(c, is_poison(v) ? v : v_error());
        return;
    }
    for (uint32_t i = 0; i < in->n; i++) {
        if (!step(c, 1, s->span)) return;
        bind_names(c, s->loop.names, s->loop.name_spans, s->loop.nnames, in->at[i], s->loop.in->span, c->define, true);
        run_block(c, &s->loop.body, false);
        if (c->exhausted || (c->frame && c->frame->done)) return;
    }
}

static void run_return(Check *c, const Stmt *s)
{
    Value v = s->values.n ? eval_exprs(c, s->values.at, s->values.n, s->span) : v_none();
    c->frame->result_at = s->span;
    if (s->values.n == 1) c->frame->result_at = s->values.at[0]->span;
    stop(c, v);
}

static Value run_expr(Check *c, const Stmt *s, bool last, bool want_value)
{
    const Expr *e = s->values.at[0];
    bool is_if = s->values.n == 1 && e->kind == EX_if && !e->brackets;
    Value v;
    if (is_if) v = eval_if(c, e, last && want_value && e->cond.has_else);
    else v = eval_exprs(c, s->values.at, s->values.n, s->span);
    if (c->frame && c->frame->done) return v_none();
    if (v.kind == V_ERROR && is_if) {
        if (!at_file_level(c)) stop(c, v);              /* an effect that would not happen */
        return v;
    }
    if (last && want_value) {
        if (c->frame) c->frame->result_at = s->span;
        return v;
    }
    if (!is_poison(v) && v.kind != V_NONE && !is_if) {
        Diag *d = problem(c, DL_unused_value, s->span, "this value, %s, is not used", kind_text(c, v));
        if (e->kind == EX_binary && e->bin.op == BIN_eq && e->bin.a->kind == EX_name) note(c, d, (Span){0}, "`==` compares; `=` binds");
        else if (e->kind == EX_unary && e->un.op == UN_neg) note(c, d, (Span){0}, "a line that starts with `-` starts a statement");
        else note(c, d, (Span){0}, "bind it to a name, `return` it, or leave it out");
    }
    return v_none();
}

Value run_block(Check *c, const Body *b, bool want_value)
{
    Value value = v_none();
    hoist(c, b);
    for (uint32_t i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (!step(c, 1, s->span)) return v_error();
        switch (s->kind) {
        case ST_assign: run_assign(c, s); break;
        case ST_expr: value = run_expr(c, s, i + 1 == b->n, want_value); break;
        case ST_return: run_return(c, s); break;
        case ST_for: run_for(c, s); break;
        case ST_param: case ST_state: run_place(c, s); break;
        case ST_update: run_update(c, s); break;
        case ST_fn: case ST_module: break;              /* hoisted */
        case ST_yield: set_yield(c, eval_exprs(c, s->values.at, s->values.n, s->span)); break;
        case ST_import: case ST_arg: break;             /* the parser has refused them in such places */
        }
        if (c->frame && c->frame->done) return v_none();
    }
    return value;
}
