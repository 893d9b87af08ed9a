/* gradients_reduce.c - gradients of reductions, windows, running reductions and orders. */
#include "passes/gradients.h"

#include <string.h>

static Node *x_of(Grad *g) { return g->y->arg[0]; }

/* 1 where x is the reduction's result, shared evenly among ties, as PyTorch's amax has it. */
static Node *winners(Grad *g, Node *x, Node *result, uint32_t axes)
{
    Node *one = g_number(g, 1, x->type), *zero = g_zeros(g, x->type);
    Node *won = g_select(g, g_binary(g, OP_eq, x, g_repeat(g, result, axes, x->type)), one, zero);
    Node *count = ir_reduce(g->f, RED_sum, won, axes, g->y->span);
    return g_binary(g, OP_div, won, g_repeat(g, count, axes, x->type));
}

/* Product of all others along one axis: of those before it times those after it. No division, so zeros are fine. */
static Node *product_of_others(Grad *g, Node *x, uint32_t axis)
{
    Node *side[2];
    for (int after = 0; after < 2; after++) {
        Attr run = {.reduce = {.kind = RED_prod, .axes = 1u << axis, .reverse = after}};
        Node *all = ir_node(g->f, OP_cumulate, 1, &x, &run, NULL, g->y->span);
        /* Moved by one, a 1 comes in: x - 1 shifted with zeros, plus 1. */
        Dim *start[MAX_RANK], *length[MAX_RANK], *lo[MAX_RANK], *hi[MAX_RANK];
        int64_t step[MAX_RANK];
        for (uint32_t i = 0; i < x->type->rank; i++) {
            start[i] = lo[i] = hi[i] = g_dim(g, 0), step[i] = 1, length[i] = x->type->dim[i];
        }
        length[axis] = dim_sub(g->f->module, length[axis], g_dim(g, 1));
        if (after) start[axis] = hi[axis] = g_dim(g, 1);
        else lo[axis] = g_dim(g, 1);
        Node *less = g_binary(g, OP_sub, all, g_number(g, 1, x->type));
        side[after] = g_binary(g, OP_add, g_pad(g, g_slice(g, less, start, step, length), lo, hi), g_number(g, 1, x->type));
    }
    return g_binary(g, OP_mul, side[0], side[1]);
}

/* A product over several axes is one over a merged axis: the axes go last, and become one. */
static Node *grad_of_product(Grad *g)
{
    Module *m = g->f->module;
    Node *x = x_of(g);
    Type *t = x->type;
    uint32_t axes = g->y->attr.reduce.axes, kept = 0, n = 0;
    uint8_t perm[MAX_RANK], inverse[MAX_RANK];
    Dim *dim[MAX_RANK], *merged = g_dim(g, 1);
    for (uint32_t i = 0; i < t->rank; i++)
        if (!(axes >> i & 1)) perm[n] = (uint8_t)i, dim[n++] = t->dim[i];
    kept = n;
    for (uint32_t i = 0; i < t->rank; i++)
        if (axes >> i & 1) perm[n++] = (uint8_t)i, merged = dim_mul(m, merged, t->dim[i]);
    for (uint32_t i = 0; i < t->rank; i++) inverse[perm[i]] = (uint8_t)i;
    Node *last = g_transpose(g, x, perm);
    if (!last) return NULL;
    Type *moved = last->type;
    dim[kept] = merged;
    Node *others = product_of_others(g, g_reshape(g, last, kept + 1, dim), kept);
    return g_binary(g, OP_mul, g_repeat(g, g->dy, axes, t), g_transpose(g, ir_reshape(g->f, others, moved, g->y->span), inverse));
}

void grad_reduce(Grad *g)
{
    Type *t = x_of(g)->type;
    uint32_t axes = g->y->attr.reduce.axes;
    switch (g->y->attr.reduce.kind) {
    case RED_sum: g->dx[0] = g_repeat(g, g->dy, axes, t); break;
    case RED_prod: g->dx[0] = grad_of_product(g); break;
    case RED_max: case RED_min:
        g->dx[0] = g_binary(g, OP_mul, g_repeat(g, g->dy, axes, t), winners(g, x_of(g), g->y, axes));
        break;
    default: break;                                     /* booleans */
    }
}

/* ---- windows ------------------------------------------------------------------------------------------------------- */

/* Element k of every window: x at o * stride + k - lo for all outputs o; `fill` stands in the padding. */
static Node *window_element(Grad *g, Node *x, const int64_t *k, Node *fill)
{
    Module *m = g->f->module;
    const Attr *w = &g->y->attr;
    Dim *lo[MAX_RANK], *hi[MAX_RANK], *start[MAX_RANK];
    for (uint32_t i = 0; i < x->type->rank; i++) {
        lo[i] = w->window.lo[i];
        hi[i] = dim_add(m, w->window.hi[i], g_dim(g, w->window.stride[i]));    /* room for the last window, whatever is left over */
        start[i] = g_dim(g, k[i]);
    }
    Attr pad = {.pad = {arena_copy(m->arena, lo, sizeof lo), arena_copy(m->arena, hi, sizeof hi)}};
    Node *padded = ir_node(g->f, OP_pad, 2, (Node *[]){x, fill}, &pad, NULL, g->y->span);
    return g_slice(g, padded, start, w->window.stride, g->y->type->dim);
}

