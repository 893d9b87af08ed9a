/* shape.c - the type rules: what an operator demands of its operands and attribute, and the type of its result.
 * One function a name of the `shape` column of ops.def. Operands, attribute and given type may come from hostile text;
 * only that operands are typed nodes is taken for granted.
 *
 * Where a rule compares dims, it refuses what is not provably equal, except in reshape, slice and the dynamic
 * operators: they refuse what is provably wrong, and whoever builds the node adds the requirement that is left.
 */
#include "ir/internal.h"

#include <string.h>

typedef Type *ShapeRule(ShapeCall *c);

enum { MAX_STEP = INT32_MAX };          /* of window sizes, strides, dilations: products with a dim stay in range */

static Type *fail(ShapeCall *c, const char *fmt, ...) PRINTF(2, 3);
static Type *fail(ShapeCall *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    c->error = arena_printf(c->m->arena, "%s: %s", op_name(c->op), arena_vprintf(c->m->arena, fmt, ap));
    va_end(ap);
    return NULL;
}

static Type *type_of(ShapeCall *c, uint32_t i) { return c->arg[i]->type; }
static const char *text_of(ShapeCall *c, Type *t) { return type_text(c->m->arena, t); }
static const char *dims_text(ShapeCall *c, Dim *d) { return dim_text(c->m->arena, d); }
static bool is_scalar(Type *t) { return t->kind == TYPE_TENSOR && t->rank == 0; }
static bool is_index(Type *t) { return t->kind == TYPE_TENSOR && dtype_is_int(t->dtype); }

/* Do two types agree in all axes but one? */
static bool same_dims_but(Type *a, Type *b, uint32_t axis)
{
    for (uint32_t i = 0; a->rank == b->rank && i < a->rank; i++)
        if (i != axis && a->dim[i] != b->dim[i]) return false;
    return a->rank == b->rank;
}

/* The result; dims that overflowed or are below 0 are the operand's fault. */
static Type *result(ShapeCall *c, DType t, uint32_t rank, Dim *const *dim)
{
    if (rank > MAX_RANK) return fail(c, "the result would have rank %u, over %d", rank, MAX_RANK);
    for (uint32_t i = 0; i < rank; i++) {
        if (!dim[i]) return fail(c, "dim %u of the result is too large", i);
        if (dim[i]->hi < 0) return fail(c, "dim %u of the result would be %s", i, dims_text(c, dim[i]));
    }
    return type_tensor(c->m, t, rank, dim);
}

static Type *given_tensor(ShapeCall *c)
{
    if (!c->given || c->given->kind != TYPE_TENSOR) return fail(c, "needs a tensor type");
    return c->given;
}

/* ---- sources ---- */

static Type *shape_given(ShapeCall *c)
{
    Type *t = given_tensor(c);
    if (!t || c->op == OP_arg) return t;
    if (c->op == OP_hole) return dtype_is_float(t->dtype) ? t : fail(c, "needs a float type, not %s", text_of(c, t));
    if (!dtype_is_number(t->dtype)) return fail(c, "needs a number type, not %s", text_of(c, t));
    if (c->attr->axis >= t->rank) return fail(c, "axis %u of %s", c->attr->axis, text_of(c, t));
    return t;
}

static Type *shape_lit(ShapeCall *c)
{
    Type *t = given_tensor(c);
    if (!t) return NULL;
    Dim *count = type_count(c->m, t);
    int64_t n;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dim[i], &n)) return fail(c, "the dims of a constant are numbers, not %s", text_of(c, t));
    if (!count || !dim_is_const(count, &n) || n > INT64_MAX / 8) return fail(c, "%s is too large", text_of(c, t));
    if (n && !c->attr->lit.data) return fail(c, "no data");
    return t;
}

static Type *shape_dim(ShapeCall *c)
{
    if (!c->attr->dim) return fail(c, "no dim");
    return type_scalar(c->m, DT_i64);
}

static Type *shape_rng(ShapeCall *c)
{
    Type *t = given_tensor(c);
    if (!t) return NULL;
    for (uint32_t i = 0; i < 2; i++)
        if (type_of(c, i) != type_scalar(c->m, DT_i64))
            return fail(c, "key and step are i64[], not %s", text_of(c, type_of(c, i)));
    if (t->dtype != DT_f32 && t->dtype != DT_f64 && t->dtype != DT_i32)
        return fail(c, "draws f32, f64 or i32, not %s", dtype_name(t->dtype));
    return t;
}

/* ---- one value a point ---- */

