/* check_shape.c - builtins that move data: reshape .. unfold, and those that read or write at indices.
 */
#include <string.h>

#include "frontend/check.h"

Node *reshape_to(Check *c, Node *x, uint32_t rank, Dim *const *dim, Span at)
{
    Type *t;
    if (!x || !make_type(c, x->type->dtype, rank, dim, at, &t)) return NULL;
    return x->type == t ? x : node(c, OP_reshape, 1, &x, NULL, t, at);
}

/* A list of dims; one of them may be -1 where `open` says so, and is then NULL. */
static bool arg_dims(Check *c, Call *k, uint32_t i, bool open, uint32_t *n, Dim **dim)
{
    List *l;
    bool found = false;
    if (k->arg[i].kind == V_TYPE || !is_list(k->arg[i])) {
        bad_arg(c, k, i, "a list of dims");
        return false;
    }
    l = k->arg[i].list;
    if (l->n > MAX_RANK) {
        fail(c, DL_rank, k->at[i], "more than %d dims", MAX_RANK);
        return false;
    }
    for (uint32_t j = 0; j < l->n; j++) {
        Value v = l->at[j];
        if (is_poison(v)) return false;
        if (open && v.kind == V_INT && v.i == -1 && !found) {
            found = true;
            dim[j] = NULL;
            continue;
        }
        if (!is_whole(v)) {
            fail(c, DL_bad_dim, k->at[i], "a dim is an int, not %s", kind_text(c, v));
            return false;
        }
        dim[j] = value_dim(c, v);
        if (!require(c, REL_LE, dim_const(c->m, 0), dim[j], k->at[i])) {
            fail(c, DL_bad_dim, k->at[i], "a dim cannot be negative, as %s is", dim_text(c->a, dim[j]));
            return false;
        }
    }
    *n = l->n;
    return true;
}

Value bi_reshape(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    uint32_t n, open = MAX_RANK;
    Dim *dim[MAX_RANK], *from, *to = dim_const(c->m, 1);
    if (!x || !arg_dims(c, k, 1, true, &n, dim) || !product(c, x->type->dim, x->type->rank, k->span, &from)) return v_error();
    for (uint32_t i = 0; i < n; i++) {
        if (!dim[i]) open = i;
        else if (!(to = dim_mul(c->m, to, dim[i]))) return fail(c, DL_overflow, k->at[1], "too many elements");
    }
    if (open < MAX_RANK) {              /* the rest goes there */
        if (dim_equals(to, 0) || !require(c, REL_LT, dim_const(c->m, 0), to, k->at[1]))
            return fail(c, DL_reshape, k->at[1], "-1 cannot be found beside a dim of 0");
        dim[open] = dim_floordiv(c->m, from, to);
        if (!dim[open] || !(to = dim_mul(c->m, to, dim[open]))) return fail(c, DL_overflow, k->at[1], "this dim becomes too complicated");
    }
    if (same_dim(c, from, to, k->span) == SAME_no) {
        Diag *d = problem(c, DL_reshape, k->span, "`reshape`: %s has %s elements, %s asks for %s", type_text(c->a, x->type), dim_text(c->a, from),
                          value_text(c, k->arg[1]), dim_text(c->a, to));
        if (x->span.file) note(c, d, x->span, "%s comes from here", type_text(c->a, x->type));
        return v_error();
    }
    return tensor_value(c, reshape_to(c, x, n, dim, k->span));
}

Value bi_broadcast(Check *c, Call *k)
{
    Node *x = operand(c, k->arg[0], k->at[0]);
    uint32_t n, rank;
    Dim *dim[MAX_RANK], *out[MAX_RANK];
    Type *t;
    if (!x || !arg_dims(c, k, 1, false, &n, dim) || !make_type(c, x->type->dtype, n, dim, k->at[1], &t)) return v_error();
    if (!broadcast_shapes(c, t, x->type, k->span, "`broadcast`", NULL, x, &rank, out)) return v_error();
    for (uint32_t i = 0; i < rank; i++)
        if (rank != n || out[i] != dim[i])
            return fail(c, DL_broadcast, k->span, "`broadcast`: %s does not stretch to %s", type_text(c->a, x->type), type_text(c->a, t));
    return tensor_value(c, broadcast_to(c, x, n, dim, k->span));
}

/* ---- putting together and taking apart ---------------------------------------------------------------- */

static Node *concat_nodes(Check *c, Node **x, uint32_t n, uint32_t axis, Span at)
{
    Attr attr = {.axis = axis};
    return n == 1 ? x[0] : node(c, OP_concat, n, x, &attr, NULL, at);
}

