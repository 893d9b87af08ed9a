/* check_arith.c - operators: numbers among themselves, numbers meeting tensors, broadcasting, matrix products.
 * Numbers have no dtype: exact ints or f64 while everything is known, polynomials for dims, and f64 scalar nodes
 * for what only the call knows (1 / sqrt(D)); meeting a tensor they take its dtype.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "frontend/check.h"

/* Nodes are made in an order that the text fixes: never two calls that make nodes among the arguments of one call,
 * whose order C leaves open. */

/* ---- nodes ------------------------------------------------------------------------------------------ */

Node *node(Check *c, Op op, uint32_t n, Node *const *arg, const Attr *attr, Type *type, Span at)
{
    for (uint32_t i = 0; i < n; i++)
        if (!arg[i]) return NULL;
    if (!step(c, 1, at)) return NULL;
    Span span = user_place(c, at);      /* run-time errors and profiles name the user's line */
    Node *x = ir_node(c->func, op, n, arg, attr, type, span);
    if (!x) {
        fail(c, DL_operator_rule, at, "%s", ir_error(c->m));
        return NULL;
    }
    x->remat = c->remat;
    if (x->type->kind == TYPE_TENSOR && !type_count(c->m, x->type)) {
        fail(c, DL_overflow, at, "a tensor %s has too many elements", type_text(c->a, x->type));
        return NULL;
    }
    return nonnegative(c, x->type, at) ? x : NULL;
}

Node *node1(Check *c, Op op, Node *x, Span at) { return node(c, op, 1, &x, NULL, NULL, at); }
Node *node2(Check *c, Op op, Node *x, Node *y, Span at) { return node(c, op, 2, (Node *[]){x, y}, NULL, NULL, at); }

Value tensor_value(Check *c, Node *n) { (void)c; return n ? (Value){.kind = V_TENSOR, .node = n} : v_error(); }

Node *as_node(Check *c, Value v)
{
    if (v.kind == V_PLACE) {
        const Value *bound = bound_value(c, v.place);
        if (!bound) return place_node(c, v.place);
        if (bound->kind == V_PLACE) return place_node(c, bound->place);
        v = *bound;
    }
    return import_node(c, v.node);
}

Node *cast_to(Check *c, Node *n, DType t, Span at)
{
    if (!n || n->type->dtype == t) return n;
    Attr attr = {.dtype = t};
    return node(c, OP_cast, 1, &n, &attr, NULL, at);
}

Node *scalar_const(Check *c, DType t, double v, Span at)
{
    return step(c, 1, at) ? ir_scalar(c->func, t, v, user_place(c, at)) : NULL;
}

Node *int_const(Check *c, DType t, int64_t v, Span at)
{
    if (!step(c, 1, at)) return NULL;
    return dtype_is_float(t) ? ir_scalar(c->func, t, (double)v, user_place(c, at)) : ir_scalar_int(c->func, t, v, user_place(c, at));
}

Node *dim_node(Check *c, Dim *d, DType t, Span at)
{
    int64_t v;
    if (dim_is_const(d, &v)) return int_const(c, t, v, at);
    Attr attr = {.dim = d};
    return cast_to(c, node(c, OP_dim, 0, NULL, &attr, NULL, at), t, at);
}

/* ---- numbers ------------------------------------------------------------------------------------------ */

bool number_fits(int64_t v, DType t)
{
    switch (t) {
    case DT_i64: return true;
    case DT_i32: return v >= INT32_MIN && v <= INT32_MAX;
    case DT_i16: return v >= INT16_MIN && v <= INT16_MAX;
    case DT_i8:  return v >= INT8_MIN && v <= INT8_MAX;
    case DT_u8:  return v >= 0 && v <= UINT8_MAX;
    case DT_f16: return v >= -65504 && v <= 65504;
    case DT_bool: return false;
    default:     return true;
    }
}

static bool float_fits(double v, DType t)
{
    double max = t == DT_f16 ? 65504.0 : t == DT_bf16 ? 3.3895313892515355e38 : t == DT_f32 ? 3.4028234663852886e38 : INFINITY;
    return isinf(v) || isnan(v) || fabs(v) <= max;
}

