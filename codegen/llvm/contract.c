/* contract.c - contractions: the pieces that runtime/gemm.c puts its loops around.
 *
 * A kernel's K_contract inst multiplies a, of (batch, row, depth), by b, of (batch, depth, column). An operand that is
 * a plain load whose address is linear in the flat row (column) and in the flat depth needs no code but its strides;
 * any other gets a packing function: the image side of a convolution, gathered rows, work fused in front. The result
 * goes to memory directly, or tile by tile through an epilogue that runs the rest of the body.
 *
 *   at(batch, offset)                   element offsets of what is linear
 *   pack(batch, i0, i1, dst, width)     a panel of rows or columns [i0, i1), all of the depth
 *   epilogue(batch, m0, m1, n0, n1, tile, ld)
 */
#include "codegen/llvm/contract.h"

/* As gemm.c: with no more, a b with adjacent columns is not packed. */
enum { FEW_ROWS = 64 };

/* ---- linear operands ------------------------------------------------------------------------------------------------ */

/* Does the address use a value that the body computes? */
static bool uses_values(const Kernel *k, Dim *d)
{
    for (uint32_t t = 0; t < d->nterms; t++) {
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *a = d->term[t].atom[j];
            if (a->kind != ATOM_SYM ? uses_values(k, a->a) || uses_values(k, a->b) : kernel_index_inst(k, a) != NO_INST) return true;
        }
    }
    return false;
}

/* The address with the axes of a role at 0. */
static Dim *without(const Kernel *k, Dim *d, AxisRole role)
{
    Axes x = axes_of(k, role);
    for (uint32_t i = 0; i < x.n; i++) {
        const Atom *var = dim_as_sym(k->axes.at[x.axis[i]].var);
        Dim *zero = dim_const(k->module, 0);
        if (!(d = dim_subst(k->module, d, 1, &var, &zero))) return NULL;
    }
    return d;
}

/* Strides over the flat indices of two roles, and the rest: the offset for the batch. */
typedef struct Linear { Dim *outer, *inner, *rest; } Linear;

static bool linear(const Kernel *k, Dim *at, AxisRole outer, AxisRole inner, Linear *l)
{
    if (uses_values(k, at)) return false;
    l->outer = kernel_flat_stride(k, at, outer);
    l->inner = kernel_flat_stride(k, at, inner);
    if (!l->outer || !l->inner) return false;
    l->rest = without(k, at, outer);
    if (l->rest) l->rest = without(k, l->rest, inner);
    return l->rest != NULL;
}

/* Is the operand an unconditional load of linear address? */
static bool linear_operand(const Contract *c, bool is_b, Linear *l)
{
    const Inst *in = &c->k->body.at[arg_of(c, is_b)];
    if (in->kind != K_load || in->pred != NO_INST || in->dtype != c->dtype) return false;
    return linear(c->k, in->at, role_of(is_b), AXIS_DEPTH, l);
}

/* Does it use a symbol of the call, rather than axes and values of the body (which have an extent)? */
static bool uses_symbols(Dim *d)
{
    for (uint32_t t = 0; t < d->nterms; t++) {
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *a = d->term[t].atom[j];
            if (a->kind != ATOM_SYM ? uses_symbols(a->a) || uses_symbols(a->b) : !a->extent) return true;
        }
    }
    return false;
}

/* The same at every call, until params change: made of constant operands by addresses without symbols. */
static bool is_constant(const Contract *c, bool is_b)
{
    bool *need = insts_behind(c, arg_of(c, is_b));
    for (uint32_t i = 0; i < c->k->body.n; i++) {
        const Inst *in = &c->k->body.at[i];
        if (!need[i]) continue;
        if (in->kind == K_rng || in->kind == K_check || (in->kind == K_load && !c->k->operands.at[in->operand].constant)) return false;
        if (in->at && uses_symbols(in->at)) return false;
    }
    return true;
}

/* ---- loops ------------------------------------------------------------------------------------------------------------- */