static Type *unary(ShapeCall *c, bool ok, const char *wanted)
{
    return ok ? type_of(c, 0) : fail(c, "needs %s, not %s", wanted, text_of(c, type_of(c, 0)));
}

static Type *shape_signed(ShapeCall *c)
{
    DType t = type_of(c, 0)->dtype;
    return unary(c, dtype_is_number(t) && t != DT_u8, "signed numbers");
}

static Type *shape_number(ShapeCall *c) { return unary(c, dtype_is_number(type_of(c, 0)->dtype), "numbers"); }
static Type *shape_float(ShapeCall *c) { return unary(c, dtype_is_float(type_of(c, 0)->dtype), "floats"); }
static Type *shape_bool(ShapeCall *c) { return unary(c, type_of(c, 0)->dtype == DT_bool, "bool"); }

static Type *shape_test(ShapeCall *c)
{
    return shape_float(c) ? type_with_dtype(c->m, type_of(c, 0), DT_bool) : NULL;
}

static Type *shape_cast(ShapeCall *c)
{
    if (c->attr->dtype <= DT_none || c->attr->dtype >= DT_COUNT) return fail(c, "to no dtype");
    return type_with_dtype(c->m, type_of(c, 0), c->attr->dtype);
}

static bool equal_types(ShapeCall *c, uint32_t i, uint32_t j)
{
    if (type_of(c, i) == type_of(c, j)) return true;
    fail(c, "operand types differ, %s and %s", text_of(c, type_of(c, i)), text_of(c, type_of(c, j)));
    return false;
}

static Type *shape_same(ShapeCall *c) { return equal_types(c, 0, 1) ? shape_number(c) : NULL; }
static Type *shape_same_float(ShapeCall *c) { return equal_types(c, 0, 1) ? shape_float(c) : NULL; }
static Type *shape_same_bool(ShapeCall *c) { return equal_types(c, 0, 1) ? shape_bool(c) : NULL; }

static Type *shape_compare(ShapeCall *c)
{
    if (!equal_types(c, 0, 1)) return NULL;
    bool any = c->op == OP_eq || c->op == OP_ne;
    return any || shape_number(c) ? type_with_dtype(c->m, type_of(c, 0), DT_bool) : NULL;
}

static Type *shape_select(ShapeCall *c)
{
    Type *condition = type_of(c, 0), *t = type_of(c, 1);
    if (!equal_types(c, 1, 2)) return NULL;
    if (condition != type_with_dtype(c->m, t, DT_bool))
        return fail(c, "the condition is %s beside values of %s", text_of(c, condition), text_of(c, t));
    return t;
}

/* ---- movement ---- */

static Type *shape_reshape(ShapeCall *c)
{
    Type *t = given_tensor(c), *x = type_of(c, 0);
    if (!t) return NULL;
    Dim *from = type_count(c->m, x), *to = type_count(c->m, t);
    if (t->dtype != x->dtype) return fail(c, "changes the dtype, %s to %s", text_of(c, x), text_of(c, t));
    if (!from || !to) return fail(c, "the number of elements is too large");
    if (from != to && dim_is_ne(c->m, from, to))
        return fail(c, "%s has %s elements, %s has %s", text_of(c, x), dims_text(c, from), text_of(c, t),
                    dims_text(c, to));
    return result(c, t->dtype, t->rank, t->dim);
}

static Type *shape_transpose(ShapeCall *c)
{
    Type *x = type_of(c, 0);
    Dim *dim[MAX_RANK];
    uint32_t seen = 0;
    for (uint32_t i = 0; i < x->rank; i++) {
        uint32_t p = c->attr->perm[i];
        if (p >= x->rank || seen >> p & 1) return fail(c, "not a permutation of the axes of %s", text_of(c, x));
        seen |= 1u << p;
        dim[i] = x->dim[p];
    }
    return type_tensor(c->m, x->dtype, x->rank, dim);
}

static Type *shape_broadcast(ShapeCall *c)
{
    Type *t = given_tensor(c), *x = type_of(c, 0);
    if (!t) return NULL;
    if (t->dtype != x->dtype || x->rank > t->rank) return fail(c, "%s to %s", text_of(c, x), text_of(c, t));
    for (uint32_t i = 0; i < x->rank; i++) {
        uint32_t p = c->attr->perm[i];
        if (p >= t->rank || (i && p <= c->attr->perm[i - 1])) return fail(c, "the axes of the result do not ascend");
        if (x->dim[i] != t->dim[p] && !dim_equals(x->dim[i], 1))
            return fail(c, "axis %u is %s and cannot become %s", i, dims_text(c, x->dim[i]), dims_text(c, t->dim[p]));
    }
    return result(c, t->dtype, t->rank, t->dim);
}

