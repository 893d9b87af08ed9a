/* generate_map.c - random operators of one value a point. In approximate mode their values stay of order 1 and away from poles. */
#include "tests/random/generate.h"

static const Span none;

/* x^2 + 1 */
static Node *above_one(Gen *g, Node *x)
{
    Node *one = ir_splat(g->f, scalar(g, x->type->dtype, 1), x->type, none);
    return ir_binary(g->f, OP_add, ir_binary(g->f, OP_mul, x, x, none), one, none);
}

static Node *unary(Gen *g)
{
    static const Op exact[] = {OP_neg, OP_abs, OP_sign, OP_neg, OP_abs}, step[] = {OP_floor, OP_ceil, OP_round};
    Node *x = pick_number(g);
    if (!x) return NULL;
    if (dtype_is_float(x->type->dtype) && below(g, 5) == 0) return ir_unary(g->f, step[below(g, 3)], x, none);
    return ir_unary(g->f, exact[below(g, COUNT(exact))], x, none);
}

static Node *smooth(Gen *g)
{
    static const Op bounded[] = {OP_tanh, OP_sigmoid, OP_sin, OP_cos, OP_erf}, growing[] = {OP_exp, OP_expm1}, roots[] = {OP_sqrt, OP_log, OP_rsqrt, OP_log1p};
    Node *x = pick_float(g);
    if (!x || g->exact) return NULL;
    switch (below(g, 4)) {
    case 0: return ir_unary(g->f, growing[below(g, 2)], ir_unary(g->f, OP_tanh, x, none), none);
    case 1: return ir_unary(g->f, roots[below(g, COUNT(roots))], above_one(g, x), none);
    default: return ir_unary(g->f, bounded[below(g, COUNT(bounded))], x, none);
    }
}

static Node *binary(Gen *g)
{
    static const Op op[] = {OP_add, OP_sub, OP_mul, OP_max, OP_min, OP_floordiv, OP_mod};
    Node *x = pick_number(g), *y = x ? like(g, x->type) : NULL;
    return y ? ir_binary(g->f, op[below(g, g->exact || !dtype_is_float(x->type->dtype) ? COUNT(op) : 5)], x, y, none) : NULL;
}

static Node *quotient(Gen *g)
{
    Node *x = pick_float(g), *y = x ? like(g, x->type) : NULL;
    if (!y) return NULL;
    if (g->exact) {
        Node *two = ir_splat(g->f, scalar(g, x->type->dtype, below(g, 2) ? 2 : -4), x->type, none);
        return ir_binary(g->f, OP_div, x, two, none);
    }
    if (below(g, 3) == 0) return ir_binary(g->f, OP_pow, above_one(g, x), ir_unary(g->f, OP_tanh, y, none), none);
    return ir_binary(g->f, OP_div, x, above_one(g, y), none);
}

static Node *comparison(Gen *g)
{
    static const Op op[] = {OP_eq, OP_ne, OP_lt, OP_le, OP_gt, OP_ge};
    Node *x = pick(g), *y = like(g, x->type);
    return y ? ir_binary(g->f, op[below(g, x->type->dtype == DT_bool ? 2 : COUNT(op))], x, y, none) : NULL;
}

static Node *logic(Gen *g)
{
    Node *x = pick_bool(g), *y = x ? like(g, x->type) : NULL;
    if (!y) return NULL;
    if (below(g, 3) == 0) return ir_unary(g->f, OP_not, x, none);
    return ir_binary(g->f, below(g, 2) ? OP_and : OP_or, x, y, none);
}

static Node *selection(Gen *g)
{
    Node *x = pick(g), *y = like(g, x->type), *c = like(g, type_with_dtype(g->m, x->type, DT_bool));
    if (!y || !c) return NULL;
    return ir_node(g->f, OP_select, 3, (Node *[]){c, x, y}, NULL, NULL, none);
}

/* By position, as causal masks are. */
static Node *masked(Gen *g)
{
    Node *x = pick(g), *y = like(g, x->type), *k;
    if (!x->type->rank || !y) return NULL;
    Type *t = type_with_dtype(g->m, x->type, DT_i32);
    Attr axis = {.axis = below(g, x->type->rank)}, other = {.axis = below(g, x->type->rank)};
    Node *i = ir_node(g->f, OP_iota, 0, NULL, &axis, t, none);
    if (below(g, 2)) k = ir_node(g->f, OP_iota, 0, NULL, &other, t, none);
    else k = ir_splat(g->f, scalar(g, DT_i32, 1 + below(g, 3)), t, none);
    return ir_node(g->f, OP_select, 3, (Node *[]){ir_binary(g->f, below(g, 2) ? OP_lt : OP_ge, i, k, none), x, y}, NULL, NULL, none);
}

static Node *conversion(Gen *g)
{
    static const DType to[] = {DT_f32, DT_f64, DT_i32, DT_i64, DT_u8, DT_bool};
    Node *x = pick(g);
    if (!g->exact && dtype_is_float(x->type->dtype)) return ir_cast(g->f, x, x->type->dtype == DT_f32 ? DT_f64 : DT_f32, none);
    return ir_cast(g->f, x, to[below(g, COUNT(to))], none);
}

static Node *finite(Gen *g)
{
    Node *x = pick_float(g);
    return x ? ir_unary(g->f, OP_isfinite, x, none) : NULL;
}

static Node *stopped(Gen *g)
{
    Node *x = pick(g);
    return ir_node(g->f, OP_stop, 1, &x, &(Attr){0}, NULL, none);
}

/* A dim as a number, and a draw: values that no operand gives. */
static Node *sourced(Gen *g)
{
    Node *x = pick_number(g);
    if (!x) return NULL;
    if (below(g, 2)) {
        Attr dim = {.dim = g->dim[below(g, 2)]};
        Node *d = ir_cast(g->f, ir_node(g->f, OP_dim, 0, NULL, &dim, NULL, none), x->type->dtype, none);
        if (!g->exact && dtype_is_float(x->type->dtype)) d = ir_unary(g->f, OP_sin, d, none);
        return ir_binary(g->f, OP_add, x, ir_splat(g->f, d, x->type, none), none);
    }
    Attr stream = {.rng = {below(g, 3)}};
    DType t = dtype_is_float(x->type->dtype) && !g->exact ? x->type->dtype : DT_i32;
    Node *draw = ir_node(g->f, OP_rng, 2, (Node *[]){scalar(g, DT_i64, below(g, 3)), scalar(g, DT_i64, below(g, 3))}, &stream, type_with_dtype(g->m, x->type, t), none);
    if (t != DT_i32) return ir_binary(g->f, OP_mul, x, draw, none);
    Node *half = ir_splat(g->f, scalar(g, DT_i32, 0), draw->type, none);
    return ir_node(g->f, OP_select, 3, (Node *[]){ir_binary(g->f, OP_lt, draw, half, none), x, like(g, x->type)}, NULL, NULL, none);
}

MakeNode *const make_map[] = {unary, smooth, smooth, binary, binary, binary, quotient, comparison, logic, selection, masked, conversion, finite, stopped, sourced, NULL};