/* The tensors of a list, all of one dtype; numbers among them take it. */
static bool list_tensors(Check *c, Call *k, Node ***out, uint32_t *n)
{
    List *l;
    Node *first = NULL;
    if (!arg_list(c, k, 0, &l)) return false;
    if (!l->n) {
        fail(c, DL_bad_argument, k->at[0], "`%s` of a list without items", k->builtin->name);
        return false;
    }
    for (uint32_t i = 0; i < l->n && !first; i++)
        if (is_tensor(l->at[i])) first = as_node(c, l->at[i]);
    Node **x = arena_array(c->a, Node *, l->n);
    DType numbers = first ? first->type->dtype : DT_none;
    for (uint32_t i = 0; i < l->n && !first; i++)       /* numbers alone: one float makes all of them f32 */
        if (l->at[i].kind == V_FLOAT || (l->at[i].kind == V_WEAK && !l->at[i].whole)) numbers = DT_f32;
    for (uint32_t i = 0; i < l->n; i++) {
        Value v = l->at[i];
        if (is_poison(v)) return false;
        x[i] = is_number(v) && numbers != DT_none ? number_as(c, v, numbers, k->at[0]) : operand(c, v, k->at[0]);
        if (!x[i]) return false;
        if (!first) first = x[i];
        if (x[i]->type->dtype == first->type->dtype) continue;
        fail(c, DL_dtype_mismatch, k->at[0], "`%s`: dtypes differ, %s and %s (item %u)", k->builtin->name, type_text(c->a, first->type),
             type_text(c->a, x[i]->type), i);
        return false;
    }
    *out = x;
    *n = l->n;
    return true;
}

/* Make item i agree with item 0 in every axis but `except` (MAX_RANK: none). */
static bool agree(Check *c, Call *k, Node **x, uint32_t i, uint32_t except)
{
    Type *t = x[0]->type, *u = x[i]->type;
    Dim *dim[MAX_RANK];
    bool same = t->rank == u->rank;
    for (uint32_t j = 0; same && j < t->rank; j++) {
        dim[j] = j == except ? u->dim[j] : t->dim[j];
        same = j == except || same_dim(c, t->dim[j], u->dim[j], k->span) != SAME_no;
    }
    if (!same) {
        Diag *d = problem(c, DL_concat, k->span, "`%s`: the shapes %s and %s (item %u) do not fit", k->builtin->name, type_text(c->a, t), type_text(c->a, u), i);
        if (except < MAX_RANK) note(c, d, (Span){0}, "they may differ along axis %u only", except);
        if (x[0]->span.file) note(c, d, x[0]->span, "%s comes from here", type_text(c->a, t));
        if (x[i]->span.file) note(c, d, x[i]->span, "%s comes from here", type_text(c->a, u));
        return false;
    }
    x[i] = retype(c, x[i], type_tensor(c->m, u->dtype, u->rank, dim), k->span);
    return x[i] != NULL;
}

Value bi_concat(Check *c, Call *k)
{
    Node **x;
    uint32_t n, axis;
    if (!list_tensors(c, k, &x, &n)) return v_error();
    if (!x[0]->type->rank) return fail(c, DL_rank, k->at[0], "`concat` goes along an axis; scalars are put together with `stack`");
    if (!arg_axis(c, k, 1, x[0]->type->rank, &axis)) return v_error();
    for (uint32_t i = 1; i < n; i++)
        if (!agree(c, k, x, i, axis)) return v_error();
    return tensor_value(c, concat_nodes(c, x, n, axis, k->span));
}

Value bi_stack(Check *c, Call *k)
{
    Node **x;
    uint32_t n, axis = 0;
    Dim *dim[MAX_RANK + 1];
    if (!list_tensors(c, k, &x, &n)) return v_error();
    uint32_t rank = x[0]->type->rank;
    if (rank == MAX_RANK) return fail(c, DL_rank, k->span, "a tensor of rank %u; the limit is %d", rank + 1, MAX_RANK);
    if (given(k, 1) && !arg_axis(c, k, 1, rank + 1, &axis)) return v_error();
    for (uint32_t i = 1; i < n; i++)
        if (!agree(c, k, x, i, MAX_RANK)) return v_error();
    for (uint32_t i = 0; i <= rank; i++) dim[i] = i == axis ? dim_const(c->m, 1) : x[0]->type->dim[i > axis ? i - 1 : i];
    for (uint32_t i = 0; i < n; i++)
        if (!(x[i] = reshape_to(c, x[i], rank + 1, dim, k->span))) return v_error();
    return tensor_value(c, concat_nodes(c, x, n, axis, k->span));
}