static Node *relation_node(Check *c, Relation *r, Span at)
{
    static const Op op[] = {[REL_EQ] = OP_eq, [REL_NE] = OP_ne, [REL_LT] = OP_lt, [REL_LE] = OP_le};
    Node *a = dim_node(c, r->a, DT_i64, at), *b = dim_node(c, r->b, DT_i64, at);
    return node2(c, op[r->rel], a, b, at);
}

Node *weak_node(Check *c, Value v, Span at)
{
    switch ((ValueKind)v.kind) {
    case V_INT:   return scalar_const(c, DT_f64, (double)v.i, at);
    case V_FLOAT: return scalar_const(c, DT_f64, v.f, at);
    case V_DIM:   return dim_node(c, v.dim, DT_f64, at);
    default:      return as_node(c, (Value){.kind = V_TENSOR, .node = v.node});
    }
}

Node *number_as(Check *c, Value v, DType t, Span at)
{
    const char *why = NULL;
    switch ((ValueKind)v.kind) {
    case V_BOOL:
        if (t == DT_bool) return int_const(c, DT_bool, v.b, at);
        why = "a bool is no number; cast it";
        break;
    case V_REL:
        if (t == DT_bool) return relation_node(c, v.rel, at);
        why = "a bool is no number; cast it";
        break;
    case V_INT:
        if (t == DT_bool) why = "a bool tensor meets bools only";
        else if (!number_fits(v.i, t)) why = "it does not fit";
        else return int_const(c, t, v.i, at);
        break;
    case V_FLOAT:
        if (t == DT_bool) why = "a bool tensor meets bools only";
        else if (!dtype_is_float(t)) why = "it is no integer; cast the tensor to a float dtype, or the number with floor or round";
        else if (!float_fits(v.f, t)) why = "it does not fit";
        else return scalar_const(c, t, v.f, at);
        break;
    case V_DIM:
        if (t == DT_bool) why = "a bool tensor meets bools only";
        else return dim_node(c, v.dim, t, at);
        break;
    case V_WEAK:
        if (t == DT_bool || (!dtype_is_float(t) && !v.whole)) why = "it is no integer; cast the tensor to a float dtype";
        else return cast_to(c, weak_node(c, v, at), t, at);
        break;
    default:
        why = "only numbers and tensors can";
    }
    fail(c, DL_number_dtype, at, "%s cannot become %s: %s", kind_text(c, v), dtype_name(t), why);
    return NULL;
}

/* The dtype of numbers that nothing else decides. */
static DType own_dtype(Value v)
{
    if (v.kind == V_BOOL || v.kind == V_REL) return DT_bool;
    return is_whole(v) || (v.kind == V_WEAK && v.whole) ? DT_i32 : DT_f32;
}

Node *operand(Check *c, Value v, Span at)
{
    if (is_poison(v)) return NULL;
    if (is_tensor(v)) return as_node(c, v);
    if (is_number(v) || v.kind == V_BOOL || v.kind == V_REL) return number_as(c, v, own_dtype(v), at);
    fail(c, DL_operand_kind, at, "a tensor is needed here, not %s", kind_text(c, v));
    return NULL;
}

static Value too_large(Check *c, Span at) { return fail(c, DL_overflow, at, "the result does not fit 64 bits"); }

static Value int_power(Check *c, int64_t a, int64_t b, Span at)
{
    int64_t r = 1;
    while (b > 0) {
        if ((b & 1) && !size_mul(r, a, &r)) return too_large(c, at);
        b >>= 1;
        if (b && !size_mul(a, a, &a)) return too_large(c, at);
    }
    return v_int(r);
}

static Value int_binary(Check *c, BinOp op, int64_t a, int64_t b, Span at)
{
    int64_t r = 0;
    switch (op) {
    case BIN_add: return size_add(a, b, &r) ? v_int(r) : too_large(c, at);
    case BIN_sub: return size_sub(a, b, &r) ? v_int(r) : too_large(c, at);
    case BIN_mul: return size_mul(a, b, &r) ? v_int(r) : too_large(c, at);
    case BIN_div: return b ? v_float((double)a / (double)b) : fail(c, DL_division_by_zero, at, "division by 0");
    case BIN_floordiv: case BIN_mod:
        if (!b) return fail(c, DL_division_by_zero, at, "division by 0");
        if (!(op == BIN_mod ? size_mod(a, b, &r) : size_floordiv(a, b, &r))) return too_large(c, at);
        return v_int(r);
    case BIN_pow: return b >= 0 ? int_power(c, a, b, at) : v_float(pow((double)a, (double)b));
    case BIN_eq: return v_bool(a == b);
    case BIN_ne: return v_bool(a != b);
    case BIN_lt: return v_bool(a < b);
    case BIN_le: return v_bool(a <= b);
    case BIN_gt: return v_bool(a > b);
    case BIN_ge: return v_bool(a >= b);
    default: return v_error();
    }
}