static LLVMValueRef emit_at(Contract *c, Dim *const offset[3])
{
    Emit *e = c->e;
    Point *entry;
    bool any = false;
    for (int i = 0; i < 3; i++) any |= offset[i] && !dim_equals(offset[i], 0);
    if (!any) return NULL;
    Point *p = begin_function(c, "at", (LLVMTypeRef[]){e->ptr}, 1, &entry);
    LLVMValueRef f = e->function;
    for (int i = 0; i < 3; i++) {
        LLVMValueRef value = offset[i] ? emit_dim(e, p, offset[i]) : emit_i64(e, 0);
        emit_store(e, DT_i64, value, emit_element(e, e->i64, LLVMGetParam(f, 2), emit_i64(e, i)), NULL);
    }
    LLVMBuildRetVoid(e->builder);
    return f;
}

/* ---- epilogue ---------------------------------------------------------------------------------------------------------------- */

typedef struct Epilogue {
    Contract    *c;
    LLVMValueRef tile;              /* the present row's first element of the run */
} Epilogue;

static void epilogue_stores(void *user, Point **at, uint32_t n, LLVMValueRef first)
{
    Epilogue *x = user;
    Contract *c = x->c;
    Emit *e = c->e;
    for (uint32_t v = 0; v < n; v++) {
        LLVMValueRef i = LLVMBuildAdd(e->builder, first, emit_i64(e, (int64_t)v * at[v]->lanes), "");
        LLVMValueRef from = emit_element(e, emit_type(e, c->dtype), x->tile, i);
        emit_set(at[v], c->inst, emit_load(e, c->dtype, from, at[v]->lanes, at[v]->mask));
        emit_checks(e, at[v]);
        for (uint32_t s = 0; s < c->k->stores.n; s++) emit_kstore(e, at[v], &c->k->stores.at[s]);
    }
}

/* Insts that the epilogue computes: what stores need, up to the contraction, and the checks it can make. */
static bool *epilogue_insts(const Contract *c)
{
    const Kernel *k = c->k;
    bool *need = arena_array(c->e->arena, bool, k->body.n + 1);
    uint64_t depth = axes_of(k, AXIS_DEPTH).bits;
    for (uint32_t i = 0; i < k->stores.n; i++) need[k->stores.at[i].inst] = true;
    for (uint32_t i = 0; i < k->body.n; i++) need[i] |= k->body.at[i].kind == K_check && !(c->info->axes[i] & depth);
    for (uint32_t i = k->body.n; i-- > 0;) {
        if (!need[i] || i == c->inst) continue;
        for (uint32_t j = 0; j < c->info->needs[i].n; j++) need[c->info->needs[i].at[j]] = true;
    }
    return need;
}

