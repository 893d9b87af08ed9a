/* micro.c - micro-kernels: C[rows x columns] (+)= A * B over the whole depth, accumulators in registers.
 *
 * They do not depend on the model, so all of a target row are compiled once, when dlc is built (micro_build.c), into an object
 * that dlc carries inside; an artefact's table names those that its contractions need, and the linker takes no others. A
 * family is every height of targets.def's rows by full panels and by masked ones. Strides are run-time arguments and the loop is not unrolled, so one family serves every
 * shape; measured, that costs nothing against constant strides, while unrolling with run-time strides runs out of
 * integer registers. A k-step is: load the vectors of B's row, broadcast each row's element of A, one fma a pair.
 */
#include "codegen/llvm/llvm.h"
#include "runtime/rt.h"

/* What the contractions of the module need, by family. */
typedef struct MicroNeed {
    bool full[RT_ROW_SETS], masked[RT_ROW_SETS][RT_MAX_VECTORS];
    bool pack;
    LLVMValueRef family;
} MicroNeed;
struct MicroNeeds { MicroNeed f64, f32; };

static MicroNeed *need_of(Emit *e, DType dtype)
{
    if (!e->micro) e->micro = arena_new(e->arena, struct MicroNeeds);
    return dtype == DT_f64 ? &e->micro->f64 : &e->micro->f32;
}

/* Heights of tiles that m rows are cut into, the tallest that fits first. */
static void needed_rows(const Target *t, Module *module, Dim *m, bool *need)
{
    int64_t rest;
    Dim *mod = dim_mod(module, m, dim_const(module, t->rows[0]));
    bool known = mod && dim_is_const(mod, &rest);
    need[0] = m->hi >= t->rows[0];
    for (uint32_t i = 1; i < RT_ROW_SETS && t->rows[i]; i++) {
        need[i] = !known || rest >= t->rows[i];
        if (known) rest %= t->rows[i];
    }
}

/* Panels that n columns are cut into, as gemm.c's panel_start() does: full ones, masked ones of v vectors. */
static void needed_columns(const Target *t, int64_t lanes, Module *module, Dim *n, bool *full, bool *masked)
{
    int64_t width = lanes * t->vectors, columns, rest;
    if (dim_is_const(n, &columns)) {
        int64_t vectors = (columns + lanes - 1) / lanes, last = columns % width ? (vectors - 1) % t->vectors + 1 : 0;
        bool spread = t->vectors > 2 && vectors > t->vectors && last == 1;
        *full = columns / width > spread;
        if (spread) masked[1] = true;
        else if (last) masked[last - 1] = true;
        return;
    }
    Dim *mod = dim_mod(module, n, dim_const(module, width));
    *full = n->hi >= width;
    if (mod && dim_is_const(mod, &rest) && rest == 0) return;
    for (uint32_t v = 0; v < t->vectors; v++) masked[v] = true;
}

void micro_need(Emit *e, DType dtype, Module *module, Dim *m, Dim *n, bool packs)
{
    MicroNeed *need = need_of(e, dtype);
    bool rows[RT_ROW_SETS] = {0}, masked[RT_MAX_VECTORS] = {0}, full = false;
    needed_rows(e->target, module, m, rows);
    needed_columns(e->target, target_lanes(e->target, dtype), module, n, &full, masked);
    for (uint32_t i = 0; i < RT_ROW_SETS; i++) {
        if (!rows[i]) continue;
        need->full[i] |= full;
        for (uint32_t v = 0; v < RT_MAX_VECTORS; v++) need->masked[i][v] |= masked[v];
    }
    need->pack |= packs;
}

/* ---- micro-kernels ------------------------------------------------------------------------------------------------- */

enum { MICRO_ACCUMULATORS = 32 };

/* One micro-kernel being emitted. */
typedef struct Micro {
    Emit        *e;
    DType        dtype;
    uint32_t     rows, vectors, lanes;
    LLVMTypeRef  element, vector;
    LLVMValueRef mask;                      /* of the last vector, or NULL */
    LLVMValueRef c[RT_MAX_VECTORS * 8];     /* addresses of the tile's rows */
} Micro;

