/* check_expr.c - evaluating expressions. Operators are in check_arith.c, calls in check_call.c, x[...] in
 * check_index.c.
 */
#include <string.h>

#include "frontend/check.h"

static bool truth(Check *c, Value v, Span at, bool *result)
{
    (void)c;
    if (v.kind == V_BOOL) {
        *result = v.b;
        return true;
    }
    if (is_poison(v)) return false;
    fail(c, DL_condition, at, "a condition is a bool, not %s", kind_text(c, v));
    return false;
}

bool iterate(Check *c, Value v, Span at, List **out)
{
    if (is_list(v)) {
        *out = v.list;
        return true;
    }
    if (is_poison(v)) return false;
    Diag *d = problem(c, DL_not_compile_time, at, "`for` goes over lists, not over %s", kind_text(c, v));
    if (is_tensor(v)) note(c, d, (Span){0}, "`scan` goes along the first axis of a tensor");
    else if (is_whole(v)) note(c, d, (Span){0}, "`range(%s)` counts", value_text(c, v));
    return false;
}

/* ---- unpacking -------------------------------------------------------------------------------------- */

bool unpack(Check *c, Value v, uint32_t n, Span at, Value *out)
{
    if (is_poison(v)) {
        for (uint32_t i = 0; i < n; i++) out[i] = v;
        return true;
    }
    if (is_list(v)) {
        if (v.list->n == n) {
            for (uint32_t i = 0; i < n; i++) out[i] = v.list->at[i];
            return true;
        }
        fail(c, DL_unpack, at, "%u names for %s", n, kind_text(c, v));
        return false;
    }
    Node *x = is_tensor(v) ? as_node(c, v) : NULL;
    if (!x) {
        fail(c, DL_unpack, at, "%u names for %s; only tuples, lists and tensors can be taken apart", n, kind_text(c, v));
        return false;
    }
    int64_t length;
    if (!x->type->rank || !dim_is_const(x->type->dim[0], &length) || length != n) {
        Diag *d = problem(c, DL_unpack, at, "%u names for %s, which is taken apart along its first axis", n, type_text(c->a, x->type));
        if (x->span.file) note(c, d, x->span, "the tensor comes from here");
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        Node *part = slice_axis(c, x, 0, dim_const(c->m, i), dim_const(c->m, 1), 1, at);
        out[i] = tensor_value(c, part ? drop_axis(c, part, 0, at) : NULL);
    }
    return true;
}

bool bind_names(Check *c, const char *const *names, const Span *spans, uint32_t n, Value v, Span at, Scope *s, bool loop)
{
    Value one, *parts = n == 1 ? &one : arena_array(c->a, Value, n);
    one = v;
    if (n > 1 && !unpack(c, v, n, at, parts))
        for (uint32_t i = 0; i < n; i++) parts[i] = v_error();
    for (uint32_t i = 0; i < n; i++) {
        if (names[i] == c->n_underscore) continue;
        scope_set(c, s, names[i], parts[i], spans[i])->loop = loop;
    }
    return true;
}

/* ---- members ------------------------------------------------------------------------------------------ */

static Value shape_list(Check *c, Type *t, Span at)
{
    List *l = list_new(c, t->rank, at);
    for (uint32_t i = 0; l && i < t->rank; i++) l->at[i] = dim_value_of(t->dim[i]);
    return l ? v_list(l) : v_error();
}

static Value type_member(Check *c, Value x, Type *t, const char *name, Span at, Span name_at)
{
    if (!strcmp(name, "shape")) return shape_list(c, t, at);
    if (!strcmp(name, "rank")) return v_int(t->rank);
    if (!strcmp(name, "dtype")) return v_type(type_scalar(c->m, t->dtype));
    if (x.kind == V_PLACE && !strcmp(name, "name")) return v_string(x.leaf ? x.leaf : x.place->param->path ? x.place->param->path : "");
    Diag *d = problem(c, DL_unknown_member, name_at, "%s has no member `%s`", kind_text(c, x), name);
    static const char *const members[] = {"shape", "rank", "dtype", "name"};
    uint32_t n = x.kind == V_PLACE ? 4 : 3;
    if (x.kind == V_TENSOR && !strcmp(name, "name")) note(c, d, (Span){0}, "a param or state has one, as a leaf of `leaves(...)` or an argument; a name bound with `=` is a value");
    else if (nearest(name, members, n)) suggest(c, d, name, members, n);
    else if (builtin_find(name)) note(c, d, (Span){0}, "`%s` is a function: write `%s(x)`, or `x |> %s`", name, name, name);
    return v_error();
}

static Value no_member(Check *c, const char *of, const char *name, Span name_at, const char *const *names, uint32_t n)
{
    Diag *d = problem(c, DL_unknown_member, name_at, "%s has no member `%s`", of, name);
    suggest(c, d, name, names, n);
    return v_error();
}