static Value float_binary(Check *c, BinOp op, double a, double b, Span at)
{
    switch (op) {
    case BIN_add: return v_float(a + b);
    case BIN_sub: return v_float(a - b);
    case BIN_mul: return v_float(a * b);
    case BIN_pow: return v_float(pow(a, b));
    case BIN_div: case BIN_floordiv: case BIN_mod:
        if (b == 0) return fail(c, DL_division_by_zero, at, "division by 0");
        if (op == BIN_div) return v_float(a / b);
        return v_float(op == BIN_mod ? a - floor(a / b) * b : floor(a / b));
    case BIN_eq: return v_bool(a == b);
    case BIN_ne: return v_bool(a != b);
    case BIN_lt: return v_bool(a < b);
    case BIN_le: return v_bool(a <= b);
    case BIN_gt: return v_bool(a > b);
    case BIN_ge: return v_bool(a >= b);
    default: return v_error();
    }
}

static Value relation(Check *c, Rel rel, Dim *a, Dim *b, Span at)
{
    bool yes = false, no = false;
    switch (rel) {
    case REL_EQ: yes = a == b; no = !yes && dim_is_ne(c->m, a, b); break;
    case REL_NE: no = a == b; yes = !no && dim_is_ne(c->m, a, b); break;
    case REL_LT: yes = dim_is_lt(c->m, a, b); no = !yes && dim_is_le(c->m, b, a); break;
    case REL_LE: yes = dim_is_le(c->m, a, b); no = !yes && dim_is_lt(c->m, b, a); break;
    }
    if (yes || no) return v_bool(yes);
    Relation *r = arena_new(c->a, Relation);
    *r = (Relation){rel, a, b, at};
    return (Value){.kind = V_REL, .rel = r};
}

static Op tensor_op(BinOp op)
{
    static const Op ops[] = {
        [BIN_add] = OP_add, [BIN_sub] = OP_sub, [BIN_mul] = OP_mul, [BIN_div] = OP_div, [BIN_floordiv] = OP_floordiv,
        [BIN_mod] = OP_mod, [BIN_pow] = OP_pow, [BIN_eq] = OP_eq, [BIN_ne] = OP_ne, [BIN_lt] = OP_lt, [BIN_le] = OP_le,
        [BIN_gt] = OP_gt, [BIN_ge] = OP_ge, [BIN_and] = OP_and, [BIN_or] = OP_or};
    return ops[op];
}

static bool whole_result(BinOp op) { return op == BIN_add || op == BIN_sub || op == BIN_mul || op == BIN_floordiv || op == BIN_mod; }
static bool is_compare(BinOp op) { return op >= BIN_eq && op <= BIN_ge; }

static Value weak_binary(Check *c, BinOp op, Value a, Value b, Span at)
{
    Node *x = weak_node(c, a, at), *y = weak_node(c, b, at), *n = node2(c, tensor_op(op), x, y, at);
    if (!n) return v_error();
    if (is_compare(op)) return tensor_value(c, n);
    bool whole = whole_result(op) && (is_whole(a) || (a.kind == V_WEAK && a.whole)) && (is_whole(b) || (b.kind == V_WEAK && b.whole));
    return (Value){.kind = V_WEAK, .whole = whole, .node = n};
}

