/* check_create.c - tensors from nowhere: zeros .. iota, and random draws, which are part of initial values only. A
 * draw's stream follows from the path of its param and its place among that param's draws, so it is put in when
 * paths are known (check_path.c).
 */
#include <string.h>

#include "frontend/check.h"

Node *splat(Check *c, Node *scalar, Type *t, Span at)
{
    Attr attr = {0};
    if (!scalar || !t->rank) return scalar;
    return node(c, OP_broadcast, 1, &scalar, &attr, t, at);
}

static Value filled(Check *c, Type *t, double v, Span at)
{
    Node *n = t->dtype == DT_bool || dtype_is_int(t->dtype) ? int_const(c, t->dtype, (int64_t)v, at) : scalar_const(c, t->dtype, v, at);
    return tensor_value(c, splat(c, n, t, at));
}

Value bi_zeros(Check *c, Call *k)
{
    Type *t;
    return arg_type(c, k, 0, &t) ? filled(c, t, 0, k->span) : v_error();
}

Value bi_ones(Check *c, Call *k)
{
    Type *t;
    return arg_type(c, k, 0, &t) ? filled(c, t, 1, k->span) : v_error();
}

Value bi_like(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    return x ? filled(c, x->type, k->builtin->code, k->span) : v_error();
}

/* A number or a tensor that broadcasts, as a tensor of type t. */
static Node *as_type(Check *c, Value v, Type *t, Span at)
{
    Node *n = is_tensor(v) ? as_node(c, v) : number_as(c, v, t->dtype, at);
    if (!n) return NULL;
    if (n->type->dtype != t->dtype) {
        fail(c, DL_dtype_mismatch, at, "dtypes differ, %s and %s", type_text(c->a, n->type), type_text(c->a, t));
        return NULL;
    }
    if (n->type == t) return n;
    uint32_t rank;
    Dim *dim[MAX_RANK];
    if (!broadcast_shapes(c, t, n->type, at, "this value", NULL, n, &rank, dim)) return NULL;
    for (uint32_t i = 0; i < rank; i++) {
        if (rank == t->rank && dim[i] == t->dim[i]) continue;
        fail(c, DL_broadcast, at, "%s does not broadcast to %s", type_text(c->a, n->type), type_text(c->a, t));
        return NULL;
    }
    return broadcast_to(c, n, t->rank, t->dim, at);
}

Value bi_full(Check *c, Call *k)
{
    Type *t;
    return arg_type(c, k, 0, &t) ? tensor_value(c, as_type(c, k->arg[1], t, k->at[1])) : v_error();
}

Node *iota_node(Check *c, Type *t, uint32_t axis, Span at)
{
    Attr attr = {.axis = axis};
    return node(c, OP_iota, 0, NULL, &attr, t, at);
}

Value bi_iota(Check *c, Call *k)
{
    Type *t;
    uint32_t axis;
    if (!arg_type(c, k, 0, &t)) return v_error();
    if (!t->rank) return fail(c, DL_rank, k->at[0], "`iota` counts along an axis; %s has none", type_text(c->a, t));
    if (t->dtype == DT_bool) return bad_arg(c, k, 0, "a type of numbers");
    axis = t->rank - 1;
    if (given(k, 1) && !arg_axis(c, k, 1, t->rank, &axis)) return v_error();
    return tensor_value(c, iota_node(c, t, axis, k->span));
}

/* ---- random draws ---------------------------------------------------------------------------------------- */

static bool may_draw(Check *c, Call *k, Value *poison)
{
    if (c->func == c->root && c->initial) return true;
    *poison = unsupported(c, DL_unsupported_random, k->span, "a random draw (`%s`) outside of initial values", k->builtin->name);
    return false;
}

/* Uniform in [0, 1), of the shape of t. */
static Node *draw(Check *c, DType dtype, Type *t, Span at)
{
    Attr attr = {0};
    Node *step_number = int_const(c, DT_i64, 0, at);
    Node *n = node(c, OP_rng, 2, (Node *[]){c->seed, step_number}, &attr, type_with_dtype(c->m, t, dtype), at);
    if (n) vec_push(c->a, &c->initial->draws, n);
    return n;
}

static bool float_type(Check *c, Call *k, Type **t)
{
    if (!arg_type(c, k, 0, t)) return false;
    if (dtype_is_float((*t)->dtype)) return true;
    bad_arg(c, k, 0, "a type of floats");
    return false;
}

static DType draw_dtype(Type *t) { return t->dtype == DT_f64 ? DT_f64 : DT_f32; }