/* m.name: the members, functions and arguments of an instance. */
static Value instance_member(Check *c, Value x, const char *name, Span name_at, bool self)
{
    Instance *m = x.inst;
    Entry *e = scope_find(m->members, name);
    if (!e && !self) e = scope_find(m->args, name);
    if (e) return seen_through(c, m, e->value);
    const char **names;
    uint32_t n = scope_names(c, m->members, false, &names);
    Diag *d = problem(c, DL_unknown_member, name_at, "the instance of `%s` has no member `%s`", m->module->decl->name, name);
    if (scope_find(m->args, name)) note(c, d, (Span){0}, "`%s` is an argument of the module: write it without `self.`", name);
    else suggest(c, d, name, names, n);
    return v_error();
}

/* The part of a tree made of a module that belongs to its submodule `name`: the leaves named "name.*". */
static Value leaves_below(Check *c, const List *tree, const char *name, Span at)
{
    size_t length = strlen(name);
    VEC(Value) leaf = {0};
    VEC(const char *) names = {0};
    for (uint32_t i = 0; tree->name && i < tree->n; i++) {
        if (!tree->name[i] || strncmp(tree->name[i], name, length) || tree->name[i][length] != '.') continue;
        vec_push(c->a, &leaf, tree->at[i]);
        vec_push(c->a, &names, tree->name[i] + length + 1);
    }
    if (!leaf.n) return v_none();
    List *l = list_new(c, 0, at);
    if (!l) return v_error();
    *l = (List){.at = leaf.at, .n = leaf.n, .name = names.at};
    return v_list(l);
}

static Value member_of(Check *c, Value x, const char *name, Span at, Span name_at)
{
    switch ((ValueKind)x.kind) {
    case V_ERROR: return x;
    case V_TENSOR: return type_member(c, x, x.node->type, name, at, name_at);
    case V_PLACE:  return type_member(c, x, x.place->param->type, name, at, name_at);
    case V_TYPE:   return type_member(c, x, x.type, name, at, name_at);
    case V_INSTANCE: return instance_member(c, x, name, name_at, false);
    case V_TUPLE: case V_LIST:
        for (uint32_t i = 0; x.list->name && i < x.list->n; i++)
            if (x.list->name[i] && !strcmp(x.list->name[i], name)) return x.list->at[i];
        Value below = leaves_below(c, x.list, name, at);
        if (below.kind != V_NONE) return below;
        return no_member(c, kind_text(c, x), name, name_at, x.list->name, x.list->name ? x.list->n : 0);
    case V_NAMESPACE: {
        Entry *e = scope_find(x.unit->scope, name);
        if (e && name[0] == '_') return fail(c, DL_private_name, name_at, "`%s` stays in its file: its name starts with `_`", name);
        if (e && e->value.kind != V_UNBOUND) return e->value;
        const char **names;
        uint32_t n = scope_names(c, x.unit->scope, false, &names);
        return no_member(c, kind_text(c, x), name, name_at, names, n);
    }
    default:
        return fail(c, DL_unknown_member, name_at, "%s has no members", kind_text(c, x));
    }
}

/* ---- if --------------------------------------------------------------------------------------------------- */

Value eval_if(Check *c, const Expr *e, bool want_value)
{
    bool yes;
    Value v = eval(c, e->cond.cond);
    Node *decided = v.kind == V_REL || is_tensor(v) ? operand(c, v, e->cond.cond->span) : NULL;
    if (decided && decided->type->dtype == DT_bool && !decided->type->rank) return eval_branches(c, e, decided, want_value);
    if (!truth(c, v, e->cond.cond->span, &yes)) return is_poison(v) ? v : v_error();
    if (yes) return run_block(c, &e->cond.then, want_value);
    if (e->cond.has_else) return run_block(c, &e->cond.other, want_value);
    if (want_value) return fail(c, DL_no_value, e->span, "an `if` used as a value needs its `else`");
    return v_none();
}

/* ---- lists -------------------------------------------------------------------------------------------------- */

static Value eval_items(Check *c, const Expr *e)
{
    List *l = list_new(c, e->items.n, e->span);
    if (!l) return v_error();
    for (uint32_t i = 0; i < l->n; i++) {
        l->at[i] = eval(c, e->items.at[i]);
        if (is_poison(l->at[i])) return l->at[i];
    }
    return e->kind == EX_tuple ? v_tuple(l) : v_list(l);
}

