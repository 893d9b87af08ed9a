/* check_index.c - x[i, a:b:c, ..., none]: items of lists, parts of tensors. What is known now becomes one slice;
 * a run-time scalar a dynamic slice; an integer tensor a gather; dropped and new axes one reshape at the end.
 */
#include <inttypes.h>
#include <string.h>

#include "frontend/check.h"

Node *slice_axis(Check *c, Node *x, uint32_t axis, Dim *from, Dim *length, int64_t by, Span at)
{
    Dim *start[MAX_RANK], *dim[MAX_RANK];
    int64_t step_of[MAX_RANK];
    Type *t;
    for (uint32_t i = 0; i < x->type->rank; i++) {
        start[i] = i == axis ? from : dim_const(c->m, 0);
        step_of[i] = i == axis ? by : 1;
        dim[i] = i == axis ? length : x->type->dim[i];
    }
    if (!make_type(c, x->type->dtype, x->type->rank, dim, at, &t)) return NULL;
    if (t == x->type && by == 1) return x;
    Attr attr = {.slice = {start, step_of}};
    return node(c, OP_slice, 1, &x, &attr, t, at);
}

Node *drop_axis(Check *c, Node *x, uint32_t axis, Span at)
{
    Dim *dim[MAX_RANK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->type->rank; i++)
        if (i != axis) dim[n++] = x->type->dim[i];
    return reshape_to(c, x, n, dim, at);
}

/* ---- lists ------------------------------------------------------------------------------------------------ */

static bool list_bound(Check *c, const Expr *e, uint32_t n, int64_t missing, int64_t *out)
{
    *out = missing;
    if (!e) return true;
    Value v = eval(c, e);
    if (v.kind != V_INT) {
        if (!is_poison(v)) fail(c, DL_bad_index, e->span, "a list is indexed with compile-time ints, not with %s", kind_text(c, v));
        return false;
    }
    *out = v.i < 0 ? v.i + n : v.i;
    if (*out >= 0 && *out <= (int64_t)n) return true;
    fail(c, DL_bad_slice, e->span, "the bound %" PRId64 " lies beyond a list of %u", v.i, n);
    return false;
}

static Value index_list(Check *c, Value x, const Expr *e)
{
    const Index *ix = &e->index.at[0];
    uint32_t n = x.list->n;
    if (e->index.n != 1 || ix->kind == INDEX_ellipsis) return fail(c, DL_bad_index, e->span, "a list takes one index");
    if (ix->kind == INDEX_one) {
        Value v = eval(c, ix->one);
        if (is_poison(v)) return v;
        if (v.kind != V_INT) return fail(c, DL_bad_index, ix->span, "a list is indexed with compile-time ints, not with %s", kind_text(c, v));
        int64_t i = v.i < 0 ? v.i + n : v.i;
        if (i < 0 || i >= (int64_t)n) return fail(c, DL_bad_index, ix->span, "there is no item %" PRId64 " in a list of %u", v.i, n);
        return x.list->at[i];
    }
    int64_t from, to, by = 1;
    if (!list_bound(c, ix->from, n, 0, &from) || !list_bound(c, ix->to, n, n, &to)) return v_error();
    if (ix->step) {
        Value v = eval(c, ix->step);
        if (v.kind != V_INT || v.i < 1) return is_poison(v) ? v : fail(c, DL_bad_slice, ix->step->span, "the step of a slice is an int from 1 up");
        by = v.i;
    }
    int64_t count = to > from ? (to - from - 1) / by + 1 : 0;
    List *l = list_new(c, (uint32_t)count, e->span);
    if (!l) return v_error();
    for (uint32_t i = 0; i < l->n; i++) l->at[i] = x.list->at[from + (int64_t)i * by];
    return x.kind == V_TUPLE ? v_tuple(l) : v_list(l);
}

/* ---- tensors ------------------------------------------------------------------------------------------------ */

typedef enum PartKind { PART_keep, PART_range, PART_drop, PART_dynamic, PART_take, PART_new } PartKind;
typedef struct Part { PartKind kind; Dim *from, *length; int64_t step; Node *node; Span at; } Part;

/* A bound of a slice as a dim; negative constants count from the end. */
static bool bound(Check *c, const Expr *e, Dim *n, Dim *missing, Dim **out)
{
    *out = missing;
    if (!e) return true;
    Value v = eval(c, e);
    if (is_poison(v)) return false;
    if (!is_whole(v)) {
        Diag *d = problem(c, DL_bad_slice, e->span, "a bound of a slice is an int, not %s", kind_text(c, v));
        if (is_tensor(v) || v.kind == V_WEAK) note(c, d, (Span){0}, "`slice(x, axis, start, length)` starts where only the run knows");
        return false;
    }
    *out = v.kind == V_INT && v.i < 0 ? dim_add(c->m, n, value_dim(c, v)) : value_dim(c, v);
    if (*out) return true;
    fail(c, DL_overflow, e->span, "this bound is too large");
    return false;
}

