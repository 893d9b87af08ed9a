/* gradients_map.c - gradients of elementwise operators, and the shorthands of gradients.h. */
#include "passes/gradients.h"

#include <math.h>

/* ---- shorthands ------------------------------------------------------------------------------------------------- */

Node *g_unary(Grad *g, Op op, Node *x) { return ir_unary(g->f, op, x, g->y->span); }
Node *g_binary(Grad *g, Op op, Node *a, Node *b) { return ir_binary(g->f, op, a, b, g->y->span); }
Node *g_number(Grad *g, double v, Type *t) { return t ? ir_splat(g->f, ir_scalar(g->f, t->dtype, v, g->y->span), t, g->y->span) : NULL; }
Node *g_zeros(Grad *g, Type *t) { return g_number(g, 0, t); }
Node *g_scale(Grad *g, Node *x, double v) { return x ? g_binary(g, OP_mul, x, g_number(g, v, x->type)) : NULL; }
Node *g_select(Grad *g, Node *c, Node *a, Node *b) { return ir_node(g->f, OP_select, 3, (Node *[]){c, a, b}, NULL, NULL, g->y->span); }
Node *g_transpose(Grad *g, Node *x, const uint8_t *perm) { return ir_transpose(g->f, x, perm, g->y->span); }
Dim  *g_dim(Grad *g, int64_t v) { return dim_const(g->f->module, v); }

Node *g_reshape(Grad *g, Node *x, uint32_t rank, Dim *const *dim)
{
    return x ? ir_reshape(g->f, x, type_tensor(g->f->module, x->type->dtype, rank, dim), g->y->span) : NULL;
}

Node *g_slice(Grad *g, Node *x, Dim *const *start, const int64_t *step, Dim *const *length)
{
    Arena *a = g->f->module->arena;
    if (!x) return NULL;
    uint32_t n = x->type->rank;
    Attr attr = {.slice = {arena_copy(a, start, n * sizeof *start), arena_copy(a, step, n * sizeof *step)}};
    return ir_node(g->f, OP_slice, 1, &x, &attr, type_tensor(g->f->module, x->type->dtype, n, length), g->y->span);
}

Node *g_pad(Grad *g, Node *x, Dim *const *lo, Dim *const *hi)
{
    Arena *a = g->f->module->arena;
    if (!x) return NULL;
    uint32_t n = x->type->rank;
    for (uint32_t i = 0; i < n; i++) {
        if (lo[i] && hi[i]) continue;
        g->error = "a size overflows";
        return NULL;
    }
    Attr attr = {.pad = {arena_copy(a, lo, n * sizeof *lo), arena_copy(a, hi, n * sizeof *hi)}};
    Node *zero = ir_scalar(g->f, x->type->dtype, 0, g->y->span);
    return ir_node(g->f, OP_pad, 2, (Node *[]){x, zero}, &attr, NULL, g->y->span);
}

/* [n] -> [n, 1] -> [n, step] -> [n * step] -> the first (n - 1) * step + 1. */
Node *g_spread(Grad *g, Node *x, const int64_t *step)
{
    Module *m = g->f->module;
    for (uint32_t axis = 0; x && axis < x->type->rank; axis++) {
        if (step[axis] == 1) continue;
        Dim *dim[MAX_RANK + 1], *lo[MAX_RANK + 1], *hi[MAX_RANK + 1], *n = x->type->dim[axis], *by = g_dim(g, step[axis]);
        int64_t one[MAX_RANK];
        uint32_t rank = 0, wide = 0;
        for (uint32_t i = 0; i < x->type->rank; i++) {
            dim[rank++] = x->type->dim[i];
            if (i == axis) wide = rank, dim[rank++] = g_dim(g, 1);
        }
        for (uint32_t i = 0; i < rank; i++) lo[i] = hi[i] = g_dim(g, 0);
        hi[wide] = g_dim(g, step[axis] - 1);
        Node *y = g_pad(g, g_reshape(g, x, rank, dim), lo, hi);
        rank = 0;
        for (uint32_t i = 0; i < x->type->rank; i++) dim[rank] = x->type->dim[i], lo[rank] = g_dim(g, 0), one[rank++] = 1;
        dim[axis] = dim_mul(m, n, by);
        y = g_reshape(g, y, rank, dim);
        dim[axis] = dim_add(m, dim_mul(m, dim_sub(m, n, g_dim(g, 1)), by), g_dim(g, 1));
        x = g_slice(g, y, lo, one, dim);
    }
    return x;
}

