/* random_ir.c - see random_ir.h. A pool of values grows by one random operator at a time; each choice looks for operands
 * that fit and gives up quietly where there are none. */
#include "random_ir.h"

#include "passes/passes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Gen {
    Arena   *arena;
    Module  *m;
    Func    *f;
    uint64_t seed;
    Node    *pool[64];
    uint32_t n, params;
    Dim     *B, *T;
} Gen;

uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % n);
}

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->seed, n); }
/* Mostly a recent value, so that programs grow deep. */
static Node *pick(Gen *g) { return g->pool[g->n > 2 && below(g, 3) ? g->n - 1 - below(g, 2) : below(g, g->n)]; }
static Dim *num(Gen *g, int64_t v) { return dim_const(g->m, v); }

static Dim *random_dim(Gen *g)
{
    switch (below(g, 6)) {
    case 0: return g->B;
    case 1: return g->T;
    case 2: return num(g, 1);
    default: return num(g, 2 + below(g, 6));
    }
}

static Node *add_param(Gen *g, Type *t)
{
    Param *p = module_param(g->m, arena_printf(g->arena, "p%u", g->params++), false, t, (Span){0});
    return func_param(g->f, p);
}

static Node *unary(Gen *g)
{
    static const Op op[] = {OP_neg, OP_abs, OP_tanh, OP_sigmoid, OP_sin, OP_cos, OP_erf};
    Node *x = pick(g);
    if (below(g, 4) == 0) return ir_unary(g->f, OP_exp, ir_unary(g->f, OP_tanh, x, (Span){0}), (Span){0});
    if (below(g, 6) == 0) {
        Node *one = ir_splat(g->f, ir_scalar(g->f, DT_f32, 1, (Span){0}), x->type, (Span){0});
        Node *s = ir_binary(g->f, OP_add, ir_binary(g->f, OP_mul, x, x, (Span){0}), one, (Span){0});
        return ir_unary(g->f, below(g, 2) ? OP_sqrt : OP_log, s, (Span){0});
    }
    return ir_unary(g->f, op[below(g, COUNT(op))], x, (Span){0});
}

/* Another value of type t: one of the pool, or a param where t is constant, or a scalar repeated. */
static Node *like(Gen *g, Type *t)
{
    for (int tries = 0; tries < 6; tries++) {
        Node *x = pick(g);
        if (x->type == t) return x;
    }
    int64_t v;
    bool constant = true;
    for (uint32_t i = 0; i < t->rank; i++) constant &= dim_is_const(t->dim[i], &v);
    if (constant && below(g, 2)) return add_param(g, t);
    if (t->rank && below(g, 2) && dim_is_const(t->dim[t->rank - 1], &v)) {      /* a bias over the last axis */
        uint8_t axes[MAX_RANK] = {(uint8_t)(t->rank - 1)};
        return ir_broadcast(g->f, add_param(g, type_tensor(g->m, DT_f32, 1, &t->dim[t->rank - 1])), t, axes, (Span){0});
    }
    return ir_splat(g->f, ir_scalar(g->f, DT_f32, (int)below(g, 5) * 0.5 - 1, (Span){0}), t, (Span){0});
}

static Node *binary(Gen *g)
{
    static const Op op[] = {OP_add, OP_sub, OP_mul, OP_max, OP_min};
    Node *x = pick(g), *y = like(g, x->type);
    return ir_binary(g->f, op[below(g, COUNT(op))], x, y, (Span){0});
}

static Node *masked(Gen *g)
{
    Node *x = pick(g), *y = like(g, x->type);
    if (!x->type->rank) return NULL;
    Attr axis = {.axis = below(g, x->type->rank)};
    Node *i = ir_node(g->f, OP_iota, 0, NULL, &axis, type_with_dtype(g->m, x->type, DT_i32), (Span){0});
    Node *c = ir_splat(g->f, ir_scalar_int(g->f, DT_i32, 1 + below(g, 3), (Span){0}), i->type, (Span){0});
    Node *test = ir_binary(g->f, below(g, 2) ? OP_lt : OP_ge, i, c, (Span){0});
    return ir_node(g->f, OP_select, 3, (Node *[]){test, x, y}, NULL, NULL, (Span){0});
}