static Type *shape_slice(ShapeCall *c)
{
    Type *t = given_tensor(c), *x = type_of(c, 0);
    if (!t) return NULL;
    if (t->dtype != x->dtype || t->rank != x->rank) return fail(c, "%s of %s", text_of(c, t), text_of(c, x));
    if (x->rank && (!c->attr->slice.start || !c->attr->slice.step)) return fail(c, "no start or step");
    Dim *one = dim_const(c->m, 1);
    for (uint32_t i = 0; i < x->rank; i++) {
        Dim *start = c->attr->slice.start[i];
        if (!start || c->attr->slice.step[i] < 1) return fail(c, "axis %u: steps are at least 1", i);
        if (start->hi < 0) return fail(c, "axis %u starts at %s", i, dims_text(c, start));
        if (t->dim[i]->hi < 0) return fail(c, "axis %u has a length of %s", i, dims_text(c, t->dim[i]));
        Dim *last = dim_add(c->m, start, dim_scale(c->m, dim_sub(c->m, t->dim[i], one), c->attr->slice.step[i]));
        if (!last) return fail(c, "axis %u: the bounds overflow", i);
        if (t->dim[i]->lo > 0 && dim_is_le(c->m, x->dim[i], last))
            return fail(c, "axis %u: element %s of %s", i, dims_text(c, last), dims_text(c, x->dim[i]));
    }
    return t;
}

static Type *shape_pad(ShapeCall *c)
{
    Type *x = type_of(c, 0);
    Dim *dim[MAX_RANK];
    if (!is_scalar(type_of(c, 1)) || type_of(c, 1)->dtype != x->dtype)
        return fail(c, "the value is %s beside %s", text_of(c, type_of(c, 1)), text_of(c, x));
    if (x->rank && (!c->attr->pad.lo || !c->attr->pad.hi)) return fail(c, "no padding");
    for (uint32_t i = 0; i < x->rank; i++) {
        Dim *lo = c->attr->pad.lo[i], *hi = c->attr->pad.hi[i];
        if (!lo || !hi || lo->hi < 0 || hi->hi < 0) return fail(c, "axis %u: padding below 0", i);
        dim[i] = dim_add(c->m, x->dim[i], dim_add(c->m, lo, hi));
    }
    return result(c, x->dtype, x->rank, dim);
}

static Type *shape_concat(ShapeCall *c)
{
    if (!c->nargs) return fail(c, "of nothing");
    Type *x = type_of(c, 0);
    uint32_t axis = c->attr->axis;
    if (axis >= x->rank) return fail(c, "axis %u of %s", axis, text_of(c, x));
    Dim *dim[MAX_RANK];
    memcpy(dim, x->dim, x->rank * sizeof *dim);
    for (uint32_t i = 1; i < c->nargs; i++) {
        Type *y = type_of(c, i);
        if (y->dtype != x->dtype || !same_dims_but(x, y, axis))
            return fail(c, "%s and %s along axis %u", text_of(c, x), text_of(c, y), axis);
        dim[axis] = dim_add(c->m, dim[axis], y->dim[axis]);
    }
    return result(c, x->dtype, x->rank, dim);
}

static bool axes_fit(ShapeCall *c, uint32_t axes)
{
    Type *x = type_of(c, 0);
    if (!(axes >> x->rank)) return true;
    fail(c, "axes beyond those of %s", text_of(c, x));
    return false;
}

static Type *shape_first(ShapeCall *c)
{
    return axes_fit(c, c->attr->axes) ? type_of(c, 0) : NULL;
}

static Type *shape_gather(ShapeCall *c)
{
    Type *x = type_of(c, 0), *ids = type_of(c, 1);
    uint32_t axis = c->attr->axis, n = 0;
    if (!is_index(ids)) return fail(c, "indices are integers, not %s", text_of(c, ids));
    if (axis >= x->rank) return fail(c, "axis %u of %s", axis, text_of(c, x));
    Dim *dim[2 * MAX_RANK];
    for (uint32_t i = 0; i < axis; i++) dim[n++] = x->dim[i];
    for (uint32_t i = 0; i < ids->rank; i++) dim[n++] = ids->dim[i];
    for (uint32_t i = axis + 1; i < x->rank; i++) dim[n++] = x->dim[i];
    return result(c, x->dtype, n, dim);
}

