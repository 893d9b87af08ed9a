/* generate.c - random valid programs: see random.h. This file makes the frame; the operators are in generate_*.c. */
#include "tests/random/generate.h"

#include "passes/passes.h"

#include <string.h>

uint32_t below(Gen *g, uint32_t n) { return draw_below(&g->seed, n); }
Dim *num(Gen *g, int64_t v) { return dim_const(g->m, v); }

/* ---- types --------------------------------------------------------------------------------------------- */

Dim *random_dim(Gen *g)
{
    static const uint8_t odd[] = {2, 3, 5, 7, 11, 13, 17, 4, 8, 6, 9, 16, 33};
    switch (below(g, 12)) {
    case 0: case 1: return g->dim[0];
    case 2: case 3: return g->dim[1];
    case 4: return num(g, 1);
    case 5: return below(g, 4) ? num(g, 3) : num(g, 0);
    case 6: return dim_add(g->m, g->dim[below(g, 2)], num(g, 1 + below(g, 3)));
    default: return num(g, odd[below(g, COUNT(odd))]);
    }
}

Type *random_type(Gen *g, uint32_t rank)
{
    static const DType exact[] = {DT_f32, DT_f32, DT_f32, DT_f64, DT_i32, DT_i64, DT_u8, DT_bool};
    Dim *dim[MAX_RANK];
    for (uint32_t k = 0; k < rank; k++) dim[k] = rank >= 3 && k ? num(g, 2 + below(g, 6)) : random_dim(g);
    DType t = g->base;
    if (g->exact && below(g, 2)) t = exact[below(g, COUNT(exact))];
    else if (!g->exact && below(g, 8) == 0) t = DT_i32;
    return type_tensor(g->m, t, rank, dim);
}

bool is_const_type(Type *t)
{
    int64_t v;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dim[i], &v)) return false;
    return true;
}

/* ---- operands ------------------------------------------------------------------------------------------ */

Node *pick(Gen *g) { return g->pool[g->n > 2 && below(g, 3) ? g->n - 1 - below(g, 2) : below(g, g->n)]; }

static Node *pick_where(Gen *g, bool (*test)(DType))
{
    for (int tries = 0; tries < 8; tries++) {
        Node *x = pick(g);
        if (test(x->type->dtype)) return x;
    }
    return NULL;
}

static bool is_bool(DType t) { return t == DT_bool; }
Node *pick_number(Gen *g) { return pick_where(g, dtype_is_number); }
Node *pick_float(Gen *g) { return pick_where(g, dtype_is_float); }
Node *pick_bool(Gen *g) { return pick_where(g, is_bool); }

Node *scalar(Gen *g, DType t, double v) { return dtype_is_float(t) ? ir_scalar(g->f, t, v, (Span){0}) : ir_scalar_int(g->f, t, (int64_t)v, (Span){0}); }

Node *new_input(Gen *g, const char *prefix, Type *t)
{
    const char *name = arena_printf(g->arena, "%s%u", prefix, g->names++);
    if (g->f->args.n >= RANDOM_ARGS - 4) return NULL;
    if (is_const_type(t) && dtype_is_float(t->dtype) && below(g, 2)) return func_param(g->f, module_param(g->m, name, below(g, 4) == 0, t, (Span){0}));
    return func_arg(g->f, ARG_INPUT, name, t, NULL, (Span){0});
}

Node *indices(Gen *g, Type *t)
{
    DType of = below(g, 4) ? DT_i32 : DT_i64;
    Type *type = t ? type_with_dtype(g->m, t, of) : type_tensor(g->m, of, 1, (Dim *[]){random_dim(g)});
    if (below(g, 4) == 0) {                             /* computed ones */
        Node *x = like(g, type), *three = x ? ir_splat(g->f, scalar(g, of, 3), type, (Span){0}) : NULL;
        return x ? ir_binary(g->f, OP_mod, x, three, (Span){0}) : NULL;
    }
    Node *ids = func_arg(g->f, ARG_INPUT, arena_printf(g->arena, "ids%u", g->names++), type, NULL, (Span){0});
    if (below(g, 2)) {
        Arg *arg = &g->f->args.at[g->f->args.n - 1];
        arg->is_index = true;
        arg->limit = num(g, 3);
    }
    return ids;
}