/* Reduce over some axes, and half of the time back over the operand (as softmax and norms do). */
static Node *reduction(Gen *g)
{
    Node *x = pick(g);
    if (!x->type->rank) return NULL;
    uint32_t axes = below(g, 3) ? 1u << (x->type->rank - 1) : 1 + below(g, (1u << x->type->rank) - 1);
    static const RedKind kind[] = {RED_sum, RED_max, RED_min};
    RedKind k = kind[below(g, 3)];
    for (uint32_t i = 0; i < x->type->rank; i++)
        if (axes >> i & 1 && (x->type->dim[i] == g->B || x->type->dim[i] == g->T || k == RED_sum)) k = RED_sum;
    Node *r = ir_reduce(g->f, k, x, axes, (Span){0});
    if (!r) return NULL;
    if (k == RED_sum) r = ir_unary(g->f, OP_tanh, r, (Span){0});
    if (below(g, 2)) return r;
    uint8_t map[MAX_RANK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->type->rank; i++)
        if (!(axes >> i & 1)) map[n++] = (uint8_t)i;
    return ir_binary(g->f, OP_sub, x, ir_broadcast(g->f, r, x->type, map, (Span){0}), (Span){0});
}

static Node *transposition(Gen *g)
{
    Node *x = pick(g);
    if (x->type->rank < 2) return NULL;
    uint8_t perm[MAX_RANK];
    for (uint32_t i = 0; i < x->type->rank; i++) perm[i] = (uint8_t)i;
    for (uint32_t i = x->type->rank; i-- > 1;) {
        uint32_t j = below(g, i + 1);
        uint8_t t = perm[i];
        perm[i] = perm[j], perm[j] = t;
    }
    return ir_transpose(g->f, x, perm, (Span){0});
}

/* Merge two neighbours, or split a constant axis. */
static Node *reshaping(Gen *g)
{
    Node *x = pick(g);
    Type *t = x->type;
    Dim *dim[MAX_RANK];
    uint32_t n = 0;
    if (t->rank >= 2 && below(g, 2)) {
        uint32_t at = below(g, t->rank - 1);
        for (uint32_t i = 0; i < t->rank; i++) {
            if (i == at + 1) dim[n - 1] = dim_mul(g->m, dim[n - 1], t->dim[i]);
            else dim[n++] = t->dim[i];
        }
    } else {
        if (!t->rank || t->rank > 4) return NULL;
        uint32_t at = below(g, t->rank);
        int64_t v;
        if (!dim_is_const(t->dim[at], &v) || v < 4 || v % 2) return NULL;
        for (uint32_t i = 0; i < t->rank; i++) {
            if (i == at) dim[n++] = num(g, v / 2), dim[n++] = num(g, 2);
            else dim[n++] = t->dim[i];
        }
    }
    return ir_reshape(g->f, x, type_tensor(g->m, t->dtype, n, dim), (Span){0});
}

static Node *slicing(Gen *g)
{
    Node *x = pick(g);
    Type *t = x->type;
    Dim *start[MAX_RANK], *dim[MAX_RANK];
    int64_t step[MAX_RANK], v;
    for (uint32_t i = 0; i < t->rank; i++) {
        start[i] = num(g, 0), step[i] = 1, dim[i] = t->dim[i];
        if (!dim_is_const(t->dim[i], &v) || v < 3 || below(g, 2)) continue;
        start[i] = num(g, 1);
        step[i] = 1 + below(g, 2);
        dim[i] = num(g, (v - 1 + step[i] - 1) / step[i]);
    }
    Attr attr = {.slice = {start, step}};
    return ir_node(g->f, OP_slice, 1, &x, &attr, type_tensor(g->m, t->dtype, t->rank, dim), (Span){0});
}

static Node *padding(Gen *g)
{
    Node *x = pick(g), *value = ir_scalar(g->f, DT_f32, below(g, 2) ? 0 : 0.5, (Span){0});
    Dim *lo[MAX_RANK], *hi[MAX_RANK];
    for (uint32_t i = 0; i < x->type->rank; i++) lo[i] = num(g, below(g, 2)), hi[i] = num(g, below(g, 2));
    Attr attr = {.pad = {lo, hi}};
    return ir_node(g->f, OP_pad, 2, (Node *[]){x, value}, &attr, NULL, (Span){0});
}

static Node *joining(Gen *g)
{
    Node *x = pick(g), *y = like(g, x->type);
    if (!x->type->rank) return NULL;
    Attr attr = {.axis = below(g, x->type->rank)};
    return ir_node(g->f, OP_concat, 2 + below(g, 2), (Node *[]){x, y, x}, &attr, NULL, (Span){0});
}

