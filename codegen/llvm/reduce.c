/* reduce.c - kernels with reductions, in one of two schedules (reduce_plan.c chooses):
 *
 * row      items are rows. Lanes run along the last reduced axis; several accumulator vectors, then a fixed tree.
 *          for row: for sweep: for outer reduced axes: for i += copies * lanes: accumulate
 * column   items are the flat index of the parallel axes, in runs along the last one, as in map.c. Lanes run along it;
 *          each lane accumulates its own result.
 *          for run: for j += copies * lanes: for sweep: for reduced axes: accumulate
 *
 * A sweep is one pass over the reduced axes; softmax takes three (max, sum of exp, store). The order in which
 * a result is added up depends on the extents of the reduced axes alone, so neither threads nor batch change a bit. Long
 * sums are added in blocks, which are added in turn: the rounding error stays that of a short sum.
 */
#include "codegen/llvm/reduce.h"

enum { BLOCK_TRIPS = 128 };             /* of the innermost loop, per block */

typedef struct Reducer {
    Emit *e;
    const ReducePlan *plan;
    const Kernel *kernel;
    Point   *entry;
    LLVMValueRef scratch;
    Point   *row[8];                    /* one a copy in the column schedule; one alone in the row schedule */
    uint32_t nrows, lanes;
    /* the sweep being emitted */
    uint32_t sweep;
    VEC(uint32_t) reds;                 /* its K_reduce and K_argreduce */
    uint32_t nslots;                    /* accumulators of one bank: one a K_reduce, two a K_argreduce */
    bool     scalars;                   /* rows without masks: behind the bank of vectors there is one of scalars */
} Reducer;

/* ---- accumulators: a bank is one value of every reduction of the sweep -------------------------------------- */

static LLVMValueRef identity(Emit *e, const Inst *in, uint32_t lanes)
{
    LLVMTypeRef t = emit_vector_type(emit_type(e, in->dtype), lanes);
    bool max = in->red == RED_max;
    switch (in->red) {
    case RED_prod: case RED_and:
        return dtype_is_float(in->dtype) ? emit_number(t, 1) : emit_integer(t, 1);
    case RED_max: case RED_min:
        if (dtype_is_float(in->dtype)) return emit_number(t, max ? -__builtin_inf() : __builtin_inf());
        if (in->dtype == DT_u8 || in->dtype == DT_bool) return emit_integer(t, max ? 0 : -1);
        if (in->dtype == DT_i64) return emit_integer(t, max ? INT64_MIN : INT64_MAX);
        return emit_integer(t, max ? INT32_MIN : INT32_MAX);
    default:
        return LLVMConstNull(t);
    }
}

static LLVMValueRef combine(Emit *e, const Inst *in, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef B = e->builder;
    switch (in->red) {
    case RED_sum:
        return dtype_is_float(in->dtype) ? LLVMBuildFAdd(B, a, b, "") : LLVMBuildAdd(B, a, b, "");
    case RED_prod:
        return dtype_is_float(in->dtype) ? LLVMBuildFMul(B, a, b, "") : LLVMBuildMul(B, a, b, "");
    case RED_max: return math_max(e, in->dtype, a, b);
    case RED_min: return math_min(e, in->dtype, a, b);
    case RED_or:  return LLVMBuildOr(B, a, b, "");
    default:      return LLVMBuildAnd(B, a, b, "");
    }
}

/* The dtype of what an argreduce compares is that of its argument; as an Inst, for identity(). */
static Inst compared(const Kernel *k, const Inst *in)
{
    Inst v = *in;
    v.dtype = k->body.at[in->arg[0]].dtype;
    return v;
}