/* x * scale + shift, as the type asked for. */
static Value scaled(Check *c, Node *x, Type *t, Value scale, Span scale_at, Value shift, Span shift_at, Span at)
{
    x = cast_to(c, x, t->dtype, at);
    if (scale.kind != V_MISSING) {
        Node *s = as_type(c, scale, t, scale_at);
        x = x && s ? node2(c, OP_mul, x, s, at) : NULL;
    }
    if (shift.kind != V_MISSING && x) {
        Node *s = as_type(c, shift, t, shift_at);
        x = s ? node2(c, OP_add, x, s, at) : NULL;
    }
    return tensor_value(c, x);
}

/* Box, Muller 1958: two uniform draws make a normal one. */
Value bi_normal(Check *c, Call *k)
{
    Type *t;
    Value poison;
    if (!float_type(c, k, &t)) return v_error();
    if (!may_draw(c, k, &poison)) return poison;
    DType d = draw_dtype(t);
    Type *u = type_with_dtype(c->m, t, d);
    Span at = k->span;
    Node *a = draw(c, d, t, at), *b = draw(c, d, t, at);
    Node *one = splat(c, scalar_const(c, d, 1, at), u, at);
    Node *radius = node1(c, OP_log, node2(c, OP_sub, one, a, at), at);          /* 1 - a is never 0 */
    radius = node1(c, OP_sqrt, node2(c, OP_mul, radius, splat(c, scalar_const(c, d, -2, at), u, at), at), at);
    Node *angle = node2(c, OP_mul, b, splat(c, scalar_const(c, d, 6.283185307179586477, at), u, at), at);
    Node *z = node2(c, OP_mul, radius, node1(c, OP_cos, angle, at), at);
    return z ? scaled(c, z, t, k->arg[2], k->at[2], k->arg[1], k->at[1], at) : v_error();
}

Value bi_uniform(Check *c, Call *k)
{
    Type *t;
    Value poison;
    if (!float_type(c, k, &t)) return v_error();
    if (!may_draw(c, k, &poison)) return poison;
    Value low = k->arg[1], high = k->arg[2], width = high;
    if (low.kind != V_MISSING) width = binary(c, BIN_sub, high.kind == V_MISSING ? v_int(1) : high, low, k->span, k->at[2], k->at[1]);
    if (is_poison(width)) return width;
    return scaled(c, draw(c, draw_dtype(t), t, k->span), t, width, k->at[2], low, k->at[1], k->span);
}

Value bi_randint(Check *c, Call *k)
{
    Type *t;
    int64_t low, high, width;
    Value poison;
    if (!arg_type(c, k, 0, &t)) return v_error();
    if (!dtype_is_int(t->dtype)) return bad_arg(c, k, 0, "a type of integers");
    if (!may_draw(c, k, &poison)) return poison;
    if (!arg_int(c, k, 1, &low) || !arg_int(c, k, 2, &high)) return v_error();
    if (!size_sub(high, low, &width) || width < 1 || !number_fits(low, t->dtype) || !number_fits(high - 1, t->dtype))
        return fail(c, DL_bad_argument, k->span, "`randint` draws from low to high - 1, in %s; from %s to %s there is nothing to draw from",
                    dtype_name(t->dtype), value_text(c, k->arg[1]), value_text(c, k->arg[2]));
    Type *wide = type_with_dtype(c->m, t, DT_f64);
    Node *u = draw(c, DT_f64, t, k->span);
    u = node1(c, OP_floor, node2(c, OP_mul, u, splat(c, scalar_const(c, DT_f64, (double)width, k->span), wide, k->span), k->span), k->span);
    u = node2(c, OP_add, u, splat(c, scalar_const(c, DT_f64, (double)low, k->span), wide, k->span), k->span);
    return tensor_value(c, cast_to(c, u, t->dtype, k->span));
}

Value bi_bernoulli(Check *c, Call *k)
{
    Type *t;
    Value poison;
    if (!arg_type(c, k, 0, &t)) return v_error();
    if (t->dtype != DT_bool) return bad_arg(c, k, 0, "a type of bools");
    if (!may_draw(c, k, &poison)) return poison;
    Node *p = as_type(c, k->arg[1], type_with_dtype(c->m, t, DT_f32), k->at[1]);
    Node *u = draw(c, DT_f32, t, k->span);
    return tensor_value(c, p && u ? node2(c, OP_lt, u, p, k->span) : NULL);
}

Value bi_categorical(Check *c, Call *k)
{
    return unsupported(c, DL_unsupported_random, k->span, "a random draw (`categorical`)");
}