static Node *reversing(Gen *g)
{
    Node *x = pick(g);
    if (!x->type->rank) return NULL;
    Attr attr = {.axes = 1 + below(g, (1u << x->type->rank) - 1)};
    return ir_node(g->f, OP_reverse, 1, &x, &attr, NULL, (Span){0});
}

/* A product with a param over the last axis, or of two values of the pool over their last axes. */
static Node *product(Gen *g)
{
    Node *x = pick(g);
    int64_t v;
    if (!x->type->rank) return NULL;
    uint32_t last = x->type->rank - 1;
    Attr attr = {.dot = {.ncontract = 1, .lcontract = {(uint8_t)last}}};
    Node *y = NULL;
    for (int tries = 0; tries < 4 && !y; tries++) {
        Node *other = pick(g);
        uint32_t r = other->type->rank;
        if (r == x->type->rank && r >= 3 && other->type->dim[r - 1] == x->type->dim[last] && other->type->dim[0] == x->type->dim[0]) {
            attr.dot.nbatch = 1;
            attr.dot.rcontract[0] = (uint8_t)(r - 1);
            y = other;
        }
    }
    if (!y) {
        if (!dim_is_const(x->type->dim[last], &v)) return NULL;
        bool transposed = below(g, 2);
        Dim *dim[2] = {x->type->dim[last], num(g, 1 + below(g, 40))};
        if (transposed) dim[0] = dim[1], dim[1] = x->type->dim[last];
        y = add_param(g, type_tensor(g->m, DT_f32, 2, dim));
        attr.dot.rcontract[0] = transposed;
    }
    Node *p = ir_node(g->f, OP_dot, 2, (Node *[]){x, y}, &attr, NULL, (Span){0});
    return p && below(g, 3) ? ir_unary(g->f, OP_tanh, p, (Span){0}) : p;
}

static Node *convolution(Gen *g)
{
    Node *x = pick(g);
    int64_t v;
    Type *t = x->type;
    if (t->rank != 4 || !dim_is_const(t->dim[1], &v)) return NULL;
    int64_t h, w;
    if (!dim_is_const(t->dim[2], &h) || !dim_is_const(t->dim[3], &w) || h < 3 || w < 3) return NULL;
    int64_t groups = below(g, 4) == 0 ? v : 1, size = 1 + 2 * (int64_t)below(g, 2), *stride = arena_array(g->arena, int64_t, 6);
    stride[0] = stride[1] = 1 + below(g, 2);
    stride[2] = stride[3] = stride[4] = stride[5] = 1;
    Dim *pad[2] = {num(g, below(g, 2)), num(g, below(g, 2))}, *wd[4] = {num(g, groups * (1 + below(g, 3))), num(g, v / groups), num(g, size), num(g, size)};
    Node *weight = add_param(g, type_tensor(g->m, DT_f32, 4, wd));
    Attr attr = {.conv = {.groups = groups, .stride = stride, .dilation = stride + 2, .spread = stride + 4, .lo = pad, .hi = pad}};
    Node *c = ir_node(g->f, OP_conv, 2, (Node *[]){x, weight}, &attr, NULL, (Span){0});
    return c && below(g, 3) ? ir_unary(g->f, OP_tanh, c, (Span){0}) : c;
}

static Node *pooling(Gen *g)
{
    Node *x = pick(g);
    Type *t = x->type;
    if (t->rank < 2) return NULL;
    int64_t *size = arena_array(g->arena, int64_t, MAX_RANK), *stride = arena_array(g->arena, int64_t, MAX_RANK), v;
    Dim *pad[MAX_RANK];
    for (uint32_t i = 0; i < t->rank; i++) {
        size[i] = stride[i] = 1, pad[i] = num(g, 0);
        if (i + 2 < t->rank || !dim_is_const(t->dim[i], &v) || v < 2) continue;
        size[i] = 2, stride[i] = 1 + below(g, 2);
    }
    Attr attr = {.window = {below(g, 2) ? RED_max : RED_sum, size, stride, pad, pad}};
    return ir_node(g->f, OP_window, 1, &x, &attr, NULL, (Span){0});
}