/* Of two candidates the better: the larger (smaller) value, NaN above all, the lower index among equals. */
static void better(Reducer *r, const Inst *in, LLVMValueRef *a, const LLVMValueRef *b)
{
    Emit *e = r->e;
    LLVMBuilderRef B = e->builder;
    DType t = r->kernel->body.at[in->arg[0]].dtype;
    Op op = in->red == RED_max ? OP_gt : OP_lt;
    LLVMValueRef wins = math_op(e, op, t, DT_bool, (LLVMValueRef[]){b[0], a[0]});
    LLVMValueRef same = math_op(e, OP_eq, t, DT_bool, (LLVMValueRef[]){b[0], a[0]});
    if (dtype_is_float(t)) {
        LLVMValueRef a_nan = LLVMBuildFCmp(B, LLVMRealUNO, a[0], a[0], ""), b_nan = LLVMBuildFCmp(B, LLVMRealUNO, b[0], b[0], "");
        wins = LLVMBuildOr(B, wins, LLVMBuildAnd(B, b_nan, LLVMBuildNot(B, a_nan, ""), ""), "");
        same = LLVMBuildOr(B, same, LLVMBuildAnd(B, a_nan, b_nan, ""), "");
    }
    LLVMValueRef lower = LLVMBuildICmp(B, LLVMIntSLT, b[1], a[1], "");
    LLVMValueRef take = LLVMBuildOr(B, wins, LLVMBuildAnd(B, same, lower, ""), "");
    a[0] = emit_select(e, take, b[0], a[0]);
    a[1] = emit_select(e, take, b[1], a[1]);
}

static void bank_identity(Reducer *r, uint32_t lanes, LLVMValueRef *bank)
{
    for (uint32_t i = 0; i < r->reds.n; i++) {
        const Inst *in = &r->kernel->body.at[r->reds.at[i]];
        if (in->kind == K_reduce) {
            *bank++ = identity(r->e, in, lanes);
        } else {
            Inst v = compared(r->kernel, in);
            *bank++ = identity(r->e, &v, lanes);
            *bank++ = emit_integer(emit_vector_type(r->e->i32, lanes), INT32_MAX);
        }
    }
}

/* a = a and b together. */
static void bank_merge(Reducer *r, LLVMValueRef *a, const LLVMValueRef *b)
{
    for (uint32_t i = 0; i < r->reds.n; i++) {
        const Inst *in = &r->kernel->body.at[r->reds.at[i]];
        if (in->kind == K_reduce) {
            *a = combine(r->e, in, *a, *b);
            a++, b++;
        } else {
            better(r, in, a, b);
            a += 2, b += 2;
        }
    }
}

/* All lanes of a bank together, halves first, into scalars. */
static void bank_across(Reducer *r, LLVMValueRef *bank)
{
    for (uint32_t w = r->lanes / 2; w >= 1; w /= 2) {
        LLVMValueRef half[LOOP_CARRIED];
        for (uint32_t i = 0; i < r->nslots; i++) {
            half[i] = emit_shuffle(r->e, bank[i], NULL, w, (int32_t)w, 1);
            bank[i] = emit_shuffle(r->e, bank[i], NULL, w, 0, 1);
        }
        bank_merge(r, bank, half);
    }
}

/* ---- one point: everything the sweep does there -------------------------------------------------------------------- */

/* Saved value number i at p: row buffers are indexed by the point, column buffers by point and lane. */
static LLVMValueRef saved_base(Reducer *r, uint32_t i, uint32_t copy)
{
    Emit *e = r->e;
    const Saved *s = &r->plan->saved.at[i];
    Dim *offset = s->offset;
    if (r->plan->column) {
        Module *m = r->kernel->module;
        int64_t each = (int64_t)(dtype_size(r->kernel->body.at[s->inst].dtype) * r->plan->lanes * copy);
        offset = dim_add(m, offset, dim_mul(m, r->plan->count, dim_const(m, each)));
    }
    return emit_element(e, e->i8, r->scratch, emit_dim_outside(e, r->entry, offset));
}

static LLVMValueRef column_address(Reducer *r, Point *p, DType t, LLVMValueRef base)
{
    LLVMValueRef at = LLVMBuildMul(r->e->builder, emit_dim(r->e, p, r->plan->flat), emit_i64(r->e, p->lanes), "");
    return emit_element(r->e, emit_memory_type(r->e, t), base, at);
}

static void read_saved(Reducer *r, Point *p, uint32_t copy)
{
    for (uint32_t i = 0; i < r->plan->saved.n; i++) {
        const Saved *s = &r->plan->saved.at[i];
        if (!(s->readers >> r->sweep & 1)) continue;
        DType t = r->kernel->body.at[s->inst].dtype;
        LLVMValueRef base = saved_base(r, i, copy);
        if (r->plan->column) p->value[s->inst] = emit_load(r->e, t, column_address(r, p, t, base), p->lanes, NULL);
        else                 p->value[s->inst] = emit_get(r->e, p, t, base, r->plan->flat);
    }
}

