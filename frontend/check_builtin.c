/* check_builtin.c - the table of builtins, how their arguments are read, and those that work on compile-time values.
 */
#include <math.h>
#include <string.h>

#include "frontend/check.h"

static BuiltinFn bi_range, bi_len, bi_zip, bi_enumerate, bi_reversed, bi_contains, bi_is_fn, bi_check;

/* '?': may be left out. "*": any number of further arguments. "**": any further keyword arguments. */
static const Builtin builtins[] = {
    {"zeros", "T", bi_zeros, 0},
    {"ones", "T", bi_ones, 0},
    {"full", "T, value", bi_full, 0},
    {"iota", "T, axis?", bi_iota, 0},
    {"zeros_like", "x", bi_like, 0},
    {"ones_like", "x", bi_like, 1},

    {"normal", "T, mean?, std?", bi_normal, 0},
    {"uniform", "T, low?, high?", bi_uniform, 0},
    {"randint", "T, low, high", bi_randint, 0},
    {"bernoulli", "T, p", bi_bernoulli, 0},
    {"categorical", "logits", bi_categorical, 0},

    {"abs", "x", bi_unary, OP_abs},
    {"exp", "x", bi_unary, OP_exp},
    {"log", "x", bi_unary, OP_log},
    {"log1p", "x", bi_unary, OP_log1p},
    {"expm1", "x", bi_unary, OP_expm1},
    {"sqrt", "x", bi_unary, OP_sqrt},
    {"rsqrt", "x", bi_unary, OP_rsqrt},
    {"sin", "x", bi_unary, OP_sin},
    {"cos", "x", bi_unary, OP_cos},
    {"tanh", "x", bi_unary, OP_tanh},
    {"erf", "x", bi_unary, OP_erf},
    {"sigmoid", "x", bi_unary, OP_sigmoid},
    {"sign", "x", bi_unary, OP_sign},
    {"floor", "x", bi_round, OP_floor},
    {"ceil", "x", bi_round, OP_ceil},
    {"round", "x", bi_round, OP_round},
    {"isfinite", "x", bi_unary, OP_isfinite},

    {"maximum", "a, b", bi_minmax, 1},
    {"minimum", "a, b", bi_minmax, 0},
    {"clamp", "x, low?, high?", bi_clamp, 0},
    {"where", "condition, a, b", bi_where, 0},

    {"sum", "x, axis?, keep?", bi_reduce, RED_sum},
    {"prod", "x, axis?, keep?", bi_reduce, RED_prod},
    {"max", "x, axis?, keep?", bi_reduce, RED_max},
    {"min", "x, axis?, keep?", bi_reduce, RED_min},
    {"any", "x, axis?, keep?", bi_reduce, RED_or},
    {"all", "x, axis?, keep?", bi_reduce, RED_and},
    {"mean", "x, axis?, keep?", bi_mean, 0},
    {"argmax", "x, axis?, keep?", bi_argreduce, RED_max},
    {"argmin", "x, axis?, keep?", bi_argreduce, RED_min},
    {"cumsum", "x, axis", bi_cumsum, 0},
    {"sort", "x, axis?, descending?", bi_sort, 0},
    {"top_k", "x, k, axis?", bi_top_k, 0},

    {"einsum", "pattern, *", bi_einsum, 0},
    {"conv", "x, w, stride?, padding?, dilation?, groups?", bi_conv, 0},
    {"conv_transpose", "x, w, stride?, padding?, extra?", bi_conv_transpose, 0},
    {"max_pool", "x, size, stride?, padding?, ceil?", bi_max_pool, 0},
    {"avg_pool", "x, size, stride?, padding?", bi_avg_pool, 0},

    {"rearrange", "x, pattern, **", bi_rearrange, 0},
    {"reduce", "x, pattern, f, **", bi_reduce_pattern, 0},
    {"repeat", "x, pattern, **", bi_repeat, 0},
    {"reshape", "x, dims", bi_reshape, 0},
    {"broadcast", "x, dims", bi_broadcast, 0},
    {"concat", "list, axis", bi_concat, 0},
    {"stack", "list, axis?", bi_stack, 0},
    {"split", "x, count, axis?", bi_split, 0},
    {"flip", "x, axis", bi_flip, 0},
    {"pad", "x, amounts, value?, mode?", bi_pad, 0},
    {"unfold", "x, axis, size, step", bi_unfold, 0},
    {"resize", "x, size, mode?, corners?", bi_resize, 0},

    {"take", "x, ids, axis?", bi_take, 0},
    {"take_along", "x, ids, axis?", bi_take_along, 0},
    {"one_hot", "ids, n, dtype?", bi_one_hot, 0},
    {"slice", "x, axis, start, length", bi_slice, 0},
    {"put", "x, values, axis?, start?", bi_put, 0},
    {"scatter_add", "x, ids, values", bi_scatter_add, 0},
    {"segment_sum", "x, ids, n", bi_segment, RED_sum},
    {"segment_max", "x, ids, n", bi_segment, RED_max},

    {"params", "m, pattern?", bi_params, 0},
    {"leaves", "*", bi_leaves, 0},
    {"map", "*", bi_map, 0},
    {"matches", "name, pattern", bi_matches, 0},
    {"grad", "loss, of", bi_grad, 0},
    {"custom_grad", "f, backward", bi_custom_grad, 0},
    {"recompute", "f", bi_recompute, 0},
    {"stop_gradient", "x", bi_stop_gradient, 0},
    {"freeze", "m, *", bi_freeze, 0},
    {"eval_mode", "m", bi_eval_mode, 0},
    {"bind", "m, tree", bi_bind, 0},
    {"replace", "m, pattern, f", bi_replace, 0},
    {"precision", "m, dtype", bi_precision, 0},
    {"reset", "m", bi_reset, 0},

    {"range", "a, b?, step?", bi_range, 0},
    {"len", "x", bi_len, 0},
    {"zip", "*", bi_zip, 0},
    {"enumerate", "x", bi_enumerate, 0},
    {"reversed", "x", bi_reversed, 0},
    {"contains", "x, e", bi_contains, 0},
    {"is_fn", "x", bi_is_fn, 0},
    {"check", "condition, message?", bi_check, 0},
};