static Node *gathering(Gen *g)
{
    Node *x = pick(g);
    int64_t v;
    if (!x->type->rank) return NULL;
    Attr attr = {.axis = below(g, x->type->rank)};
    if (!dim_is_const(x->type->dim[attr.axis], &v) || v < 3) return NULL;
    Node *ids = func_arg(g->f, ARG_INPUT, arena_printf(g->arena, "ids%u", g->f->args.n), type_tensor(g->m, DT_i32, 1, (Dim *[]){random_dim(g)}), NULL, (Span){0});
    return ir_node(g->f, OP_gather, 2, (Node *[]){x, ids}, &attr, NULL, (Span){0});
}

static Gen generate(Arena *a, uint64_t seed)
{
    static Node *(*const make[])(Gen *) = {unary, unary, binary, binary, masked, reduction, reduction, transposition, reshaping, slicing, padding,
                                           joining, reversing, product, product, convolution, pooling, gathering};
    Gen g = {.arena = a, .seed = seed * 2654435761u + 12345, .m = module_new(a, NULL, "random")};
    g.f = func_new(g.m, "f", (Span){0});
    g.f->exported = true;
    g.B = dim_sym(g.m, g.f, "B"), g.T = dim_sym(g.m, g.f, "T");
    vec_push(a, &g.f->dims, g.B), vec_push(a, &g.f->dims, g.T);
    for (uint32_t i = 0, n = 1 + below(&g, 3); i < n; i++) {
        Dim *dim[4];
        uint32_t rank = 1 + below(&g, 4);
        for (uint32_t k = 0; k < rank; k++) dim[k] = rank == 4 && k ? num(&g, 3 + below(&g, 4)) : random_dim(&g);
        g.pool[g.n++] = func_arg(g.f, ARG_INPUT, arena_printf(a, "x%u", i), type_tensor(g.m, DT_f32, rank, dim), NULL, (Span){0});
    }
    for (uint32_t tries = 0, want = 4 + below(&g, 14); tries < 200 && g.n < want + 3; tries++) {
        Node *x = make[below(&g, COUNT(make))](&g);
        int64_t size = 0;
        if (!x || x->type->rank > 5) continue;
        Dim *count = type_count(g.m, x->type);
        if (!count || count->nterms > 6 || (dim_is_const(count, &size) && size > 5000)) continue;
        g.pool[g.n++] = x;
    }
    return g;
}

Module *random_module(Arena *a, uint64_t seed)
{
    Gen g = generate(a, seed);
    func_result(g.f, "a", g.pool[g.n - 1], NULL);
    func_result(g.f, "b", pick(&g), NULL);
    return g.m;
}

Module *random_gradients(Arena *a, uint64_t seed)
{
    Gen g = generate(a, seed);
    Node *y = ir_unary(g.f, OP_tanh, g.pool[g.n - 1], (Span){0}), *of[4] = {y};
    of[0] = y->type->rank ? ir_reduce(g.f, RED_sum, y, (1u << y->type->rank) - 1, (Span){0}) : y;
    uint32_t n = 1;
    for (uint32_t i = 0; i < g.f->args.n && n < COUNT(of); i++)
        if (dtype_is_float(g.f->args.at[i].node->type->dtype)) of[n++] = g.f->args.at[i].node;
    if (n < 2) return NULL;
    Node *d = ir_node(g.f, OP_grad, n, of, NULL, NULL, (Span){0});
    for (uint32_t i = 0; i + 1 < n; i++) func_result(g.f, arena_printf(a, "d%u", i), ir_get(g.f, d, i, (Span){0}), NULL);
    pass_autodiff(g.m);
    return g.m;
}


typedef struct Values { const Func *f; const int64_t *dims; } Values;
static bool look_up(void *user, const Atom *sym, int64_t *v)
{
    const Values *u = user;
    for (uint32_t i = 0; i < u->f->dims.n; i++)
        if (dim_as_sym(u->f->dims.at[i]) == sym) return *v = u->dims[i], true;
    return false;
}

Tensor random_tensor(Arena *a, const Func *f, Type *t, const int64_t *dims, uint64_t *seed)
{
    Tensor x = {.dtype = t->dtype, .rank = t->rank};
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_value(t->dim[i], look_up, &(Values){f, dims}, &x.dim[i])) abort();
    int64_t n = tensor_count(&x);
    x.data = arena_alloc(a, (size_t)(n + 1) * dtype_size(t->dtype));
    for (int64_t i = 0; i < n; i++) {
        double u = random_below(seed, 1 << 24) / (double)(1 << 24);
        tensor_set(&x, i, dtype_is_float(t->dtype) ? 2 * u - 1 : floor(3 * u));
    }
    return x;
}