static Type *shape_take_along(ShapeCall *c)
{
    Type *x = type_of(c, 0), *ids = type_of(c, 1);
    if (!is_index(ids)) return fail(c, "indices are integers, not %s", text_of(c, ids));
    if (c->attr->axis >= x->rank || !same_dims_but(x, ids, c->attr->axis))
        return fail(c, "%s by %s along axis %u", text_of(c, x), text_of(c, ids), c->attr->axis);
    return type_with_dtype(c->m, ids, x->dtype);
}

/* A part of x, `part`, that begins at a run-time index along an axis. */
static bool is_part(ShapeCall *c, Type *part, uint32_t start)
{
    Type *x = type_of(c, 0);
    uint32_t axis = c->attr->axis;
    if (!is_index(type_of(c, start)) || type_of(c, start)->rank) {
        fail(c, "the start is an integer scalar, not %s", text_of(c, type_of(c, start)));
    } else if (axis >= x->rank || part->dtype != x->dtype || !same_dims_but(x, part, axis)) {
        fail(c, "%s in %s along axis %u", text_of(c, part), text_of(c, x), axis);
    } else if (dim_is_lt(c->m, x->dim[axis], part->dim[axis])) {
        fail(c, "a length of %s in %s", dims_text(c, part->dim[axis]), dims_text(c, x->dim[axis]));
    } else if (part->dim[axis]->hi < 0) {
        fail(c, "a length of %s", dims_text(c, part->dim[axis]));
    } else {
        return true;
    }
    return false;
}

static Type *shape_dslice(ShapeCall *c)
{
    Type *t = given_tensor(c);
    return t && is_part(c, t, 1) ? t : NULL;
}

static Type *shape_dupdate(ShapeCall *c)
{
    return is_part(c, type_of(c, 1), 2) ? type_of(c, 0) : NULL;
}

/* ---- reductions ---- */

static bool kind_fits(ShapeCall *c, RedKind k)
{
    DType t = type_of(c, 0)->dtype;
    bool logical = k == RED_or || k == RED_and;
    if (k < RED_sum || k > RED_and) fail(c, "no kind");
    else if (logical ? t != DT_bool : !dtype_is_number(t)) fail(c, "%s of %s", red_name(k), text_of(c, type_of(c, 0)));
    else return true;
    return false;
}

static Type *without_axes(ShapeCall *c, DType t, uint32_t axes)
{
    Type *x = type_of(c, 0);
    Dim *dim[MAX_RANK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->rank; i++)
        if (!(axes >> i & 1)) dim[n++] = x->dim[i];
    return type_tensor(c->m, t, n, dim);
}

static Type *shape_reduce(ShapeCall *c)
{
    uint32_t axes = c->attr->reduce.axes;
    return kind_fits(c, c->attr->reduce.kind) && axes_fit(c, axes) ? without_axes(c, type_of(c, 0)->dtype, axes) : NULL;
}

static bool one_axis(ShapeCall *c)
{
    uint32_t axes = c->attr->reduce.axes;
    if (!axes_fit(c, axes)) return false;
    if (axes && !(axes & (axes - 1))) return true;
    fail(c, "goes along one axis");
    return false;
}

static Type *shape_argreduce(ShapeCall *c)
{
    RedKind k = c->attr->reduce.kind;
    if (!kind_fits(c, k) || !one_axis(c)) return NULL;
    if (k != RED_max && k != RED_min) return fail(c, "kind is max or min");
    return without_axes(c, DT_i32, c->attr->reduce.axes);
}

static Type *shape_cumulate(ShapeCall *c)
{
    RedKind k = c->attr->reduce.kind;
    return kind_fits(c, k) && one_axis(c) ? type_of(c, 0) : NULL;
}

/* (in + lo + hi - size) // stride + 1 */
static Dim *slide(ShapeCall *c, Dim *in, Dim *lo, Dim *hi, Dim *size, int64_t stride)
{
    Dim *room = dim_sub(c->m, dim_add(c->m, in, dim_add(c->m, lo, hi)), size);
    if (room && room->hi < 0) room = dim_const(c->m, -1), stride = 1;   /* no place for one window: 0 of them */
    return dim_add(c->m, dim_floordiv(c->m, room, dim_const(c->m, stride)), dim_const(c->m, 1));
}

static bool is_step(int64_t v) { return v >= 1 && v <= MAX_STEP; }

