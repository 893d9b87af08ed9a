/* generate_view.c - random operators that move data. */
#include "tests/random/generate.h"

static const Span none;

static Node *transposition(Gen *g)
{
    Node *x = pick(g);
    uint8_t perm[MAX_RANK];
    for (uint32_t i = 0; i < x->type->rank; i++) perm[i] = (uint8_t)i;
    for (uint32_t i = x->type->rank; i-- > 1;) {
        uint32_t j = below(g, i + 1);
        uint8_t t = perm[i];
        perm[i] = perm[j], perm[j] = t;
    }
    return x->type->rank < 2 ? NULL : ir_transpose(g->f, x, perm, none);
}

/* Merge two neighbours, split a constant axis, or put in an axis of 1. */
static Node *reshaping(Gen *g)
{
    Node *x = pick(g);
    Type *t = x->type;
    Dim *dim[MAX_RANK];
    uint32_t n = 0, kind = below(g, 3), at = t->rank ? below(g, t->rank) : 0;
    int64_t v, part = 2 + below(g, 2);
    if (!t->rank) return NULL;
    if (kind == 0 && (t->rank < 2 || at + 1 == t->rank)) return NULL;
    if (kind == 1 && (!dim_is_const(t->dim[at], &v) || v < 4 || v % part)) return NULL;
    for (uint32_t i = 0; i < t->rank; i++) {
        if (kind == 0 && i == at + 1) dim[n - 1] = dim_mul(g->m, dim[n - 1], t->dim[i]);
        else if (kind == 1 && i == at) dim[n++] = num(g, v / part), dim[n++] = num(g, part);
        else dim[n++] = t->dim[i];
        if (kind == 2 && i == at) dim[n++] = num(g, 1);
    }
    return ir_reshape(g->f, x, type_tensor(g->m, t->dtype, n, dim), none);
}

static Node *widening(Gen *g)
{
    Node *x = pick(g);
    Type *t = x->type;
    Dim *dim[MAX_RANK];
    uint8_t axes[MAX_RANK];
    uint32_t n = 0, at = below(g, t->rank + 1);
    for (uint32_t i = 0; i <= t->rank; i++) {
        if (i == at) dim[n++] = random_dim(g);
        if (i == t->rank) break;
        axes[i] = (uint8_t)n;
        dim[n++] = dim_equals(t->dim[i], 1) && below(g, 2) ? random_dim(g) : t->dim[i];
    }
    return ir_broadcast(g->f, x, type_tensor(g->m, t->dtype, n, dim), axes, none);
}

static Node *slicing(Gen *g)
{
    Node *x = pick(g);
    Type *t = x->type;
    Dim *start[MAX_RANK], *dim[MAX_RANK];
    int64_t step[MAX_RANK], v;
    for (uint32_t i = 0; i < t->rank; i++) {
        start[i] = num(g, 0), step[i] = 1, dim[i] = t->dim[i];
        if (below(g, 2) || t->dim[i]->lo < 1) continue;
        if (!dim_is_const(t->dim[i], &v)) {             /* T + 2: without the first */
            start[i] = num(g, 1), dim[i] = dim_sub(g->m, t->dim[i], num(g, 1));
            continue;
        }
        int64_t from = below(g, v < 3 ? 1 : 3);
        step[i] = 1 + below(g, 3);
        start[i] = num(g, from);
        int64_t most = (v - from + step[i] - 1) / step[i];
        dim[i] = num(g, most - (most > 1 ? below(g, 2) : 0));
    }
    Attr attr = {.slice = {start, step}};
    return t->rank ? ir_node(g->f, OP_slice, 1, &x, &attr, type_tensor(g->m, t->dtype, t->rank, dim), none) : NULL;
}

static Node *padding(Gen *g)
{
    Node *x = pick(g);
    Dim *lo[MAX_RANK], *hi[MAX_RANK];
    for (uint32_t i = 0; i < x->type->rank; i++) {
        lo[i] = below(g, 8) ? num(g, below(g, 3)) : g->dim[0];
        hi[i] = num(g, below(g, 2));
    }
    Attr attr = {.pad = {lo, hi}};
    return ir_node(g->f, OP_pad, 2, (Node *[]){x, scalar(g, x->type->dtype, below(g, 2))}, &attr, NULL, none);
}