Node *g_repeat(Grad *g, Node *x, uint32_t axes, Type *t)
{
    uint8_t kept[MAX_RANK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!(axes >> i & 1)) kept[n++] = (uint8_t)i;
    return ir_broadcast(g->f, x, t, kept, g->y->span);
}

static Node *arg(Grad *g, uint32_t i) { return g->y->arg[i]; }

/* ---- rules: y = op(x) ------------------------------------------------------------------------------------------------ */

void grad_none(Grad *g) { (void)g; }                    /* integers, comparisons, steps: zero wherever it exists */

void grad_neg(Grad *g) { g->dx[0] = g_unary(g, OP_neg, g->dy); }
void grad_abs(Grad *g) { g->dx[0] = g_binary(g, OP_mul, g->dy, g_unary(g, OP_sign, arg(g, 0))); }
void grad_exp(Grad *g) { g->dx[0] = g_binary(g, OP_mul, g->dy, g->y); }
void grad_expm1(Grad *g) { g->dx[0] = g_binary(g, OP_mul, g->dy, g_binary(g, OP_add, g->y, g_number(g, 1, g->y->type))); }
void grad_log(Grad *g) { g->dx[0] = g_binary(g, OP_div, g->dy, arg(g, 0)); }
void grad_log1p(Grad *g) { g->dx[0] = g_binary(g, OP_div, g->dy, g_binary(g, OP_add, arg(g, 0), g_number(g, 1, g->y->type))); }
void grad_sqrt(Grad *g) { g->dx[0] = g_binary(g, OP_div, g_scale(g, g->dy, 0.5), g->y); }
void grad_sin(Grad *g) { g->dx[0] = g_binary(g, OP_mul, g->dy, g_unary(g, OP_cos, arg(g, 0))); }
void grad_cos(Grad *g) { g->dx[0] = g_unary(g, OP_neg, g_binary(g, OP_mul, g->dy, g_unary(g, OP_sin, arg(g, 0)))); }

/* -1/2 x^(-3/2) */
void grad_rsqrt(Grad *g)
{
    Node *cube = g_binary(g, OP_mul, g_binary(g, OP_mul, g->y, g->y), g->y);
    g->dx[0] = g_binary(g, OP_mul, g_scale(g, g->dy, -0.5), cube);
}

/* 1 - y^2 */
void grad_tanh(Grad *g)
{
    Node *square = g_binary(g, OP_mul, g->y, g->y);
    Node *slope = g_binary(g, OP_sub, g_number(g, 1, g->y->type), square);
    g->dx[0] = g_binary(g, OP_mul, g->dy, slope);
}

/* 2 / sqrt(pi) exp(-x^2) */
void grad_erf(Grad *g)
{
    Node *x = arg(g, 0), *bell = g_unary(g, OP_exp, g_unary(g, OP_neg, g_binary(g, OP_mul, x, x)));
    g->dx[0] = g_binary(g, OP_mul, g->dy, g_scale(g, bell, 1.1283791670955126));
}

/* y (1 - y) */
void grad_sigmoid(Grad *g)
{
    Node *rest = g_binary(g, OP_sub, g_number(g, 1, g->y->type), g->y);
    g->dx[0] = g_binary(g, OP_mul, g->dy, g_binary(g, OP_mul, g->y, rest));
}

void grad_cast(Grad *g)
{
    DType from = arg(g, 0)->type->dtype;
    if (dtype_is_float(from) && dtype_is_float(g->y->type->dtype)) g->dx[0] = ir_cast(g->f, g->dy, from, g->y->span);
}

/* ---- y = op(a, b) ---------------------------------------------------------------------------------------------------------- */

void grad_add(Grad *g) { g->dx[0] = g->dx[1] = g->dy; }