static void write_saved(Reducer *r, Point *p, uint32_t copy)
{
    for (uint32_t i = 0; i < r->plan->saved.n; i++) {
        const Saved *s = &r->plan->saved.at[i];
        if (s->sweep != r->sweep) continue;
        DType t = r->kernel->body.at[s->inst].dtype;
        LLVMValueRef base = saved_base(r, i, copy), v = emit_inst_lanes(r->e, p, s->inst);
        if (r->plan->column) emit_store(r->e, t, v, column_address(r, p, t, base), NULL);
        else                 emit_put(r->e, p, t, v, base, r->plan->flat);
    }
}

/* The sweep at p: bank takes in its values, elements are stored. copy: which vector of the column schedule. */
static void visit(Reducer *r, Point *p, uint32_t copy, LLVMValueRef *bank)
{
    Emit *e = r->e;
    const Kernel *k = r->kernel;
    const ReducePlan *plan = r->plan;
    read_saved(r, p, copy);
    for (uint32_t i = 0; i < k->body.n; i++) {
        if (k->body.at[i].kind == K_check && plan->sweep[i] == r->sweep) emit_inst(e, p, i);
    }
    for (uint32_t i = 0; i < r->reds.n; i++) {
        const Inst *in = &k->body.at[r->reds.at[i]];
        uint32_t n = in->kind == K_reduce ? 1 : 2;
        LLVMValueRef v[2] = {emit_inst_lanes(e, p, in->arg[0]), NULL}, old[2] = {bank[0], n == 2 ? bank[1] : NULL};
        if (n == 2) {
            LLVMValueRef at = LLVMBuildTrunc(e->builder, emit_dim(e, p, plan->flat), e->i32, "");
            v[1] = emit_splat(e, at, p->lanes);
            if (!plan->column) v[1] = LLVMBuildAdd(e->builder, v[1], emit_steps(e, e->i32, p->lanes), "");
            better(r, in, bank, v);
        } else {
            bank[0] = combine(e, in, bank[0], v[0]);
        }
        /* Lanes that do not exist keep what they had. */
        for (uint32_t j = 0; p->mask && !plan->column && j < n; j++) bank[j] = emit_select(e, p->mask, bank[j], old[j]);
        bank += n;
    }
    write_saved(r, p, copy);
    for (uint32_t i = 0; i < k->stores.n; i++) {
        const KStore *s = &k->stores.at[i];
        if (!s->row && reduce_store_sweep(plan, s) == r->sweep) emit_kstore(e, p, s);
    }
}

/* ---- loops over the reduced axes -------------------------------------------------------------------------------------- */

/* What a loop over an axis does inside: `at` are the points of its rows, acc their banks. */
static void axes_from(Reducer *r, uint32_t axis, Point **at, LLVMValueRef *acc);

static uint32_t accumulators(const Reducer *r)
{
    return (r->nrows + r->scalars) * r->nslots;
}

static void all_identity(Reducer *r, LLVMValueRef *acc)
{
    for (uint32_t i = 0; i < r->nrows; i++) bank_identity(r, r->lanes, acc + i * r->nslots);
    if (r->scalars) bank_identity(r, 1, acc + r->nslots);
}

static void all_merge(Reducer *r, LLVMValueRef *a, const LLVMValueRef *b)
{
    for (uint32_t i = 0; i < r->nrows + r->scalars; i++) bank_merge(r, a + i * r->nslots, b + i * r->nslots);
}

static void copy_values(LLVMValueRef *to, const LLVMValueRef *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) to[i] = from[i];
}

/* The values [from, to) of one axis, one by one. */
static void axis_loop(Reducer *r, uint32_t axis, Point **at, LLVMValueRef from, LLVMValueRef to, LLVMValueRef *acc)
{
    Loop l;
    Point *inner[8];
    loop_begin(r->e, &l, from, to, emit_i64(r->e, 1), accumulators(r), acc);
    for (uint32_t i = 0; i < r->nrows; i++) {
        inner[i] = point_inner(r->e, at[i]);
        point_set(inner[i], axis, l.i);
    }
    LLVMValueRef next[LOOP_CARRIED];
    copy_values(next, l.carried, accumulators(r));
    axes_from(r, axis + 1, inner, next);
    loop_end(r->e, &l, next);
    copy_values(acc, l.carried, accumulators(r));
}