/* Vector v at p + v * lanes. */
static LLVMValueRef vector_at(const Micro *u, LLVMValueRef p, uint32_t v)
{
    return v ? emit_element(u->e, u->element, p, emit_i64(u->e, (int64_t)v * u->lanes)) : p;
}

static LLVMValueRef mask_of(const Micro *u, uint32_t v)
{
    return v == u->vectors - 1 ? u->mask : NULL;
}

/* acc = fma(A[row][k], B[k][columns], acc) for the whole tile. */
static void step_of_depth(const Micro *u, LLVMValueRef a, const LLVMValueRef *a_row, LLVMValueRef b, const LLVMValueRef *acc, LLVMValueRef *next)
{
    Emit *e = u->e;
    LLVMValueRef column[RT_MAX_VECTORS];
    for (uint32_t v = 0; v < u->vectors; v++)
        column[v] = emit_load(e, u->dtype, vector_at(u, b, v), u->lanes, e->target->has_mask ? mask_of(u, v) : NULL);
    for (uint32_t r = 0; r < u->rows; r++) {
        LLVMValueRef one = emit_load(e, u->dtype, r ? emit_element(e, u->element, a, a_row[r]) : a, 1, NULL);
        LLVMValueRef row = emit_splat(e, one, u->lanes);
        for (uint32_t v = 0; v < u->vectors; v++) next[r * u->vectors + v] = emit_fma(e, row, column[v], acc[r * u->vectors + v]);
    }
}

static LLVMValueRef phi2(Emit *e, LLVMBasicBlockRef b0, LLVMValueRef v0, LLVMBasicBlockRef b1, LLVMValueRef v1)
{
    LLVMValueRef phi = LLVMBuildPhi(e->builder, LLVMTypeOf(v0), "");
    LLVMAddIncoming(phi, (LLVMValueRef[]){v0, v1}, (LLVMBasicBlockRef[]){b0, b1}, 2);
    return phi;
}

/* The tile to start from: zeros, or C. Leaves the builder in a new block. */
static void start_tile(const Micro *u, LLVMValueRef accumulate, LLVMValueRef *acc)
{
    Emit *e = u->e;
    LLVMBasicBlockRef entry = LLVMGetInsertBlock(e->builder);
    LLVMBasicBlockRef load = LLVMAppendBasicBlockInContext(e->context, e->function, "load");
    LLVMBasicBlockRef start = LLVMAppendBasicBlockInContext(e->context, e->function, "start");
    LLVMBuildCondBr(e->builder, LLVMBuildICmp(e->builder, LLVMIntEQ, accumulate, emit_i64(e, 0), ""), start, load);
    LLVMPositionBuilderAtEnd(e->builder, load);
    LLVMValueRef old[MICRO_ACCUMULATORS];
    for (uint32_t i = 0; i < u->rows * u->vectors; i++) {
        uint32_t v = i % u->vectors;
        old[i] = emit_load(e, u->dtype, vector_at(u, u->c[i / u->vectors], v), u->lanes, mask_of(u, v));
    }
    LLVMBuildBr(e->builder, start);
    LLVMPositionBuilderAtEnd(e->builder, start);
    for (uint32_t i = 0; i < u->rows * u->vectors; i++) acc[i] = phi2(e, entry, LLVMConstNull(u->vector), load, old[i]);
}

static LLVMTypeRef micro_type(Emit *e)
{
    LLVMTypeRef arg[] = {e->i64, e->ptr, e->i64, e->i64, e->ptr, e->i64, e->ptr, e->i64, e->i64, e->i64};
    return LLVMFunctionType(e->void_, arg, COUNT(arg), false);
}

static const char *micro_name(Emit *e, DType dtype, uint32_t rows, uint32_t vectors, bool masked)
{
    uint32_t columns = vectors * target_lanes(e->target, dtype);
    return arena_printf(e->arena, "dlc_micro_%s_%ux%u%s", dtype_name(dtype), rows, columns, masked ? "m" : "");
}

