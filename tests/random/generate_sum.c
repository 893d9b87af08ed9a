/* generate_sum.c - random operators that combine many values: reductions, windows, contractions, order along an axis. */
#include "tests/random/generate.h"

static const Span none;

/* In approximate mode sums are brought back to order 1. */
static Node *tamed(Gen *g, Node *x) { return x && !g->exact && dtype_is_float(x->type->dtype) && below(g, 4) ? ir_unary(g->f, OP_tanh, x, none) : x; }

/* Reduce over some axes, and half of the time back over the operand (as softmax and norms do). */
static Node *reduction(Gen *g)
{
    static const RedKind number[] = {RED_sum, RED_sum, RED_max, RED_min, RED_prod}, logical[] = {RED_or, RED_and};
    Node *x = pick(g);
    Type *t = x->type;
    if (!t->rank) return NULL;
    uint32_t axes = below(g, 3) ? 1u << (t->rank - 1) : 1 + below(g, (1u << t->rank) - 1);
    RedKind k = t->dtype == DT_bool ? logical[below(g, 2)] : number[below(g, 5)];
    Node *r = tamed(g, ir_reduce(g->f, k, x, axes, none));
    if (below(g, 2) || t->dtype == DT_bool) return r;
    uint8_t map[MAX_RANK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!(axes >> i & 1)) map[n++] = (uint8_t)i;
    return ir_binary(g->f, below(g, 2) ? OP_sub : OP_max, x, ir_broadcast(g->f, r, t, map, none), none);
}

static Node *position(Gen *g)
{
    Node *x = pick_number(g);
    if (!x || !x->type->rank) return NULL;
    uint32_t axis = below(g, x->type->rank);
    if (x->type->dim[axis]->lo < 1) return NULL;        /* of nothing there is none */
    Attr attr = {.reduce = {.kind = below(g, 2) ? RED_max : RED_min, .axes = 1u << axis}};
    return ir_node(g->f, OP_argreduce, 1, &x, &attr, NULL, none);
}

static Node *running(Gen *g)
{
    static const RedKind number[] = {RED_sum, RED_sum, RED_max, RED_min, RED_prod};
    Node *x = pick_number(g);
    if (!x || !x->type->rank) return NULL;
    Attr attr = {.reduce = {.kind = number[below(g, 5)], .axes = 1u << below(g, x->type->rank), .reverse = below(g, 2)}};
    return tamed(g, ir_node(g->f, OP_cumulate, 1, &x, &attr, NULL, none));
}

static Node *sorting(Gen *g)
{
    Node *x = pick_number(g);
    if (!x || !x->type->rank) return NULL;
    Attr attr = {.order = {.axis = below(g, x->type->rank), .descending = below(g, 2)}};
    Node *both;
    if (below(g, 2) && x->type->dim[attr.order.axis]->lo >= 2) {
        Dim *dim[MAX_RANK];
        for (uint32_t i = 0; i < x->type->rank; i++) dim[i] = i == attr.order.axis ? num(g, 1 + below(g, 2)) : x->type->dim[i];
        Type *t = type_tensor(g->m, x->type->dtype, x->type->rank, dim), *member[2] = {t, type_with_dtype(g->m, t, DT_i32)};
        attr.order.descending = true;
        both = ir_node(g->f, OP_top_k, 1, &x, &attr, type_tuple(g->m, 2, member), none);
    } else {
        both = ir_node(g->f, OP_sort, 1, &x, &attr, NULL, none);
    }
    return both ? ir_get(g->f, both, below(g, 3) == 0, none) : NULL;
}

static Node *pooling(Gen *g)
{
    static const RedKind kind[] = {RED_sum, RED_max, RED_max, RED_min};
    Node *x = pick_number(g);
    if (!x || !x->type->rank) return NULL;
    Type *t = x->type;
    int64_t size[MAX_RANK], stride[MAX_RANK];
    Dim *lo[MAX_RANK], *hi[MAX_RANK];
    for (uint32_t i = 0; i < t->rank; i++) {
        size[i] = stride[i] = 1, lo[i] = hi[i] = num(g, 0);
        if (t->dim[i]->lo < 2 || below(g, 2)) continue;
        size[i] = 2 + (t->dim[i]->lo > 2 ? below(g, 2) : 0), stride[i] = 1 + below(g, 3);
        lo[i] = num(g, below(g, (uint32_t)size[i])), hi[i] = num(g, below(g, (uint32_t)size[i]));
    }
    Attr attr = {.window = {kind[below(g, 4)], size, stride, lo, hi}};
    return ir_node(g->f, OP_window, 1, &x, &attr, NULL, none);
}