static void note_axis(Check *c, Diag *d, const Node *x)
{
    if (x->span.file) note(c, d, x->span, "%s comes from here", type_text(c->a, x->type));
}

static bool read_range(Check *c, const Index *ix, Node *x, uint32_t axis, Part *p)
{
    Dim *n = x->type->dim[axis], *zero = dim_const(c->m, 0), *from, *to, *length;
    p->kind = PART_range;
    p->step = 1;
    if (!bound(c, ix->from, n, zero, &from) || !bound(c, ix->to, n, n, &to)) return false;
    if (ix->step) {
        Value v = eval(c, ix->step);
        if (v.kind != V_INT || v.i < 1) {
            if (is_poison(v)) return false;
            Diag *d = problem(c, DL_bad_slice, ix->step->span, "the step of a slice is an int from 1 up, not %s", kind_text(c, v));
            if (v.kind == V_INT && v.i < 0) note(c, d, (Span){0}, "`flip(x, axis)` goes backwards");
            return false;
        }
        p->step = v.i;
    }
    if (!require(c, REL_LE, zero, from, ix->span) || !require(c, REL_LE, to, n, ix->span) || !require(c, REL_LE, zero, to, ix->span)) {
        Diag *d = problem(c, DL_bad_slice, ix->span, "the slice %s lies beyond axis %u of %s, which has %s elements", text_of(c, ix->span), axis,
                          type_text(c->a, x->type), dim_text(c->a, n));
        note_axis(c, d, x);
        return false;
    }
    if (!require(c, REL_LE, from, to, ix->span)) {
        fail(c, DL_bad_slice, ix->span, "the slice %s ends before it starts: from %s to %s", text_of(c, ix->span), dim_text(c->a, from), dim_text(c->a, to));
        return false;
    }
    length = dim_sub(c->m, to, from);
    if (length && p->step > 1) length = dim_ceildiv(c->m, length, dim_const(c->m, p->step));
    if (!length) {
        fail(c, DL_overflow, ix->span, "this dim becomes too complicated");
        return false;
    }
    p->from = from;
    p->length = length;
    if (from == zero && to == n && p->step == 1) p->kind = PART_keep;
    return true;
}

/* An int, a run-time scalar or a tensor of indices. */
static bool read_one(Check *c, Value v, Node *x, uint32_t axis, Part *p)
{
    Dim *n = x->type->dim[axis];
    if (is_list(v)) v = cast_value(c, v, DT_i32, p->at);
    if (is_poison(v)) return false;
    if (is_whole(v)) {
        p->kind = PART_drop;
        p->from = v.kind == V_INT && v.i < 0 ? dim_add(c->m, n, value_dim(c, v)) : value_dim(c, v);
        p->length = dim_const(c->m, 1);
        p->step = 1;
        if (p->from && require(c, REL_LE, dim_const(c->m, 0), p->from, p->at) && require(c, REL_LT, p->from, n, p->at)) return true;
        Diag *d = problem(c, DL_bad_index, p->at, "there is no element %s in axis %u of %s", value_text(c, v), axis, type_text(c->a, x->type));
        note_axis(c, d, x);
        return false;
    }
    Node *ids = v.kind == V_WEAK ? number_as(c, v, DT_i32, p->at) : is_tensor(v) ? as_node(c, v) : NULL;
    if (!ids && v.kind == V_WEAK) return false;
    if (!ids || !dtype_is_int(ids->type->dtype)) {
        Diag *d = problem(c, DL_bad_index, p->at, "an index is an int, a slice, `...`, `none` or a tensor of integers, not %s", kind_text(c, v));
        if (ids && ids->type->dtype == DT_bool) note(c, d, (Span){0}, "no shape depends on data: use `where` with the mask");
        return false;
    }
    p->kind = ids->type->rank ? PART_take : PART_dynamic;
    p->node = ids;
    return true;
}

