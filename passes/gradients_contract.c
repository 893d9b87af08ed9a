/* gradients_contract.c - gradients of dot and conv: contractions again, of the other operand with dy. */
#include "passes/gradients.h"

#include <string.h>

/* ---- dot ---------------------------------------------------------------------------------------------------------- */

/* y has its batch axes, the free axes of the left, those of the right. The gradient of one side contracts dy with the
 * other side over that side's free axes; what comes out (batch, free, contracted) is put in the operand's order. */
static Node *dot_side(Grad *g, int side)
{
    const Attr *dot = &g->y->attr;
    Node *mine = g->y->arg[side], *other = g->y->arg[!side];
    uint32_t nbatch = dot->dot.nbatch, ncontract = dot->dot.ncontract;
    uint32_t nmine = mine->type->rank - nbatch - ncontract, nother = other->type->rank - nbatch - ncontract;
    const uint8_t *my_batch = side ? dot->dot.rbatch : dot->dot.lbatch, *other_batch = side ? dot->dot.lbatch : dot->dot.rbatch;
    const uint8_t *my_contract = side ? dot->dot.rcontract : dot->dot.lcontract, *other_contract = side ? dot->dot.lcontract : dot->dot.rcontract;
    uint32_t other_free_in_y = nbatch + (side ? 0 : nmine);

    bool used[MAX_RANK] = {false};
    for (uint32_t i = 0; i < nbatch; i++) used[other_batch[i]] = true;
    for (uint32_t i = 0; i < ncontract; i++) used[other_contract[i]] = true;
    Attr attr = {.dot = {.nbatch = (uint8_t)nbatch, .ncontract = (uint8_t)nother}};
    for (uint32_t i = 0; i < nbatch; i++) attr.dot.lbatch[i] = (uint8_t)i, attr.dot.rbatch[i] = other_batch[i];
    for (uint32_t i = 0, k = 0; i < other->type->rank; i++)
        if (!used[i]) attr.dot.lcontract[k] = (uint8_t)(other_free_in_y + k), attr.dot.rcontract[k++] = (uint8_t)i;
    Node *d = ir_node(g->f, OP_dot, 2, (Node *[]){g->dy, other}, &attr, NULL, g->y->span);
    if (!d) return NULL;

    /* d: batch, my free axes in order, then the other's contracted axes by their order there. */
    uint8_t perm[MAX_RANK];
    bool taken[MAX_RANK] = {false};
    for (uint32_t i = 0; i < nbatch; i++) perm[my_batch[i]] = (uint8_t)i, taken[my_batch[i]] = true;
    for (uint32_t i = 0; i < ncontract; i++) {
        uint32_t before = 0;                            /* contracted axes of the other that stand before this one */
        for (uint32_t k = 0; k < ncontract; k++) before += other_contract[k] < other_contract[i];
        perm[my_contract[i]] = (uint8_t)(nbatch + nmine + before);
        taken[my_contract[i]] = true;
    }
    for (uint32_t i = 0, k = 0; i < mine->type->rank; i++)
        if (!taken[i]) perm[i] = (uint8_t)(nbatch + k++);
    return g_transpose(g, d, perm);
}

void grad_dot(Grad *g)
{
    for (int side = 0; side < 2; side++)
        if (g->wanted[side]) g->dx[side] = dot_side(g, side);
}

/* ---- conv ------------------------------------------------------------------------------------------------------------ */

typedef struct Space { int64_t *stride, *dilation, *spread; Dim **lo, **hi; } Space;

static Space new_space(Grad *g, uint32_t n)
{
    Arena *a = g->f->module->arena;
    return (Space){arena_array(a, int64_t, n), arena_array(a, int64_t, n), arena_array(a, int64_t, n), arena_array(a, Dim *, n), arena_array(a, Dim *, n)};
}

static Node *conv(Grad *g, Node *x, Node *w, int64_t groups, const Space *s)
{
    for (uint32_t i = 0; x && i + 2 < x->type->rank; i++)
        if (!s->lo[i] || !s->hi[i]) g->error = "a size overflows";
    if (g->error || !x || !w) return NULL;
    Attr attr = {.conv = {.groups = groups, .stride = s->stride, .dilation = s->dilation, .spread = s->spread, .lo = s->lo, .hi = s->hi}};
    return ir_node(g->f, OP_conv, 2, (Node *[]){x, w}, &attr, NULL, g->y->span);
}

/* Axis 0 split in `groups`, the group moved to `to` and merged with the axis that stands there: [G*a, b, ...] -> [a, G*b, ...]
 * (to = 1), and back with outer false: [a, G*b, ...] -> [G*a, b, ...]. */