Value bi_split(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    if (!x) return v_error();
    if (!x->type->rank) return bad_arg(c, k, 0, "a tensor with an axis");
    uint32_t axis = x->type->rank - 1, n;
    if (given(k, 2) && !arg_axis(c, k, 2, x->type->rank, &axis)) return v_error();
    Dim *total = x->type->dim[axis], *from = dim_const(c->m, 0), *equal = NULL;
    if (k->arg[1].kind == V_INT) {
        if (k->arg[1].i < 1 || k->arg[1].i > MAX_LIST) return fail(c, DL_bad_argument, k->at[1], "`split` into %s parts", value_text(c, k->arg[1]));
        n = (uint32_t)k->arg[1].i;
        equal = dim_floordiv(c->m, total, dim_const(c->m, n));
        Dim *whole = equal ? dim_mul(c->m, equal, dim_const(c->m, n)) : NULL;
        if (!whole) return fail(c, DL_overflow, k->span, "this dim becomes too complicated");
        if (same_dim(c, whole, total, k->span) == SAME_no)
            return fail(c, DL_bad_argument, k->at[1], "`split`: axis %u of %s cannot be divided into %u equal parts", axis, type_text(c->a, x->type), n);
    } else if (is_list(k->arg[1])) {
        n = k->arg[1].list->n;
    } else {
        return bad_arg(c, k, 1, "a count or a list of sizes");
    }
    List *out = list_new(c, n, k->span);
    if (!out) return v_error();
    for (uint32_t i = 0; i < n; i++) {
        Dim *length = equal;
        if (!equal) {
            Value v = k->arg[1].list->at[i];
            if (!is_whole(v) || !nonnegative(c, type_tensor(c->m, DT_f32, 1, (Dim *[]){value_dim(c, v)}), k->at[1]))
                return is_whole(v) ? v_error() : bad_arg(c, k, 1, "a count or a list of sizes");
            length = value_dim(c, v);
        }
        Dim *next = dim_add(c->m, from, length);
        if (!next || !require(c, REL_LE, next, total, k->span))
            return fail(c, DL_bad_argument, k->at[1], "`split`: the sizes are more than axis %u of %s", axis, type_text(c->a, x->type));
        out->at[i] = tensor_value(c, slice_axis(c, x, axis, from, length, 1, k->span));
        if (is_poison(out->at[i])) return v_error();
        from = next;
    }
    if (!equal && same_dim(c, from, total, k->span) == SAME_no)
        return fail(c, DL_bad_argument, k->at[1], "`split`: the sizes make %s, axis %u of %s", dim_text(c->a, from), axis, type_text(c->a, x->type));
    return v_list(out);
}

Value bi_flip(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    Attr attr = {0};
    if (!x || !arg_axes(c, k, 1, x->type->rank, &attr.axes)) return v_error();
    return tensor_value(c, attr.axes ? node(c, OP_reverse, 1, &x, &attr, NULL, k->span) : x);
}

/* ---- padding ---------------------------------------------------------------------------------------------- */

enum { PAD_constant, PAD_reflect, PAD_edge };

/* Pad one axis with what lies beside its ends: mirrored without the end itself, or the end repeated. */
static Node *pad_axis(Check *c, Node *x, uint32_t axis, Dim *lo, Dim *hi, uint32_t mode, Span at)
{
    Dim *n = x->type->dim[axis], *one = dim_const(c->m, 1), *dim[MAX_RANK];
    Node *part[3];
    uint32_t parts = 0;
    memcpy(dim, x->type->dim, x->type->rank * sizeof *dim);
    if (mode == PAD_reflect && (!require(c, REL_LT, lo, n, at) || !require(c, REL_LT, hi, n, at))) {
        fail(c, DL_bad_argument, at, "`pad`: an axis of %s reflects at most one less than its length, not %s", dim_text(c->a, n),
             dim_text(c->a, require(c, REL_LT, lo, n, at) ? hi : lo));
        return NULL;
    }
    if (mode == PAD_edge && !require(c, REL_LE, one, n, at)) {
        fail(c, DL_bad_argument, at, "`pad`: an axis of length 0 has no edge");
        return NULL;
    }
    for (int side = 0; side < 2; side++) {
        Dim *amount = side ? hi : lo;
        if (side) part[parts++] = x;
        if (dim_equals(amount, 0)) continue;
        Attr attr = {.axes = 1u << axis};
        Dim *last = dim_sub(c->m, n, one), *from;
        Node *p;
        if (mode == PAD_reflect) {
            from = side ? dim_sub(c->m, last, amount) : one;
            p = from ? slice_axis(c, x, axis, from, amount, 1, at) : NULL;
            p = p ? node(c, OP_reverse, 1, &p, &attr, NULL, at) : NULL;
        } else {
            p = slice_axis(c, x, axis, side ? last : dim_const(c->m, 0), one, 1, at);
            dim[axis] = amount;
            p = p ? broadcast_to(c, p, x->type->rank, dim, at) : NULL;
        }
        if (!p) return NULL;
        part[parts++] = p;
    }
    return concat_nodes(c, part, parts, axis, at);
}