static Type *shape_window(ShapeCall *c)
{
    Type *x = type_of(c, 0);
    const Attr *a = c->attr;
    Dim *dim[MAX_RANK];
    if (!kind_fits(c, a->window.kind)) return NULL;
    if (x->rank && (!a->window.size || !a->window.stride || !a->window.lo || !a->window.hi))
        return fail(c, "no window");
    for (uint32_t i = 0; i < x->rank; i++) {
        if (!is_step(a->window.size[i]) || !is_step(a->window.stride[i]) || !a->window.lo[i] || !a->window.hi[i])
            return fail(c, "axis %u: sizes and strides are at least 1 and below 2^31", i);
        Dim *size = dim_const(c->m, a->window.size[i]), *lo = a->window.lo[i], *hi = a->window.hi[i];
        Dim *padded = dim_add(c->m, x->dim[i], dim_add(c->m, lo, hi));
        if (padded && dim_is_lt(c->m, padded, size))
            return fail(c, "axis %u: a window of %s in %s", i, dims_text(c, size), dims_text(c, padded));
        dim[i] = slide(c, x->dim[i], lo, hi, size, a->window.stride[i]);
    }
    return result(c, x->dtype, x->rank, dim);
}

/* ---- contractions ---- */

/* Pair up n axes; the bits of those used go to *lused, *rused. */
static bool pair_axes(ShapeCall *c, const char *what, uint32_t n, const uint8_t *l, const uint8_t *r, uint32_t *lused,
                      uint32_t *rused)
{
    Type *a = type_of(c, 0), *b = type_of(c, 1);
    for (uint32_t i = 0; i < n; i++) {
        if (l[i] >= a->rank || r[i] >= b->rank || *lused >> l[i] & 1 || *rused >> r[i] & 1) {
            fail(c, "%s axes do not fit %s and %s", what, text_of(c, a), text_of(c, b));
            return false;
        }
        if (a->dim[l[i]] != b->dim[r[i]]) {
            fail(c, "%s dims differ, %s and %s", what, dims_text(c, a->dim[l[i]]), dims_text(c, b->dim[r[i]]));
            return false;
        }
        *lused |= 1u << l[i];
        *rused |= 1u << r[i];
    }
    return true;
}

static Type *shape_dot(ShapeCall *c)
{
    Type *a = type_of(c, 0), *b = type_of(c, 1);
    const Attr *at = c->attr;
    uint32_t lused = 0, rused = 0, n = 0;
    if (a->dtype != b->dtype || !dtype_is_number(a->dtype)) return fail(c, "%s by %s", text_of(c, a), text_of(c, b));
    if (at->dot.nbatch > MAX_RANK || at->dot.ncontract > MAX_RANK) return fail(c, "too many axes");
    if (!pair_axes(c, "batch", at->dot.nbatch, at->dot.lbatch, at->dot.rbatch, &lused, &rused)) return NULL;
    if (!pair_axes(c, "contracted", at->dot.ncontract, at->dot.lcontract, at->dot.rcontract, &lused, &rused))
        return NULL;
    Dim *dim[3 * MAX_RANK];
    for (uint32_t i = 0; i < at->dot.nbatch; i++) dim[n++] = a->dim[at->dot.lbatch[i]];
    for (uint32_t i = 0; i < a->rank; i++)
        if (!(lused >> i & 1)) dim[n++] = a->dim[i];
    for (uint32_t i = 0; i < b->rank; i++)
        if (!(rused >> i & 1)) dim[n++] = b->dim[i];
    return result(c, a->dtype, n, dim);
}

