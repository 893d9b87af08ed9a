/* contract_loops.c - the axes of a contraction as loops see them, and loops over them: flat ranges in runs along the last
 * axis, runs by vectors.
 */
#include "codegen/llvm/contract.h"

Axes axes_of(const Kernel *k, AxisRole role)
{
    Axes a = {0};
    for (uint32_t i = 0; i < k->axes.n; i++) {
        if (k->axes.at[i].role != role) continue;
        a.bits |= UINT64_C(1) << i;
        a.axis[a.n] = i;
        a.extent[a.n++] = k->axes.at[i].extent;
    }
    return a;
}

bool *insts_behind(const Contract *c, uint32_t inst)
{
    bool *need = arena_array(c->e->arena, bool, c->k->body.n + 1);
    need[inst] = true;
    for (uint32_t i = inst + 1; i-- > 0;) {
        if (!need[i]) continue;
        for (uint32_t j = 0; j < c->info->needs[i].n; j++) need[c->info->needs[i].at[j]] = true;
    }
    return need;
}

/* Is at = c * (outer * extent + inner) + rest? */
static bool is_one(const Kernel *k, Dim *at, uint32_t outer, uint32_t inner, Dim *extent)
{
    Dim *co, *ci, *rest;
    if (!dim_linear(k->module, at, dim_as_sym(k->axes.at[outer].var), &co, &rest)) return false;
    if (!dim_linear(k->module, rest, dim_as_sym(k->axes.at[inner].var), &ci, &rest)) return false;
    return co == dim_mul(k->module, ci, extent);
}

Axes merged_axes(const Contract *c, AxisRole role, const bool *need, bool stores)
{
    const Kernel *k = c->k;
    Axes all = axes_of(k, role), a = {.bits = all.bits};
    for (uint32_t i = 0; i < all.n; i++) {
        bool one = a.n > 0;
        for (uint32_t j = 0; j < k->body.n && one; j++)
            if (need[j] && k->body.at[j].at) one = is_one(k, k->body.at[j].at, a.axis[a.n - 1], all.axis[i], all.extent[i]);
        for (uint32_t j = 0; j < k->stores.n && one && stores; j++) one = is_one(k, k->stores.at[j].at, a.axis[a.n - 1], all.axis[i], all.extent[i]);
        Dim *both = one ? dim_mul(k->module, a.extent[a.n - 1], all.extent[i]) : NULL;
        if (both) {
            a.zero |= UINT64_C(1) << a.axis[a.n - 1];
            a.axis[a.n - 1] = all.axis[i];
            a.extent[a.n - 1] = both;
            continue;
        }
        a.axis[a.n] = all.axis[i];
        a.extent[a.n++] = all.extent[i];
    }
    return a;
}

void set_zeros(Emit *e, Point *p, const Axes *a)
{
    for (uint32_t i = 0; i < p->kernel->axes.n; i++)
        if (a->zero >> i & 1) point_set(p, i, emit_i64(e, 0));
}

/* ---- functions of a batch item ------------------------------------------------------------------------------------------ */

void split_flat(Emit *e, Point *p, const Axes *x, LLVMValueRef flat, LLVMValueRef *var)
{
    for (uint32_t i = x->n; i-- > 1;) {
        LLVMValueRef extent = emit_dim(e, p, x->extent[i]);
        var[i] = LLVMBuildURem(e->builder, flat, extent, "");
        flat = LLVMBuildUDiv(e->builder, flat, extent, "");
    }
    var[0] = flat;
}

void advance(Emit *e, Point *p, const Axes *x, const LLVMValueRef *var, LLVMValueRef n, LLVMValueRef *next)
{
    LLVMValueRef v = LLVMBuildAdd(e->builder, var[x->n - 1], n, ""), carry = NULL;
    for (uint32_t i = x->n; i-- > 0;) {
        if (carry) v = LLVMBuildAdd(e->builder, var[i], LLVMBuildZExt(e->builder, carry, e->i64, ""), "");
        next[i] = v;
        if (i == 0) break;
        carry = LLVMBuildICmp(e->builder, LLVMIntEQ, v, emit_dim(e, p, x->extent[i]), "");
        next[i] = emit_select(e, carry, emit_i64(e, 0), v);
    }
}