static LLVMValueRef emit_micro(Emit *e, DType dtype, uint32_t rows, uint32_t vectors, bool masked)
{
    Micro u = {.e = e, .dtype = dtype, .rows = rows, .vectors = vectors, .lanes = target_lanes(e->target, dtype)};
    u.element = emit_type(e, dtype);
    u.vector = emit_vector_type(u.element, u.lanes);
    LLVMValueRef f = emit_function(e, micro_name(e, dtype, rows, vectors, masked), micro_type(e), true);
    LLVMValueRef k = LLVMGetParam(f, 0), a = LLVMGetParam(f, 1), a_k = LLVMGetParam(f, 3), b = LLVMGetParam(f, 4), b_k = LLVMGetParam(f, 5);
    LLVMValueRef a_row[MICRO_ACCUMULATORS], acc[MICRO_ACCUMULATORS], next[MICRO_ACCUMULATORS];
    if (masked) u.mask = emit_mask(e, LLVMBuildSub(e->builder, LLVMGetParam(f, 9), emit_i64(e, (int64_t)(vectors - 1) * u.lanes), ""), u.lanes);
    for (uint32_t r = 0; r < rows; r++) {
        a_row[r] = LLVMBuildMul(e->builder, LLVMGetParam(f, 2), emit_i64(e, r), "");
        u.c[r] = emit_element(e, u.element, LLVMGetParam(f, 6), LLVMBuildMul(e->builder, LLVMGetParam(f, 7), emit_i64(e, r), ""));
    }
    start_tile(&u, LLVMGetParam(f, 8), acc);
    Loop l;
    LLVMValueRef first[LOOP_CARRIED] = {a, b}, carried[LOOP_CARRIED];
    for (uint32_t i = 0; i < rows * vectors; i++) first[2 + i] = acc[i];
    loop_begin(e, &l, emit_i64(e, 0), k, emit_i64(e, 1), 2 + rows * vectors, first);
    step_of_depth(&u, l.carried[0], a_row, l.carried[1], l.carried + 2, next);
    carried[0] = emit_element(e, u.element, l.carried[0], a_k);
    carried[1] = emit_element(e, u.element, l.carried[1], b_k);
    for (uint32_t i = 0; i < rows * vectors; i++) carried[2 + i] = next[i];
    loop_end(e, &l, carried);
    for (uint32_t i = 0; i < rows * vectors; i++) {
        uint32_t v = i % vectors;
        emit_store(e, dtype, l.carried[2 + i], vector_at(&u, u.c[i / vectors], v), mask_of(&u, v));
    }
    LLVMBuildRetVoid(e->builder);
    return f;
}

/* ---- packing ---------------------------------------------------------------------------------------------------------- */

/* Transpose n vectors of n lanes: log2(n) rounds, each of which zips vector i with vector i + n / 2. */
static void transpose(Emit *e, LLVMValueRef *x, uint32_t n)
{
    LLVMValueRef low[64], high[64], y[64];
    for (uint32_t i = 0; i < n; i++) {
        low[i] = emit_i32(e, (int32_t)(i / 2 + i % 2 * n));
        high[i] = emit_i32(e, (int32_t)(n / 2 + i / 2 + i % 2 * n));
    }
    LLVMValueRef zip_low = LLVMConstVector(low, n), zip_high = LLVMConstVector(high, n);
    for (uint32_t round = 1; round < n; round *= 2) {
        for (uint32_t i = 0; i < n / 2; i++) {
            y[2 * i] = LLVMBuildShuffleVector(e->builder, x[i], x[i + n / 2], zip_low, "");
            y[2 * i + 1] = LLVMBuildShuffleVector(e->builder, x[i], x[i + n / 2], zip_high, "");
        }
        for (uint32_t i = 0; i < n; i++) x[i] = y[i];
    }
}

/* RtMicro.pack being emitted: its parameters. */
typedef struct Pack {
    Emit        *e;
    DType        dtype;
    uint32_t     lanes;
    LLVMTypeRef  element;
    LLVMValueRef k, n, src, k_stride, i_stride, dst, width;
} Pack;

static LLVMValueRef mul(Emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildMul(e->builder, a, b, ""); }
static LLVMValueRef add(Emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildAdd(e->builder, a, b, ""); }