static Value dim_binary(Check *c, BinOp op, Value va, Value vb, Span at)
{
    Dim *a = value_dim(c, va), *b = value_dim(c, vb), *r = NULL;
    switch (op) {
    case BIN_add: r = dim_add(c->m, a, b); break;
    case BIN_sub: r = dim_sub(c->m, a, b); break;
    case BIN_mul: r = dim_mul(c->m, a, b); break;
    case BIN_floordiv: case BIN_mod:
        if (dim_equals(b, 0)) return fail(c, DL_division_by_zero, at, "division by 0");
        if (vb.kind == V_DIM && !require(c, REL_LT, dim_const(c->m, 0), b, at))
            return fail(c, DL_division_by_zero, at, "the divisor %s is never positive", dim_text(c->a, b));
        r = op == BIN_mod ? dim_mod(c->m, a, b) : dim_floordiv(c->m, a, b);
        break;
    case BIN_pow:
        if (vb.kind != V_INT || vb.i < 0 || vb.i > 16) return weak_binary(c, op, va, vb, at);
        r = dim_const(c->m, 1);
        for (int64_t i = 0; i < vb.i && r; i++) r = dim_mul(c->m, r, a);
        break;
    case BIN_eq: return relation(c, REL_EQ, a, b, at);
    case BIN_ne: return relation(c, REL_NE, a, b, at);
    case BIN_lt: return relation(c, REL_LT, a, b, at);
    case BIN_le: return relation(c, REL_LE, a, b, at);
    case BIN_gt: return relation(c, REL_LT, b, a, at);
    case BIN_ge: return relation(c, REL_LE, b, a, at);
    default: return weak_binary(c, op, va, vb, at);
    }
    return r ? dim_value_of(r) : fail(c, DL_overflow, at, "this dim becomes too large or too complicated");
}

static Value number_binary(Check *c, BinOp op, Value a, Value b, Span at)
{
    if (a.kind == V_INT && b.kind == V_INT) return int_binary(c, op, a.i, b.i, at);
    if (is_const_number(a) && is_const_number(b))
        return float_binary(c, op, a.kind == V_INT ? (double)a.i : a.f, b.kind == V_INT ? (double)b.i : b.f, at);
    if (is_whole(a) && is_whole(b)) return dim_binary(c, op, a, b, at);
    return weak_binary(c, op, a, b, at);
}

/* ---- broadcasting ---------------------------------------------------------------------------------------- */

static void note_shape(Check *c, Diag *d, const Node *n)
{
    if (n && n->span.file) note(c, d, n->span, "%s comes from here", type_text(c->a, n->type));
}

bool broadcast_shapes(Check *c, Type *a, Type *b, Span at, const char *what, Node *na, Node *nb, uint32_t *rank, Dim **dim)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (uint32_t i = 0; i < *rank; i++) {              /* from the last axis */
        uint32_t r = *rank - 1 - i;
        Dim *x = i < a->rank ? a->dim[a->rank - 1 - i] : NULL, *y = i < b->rank ? b->dim[b->rank - 1 - i] : NULL;
        if (!x || !y) dim[r] = x ? x : y;
        else if (x == y || dim_equals(y, 1)) dim[r] = x;
        else if (dim_equals(x, 1)) dim[r] = y;
        else if (same_dim(c, x, y, at) != SAME_no) dim[r] = x;
        else {
            Diag *d = problem(c, DL_broadcast, at, "%s: the shapes %s and %s do not fit: axis -%u is %s and %s", what,
                              type_text(c->a, a), type_text(c->a, b), i + 1, dim_text(c->a, x), dim_text(c->a, y));
            note_shape(c, d, na);
            note_shape(c, d, nb);
            return false;
        }
    }
    return true;
}

Node *broadcast_to(Check *c, Node *x, uint32_t rank, Dim *const *dim, Span at)
{
    if (!x) return NULL;
    Type *t = type_tensor(c->m, x->type->dtype, rank, dim);
    if (x->type == t) return x;
    uint32_t extra = rank - x->type->rank;
    Dim *own[MAX_RANK];
    Attr attr = {0};
    for (uint32_t i = 0; i < x->type->rank; i++) {
        own[i] = dim_equals(x->type->dim[i], 1) ? x->type->dim[i] : dim[i + extra];
        attr.perm[i] = (uint8_t)(i + extra);
    }
    x = retype(c, x, type_tensor(c->m, x->type->dtype, x->type->rank, own), at);
    if (!x || x->type == t) return x;
    return node(c, OP_broadcast, 1, &x, &attr, t, at);
}