/* Back: a value for element k of every window, put where it came from. */
static Node *put_element(Grad *g, Node *d, const int64_t *k)
{
    Module *m = g->f->module;
    Type *x = x_of(g)->type;
    const Attr *w = &g->y->attr;
    Node *spread = g_spread(g, d, w->window.stride);
    if (!spread) return NULL;
    Dim *lo[MAX_RANK], *hi[MAX_RANK], *start[MAX_RANK];
    int64_t step[MAX_RANK];
    for (uint32_t i = 0; i < x->rank; i++) {
        /* Positions of the padded x: k + o * stride. Extend to its end, then cut the padding off. */
        Dim *padded = dim_add(m, dim_add(m, x->dim[i], w->window.lo[i]), dim_add(m, w->window.hi[i], g_dim(g, w->window.stride[i])));
        lo[i] = g_dim(g, k[i]);
        hi[i] = dim_sub(m, padded, dim_add(m, spread->type->dim[i], lo[i]));
        start[i] = w->window.lo[i], step[i] = 1;
        if (!hi[i] || hi[i]->hi < 0) {
            g->error = "the window may exceed its operand";
            return d;
        }
    }
    return g_slice(g, g_pad(g, spread, lo, hi), start, step, x->dim);
}

static bool next_element(Grad *g, int64_t *k)
{
    for (uint32_t i = x_of(g)->type->rank; i-- > 0;) {
        if (++k[i] < g->y->attr.window.size[i]) return true;
        k[i] = 0;
    }
    return false;
}

enum { MAX_WINDOW = 1024 };             /* elements: each is a few nodes */

/* sum: every element of a window gets dy. max, min: the first that is the result, as PyTorch's pooling has it. */
void grad_window(Grad *g)
{
    const Attr *w = &g->y->attr;
    Node *x = x_of(g), *taken = NULL;
    int64_t k[MAX_RANK] = {0}, elements = 1;
    for (uint32_t i = 0; i < x->type->rank; i++) elements *= w->window.size[i];
    if (elements > MAX_WINDOW || (w->window.kind != RED_sum && w->window.kind != RED_max && w->window.kind != RED_min)) {
        g->error = elements > MAX_WINDOW ? "the window is too large" : "only sums, maxima and minima of windows have one";
        return;
    }
    do {
        Node *d = g->dy;
        if (w->window.kind != RED_sum) {
            /* In the padding stands what never wins. */
            Node *fill = ir_scalar(g->f, x->type->dtype, w->window.kind == RED_max ? -__builtin_inf() : __builtin_inf(), g->y->span);
            Node *here = g_binary(g, OP_eq, window_element(g, x, k, fill), g->y);
            Node *first = taken ? g_binary(g, OP_and, here, g_unary(g, OP_not, taken)) : here;
            taken = taken ? g_binary(g, OP_or, taken, here) : here;
            d = g_select(g, first, g->dy, g_zeros(g, g->y->type));
        }
        Node *back = put_element(g, d, k);
        if (g->error || !back) return;
        g->dx[0] = g->dx[0] ? g_binary(g, OP_add, g->dx[0], back) : back;
    } while (next_element(g, k));
}

/* ---- along an axis ---------------------------------------------------------------------------------------------------- */

void grad_cumulate(Grad *g)
{
    Attr back = g->y->attr;
    if (back.reduce.kind != RED_sum) {
        g->error = "only running sums have one yet";
        return;
    }
    back.reduce.reverse = !back.reduce.reverse;
    g->dx[0] = ir_node(g->f, OP_cumulate, 1, &g->dy, &back, NULL, g->y->span);
}

/* The values went from position index[j] to j; sorting the indices says where each came from. */
void grad_sort(Grad *g)
{
    if (!g->dy_of[0]) return;
    Attr order = {.order = {.axis = g->y->attr.order.axis}}, along = {.axis = g->y->attr.order.axis};
    Node *index = ir_get(g->f, g->y, 1, g->y->span);
    Node *inverse = ir_node(g->f, OP_sort, 1, &index, &order, NULL, g->y->span);
    Node *where = ir_get(g->f, inverse, 1, g->y->span);
    g->dx[0] = ir_node(g->f, OP_take_along, 2, (Node *[]){g->dy_of[0], where}, &along, NULL, g->y->span);
}

/* Each of the k values back to its position, by comparison: k is small. */
void grad_top_k(Grad *g)
{
    if (!g->dy_of[0]) return;
    Type *x = x_of(g)->type, *taken = g->y->type->member[0];
    uint32_t axis = g->y->attr.order.axis;
    int64_t k;
    if (!dim_is_const(taken->dim[axis], &k) || k > MAX_WINDOW) {
        g->error = "the number of values is not a small constant";
        return;
    }
    Node *index = ir_get(g->f, g->y, 1, g->y->span);
    Attr along = {.axis = axis};
    Node *position = ir_node(g->f, OP_iota, 0, NULL, &along, type_with_dtype(g->f->module, x, DT_i32), g->y->span);
    for (int64_t i = 0; i < k; i++) {
        Dim *start[MAX_RANK], *length[MAX_RANK];
        int64_t step[MAX_RANK];
        uint8_t same[MAX_RANK];
        for (uint32_t d = 0; d < x->rank; d++) start[d] = g_dim(g, 0), step[d] = 1, length[d] = taken->dim[d], same[d] = (uint8_t)d;
        start[axis] = g_dim(g, i), length[axis] = g_dim(g, 1);
        Node *at = ir_broadcast(g->f, g_slice(g, index, start, step, length), position->type, same, g->y->span);
        Node *d = ir_broadcast(g->f, g_slice(g, g->dy_of[0], start, step, length), x, same, g->y->span);
        Node *back = g_select(g, g_binary(g, OP_eq, position, at), d, g_zeros(g, x));
        g->dx[0] = g->dx[0] ? g_binary(g, OP_add, g->dx[0], back) : back;
    }
}