static Node *joining(Gen *g)
{
    Node *x = pick(g), *y = like(g, x->type);
    if (!x->type->rank || !y) return NULL;
    Attr attr = {.axis = below(g, x->type->rank)};
    return ir_node(g->f, OP_concat, 1 + below(g, 3), (Node *[]){x, y, x}, &attr, NULL, none);
}

static Node *reversing(Gen *g)
{
    Node *x = pick(g);
    if (!x->type->rank) return NULL;
    Attr attr = {.axes = 1 + below(g, (1u << x->type->rank) - 1)};
    return ir_node(g->f, OP_reverse, 1, &x, &attr, NULL, none);
}

/* An axis of at least 3 elements. */
static bool long_axis(Gen *g, Type *t, uint32_t *axis)
{
    if (!t->rank) return false;
    *axis = below(g, t->rank);
    return t->dim[*axis]->lo >= 3;
}

static Node *gathering(Gen *g)
{
    Node *x = pick(g);
    Attr attr = {0};
    if (!long_axis(g, x->type, &attr.axis)) return NULL;
    Dim *two[2] = {random_dim(g), num(g, 2)};
    Node *ids = indices(g, below(g, 4) ? NULL : type_tensor(g->m, DT_i32, 2 * below(g, 2), two));
    return ids ? ir_node(g->f, OP_gather, 2, (Node *[]){x, ids}, &attr, NULL, none) : NULL;
}

static Node *taking_along(Gen *g)
{
    Node *x = pick(g);
    Attr attr = {0};
    if (!long_axis(g, x->type, &attr.axis)) return NULL;
    Dim *dim[MAX_RANK];
    for (uint32_t i = 0; i < x->type->rank; i++) dim[i] = i == attr.axis ? random_dim(g) : x->type->dim[i];
    Node *ids = indices(g, type_tensor(g->m, DT_i32, x->type->rank, dim));
    return ids ? ir_node(g->f, OP_take_along, 2, (Node *[]){x, ids}, &attr, NULL, none) : NULL;
}

/* A part at an index of 0 to 2: read, or put in. */
static Node *moving_part(Gen *g)
{
    Node *x = pick(g);
    Attr attr = {0};
    if (!long_axis(g, x->type, &attr.axis)) return NULL;
    Node *start = indices(g, type_scalar(g->m, DT_i32));
    Dim *dim[MAX_RANK];
    for (uint32_t i = 0; i < x->type->rank; i++) dim[i] = i == attr.axis ? dim_sub(g->m, x->type->dim[i], num(g, 2)) : x->type->dim[i];
    Type *part = type_tensor(g->m, x->type->dtype, x->type->rank, dim);
    if (!start) return NULL;
    if (below(g, 2)) return ir_node(g->f, OP_dslice, 2, (Node *[]){x, start}, &attr, part, none);
    Node *values = like(g, part);
    return values ? ir_node(g->f, OP_dupdate, 3, (Node *[]){x, values, start}, &attr, NULL, none) : NULL;
}

static Node *scattering(Gen *g)
{
    static const RedKind kind[] = {RED_sum, RED_sum, RED_max, RED_none};
    Node *x = pick(g);
    Attr attr = {.reduce = {.kind = x->type->dtype == DT_bool ? RED_none : kind[below(g, 4)]}};
    if (!x->type->rank || x->type->dim[0]->lo < 3) return NULL;
    Node *ids = indices(g, NULL);
    if (!ids) return NULL;
    Dim *dim[MAX_RANK] = {ids->type->dim[0]};
    for (uint32_t i = 1; i < x->type->rank; i++) dim[i] = x->type->dim[i];
    Node *values = like(g, type_tensor(g->m, x->type->dtype, x->type->rank, dim));
    return values ? ir_node(g->f, OP_scatter, 3, (Node *[]){x, ids, values}, &attr, NULL, none) : NULL;
}

MakeNode *const make_view[] = {transposition, reshaping, reshaping, widening, slicing, padding, joining, reversing, gathering, taking_along, moving_part, scattering, NULL};