static bool broadcast2(Check *c, Node **a, Node **b, Span at, const char *what)
{
    uint32_t rank;
    Dim *dim[MAX_RANK];
    if (!*a || !*b) return false;
    if ((*a)->type->rank == (*b)->type->rank && (*a)->type == type_with_dtype(c->m, (*b)->type, (*a)->type->dtype)) return true;
    if (!broadcast_shapes(c, (*a)->type, (*b)->type, at, what, *a, *b, &rank, dim)) return false;
    *a = broadcast_to(c, *a, rank, dim, at);
    *b = broadcast_to(c, *b, rank, dim, at);
    return *a && *b;
}

static bool meet_dtype(Check *c, Value a, Value b, Span at, Span a_at, Span b_at, const char *what, Node **x, Node **y)
{
    if (is_poison(a) || is_poison(b)) return false;
    bool ta = is_tensor(a), tb = is_tensor(b);
    bool na = is_number(a) || a.kind == V_BOOL || a.kind == V_REL, nb = is_number(b) || b.kind == V_BOOL || b.kind == V_REL;
    if ((!ta && !na) || (!tb && !nb)) {
        fail(c, DL_operand_kind, at, "%s does not work on %s and %s", what, kind_text(c, a), kind_text(c, b));
        return false;
    }
    if (ta && tb) {
        *x = as_node(c, a);
        *y = as_node(c, b);
        if (!*x || !*y) return false;
        DType p = (*x)->type->dtype, q = (*y)->type->dtype;
        if (p == q) return true;
        Diag *d = problem(c, DL_dtype_mismatch, at, "%s: dtypes differ, %s and %s", what, type_text(c->a, (*x)->type), type_text(c->a, (*y)->type));
        DType to = dtype_is_float(p) || q == DT_bool ? p : q;
        note(c, d, to == p ? b_at : a_at, "cast this one: `%s(...)`", dtype_name(to));
        note_shape(c, d, *x);
        note_shape(c, d, *y);
        return false;
    }
    if (ta) {
        *x = as_node(c, a);
        *y = *x ? number_as(c, b, (*x)->type->dtype, b_at) : NULL;
    } else if (tb) {
        *y = as_node(c, b);
        *x = *y ? number_as(c, a, (*y)->type->dtype, a_at) : NULL;
    } else {
        DType p = own_dtype(a), q = own_dtype(b), t = p == q ? p : p == DT_bool || q == DT_bool ? DT_none : DT_f32;
        if (t == DT_none) {
            fail(c, DL_operand_kind, at, "%s does not work on %s and %s", what, kind_text(c, a), kind_text(c, b));
            return false;
        }
        *x = number_as(c, a, t, a_at);
        *y = number_as(c, b, t, b_at);
    }
    return *x && *y;
}

bool meet(Check *c, Value a, Value b, Span at, Span a_at, Span b_at, const char *what, Node **x, Node **y)
{
    return meet_dtype(c, a, b, at, a_at, b_at, what, x, y) && broadcast2(c, x, y, at, what);
}

/* ---- matrix products ------------------------------------------------------------------------------------------ */

