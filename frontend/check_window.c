/* check_window.c - builtins that slide: convolution, transposed convolution, pooling; and resize.
 * Space axes are those after batch and channels.
 */
#include <string.h>

#include "frontend/check.h"

typedef struct Window {                 /* an entry a space axis */
    uint32_t n;
    int64_t  stride[MAX_RANK], dilation[MAX_RANK];
    Dim     *lo[MAX_RANK], *hi[MAX_RANK];
    bool     same;                      /* padding = "same" */
} Window;

/* An int for all space axes, or a tuple of one for each. */
static bool read_sizes(Check *c, Call *k, uint32_t i, uint32_t n, int64_t least, int64_t *out)
{
    Value v = k->arg[i];
    if (!is_list(v) || v.list->n == n) {
        uint32_t j = 0;
        for (; j < n; j++) {
            Value x = is_list(v) ? v.list->at[j] : v;
            if (x.kind != V_INT) break;
            if (x.i < least) {
                fail(c, DL_window, k->at[i], "`%s`: `%s` is at least %lld, not %s", k->builtin->name, arg_name(c, k, i), (long long)least, value_text(c, x));
                return false;
            }
            out[j] = x.i;
        }
        if (j == n) return true;
    }
    bad_arg(c, k, i, arena_printf(c->a, "an int or a tuple of %u ints", n));
    return false;
}

/* An int, a tuple of ints, a list of (before, after), or "same". */
static bool read_padding(Check *c, Call *k, uint32_t i, Window *w)
{
    Value v = k->arg[i];
    if (v.kind == V_STRING) {
        w->same = !strcmp(v.s, "same");
        if (!w->same) fail(c, DL_unknown_option, k->at[i], "`%s`: `padding` is an int, a tuple, a list of pairs (before, after) or \"same\", not %s", k->builtin->name, value_text(c, v));
        return w->same;
    }
    if (!given(k, i)) v = v_int(0);
    bool ok = !is_list(v) || v.list->n == w->n;
    for (uint32_t j = 0; j < w->n && ok; j++) {
        Value x = is_list(v) ? v.list->at[j] : v, lo = x, hi = x;
        if (is_list(x) && x.list->n == 2) lo = x.list->at[0], hi = x.list->at[1];
        ok = lo.kind == V_INT && hi.kind == V_INT;
        if (!ok) break;
        if (lo.i < 0 || hi.i < 0) {
            fail(c, DL_window, k->at[i], "`%s`: padding cannot be negative", k->builtin->name);
            return false;
        }
        w->lo[j] = value_dim(c, lo);
        w->hi[j] = value_dim(c, hi);
    }
    if (!ok) bad_arg(c, k, i, arena_printf(c->a, "an int, a tuple of %u, a list of pairs (before, after), or \"same\"", w->n));
    return ok;
}

static bool too_complicated(Check *c, Call *k)
{
    fail(c, DL_overflow, k->span, "`%s`: a dim becomes too large or too complicated", k->builtin->name);
    return false;
}

/* Padding so that there are ceil(in / stride) outputs, the odd one after. size: the window's reach. */
static bool same_padding(Check *c, Call *k, Window *w, Type *x, Dim *const *size)
{
    for (uint32_t i = 0; i < w->n && w->same; i++) {
        Dim *in = x->dim[2 + i], *one = dim_const(c->m, 1), *stride = dim_const(c->m, w->stride[i]);
        Dim *out = dim_ceildiv(c->m, in, stride);
        Dim *last = out ? dim_mul(c->m, dim_sub(c->m, out, one), stride) : NULL;
        Dim *total = last ? dim_sub(c->m, dim_add(c->m, last, size[i]), in) : NULL;
        total = total ? dim_max(c->m, total, dim_const(c->m, 0)) : NULL;
        w->lo[i] = total ? dim_floordiv(c->m, total, dim_const(c->m, 2)) : NULL;
        w->hi[i] = w->lo[i] ? dim_sub(c->m, total, w->lo[i]) : NULL;
        if (!w->hi[i]) return too_complicated(c, k);
    }
    return true;
}

static bool fits(Check *c, Call *k, const Window *w, Type *x, Dim *const *size)
{
    for (uint32_t i = 0; i < w->n; i++) {
        Dim *padded = dim_add(c->m, x->dim[2 + i], dim_add(c->m, w->lo[i], w->hi[i]));
        if (!padded || !size[i]) return too_complicated(c, k);
        if (!dim_is_lt(c->m, padded, size[i])) continue;
        fail(c, DL_window, k->span, "`%s`: a window of %s does not fit axis %u of %s, %s with its padding", k->builtin->name, dim_text(c->a, size[i]), 2 + i,
             type_text(c->a, x), dim_text(c->a, padded));
        return false;
    }
    return true;
}