Node *like(Gen *g, Type *t)
{
    Span s = {0};
    for (int tries = 0; tries < 6; tries++) {
        Node *x = pick(g);
        if (x->type == t) return x;
        if (type_with_dtype(g->m, x->type, t->dtype) == t && tries > 2) return ir_cast(g->f, x, t->dtype, s);
    }
    if (t->rank && below(g, 3) == 0) {                  /* a vector along one axis */
        uint8_t axes[MAX_RANK] = {(uint8_t)below(g, t->rank)};
        Node *v = new_input(g, "v", type_tensor(g->m, t->dtype, 1, &t->dim[axes[0]]));
        return v ? ir_broadcast(g->f, v, t, axes, s) : NULL;
    }
    if (below(g, 3) == 0) return new_input(g, "p", t);
    if (t->rank && t->dtype != DT_bool && below(g, 3) == 0) {
        Attr axis = {.axis = below(g, t->rank)};
        Node *i = ir_node(g->f, OP_iota, 0, NULL, &axis, t, s);
        return g->exact || !dtype_is_float(t->dtype) ? i : ir_unary(g->f, OP_sin, i, s);
    }
    double v = g->exact || !dtype_is_float(t->dtype) ? (double)below(g, 4) : below(g, 5) * 0.5 - 1;
    return ir_splat(g->f, scalar(g, t->dtype, t->dtype == DT_bool ? below(g, 2) : v), t, s);
}

/* ---- the program ----------------------------------------------------------------------------------------- */

typedef struct Mark { uint32_t nodes, made, args, params, names; } Mark;

static Mark mark(const Gen *g) { return (Mark){g->f->body.nodes.n, g->f->nodes_made, g->f->args.n, g->m->params.n, g->names}; }
static void undo(Gen *g, Mark m)
{
    g->f->body.nodes.n = m.nodes, g->f->nodes_made = m.made, g->f->args.n = m.args, g->m->params.n = m.params, g->names = m.names;
}

/* Small enough to evaluate often, for every binding. */
static bool is_small(const Gen *g, const RandomProgram *p, uint32_t from)
{
    for (uint32_t i = from; i < g->f->body.nodes.n; i++) {
        Type *t = g->f->body.nodes.at[i]->type;
        for (uint32_t b = 0; b < p->nbindings && t->kind == TYPE_TENSOR; b++) {
            int64_t v, count = 1;
            for (uint32_t k = 0; k < t->rank; k++) {
                if (!dims_value(g->f, p->dims[b], t->dim[k], &v) || v > 4000) return false;
                count *= v;
                if (count > 4000) return false;
            }
        }
    }
    return true;
}

static bool is_exact_everywhere(const Gen *g, const RandomProgram *p, bool all)
{
    bool ok = true;
    for (uint32_t b = 0; ok && b < (all ? p->nbindings : 1); b++) {
        Arena scratch = {0};
        Tensor inputs[RANDOM_ARGS];
        draw_inputs(&scratch, p, p->dims[b], inputs);
        ok = is_exact(&scratch, g->f, inputs, p->dims[b]);
        arena_free(&scratch);
    }
    return ok;
}

static void grow(Gen *g, RandomProgram *p)
{
    MakeNode *const *const all[] = {make_map, make_map, make_view, make_sum};
    uint32_t want = g->n + 3 + below(g, 16);
    for (uint32_t tries = 0; tries < 150 && g->n < want; tries++) {
        MakeNode *const *table = all[below(g, COUNT(all))];
        uint32_t n = 0;
        while (table[n]) n++;
        Mark before = mark(g);
        Node *x = table[below(g, n)](g);
        bool ok = x && x->type->kind == TYPE_TENSOR && x->type->rank <= 6 && is_small(g, p, before.nodes);
        if (ok && (!g->exact || is_exact_everywhere(g, p, false))) g->pool[g->n++] = x;
        else undo(g, before);
    }
}

static Node *all_sum(Gen *g, Node *x) { return x->type->rank ? ir_reduce(g->f, RED_sum, x, (1u << x->type->rank) - 1, (Span){0}) : x; }

/* The gradients of a weighted sum by some arguments. */
static bool differentiate(Gen *g)
{
    Node *y = NULL, *of[5];
    Span s = {0};
    for (uint32_t i = g->n; i-- > 0 && !y;)
        if (dtype_is_float(g->pool[i]->type->dtype)) y = g->pool[i];
    if (!y) return false;
    if (!g->exact) y = ir_unary(g->f, OP_tanh, y, s);
    Node *w = like(g, y->type);
    of[0] = w ? all_sum(g, ir_binary(g->f, OP_mul, y, w, s)) : NULL;
    if (!of[0]) return false;
    uint32_t n = 1, first = below(g, g->f->args.n);
    for (uint32_t i = 0; i < g->f->args.n && n < COUNT(of); i++) {
        Node *x = g->f->args.at[(first + i) % g->f->args.n].node;
        if (dtype_is_float(x->type->dtype)) of[n++] = x;
    }
    if (n < 2) return false;
    Node *d = ir_node(g->f, OP_grad, n, of, NULL, NULL, s);
    if (!d) return false;
    for (uint32_t i = 0; i + 1 < n; i++) {
        g->pool[g->n] = ir_get(g->f, d, i, s);
        func_result(g->f, arena_printf(g->arena, "d%u", i), g->pool[g->n], NULL);
    }
    func_result(g->f, "loss", of[0], NULL);
    return true;
}