void grad_sub(Grad *g)
{
    g->dx[0] = g->dy;
    if (g->wanted[1]) g->dx[1] = g_unary(g, OP_neg, g->dy);
}

void grad_mul(Grad *g)
{
    if (g->wanted[0]) g->dx[0] = g_binary(g, OP_mul, g->dy, arg(g, 1));
    if (g->wanted[1]) g->dx[1] = g_binary(g, OP_mul, g->dy, arg(g, 0));
}

void grad_div(Grad *g)
{
    Node *by = g_binary(g, OP_div, g->dy, arg(g, 1));
    g->dx[0] = by;
    if (g->wanted[1]) g->dx[1] = g_unary(g, OP_neg, g_binary(g, OP_mul, by, g->y));
}

/* a - b floor(a / b) */
void grad_mod(Grad *g)
{
    g->dx[0] = g->dy;
    if (g->wanted[1]) g->dx[1] = g_unary(g, OP_neg, g_binary(g, OP_mul, g->dy, g_binary(g, OP_floordiv, arg(g, 0), arg(g, 1))));
}

/* b a^(b-1) and a^b log a, the latter 0 where a is 0, as PyTorch has it. */
void grad_pow(Grad *g)
{
    Node *a = arg(g, 0), *b = arg(g, 1), *one = g_number(g, 1, g->y->type), *zero = g_zeros(g, g->y->type);
    if (g->wanted[0]) {
        Node *slope = g_binary(g, OP_mul, b, g_binary(g, OP_pow, a, g_binary(g, OP_sub, b, one)));
        double v;
        if (!node_is_scalar_const(b, &v) || v == 0) slope = g_select(g, g_binary(g, OP_eq, b, zero), zero, slope);
        g->dx[0] = g_binary(g, OP_mul, g->dy, slope);
    }
    if (g->wanted[1]) {
        Node *is_zero = g_binary(g, OP_eq, a, zero);
        Node *log = g_unary(g, OP_log, g_select(g, is_zero, one, a));
        g->dx[1] = g_binary(g, OP_mul, g->dy, g_select(g, is_zero, zero, g_binary(g, OP_mul, g->y, log)));
    }
}

/* To the larger (smaller); half to each where they are equal, as PyTorch has it. */
void grad_max(Grad *g)
{
    Node *a = arg(g, 0), *b = arg(g, 1), *zero = g_zeros(g, g->y->type);
    Node *tie = g_binary(g, OP_eq, a, b), *half = g_scale(g, g->dy, 0.5);
    Node *shared = g_select(g, tie, half, g->dy);
    if (g->wanted[0]) g->dx[0] = g_select(g, g_binary(g, OP_eq, g->y, a), shared, zero);
    if (g->wanted[1]) g->dx[1] = g_select(g, g_binary(g, OP_eq, g->y, b), shared, zero);
}

static bool is_zero(const Node *n)
{
    double v;
    return node_is_scalar_const(n, &v) && v == 0;
}

/* y = select(x <= 0, 0, x) and y = select(x > 0, x, 0): the same condition, of y. Then only y needs to be kept, which the next
 * layer reads anyway, and x need not be stored at all. */
static Node *condition_of_relu(Grad *g)
{
    Node *c = arg(g, 0), *yes = arg(g, 1), *no = arg(g, 2);
    bool keeps = c->op == OP_gt || c->op == OP_lt;      /* x where the condition holds */
    if (c->op != OP_le && c->op != OP_ge && !keeps) return c;
    bool right = c->op == OP_ge || c->op == OP_lt;      /* the operator's right operand is x */
    const Node *x = c->arg[right], *bound = c->arg[!right];
    if (!is_zero(bound) || !is_zero(keeps ? no : yes) || (keeps ? yes : no) != x) return c;
    return right ? g_binary(g, c->op, c->arg[0], g->y) : g_binary(g, c->op, g->y, c->arg[1]);
}

void grad_select(Grad *g)
{
    Node *c = condition_of_relu(g), *zero = g_zeros(g, g->y->type);
    if (g->wanted[1]) g->dx[1] = g_select(g, c, g->dy, zero);
    if (g->wanted[2]) g->dx[2] = g_select(g, c, zero, g->dy);
}
