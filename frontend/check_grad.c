/* check_grad.c - gradients: grad becomes the IR's `grad`, which the autodiff pass expands; custom_grad and recompute
 * wrap a function so that its calls leave marks for that pass. In a train function the loss and each gradient of a param
 * are guarded: a call in which one is not finite fails and changes nothing.
 */
#include <string.h>

#include "frontend/check.h"

/* ---- guards ---------------------------------------------------------------------------------------------- */

static void guard(Check *c, Node *ok, const char *what, Span at)
{
    Node *condition = branch_condition(c);
    if (ok && condition) ok = node2(c, OP_or, ok, node1(c, OP_not, condition, at), at);   /* the branch that is not taken */
    if (ok) func_guard(c->func, ok, what, user_place(c, at));
}

/* The sum of squares is finite if all elements are (and it does not overflow); an optimizer that clips by norm needs it
 * anyway. */
static void guard_gradient(Check *c, Node *g, const char *path, Span at)
{
    Node *square = node2(c, OP_mul, g, g, at);
    uint32_t all = g->type->rank ? (uint32_t)((UINT64_C(1) << g->type->rank) - 1) : 0;
    Node *norm = square && all ? reduce_axes(c, RED_sum, square, all, false, at) : square;
    guard(c, norm ? node1(c, OP_isfinite, norm, at) : NULL, arena_printf(c->a, "the gradient of `%s`", path), at);
}

/* ---- grad -------------------------------------------------------------------------------------------------- */

/* Which nodes the loss was computed from. */
static bool *ancestors(Check *c, const Node *loss)
{
    bool *of = arena_array(c->a, bool, (size_t)loss->id + 1);
    of[loss->id] = true;
    for (uint32_t i = loss->id + 1; i-- > 0;)
        for (uint32_t k = 0; of[i] && k < c->func->body.nodes.at[i]->nargs; k++) of[c->func->body.nodes.at[i]->arg[k]->id] = true;
    return of;
}

/* The loss saw an earlier value of this param and not the present one. */
static bool stale(const Place *p, const Node *loss, const bool *ancestor)
{
    bool before = false;
    if (p->node->id <= loss->id && ancestor[p->node->id]) return false;
    for (uint32_t i = 0; i < p->earlier.n; i++) before |= p->earlier.at[i]->id <= loss->id && ancestor[p->earlier.at[i]->id];
    return before;
}

static Node *leaf_node(Check *c, Value v, const char *name, const Node *loss, const bool *ancestor, Span at)
{
    Node *n = as_node(c, v);
    if (!n) return NULL;
    if (!dtype_is_float(n->type->dtype)) {
        if (*name) fail(c, DL_gradient, at, "a gradient is taken by floats; the leaf `%s` is %s", name, type_text(c->a, n->type));
        else fail(c, DL_gradient, at, "a gradient is taken by floats; this is %s", type_text(c->a, n->type));
        return NULL;
    }
    if (v.kind != V_PLACE || bound_value(c, v.place) || !stale(v.place, loss, ancestor)) return n;
    Diag *d = problem(c, DL_gradient, at, "`%s` was changed after this loss was computed from it", v.place->param->path);
    note(c, d, n->span, "it was changed here; take the gradient before");
    return NULL;
}

