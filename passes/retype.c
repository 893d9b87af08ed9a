/* retype - a program in another float type: `dlc --f32-as=f64`.
 * In:  any verified graph, fresh from the frontend.
 * Out: the same graph with every f32 an f64: params, states, inputs, results, constants, casts. Random draws are made in
 *      f32 and cast, so that initial values and dropout masks are those of the f32 program.
 *   %0 = input "x" : f32[N]               %0 = input "x" : f64[N]
 *   %1 = rng %8, %9 : f32[N]       ->     %1 = rng %8, %9 : f32[N]
 *                                         %2 = cast %1 : f64[N]
 *   %2 = mul %0, %1 : f32[N]              %3 = mul %0, %2 : f64[N]
 */
#include <stdlib.h>

#include "passes/passes.h"

static Type *retyped(Module *m, Type *t)
{
    if (t->kind == TYPE_TENSOR) return t->dtype == DT_f32 ? type_with_dtype(m, t, DT_f64) : t;
    Type **member = arena_array(m->arena, Type *, t->rank + 1);
    for (uint32_t i = 0; i < t->rank; i++) member[i] = retyped(m, t->member[i]);
    return type_tuple(m, t->rank, member);
}

/* What the constant was before it was rounded to f32: known of scalars that the frontend made; of others the shortest
 * decimal that rounds to it, 0.1 for 0.1f. */
static double exact_value(Arena *a, const Node *c, int64_t i)
{
    if (c->attr.lit.exact) return *c->attr.lit.exact;
    Str s = {.arena = a};
    str_float(&s, ((const float *)c->attr.lit.data)[i]);
    return strtod(s.at, NULL);
}

static Node *retype_const(Func *f, const Node *c, Type *t)
{
    Arena scratch = {0};
    int64_t n = 0;
    (void)dim_is_const(type_count(f->module, t), &n);
    double *value = arena_array(&scratch, double, (size_t)n + 1);
    for (int64_t i = 0; i < n; i++) value[i] = exact_value(&scratch, c, i);
    Node *r = ir_node(f, OP_const, 0, NULL, &(Attr){.lit = {.data = value}}, t, c->span);
    arena_free(&scratch);
    return r;
}

static Node *retype_node(Func *f, const Rewrite *rw, Node *old)
{
    Module *m = f->module;
    Type *type = retyped(m, old->type);
    if (old->op == OP_const && type != old->type) return retype_const(f, old, type);
    Attr attr = old->attr;
    if (old->op == OP_cast && attr.dtype == DT_f32) attr.dtype = DT_f64;
    Node **arg = arena_array(m->arena, Node *, old->nargs + 1);
    for (uint32_t k = 0; k < old->nargs; k++) arg[k] = rw->map[old->arg[k]->id];
    Node *n = ir_node(f, old->op, old->nargs, arg, &attr, old->op == OP_rng ? old->type : type, old->span);
    if (n && n->type != type) n->remat = old->remat, n = ir_cast(f, n, DT_f64, old->span);
    return n;
}

void retype_f32_as_f64(Module *m)
{
    for (uint32_t i = 0; i < m->params.n; i++) m->params.at[i]->type = retyped(m, m->params.at[i]->type);
    FuncList all = module_funcs(m->arena, m);
    for (uint32_t i = 0; i < all.n; i++) {
        Func *f = all.at[i];
        Rewrite rw = rewrite_begin(f);
        for (uint32_t k = 0; k < f->args.n; k++) f->args.at[k].node->type = retyped(m, f->args.at[k].node->type);
        for (uint32_t k = 0; k < rw.nold; k++) {
            Node *old = rw.old[k];
            if (old->op == OP_arg) continue;
            Node *n = rw.map[old->id] = retype_node(f, &rw, old);
            n->remat = old->remat;
        }
        rewrite_end(&rw);
    }
}