/* a[..., n, k] @ b[..., k, m]; a vector is a row on the left, a column on the right. Leading axes broadcast. */
static Node *matmul(Check *c, Node *a, Node *b, Span at)
{
    Type *ta = a->type, *tb = b->type;
    if (ta->dtype != tb->dtype || !dtype_is_number(ta->dtype)) {
        Diag *d = problem(c, DL_dtype_mismatch, at, "`@`: dtypes differ or are no numbers, %s and %s", type_text(c->a, ta), type_text(c->a, tb));
        note_shape(c, d, a);
        note_shape(c, d, b);
        return NULL;
    }
    if (!ta->rank || !tb->rank) {
        fail(c, DL_rank, at, "`@` needs axes on both sides: %s and %s; use `*` for scalars", type_text(c->a, ta), type_text(c->a, tb));
        return NULL;
    }
    uint32_t ka = ta->rank - 1, kb = tb->rank > 1 ? tb->rank - 2 : 0;
    Same same = same_dim(c, ta->dim[ka], tb->dim[kb], at);
    if (same == SAME_no) {
        Diag *d = problem(c, DL_matmul, at, "`@`: the inner dims differ, %s and %s: %s and %s", type_text(c->a, ta), type_text(c->a, tb),
                          dim_text(c->a, ta->dim[ka]), dim_text(c->a, tb->dim[kb]));
        note_shape(c, d, a);
        note_shape(c, d, b);
        int64_t last;
        if (tb->rank > 1 && same_dim(c, ta->dim[ka], tb->dim[tb->rank - 1], at) == SAME_yes && dim_is_const(ta->dim[ka], &last))
            note(c, d, (Span){0}, "the right one transposed, `'`, would fit");
        return NULL;
    }
    uint32_t la = ta->rank > 2 ? ta->rank - 2 : 0, lb = tb->rank > 2 ? tb->rank - 2 : 0, batch = 0;
    if (la && lb) {                     /* leading axes of both: broadcast them, keep the last two */
        Dim *dims[MAX_RANK], *own[MAX_RANK];
        Type *xa = type_tensor(c->m, ta->dtype, la, ta->dim), *xb = type_tensor(c->m, tb->dtype, lb, tb->dim);
        if (!broadcast_shapes(c, xa, xb, at, "`@`, leading axes", a, b, &batch, dims)) return NULL;
        memcpy(own, dims, batch * sizeof *own);
        own[batch] = ta->dim[ta->rank - 2];
        own[batch + 1] = ta->dim[ta->rank - 1];
        a = broadcast_to(c, a, batch + 2, own, at);
        own[batch] = same == SAME_required ? ta->dim[ka] : tb->dim[tb->rank - 2];
        own[batch + 1] = tb->dim[tb->rank - 1];
        b = broadcast_to(c, b, batch + 2, own, at);
    } else if (same == SAME_required) { /* from here on one dim stands for both */
        Dim *own[MAX_RANK];
        memcpy(own, tb->dim, tb->rank * sizeof *own);
        own[kb] = ta->dim[ka];
        b = retype(c, b, type_tensor(c->m, tb->dtype, tb->rank, own), at);
    }
    if (!a || !b) return NULL;
    Attr attr = {.dot = {.nbatch = (uint8_t)batch, .ncontract = 1}};
    for (uint32_t i = 0; i < batch; i++) attr.dot.lbatch[i] = attr.dot.rbatch[i] = (uint8_t)i;
    attr.dot.lcontract[0] = (uint8_t)(a->type->rank - 1);
    attr.dot.rcontract[0] = (uint8_t)(b->type->rank > 1 ? b->type->rank - 2 : 0);
    Node *r = node(c, OP_dot, 2, (Node *[]){a, b}, &attr, NULL, at);
    if (!r || la || !lb || ta->rank < 2) return r;
    /* a[n, k] @ b[batch, k, m] gave [n, batch, m] */
    Attr perm = {0};
    uint32_t rank = r->type->rank;
    for (uint32_t i = 0; i + 2 < rank; i++) perm.perm[i] = (uint8_t)(i + 1);
    perm.perm[rank - 2] = 0;
    perm.perm[rank - 1] = (uint8_t)(rank - 1);
    return node(c, OP_transpose, 1, &r, &perm, NULL, at);
}

/* ---- operators on tensors ----------------------------------------------------------------------------------- */

static Value power(Check *c, Value a, Value b, Span at, Span a_at, Span b_at)
{
    Node *x, *y;
    if (is_tensor(a) && !is_tensor(b)) {
        x = as_node(c, a);
        if (!x) return v_error();
        if (dtype_is_int(x->type->dtype)) {             /* exact, by squaring */
            if (b.kind != V_INT || b.i < 0 || b.i > 64)
                return fail(c, DL_number_dtype, b_at, "an integer tensor to the power of %s; cast the tensor to a float dtype", kind_text(c, b));
            Node *one = int_const(c, x->type->dtype, 1, at), *r = NULL;
            for (int64_t n = b.i; n; n >>= 1) {
                if (n & 1) r = r ? node2(c, OP_mul, r, x, at) : x;
                if (n > 1) x = node2(c, OP_mul, x, x, at);
            }
            return tensor_value(c, r ? r : broadcast_to(c, one, x->type->rank, x->type->dim, at));
        }
    } else if (is_tensor(b)) {                          /* the exponent may be an integer tensor */
        y = as_node(c, b);
        if (y && dtype_is_int(y->type->dtype)) {
            DType t = DT_f32;
            if (is_tensor(a)) {
                x = as_node(c, a);
                if (!x) return v_error();
                if (!dtype_is_float(x->type->dtype))
                    return fail(c, DL_number_dtype, a_at, "an integer tensor to the power of a tensor; cast %s to a float dtype", type_text(c->a, x->type));
                t = x->type->dtype;
            }
            b = tensor_value(c, cast_to(c, y, t, b_at));
        }
    }
    if (!meet(c, a, b, at, a_at, b_at, "`^`", &x, &y)) return v_error();
    if (!dtype_is_float(x->type->dtype)) return fail(c, DL_operand_kind, at, "`^` does not work on %s", type_text(c->a, x->type));
    return tensor_value(c, node2(c, OP_pow, x, y, at));
}

