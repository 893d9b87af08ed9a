/* artefact_tables.c - a program as the constant tables of runtime/rt.h, in the LLVM module of its kernels.
 *
 * A table is filled as the C struct it is; its pointers are noted beside it, and become relocations. So the layout is the
 * compiler's own, and there is no second description of it.
 */
#include <string.h>

#include "codegen/artefact.h"
#include "codegen/fuse.h"
#include "runtime/internal.h"

_Static_assert((int)RT_f64 == (int)DT_f64 && (int)RT_f32 == (int)DT_f32 && (int)RT_f16 == (int)DT_f16 && (int)RT_bf16 == (int)DT_bf16 &&
                   (int)RT_i64 == (int)DT_i64 && (int)RT_i32 == (int)DT_i32 && (int)RT_i16 == (int)DT_i16 && (int)RT_i8 == (int)DT_i8 &&
                   (int)RT_u8 == (int)DT_u8 && (int)RT_bool == (int)DT_bool,
               "rt.h numbers dtypes as ir.h does");
_Static_assert((int)RT_EQ == (int)REL_EQ && (int)RT_NE == (int)REL_NE && (int)RT_LT == (int)REL_LT && (int)RT_LE == (int)REL_LE,
               "rt.h numbers relations as ir.h does");

typedef struct Tables {
    Emit           *e;
    Arena          *a;
    const Program  *p;
    const CodegenOptions *o;
    const KernelCode *code;
    Map            *bytes;              /* contents -> global, so that equal arrays and strings are one */
    Map            *kernels;            /* Kernel * -> KernelCode */
    Map            *prepared;           /* identity of a packed operand -> its number + 1 */
    const char     *error;
} Tables;

/* The polynomials of a function, and the lists of numbers of its steps. */
typedef struct Polys {
    Tables  *t;
    const Func *func;
    Map     *number;                    /* Dim * -> index + 1 */
    VEC(uint32_t) start;
    VEC(int64_t)  code;
    VEC(uint32_t) list;                 /* RtFunc.list */
} Polys;

static void fail(Tables *t, const char *error)
{
    if (!t->error) t->error = error;
}

/* ---- constants --------------------------------------------------------------------------------------------------------- */

static LLVMValueRef global(Tables *t, LLVMValueRef value, uint32_t align)
{
    LLVMValueRef g = LLVMAddGlobal(t->e->module, LLVMTypeOf(value), "");
    LLVMSetInitializer(g, value);
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(g, align);
    return g;
}

static LLVMValueRef byte_array(Tables *t, const void *p, size_t n)
{
    return LLVMConstStringInContext2(t->e->context, p, n, true);
}

/* A constant array without pointers; equal ones are one. No bytes: a null pointer. */
static LLVMValueRef array(Tables *t, const void *p, size_t n, uint32_t align)
{
    if (n == 0) return LLVMConstNull(t->e->ptr);
    char *key = arena_alloc(t->a, n + 1);
    memcpy(key, p, n);
    key[n] = (char)align;
    LLVMValueRef g = map_get(t->bytes, key, n + 1);
    if (g) return g;
    g = global(t, byte_array(t, p, n), align);
    map_set(t->bytes, key, n + 1, g);
    return g;
}

static LLVMValueRef string(Tables *t, const char *s)
{
    return s ? array(t, s, strlen(s) + 1, 1) : LLVMConstNull(t->e->ptr);
}

/* Structs with pointers, one behind the other. */
typedef struct Image {
    Tables *t;
    char   *at;
    size_t  n, item;
    VEC(struct Pointer { size_t at; LLVMValueRef to; }) pointers;   /* ascending */
} Image;

static Image image_new(Tables *t, uint32_t n, size_t item)
{
    return (Image){.t = t, .at = arena_alloc_array(t->a, n ? n : 1, item), .n = n * item, .item = item};
}

static void image_pointer(Image *im, const void *field, LLVMValueRef to)
{
    vec_push(im->t->a, &im->pointers, ((struct Pointer){(size_t)((const char *)field - im->at), to}));
}