static LLVMValueRef emit_epilogue(Contract *c)
{
    Emit *e = c->e;
    LLVMBuilderRef B = e->builder;
    const bool *need = epilogue_insts(c);
    Axes rows = merged_axes(c, AXIS_ROW, need, true), columns = merged_axes(c, AXIS_COLUMN, need, true);
    Point *entry, *at = begin_function(c, "epilogue", (LLVMTypeRef[]){e->i64, e->i64, e->i64, e->i64, e->ptr, e->i64}, 6, &entry);
    LLVMValueRef f = e->function, m0 = LLVMGetParam(f, 2), m1 = LLVMGetParam(f, 3), n0 = LLVMGetParam(f, 4), n1 = LLVMGetParam(f, 5);
    LLVMValueRef row[POINT_AXES], column[POINT_AXES];
    at = point_inner(e, at);
    set_zeros(e, at, &rows), set_zeros(e, at, &columns);
    if (rows.n) split_flat(e, at, &rows, m0, row);
    if (columns.n) split_flat(e, at, &columns, n0, column);
    Loop l;
    loop_begin(e, &l, m0, m1, emit_i64(e, 1), rows.n, row);
    Point *p = point_inner(e, at);
    for (uint32_t i = 0; i < rows.n; i++) point_set(p, rows.axis[i], l.carried[i]);
    LLVMValueRef line = LLVMBuildMul(B, LLVMBuildSub(B, l.i, m0, ""), LLVMGetParam(f, 7), "");
    Runs r;
    runs_begin(e, &r, p, &columns, n0, n1, column);
    Epilogue x = {c, emit_element(e, emit_type(e, c->dtype), LLVMGetParam(f, 6), LLVMBuildAdd(B, line, r.at, ""))};
    if (columns.n) {
        vector_run(c, r.point, columns.axis[columns.n - 1], columns.extent[columns.n - 1], r.first, r.n, 1, epilogue_stores, &x);
    } else {
        Point *alone = point_inner(e, r.point);
        epilogue_stores(&x, &alone, 1, emit_i64(e, 0));
    }
    runs_end(e, &r);
    LLVMValueRef next[POINT_AXES];
    if (rows.n) advance(e, p, &rows, l.carried, emit_i64(e, 1), next);
    loop_end(e, &l, next);
    LLVMBuildRetVoid(B);
    return f;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

/* Where C can be stored by the micro-kernels themselves: its only use is one store, columns adjacent. */
static bool direct_store(const Contract *c, Linear *l)
{
    const KStore *s = &c->k->stores.at[0];
    if (c->k->stores.n != 1 || s->inst != c->inst || c->k->operands.at[s->operand].dtype != c->dtype) return false;
    if (!linear(c->k, s->at, AXIS_ROW, AXIS_COLUMN, l)) return false;
    return dim_equals(l->inner, 1) || !axes_of(c->k, AXIS_COLUMN).n;
}

static bool not_one(Dim *d) { return !dim_equals(d, 1); }

bool contract_emit(Emit *e, const Kernel *k, ContractCode *out, const char **error)
{
    Contract c = {.e = e, .k = k, .info = kernel_info(e->arena, k), .inst = NO_INST};
    for (uint32_t i = 0; i < k->body.n; i++)
        if (k->body.at[i].kind == K_contract) c.inst = i;
    if (c.inst == NO_INST || k->stores.n == 0) {
        *error = arena_printf(e->arena, "%s: a contraction without a product or a store", k->name);
        return false;
    }
    c.dtype = k->body.at[c.inst].dtype;
    if (c.dtype != DT_f32 && c.dtype != DT_f64) {
        *error = arena_printf(e->arena, "%s: contractions of %s are not supported in compiled code yet", k->name, dtype_name(c.dtype));
        return false;
    }
    c.lanes = target_lanes(e->target, c.dtype);
    *out = (ContractCode){.dtype = c.dtype, .a_operand = -1, .b_operand = -1, .c_operand = -1};
    out->batch = kernel_extent(k, AXIS_BATCH), out->m = kernel_extent(k, AXIS_ROW);
    out->n = kernel_extent(k, AXIS_COLUMN), out->k = kernel_extent(k, AXIS_DEPTH);
    if (!out->batch || !out->m || !out->n || !out->k) {
        *error = arena_printf(e->arena, "%s: its sizes overflow", k->name);
        return false;
    }

    Dim *offset[3] = {NULL, NULL, NULL};
    Linear a, b, store;
    uint64_t batch = axes_of(k, AXIS_BATCH).bits;
    out->a_batched = c.info->axes[arg_of(&c, false)] & batch;
    out->b_batched = c.info->axes[arg_of(&c, true)] & batch;
    bool packs = false;
    if (linear_operand(&c, false, &a)) {
        out->a_operand = (int32_t)k->body.at[arg_of(&c, false)].operand;
        out->a_m = a.outer, out->a_k = a.inner, offset[0] = a.rest;
        /* With its depth adjacent a is read in place as fast as from a packed copy. */
        out->a_constant = is_constant(&c, false) && not_one(a.inner) && not_one(out->k);
        packs |= not_one(a.inner) && !out->a_constant;
    } else {
        out->pack_a = emit_pack(&c, false, &out->a_by_rows);
        out->a_constant = is_constant(&c, false);
    }
    if (linear_operand(&c, true, &b)) {
        out->b_operand = (int32_t)k->body.at[arg_of(&c, true)].operand;
        out->b_n = b.outer, out->b_k = b.inner, offset[1] = b.rest;
        out->b_constant = is_constant(&c, true);
        packs |= !out->b_constant && ((not_one(b.outer) && not_one(out->n)) || out->m->hi > FEW_ROWS);
    } else {
        bool by_rows;
        out->pack_b = emit_pack(&c, true, &by_rows);
        out->b_constant = is_constant(&c, true);
    }
    if (direct_store(&c, &store)) {
        out->c_operand = (int32_t)k->stores.at[0].operand;
        out->c_m = store.outer, offset[2] = store.rest;
    } else {
        out->epilogue = emit_epilogue(&c);
    }
    out->at = emit_at(&c, offset);
    micro_need(e, c.dtype, k->module, out->m, out->n, packs);
    *error = e->error;
    return !e->error;
}