/* The smaller of two i64. */
static LLVMValueRef least(Emit *e, LLVMValueRef a, LLVMValueRef b)
{
    return emit_select(e, LLVMBuildICmp(e->builder, LLVMIntSLT, a, b, ""), a, b);
}

static void row_vectors(Reducer *r, Point *outer, LLVMValueRef *acc);

static void axes_from(Reducer *r, uint32_t axis, Point **at, LLVMValueRef *acc)
{
    Emit *e = r->e;
    const Kernel *k = r->kernel;
    if (axis == k->axes.n) {
        for (uint32_t i = 0; i < r->nrows; i++) visit(r, at[i], i, acc + i * r->nslots);
        return;
    }
    if (!r->plan->column && axis + 1 == k->axes.n) {
        row_vectors(r, at[0], acc);
        return;
    }
    int64_t n;
    if (r->plan->unrolled && dim_is_const(k->axes.at[axis].extent, &n)) {
        for (int64_t v = 0; v < n; v++) {
            Point *inner[8];
            for (uint32_t i = 0; i < r->nrows; i++) {
                inner[i] = point_inner(e, at[i]);
                point_set(inner[i], axis, emit_i64(e, v));
            }
            axes_from(r, axis + 1, inner, acc);
        }
        return;
    }
    /* Sums over many points start afresh here, and join the outer sum when done. */
    LLVMValueRef extent = emit_dim_outside(e, r->entry, k->axes.at[axis].extent), sum[LOOP_CARRIED];
    bool fresh = axis > r->plan->nparallel && reduce_is_long(r->plan, axis, 64);
    copy_values(sum, acc, accumulators(r));
    if (fresh) all_identity(r, acc);
    bool last = axis + 1 == k->axes.n;
    if (last && reduce_is_long(r->plan, axis, 2 * BLOCK_TRIPS)) {
        Loop l;
        LLVMValueRef length = emit_i64(e, BLOCK_TRIPS), part[LOOP_CARRIED];
        loop_begin(e, &l, emit_i64(e, 0), extent, length, accumulators(r), acc);
        LLVMValueRef end = least(e, LLVMBuildAdd(e->builder, l.i, length, ""), extent);
        all_identity(r, part);
        axis_loop(r, axis, at, l.i, end, part);
        copy_values(acc, l.carried, accumulators(r));
        all_merge(r, acc, part);
        loop_end(e, &l, acc);
        copy_values(acc, l.carried, accumulators(r));
    } else {
        axis_loop(r, axis, at, emit_i64(e, 0), extent, acc);
    }
    if (fresh) {
        all_merge(r, sum, acc);
        copy_values(acc, sum, accumulators(r));
    }
}

/* ---- the row schedule's innermost axis -------------------------------------------------------------------------------- */

/* A loop with `copies` vectors a trip over [from, to) of the last axis; banks: one a copy. lanes 1: scalars. */
static void vector_loop(Reducer *r, Point *outer, LLVMValueRef from, LLVMValueRef to, uint32_t lanes, uint32_t copies, bool masked,
                        LLVMValueRef *banks)
{
    Emit *e = r->e;
    uint32_t axis = r->kernel->axes.n - 1, n = copies * r->nslots;
    Loop l;
    loop_begin(e, &l, from, to, emit_i64(e, (int64_t)lanes * copies), n, banks);
    LLVMValueRef next[LOOP_CARRIED];
    copy_values(next, l.carried, n);
    for (uint32_t c = 0; c < copies; c++) {
        Point *p = point_inner(e, outer);
        LLVMValueRef mask = masked ? emit_mask(e, LLVMBuildSub(e->builder, to, l.i, ""), lanes) : NULL;
        point_set_vector(p, axis, c ? LLVMBuildAdd(e->builder, l.i, emit_i64(e, (int64_t)c * lanes), "") : l.i, lanes, mask);
        visit(r, p, 0, next + c * r->nslots);
    }
    loop_end(e, &l, next);
    copy_values(banks, l.carried, n);
}