Point *begin_function(Contract *c, const char *suffix, LLVMTypeRef *more, uint32_t n, Point **entry)
{
    Emit *e = c->e;
    LLVMTypeRef arg[10] = {e->ptr, e->i64};
    for (uint32_t i = 0; i < n; i++) arg[2 + i] = more[i];
    LLVMValueRef f = emit_function(e, arena_printf(e->arena, "%s_%s", c->k->name, suffix), LLVMFunctionType(e->void_, arg, 2 + n, false), true);
    *entry = point_entry(e, c->k, LLVMGetParam(f, 0));
    Axes batch = axes_of(c->k, AXIS_BATCH);
    if (!batch.n) return *entry;
    LLVMValueRef var[POINT_AXES];
    split_flat(e, *entry, &batch, LLVMGetParam(f, 1), var);
    Point *p = point_inner(e, *entry);
    for (uint32_t i = 0; i < batch.n; i++) point_set(p, batch.axis[i], var[i]);
    return p;
}

/* ---- vectors along an axis ------------------------------------------------------------------------------------------------ */

void vector_run(Contract *c, Point *outer, uint32_t axis, Dim *axis_extent, LLVMValueRef from, LLVMValueRef count, uint32_t group, VectorBody *body, void *user)
{
    Emit *e = c->e;
    LLVMBuilderRef B = e->builder;
    LLVMValueRef at = emit_i64(e, 0);
    int64_t most, extent = dim_is_const(axis_extent, &most) ? most : INT64_MAX;
    for (uint32_t n = group; n > 0; n = n > 1 ? 1 : 0) {
        int64_t width = (int64_t)n * c->lanes;
        if (extent < width) continue;
        LLVMValueRef left = LLVMBuildSub(B, count, at, ""), whole;
        if (n == 1) {
            whole = LLVMBuildAnd(B, left, emit_i64(e, -width), "");
        } else {
            whole = LLVMBuildMul(B, LLVMBuildUDiv(B, left, emit_i64(e, width), ""), emit_i64(e, width), "");
        }
        LLVMValueRef end = LLVMBuildAdd(B, at, whole, "");
        Loop l;
        loop_begin(e, &l, at, end, emit_i64(e, width), 0, NULL);
        Point *p[GROUP];
        for (uint32_t i = 0; i < n; i++) {
            p[i] = point_inner(e, outer);
            LLVMValueRef first = LLVMBuildAdd(B, from, LLVMBuildAdd(B, l.i, emit_i64(e, (int64_t)i * c->lanes), ""), "");
            point_set_vector(p[i], axis, first, c->lanes, NULL);
        }
        body(user, p, n, l.i);
        loop_end(e, &l, NULL);
        at = end;
    }
    bool masked = e->target->has_mask;
    if (masked && extent != INT64_MAX && extent % c->lanes == 0 && LLVMIsConstant(from) && LLVMIsConstant(count)) return;
    Loop l;
    loop_begin(e, &l, at, count, emit_i64(e, masked ? c->lanes : 1), 0, NULL);
    Point *p = point_inner(e, outer);
    LLVMValueRef first = LLVMBuildAdd(B, from, l.i, "");
    if (masked) point_set_vector(p, axis, first, c->lanes, emit_mask(e, LLVMBuildSub(B, count, l.i, ""), c->lanes));
    else        point_set_vector(p, axis, first, 1, NULL);
    body(user, &p, 1, l.i);
    loop_end(e, &l, NULL);
}

void runs_begin(Emit *e, Runs *r, Point *outer, const Axes *axes, LLVMValueRef i0, LLVMValueRef i1, const LLVMValueRef *first)
{
    LLVMBuilderRef B = e->builder;
    r->axes = axes;
    if (axes->n <= 1) {
        r->point = outer;
        r->first = i0;
        r->n = LLVMBuildSub(B, i1, i0, "");
        r->at = emit_i64(e, 0);
        return;
    }
    loop_begin(e, &r->loop, i0, i1, emit_i64(e, 1), axes->n, first);
    r->point = point_inner(e, outer);
    for (uint32_t i = 0; i + 1 < axes->n; i++) point_set(r->point, axes->axis[i], r->loop.carried[i]);
    r->first = r->loop.carried[axes->n - 1];
    LLVMValueRef in_axis = LLVMBuildSub(B, emit_dim(e, r->point, axes->extent[axes->n - 1]), r->first, "");
    LLVMValueRef in_range = LLVMBuildSub(B, i1, r->loop.i, "");
    r->n = emit_select(e, LLVMBuildICmp(B, LLVMIntSLT, in_axis, in_range, ""), in_axis, in_range);
    r->loop.step = r->n;
    r->at = LLVMBuildSub(B, r->loop.i, i0, "");
}

void runs_end(Emit *e, Runs *r)
{
    if (r->axes->n <= 1) return;
    LLVMValueRef next[POINT_AXES];
    advance(e, r->point, r->axes, r->loop.carried, r->n, next);
    loop_end(e, &r->loop, next);
}
