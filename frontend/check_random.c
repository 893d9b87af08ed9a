/* check_random.c - random draws: normal .. categorical. A draw is a pure function of a key, a stream and a counter
 * (Philox), so it gives the same numbers on every target and thread count. In an initial value the stream follows from
 * the path of the param and the number of the draw in it, and is put in when paths are known (check_path.c); in a
 * function it follows from the export and the number of the draw, and the counter is the number of calls so far.
 */
#include <string.h>

#include "frontend/check.h"

static bool may_draw(Check *c, Call *k)
{
    if (func_outermost(c->func) != c->root || c->initial) return true;
    Diag *d = problem(c, DL_random_constant, k->span, "`%s` draws a random number for a constant", k->builtin->name);
    note(c, d, (Span){0}, "draw inside of a function, where each call draws anew, or make it the initial value of a `state`");
    return false;
}

static Node *instance_scalar(Check *c, Node **kept, ArgRole role, const char *name)
{
    if (!*kept) *kept = func_arg(c->func, role, name, type_scalar(c->m, DT_i64), NULL, (Span){0});
    return *kept;
}

/* The seed of the instance, in the function being built. */
Node *key_node(Check *c)
{
    if (c->loop) return c->key = c->key ? c->key : capture_made(c, key_node);
    return c->seed->func == c->func ? c->seed : instance_scalar(c, &c->key, ARG_SEED, "seed");
}

/* The number of the draw among those of its place: that of the call; in a loop, of the call and of the iterations of the
 * loops around it, n = n * 2^64 / golden ratio + i + 1. Multiples of that number lie apart (Knuth, The Art of Computer
 * Programming 6.4), so that 2^31 calls of 2^31 iterations have different ones. */
static Node *count_node(Check *c)
{
    Span at = {0};
    if (!c->loop && c->func == c->root) return int_const(c, DT_i64, 0, at);
    if (!c->loop) return instance_scalar(c, &c->calls, ARG_STEP, "calls");
    if (c->calls) return c->calls;
    Node *around = capture_made(c, count_node);
    Node *scaled = node2(c, OP_mul, around, int_const(c, DT_i64, (int64_t)UINT64_C(0x9E3779B97F4A7C15), at), at);
    return c->calls = node2(c, OP_add, scaled, node2(c, OP_add, iteration_number(c), int_const(c, DT_i64, 1, at), at), at);
}

/* Uniform in [0, 1), of the shape of t; of an i32 type: random bits. */
static Node *draw(Check *c, DType dtype, Type *t, Span at)
{
    Attr attr = {0};
    Node *key = key_node(c), *n;
    bool initial = func_outermost(c->func) == c->root;
    if (!initial) attr.rng.stream = stream_of(arena_printf(c->a, "fn %s", c->func->name), c->draws++);
    Node *counter = count_node(c);
    n = node(c, OP_rng, 2, (Node *[]){key, counter}, &attr, type_with_dtype(c->m, t, dtype), at);
    if (n && initial) vec_push(c->a, &c->initial->draws, n);
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
    if (!float_type(c, k, &t)) return v_error();
    if (!may_draw(c, k)) return v_error();
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
    if (!float_type(c, k, &t)) return v_error();
    if (!may_draw(c, k)) return v_error();
    Value low = k->arg[1], high = k->arg[2], width = high;
    if (low.kind != V_MISSING) width = binary(c, BIN_sub, high.kind == V_MISSING ? v_int(1) : high, low, k->span, k->at[2], k->at[1]);
    if (is_poison(width)) return width;
    return scaled(c, draw(c, draw_dtype(t), t, k->span), t, width, k->at[2], low, k->at[1], k->span);
}

Value bi_randint(Check *c, Call *k)
{
    Type *t;
    int64_t low, high, width;
    if (!arg_type(c, k, 0, &t)) return v_error();
    if (!dtype_is_int(t->dtype)) return bad_arg(c, k, 0, "a type of integers");
    if (!may_draw(c, k)) return v_error();
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
    if (!arg_type(c, k, 0, &t)) return v_error();
    if (t->dtype != DT_bool) return bad_arg(c, k, 0, "a type of bools");
    if (!may_draw(c, k)) return v_error();
    Node *p = as_type(c, k->arg[1], type_with_dtype(c->m, t, DT_f32), k->at[1]);
    Node *u = draw(c, DT_f32, t, k->span);
    return tensor_value(c, p && u ? node2(c, OP_lt, u, p, k->span) : NULL);
}

/* Gumbel, 1954: the largest of logits + Gumbel noise is a draw from their softmax. */
Value bi_categorical(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    Span at = k->span;
    if (!x) return v_error();
    if (!x->type->rank || !dtype_is_float(x->type->dtype)) return bad_arg(c, k, 0, "a float tensor whose last axis is the choices");
    if (!may_draw(c, k)) return v_error();
    Type *t = x->type;
    DType d = draw_dtype(t);
    Type *u = type_with_dtype(c->m, t, d);
    Node *noise = draw(c, d, t, at);
    Node *least = splat(c, scalar_const(c, d, 0x1p-25, at), u, at);         /* half a step: log of 0 would always win */
    noise = node2(c, OP_max, noise, least, at);
    for (int i = 0; i < 2; i++) noise = node1(c, OP_neg, node1(c, OP_log, noise, at), at);
    x = node2(c, OP_add, x, cast_to(c, noise, t->dtype, at), at);
    Attr attr = {.reduce = {.kind = RED_max, .axes = 1u << (t->rank - 1)}};
    return tensor_value(c, node(c, OP_argreduce, 1, &x, &attr, NULL, at));
}