static bool space_rank(Check *c, Call *k, Node *x, uint32_t *n)
{
    if (x->type->rank >= 3) {
        *n = x->type->rank - 2;
        return true;
    }
    Diag *d = problem(c, DL_rank, k->at[0], "`%s` works on [batch, channels, space...], not on %s", k->builtin->name, type_text(c->a, x->type));
    if (x->span.file) note(c, d, x->span, "%s comes from here", type_text(c->a, x->type));
    return false;
}

/* ---- convolution -------------------------------------------------------------------------------------------- */

static void note_shapes(Check *c, Diag *d, Node *x, Node *w)
{
    if (x->span.file) note(c, d, x->span, "the input %s comes from here", type_text(c->a, x->type));
    if (w->span.file) note(c, d, w->span, "the weight %s comes from here", type_text(c->a, w->type));
}

/* x and w with equal ranks and dtypes; their channels made to agree: w's axis `wc` times `groups`. */
static bool conv_operands(Check *c, Call *k, Node **x, Node **w, uint32_t wc, int64_t groups, Window *win)
{
    *x = arg_tensor(c, k, 0);
    *w = *x ? arg_tensor(c, k, 1) : NULL;
    if (!*w || !space_rank(c, k, *x, &win->n)) return false;
    Type *tx = (*x)->type, *tw = (*w)->type;
    if (tx->rank != tw->rank || tx->dtype != tw->dtype || !dtype_is_number(tx->dtype)) {
        Diag *d = problem(c, tx->rank == tw->rank ? DL_dtype_mismatch : DL_rank, k->span, "`%s`: the input %s and the weight %s do not fit", k->builtin->name,
                          type_text(c->a, tx), type_text(c->a, tw));
        note_shapes(c, d, *x, *w);
        return false;
    }
    Dim *channels = dim_mul(c->m, tw->dim[wc], dim_const(c->m, groups));
    if (!channels) return too_complicated(c, k);
    Same same = same_dim(c, tx->dim[1], channels, k->span);
    if (same == SAME_no) {
        Diag *d = problem(c, DL_window, k->span, "`%s`: the input %s has %s channels, the weight %s is for %s", k->builtin->name, type_text(c->a, tx),
                          dim_text(c->a, tx->dim[1]), type_text(c->a, tw), dim_text(c->a, channels));
        note_shapes(c, d, *x, *w);
        return false;
    }
    if (same == SAME_required) {
        Dim *dim[MAX_RANK];
        memcpy(dim, tx->dim, tx->rank * sizeof *dim);
        dim[1] = channels;
        *x = retype(c, *x, type_tensor(c->m, tx->dtype, tx->rank, dim), k->span);
    }
    return *x != NULL;
}

static bool defaults(int64_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) v[i] = 1;
    return true;
}

/* The reach of the weight along each space axis: dilation * (size - 1) + 1. */
static bool reach(Check *c, Call *k, const Window *win, Type *w, Dim **size)
{
    Dim *one = dim_const(c->m, 1);
    for (uint32_t i = 0; i < win->n; i++) {
        Dim *d = dim_mul(c->m, dim_sub(c->m, w->dim[2 + i], one), dim_const(c->m, win->dilation[i]));
        size[i] = d ? dim_add(c->m, d, one) : NULL;
        if (!size[i]) return too_complicated(c, k);
    }
    return true;
}

Value bi_conv(Check *c, Call *k)
{
    Node *x, *w;
    Window win = {0};
    int64_t groups = 1, spread[MAX_RANK];
    Dim *size[MAX_RANK];
    if (!arg_int(c, k, 5, &groups)) return v_error();
    if (groups < 1) return fail(c, DL_window, k->at[5], "`conv`: `groups` is at least 1, not %lld", (long long)groups);
    if (!conv_operands(c, k, &x, &w, 1, groups, &win)) return v_error();
    defaults(spread, win.n);
    if (!(given(k, 2) ? read_sizes(c, k, 2, win.n, 1, win.stride) : defaults(win.stride, win.n))) return v_error();
    if (!(given(k, 4) ? read_sizes(c, k, 4, win.n, 1, win.dilation) : defaults(win.dilation, win.n))) return v_error();
    if (!read_padding(c, k, 3, &win) || !reach(c, k, &win, w->type, size)) return v_error();
    if (!same_padding(c, k, &win, x->type, size) || !fits(c, k, &win, x->type, size)) return v_error();
    if (!dim_equals(dim_mod(c->m, w->type->dim[0], dim_const(c->m, groups)), 0))
        return fail(c, DL_window, k->span, "`conv`: %s outputs cannot be divided into %lld groups", dim_text(c->a, w->type->dim[0]), (long long)groups);
    Attr attr = {.conv = {.groups = groups, .stride = win.stride, .dilation = win.dilation, .spread = spread, .lo = win.lo, .hi = win.hi}};
    return tensor_value(c, node(c, OP_conv, 2, (Node *[]){x, w}, &attr, NULL, k->span));
}