const Builtin *builtin_find(const char *name)
{
    for (size_t i = 0; i < COUNT(builtins); i++)
        if (!strcmp(builtins[i].name, name)) return &builtins[i];
    return NULL;
}

void builtins_define(Check *c)
{
    Scope *s = c->builtins;
    for (size_t i = 0; i < COUNT(builtins); i++) {
        Closure *f = arena_new(c->a, Closure);
        f->builtin = &builtins[i];
        scope_set(c, s, intern(&c->names, builtins[i].name, strlen(builtins[i].name)), (Value){.kind = V_FN, .fn = f}, (Span){0});
    }
    for (int t = DT_none + 1; t < DT_COUNT; t++) {
        const char *name = dtype_name((DType)t);
        scope_set(c, s, intern(&c->names, name, strlen(name)), v_type(type_scalar(c->m, (DType)t)), (Span){0});
    }
    scope_set(c, s, intern(&c->names, "inf", 3), v_float(INFINITY), (Span){0});
    scope_set(c, s, intern(&c->names, "nan", 3), v_float(NAN), (Span){0});
    scope_set(c, s, intern(&c->names, "pi", 2), v_float(3.14159265358979323846), (Span){0});
    scope_set(c, s, c->n_training, v_bool(false), (Span){0});
}

/* ---- calling -------------------------------------------------------------------------------------------- */

typedef struct BuiltinParams { const char *name[MAX_BUILTIN_ARGS]; bool optional[MAX_BUILTIN_ARGS]; uint32_t n; bool any, any_keyword; } BuiltinParams;

static BuiltinParams read_params(Check *c, const char *s)
{
    BuiltinParams p = {0};
    while (*s) {
        const char *end = s + strcspn(s, ",");
        uint32_t n = (uint32_t)(end - s);
        if (n && s[n - 1] == '*') {
            p.any = n == 1;
            p.any_keyword = n == 2;
        } else {
            p.optional[p.n] = s[n - 1] == '?';
            p.name[p.n] = intern(&c->names, s, n - p.optional[p.n]);
            p.n++;
        }
        s = *end ? end + 2 : end;       /* past ", " */
    }
    return p;
}