static Value tensor_binary(Check *c, BinOp op, Value a, Value b, Span at, Span a_at, Span b_at)
{
    Node *x, *y;
    const char *what = arena_printf(c->a, "`%s`", binop_text(op));
    if (op == BIN_pow) return power(c, a, b, at, a_at, b_at);
    if (op == BIN_matmul) {
        x = operand(c, a, a_at);
        y = operand(c, b, b_at);
        return tensor_value(c, x && y ? matmul(c, x, y, at) : NULL);
    }
    if (!meet_dtype(c, a, b, at, a_at, b_at, what, &x, &y)) return v_error();
    DType t = x->type->dtype;
    if (op == BIN_div && dtype_is_int(t)) {
        Diag *d = problem(c, DL_true_division, at, "`/` is true division, for floats; these are %s", dtype_name(t));
        note(c, d, (Span){0}, "use `//` to round down, or cast to f32 first");
        return v_error();
    }
    if (t == DT_bool && op != BIN_and && op != BIN_or && op != BIN_eq && op != BIN_ne) {
        Diag *d = problem(c, DL_operand_kind, at, "%s does not work on %s", what, dtype_name(t));
        note(c, d, (Span){0}, "use `and`, `or`, `not`, `where`, or cast the bool, as in `f32(mask)`");
        return v_error();
    }
    if (!broadcast2(c, &x, &y, at, what)) return v_error();
    return tensor_value(c, node2(c, tensor_op(op), x, y, at));
}

static Value concat_lists(Check *c, Value a, Value b, Span at)
{
    List *l = list_new(c, a.list->n + b.list->n, at);
    if (!l) return v_error();
    if (a.list->n) memcpy(l->at, a.list->at, a.list->n * sizeof *l->at);
    if (b.list->n) memcpy(l->at + a.list->n, b.list->at, b.list->n * sizeof *l->at);
    return a.kind == V_TUPLE && b.kind == V_TUPLE ? v_tuple(l) : v_list(l);
}

static Value operands_differ(Check *c, BinOp op, Value a, Value b, Span at, Span a_at, Span b_at)
{
    Diag *d = problem(c, DL_operand_kind, at, "`%s` does not work on %s and %s", binop_text(op), kind_text(c, a), kind_text(c, b));
    note(c, d, a_at, "this is %s", kind_text(c, a));
    note(c, d, b_at, "this is %s", kind_text(c, b));
    return v_error();
}

static bool is_bool_tensor(Check *c, Value v)
{
    Node *n = is_tensor(v) ? as_node(c, v) : NULL;
    return n && n->type->dtype == DT_bool;
}