Value bi_pad(Check *c, Call *k)
{
    static const char *const modes[] = {"constant", "reflect", "edge"};
    Node *x = arg_tensor(c, k, 0);
    uint32_t mode = PAD_constant;
    List *l;
    Dim *lo[MAX_RANK], *hi[MAX_RANK];
    if (!x || !arg_option(c, k, 3, modes, 3, &mode) || !arg_list(c, k, 1, &l)) return v_error();
    if (l->n != x->type->rank)
        return fail(c, DL_bad_argument, k->at[1], "`pad` takes a pair (before, after) for each axis: %u for %s, not %u", x->type->rank, type_text(c->a, x->type), l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        Value v = l->at[i];
        if (!is_list(v) || v.list->n != 2 || !is_whole(v.list->at[0]) || !is_whole(v.list->at[1]))
            return fail(c, DL_bad_argument, k->at[1], "`pad` takes a pair (before, after) for each axis; item %u is %s", i, kind_text(c, v));
        lo[i] = value_dim(c, v.list->at[0]);
        hi[i] = value_dim(c, v.list->at[1]);
        Dim *zero = dim_const(c->m, 0);
        if (!require(c, REL_LE, zero, lo[i], k->at[1]) || !require(c, REL_LE, zero, hi[i], k->at[1]))
            return fail(c, DL_bad_argument, k->at[1], "`pad` cannot take away: %s; slice instead", value_text(c, v));
    }
    if (mode == PAD_constant) {
        Node *value = number_as(c, given(k, 2) ? k->arg[2] : x->type->dtype == DT_bool ? v_bool(false) : v_int(0), x->type->dtype, k->at[2]);
        Attr attr = {.pad = {lo, hi}};
        return tensor_value(c, value ? node(c, OP_pad, 2, (Node *[]){x, value}, &attr, NULL, k->span) : NULL);
    }
    if (given(k, 2)) return fail(c, DL_bad_argument, k->at[2], "`pad`: `value` belongs to the mode \"constant\"");
    for (uint32_t i = 0; i < l->n && x; i++) x = pad_axis(c, x, i, lo[i], hi[i], mode, k->span);
    return tensor_value(c, x);
}

Value bi_unfold(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    uint32_t axis;
    int64_t size, by;
    Value n;
    if (!x || !arg_axis(c, k, 1, x->type->rank, &axis) || !arg_int(c, k, 2, &size) || !arg_int(c, k, 3, &by)) return v_error();
    if (size < 1 || by < 1) return fail(c, DL_bad_argument, k->span, "`unfold`: size and step are at least 1");
    if (x->type->rank == MAX_RANK) return fail(c, DL_rank, k->span, "a tensor of rank %d; the limit is %d", MAX_RANK + 1, MAX_RANK);
    n = binary(c, BIN_sub, dim_value_of(x->type->dim[axis]), v_int(size), k->span, k->span, k->span);
    if (!is_poison(n) && !require(c, REL_LE, dim_const(c->m, 0), value_dim(c, n), k->span))
        return fail(c, DL_window, k->span, "`unfold`: windows of %lld along an axis of %s", (long long)size, dim_text(c->a, x->type->dim[axis]));
    n = binary(c, BIN_add, binary(c, BIN_floordiv, n, v_int(by), k->span, k->span, k->span), v_int(1), k->span, k->span, k->span);
    if (is_poison(n)) return n;
    Type *t;
    Dim *dim[2] = {value_dim(c, n), dim_const(c->m, size)};
    if (!make_type(c, DT_i32, 2, dim, k->span, &t)) return v_error();
    Node *first = iota_node(c, t, 0, k->span);
    first = node2(c, OP_mul, first, splat(c, int_const(c, DT_i32, by, k->span), t, k->span), k->span);
    Node *ids = node2(c, OP_add, first, iota_node(c, t, 1, k->span), k->span);
    Node *r = ids ? gather_axis(c, x, ids, axis, k->span) : NULL;
    if (!r) return v_error();
    Attr perm = {0};                    /* the windows' own axis goes last */
    uint32_t rank = r->type->rank;
    for (uint32_t i = 0, at = 0; i < rank; i++)
        if (i != axis + 1) perm.perm[at++] = (uint8_t)i;
    perm.perm[rank - 1] = (uint8_t)(axis + 1);
    return tensor_value(c, node(c, OP_transpose, 1, &r, &perm, NULL, k->span));
}