static Value eval_comprehension(Check *c, const Expr *e)
{
    List *in;
    Value source = eval(c, e->comp.in);
    if (!iterate(c, source, e->comp.in->span, &in)) return is_poison(source) ? source : v_error();
    Scope *scope = c->scope, *define = c->define;
    VEC(Value) out = {0};
    Value poison = v_none();
    for (uint32_t i = 0; i < in->n && poison.kind == V_NONE; i++) {
        if (!step(c, 1, e->span)) { poison = v_error(); break; }
        c->scope = c->define = scope_new(c, scope);
        bind_names(c, e->comp.names, e->comp.name_spans, e->comp.nnames, in->at[i], e->comp.in->span, c->scope, true);
        bool keep = true;
        if (e->comp.cond) {
            Value v = eval(c, e->comp.cond);
            if (!truth(c, v, e->comp.cond->span, &keep)) { poison = is_poison(v) ? v : v_error(); break; }
        }
        if (!keep) continue;
        Value v = eval(c, e->comp.value);
        if (is_poison(v)) poison = v;
        else vec_push(c->a, &out, v);
    }
    c->scope = scope;
    c->define = define;
    if (poison.kind != V_NONE) return poison;
    List *l = list_new(c, 0, e->span);
    if (!l) return v_error();
    l->at = out.at;
    l->n = out.n;
    return v_list(l);
}

Value eval_exprs(Check *c, Expr *const *e, uint32_t n, Span at)
{
    if (n == 1) return eval(c, e[0]);
    List *l = list_new(c, n, at);
    for (uint32_t i = 0; l && i < n; i++) l->at[i] = eval(c, e[i]);
    return l ? v_tuple(l) : v_error();
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

static Value eval_binary(Check *c, const Expr *e)
{
    Value a = eval(c, e->bin.a);
    if ((e->bin.op == BIN_and || e->bin.op == BIN_or) && a.kind == V_BOOL && a.b == (e->bin.op == BIN_or)) return a;
    Value b = eval(c, e->bin.b);
    return binary(c, e->bin.op, a, b, e->span, e->bin.a->span, e->bin.b->span);
}

static Value eval_pipe(Check *c, const Expr *e)
{
    const Expr *right = e->bin.b;
    Value x = eval(c, e->bin.a);
    if (right->kind == EX_call && !right->brackets) return eval_call_expr(c, right, &x, &e->bin.a->span);
    Value f = eval(c, right);
    Arguments a = {.span = e->span, .value = &x, .name = &(const char *){NULL}, .at = (Span *)&e->bin.a->span, .name_at = &(Span){0}, .n = 1};
    return call_value(c, f, &a, right->kind == EX_name || right->kind == EX_member);
}

static Value eval_member(Check *c, const Expr *e)
{
    if (e->member.x->kind == EX_self && c->self)
        return instance_member(c, (Value){.kind = V_INSTANCE, .inst = c->self}, e->member.name, e->op_span, true);
    Value x = eval(c, e->member.x);
    return member_of(c, x, e->member.name, e->span, e->op_span);
}

static Value eval_fn(Check *c, const Expr *e)
{
    Closure *f = arena_new(c->a, Closure);
    *f = (Closure){.fn = e->fn, .scope = c->scope, .self = c->self};
    return (Value){.kind = V_FN, .fn = f};
}

static Value eval_self(Check *c, const Expr *e)
{
    if (c->self) return (Value){.kind = V_INSTANCE, .inst = c->self};
    return fail(c, DL_unknown_name, e->span, "`self` is the instance a module's code runs in; there is none here");
}

static Value eval_kind(Check *c, const Expr *e)
{
    switch (e->kind) {
    case EX_int:    return v_int(e->i);
    case EX_float:  return v_float(e->f);
    case EX_string: return v_string(e->name);
    case EX_true:   return v_bool(true);
    case EX_false:  return v_bool(false);
    case EX_none:   return v_none();
    case EX_self:   return eval_self(c, e);
    case EX_name:   return lookup_name(c, e->name, e->span);
    case EX_tuple: case EX_list: return eval_items(c, e);
    case EX_comprehension: return eval_comprehension(c, e);
    case EX_type:   return eval_type(c, e->type);
    case EX_unary: {
        Value x = eval(c, e->un.x);
        return unary(c, e->un.op, x, e->span);
    }
    case EX_binary: return eval_binary(c, e);
    case EX_pipe:   return eval_pipe(c, e);
    case EX_call:   return eval_call_expr(c, e, NULL, NULL);
    case EX_index:  return eval_index(c, e);
    case EX_member: return eval_member(c, e);
    case EX_if:     return eval_if(c, e, true);
    case EX_scan: case EX_while: return eval_loop_expr(c, e);
    case EX_fn:     return eval_fn(c, e);
    }
    return v_error();
}

Value eval(Check *c, const Expr *e)
{
    if (!step(c, 1, e->span)) return v_error();
    if (c->nest >= MAX_NEST) return fail(c, DL_too_deep, e->span, "calls and expressions are nested deeper than %d", MAX_NEST);
    c->nest++;
    Value v = eval_kind(c, e);
    c->nest--;
    if (v.kind == V_MISSING) v = v_none();
    return v;
}