Value binary(Check *c, BinOp op, Value a, Value b, Span at, Span a_at, Span b_at)
{
    if (a.kind == V_ERROR || b.kind == V_ERROR) return v_error();
    if (is_poison(a)) return a;
    if (is_poison(b)) return b;
    bool arith_a = is_tensor(a) || is_number(a), arith_b = is_tensor(b) || is_number(b);
    bool logic_a = a.kind == V_BOOL || a.kind == V_REL, logic_b = b.kind == V_BOOL || b.kind == V_REL;
    if ((op == BIN_eq || op == BIN_ne) && !(arith_a && arith_b) && !(is_tensor(a) && logic_b) && !(is_tensor(b) && logic_a)) {
        bool undecided = false, same = values_equal(c, a, b, &undecided);
        if (undecided) return fail(c, DL_not_compile_time, at, "whether %s and %s are equal is known at entry only", value_text(c, a), value_text(c, b));
        return v_bool(same == (op == BIN_eq));
    }
    if (op == BIN_and || op == BIN_or) {
        bool is_and = op == BIN_and;
        if (a.kind == V_BOOL && (logic_b || is_tensor(b))) return a.b == is_and ? b : v_bool(!is_and);
        if (b.kind == V_BOOL && (logic_a || is_tensor(a))) return b.b == is_and ? a : v_bool(!is_and);
        bool tensors = (logic_a || is_bool_tensor(c, a)) && (logic_b || is_bool_tensor(c, b));
        if (tensors) return tensor_binary(c, op, a, b, at, a_at, b_at);
        Diag *d = problem(c, DL_operand_kind, at, "`%s` is for bools, not for %s and %s", binop_text(op), kind_text(c, a), kind_text(c, b));
        note(c, d, logic_a || is_bool_tensor(c, a) ? b_at : a_at, "compare this one first, as in `x != 0`");
        return v_error();
    }
    if (op != BIN_matmul && is_number(a) && is_number(b)) return number_binary(c, op, a, b, at);
    if ((arith_a || logic_a) && (arith_b || logic_b) && (is_tensor(a) || is_tensor(b))) return tensor_binary(c, op, a, b, at, a_at, b_at);
    if (op == BIN_add && is_list(a) && is_list(b)) return concat_lists(c, a, b, at);
    if (op == BIN_add && a.kind == V_STRING && b.kind == V_STRING) {
        if (!step(c, strlen(a.s) + strlen(b.s), at)) return v_error();
        return v_string(arena_printf(c->a, "%s%s", a.s, b.s));
    }
    return operands_differ(c, op, a, b, at, a_at, b_at);
}

Value unary(Check *c, UnOp op, Value x, Span at)
{
    if (is_poison(x)) return x;
    if (op == UN_not) {
        if (x.kind == V_BOOL) return v_bool(!x.b);
        if (x.kind == V_REL) {
            Relation *r = x.rel;
            switch (r->rel) {
            case REL_EQ: return relation(c, REL_NE, r->a, r->b, at);
            case REL_NE: return relation(c, REL_EQ, r->a, r->b, at);
            case REL_LT: return relation(c, REL_LE, r->b, r->a, at);
            case REL_LE: return relation(c, REL_LT, r->b, r->a, at);
            }
        }
        Node *n = is_tensor(x) ? as_node(c, x) : NULL;
        if (n && n->type->dtype == DT_bool) return tensor_value(c, node1(c, OP_not, n, at));
        return fail(c, DL_operand_kind, at, "`not` works on bools, not on %s", kind_text(c, x));
    }
    if (op == UN_neg) {
        switch ((ValueKind)x.kind) {
        case V_INT:   return int_binary(c, BIN_sub, 0, x.i, at);
        case V_FLOAT: return v_float(-x.f);
        case V_DIM:   return dim_binary(c, BIN_sub, v_int(0), x, at);
        case V_WEAK: {
            Node *n = node1(c, OP_neg, weak_node(c, x, at), at);
            return n ? (Value){.kind = V_WEAK, .whole = x.whole, .node = n} : v_error();
        }
        default: break;
        }
    }
    if (!is_tensor(x)) return fail(c, DL_operand_kind, at, "`%s` does not work on %s", op == UN_neg ? "-" : "'", kind_text(c, x));
    Node *n = as_node(c, x);
    if (!n) return v_error();
    if (op == UN_neg) {
        if (n->type->dtype == DT_bool || n->type->dtype == DT_u8)
            return fail(c, DL_operand_kind, at, "`-` does not work on %s", type_text(c->a, n->type));
        return tensor_value(c, node1(c, OP_neg, n, at));
    }
    uint32_t r = n->type->rank;
    if (r < 2) return fail(c, DL_rank, at, "`'` swaps the last two axes; %s has none", type_text(c->a, n->type));
    Attr attr = {0};
    for (uint32_t i = 0; i < r; i++) attr.perm[i] = (uint8_t)i;
    attr.perm[r - 1] = (uint8_t)(r - 2);
    attr.perm[r - 2] = (uint8_t)(r - 1);
    return tensor_value(c, node(c, OP_transpose, 1, &n, &attr, NULL, at));
}
