/* cse - compute equal values once.
 * In:  any verified graph.
 * Out: of nodes with equal operator, operands, attributes and type, the first stays. Random draws and nodes with
 *      different remat tags are never merged: a draw is a new value each time, a recomputed node is there on purpose.
 *      Loops are not merged either; the bodies of loops are functions like others.
 *   %1 = exp %0 : f32[8]
 *   %2 = exp %0 : f32[8]
 *   %3 = add %1, %2 : f32[8]     ->   %2 = add %1, %1 : f32[8]
 */
#include <string.h>

#include "passes/passes.h"

static void key_bytes(Str *s, const void *p, size_t n) { str_addn(s, p, n); }
#define key(s, x) key_bytes((s), &(x), sizeof(x))
static void key_dims(Str *s, Dim **d, uint32_t n)
{
    if (n) key_bytes(s, d, n * sizeof *d);              /* interned: the pointers are the values */
}
static void key_ints(Str *s, const int64_t *v, uint32_t n)
{
    if (n) key_bytes(s, v, n * sizeof *v);
}

static void key_attr(Str *s, const Node *n)
{
    uint32_t rank = n->nargs && n->arg[0]->type->kind == TYPE_TENSOR ? n->arg[0]->type->rank : 0;
    uint32_t space = rank >= 2 ? rank - 2 : 0;
    const Attr *a = &n->attr;
    switch (op_attr(n->op)) {
    case ATTR_none: break;
    case ATTR_arg: key(s, a->arg); break;
    case ATTR_lit: {
        int64_t count = 1, d;
        for (uint32_t i = 0; i < n->type->rank; i++)
            if (dim_is_const(n->type->dim[i], &d)) count *= d;
        key_bytes(s, a->lit.data, (size_t)count * dtype_size(n->type->dtype));
        break;
    }
    case ATTR_dim: key(s, a->dim); break;
    case ATTR_axis: key(s, a->axis); break;
    case ATTR_rng: key(s, a->rng.stream); break;
    case ATTR_dtype: key(s, a->dtype); break;
    case ATTR_perm: key_bytes(s, a->perm, rank); break;
    case ATTR_axes: key(s, a->axes); break;
    case ATTR_slice: key_dims(s, a->slice.start, rank), key_ints(s, a->slice.step, rank); break;
    case ATTR_pad: key_dims(s, a->pad.lo, rank), key_dims(s, a->pad.hi, rank); break;
    case ATTR_reduce: key(s, a->reduce.kind), key(s, a->reduce.axes), key(s, a->reduce.reverse); break;
    case ATTR_window:
        key(s, a->window.kind), key_ints(s, a->window.size, rank), key_ints(s, a->window.stride, rank);
        key_dims(s, a->window.lo, rank), key_dims(s, a->window.hi, rank);
        break;
    case ATTR_dot:
        key(s, a->dot.nbatch), key(s, a->dot.ncontract);
        key_bytes(s, a->dot.lbatch, a->dot.nbatch), key_bytes(s, a->dot.rbatch, a->dot.nbatch);
        key_bytes(s, a->dot.lcontract, a->dot.ncontract), key_bytes(s, a->dot.rcontract, a->dot.ncontract);
        break;
    case ATTR_conv:
        key(s, a->conv.groups), key_ints(s, a->conv.stride, space), key_ints(s, a->conv.dilation, space);
        key_ints(s, a->conv.spread, space), key_dims(s, a->conv.lo, space), key_dims(s, a->conv.hi, space);
        break;
    case ATTR_order: key(s, a->order.axis), key(s, a->order.descending); break;
    case ATTR_callee: key(s, a->callee); break;
    case ATTR_loop: break;              /* never merged */
    }
}

/* Of guards that ask the same, the first stays. */
static void one_guard_a_value(Arena *scratch, Func *f)
{
    bool *known = arena_array(scratch, bool, f->body.nodes.n + 1);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->guards.n; i++) {
        bool *seen = &known[f->guards.at[i].ok->id];
        if (!*seen) f->guards.at[kept++] = f->guards.at[i];
        *seen = true;
    }
    f->guards.n = kept;
}

static void cse(Func *f)
{
    Arena scratch = {0};
    Map *seen = map_new(&scratch);
    Rewrite rw = rewrite_begin(f);
    for (uint32_t i = 0; i < rw.nold; i++) {
        Node *n = rw.old[i];
        if (n->op == OP_arg || n->op == OP_rng || n->op == OP_call || n->op == OP_loop) {
            rewrite_copy(&rw, n);
            continue;
        }
        Str s = {.arena = &scratch};
        key(&s, n->op), key(&s, n->type), key(&s, n->remat);
        for (uint32_t k = 0; k < n->nargs; k++) {
            Node *arg = rw.map[n->arg[k]->id];
            key(&s, arg);
        }
        key_attr(&s, n);
        Node *first = map_get(seen, s.at, s.n);
        if (first) {
            rw.map[n->id] = first;
        } else {
            map_set(seen, s.at, s.n, rewrite_copy(&rw, n));
        }
    }
    rewrite_end(&rw);
    one_guard_a_value(&scratch, f);
    arena_free(&scratch);
}

void pass_cse(Module *m)
{
    FuncList all = module_funcs(m->arena, m);
    for (uint32_t i = 0; i < all.n; i++) cse(all.at[i]);
}