/* Its global: a packed struct of bytes and pointers. Pointers have to be noted in ascending order. */
static LLVMValueRef image_global(Image *im)
{
    Tables *t = im->t;
    if (im->n == 0) return LLVMConstNull(t->e->ptr);
    LLVMValueRef *part = arena_array(t->a, LLVMValueRef, 2 * im->pointers.n + 1);
    uint32_t n = 0;
    size_t done = 0;
    for (uint32_t i = 0; i < im->pointers.n; i++) {
        size_t at = im->pointers.at[i].at;
        if (at > done) part[n++] = byte_array(t, im->at + done, at - done);
        part[n++] = im->pointers.at[i].to;
        done = at + sizeof(void *);
    }
    if (im->n > done) part[n++] = byte_array(t, im->at + done, im->n - done);
    return global(t, LLVMConstStructInContext(t->e->context, part, n, true), 16);
}

/* An array of pointers. */
static LLVMValueRef pointers(Tables *t, const LLVMValueRef *p, uint32_t n)
{
    if (n == 0) return LLVMConstNull(t->e->ptr);
    return global(t, LLVMConstArray2(t->e->ptr, (LLVMValueRef *)(uintptr_t)p, n), 8);
}

static LLVMValueRef or_null(Tables *t, LLVMValueRef v)
{
    return v ? v : LLVMConstNull(t->e->ptr);
}

/* ---- polynomials ----------------------------------------------------------------------------------------------------------- */

/* Code that leaves d's value on the stack, with `below` values under it. */
static void dim_code(Polys *ps, Dim *d, uint32_t below);

static void push_code(Polys *ps, int64_t op)
{
    vec_push(ps->t->a, &ps->code, op);
}

static void atom_code(Polys *ps, const Atom *atom, uint32_t below)
{
    static const uint8_t op[] = {[ATOM_FLOORDIV] = RT_FLOORDIV, [ATOM_MOD] = RT_MOD, [ATOM_MIN] = RT_MIN, [ATOM_MAX] = RT_MAX};
    if (below + 2 > RT_STACK) {
        fail(ps->t, "a dim is nested too deeply");
        return;
    }
    if (atom->kind != ATOM_SYM) {
        dim_code(ps, atom->a, below);
        dim_code(ps, atom->b, below + 1);
        push_code(ps, op[atom->kind]);
        return;
    }
    for (uint32_t i = 0; i < ps->func->dims.n; i++)
        if (dim_as_sym(ps->func->dims.at[i]) == atom) {
            push_code(ps, RT_SYM);
            push_code(ps, i);
            return;
        }
    fail(ps->t, arena_printf(ps->t->a, "%s: the dim %s is not one of its arguments", ps->func->name, atom->name));
}

static void term_code(Polys *ps, const Term *term, uint32_t below)
{
    bool any = false;
    if (term->coef != 1 || term->natoms == 0) {
        push_code(ps, RT_CONST);
        push_code(ps, term->coef);
        any = true;
    }
    for (uint32_t i = 0; i < term->natoms; i++) {
        atom_code(ps, term->atom[i], below + any);
        if (any) push_code(ps, RT_MUL);
        any = true;
    }
}

static void dim_code(Polys *ps, Dim *d, uint32_t below)
{
    if (d->nterms == 0) {
        push_code(ps, RT_CONST);
        push_code(ps, 0);
    }
    for (uint32_t i = 0; i < d->nterms; i++) {
        term_code(ps, &d->term[i], below + (i > 0));
        if (i > 0) push_code(ps, RT_ADD);
    }
}

/* The number of a polynomial over the function's dims. NULL (an overflow): noted as a failure. */
static uint32_t poly(Polys *ps, Dim *d)
{
    if (!d) {
        fail(ps->t, arena_printf(ps->t->a, "%s: a size overflows", ps->func->name));
        return 0;
    }
    void *known = map_get(ps->number, &d, sizeof d);
    if (known) return (uint32_t)(uintptr_t)known - 1;
    vec_push(ps->t->a, &ps->start, ps->code.n);
    dim_code(ps, d, 0);
    push_code(ps, RT_END);
    map_set(ps->number, &d, sizeof d, (void *)(uintptr_t)ps->start.n);
    return ps->start.n - 1;
}