const char *arg_name(Check *c, const Call *k, uint32_t i) { return read_params(c, k->builtin->params).name[i]; }
bool given(const Call *k, uint32_t i) { return k->arg[i].kind != V_MISSING; }

Value call_builtin(Check *c, const Builtin *b, const Arguments *a)
{
    BuiltinParams p = read_params(c, b->params);
    Call k = {.builtin = b, .args = a, .span = a->span};
    uint32_t next = 0;
    for (uint32_t i = 0; i < MAX_BUILTIN_ARGS; i++) k.at[i] = a->span;
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t to = p.n;
        if (!a->name[i]) {
            if (next >= p.n) {
                if (p.any) continue;
                return fail(c, DL_too_many_arguments, a->at[i], "`%s(%s)` takes %u argument%s, not %u", b->name, b->params, p.n, p.n == 1 ? "" : "s", a->n);
            }
            to = next++;
        } else {
            for (to = 0; to < p.n && p.name[to] != a->name[i]; to++) {}
            if (to == p.n) {
                if (p.any_keyword) continue;
                Diag *d = problem(c, DL_unknown_keyword, a->name_at[i], "`%s` has no argument `%s`", b->name, a->name[i]);
                suggest(c, d, a->name[i], p.name, p.n);
                return v_error();
            }
            if (given(&k, to)) return fail(c, DL_duplicate_argument, a->name_at[i], "`%s` is given twice in this call of `%s`", a->name[i], b->name);
        }
        k.arg[to] = a->value[i];
        k.at[to] = a->at[i];
    }
    for (uint32_t i = 0; i < p.n; i++)
        if (!given(&k, i) && !p.optional[i])
            return fail(c, DL_missing_argument, a->span, "this call of `%s(%s)` gives no `%s`", b->name, b->params, p.name[i]);
    return b->eval(c, &k);
}

/* ---- reading arguments --------------------------------------------------------------------------------------- */

Value bad_arg(Check *c, Call *k, uint32_t i, const char *wanted)
{
    return fail(c, DL_bad_argument, k->at[i], "`%s`: `%s` is %s, not %s", k->builtin->name, arg_name(c, k, i), wanted, kind_text(c, k->arg[i]));
}

Node *arg_tensor(Check *c, Call *k, uint32_t i)
{
    if (is_tensor(k->arg[i])) return as_node(c, k->arg[i]);
    bad_arg(c, k, i, "a tensor");
    return NULL;
}

static bool value_axis(Check *c, Value v, uint32_t rank, Span at, uint32_t *axis)
{
    if (v.kind != V_INT) {
        if (!is_poison(v)) fail(c, DL_bad_axis, at, "an axis is an int, not %s", kind_text(c, v));
        return false;
    }
    if (v.i < -(int64_t)rank || v.i >= (int64_t)rank) {
        fail(c, DL_bad_axis, at, "there is no axis %lld in a tensor of rank %u", (long long)v.i, rank);
        return false;
    }
    *axis = (uint32_t)(v.i < 0 ? v.i + rank : v.i);
    return true;
}

bool arg_axis(Check *c, Call *k, uint32_t i, uint32_t rank, uint32_t *axis)
{
    return value_axis(c, k->arg[i], rank, k->at[i], axis);
}

bool arg_axes(Check *c, Call *k, uint32_t i, uint32_t rank, uint32_t *bits)
{
    Value v = k->arg[i];
    *bits = 0;
    if (v.kind == V_MISSING || v.kind == V_NONE) {
        *bits = rank ? (uint32_t)((UINT64_C(1) << rank) - 1) : 0;
        return true;
    }
    uint32_t n = is_list(v) ? v.list->n : 1;
    for (uint32_t j = 0; j < n; j++) {
        uint32_t axis;
        if (!value_axis(c, is_list(v) ? v.list->at[j] : v, rank, k->at[i], &axis)) return false;
        if (*bits >> axis & 1) {
            fail(c, DL_bad_axis, k->at[i], "axis %u is named twice", axis);
            return false;
        }
        *bits |= 1u << axis;
    }
    return true;
}