static LLVMValueRef pack_src(const Pack *p, LLVMValueRef k, LLVMValueRef i)
{
    return emit_element(p->e, p->element, p->src, add(p->e, mul(p->e, k, p->k_stride), mul(p->e, i, p->i_stride)));
}

static LLVMValueRef pack_dst(const Pack *p, LLVMValueRef k, LLVMValueRef i)
{
    return emit_element(p->e, p->element, p->dst, add(p->e, mul(p->e, k, p->width), i));
}

/* Element by element, from step `from` of the depth. */
static void pack_slowly(const Pack *p, LLVMValueRef from)
{
    Emit *e = p->e;
    Loop k, i, z;
    loop_begin(e, &k, from, p->k, emit_i64(e, 1), 0, NULL);
    loop_begin(e, &i, emit_i64(e, 0), p->n, emit_i64(e, 1), 0, NULL);
    emit_store(e, p->dtype, emit_load(e, p->dtype, pack_src(p, k.i, i.i), 1, NULL), pack_dst(p, k.i, i.i), NULL);
    loop_end(e, &i, NULL);
    loop_begin(e, &z, p->n, p->width, emit_i64(e, 1), 0, NULL);
    emit_store(e, p->dtype, LLVMConstNull(p->element), pack_dst(p, k.i, z.i), NULL);
    loop_end(e, &z, NULL);
    loop_end(e, &k, NULL);
}

/* Adjacent in memory along i, width a multiple of the lanes. */
static void pack_copy(const Pack *p)
{
    Emit *e = p->e;
    Loop k, i;
    LLVMValueRef lanes = emit_i64(e, p->lanes);
    LLVMValueRef whole = LLVMBuildAnd(e->builder, p->n, emit_i64(e, -(int64_t)p->lanes), "");
    loop_begin(e, &k, emit_i64(e, 0), p->k, emit_i64(e, 1), 0, NULL);
    loop_begin(e, &i, emit_i64(e, 0), whole, lanes, 0, NULL);
    emit_store(e, p->dtype, emit_load(e, p->dtype, pack_src(p, k.i, i.i), p->lanes, NULL), pack_dst(p, k.i, i.i), NULL);
    loop_end(e, &i, NULL);
    loop_begin(e, &i, whole, p->width, lanes, 0, NULL);
    LLVMValueRef rest = emit_mask(e, LLVMBuildSub(e->builder, p->n, i.i, ""), p->lanes);
    emit_store(e, p->dtype, emit_load(e, p->dtype, pack_src(p, k.i, i.i), p->lanes, rest), pack_dst(p, k.i, i.i), NULL);
    loop_end(e, &i, NULL);
    loop_end(e, &k, NULL);
}

/* Adjacent in memory along k, width a multiple of the lanes: squares of lanes x lanes, transposed in registers. Rows
 * past n read row n - 1 again and are cleared. */
static void pack_transposed(const Pack *p)
{
    Emit *e = p->e;
    Loop k, i;
    LLVMValueRef lanes = emit_i64(e, p->lanes), x[64];
    LLVMValueRef whole = LLVMBuildAnd(e->builder, p->k, emit_i64(e, -(int64_t)p->lanes), "");
    LLVMValueRef last = LLVMBuildSub(e->builder, p->n, emit_i64(e, 1), "");
    loop_begin(e, &i, emit_i64(e, 0), p->width, lanes, 0, NULL);
    LLVMValueRef exists = emit_mask(e, LLVMBuildSub(e->builder, p->n, i.i, ""), p->lanes), row[64];
    for (uint32_t r = 0; r < p->lanes; r++) {
        LLVMValueRef at = add(e, i.i, emit_i64(e, r));
        row[r] = pack_src(p, emit_i64(e, 0), emit_select(e, LLVMBuildICmp(e->builder, LLVMIntSLT, at, last, ""), at, last));
    }
    loop_begin(e, &k, emit_i64(e, 0), whole, lanes, 0, NULL);
    for (uint32_t r = 0; r < p->lanes; r++) x[r] = emit_load(e, p->dtype, emit_element(e, p->element, row[r], k.i), p->lanes, NULL);
    transpose(e, x, p->lanes);
    for (uint32_t r = 0; r < p->lanes; r++) {
        LLVMValueRef value = emit_select(e, exists, x[r], LLVMConstNull(LLVMTypeOf(x[r])));
        emit_store(e, p->dtype, value, pack_dst(p, add(e, k.i, emit_i64(e, r)), i.i), NULL);
    }
    loop_end(e, &k, NULL);
    loop_end(e, &i, NULL);
    pack_slowly(p, whole);
}