static Type *shape_conv(ShapeCall *c)
{
    Type *x = type_of(c, 0), *w = type_of(c, 1);
    const Attr *a = c->attr;
    Module *m = c->m;
    if (x->dtype != w->dtype || !dtype_is_number(x->dtype) || x->rank != w->rank || x->rank < 3)
        return fail(c, "%s by %s", text_of(c, x), text_of(c, w));
    if (a->conv.groups < 1) return fail(c, "groups are at least 1");
    if (!a->conv.stride || !a->conv.dilation || !a->conv.spread || !a->conv.lo || !a->conv.hi)
        return fail(c, "no window");
    Dim *groups = dim_const(m, a->conv.groups), *one = dim_const(m, 1), *channels = dim_mul(m, w->dim[1], groups);
    if (channels != x->dim[1])
        return fail(c, "%s channels, and weights for %s", dims_text(c, x->dim[1]), dims_text(c, channels));
    if (!dim_equals(dim_mod(m, w->dim[0], groups), 0))
        return fail(c, "%s outputs in %s groups", dims_text(c, w->dim[0]), dims_text(c, groups));
    Dim *dim[MAX_RANK] = {x->dim[0], w->dim[0]};
    for (uint32_t i = 2; i < x->rank; i++) {
        int64_t stride = a->conv.stride[i - 2], dilation = a->conv.dilation[i - 2], spread = a->conv.spread[i - 2];
        Dim *lo = a->conv.lo[i - 2], *hi = a->conv.hi[i - 2];
        if (!is_step(stride) || !is_step(dilation) || !is_step(spread) || !lo || !hi)
            return fail(c, "axis %u: stride, dilation and spread are at least 1 and below 2^31", i);
        Dim *in = spread == 1 ? x->dim[i] : dim_add(m, dim_scale(m, dim_sub(m, x->dim[i], one), spread), one);
        Dim *size = dim_add(m, dim_scale(m, dim_sub(m, w->dim[i], one), dilation), one);
        Dim *padded = dim_add(m, in, dim_add(m, lo, hi));
        if (padded && size && dim_is_lt(m, padded, size))
            return fail(c, "axis %u: a window of %s in %s", i, dims_text(c, size), dims_text(c, padded));
        dim[i] = slide(c, in, lo, hi, size, stride);
    }
    return result(c, x->dtype, x->rank, dim);
}

/* ---- order ---- */

static Type *values_and_indices(ShapeCall *c, Type *values)
{
    return type_tuple(c->m, 2, (Type *[]){values, type_with_dtype(c->m, values, DT_i32)});
}

static Type *shape_sort(ShapeCall *c)
{
    Type *x = type_of(c, 0);
    if (c->attr->order.axis >= x->rank) return fail(c, "axis %u of %s", c->attr->order.axis, text_of(c, x));
    if (!dtype_is_number(x->dtype)) return fail(c, "of %s", text_of(c, x));
    return values_and_indices(c, x);
}

static Type *shape_top_k(ShapeCall *c)
{
    Type *x = type_of(c, 0), *t = c->given;
    uint32_t axis = c->attr->order.axis;
    if (!shape_sort(c)) return NULL;
    if (!t || t->kind != TYPE_TUPLE || t->rank != 2 || t->member[0]->kind != TYPE_TENSOR)
        return fail(c, "needs the type of its result");
    Type *v = t->member[0];
    if (t != values_and_indices(c, v) || v->dtype != x->dtype || !same_dims_but(x, v, axis))
        return fail(c, "%s of %s along axis %u", text_of(c, t), text_of(c, x), axis);
    if (v->dim[axis]->hi < 0 || dim_is_lt(c->m, x->dim[axis], v->dim[axis]))
        return fail(c, "%s of %s", dims_text(c, v->dim[axis]), dims_text(c, x->dim[axis]));
    return t;
}

static Type *shape_scatter(ShapeCall *c)
{
    Type *x = type_of(c, 0), *ids = type_of(c, 1), *v = type_of(c, 2);
    RedKind k = c->attr->reduce.kind;
    if (k != RED_none && k != RED_sum && k != RED_max) return fail(c, "kind is sum, max or none");
    if (k != RED_none && !kind_fits(c, k)) return NULL;
    if (!is_index(ids)) return fail(c, "indices are integers, not %s", text_of(c, ids));
    bool ok = x->rank && v->dtype == x->dtype && v->rank == ids->rank + x->rank - 1;
    for (uint32_t i = 0; ok && i < v->rank; i++)
        ok = v->dim[i] == (i < ids->rank ? ids->dim[i] : x->dim[i - ids->rank + 1]);
    return ok ? x : fail(c, "%s at %s into %s", text_of(c, v), text_of(c, ids), text_of(c, x));
}

/* ---- tuples and calls ---- */

static Type *shape_tuple(ShapeCall *c)
{
    Type **member = arena_array(c->m->arena, Type *, (size_t)c->nargs + 1);
    for (uint32_t i = 0; i < c->nargs; i++) {
        member[i] = type_of(c, i);
        if (member[i]->kind != TYPE_TENSOR) return fail(c, "tuples do not nest");
    }
    return type_tuple(c->m, c->nargs, member);
}

