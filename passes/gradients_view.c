/* gradients_view.c - gradients of operators that move data: the gradient moves back the way the data came, and adds up
 * where a value was read more than once. */
#include "passes/gradients.h"

#include <string.h>

static Module *module(Grad *g) { return g->f->module; }
static Type *x_type(Grad *g) { return g->y->arg[0]->type; }

void grad_reshape(Grad *g) { g->dx[0] = ir_reshape(g->f, g->dy, x_type(g), g->y->span); }

void grad_transpose(Grad *g)
{
    uint8_t inverse[MAX_RANK];
    for (uint32_t i = 0; i < g->y->type->rank; i++) inverse[g->y->attr.perm[i]] = (uint8_t)i;
    g->dx[0] = g_transpose(g, g->dy, inverse);
}

/* Sum over the axes that are new or were stretched. */
void grad_broadcast(Grad *g)
{
    Type *x = x_type(g);
    uint32_t axes = (1u << g->y->type->rank) - 1;
    for (uint32_t i = 0; i < x->rank; i++)
        if (x->dim[i] == g->y->type->dim[g->y->attr.perm[i]]) axes &= ~(1u << g->y->attr.perm[i]);
    Node *sum = axes ? ir_reduce(g->f, RED_sum, g->dy, axes, g->y->span) : g->dy;
    if (!sum) return;
    g->dx[0] = sum->type == x ? sum : ir_reshape(g->f, sum, x, g->y->span);
}

/* Zeros between and around. */
void grad_slice(Grad *g)
{
    Module *m = module(g);
    Type *x = x_type(g);
    Node *d = g_spread(g, g->dy, g->y->attr.slice.step);
    if (!d) return;
    Dim *hi[MAX_RANK];
    for (uint32_t i = 0; i < x->rank; i++) {
        hi[i] = dim_sub(m, dim_sub(m, x->dim[i], g->y->attr.slice.start[i]), d->type->dim[i]);
        if (!hi[i] || hi[i]->hi < 0) {
            g->error = "the slice may be empty";
            return;
        }
    }
    g->dx[0] = g_pad(g, d, g->y->attr.slice.start, hi);
}

void grad_pad(Grad *g)
{
    Type *x = x_type(g);
    int64_t step[MAX_RANK];
    for (uint32_t i = 0; i < x->rank; i++) step[i] = 1;
    Node *inside = g_slice(g, g->dy, g->y->attr.pad.lo, step, x->dim);
    g->dx[0] = inside;
    if (!g->wanted[1]) return;
    uint32_t all = (1u << x->rank) - 1;
    Node *sum = x->rank ? ir_reduce(g->f, RED_sum, g->dy, all, g->y->span) : g->dy, *part = x->rank ? ir_reduce(g->f, RED_sum, inside, all, g->y->span) : inside;
    g->dx[1] = g_binary(g, OP_sub, sum, part);
}

void grad_concat(Grad *g)
{
    Module *m = module(g);
    uint32_t axis = g->y->attr.axis;
    Dim *start[MAX_RANK];
    int64_t step[MAX_RANK];
    for (uint32_t i = 0; i < g->y->type->rank; i++) start[i] = g_dim(g, 0), step[i] = 1;
    for (uint32_t k = 0; k < g->y->nargs; k++) {
        Type *part = g->y->arg[k]->type;
        if (g->wanted[k]) g->dx[k] = g_slice(g, g->dy, start, step, part->dim);
        start[axis] = dim_add(m, start[axis], part->dim[axis]);
    }
}

void grad_reverse(Grad *g) { g->dx[0] = ir_node(g->f, OP_reverse, 1, &g->dy, &g->y->attr, NULL, g->y->span); }

/* zeros of x's type, with `values` (rows along axis 0) added at `ids` (of rank 1). */
static Node *scatter_rows(Grad *g, Type *x, Node *ids, Node *values)
{
    Attr attr = {.reduce = {.kind = RED_sum}};
    return ir_node(g->f, OP_scatter, 3, (Node *[]){g_zeros(g, x), ids, values}, &attr, NULL, g->y->span);
}