static LLVMTypeRef pack_type(Emit *e)
{
    LLVMTypeRef arg[] = {e->i64, e->i64, e->ptr, e->i64, e->i64, e->ptr, e->i64};
    return LLVMFunctionType(e->void_, arg, COUNT(arg), false);
}

static const char *pack_name(Emit *e, DType dtype) { return arena_printf(e->arena, "dlc_pack_%s", dtype_name(dtype)); }

static LLVMValueRef emit_pack(Emit *e, DType dtype)
{
    LLVMValueRef f = emit_function(e, pack_name(e, dtype), pack_type(e), true);
    Pack p = {e, dtype, target_lanes(e->target, dtype), emit_type(e, dtype), LLVMGetParam(f, 0), LLVMGetParam(f, 1), LLVMGetParam(f, 2),
              LLVMGetParam(f, 3), LLVMGetParam(f, 4), LLVMGetParam(f, 5), LLVMGetParam(f, 6)};
    enum { TRANSPOSED, COPY, TRY_COPY, SLOWLY, BLOCKS };
    LLVMBasicBlockRef block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) block[i] = LLVMAppendBasicBlockInContext(e->context, f, "");
    LLVMValueRef one = emit_i64(e, 1);
    LLVMValueRef even = LLVMBuildICmp(e->builder, LLVMIntEQ, LLVMBuildAnd(e->builder, p.width, emit_i64(e, p.lanes - 1), ""), emit_i64(e, 0), "");
    LLVMValueRef down = LLVMBuildICmp(e->builder, LLVMIntEQ, p.k_stride, one, ""), along = LLVMBuildICmp(e->builder, LLVMIntEQ, p.i_stride, one, "");
    LLVMBuildCondBr(e->builder, LLVMBuildAnd(e->builder, even, down, ""), block[TRANSPOSED], block[TRY_COPY]);
    LLVMPositionBuilderAtEnd(e->builder, block[TRY_COPY]);
    LLVMBuildCondBr(e->builder, LLVMBuildAnd(e->builder, even, along, ""), block[COPY], block[SLOWLY]);
    LLVMPositionBuilderAtEnd(e->builder, block[TRANSPOSED]);
    pack_transposed(&p);
    LLVMBuildRetVoid(e->builder);
    LLVMPositionBuilderAtEnd(e->builder, block[COPY]);
    pack_copy(&p);
    LLVMBuildRetVoid(e->builder);
    LLVMPositionBuilderAtEnd(e->builder, block[SLOWLY]);
    pack_slowly(&p, emit_i64(e, 0));
    LLVMBuildRetVoid(e->builder);
    return f;
}

/* ---- the family's table -------------------------------------------------------------------------------------------------- */

