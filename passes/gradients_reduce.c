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
        Node *part = g_pad(g, g_slice(g, less, start, step, length), lo, hi);
        side[after] = g_binary(g, OP_add, part, g_number(g, 1, x->type));
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
    Node *each = g_repeat(g, g->dy, axes, t);
    return g_binary(g, OP_mul, each, g_transpose(g, ir_reshape(g->f, others, moved, g->y->span), inverse));
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
        hi[i] = w->window.hi[i];
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
        Dim *padded = dim_add(m, dim_add(m, x->dim[i], w->window.lo[i]), w->window.hi[i]);
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

/* Element n of a window, row-major, as a place. */
static void place_in_window(const Grad *g, int64_t n, int64_t *k)
{
    for (uint32_t i = g->y->type->rank; i-- > 0;) {
        k[i] = n % g->y->attr.window.size[i];
        n /= g->y->attr.window.size[i];
    }
}

/* Windows side by side, as pooling mostly has them: none overlaps another, no padding. */
static bool windows_disjoint(const Grad *g)
{
    const Attr *w = &g->y->attr;
    for (uint32_t i = 0; i < g->y->type->rank; i++)
        if (w->window.stride[i] != w->window.size[i] || !dim_equals(w->window.lo[i], 0) || (w->window.hi[i]->lo != 0 && !dim_equals(w->window.hi[i], 0))) return false;
    return true;
}

/* Split each axis in windows and places in them: [.., o, s, ..]; and the other way round, places last. */
typedef struct Split { uint32_t n, window[MAX_RANK], place[MAX_RANK]; Dim *dim[MAX_RANK]; int64_t size[MAX_RANK]; } Split;

static bool split_windows(Grad *g, Split *s)
{
    *s = (Split){0};
    for (uint32_t i = 0; i < g->y->type->rank; i++) {
        s->size[i] = g->y->attr.window.size[i];
        if (s->n + 2 > MAX_RANK) return false;
        s->window[i] = s->n;
        s->dim[s->n++] = g->y->type->dim[i];
        if (s->size[i] == 1) continue;
        s->place[i] = s->n;
        s->dim[s->n++] = g_dim(g, s->size[i]);
    }
    return true;
}

/* sum of disjoint windows: dy goes to each element; max, min: which place of its window won is found once, and dy goes there;
 * the first of equals, as PyTorch's pooling has it. */
static void grad_disjoint(Grad *g, const Split *s, int64_t elements)
{
    Module *m = g->f->module;
    Node *x = x_of(g);
    Type *y = g->y->type;
    Dim *zero[MAX_RANK], *cut[MAX_RANK], *behind[MAX_RANK], *dim[MAX_RANK];
    int64_t one[MAX_RANK];
    uint8_t perm[MAX_RANK], windows[MAX_RANK];
    uint32_t last = y->rank;
    for (uint32_t i = 0; i < y->rank; i++) {
        zero[i] = g_dim(g, 0);
        one[i] = 1;
        cut[i] = dim_mul(m, y->dim[i], g_dim(g, s->size[i]));
        behind[i] = cut[i] ? dim_sub(m, x->type->dim[i], cut[i]) : NULL;
        if (!behind[i]) return;
        perm[i] = windows[i] = (uint8_t)s->window[i];
        dim[i] = y->dim[i];
        if (s->size[i] > 1) perm[last++] = (uint8_t)s->place[i];
    }
    Type *like = type_tensor(m, y->dtype, s->n, s->dim);
    Node *d = ir_broadcast(g->f, g->dy, like, windows, g->y->span);
    if (g->y->attr.window.kind == RED_sum) {
        g->dx[0] = g_pad(g, g_reshape(g, d, y->rank, cut), zero, behind);
        return;
    }
    dim[y->rank] = g_dim(g, elements);
    Node *whole = g_reshape(g, g_slice(g, x, zero, one, cut), s->n, s->dim);
    Node *flat = g_reshape(g, g_transpose(g, whole, perm), y->rank + 1, dim);
    Attr arg = {.reduce = {.kind = g->y->attr.window.kind, .axes = 1u << y->rank}};
    Node *won = flat ? ir_node(g->f, OP_argreduce, 1, &flat, &arg, NULL, g->y->span) : NULL;
    if (!won) return;
    Type *t = type_tensor(m, DT_i32, s->n, s->dim);
    Node *place = NULL;
    for (uint32_t i = 0; i < y->rank; i++) {            /* the number of an element in its window */
        if (s->size[i] == 1) continue;
        Attr along = {.axis = s->place[i]};
        Node *number = ir_node(g->f, OP_iota, 0, NULL, &along, t, g->y->span);
        Node *size = place ? ir_splat(g->f, ir_scalar_int(g->f, DT_i32, s->size[i], g->y->span), t, g->y->span) : NULL;
        place = place ? g_binary(g, OP_add, g_binary(g, OP_mul, place, size), number) : number;
    }
    Node *here = g_binary(g, OP_eq, ir_broadcast(g->f, won, t, windows, g->y->span), place);
    d = g_reshape(g, g_select(g, here, d, g_zeros(g, like)), y->rank, cut);
    g->dx[0] = g_pad(g, d, zero, behind);
}