/* Whole trips over [0, end): in blocks where that keeps long sums accurate. */
static void main_loop(Reducer *r, Point *outer, LLVMValueRef end, LLVMValueRef *banks)
{
    Emit *e = r->e;
    uint32_t copies = r->plan->copies, n = copies * r->nslots, trip = copies * r->lanes;
    if (!reduce_is_long(r->plan, r->kernel->axes.n - 1, (int64_t)2 * BLOCK_TRIPS * trip)) {
        vector_loop(r, outer, emit_i64(e, 0), end, r->lanes, copies, false, banks);
        return;
    }
    Loop l;
    LLVMValueRef length = emit_i64(e, (int64_t)BLOCK_TRIPS * trip), part[LOOP_CARRIED], sum[LOOP_CARRIED];
    loop_begin(e, &l, emit_i64(e, 0), end, length, n, banks);
    for (uint32_t c = 0; c < copies; c++) bank_identity(r, r->lanes, part + c * r->nslots);
    vector_loop(r, outer, l.i, least(e, LLVMBuildAdd(e->builder, l.i, length, ""), end), r->lanes, copies, false, part);
    copy_values(sum, l.carried, n);
    for (uint32_t c = 0; c < copies; c++) bank_merge(r, sum + c * r->nslots, part + c * r->nslots);
    loop_end(e, &l, sum);
    copy_values(banks, l.carried, n);
}

/* The last reduced axis for one row. acc: a bank of vectors, and behind it, on targets without masks, one of
 * scalars for what is left over. */
static void row_vectors(Reducer *r, Point *outer, LLVMValueRef *acc)
{
    Emit *e = r->e;
    LLVMBuilderRef B = e->builder;
    uint32_t copies = r->plan->copies, lanes = r->lanes, trip = copies * lanes;
    Dim *extent = r->kernel->axes.at[r->kernel->axes.n - 1].extent;
    LLVMValueRef n = emit_dim_outside(e, r->entry, extent), at = emit_i64(e, 0);
    int64_t known = -1;
    dim_is_const(extent, &known);
    if (known < 0 || known >= trip) {
        LLVMValueRef banks[LOOP_CARRIED];
        for (uint32_t c = 0; c < copies; c++) bank_identity(r, lanes, banks + c * r->nslots);
        LLVMValueRef end = LLVMBuildAnd(B, n, emit_i64(e, -(int64_t)trip), "");
        main_loop(r, outer, end, banks);
        for (uint32_t w = copies / 2; w >= 1; w /= 2) {
            for (uint32_t c = 0; c < w; c++) bank_merge(r, banks + c * r->nslots, banks + (c + w) * r->nslots);
        }
        bank_merge(r, acc, banks);
        at = end;
        if (known >= 0 && known % trip == 0) return;
    }
    if (e->target->has_mask) {
        vector_loop(r, outer, at, n, lanes, 1, true, acc);
        return;
    }
    if (copies > 1) {
        LLVMValueRef end = LLVMBuildAnd(B, n, emit_i64(e, -(int64_t)lanes), "");
        vector_loop(r, outer, at, end, lanes, 1, false, acc);
        at = end;
    }
    vector_loop(r, outer, at, n, 1, 1, false, acc + r->nslots);
}

/* ---- sweeps --------------------------------------------------------------------------------------------------------------- */

static void begin_sweep(Reducer *r, uint32_t s)
{
    r->sweep = s;
    r->reds.n = 0;
    r->nslots = 0;
    for (uint32_t i = 0; i < r->kernel->body.n; i++) {
        const Inst *in = &r->kernel->body.at[i];
        if ((in->kind != K_reduce && in->kind != K_argreduce) || r->plan->sweep[i] != s + 1) continue;
        vec_push(r->e->arena, &r->reds, i);
        r->nslots += in->kind == K_reduce ? 1 : 2;
    }
}

/* Give the row point its results. */
static void finish_bank(Reducer *r, Point *row, LLVMValueRef *bank)
{
    Emit *e = r->e;
    for (uint32_t i = 0; i < r->reds.n; i++) {
        const Inst *in = &r->kernel->body.at[r->reds.at[i]];
        if (in->kind == K_reduce) {
            emit_set(row, r->reds.at[i], *bank++);
            continue;
        }
        /* Over nothing: 0. */
        LLVMTypeRef t = LLVMTypeOf(bank[1]);
        LLVMValueRef none = LLVMBuildICmp(e->builder, LLVMIntEQ, bank[1], emit_integer(t, INT32_MAX), "");
        emit_set(row, r->reds.at[i], emit_select(e, none, LLVMConstNull(t), bank[1]));
        bank += 2;
    }
}