/* A gradient has the type of what it is by. */
static Type *shape_grad(ShapeCall *c)
{
    if (c->nargs < 2) return fail(c, "needs a loss and something to differentiate it by");
    if (!is_scalar(type_of(c, 0)) || !dtype_is_float(type_of(c, 0)->dtype)) return fail(c, "of %s: the loss is a float scalar", text_of(c, type_of(c, 0)));
    Type **member = arena_array(c->m->arena, Type *, c->nargs);
    for (uint32_t i = 1; i < c->nargs; i++) {
        member[i - 1] = type_of(c, i);
        if (member[i - 1]->kind != TYPE_TENSOR || !dtype_is_float(member[i - 1]->dtype)) return fail(c, "by %s: only floats have gradients", text_of(c, type_of(c, i)));
    }
    return type_tuple(c->m, c->nargs - 1, member);
}

/* y, the place of its gradient, and what gets which gradient. */
static Type *shape_custom(ShapeCall *c)
{
    if (c->nargs < 2 || c->nargs % 2) return fail(c, "takes y, a hole, and pairs of a value and its gradient");
    if (c->arg[1]->op != OP_hole) return fail(c, "operand 1 is no hole");
    if (type_of(c, 0) != type_of(c, 1)) return fail(c, "a hole of %s for %s", text_of(c, type_of(c, 1)), text_of(c, type_of(c, 0)));
    for (uint32_t i = 2; i < c->nargs; i += 2) {
        if (!dtype_is_float(type_of(c, i)->dtype)) return fail(c, "operand %u is %s: only floats have gradients", i, text_of(c, type_of(c, i)));
        if (type_of(c, i) != type_of(c, i + 1))
            return fail(c, "operand %u is the gradient of %s and has type %s", i + 1, text_of(c, type_of(c, i)), text_of(c, type_of(c, i + 1)));
    }
    return type_of(c, 0);
}

static Type *shape_get(ShapeCall *c)
{
    Type *t = type_of(c, 0);
    if (t->kind != TYPE_TUPLE || c->attr->axis >= t->rank)
        return fail(c, "member %u of %s", c->attr->axis, text_of(c, t));
    return t->member[c->attr->axis];
}

bool call_bind(Module *m, const Func *callee, uint32_t n, Node *const *arg, const Atom **from, Dim **to,
               const char **error)
{
    for (uint32_t i = 0; i < callee->dims.n; i++) {
        from[i] = dim_as_sym(callee->dims.at[i]);
        to[i] = NULL;
        for (uint32_t k = 0; k < n && !to[i]; k++) {
            Type *p = callee->args.at[k].node->type, *t = arg[k]->type;
            for (uint32_t j = 0; t->kind == TYPE_TENSOR && j < p->rank && j < t->rank && !to[i]; j++)
                if (p->dim[j] == callee->dims.at[i]) to[i] = t->dim[j];
        }
        if (!to[i]) {
            *error = arena_printf(m->arena, "nothing says what %s of %s is", from[i] ? from[i]->name : "a dim",
                                  callee->name);
            return false;
        }
        /* The callee's dims were made with the facts about its symbols. */
        bool low = from[i]->lo > 0 && to[i]->lo < from[i]->lo, high = to[i]->hi > from[i]->hi;
        if (low || high || !dim_equals(dim_mod(m, to[i], dim_const(m, from[i]->multiple)), 0)) {
            *error = arena_printf(m->arena, "%s of %s cannot be %s: its facts do not follow", from[i]->name,
                                  callee->name, dim_text(m->arena, to[i]));
            return false;
        }
    }
    return true;
}

static Type *type_subst(Module *m, Type *t, uint32_t n, const Atom **from, Dim **to)
{
    if (t->kind == TYPE_TENSOR) {
        Dim *dim[MAX_RANK];
        for (uint32_t i = 0; i < t->rank; i++) dim[i] = dim_subst(m, t->dim[i], n, from, to);
        return type_tensor(m, t->dtype, t->rank, dim);
    }
    Type **member = arena_array(m->arena, Type *, (size_t)t->rank + 1);
    for (uint32_t i = 0; i < t->rank; i++) member[i] = type_subst(m, t->member[i], n, from, to);
    return type_tuple(m, t->rank, member);
}