bool arg_bool(Check *c, Call *k, uint32_t i, bool *out)
{
    if (!given(k, i)) return true;
    if (k->arg[i].kind == V_BOOL) {
        *out = k->arg[i].b;
        return true;
    }
    bad_arg(c, k, i, "true or false");
    return false;
}

bool arg_int(Check *c, Call *k, uint32_t i, int64_t *out)
{
    if (!given(k, i)) return true;
    if (k->arg[i].kind == V_INT) {
        *out = k->arg[i].i;
        return true;
    }
    bad_arg(c, k, i, "a compile-time int");
    return false;
}

bool arg_dim(Check *c, Call *k, uint32_t i, Dim **out)
{
    if (is_whole(k->arg[i])) {
        *out = value_dim(c, k->arg[i]);
        return true;
    }
    bad_arg(c, k, i, "an int");
    return false;
}

bool arg_type(Check *c, Call *k, uint32_t i, Type **out)
{
    if (k->arg[i].kind == V_TYPE) {
        *out = k->arg[i].type;
        return true;
    }
    bad_arg(c, k, i, "a type, such as f32[B, 64]");
    return false;
}

bool arg_list(Check *c, Call *k, uint32_t i, List **out)
{
    if (is_list(k->arg[i])) {
        *out = k->arg[i].list;
        return true;
    }
    bad_arg(c, k, i, "a list");
    return false;
}

bool arg_option(Check *c, Call *k, uint32_t i, const char *const *options, uint32_t n, uint32_t *which)
{
    if (!given(k, i)) return true;
    if (k->arg[i].kind != V_STRING) {
        bad_arg(c, k, i, "a string");
        return false;
    }
    for (uint32_t j = 0; j < n; j++) {
        if (strcmp(options[j], k->arg[i].s)) continue;
        *which = j;
        return true;
    }
    Str known = {.arena = c->a};
    for (uint32_t j = 0; j < n; j++) str_fmt(&known, "%s\"%s\"", j ? ", " : "", options[j]);
    Diag *d = problem(c, DL_unknown_option, k->at[i], "`%s`: `%s` is one of %s, not \"%s\"", k->builtin->name, arg_name(c, k, i), known.at, k->arg[i].s);
    suggest(c, d, k->arg[i].s, options, n);
    return false;
}

/* ---- compile time ------------------------------------------------------------------------------------------------ */

static Value bi_range(Check *c, Call *k)
{
    int64_t from = 0, to = 0, by = 1, n;
    for (uint32_t i = 0; i < 3; i++) {
        if (!given(k, i) || k->arg[i].kind == V_INT) continue;
        if (k->arg[i].kind == V_DIM || k->arg[i].kind == V_WEAK || is_tensor(k->arg[i])) {
            Diag *d = problem(c, DL_not_compile_time, k->at[i], "`range` counts at compile time; %s is not known then", kind_text(c, k->arg[i]));
            note(c, d, (Span){0}, "`scan i in range(n)` loops at run time; `iota` makes a tensor of indices");
            return v_error();
        }
        return bad_arg(c, k, i, "an int");
    }
    if (!arg_int(c, k, 0, &to) || !arg_int(c, k, 2, &by)) return v_error();
    if (given(k, 1)) {
        from = to;
        if (!arg_int(c, k, 1, &to)) return v_error();
    }
    if (!by) return fail(c, DL_bad_argument, k->at[2], "a range cannot have the step 0");
    if (!size_sub(to, from, &n) || by == INT64_MIN) return fail(c, DL_overflow, k->span, "this range is too long");
    if (by < 0) {
        by = -by;
        if (!size_sub(0, n, &n)) return fail(c, DL_overflow, k->span, "this range is too long");
        n = n <= 0 ? 0 : (n - 1) / by + 1;
        by = -by;
    } else {
        n = n <= 0 ? 0 : (n - 1) / by + 1;
    }
    List *l = list_new(c, n > MAX_LIST ? MAX_LIST + 1 : (uint32_t)n, k->span);
    if (!l) return v_error();
    for (uint32_t i = 0; i < l->n; i++) l->at[i] = v_int(from + (int64_t)i * by);
    return v_list(l);
}