/* Scatter-add of the rows that were taken; the axis goes first and comes back. */
void grad_gather(Grad *g)
{
    Module *m = module(g);
    Type *x = x_type(g), *y = g->y->type;
    Node *ids = g->y->arg[1];
    uint32_t axis = g->y->attr.axis, n = ids->type->rank;
    uint8_t front[MAX_RANK], back[MAX_RANK];
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) front[k++] = (uint8_t)(axis + i);
    for (uint32_t i = 0; i < y->rank; i++)
        if (i < axis || i >= axis + n) front[k++] = (uint8_t)i;
    Node *rows = g_transpose(g, g->dy, front);
    Dim *count = type_count(m, ids->type), *dim[MAX_RANK], *x_dim[MAX_RANK];
    dim[0] = count;
    for (uint32_t i = 0, j = 1; i < x->rank; i++)
        if (i != axis) dim[j++] = x->dim[i];
    rows = g_reshape(g, rows, x->rank, dim);
    x_dim[0] = x->dim[axis];
    memcpy(x_dim + 1, dim + 1, (x->rank - 1) * sizeof *dim);
    Node *sum = scatter_rows(g, type_tensor(m, x->dtype, x->rank, x_dim), g_reshape(g, ids, 1, &count), rows);
    for (uint32_t i = 0; i < x->rank; i++) back[i] = (uint8_t)(i == axis ? 0 : i < axis ? i + 1 : i);
    g->dx[0] = g_transpose(g, sum, back);
}

Node *g_put_along(Grad *g, Type *x, Node *ids, Node *d, uint32_t axis)
{
    Module *m = module(g);
    if (!ids || !d) return NULL;
    Type *positions = type_with_dtype(m, ids->type, DT_i64);
    Node *flat = g_zeros(g, positions);
    for (uint32_t i = 0; i < x->rank; i++) {
        Attr at = {.axis = i};
        Node *index = i == axis ? ir_cast(g->f, ids, DT_i64, g->y->span) : ir_node(g->f, OP_iota, 0, NULL, &at, positions, g->y->span);
        Attr extent = {.dim = x->dim[i]};
        Node *scale = ir_splat(g->f, ir_node(g->f, OP_dim, 0, NULL, &extent, NULL, g->y->span), positions, g->y->span);
        flat = g_binary(g, OP_add, g_binary(g, OP_mul, flat, scale), index);
    }
    Dim *taken = type_count(m, ids->type), *all = type_count(m, x);
    Node *sum = scatter_rows(g, type_tensor(m, x->dtype, 1, &all), g_reshape(g, flat, 1, &taken), g_reshape(g, d, 1, &taken));
    return ir_reshape(g->f, sum, x, g->y->span);
}

/* One taken a row (a loss picking its class): a select. More: a scatter-add at flat positions. */
void grad_take_along(Grad *g)
{
    Module *m = module(g);
    Type *x = x_type(g);
    Node *ids = g->y->arg[1];
    uint32_t axis = g->y->attr.axis;
    Attr along = {.axis = axis};
    if (!dim_equals(ids->type->dim[axis], 1)) {
        g->dx[0] = g_put_along(g, x, ids, g->dy, axis);
        return;
    }
    uint8_t same[MAX_RANK];
    for (uint32_t i = 0; i < x->rank; i++) same[i] = (uint8_t)i;
    Type *positions = type_with_dtype(m, x, ids->type->dtype);
    Node *position = ir_node(g->f, OP_iota, 0, NULL, &along, positions, g->y->span);
    Node *here = g_binary(g, OP_eq, position, ir_broadcast(g->f, ids, positions, same, g->y->span));
    g->dx[0] = g_select(g, here, ir_broadcast(g->f, g->dy, x, same, g->y->span), g_zeros(g, x));
}

void grad_dslice(Grad *g)
{
    Attr attr = {.axis = g->y->attr.axis};
    g->dx[0] = ir_node(g->f, OP_dupdate, 3, (Node *[]){g_zeros(g, x_type(g)), g->dy, g->y->arg[1]}, &attr, NULL, g->y->span);
}