/* The convolution whose forward is conv's backward: zeros between the inputs, the weight turned around. */
Value bi_conv_transpose(Check *c, Call *k)
{
    Node *x, *w;
    Window win = {0};
    int64_t spread[MAX_RANK], stride[MAX_RANK], extra[MAX_RANK] = {0};
    if (!conv_operands(c, k, &x, &w, 0, 1, &win)) return v_error();
    uint32_t n = win.n;
    defaults(win.dilation, n);
    defaults(stride, n);
    if (!(given(k, 2) ? read_sizes(c, k, 2, n, 1, spread) : defaults(spread, n))) return v_error();
    if (given(k, 4) && !read_sizes(c, k, 4, n, 0, extra)) return v_error();
    if (!read_padding(c, k, 3, &win)) return v_error();
    if (win.same && given(k, 4)) return fail(c, DL_window, k->at[4], "`conv_transpose`: \"same\" decides the outputs; leave `extra` out");
    Dim *one = dim_const(c->m, 1), *zero = dim_const(c->m, 0);
    for (uint32_t i = 0; i < n; i++) {
        Dim *size = w->type->dim[2 + i], *last = dim_sub(c->m, size, one), *more = dim_const(c->m, extra[i]);
        if (win.same) {                 /* in * stride outputs */
            Dim *total = dim_sub(c->m, size, dim_const(c->m, spread[i]));
            Dim *cut = dim_max(c->m, total, zero);
            more = dim_sub(c->m, cut, total);
            win.lo[i] = dim_floordiv(c->m, cut, dim_const(c->m, 2));
            win.hi[i] = dim_sub(c->m, cut, win.lo[i]);
        }
        win.lo[i] = dim_sub(c->m, last, win.lo[i]);
        win.hi[i] = dim_add(c->m, dim_sub(c->m, last, win.hi[i]), more);
        if (!win.lo[i] || !win.hi[i]) return too_complicated(c, k), v_error();
    }
    Attr perm = {0}, turn = {0};
    for (uint32_t i = 0; i < n + 2; i++) perm.perm[i] = (uint8_t)i;
    perm.perm[0] = 1;
    perm.perm[1] = 0;
    for (uint32_t i = 0; i < n; i++) turn.axes |= 1u << (2 + i);
    w = node(c, OP_transpose, 1, &w, &perm, NULL, k->span);
    w = w ? node(c, OP_reverse, 1, &w, &turn, NULL, k->span) : NULL;
    Attr attr = {.conv = {.groups = 1, .stride = stride, .dilation = win.dilation, .spread = spread, .lo = win.lo, .hi = win.hi}};
    return tensor_value(c, w ? node(c, OP_conv, 2, (Node *[]){x, w}, &attr, NULL, k->span) : NULL);
}

/* ---- pooling -------------------------------------------------------------------------------------------------- */

/* More padding after, so that the last window is the one that ceil((in + pads - size) / stride) + 1 counts; but
 * a window that would start in the padding after is left out. */
static bool ceil_padding(Check *c, Call *k, Window *w, Type *x, const int64_t *size)
{
    Module *m = c->m;
    for (uint32_t i = 0; i < w->n; i++) {
        Dim *in = x->dim[2 + i], *one = dim_const(m, 1), *stride = dim_const(m, w->stride[i]), *s = dim_const(m, size[i]);
        Dim *padded = dim_add(m, in, dim_add(m, w->lo[i], w->hi[i]));
        Dim *out = padded ? dim_ceildiv(m, dim_sub(m, padded, s), stride) : NULL;
        out = out ? dim_add(m, out, one) : NULL;
        Dim *starts = out ? dim_ceildiv(m, dim_add(m, in, w->lo[i]), stride) : NULL;
        int64_t hi = 0;
        (void)dim_is_const(w->hi[i], &hi);
        if (starts && w->stride[i] > size[i] - hi) out = dim_min(m, out, starts);
        Dim *end = out ? dim_add(m, dim_mul(m, dim_sub(m, out, one), stride), s) : NULL;
        Dim *after = end ? dim_sub(m, dim_sub(m, end, in), w->lo[i]) : NULL;
        w->hi[i] = after ? dim_max(m, after, dim_const(m, 0)) : NULL;
        if (!w->hi[i]) return too_complicated(c, k);
    }
    return true;
}