/* sum: every element of x gets the dy of all windows over it. Side by side: its own window's. Else: a sum over windows of dy,
 * spread by the stride. NULL, with no error: the padding is wider than the windows. */
static Node *grad_of_sums(Grad *g, const Split *s)
{
    Module *m = g->f->module;
    const Attr *w = &g->y->attr;
    Type *x = x_of(g)->type, *y = g->y->type;
    Dim *zero[MAX_RANK], *cut[MAX_RANK], *behind[MAX_RANK];
    for (uint32_t i = 0; s && i < y->rank; i++) {
        zero[i] = g_dim(g, 0);
        cut[i] = dim_mul(m, y->dim[i], g_dim(g, s->size[i]));
        behind[i] = cut[i] ? dim_sub(m, x->dim[i], cut[i]) : NULL;
    }
    if (s) {
        uint8_t windows[MAX_RANK];
        for (uint32_t i = 0; i < y->rank; i++) windows[i] = (uint8_t)s->window[i];
        Node *d = ir_broadcast(g->f, g->dy, type_tensor(m, y->dtype, s->n, s->dim), windows, g->y->span);
        return g_pad(g, g_reshape(g, d, y->rank, cut), zero, behind);
    }
    Node *d = g_spread(g, g->dy, w->window.stride);
    int64_t one[MAX_RANK];
    Dim *lo[MAX_RANK], *hi[MAX_RANK];
    for (uint32_t i = 0; d && i < y->rank; i++) {
        Dim *reach = g_dim(g, w->window.size[i] - 1);
        one[i] = 1;
        lo[i] = dim_sub(m, reach, w->window.lo[i]);
        /* As much behind as gives x's extent: spread + lo + hi - reach = x. */
        hi[i] = lo[i] ? dim_sub(m, dim_add(m, x->dim[i], reach), dim_add(m, d->type->dim[i], lo[i])) : NULL;
        if (!lo[i] || !hi[i] || lo[i]->lo < 0 || hi[i]->lo < 0) return NULL;
    }
    Attr attr = {.window = {RED_sum, w->window.size, one, lo, hi}};
    return d ? ir_node(g->f, OP_window, 1, &d, &attr, NULL, g->y->span) : NULL;
}

enum { MAX_WINDOW = 1024, MAX_COMPARED = 8 };   /* elements of a window, values of a top_k: each is a few nodes */

/* sum: every element of a window gets dy. max, min: the first that is the result, as PyTorch's pooling has it. */
void grad_window(Grad *g)
{
    const Attr *w = &g->y->attr;
    Node *x = x_of(g);
    int64_t k[MAX_RANK] = {0}, elements = 1;
    for (uint32_t i = 0; i < x->type->rank; i++) elements *= w->window.size[i];
    if (elements > MAX_WINDOW || (w->window.kind != RED_sum && w->window.kind != RED_max && w->window.kind != RED_min)) {
        g->error = elements > MAX_WINDOW ? "the window is too large" : "only sums, maxima and minima of windows have one";
        return;
    }
    Split split;
    if (w->window.kind == RED_sum) {
        bool disjoint = elements > 1 && windows_disjoint(g) && split_windows(g, &split);
        g->dx[0] = grad_of_sums(g, disjoint ? &split : NULL);
        if (g->dx[0] || g->error) return;
    }
    if (elements > 1 && windows_disjoint(g) && split_windows(g, &split)) {
        grad_disjoint(g, &split, elements);
        return;
    }
    /* The number of the element that won, in one kernel; from the last to the first, so that the first of equals stays. */
    Node *won = NULL;
    if (w->window.kind != RED_sum) {
        Type *numbers = type_with_dtype(g->f->module, g->y->type, DT_i32);
        /* In the padding stands what never wins. */
        Node *fill = ir_scalar(g->f, x->type->dtype, w->window.kind == RED_max ? -__builtin_inf() : __builtin_inf(), g->y->span);
        won = g_number(g, -1, numbers);
        for (int64_t n = elements; n-- > 0;) {
            place_in_window(g, n, k);
            Node *here = g_binary(g, OP_eq, window_element(g, x, k, fill), g->y);
            won = g_select(g, here, g_number(g, (double)n, numbers), won);
        }
    }
    for (int64_t n = 0; n < elements; n++) {
        place_in_window(g, n, k);
        Node *here = won ? g_binary(g, OP_eq, won, g_number(g, (double)n, won->type)) : NULL;
        Node *d = won ? g_select(g, here, g->dy, g_zeros(g, g->y->type)) : g->dy;
        Node *back = put_element(g, d, k);
        if (g->error || !back) return;
        g->dx[0] = g->dx[0] ? g_binary(g, OP_add, g->dx[0], back) : back;
    }
}