/* A polynomial of a kernel at a step, over the function's dims. */
static Dim *at_step(const Step *s, Dim *d)
{
    return d ? dim_subst(s->kernel->module, d, s->kernel->syms.n, s->kernel->syms.at, s->dim) : NULL;
}

static uint32_t step_poly(Polys *ps, const Step *s, Dim *d)
{
    return poly(ps, at_step(s, d));
}

/* ---- contractions ------------------------------------------------------------------------------------------------------------ */

static bool is_number(const Step *s, Dim *d)
{
    int64_t v;
    Dim *at = d ? at_step(s, d) : NULL;
    return !d || (at && dim_is_const(at, &v));
}

/* Which packed operand this is: the kernel, the side, and every constant that the kernel sees. -1: its sizes are open. */
static int32_t prepared_slot(Tables *t, const ProgramFunc *f, const Step *s, const ContractCode *c, bool is_b)
{
    Dim *const need[] = {c->k, is_b ? c->n : c->m, is_b ? c->b_n : c->a_m, is_b ? c->b_k : c->a_k,
                         (is_b ? c->b_batched : c->a_batched) ? c->batch : NULL};
    for (size_t i = 0; i < COUNT(need); i++)
        if (!is_number(s, need[i])) return -1;
    Str key = {.arena = t->a};
    str_fmt(&key, "%p %d", (const void *)s->kernel, is_b);
    for (uint32_t i = 0; i < s->kernel->operands.n; i++) {
        const Buffer *b = &f->buffers.at[s->buffer[i]];
        if (b->kind == BUFFER_PARAM) str_fmt(&key, " %u:p%u", i, b->index);
        if (b->kind == BUFFER_CONST) str_fmt(&key, " %u:c%p", i, b->data);
    }
    void *known = map_get(t->prepared, key.at, key.n);
    if (!known) {
        known = (void *)(uintptr_t)(map_count(t->prepared) + 1);
        map_set(t->prepared, key.at, key.n, known);
    }
    return (int32_t)(uintptr_t)known - 1;
}