/* A product over a random axis of x with a new matrix, or of two values that share axes. */
static Node *product(Gen *g)
{
    Node *x = pick_number(g), *y = NULL;
    if (!x || !x->type->rank) return NULL;
    uint32_t last = below(g, 3) ? x->type->rank - 1 : below(g, x->type->rank);
    Attr attr = {.dot = {.ncontract = 1, .lcontract = {(uint8_t)last}}};
    for (int tries = 0; tries < 4 && !y; tries++) {
        Node *other = pick(g);
        uint32_t r = other->type->rank;
        if (other->type->dtype != x->type->dtype || !r || other->type->dim[r - 1] != x->type->dim[last]) continue;
        attr.dot.rcontract[0] = (uint8_t)(r - 1);
        if (r >= 2 && last > 0 && other->type->dim[0] == x->type->dim[0] && below(g, 4)) attr.dot.nbatch = 1;
        y = other;
    }
    if (!y || x->type->rank + y->type->rank > 6) {
        bool transposed = below(g, 2);
        Dim *dim[2] = {x->type->dim[last], below(g, 4) ? num(g, 1 + below(g, 40)) : random_dim(g)};
        if (transposed) dim[0] = dim[1], dim[1] = x->type->dim[last];
        y = new_input(g, "w", type_tensor(g->m, x->type->dtype, 2, dim));
        attr.dot.nbatch = 0;
        attr.dot.rcontract[0] = transposed;
    }
    if (!y) return NULL;
    return tamed(g, ir_node(g->f, OP_dot, 2, (Node *[]){x, y}, &attr, NULL, none));
}

static Node *convolution(Gen *g)
{
    Node *x = pick_number(g);
    if (!x || x->type->rank < 3) return NULL;
    Type *t = x->type;
    int64_t channels, stride[MAX_RANK], dilation[MAX_RANK], spread[MAX_RANK];
    if (!dim_is_const(t->dim[1], &channels) || !channels) return NULL;
    int64_t groups = below(g, 3) == 0 ? channels : channels % 2 == 0 && below(g, 2) ? 2 : 1;
    Dim *lo[MAX_RANK], *hi[MAX_RANK], *w[MAX_RANK] = {num(g, groups * (1 + below(g, 3))), num(g, channels / groups)};
    bool transposed = below(g, 4) == 0;
    for (uint32_t i = 2; i < t->rank; i++) {
        int64_t size = 1 + below(g, 3);
        stride[i - 2] = 1 + below(g, 2), dilation[i - 2] = below(g, 4) ? 1 : 2, spread[i - 2] = transposed ? 1 + below(g, 3) : 1;
        int64_t reach = (size - 1) * dilation[i - 2] + 1;
        if (t->dim[i]->lo < reach) size = reach = 1;
        w[i] = num(g, size);
        lo[i - 2] = num(g, below(g, (uint32_t)reach)), hi[i - 2] = num(g, below(g, 2));
        if (transposed && below(g, 4) == 0) hi[i - 2] = num(g, -1);
    }
    Node *weight = new_input(g, "k", type_tensor(g->m, t->dtype, t->rank, w));
    if (!weight) return NULL;
    Attr attr = {.conv = {.groups = groups, .stride = stride, .dilation = dilation, .spread = spread, .lo = lo, .hi = hi}};
    return tamed(g, ir_node(g->f, OP_conv, 2, (Node *[]){x, weight}, &attr, NULL, none));
}

MakeNode *const make_sum[] = {reduction, reduction, reduction, position, running, sorting, pooling, product, product, product, convolution, convolution, NULL};
