/* check_map.c - elementwise builtins, also on numbers.
 */
#include <math.h>

#include "frontend/check.h"

static double number_of(Value v) { return v.kind == V_INT ? (double)v.i : v.f; }

static double unary_number(Op op, double x)
{
    switch (op) {
    case OP_abs:     return fabs(x);
    case OP_exp:     return exp(x);
    case OP_log:     return log(x);
    case OP_log1p:   return log1p(x);
    case OP_expm1:   return expm1(x);
    case OP_sqrt:    return sqrt(x);
    case OP_rsqrt:   return 1 / sqrt(x);
    case OP_sin:     return sin(x);
    case OP_cos:     return cos(x);
    case OP_tanh:    return tanh(x);
    case OP_erf:     return erf(x);
    case OP_sigmoid: return 1 / (1 + exp(-x));
    case OP_sign:    return x > 0 ? 1 : x < 0 ? -1 : x;
    default:         return x;
    }
}

static Value weak(Check *c, Node *n, bool whole)
{
    (void)c;
    return n ? (Value){.kind = V_WEAK, .whole = whole, .node = n} : v_error();
}

Value bi_unary(Check *c, Call *k)
{
    Op op = (Op)k->builtin->code;
    Value x = k->arg[0];
    if (x.kind == V_INT && (op == OP_abs || op == OP_sign)) {
        if (op == OP_sign) return v_int((x.i > 0) - (x.i < 0));
        return x.i == INT64_MIN ? fail(c, DL_overflow, k->span, "the result does not fit 64 bits") : v_int(x.i < 0 ? -x.i : x.i);
    }
    if (is_const_number(x)) {
        if (op == OP_isfinite) return v_bool(isfinite(number_of(x)));
        return v_float(unary_number(op, number_of(x)));
    }
    if (x.kind == V_DIM && op == OP_abs && x.dim->lo >= 0) return x;
    if (is_number(x)) {
        Node *n = node1(c, op, weak_node(c, x, k->span), k->span);
        if (op == OP_isfinite) return tensor_value(c, n);
        return weak(c, n, (op == OP_abs || op == OP_sign) && (is_whole(x) || x.whole));
    }
    Node *n = arg_tensor(c, k, 0);
    if (!n) return v_error();
    if (op != OP_abs && op != OP_sign && !dtype_is_float(n->type->dtype)) {
        Diag *d = problem(c, DL_operand_kind, k->at[0], "`%s` works on floats, not on %s", k->builtin->name, type_text(c->a, n->type));
        note(c, d, (Span){0}, "cast it first: `%s(f32(...))`", k->builtin->name);
        return v_error();
    }
    if (n->type->dtype == DT_bool) return bad_arg(c, k, 0, "a tensor of numbers");
    return tensor_value(c, node1(c, op, n, k->span));
}

/* floor, ceil, round: of a number an int; of a tensor a tensor. */
Value bi_round(Check *c, Call *k)
{
    Op op = (Op)k->builtin->code;
    Value x = k->arg[0];
    if (is_whole(x)) return x;
    if (x.kind == V_FLOAT) {
        double v = op == OP_floor ? floor(x.f) : op == OP_ceil ? ceil(x.f) : rint(x.f);
        if (!(v >= -9223372036854775808.0 && v < 9223372036854775808.0)) return fail(c, DL_overflow, k->span, "%s is no 64-bit int", value_text(c, x));
        return v_int((int64_t)v);
    }
    if (x.kind == V_WEAK) return weak(c, node1(c, op, weak_node(c, x, k->span), k->span), true);
    Node *n = arg_tensor(c, k, 0);
    if (!n) return v_error();
    if (dtype_is_int(n->type->dtype)) return tensor_value(c, n);
    if (n->type->dtype == DT_bool) return bad_arg(c, k, 0, "a tensor of numbers");
    return tensor_value(c, node1(c, op, n, k->span));
}

Value min_max_values(Check *c, bool want_max, Value a, Value b, Span at, Span a_at, Span b_at)
{
    Node *x, *y;
    if (a.kind == V_INT && b.kind == V_INT) return (a.i < b.i) == want_max ? b : a;
    if (is_const_number(a) && is_const_number(b)) {
        double p = number_of(a), q = number_of(b);
        if (isnan(p) || isnan(q)) return v_float(NAN);
        return v_float((p < q) == want_max ? q : p);
    }
    if (is_whole(a) && is_whole(b)) {
        Dim *p = value_dim(c, a), *q = value_dim(c, b), *d = want_max ? dim_max(c->m, p, q) : dim_min(c->m, p, q);
        return d ? dim_value_of(d) : fail(c, DL_overflow, at, "this dim becomes too complicated");
    }
    Op op = want_max ? OP_max : OP_min;
    if (is_number(a) && is_number(b)) {
        bool whole = (is_whole(a) || a.whole) && (is_whole(b) || b.whole);
        Node *p = weak_node(c, a, at), *q = weak_node(c, b, at);
        return weak(c, node2(c, op, p, q, at), whole);
    }
    const char *what = want_max ? "`maximum`" : "`minimum`";
    if (!meet(c, a, b, at, a_at, b_at, what, &x, &y)) return v_error();
    if (x->type->dtype == DT_bool) return fail(c, DL_operand_kind, at, "%s does not work on bools; use `or`, `and`", what);
    return tensor_value(c, node2(c, op, x, y, at));
}

Value bi_minmax(Check *c, Call *k)
{
    return min_max_values(c, k->builtin->code, k->arg[0], k->arg[1], k->span, k->at[0], k->at[1]);
}

Value bi_clamp(Check *c, Call *k)
{
    Value x = k->arg[0];
    if (given(k, 1) && k->arg[1].kind != V_NONE) x = min_max_values(c, true, x, k->arg[1], k->span, k->at[0], k->at[1]);
    if (is_poison(x)) return x;
    if (given(k, 2) && k->arg[2].kind != V_NONE) x = min_max_values(c, false, x, k->arg[2], k->span, k->at[0], k->at[2]);
    return x;
}

Value bi_where(Check *c, Call *k)
{
    Value v = k->arg[0];
    Node *x, *y, *condition = v.kind == V_BOOL || v.kind == V_REL ? number_as(c, v, DT_bool, k->at[0]) : arg_tensor(c, k, 0);
    if (!condition) return v_error();
    if (condition->type->dtype != DT_bool) {
        Diag *d = problem(c, DL_condition, k->at[0], "the condition of `where` is bool, not %s", type_text(c->a, condition->type));
        note(c, d, (Span){0}, "compare it, as in `x != 0`");
        return v_error();
    }
    if (!meet(c, k->arg[1], k->arg[2], k->span, k->at[1], k->at[2], "`where`", &x, &y)) return v_error();
    uint32_t rank;
    Dim *dim[MAX_RANK];
    if (!broadcast_shapes(c, condition->type, x->type, k->span, "`where`", condition, x, &rank, dim)) return v_error();
    Node *args[3] = {condition, x, y};
    for (int i = 0; i < 3; i++) args[i] = broadcast_to(c, args[i], rank, dim, k->span);
    return tensor_value(c, node(c, OP_select, 3, args, NULL, NULL, k->span));
}

/* No gradients yet: the value itself. */