/* New values for some params and states: of SGD where there is a gradient of the type, else a mixture. */
static void update(Gen *g)
{
    Func *f = g->f;
    Span s = {0};
    for (uint32_t i = 0; i < g->m->params.n && f->results.n < RANDOM_RESULTS - 2; i++) {
        Param *param = g->m->params.at[i];
        Node *old = func_param(f, param), *change = NULL, *now;
        if (below(g, 4) == 0) continue;
        for (uint32_t r = 0; r < f->results.n && !change; r++)
            if (f->results.at[r].node->type == param->type && f->results.at[r].node->op != OP_arg) change = f->results.at[r].node;
        if (!change) change = like(g, param->type);
        if (!change) continue;
        Node *rate = ir_splat(f, scalar(g, param->type->dtype, g->exact ? 2 : 0.25), param->type, s);
        now = ir_binary(f, OP_sub, old, ir_binary(f, OP_mul, rate, change, s), s);
        func_result(f, param->path, below(g, 8) ? now : change, param);
    }
    Node *x = pick_float(g);
    if (!x || below(g, 2)) return;
    Node *ok = ir_unary(f, OP_isfinite, x, s);
    if (ok->type->rank) ok = ir_reduce(f, RED_and, ok, (1u << ok->type->rank) - 1, s);
    func_guard(f, ok, "a value", s);
}

/* What nothing else uses becomes a result: the last values, then earlier ones. */
static void return_unused(Gen *g, uint32_t most)
{
    uint32_t *uses = use_counts(g->arena, g->f);
    for (uint32_t i = g->n, n = 0; i-- > 0 && n < most;)
        if (!uses[g->pool[i]->id]) func_result(g->f, arena_printf(g->arena, "y%u", n++), g->pool[i], NULL);
}

bool generate(Arena *a, uint64_t seed, const GenerateOptions *o, RandomProgram *p)
{
    static const int64_t dims[][2] = {{3, 5}, {1, 1}, {17, 13}, {2, 31}, {0, 3}, {0, 0}, {8, 8}, {5, 1}, {1, 40}, {4, 0}, {6, 16}};
    Diags *d = arena_new(a, Diags);
    d->arena = a;
    Gen g = {.arena = a, .seed = seed * 2654435761u + 12345, .m = module_new(a, d, "random"), .exact = o->exact};
    below(&g, 2);
    *p = (RandomProgram){.m = g.m, .exact = o->exact, .data = seed, .nbindings = BINDINGS};
    g.f = func_new(g.m, "f", (Span){0});
    g.f->exported = true;
    g.base = below(&g, 4) ? DT_f32 : DT_f64;
    g.dim[0] = dim_sym(g.m, g.f, "B"), g.dim[1] = dim_sym(g.m, g.f, "T");
    vec_push(a, &g.f->dims, g.dim[0]);
    vec_push(a, &g.f->dims, g.dim[1]);
    for (uint32_t b = 0, first = below(&g, COUNT(dims)); b < BINDINGS; b++) memcpy(p->dims[b], dims[(first + 3 * b) % COUNT(dims)], sizeof dims[0]);
    for (uint32_t i = 0, n = 1 + below(&g, 3); i < n; i++) g.pool[g.n++] = new_input(&g, "x", random_type(&g, 1 + below(&g, 5)));
    if (!is_small(&g, p, 0)) return false;
    grow(&g, p);
    bool gradients = below(&g, 3) == 0 && differentiate(&g);
    return_unused(&g, gradients ? 3 : 8);
    func_result(g.f, "used", pick(&g), NULL);
    if (o->updates) update(&g);
    if (gradients) pass_autodiff(g.m);
    if (d->errors || g.f->args.n > RANDOM_ARGS) return false;
    rewrite_end(&(Rewrite){.f = g.f});                  /* what no result needs goes */
    return is_small(&g, p, 0) && (!g.exact || is_exact_everywhere(&g, p, true));
}
