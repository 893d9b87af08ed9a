/* index.c - index maps of the operators that only move data (see index.h). */
#include "codegen/index.h"

Dim *index_linear(Module *m, Type *t, Dim *const *at)
{
    Dim *sum = dim_const(m, 0);
    for (uint32_t i = 0; i < t->rank && sum; i++) {
        sum = dim_mul(m, sum, t->dim[i]);
        if (sum) sum = dim_add(m, sum, at[i]);
    }
    return sum;
}

/* Flat position -> index of `n` axes from `dim`, the first not reduced (it cannot exceed its extent). */
static bool split_flat(Module *m, Dim *flat, Dim *const *dim, uint32_t n, Dim **out)
{
    for (uint32_t i = n; i-- > 0;) {
        if (i == 0) {
            out[0] = flat;
            break;
        }
        if (dim_equals(dim[i], 0)) {                    /* no elements: nothing will ask */
            out[i] = dim_const(m, 0);
            continue;
        }
        out[i] = dim_mod(m, flat, dim[i]);
        flat = dim_floordiv(m, flat, dim[i]);
        if (!flat || !out[i]) return false;
    }
    return true;
}

/* Axes are matched in the smallest groups of equal products, so that [B, T, h*d] -> [B, T, h, d] splits the last axis
 * alone and nothing divides by a symbol. Axes of length 1 stand at 0. */
bool index_reshape(Module *m, Type *from, Dim *const *at, Type *to, Dim **out)
{
    uint32_t i = 0, j = 0;
    for (;;) {
        while (i < from->rank && dim_equals(from->dim[i], 1)) i++;
        while (j < to->rank && dim_equals(to->dim[j], 1)) out[j++] = dim_const(m, 0);
        if (i == from->rank || j == to->rank) break;
        Dim *pi = from->dim[i], *pj = to->dim[j];
        uint32_t ni = i + 1, nj = j + 1;
        /* Grow the side that is known to be smaller; where that is open, the side with fewer factors left behind. */
        while (pi != pj) {
            int64_t ci, cj;
            bool constants = dim_is_const(pi, &ci) && dim_is_const(pj, &cj);
            bool grow_i = constants ? ci < cj : dim_is_le(m, pi, pj) || (ni < from->rank && !dim_is_le(m, pj, pi));
            if (grow_i && ni == from->rank) grow_i = false;
            if (!grow_i && nj == to->rank) grow_i = true;
            if (grow_i && ni == from->rank) break;
            if (grow_i) {
                if (!(pi = dim_mul(m, pi, from->dim[ni++]))) return false;
            } else if (!(pj = dim_mul(m, pj, to->dim[nj++]))) {
                return false;
            }
        }
        if (pi != pj) ni = from->rank, nj = to->rank;       /* equal only by a requirement: take the rest as one group */
        Dim *flat = dim_const(m, 0);
        for (; i < ni; i++) {
            if (!(flat = dim_mul(m, flat, from->dim[i])) || !(flat = dim_add(m, flat, at[i]))) return false;
        }
        if (!split_flat(m, flat, to->dim + j, nj - j, out + j)) return false;
        j = nj;
    }
    for (; j < to->rank; j++) out[j] = dim_const(m, 0);
    return true;
}

bool index_of_operand(Module *m, const Node *n, Dim *const *at, Dim **out)
{
    Type *x = n->arg[0]->type;
    for (uint32_t i = 0; i < n->type->rank; i++) {
        if (n->op == OP_transpose) {
            out[n->attr.perm[i]] = at[i];
        } else if (n->op == OP_slice) {
            Dim *scaled = dim_mul(m, at[i], dim_const(m, n->attr.slice.step[i]));
            if (!scaled || !(out[i] = dim_add(m, scaled, n->attr.slice.start[i]))) return false;
        } else if (n->op == OP_reverse) {
            out[i] = at[i];
            if (n->attr.axes >> i & 1 && !(out[i] = dim_sub(m, dim_sub(m, x->dim[i], dim_const(m, 1)), at[i]))) return false;
        }
    }
    if (n->op == OP_broadcast)
        for (uint32_t i = 0; i < x->rank; i++) out[i] = dim_equals(x->dim[i], 1) ? dim_const(m, 0) : at[n->attr.perm[i]];
    if (n->op == OP_reshape) return index_reshape(m, n->type, at, x, out);
    return true;
}

bool index_of_result(Module *m, const Node *n, Dim *const *at, Dim **out)
{
    Type *x = n->arg[0]->type;
    switch (n->op) {
    case OP_transpose:
        for (uint32_t i = 0; i < x->rank; i++) out[i] = at[n->attr.perm[i]];
        return true;
    case OP_reverse: return index_of_operand(m, n, at, out);            /* its own inverse */
    case OP_reshape: return index_reshape(m, x, at, n->type, out);
    case OP_broadcast:
        for (uint32_t i = 0; i < n->type->rank; i++) {
            if (!dim_equals(n->type->dim[i], 1)) out[i] = NULL;
            else out[i] = dim_const(m, 0);
        }
        for (uint32_t i = 0; i < x->rank; i++)
            if (x->dim[i] == n->type->dim[n->attr.perm[i]]) out[n->attr.perm[i]] = at[i];
        for (uint32_t i = 0; i < n->type->rank; i++)
            if (!out[i]) return false;
        return true;
    default:
        if (op_class(n->op) != CLASS_MAP) return false;
        for (uint32_t i = 0; i < x->rank; i++) out[i] = at[i];
        return true;
    }
}