void grad_dupdate(Grad *g)
{
    Attr attr = {.axis = g->y->attr.axis};
    Node *values = g->y->arg[1], *start = g->y->arg[2];
    if (g->wanted[0]) g->dx[0] = ir_node(g->f, OP_dupdate, 3, (Node *[]){g->dy, g_zeros(g, values->type), start}, &attr, NULL, g->y->span);
    if (g->wanted[1]) g->dx[1] = ir_node(g->f, OP_dslice, 2, (Node *[]){g->dy, start}, &attr, values->type, g->y->span);
}

static Node *scatter(Grad *g, RedKind kind, Node *x, Node *ids, Node *values)
{
    Attr attr = {.reduce = {.kind = kind}};
    return x ? ir_node(g->f, OP_scatter, 3, (Node *[]){x, ids, values}, &attr, NULL, g->y->span) : NULL;
}

/* Where the values stand that were scattered last: of several to one row the others are gone. As the values, bool. */
static Node *stands(Grad *g, Node *ids, Type *values)
{
    Module *m = module(g);
    Type *x = x_type(g), *numbers = type_with_dtype(m, ids->type, DT_i32);
    Dim *count = type_count(m, ids->type);
    Attr along = {.axis = 0};
    uint8_t rows[MAX_RANK];
    for (uint32_t i = 0; i < MAX_RANK; i++) rows[i] = (uint8_t)i;
    if (!count) return NULL;
    Node *number = ir_reshape(g->f, ir_node(g->f, OP_iota, 0, NULL, &along, type_tensor(m, DT_i32, 1, &count), g->y->span), numbers, g->y->span);
    Node *last = scatter(g, RED_none, g_zeros(g, type_tensor(m, DT_i32, 1, x->dim)), ids, number);
    Node *is_last = g_binary(g, OP_eq, ir_node(g->f, OP_gather, 2, (Node *[]){last, ids}, &along, NULL, g->y->span), number);
    return ir_broadcast(g->f, is_last, type_with_dtype(m, values, DT_bool), rows, g->y->span);
}

/* sum: x's is dy, the values' what stands where they were added. none: x's is dy but where values stand; theirs what stands
 * there, of the last. max: shared evenly by all that are the maximum, as PyTorch has it. */
void grad_scatter(Grad *g)
{
    Node *x = g->y->arg[0], *ids = g->y->arg[1], *values = g->y->arg[2], *d = g->dy;
    Attr rows = {.axis = 0};
    RedKind kind = g->y->attr.reduce.kind;
    if (kind == RED_max) {
        Node *one = g_number(g, 1, x->type), *none = g_zeros(g, x->type);
        Node *of_x = g_select(g, g_binary(g, OP_eq, g->y, x), one, none);
        Node *result = ir_node(g->f, OP_gather, 2, (Node *[]){g->y, ids}, &rows, NULL, g->y->span);
        Node *won = g_binary(g, OP_eq, result, values);
        Node *count = g_number(g, 1, values->type), *nothing = g_zeros(g, values->type);
        Node *winners = scatter(g, RED_sum, of_x, ids, g_select(g, won, count, nothing));
        d = g_binary(g, OP_div, d, winners);
        if (g->wanted[0]) g->dx[0] = g_binary(g, OP_mul, d, of_x);
        Node *taken = g->wanted[2] ? ir_node(g->f, OP_gather, 2, (Node *[]){d, ids}, &rows, NULL, g->y->span) : NULL;
        if (g->wanted[2]) g->dx[2] = g_select(g, won, taken, g_zeros(g, values->type));
        return;
    }
    if (g->wanted[0]) g->dx[0] = kind == RED_sum ? d : scatter(g, RED_none, d, ids, g_zeros(g, values->type));
    if (!g->wanted[2]) return;
    Node *taken = ir_node(g->f, OP_gather, 2, (Node *[]){d, ids}, &rows, NULL, g->y->span);
    g->dx[2] = kind == RED_sum ? taken : g_select(g, stands(g, ids, values->type), taken, g_zeros(g, values->type));
}

void grad_tuple(Grad *g)
{
    for (uint32_t i = 0; i < g->y->nargs; i++) g->dx[i] = g->dy_of[i];
}