/* ---- along an axis ---------------------------------------------------------------------------------------------------- */

static Node *running(Grad *g, Node *x, RedKind kind, bool reverse)
{
    Attr attr = {.reduce = {.kind = kind, .axes = g->y->attr.reduce.axes, .reverse = reverse}};
    return x ? ir_node(g->f, OP_cumulate, 1, &x, &attr, NULL, g->y->span) : NULL;
}

/* y_j = x_0 ... x_j: the sum over j >= i of dy_j y_j, by x_i. That divides by zero where x_i is; of the first zero of a row the
 * slope is the product of the others, which is the running product with a 1 in its place; behind it there is none. */
static Node *grad_of_products(Grad *g)
{
    bool reverse = g->y->attr.reduce.reverse;
    Node *x = x_of(g), *one = g_number(g, 1, x->type), *none = g_zeros(g, x->type);
    Node *is_zero = g_binary(g, OP_eq, x, none);
    Node *zeros = running(g, ir_cast(g->f, is_zero, DT_i32, g->y->span), RED_sum, reverse);
    Node *first = zeros ? g_binary(g, OP_and, is_zero, g_binary(g, OP_eq, zeros, g_number(g, 1, zeros->type))) : NULL;
    Node *others = running(g, g_select(g, first, one, x), RED_prod, reverse);
    Node *of_first = running(g, g_binary(g, OP_mul, g->dy, others), RED_sum, !reverse);
    Node *of_rest = running(g, g_binary(g, OP_mul, g->dy, g->y), RED_sum, !reverse);
    return g_select(g, first, of_first, g_binary(g, OP_div, of_rest, g_select(g, is_zero, one, x)));
}

/* y_j is the x where the running maximum was reached last, as PyTorch's cummax has it: its position is a running maximum too. */
static Node *grad_of_extremes(Grad *g)
{
    bool reverse = g->y->attr.reduce.reverse;
    Node *x = x_of(g);
    uint32_t axis = 0;
    while (!(g->y->attr.reduce.axes >> axis & 1)) axis++;
    Type *positions = type_with_dtype(g->f->module, x->type, DT_i32);
    Attr along = {.axis = axis};
    Node *here = ir_node(g->f, OP_iota, 0, NULL, &along, positions, g->y->span);
    Node *far = g_number(g, reverse ? INT32_MAX : 0, positions);
    Node *reached = g_select(g, g_binary(g, OP_eq, x, g->y), here, far);
    return g_put_along(g, x->type, running(g, reached, reverse ? RED_min : RED_max, reverse), g->dy, axis);
}

void grad_cumulate(Grad *g)
{
    switch (g->y->attr.reduce.kind) {
    case RED_sum: g->dx[0] = running(g, g->dy, RED_sum, !g->y->attr.reduce.reverse); break;
    case RED_prod: g->dx[0] = grad_of_products(g); break;
    case RED_max: case RED_min: g->dx[0] = grad_of_extremes(g); break;
    default: break;                                     /* booleans */
    }
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

/* The k values back to their positions: by comparison where k is small, else a scatter-add. */
void grad_top_k(Grad *g)
{
    if (!g->dy_of[0]) return;
    Type *x = x_of(g)->type, *taken = g->y->type->member[0];
    uint32_t axis = g->y->attr.order.axis;
    int64_t k;
    Node *index = ir_get(g->f, g->y, 1, g->y->span);
    if (!dim_is_const(taken->dim[axis], &k) || k > MAX_COMPARED) {
        g->dx[0] = g_put_along(g, x, index, g->dy_of[0], axis);
        return;
    }
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
        Node *here = g_binary(g, OP_eq, position, at);
        Node *back = g_select(g, here, d, g_zeros(g, x));
        g->dx[0] = g->dx[0] ? g_binary(g, OP_add, g->dx[0], back) : back;
    }
}