Value bi_grad(Check *c, Call *k)
{
    Leaves of = {0};
    Span at = k->span;
    if (k->arg[0].kind == V_TENSOR && c->loop && k->arg[0].node->func != c->func)
        return fail(c, DL_gradient, k->at[0], "this loss was computed outside of the loop; take its gradient there");
    Node *loss = arg_tensor(c, k, 0);
    if (!loss) return v_error();
    if (loss->type->rank || !dtype_is_float(loss->type->dtype)) {
        Diag *d = problem(c, DL_gradient, k->at[0], "`grad`: the loss is a float scalar, not %s", type_text(c->a, loss->type));
        if (loss->type->rank) note(c, d, (Span){0}, "`mean` or `sum` makes one of it");
        return v_error();
    }
    if (func_outermost(c->func) == c->root) return fail(c, DL_gradient, at, "a gradient is taken in a call; there is none here");
    if (!tree_leaves(c, k->arg[1], k->at[1], &of)) return v_error();
    if (!of.at.n) {
        Diag *d = problem(c, DL_gradient, k->at[1], "there is nothing to take the gradient by: %s has no trainable param", kind_text(c, k->arg[1]));
        if (k->arg[1].kind == V_INSTANCE && k->arg[1].inst->view) note(c, d, (Span){0}, "`freeze` takes params out of it");
        return v_error();
    }
    if (!step(c, loss->id / 8, at)) return v_error();
    const bool *ancestor = ancestors(c, loss);
    Node **arg = arena_array(c->a, Node *, of.at.n + 1);
    bool params = false;
    arg[0] = loss;
    for (uint32_t i = 0; i < of.at.n; i++) {
        arg[i + 1] = leaf_node(c, of.at.at[i], of.name.at[i], loss, ancestor, k->at[1]);
        if (!arg[i + 1]) return v_error();
        params |= of.at.at[i].kind == V_PLACE;
    }
    Node *all = node(c, OP_grad, of.at.n + 1, arg, NULL, NULL, at);
    if (!all) return v_error();
    bool guarded = func_outermost(c->func)->train && params;
    if (guarded) guard(c, node1(c, OP_isfinite, loss, at), "the loss", at);
    Value *leaf = arena_array(c->a, Value, of.at.n);
    for (uint32_t i = 0; i < of.at.n; i++) {
        Attr attr = {.axis = i};
        Node *g = node(c, OP_get, 1, &all, &attr, NULL, at);
        if (!g) return v_error();
        leaf[i] = tensor_value(c, g);
        if (guarded && of.at.at[i].kind == V_PLACE) guard_gradient(c, g, of.at.at[i].place->param->path, at);
    }
    return tree_like(c, k->arg[1], leaf, at);
}

Value bi_stop_gradient(Check *c, Call *k)
{
    if (is_list(k->arg[0])) {
        Leaves l = {0};
        if (!tree_leaves(c, k->arg[0], k->span, &l)) return v_error();
        for (uint32_t i = 0; i < l.at.n; i++) l.at.at[i] = tensor_value(c, node1(c, OP_stop, as_node(c, l.at.at[i]), k->span));
        return tree_like(c, k->arg[0], l.at.at, k->span);
    }
    if (is_number(k->arg[0]) && k->arg[0].kind != V_WEAK) return k->arg[0];
    Node *x = arg_tensor(c, k, 0);
    return x ? tensor_value(c, node1(c, OP_stop, x, k->span)) : v_error();
}

/* ---- functions with a gradient of their own --------------------------------------------------------------------- */

static Value *kept(Check *c, Value v)
{
    Value *p = arena_new(c->a, Value);
    *p = v;
    return p;
}

Value bi_recompute(Check *c, Call *k)
{
    if (!is_callable(c, k->arg[0])) return bad_arg(c, k, 0, "a function or a layer");
    Closure *f = arena_new(c->a, Closure);
    f->recompute = kept(c, k->arg[0]);
    return (Value){.kind = V_FN, .fn = f};
}

static const Fn *plain_fn(Value v) { return v.kind == V_FN ? v.fn->fn : NULL; }

Value bi_custom_grad(Check *c, Call *k)
{
    for (uint32_t i = 0; i < 2; i++)
        if (!is_callable(c, k->arg[i])) return bad_arg(c, k, i, "a function");
    const Fn *of = plain_fn(k->arg[0]), *back = plain_fn(k->arg[1]);
    if (of && back && back->nparams != of->nparams + 2) {
        Diag *d = problem(c, DL_gradient, k->at[1], "`custom_grad`: the function has %u input%s, so `backward` takes %u arguments, not %u", of->nparams,
                          of->nparams == 1 ? "" : "s", of->nparams + 2, back->nparams);
        note(c, d, (Span){0}, "the inputs, the output, and the gradient by the output");
        return v_error();
    }
    Closure *f = arena_new(c->a, Closure);
    f->custom = kept(c, k->arg[0]);
    f->backward = kept(c, k->arg[1]);
    return (Value){.kind = V_FN, .fn = f};
}