/* Every sweep over rows r->row, then what is stored once a row. */
static void all_sweeps(Reducer *r)
{
    Emit *e = r->e;
    const ReducePlan *plan = r->plan;
    for (uint32_t s = 0; s < plan->nsweeps; s++) {
        begin_sweep(r, s);
        LLVMValueRef acc[LOOP_CARRIED];
        r->scalars = !plan->column && !e->target->has_mask;
        all_identity(r, acc);
        axes_from(r, plan->nparallel, r->row, acc);
        if (!plan->column) bank_across(r, acc);
        if (r->scalars) bank_merge(r, acc, acc + r->nslots);
        for (uint32_t i = 0; i < r->nrows; i++) {
            finish_bank(r, r->row[i], acc + i * r->nslots);
            point_here(e, r->row[i]);
        }
    }
    for (uint32_t i = 0; i < r->nrows; i++) {
        for (uint32_t j = 0; j < r->kernel->stores.n; j++) {
            if (r->kernel->stores.at[j].row) emit_kstore(e, r->row[i], &r->kernel->stores.at[j]);
        }
    }
}

/* [from, from + n) of the last parallel axis, `lanes` columns a vector. */
static void columns(Reducer *r, Point *outer, LLVMValueRef from, LLVMValueRef to, uint32_t lanes, uint32_t copies, bool masked)
{
    Emit *e = r->e;
    uint32_t axis = r->plan->nparallel - 1;
    Loop l;
    loop_begin(e, &l, from, to, emit_i64(e, (int64_t)lanes * copies), 0, NULL);
    r->nrows = copies;
    r->lanes = lanes;
    for (uint32_t c = 0; c < copies; c++) {
        LLVMValueRef mask = masked ? emit_mask(e, LLVMBuildSub(e->builder, to, l.i, ""), lanes) : NULL;
        r->row[c] = point_inner(e, outer);
        point_set_vector(r->row[c], axis, c ? LLVMBuildAdd(e->builder, l.i, emit_i64(e, (int64_t)c * lanes), "") : l.i, lanes, mask);
    }
    all_sweeps(r);
    loop_end(e, &l, NULL);
}

static void column_run(Reducer *r, Rows *rows)
{
    Emit *e = r->e;
    LLVMBuilderRef B = e->builder;
    uint32_t lanes = r->plan->lanes, copies = r->plan->copies;
    LLVMValueRef at = rows->first, to = LLVMBuildAdd(B, at, rows->n, "");
    int64_t extent;
    bool short_axis = dim_is_const(r->kernel->axes.at[r->plan->nparallel - 1].extent, &extent) && extent < (int64_t)lanes;
    bool masks = e->target->has_mask;
    for (uint32_t c = copies; lanes > 1 && !short_axis && c > 0; c = c > 1 ? 1 : 0) {
        LLVMValueRef left = LLVMBuildSub(B, to, at, "");
        LLVMValueRef end = LLVMBuildAdd(B, at, LLVMBuildAnd(B, left, emit_i64(e, -(int64_t)(c * lanes)), ""), "");
        columns(r, rows->point, at, end, lanes, c, false);
        at = end;
        if (masks) break;
    }
    columns(r, rows->point, at, to, masks ? lanes : 1, 1, masks && lanes > 1);
}

LLVMValueRef emit_reduce(Emit *e, const Kernel *k, uint32_t *split, Dim **scratch)
{
    ReducePlan plan = {0};
    *scratch = dim_const(k->module, 0);
    *split = 1;
    if (!reduce_plan(e, k, &plan)) return NULL;
    Rows rows;
    bool runs = plan.column && plan.nparallel > 0;
    rows_begin(e, &rows, k, plan.nparallel, runs);
    Reducer r = {.e = e, .plan = &plan, .kernel = k, .entry = rows.entry, .scratch = rows.scratch};
    if (runs) {
        column_run(&r, &rows);
        *split = plan.lanes * 4;
    } else {
        r.row[0] = rows.point;
        r.nrows = 1;
        r.lanes = plan.column ? 1 : plan.lanes;
        all_sweeps(&r);
    }
    rows_end(e, &rows);
    *scratch = plan.scratch;
    return rows.function;
}