static bool read_pool(Check *c, Call *k, Node *x, Window *w, int64_t *size, bool ceil)
{
    Dim *dims[MAX_RANK];
    if (!space_rank(c, k, x, &w->n) || !read_sizes(c, k, 1, w->n, 1, size)) return false;
    memcpy(w->stride, size, w->n * sizeof *size);
    if (given(k, 2) && k->arg[2].kind != V_NONE && !read_sizes(c, k, 2, w->n, 1, w->stride)) return false;
    if (!read_padding(c, k, 3, w)) return false;
    for (uint32_t i = 0; i < w->n; i++) {
        dims[i] = dim_const(c->m, size[i]);
        int64_t lo, hi;
        if (!w->same && dim_is_const(w->lo[i], &lo) && dim_is_const(w->hi[i], &hi) && (lo >= size[i] || hi >= size[i])) {
            fail(c, DL_window, k->at[3], "`%s`: a padding of %lld makes windows of %lld that see pads only", k->builtin->name, (long long)(lo > hi ? lo : hi), (long long)size[i]);
            return false;
        }
    }
    if (!same_padding(c, k, w, x->type, dims) || !fits(c, k, w, x->type, dims)) return false;
    return !ceil || w->same || ceil_padding(c, k, w, x->type, size);
}

static Node *window_node(Check *c, Call *k, RedKind kind, Node *x, const Window *w, const int64_t *size)
{
    int64_t sizes[MAX_RANK] = {1, 1}, strides[MAX_RANK] = {1, 1};
    Dim *lo[MAX_RANK], *hi[MAX_RANK];
    lo[0] = lo[1] = hi[0] = hi[1] = dim_const(c->m, 0);
    for (uint32_t i = 0; i < w->n; i++) {
        sizes[2 + i] = size[i];
        strides[2 + i] = w->stride[i];
        lo[2 + i] = w->lo[i];
        hi[2 + i] = w->hi[i];
    }
    Attr attr = {.window = {.kind = kind, .size = sizes, .stride = strides, .lo = lo, .hi = hi}};
    return node(c, OP_window, 1, &x, &attr, NULL, k->span);
}

Value bi_max_pool(Check *c, Call *k)
{
    Window w = {0};
    int64_t size[MAX_RANK];
    bool ceil = false;
    Node *x = arg_tensor(c, k, 0);
    if (!x || !arg_bool(c, k, 4, &ceil)) return v_error();
    if (x->type->dtype == DT_bool) return bad_arg(c, k, 0, "a tensor of numbers");
    if (!read_pool(c, k, x, &w, size, ceil)) return v_error();
    return tensor_value(c, window_node(c, k, RED_max, x, &w, size));
}

Value bi_avg_pool(Check *c, Call *k)
{
    Window w = {0};
    int64_t size[MAX_RANK];
    double count = 1;
    bool padded = false;
    Node *x = arg_tensor(c, k, 0), *n;
    if (!x) return v_error();
    if (!dtype_is_float(x->type->dtype)) return bad_arg(c, k, 0, "a tensor of floats");
    if (!read_pool(c, k, x, &w, size, false)) return v_error();
    for (uint32_t i = 0; i < w.n; i++) {
        padded |= !dim_equals(w.lo[i], 0) || !dim_equals(w.hi[i], 0);
        count *= (double)size[i];
    }
    Node *sum = window_node(c, k, RED_sum, x, &w, size);
    if (!sum) return v_error();
    if (!padded) {
        n = splat(c, scalar_const(c, x->type->dtype, count, k->span), sum->type, k->span);
    } else {                            /* pads do not count: how many elements each window sees */
        Dim *dim[MAX_RANK];
        for (uint32_t i = 0; i < x->type->rank; i++) dim[i] = i < 2 ? dim_const(c->m, 1) : x->type->dim[i];
        Node *ones = splat(c, scalar_const(c, x->type->dtype, 1, k->span), type_tensor(c->m, x->type->dtype, x->type->rank, dim), k->span);
        n = ones ? window_node(c, k, RED_sum, ones, &w, size) : NULL;
        n = n ? broadcast_to(c, n, sum->type->rank, sum->type->dim, k->span) : NULL;
    }
    return tensor_value(c, n ? node2(c, OP_div, sum, n, k->span) : NULL);
}