static Type *shape_call(ShapeCall *c)
{
    const Func *f = c->attr->callee;
    if (!f) return fail(c, "no function");
    if (f->args.n != c->nargs) return fail(c, "%s takes %u operands, not %u", f->name, f->args.n, c->nargs);
    uint32_t n = f->dims.n;
    const Atom **from = arena_array(c->m->arena, const Atom *, (size_t)n + 1);
    Dim **to = arena_array(c->m->arena, Dim *, (size_t)n + 1);
    const char *error;
    if (!call_bind(c->m, f, c->nargs, c->arg, from, to, &error)) return fail(c, "%s", error);
    for (uint32_t i = 0; i < c->nargs; i++) {
        Type *want = type_subst(c->m, f->args.at[i].node->type, n, from, to);
        if (want != type_of(c, i)) return fail(c, "operand %u of %s is %s", i, f->name, text_of(c, type_of(c, i)));
    }
    Type **member = arena_array(c->m->arena, Type *, (size_t)f->results.n + 1);
    for (uint32_t i = 0; i < f->results.n; i++)
        if (!(member[i] = type_subst(c->m, f->results.at[i].node->type, n, from, to)))
            return fail(c, "a dim of the result is too large");
    return f->results.n == 1 ? member[0] : type_tuple(c->m, f->results.n, member);
}

static Type *shape_loop(ShapeCall *c)
{
    const Func *f = c->attr->loop.body;
    Dim *length = c->attr->loop.length;
    uint32_t sequences = c->attr->loop.sequences, carries = c->attr->loop.carries;
    if (!f || !f->args.n || f->args.n - 1 != c->nargs) return fail(c, "the body takes the iteration's number and %u values, not %u", c->nargs, f ? f->args.n : 0);
    if (sequences > c->nargs || carries > c->nargs - sequences) return fail(c, "%u sequences and %u carries of %u operands", sequences, carries, c->nargs);
    if (f->results.n < carries) return fail(c, "%u carries of %u results", carries, f->results.n);
    if (!length && (sequences || f->results.n > carries)) return fail(c, "without a length there is nothing to slice or to stack");
    if (!length && !c->attr->loop.condition) return fail(c, "needs a length or a condition");
    if (length && length->hi < 0) return fail(c, "the length is %s", dims_text(c, length));
    if (f->args.at[0].node->type != type_scalar(c->m, DT_i64)) return fail(c, "the iteration's number is an i64[]");
    if (c->attr->loop.condition && (!carries || type_of(c, sequences) != type_scalar(c->m, DT_bool))) return fail(c, "the condition, its first carry, is a bool[]");
    for (uint32_t i = 0; i < c->nargs; i++) {
        Type *t = type_of(c, i), *in = f->args.at[i + 1].node->type;
        if (t->kind != TYPE_TENSOR) return fail(c, "operand %u is a tuple, %s", i, text_of(c, t));
        if (i < sequences) {
            if (!t->rank || t->dim[0] != length) return fail(c, "sequence %u is %s, of %s iterations", i, text_of(c, t), dims_text(c, length));
            t = type_tensor(c->m, t->dtype, t->rank - 1, t->dim + 1);
        }
        if (t != in) return fail(c, "operand %u is %s in each iteration; the body takes %s", i, text_of(c, t), text_of(c, in));
    }
    uint32_t yields = f->results.n - carries;
    Type **member = arena_array(c->m->arena, Type *, (size_t)f->results.n + 1);
    for (uint32_t i = 0; i < f->results.n; i++) {
        Type *t = f->results.at[i].node->type;
        Dim *dim[MAX_RANK + 1];
        if (t->kind != TYPE_TENSOR) return fail(c, "the body gives a tuple");
        member[i] = t;
        if (i >= yields) {
            Type *before = type_of(c, sequences + i - yields);
            if (t != before) return fail(c, "carry %u is %s before and %s after an iteration", i - yields, text_of(c, before), text_of(c, t));
            continue;
        }
        dim[0] = length;
        for (uint32_t k = 0; k < t->rank; k++) dim[k + 1] = t->dim[k];
        if (!(member[i] = result(c, t->dtype, t->rank + 1, dim))) return NULL;
    }
    return type_tuple(c->m, f->results.n, member);
}

/* ---- the table ---- */

static ShapeRule *const shape_rule[OP_COUNT] = {
#define OP(name, args, attr, shape, eval, grad, class) [OP_##name] = shape_##shape,
#include "ir/ops.def"
#undef OP
};

Type *shape_infer(ShapeCall *c)
{
    if (op_args(c->op) >= 0 && (uint32_t)op_args(c->op) != c->nargs)
        return fail(c, "takes %d operands, not %u", op_args(c->op), c->nargs);
    for (uint32_t i = 0; i < c->nargs; i++) {
        if (!c->arg[i]) return fail(c, "operand %u is missing", i);
        if (op_class(c->op) != CLASS_TUP && type_of(c, i)->kind != TYPE_TENSOR)
            return fail(c, "operand %u is a tuple, %s", i, text_of(c, type_of(c, i)));
    }
    return shape_rule[c->op](c);
}
