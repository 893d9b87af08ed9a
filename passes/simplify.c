/* simplify - remove work that does nothing; smaller forms of the same values.
 * In:  any verified graph.
 * Out: the same values, bit for bit, from fewer or cheaper nodes; no type changes.
 *   %1 = const 0.0 : f32[]
 *   %2 = broadcast %1 {axes = []} : f32[8]
 *   %3 = max %0, %0 : f32[8]     return %0
 *   %4 = sub %3, %2 : f32[8]
 *   return %4
 * A rule looks at one node whose operands are already simple and returns the node it is equal to: an older one, or
 * a new one that is simplified in turn, with the remat tag and origin of the one it stands for.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"

static Node *simplify(Func *f, Node *n);
static Node *again(Func *f, Node *n) { return n ? simplify(f, n) : NULL; }

static bool is_identity_perm(const uint8_t *perm, uint32_t rank)
{
    for (uint32_t i = 0; i < rank; i++)
        if (perm[i] != i) return false;
    return true;
}

/* The scalar that n repeats: n itself if it is one, the operand of a splat. NULL: neither. */
static Node *scalar_of(Node *n)
{
    if (n->type->kind != TYPE_TENSOR) return NULL;
    if (n->type->rank == 0) return n;
    return n->op == OP_broadcast && n->arg[0]->type->rank == 0 ? n->arg[0] : NULL;
}

static bool is_value(const Node *n, double v)
{
    double c;
    return node_is_scalar_const(n, &c) && c == v;
}

/* Elementwise work on repeated scalars is done once, on the scalars. */
static Node *on_scalars(Func *f, Node *n)
{
    if (n->type->rank == 0) return NULL;
    Node *arg[3];
    for (uint32_t i = 0; i < n->nargs; i++)
        if (!(arg[i] = scalar_of(n->arg[i]))) return NULL;
    Node *value = again(f, ir_node(f, n->op, n->nargs, arg, &n->attr, NULL, n->span));
    return value ? again(f, ir_splat(f, value, n->type, n->span)) : NULL;
}

/* x ^ 1 and x ^ 2: where multiplication rounds as an exact power does. Others are expanded when code is emitted. */
static Node *simplify_pow(Func *f, Node *n)
{
    Node *x = n->arg[0];
    if (is_value(n->arg[1], 1)) return x;
    if (is_value(n->arg[1], 2)) return ir_binary(f, OP_mul, x, x, n->span);
    return n;
}

/* x / 2^k is x * 2^-k, to the bit: both round the same number. NULL: the divisor is no such constant. */
static Node *simplify_div(Func *f, Node *n)
{
    double c;
    int exponent;
    if (!node_is_scalar_const(n->arg[1], &c) || fabs(frexp(c, &exponent)) != 0.5 || abs(exponent) > 13) return NULL;
    Node *factor = ir_splat(f, ir_scalar(f, n->type->dtype, 1 / c, n->span), n->type, n->span);
    return again(f, ir_binary(f, OP_mul, n->arg[0], factor, n->span));
}

static Node *simplify_map(Func *f, Node *n)
{
    Node *a = n->arg[0], *b = n->nargs > 1 ? n->arg[1] : NULL, *by;
    bool is_float = dtype_is_float(n->type->dtype);
    switch (n->op) {
    case OP_add:
        /* -0.0 + 0.0 is 0.0: only integers may drop a zero of either sign; floats drop -0.0 (which no source writes). */
        if (!is_float && is_value(b, 0)) return a;
        if (!is_float && is_value(a, 0)) return b;
        break;
    case OP_sub:
        if (is_value(b, 0)) return a;                                   /* x - 0 -> x, also for -0.0 */
        break;
    case OP_mul:
        if (is_value(b, 1)) return a;
        if (is_value(a, 1)) return b;
        break;
    case OP_div:
        if (is_value(b, 1)) return a;
        if ((by = simplify_div(f, n))) return by;
        break;
    case OP_max: case OP_min: case OP_and: case OP_or:
        if (a == b) return a;
        break;
    case OP_pow: return simplify_pow(f, n);
    case OP_neg:
        if (a->op == OP_neg) return a->arg[0];
        break;
    case OP_not:
        if (a->op == OP_not) return a->arg[0];
        break;
    case OP_abs:
        if (a->op == OP_abs) return a;
        break;
    case OP_cast:
        if (a->type->dtype == n->type->dtype) return a;
        break;
    case OP_select: {
        double c;
        if (n->arg[1] == n->arg[2]) return n->arg[1];
        if (node_is_scalar_const(a, &c)) return c != 0 ? n->arg[1] : n->arg[2];
        break;
    }
    default: break;
    }
    Node *scalar = on_scalars(f, n);
    return scalar ? scalar : n;
}