/* An RtMicro, field for field. */
static LLVMValueRef family_table(Emit *e, DType dtype, LLVMValueRef (*fn)[RT_MAX_VECTORS + 1], LLVMValueRef pack)
{
    const Target *t = e->target;
    LLVMValueRef null = LLVMConstNull(e->ptr), rows[RT_ROW_SETS], full[RT_ROW_SETS], masked[RT_ROW_SETS];
    for (uint32_t i = 0; i < RT_ROW_SETS; i++) {
        LLVMValueRef each[RT_MAX_VECTORS];
        for (uint32_t v = 0; v < RT_MAX_VECTORS; v++) each[v] = fn[i][v] ? fn[i][v] : null;
        rows[i] = emit_i32(e, (int32_t)t->rows[i]);
        full[i] = fn[i][RT_MAX_VECTORS] ? fn[i][RT_MAX_VECTORS] : null;
        masked[i] = LLVMConstArray2(e->ptr, each, RT_MAX_VECTORS);
    }
    LLVMValueRef field[] = {
        emit_i32(e, dtype == DT_f64 ? RT_f64 : RT_f32), emit_i32(e, (int32_t)target_lanes(t, dtype)), emit_i32(e, (int32_t)t->vectors),
        emit_i32(e, !t->has_mask), LLVMConstArray2(e->i32, rows, RT_ROW_SETS), LLVMConstArray2(e->ptr, full, RT_ROW_SETS),
        LLVMConstArray2(LLVMArrayType2(e->ptr, RT_MAX_VECTORS), masked, RT_ROW_SETS), pack ? pack : null,
    };
    LLVMValueRef value = LLVMConstStructInContext(e->context, field, COUNT(field), false);
    LLVMValueRef table = LLVMAddGlobal(e->module, LLVMTypeOf(value), arena_printf(e->arena, "dlc_micro_%s", dtype_name(dtype)));
    LLVMSetInitializer(table, value);
    LLVMSetGlobalConstant(table, true);
    LLVMSetLinkage(table, LLVMInternalLinkage);
    return table;
}

/* ---- built once, linked where needed ------------------------------------------------------------------------------- */

static LLVMValueRef declare(Emit *e, const char *name, LLVMTypeRef type)
{
    LLVMValueRef f = LLVMAddFunction(e->module, name, type);
    LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

/* A function of the library: visible to the link alone, in a section of its own, so that the linker can leave it out. */
static void publish(Emit *e, LLVMValueRef f)
{
    size_t n;
    LLVMSetSection(f, arena_printf(e->arena, ".text.%s", LLVMGetValueName2(f, &n)));
    LLVMSetLinkage(f, LLVMExternalLinkage);
    LLVMSetVisibility(f, LLVMHiddenVisibility);
}

void micro_library(Emit *e)
{
    static const DType dtypes[] = {DT_f32, DT_f64};
    const Target *t = e->target;
    for (uint32_t d = 0; d < COUNT(dtypes); d++) {
        for (uint32_t i = 0; i < RT_ROW_SETS && t->rows[i]; i++) {
            publish(e, emit_micro(e, dtypes[d], t->rows[i], t->vectors, false));
            for (uint32_t v = 1; v <= t->vectors; v++) publish(e, emit_micro(e, dtypes[d], t->rows[i], v, true));
        }
        publish(e, emit_pack(e, dtypes[d]));
    }
}

static LLVMValueRef micro_function(Emit *e, DType dtype, uint32_t rows, uint32_t vectors, bool masked)
{
    if (e->has_library) return declare(e, micro_name(e, dtype, rows, vectors, masked), micro_type(e));
    return emit_micro(e, dtype, rows, vectors, masked);
}

static LLVMValueRef pack_function(Emit *e, DType dtype)
{
    return e->has_library ? declare(e, pack_name(e, dtype), pack_type(e)) : emit_pack(e, dtype);
}

LLVMValueRef micro_family(Emit *e, DType dtype, const char **error)
{
    if (dtype != DT_f64 && dtype != DT_f32) {
        *error = arena_printf(e->arena, "contractions of %s have no micro-kernels", dtype_name(dtype));
        return NULL;
    }
    const Target *t = e->target;
    MicroNeed *need = need_of(e, dtype);
    if (need->family) return need->family;
    LLVMValueRef fn[RT_ROW_SETS][RT_MAX_VECTORS + 1] = {{0}};
    for (uint32_t i = 0; i < RT_ROW_SETS; i++) {
        if (need->full[i]) fn[i][RT_MAX_VECTORS] = micro_function(e, dtype, t->rows[i], t->vectors, false);
        for (uint32_t v = 0; v < t->vectors; v++)
            if (need->masked[i][v]) fn[i][v] = micro_function(e, dtype, t->rows[i], v + 1, true);
    }
    return need->family = family_table(e, dtype, fn, need->pack ? pack_function(e, dtype) : NULL);
}