static Node *move_groups(Grad *g, Node *x, int64_t groups, bool to_second)
{
    if (groups == 1 || !x) return x;
    Module *m = g->f->module;
    Type *t = x->type;
    Dim *G = g_dim(g, groups), *dim[MAX_RANK + 1];
    uint8_t perm[MAX_RANK + 1];
    uint32_t n = t->rank;
    /* [G, a, b, ...] or [a, G, b, ...]: the first two change places in between. */
    dim[0] = to_second ? G : t->dim[0];
    dim[1] = to_second ? dim_floordiv(m, t->dim[0], G) : G;
    dim[2] = to_second ? t->dim[1] : dim_floordiv(m, t->dim[1], G);
    for (uint32_t i = 2; i < n; i++) dim[i + 1] = t->dim[i];
    Node *y = g_reshape(g, x, n + 1, dim);
    for (uint32_t i = 0; i <= n; i++) perm[i] = (uint8_t)i;
    perm[0] = 1, perm[1] = 0;
    y = g_transpose(g, y, perm);
    if (!y) return NULL;
    dim[0] = to_second ? y->type->dim[0] : dim_mul(m, G, y->type->dim[1]);
    dim[1] = to_second ? dim_mul(m, G, y->type->dim[2]) : y->type->dim[2];
    for (uint32_t i = 2; i < n; i++) dim[i] = t->dim[i];
    return g_reshape(g, y, n, dim);
}

static Node *swap_first_two(Grad *g, Node *x)
{
    if (!x) return NULL;
    uint8_t perm[MAX_RANK];
    for (uint32_t i = 0; i < x->type->rank; i++) perm[i] = (uint8_t)i;
    perm[0] = 1, perm[1] = 0;
    return g_transpose(g, x, perm);
}

/* dx: dy spread by the stride, convolved with the kernel turned round, its channels and outputs changed over group by
 * group. */
static Node *conv_data(Grad *g)
{
    Module *m = g->f->module;
    const Attr *c = &g->y->attr;
    Node *x = g->y->arg[0], *w = g->y->arg[1];
    uint32_t n = x->type->rank - 2;
    Attr turn = {.axes = ((1u << n) - 1) << 2};
    Node *turned = ir_node(g->f, OP_reverse, 1, &w, &turn, NULL, g->y->span);
    /* [G*O', C', ...] -> [O', G*C', ...] -> [G*C', O', ...] */
    Node *kernel = swap_first_two(g, move_groups(g, turned, c->conv.groups, true));
    Space s = new_space(g, n);
    for (uint32_t i = 0; i < n; i++) {
        Dim *reach = dim_mul(m, dim_sub(m, w->type->dim[i + 2], g_dim(g, 1)), g_dim(g, c->conv.dilation[i]));
        Dim *wide = dim_add(m, dim_mul(m, dim_sub(m, x->type->dim[i + 2], g_dim(g, 1)), g_dim(g, c->conv.spread[i])), g_dim(g, 1));
        Dim *out = dim_add(m, dim_mul(m, dim_sub(m, g->y->type->dim[i + 2], g_dim(g, 1)), g_dim(g, c->conv.stride[i])), g_dim(g, 1));
        s.stride[i] = c->conv.spread[i];
        s.spread[i] = c->conv.stride[i];
        s.dilation[i] = c->conv.dilation[i];
        s.lo[i] = dim_sub(m, reach, c->conv.lo[i]);
        /* As much behind as gives back x's extent: out + lo + hi - reach = wide. */
        s.hi[i] = dim_add(m, dim_sub(m, dim_sub(m, wide, out), s.lo[i]), reach);
    }
    Node *d = conv(g, g->dy, kernel, c->conv.groups, &s);
    return d && d->type != x->type ? ir_reshape(g->f, d, x->type, g->y->span) : d;
}

/* dw: x and dy with batch and channels changed over; stride and dilation too. */
static Node *conv_weight(Grad *g)
{
    Module *m = g->f->module;
    const Attr *c = &g->y->attr;
    Node *x = g->y->arg[0], *w = g->y->arg[1];
    uint32_t n = x->type->rank - 2;
    /* [B, G*C', ...] -> [C', G*B, ...]: groups of the batch axis. */
    Node *image = swap_first_two(g, x);
    image = move_groups(g, image, c->conv.groups, true);
    Node *kernel = swap_first_two(g, g->dy);            /* [O, B, ...] */
    Space s = new_space(g, n);
    for (uint32_t i = 0; i < n; i++) {
        s.stride[i] = c->conv.dilation[i];
        s.dilation[i] = c->conv.stride[i];
        s.spread[i] = c->conv.spread[i];
        s.lo[i] = c->conv.lo[i];
        /* As much behind as gives the kernel's extent: (wide + lo + hi - out) / dilation + 1 = extent. */
        Dim *wide = dim_add(m, dim_mul(m, dim_sub(m, x->type->dim[i + 2], g_dim(g, 1)), g_dim(g, c->conv.spread[i])), g_dim(g, 1));
        Dim *out = dim_add(m, dim_mul(m, dim_sub(m, g->y->type->dim[i + 2], g_dim(g, 1)), g_dim(g, c->conv.stride[i])), g_dim(g, 1));
        Dim *reach = dim_mul(m, dim_sub(m, w->type->dim[i + 2], g_dim(g, 1)), g_dim(g, c->conv.dilation[i]));
        s.hi[i] = dim_sub(m, dim_add(m, out, reach), dim_add(m, wide, s.lo[i]));
    }
    Node *d = conv(g, image, kernel, c->conv.groups, &s);       /* [C', O, ...] */
    d = d ? swap_first_two(g, d) : NULL;
    return d && d->type != w->type ? ir_reshape(g->f, d, w->type, g->y->span) : d;
}

void grad_conv(Grad *g)
{
    if (g->wanted[0]) g->dx[0] = conv_data(g);
    if (g->wanted[1]) g->dx[1] = conv_weight(g);
}