/* One part for each axis of x, and one for each new axis. */
static bool read_parts(Check *c, const Expr *e, Node *x, Part *part, uint32_t *nparts)
{
    uint32_t rank = x->type->rank, uses = 0, axis = 0, n = 0, ellipses = 0, takes = 0;
    Value *one = arena_array(c->a, Value, e->index.n + 1);
    for (uint32_t i = 0; i < e->index.n; i++) {
        const Index *ix = &e->index.at[i];
        if (ix->kind == INDEX_one) one[i] = eval(c, ix->one);
        if (is_poison(one[i])) return false;
        ellipses += ix->kind == INDEX_ellipsis;
        uses += ix->kind == INDEX_range || (ix->kind == INDEX_one && one[i].kind != V_NONE);
    }
    if (uses > rank || ellipses > 1) {
        Diag *d = problem(c, DL_bad_index, e->span, ellipses > 1 ? "`...` stands once in an index" : "%u indices for %s", uses, type_text(c->a, x->type));
        note_axis(c, d, x);
        return false;
    }
    for (uint32_t i = 0; i <= e->index.n; i++) {
        const Index *ix = i < e->index.n ? &e->index.at[i] : NULL;
        if (n >= 2 * MAX_RANK) break;
        if (!ix || ix->kind == INDEX_ellipsis) {        /* the axes that are not named: here, or at the end */
            uint32_t rest = ix ? rank - uses : ellipses ? 0 : rank - uses;
            for (uint32_t k = 0; k < rest && n < 2 * MAX_RANK; k++, axis++) part[n++] = (Part){.kind = PART_keep, .length = x->type->dim[axis]};
            continue;
        }
        Part *p = &part[n++];
        *p = (Part){.kind = PART_new, .at = ix->span};
        if (ix->kind == INDEX_one && one[i].kind == V_NONE) continue;
        bool ok = ix->kind == INDEX_range ? read_range(c, ix, x, axis, p) : read_one(c, one[i], x, axis, p);
        if (!ok) return false;
        takes += p->kind == PART_take;
        axis++;
    }
    if (axis != rank) {
        fail(c, DL_rank, e->span, "an index of more than %d parts", 2 * MAX_RANK);
        return false;
    }
    if (takes > 1) {
        fail(c, DL_bad_index, e->span, "one tensor of indices at a time; use `take` or `take_along` for more");
        return false;
    }
    *nparts = n;
    return true;
}

static Node *index_tensor(Check *c, const Expr *e, Node *x)
{
    Part part[2 * MAX_RANK];
    uint32_t n;
    if (!read_parts(c, e, x, part, &n)) return NULL;
    Span at = e->span;
    /* What is known now: one slice. */
    Dim *start[MAX_RANK], *dim[MAX_RANK];
    int64_t steps[MAX_RANK];
    bool any = false;
    for (uint32_t i = 0, axis = 0; i < n; i++) {
        if (part[i].kind == PART_new) continue;
        bool here = part[i].kind == PART_range || part[i].kind == PART_drop;
        if (part[i].kind == PART_drop && dim_equals(x->type->dim[axis], 1)) here = false;
        start[axis] = here ? part[i].from : dim_const(c->m, 0);
        steps[axis] = here ? part[i].step : 1;
        dim[axis] = here ? part[i].length : x->type->dim[axis];
        any |= here;
        axis++;
    }
    if (any) {
        Type *t;
        Attr attr = {.slice = {start, steps}};
        if (!make_type(c, x->type->dtype, x->type->rank, dim, at, &t)) return NULL;
        if (!(x = node(c, OP_slice, 1, &x, &attr, t, at))) return NULL;
    }
    /* Run-time indices, the last axis first so that the others keep their numbers. */
    uint32_t axis = x->type->rank;
    for (uint32_t i = n; i-- > 0;) {
        if (part[i].kind == PART_new) continue;
        axis--;
        if (part[i].kind == PART_take) {
            if (!(x = gather_axis(c, x, part[i].node, axis, part[i].at))) return NULL;
        } else if (part[i].kind == PART_dynamic) {
            Dim *d[MAX_RANK];
            memcpy(d, x->type->dim, x->type->rank * sizeof *d);
            d[axis] = dim_const(c->m, 1);
            Attr attr = {.axis = axis};
            x = node(c, OP_dslice, 2, (Node *[]){x, part[i].node}, &attr, type_tensor(c->m, x->type->dtype, x->type->rank, d), part[i].at);
            if (!x) return NULL;
        }
    }
    /* Dropped and new axes. */
    Dim *out[4 * MAX_RANK];
    uint32_t rank = 0, from = 0;
    for (uint32_t i = 0; i < n; i++) {
        switch (part[i].kind) {
        case PART_new: out[rank++] = dim_const(c->m, 1); break;
        case PART_keep: case PART_range: out[rank++] = x->type->dim[from++]; break;
        case PART_drop: case PART_dynamic: from++; break;
        case PART_take:
            for (uint32_t k = 0; k < part[i].node->type->rank; k++) out[rank++] = x->type->dim[from++];
            break;
        }
    }
    return reshape_to(c, x, rank, out, at);
}

Value eval_index(Check *c, const Expr *e)
{
    Value x = eval(c, e->index.x);
    if (is_poison(x)) return x;
    if (is_list(x)) return index_list(c, x, e);
    Node *n = is_tensor(x) ? as_node(c, x) : NULL;
    if (n) return tensor_value(c, index_tensor(c, e, n));
    if (is_tensor(x)) return v_error();
    return fail(c, DL_bad_index, e->span, "%s cannot be indexed", kind_text(c, x));
}