static Value call_recompute(Check *c, const Closure *f, const Arguments *a)
{
    uint32_t outer = c->remat;
    if (!outer) c->remat = ++c->remats;                 /* inside another it is part of that one */
    Value v = call_value(c, *f->recompute, a, false);
    c->remat = outer;
    return v;
}

/* What backward gave for input i; NULL: reported. */
static Node *input_gradient(Check *c, Value backward, Value all, uint32_t i, uint32_t n, const Node *x, Span at)
{
    Value v = is_list(all) && n > 1 ? all.list->at[i] : is_list(all) && all.list->n == 1 ? all.list->at[0] : all;
    Node *d = is_poison(v) ? NULL : is_tensor(v) ? as_node(c, v) : is_number(v) ? number_as(c, v, x->type->dtype, at) : NULL;
    if (d && !d->type->rank) d = splat(c, d, x->type, at);
    if (d && d->type == x->type) return d;
    if (is_poison(v)) return NULL;
    Diag *problem_at = problem(c, DL_gradient, at, "`custom_grad`: the gradient by input %u has its type, %s; `backward` gives %s", i, type_text(c->a, x->type),
                               d ? type_text(c->a, d->type) : kind_text(c, v));
    if (plain_fn(backward)) note(c, problem_at, plain_fn(backward)->span, "`backward` is this");
    return NULL;
}

static Value call_custom(Check *c, const Closure *f, const Arguments *a)
{
    uint32_t n = a->n, floats = 0;
    Value *value = arena_array(c->a, Value, n + 2);
    Span *at = arena_array(c->a, Span, n + 2), *name_at = arena_array(c->a, Span, n + 2);
    const char **name = arena_array(c->a, const char *, n + 2);
    Node **arg = arena_array(c->a, Node *, 2 * (size_t)n + 2);
    for (uint32_t i = 0; i < n; i++) {
        if (a->name[i]) return fail(c, DL_unknown_keyword, a->name_at[i], "a function of `custom_grad` takes its inputs by position");
        Node *x = operand(c, a->value[i], a->at[i]);
        if (!x) return v_error();
        value[i] = tensor_value(c, x);
        at[i] = a->at[i];
    }
    Arguments call = {.span = a->span, .value = value, .name = name, .at = at, .name_at = name_at, .n = n};
    Value out = call_value(c, *f->custom, &call, false);
    if (is_poison(out)) return out;
    Node *y = operand(c, out, a->span);
    if (!y) return v_error();
    Node *hole = node(c, OP_hole, 0, NULL, NULL, y->type, a->span);
    if (!hole) return v_error();
    value[n] = tensor_value(c, y);
    value[n + 1] = tensor_value(c, hole);
    at[n] = at[n + 1] = a->span;
    call.n = n + 2;
    Value back = call_value(c, *f->backward, &call, false);
    if (is_poison(back)) return back;
    if (is_list(back) && back.list->n != n)
        return fail(c, DL_gradient, a->span, "`custom_grad`: the function has %u input%s; `backward` gives %u gradients", n, n == 1 ? "" : "s", back.list->n);
    arg[0] = y;
    arg[1] = hole;
    for (uint32_t i = 0; i < n; i++) {
        Node *x = value[i].node;
        if (!dtype_is_float(x->type->dtype)) continue;
        Node *d = input_gradient(c, *f->backward, back, i, n, x, a->span);
        if (!d) return v_error();
        arg[2 + 2 * floats] = x;
        arg[3 + 2 * floats++] = d;
    }
    return tensor_value(c, node(c, OP_custom, 2 + 2 * floats, arg, NULL, NULL, a->span));
}

Value call_wrapped(Check *c, const Closure *f, const Arguments *a)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (is_poison(a->value[i])) return a->value[i];
    return f->recompute ? call_recompute(c, f, a) : call_custom(c, f, a);
}