static LLVMValueRef external(Tables *t, const char *name, bool hidden)
{
    LLVMValueRef f = LLVMGetNamedFunction(t->e->module, name);
    if (f) return f;
    f = LLVMAddFunction(t->e->module, name, LLVMFunctionType(t->e->void_, NULL, 0, true));
    if (hidden) LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

static LLVMValueRef contract(Polys *ps, const ProgramFunc *f, const Step *s, const ContractCode *c)
{
    Tables *t = ps->t;
    const char *error = NULL;
    LLVMValueRef micro = micro_family(t->e, c->dtype, &error);
    if (!micro) fail(t, error);
    Image im = image_new(t, 1, sizeof(RtContract));
    RtContract *r = (RtContract *)(void *)im.at;
    Dim *zero = dim_const(s->kernel->module, 0);
    *r = (RtContract){
        .batch = step_poly(ps, s, c->batch), .m = step_poly(ps, s, c->m), .n = step_poly(ps, s, c->n), .k = step_poly(ps, s, c->k),
        .a_operand = c->a_operand, .b_operand = c->b_operand, .a_batched = c->a_batched, .b_batched = c->b_batched,
        .a_by_rows = c->a_by_rows,
        .a_m = step_poly(ps, s, c->a_m ? c->a_m : zero), .a_k = step_poly(ps, s, c->a_k ? c->a_k : zero),
        .b_n = step_poly(ps, s, c->b_n ? c->b_n : zero), .b_k = step_poly(ps, s, c->b_k ? c->b_k : zero),
        .prepared_a = c->a_constant ? prepared_slot(t, f, s, c, false) : -1,
        .prepared_b = c->b_constant ? prepared_slot(t, f, s, c, true) : -1,
        .c_operand = c->c_operand, .c_m = step_poly(ps, s, c->c_m ? c->c_m : zero),
    };
    image_pointer(&im, &r->micro, or_null(t, micro));
    image_pointer(&im, &r->at, or_null(t, c->at));
    image_pointer(&im, &r->pack_a, or_null(t, c->pack_a));
    image_pointer(&im, &r->pack_b, or_null(t, c->pack_b));
    image_pointer(&im, &r->epilogue, or_null(t, c->epilogue));
    const char *cblas = !t->o->blas ? NULL : c->dtype == DT_f32 ? "cblas_sgemm" : c->dtype == DT_f64 ? "cblas_dgemm" : NULL;
    image_pointer(&im, &r->blas, or_null(t, cblas ? external(t, "dlc_rt_blas", true) : NULL));
    image_pointer(&im, &r->cblas, or_null(t, cblas ? external(t, cblas, false) : NULL));
    return image_global(&im);
}

/* ---- a function's parts -------------------------------------------------------------------------------------------------------- */

static LLVMValueRef dim_numbers(Polys *ps, Dim *const *d, uint32_t n)
{
    uint32_t *number = arena_array(ps->t->a, uint32_t, n ? n : 1);
    for (uint32_t i = 0; i < n; i++) number[i] = poly(ps, d[i]);
    return array(ps->t, number, n * sizeof *number, 4);
}

static LLVMValueRef steps(Polys *ps, const ProgramFunc *f)
{
    Tables *t = ps->t;
    Image im = image_new(t, f->steps.n, sizeof(RtStep));
    for (uint32_t i = 0; i < f->steps.n; i++) {
        const Step *s = &f->steps.at[i];
        const KernelCode *c = map_get(t->kernels, &s->kernel, sizeof s->kernel);
        Dim *zero = dim_const(s->kernel->module, 0);
        bool contraction = s->kernel->class == KERNEL_CONTRACT;
        RtStep *r = (RtStep *)(void *)im.at + i;
        *r = (RtStep){
            .kind = contraction ? RT_STEP_CONTRACT : RT_STEP_KERNEL,
            .nbuf = s->kernel->operands.n, .ndim = s->kernel->syms.n, .split = c->split ? c->split : 1,
            .items = step_poly(ps, s, c->items ? c->items : zero), .work = step_poly(ps, s, c->work ? c->work : zero),
            .scratch = step_poly(ps, s, c->scratch ? c->scratch : zero), .list = ps->list.n,
        };
        for (uint32_t k = 0; k < r->nbuf; k++) vec_push(t->a, &ps->list, s->buffer[k]);
        for (uint32_t k = 0; k < r->ndim; k++) vec_push(t->a, &ps->list, poly(ps, s->dim[k]));
        image_pointer(&im, &r->fn, or_null(t, contraction ? NULL : c->fn));
        image_pointer(&im, &r->contract, contraction ? contract(ps, f, s, &c->contract) : LLVMConstNull(t->e->ptr));
    }
    return image_global(&im);
}

static LLVMValueRef buffers(Polys *ps, const ProgramFunc *f)
{
    static const uint8_t kind[] = {[BUFFER_INPUT] = RT_BUF_INPUT, [BUFFER_OUTPUT] = RT_BUF_OUTPUT, [BUFFER_PARAM] = RT_BUF_PARAM,
                                   [BUFFER_CONST] = RT_BUF_CONST, [BUFFER_WORK] = RT_BUF_WORK};
    Tables *t = ps->t;
    Image im = image_new(t, f->buffers.n, sizeof(RtBuffer));
    for (uint32_t i = 0; i < f->buffers.n; i++) {
        const Buffer *b = &f->buffers.at[i];
        RtBuffer *r = (RtBuffer *)(void *)im.at + i;
        *r = (RtBuffer){
            .kind = b->seed ? RT_BUF_SEED : b->step ? RT_BUF_STEP : kind[b->kind], .index = b->index, .dtype = b->dtype,
            .count = poly(ps, b->count), .offset = b->offset, .first = b->first, .last = b->last, .shares = b->shares,
        };
        int64_t count;
        if (b->kind == BUFFER_CONST && dim_is_const(b->count, &count))
            image_pointer(&im, &r->data, array(t, b->data, (size_t)count * dtype_size(b->dtype), RT_ALIGN));
    }
    return image_global(&im);
}

/* For each result of init: 0, or one more than the highest level of the params that it is computed from. */
static uint32_t *init_levels(Tables *t, const Func *f)
{
    uint32_t *level = arena_array(t->a, uint32_t, f->results.n + 1), n = 0;
    uint32_t *param = arena_array(t->a, uint32_t, t->p->module->params.n + 1);      /* 1 + level of a param that init gives */
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (f->body.nodes.at[i]->id >= n) n = f->body.nodes.at[i]->id + 1;
    uint32_t *node = arena_array(t->a, uint32_t, n + 1);
    bool changed = true;
    for (uint32_t round = 0; changed && round <= f->results.n; round++) {
        changed = false;
        for (uint32_t i = 0; i < f->body.nodes.n; i++) {
            const Node *x = f->body.nodes.at[i];
            uint32_t most = 0;
            if (x->op == OP_arg && f->args.at[x->attr.arg].role == ARG_PARAM) {
                most = param[f->args.at[x->attr.arg].param->index];
                if (!most) most = 1;                    /* one that must be loaded */
            }
            for (uint32_t k = 0; k < x->nargs; k++)
                if (node[x->arg[k]->id] > most) most = node[x->arg[k]->id];
            node[x->id] = most;
        }
        for (uint32_t i = 0; i < f->results.n; i++) {
            const Result *r = &f->results.at[i];
            uint32_t now = node[r->node->id];
            if (r->param && param[r->param->index] != now + 1) param[r->param->index] = now + 1, changed = true;
            level[i] = now;
        }
    }
    if (changed) fail(t, "initial values depend on each other in a circle");
    return level;
}

static LLVMValueRef inputs(Polys *ps, const Func *f, uint32_t *n)
{
    Tables *t = ps->t;
    *n = 0;
    for (uint32_t i = 0; i < f->args.n; i++) *n += f->args.at[i].role == ARG_INPUT;
    Image im = image_new(t, *n, sizeof(RtTensor));
    for (uint32_t i = 0, k = 0; i < f->args.n; i++) {
        const Arg *arg = &f->args.at[i];
        if (arg->role != ARG_INPUT) continue;
        const Type *type = arg->node->type;
        RtTensor *r = (RtTensor *)(void *)im.at + k++;
        *r = (RtTensor){.dtype = type->dtype, .rank = type->rank, .param = -1, .limit = arg->is_index ? poly(ps, arg->limit) : UINT32_MAX};
        image_pointer(&im, &r->name, string(t, arg->name));
        image_pointer(&im, &r->dim, dim_numbers(ps, type->dim, type->rank));
    }
    return image_global(&im);
}

static LLVMValueRef outputs(Polys *ps, const Func *f, bool init)
{
    Tables *t = ps->t;
    uint32_t *level = init ? init_levels(t, f) : NULL;
    Image im = image_new(t, f->results.n, sizeof(RtTensor));
    for (uint32_t i = 0; i < f->results.n; i++) {
        const Result *result = &f->results.at[i];
        const Type *type = result->node->type;
        RtTensor *r = (RtTensor *)(void *)im.at + i;
        *r = (RtTensor){.dtype = type->dtype, .rank = type->rank, .param = result->param ? (int32_t)result->param->index : -1,
                        .limit = UINT32_MAX, .level = level ? level[i] : 0};
        image_pointer(&im, &r->name, string(t, result->name ? result->name : "out"));
        image_pointer(&im, &r->dim, dim_numbers(ps, type->dim, type->rank));
    }
    return image_global(&im);
}

static const char *place_text(Tables *t, Span at)
{
    const Diags *d = t->p->module->diags;
    uint32_t line, column;
    if (!d || at.file == 0 || at.file > d->sources.n) return t->p->module->name;
    diag_position(d, at, &line, &column);
    const char *path = d->sources.at[at.file - 1].path, *slash = strrchr(path, '/');
    return arena_printf(t->a, "%s:%u", slash ? slash + 1 : path, line);
}

static LLVMValueRef requirements(Polys *ps, const Func *f)
{
    Tables *t = ps->t;
    Image im = image_new(t, f->requires.n, sizeof(RtRequire));
    for (uint32_t i = 0; i < f->requires.n; i++) {
        const Require *q = &f->requires.at[i];
        RtRequire *r = (RtRequire *)(void *)im.at + i;
        *r = (RtRequire){.rel = q->rel, .a = poly(ps, q->a), .b = poly(ps, q->b)};
        image_pointer(&im, &r->text, string(t, q->text));
        image_pointer(&im, &r->where, string(t, place_text(t, q->span)));
    }
    return image_global(&im);
}

static LLVMValueRef guards(Tables *t, const ProgramFunc *f)
{
    Image im = image_new(t, f->guards.n, sizeof(RtGuard));
    for (uint32_t i = 0; i < f->guards.n; i++) {
        RtGuard *r = (RtGuard *)(void *)im.at + i;
        r->buf = f->guards.at[i];
        image_pointer(&im, &r->what, string(t, f->func->guards.at[i].what));
    }
    return image_global(&im);
}

static LLVMValueRef params_changed(Tables *t, const Func *f, uint32_t *n)
{
    uint32_t *index = arena_array(t->a, uint32_t, f->results.n + 1);
    *n = 0;
    for (uint32_t i = 0; i < f->results.n; i++)
        if (f->results.at[i].param && !result_unchanged(f, &f->results.at[i])) index[(*n)++] = f->results.at[i].param->index;
    return array(t, index, *n * sizeof *index, 4);
}

static LLVMValueRef params_read(Tables *t, const ProgramFunc *f, uint32_t *n)
{
    uint32_t *index = arena_array(t->a, uint32_t, f->buffers.n + 1);
    *n = 0;
    for (uint32_t i = 0; i < f->buffers.n; i++)
        if (f->buffers.at[i].kind == BUFFER_PARAM) index[(*n)++] = f->buffers.at[i].index;
    return array(t, index, *n * sizeof *index, 4);
}

static void function(Tables *t, Image *im, RtFunc *r, const ProgramFunc *f, bool init)
{
    const Func *func = f->func;
    Polys ps = {.t = t, .func = func, .number = map_new(t->a)};
    LLVMValueRef *dim = arena_array(t->a, LLVMValueRef, func->dims.n + 1), *site = arena_array(t->a, LLVMValueRef, f->sites.n + 1);
    int64_t *bound = arena_array(t->a, int64_t, func->dims.n + 1);
    for (uint32_t i = 0; i < func->dims.n; i++) {
        const Atom *sym = dim_as_sym(func->dims.at[i]);
        dim[i] = string(t, sym->name);
        bound[i] = sym->hi;
    }
    for (uint32_t i = 0; i < f->sites.n; i++) site[i] = string(t, f->sites.at[i].text);
    *r = (RtFunc){.ndims = func->dims.n, .noutputs = func->results.n, .nrequires = func->requires.n, .nbufs = f->buffers.n,
                  .nsteps = f->steps.n, .nsites = f->sites.n, .work = f->work, .commit = f->commit, .nguards = f->guards.n};
    for (uint32_t i = 0; i < func->args.n; i++) r->draws |= func->args.at[i].role == ARG_STEP;
    LLVMValueRef input = inputs(&ps, func, &r->ninputs), output = outputs(&ps, func, init), require = requirements(&ps, func);
    LLVMValueRef buf = buffers(&ps, f), step = steps(&ps, f), param = params_read(t, f, &r->nparams);
    LLVMValueRef guard = guards(t, f), changed = params_changed(t, func, &r->nchanged);
    r->npolys = ps.start.n;

    image_pointer(im, &r->name, string(t, func->name));
    image_pointer(im, &r->doc, string(t, func->doc));
    image_pointer(im, &r->dim, pointers(t, dim, func->dims.n));
    image_pointer(im, &r->input, input);
    image_pointer(im, &r->output, output);
    image_pointer(im, &r->require, require);
    image_pointer(im, &r->poly, array(t, ps.start.at, ps.start.n * sizeof *ps.start.at, 4));
    image_pointer(im, &r->code, array(t, ps.code.at, ps.code.n * sizeof *ps.code.at, 8));
    image_pointer(im, &r->buf, buf);
    image_pointer(im, &r->step, step);
    image_pointer(im, &r->list, array(t, ps.list.at, ps.list.n * sizeof *ps.list.at, 4));
    image_pointer(im, &r->site, pointers(t, site, f->sites.n));
    image_pointer(im, &r->param, param);
    image_pointer(im, &r->bound, array(t, bound, func->dims.n * sizeof *bound, 8));
    image_pointer(im, &r->guard, guard);
    image_pointer(im, &r->changed, changed);
}

/* ---- the model --------------------------------------------------------------------------------------------------------------- */

static LLVMValueRef params(Tables *t, const Module *m)
{
    Image im = image_new(t, m->params.n, sizeof(RtParam));
    for (uint32_t i = 0; i < m->params.n; i++) {
        const Param *p = m->params.at[i];
        int64_t *dim = arena_array(t->a, int64_t, p->type->rank + 1);
        LLVMValueRef *alias = arena_array(t->a, LLVMValueRef, p->aliases.n + 1);
        for (uint32_t k = 0; k < p->type->rank; k++)
            if (!dim_is_const(p->type->dim[k], &dim[k])) fail(t, arena_printf(t->a, "%s: its shape is not known", p->path));
        for (uint32_t k = 0; k < p->aliases.n; k++) alias[k] = string(t, p->aliases.at[k]);
        RtParam *r = (RtParam *)(void *)im.at + i;
        *r = (RtParam){.dtype = p->type->dtype, .rank = p->type->rank, .state = p->state, .must_load = p->must_load,
                       .naliases = p->aliases.n};
        image_pointer(&im, &r->path, string(t, p->path));
        image_pointer(&im, &r->dim, array(t, dim, p->type->rank * sizeof *dim, 8));
        image_pointer(&im, &r->alias, pointers(t, alias, p->aliases.n));
    }
    return image_global(&im);
}

LLVMValueRef artefact_tables(Emit *e, const Program *p, const CodegenOptions *o, const KernelCode *code, const char **error)
{
    Tables t = {.e = e, .a = e->arena, .p = p, .o = o, .code = code, .bytes = map_new(e->arena), .kernels = map_new(e->arena),
                .prepared = map_new(e->arena)};
    for (uint32_t i = 0; i < p->kernels.n; i++) map_set(t.kernels, &p->kernels.at[i], sizeof p->kernels.at[i], (void *)(uintptr_t)&code[i]);
    Image funcs = image_new(&t, p->funcs.n, sizeof(RtFunc)), im = image_new(&t, 1, sizeof(RtModel));
    int32_t init = -1;
    for (uint32_t i = 0; i < p->funcs.n; i++) {
        bool is_init = gives_initial_values(p->funcs.at[i]->func);
        if (is_init) init = (int32_t)i;
        function(&t, &funcs, (RtFunc *)(void *)funcs.at + i, p->funcs.at[i], is_init);
    }
    LLVMValueRef param = params(&t, p->module);
    RtModel *r = (RtModel *)(void *)im.at;
    *r = (RtModel){.abi = RT_ABI, .nfuncs = p->funcs.n, .nparams = p->module->params.n, .nprepared = map_count(t.prepared), .init = init};
    image_pointer(&im, &r->name, string(&t, p->module->name));
    image_pointer(&im, &r->target, string(&t, e->target->name));
    image_pointer(&im, &r->features, string(&t, e->target->features));
    image_pointer(&im, &r->func, image_global(&funcs));
    image_pointer(&im, &r->param, param);
    *error = t.error;
    return t.error ? NULL : image_global(&im);
}