static Value bi_len(Check *c, Call *k)
{
    Value x = k->arg[0];
    if (is_list(x)) return v_int(x.list->n);
    if (x.kind == V_STRING) return v_int((int64_t)strlen(x.s));
    Node *n = is_tensor(x) ? as_node(c, x) : NULL;
    if (n && n->type->rank) return dim_value_of(n->type->dim[0]);
    return bad_arg(c, k, 0, "a list");
}

static Value pair(Check *c, Value a, Value b, Span at)
{
    List *l = list_new(c, 2, at);
    if (!l) return v_error();
    l->at[0] = a;
    l->at[1] = b;
    return v_tuple(l);
}

static Value bi_zip(Check *c, Call *k)
{
    const Arguments *a = k->args;
    if (!a->n) return fail(c, DL_missing_argument, k->span, "`zip` goes over lists side by side; none is given");
    for (uint32_t i = 0; i < a->n; i++) {
        if (!is_list(a->value[i])) return fail(c, DL_bad_argument, a->at[i], "`zip` goes over lists, not over %s", kind_text(c, a->value[i]));
        if (a->value[i].list->n != a->value[0].list->n) {
            Diag *d = problem(c, DL_bad_argument, a->at[i], "`zip`: lists of different lengths, %u and %u", a->value[0].list->n, a->value[i].list->n);
            note(c, d, a->at[0], "this one has %u items", a->value[0].list->n);
            return v_error();
        }
    }
    List *out = list_new(c, a->value[0].list->n, k->span);
    for (uint32_t i = 0; out && i < out->n; i++) {
        List *t = list_new(c, a->n, k->span);
        if (!t) return v_error();
        for (uint32_t j = 0; j < a->n; j++) t->at[j] = a->value[j].list->at[i];
        out->at[i] = v_tuple(t);
    }
    return out ? v_list(out) : v_error();
}

static Value bi_enumerate(Check *c, Call *k)
{
    List *in, *out;
    if (!arg_list(c, k, 0, &in) || !(out = list_new(c, in->n, k->span))) return v_error();
    for (uint32_t i = 0; i < in->n; i++) {
        out->at[i] = pair(c, v_int(i), in->at[i], k->span);
        if (is_poison(out->at[i])) return v_error();
    }
    return v_list(out);
}

static Value bi_reversed(Check *c, Call *k)
{
    List *in, *out;
    if (!arg_list(c, k, 0, &in) || !(out = list_new(c, in->n, k->span))) return v_error();
    for (uint32_t i = 0; i < in->n; i++) out->at[i] = in->at[in->n - 1 - i];
    return v_list(out);
}

static Value bi_contains(Check *c, Call *k)
{
    List *in;
    if (!arg_list(c, k, 0, &in)) return v_error();
    for (uint32_t i = 0; i < in->n; i++) {
        bool undecided = false;
        if (!step(c, 1, k->span)) return v_error();
        if (values_equal(c, in->at[i], k->arg[1], &undecided)) return v_bool(true);
        if (undecided) return fail(c, DL_not_compile_time, k->span, "whether the list contains %s is known at entry only", value_text(c, k->arg[1]));
    }
    return v_bool(false);
}

static Value bi_is_fn(Check *c, Call *k) { return v_bool(is_callable(c, k->arg[0])); }

/* An error at the line that called the function or module which checks. */
static Value bi_check(Check *c, Call *k)
{
    Value v = k->arg[0];
    const char *message = "a check failed";
    if (given(k, 1)) {
        if (k->arg[1].kind != V_STRING) return bad_arg(c, k, 1, "a string");
        message = k->arg[1].s;
    }
    if (v.kind == V_REL) {
        require_fact(c, v.rel->rel, v.rel->a, v.rel->b, NULL, k->span);
        return v_none();
    }
    if (v.kind != V_BOOL) return bad_arg(c, k, 0, "a compile-time bool or a comparison of dims");
    if (v.b) return v_none();
    Frame *f = c->frame;
    bool called = f && f->call.file;
    if (called) c->frame = f->up;
    Diag *d = problem(c, DL_check_failed, called ? f->call : k->span, "%s", message);
    if (called) note(c, d, k->span, "it is checked here");
    c->frame = f;
    return v_error();
}