/* Does the slice take everything in order? */
static bool is_whole(const Node *n)
{
    for (uint32_t i = 0; i < n->type->rank; i++)
        if (!dim_equals(n->attr.slice.start[i], 0) || n->attr.slice.step[i] != 1 || n->type->dim[i] != n->arg[0]->type->dim[i])
            return false;
    return true;
}

static Node *simplify_view(Func *f, Node *n)
{
    Node *x = n->arg[0];
    uint32_t rank = n->type->rank;
    switch (n->op) {
    case OP_reshape:
        if (n->type == x->type) return x;
        if (x->op == OP_reshape) return again(f, ir_reshape(f, x->arg[0], n->type, n->span));
        if (scalar_of(x)) return again(f, ir_splat(f, scalar_of(x), n->type, n->span));
        break;
    case OP_transpose:
        if (is_identity_perm(n->attr.perm, rank)) return x;
        if (x->op == OP_transpose) {
            uint8_t perm[MAX_RANK];
            for (uint32_t i = 0; i < rank; i++) perm[i] = x->attr.perm[n->attr.perm[i]];
            return again(f, ir_transpose(f, x->arg[0], perm, n->span));
        }
        if (x->op == OP_broadcast && x->arg[0]->type->rank == 0) return again(f, ir_splat(f, x->arg[0], n->type, n->span));
        break;
    case OP_broadcast:
        if (n->type == x->type && is_identity_perm(n->attr.perm, rank)) return x;
        if (x->op == OP_broadcast) {
            uint8_t axes[MAX_RANK] = {0};
            for (uint32_t i = 0; i < x->arg[0]->type->rank; i++) axes[i] = n->attr.perm[x->attr.perm[i]];
            return again(f, ir_broadcast(f, x->arg[0], n->type, axes, n->span));
        }
        break;
    case OP_slice:
        if (is_whole(n)) return x;
        if (x->op == OP_broadcast && x->arg[0]->type->rank == 0) return again(f, ir_splat(f, x->arg[0], n->type, n->span));
        break;
    case OP_pad: {
        bool nothing = n->type == x->type;
        for (uint32_t i = 0; i < rank && nothing; i++) nothing = dim_equals(n->attr.pad.lo[i], 0) && dim_equals(n->attr.pad.hi[i], 0);
        if (nothing) return x;
        break;
    }
    case OP_concat:
        if (n->nargs == 1) return x;
        break;
    case OP_reverse:
        if (n->attr.axes == 0) return x;
        if (x->op == OP_reverse && x->attr.axes == n->attr.axes) return x->arg[0];
        break;
    default: break;
    }
    return n;
}

static Node *simplify_reduce(Func *f, Node *n)
{
    Node *x = n->arg[0];
    if (n->attr.reduce.axes == 0) return x;
    for (uint32_t i = 0; i < x->type->rank; i++)
        if ((n->attr.reduce.axes >> i & 1) && !dim_equals(x->type->dim[i], 1)) return n;
    return again(f, ir_reshape(f, x, n->type, n->span));                /* over axes of length 1: nothing to combine */
}

static Node *simplify(Func *f, Node *n)
{
    Node *r = n;
    switch (op_class(n->op)) {
    case CLASS_MAP: r = simplify_map(f, n); break;
    case CLASS_VIEW: r = simplify_view(f, n); break;
    case CLASS_RED:
        if (n->op == OP_reduce) r = simplify_reduce(f, n);
        break;
    case CLASS_TUP:
        if (n->op == OP_get && n->arg[0]->op == OP_tuple) r = n->arg[0]->arg[n->attr.axis];
        break;
    default: break;
    }
    return r ? r : n;
}

void pass_simplify(Module *m)
{
    FuncList all = module_funcs(m->arena, m);
    for (uint32_t i = 0; i < all.n; i++) {
        Func *f = all.at[i];
        Rewrite rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++) {
            uint32_t made = f->body.nodes.n;
            rw.map[rw.old[n]->id] = simplify(f, rewrite_copy(&rw, rw.old[n]));
            for (; made < f->body.nodes.n; made++) f->body.nodes.at[made]->remat = rw.old[n]->remat, f->body.nodes.at[made]->made = rw.old[n]->made;
        }
        rewrite_end(&rw);
    }
}
