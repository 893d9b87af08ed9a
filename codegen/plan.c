/* plan.c - the memory plan of one function: when each work buffer lives, which takes over the storage of one that dies,
 * and where it lies in the workspace.
 *
 * In place: an operand that is read for the last time by the step that writes a buffer of the same size may give its
 * storage to it, if every load of it in that kernel reads just the element that is stored. Offsets are given by
 * base/pack.c: here where sizes are numbers, in the artefact's runtime, at capacity, where they are not.
 */
#include "base/pack.h"
#include "base/size.h"
#include "codegen/fuse.h"

#include <string.h>

static void lifetimes(ProgramFunc *f)
{
    for (uint32_t i = 0; i < f->buffers.n; i++) f->buffers.at[i].first = UINT32_MAX, f->buffers.at[i].last = 0;
    for (uint32_t s = 0; s < f->steps.n; s++) {
        const Step *step = &f->steps.at[s];
        for (uint32_t o = 0; o < step->kernel->operands.n; o++) {
            Buffer *b = &f->buffers.at[step->buffer[o]];
            if (s < b->first) b->first = s;
            if (s > b->last) b->last = s;
        }
    }
    for (uint32_t i = 0; i < f->guards.n; i++) {        /* asked before the step `commit` */
        Buffer *b = &f->buffers.at[f->guards.at[i]];
        if (f->commit > b->last) b->last = f->commit;
    }
}

/* Insts that a contraction's operands are made of: read in an order of its own, again and again. */
static void mark_contracted(const Kernel *k, bool *contracted)
{
    for (uint32_t i = k->body.n; i-- > 0;) {
        const Inst *in = &k->body.at[i];
        if (!contracted[i] && in->kind != K_contract) continue;
        for (uint32_t a = 0; a < in->nargs; a++) contracted[in->arg[a]] = true;
        if (in->pred != NO_INST) contracted[in->pred] = true;
    }
}

bool kernel_reads_in_place(const Kernel *k, uint32_t operand, const KStore *store)
{
    bool contracted[MAX_INSTS] = {false};
    if (k->class == KERNEL_ROUTINE || k->body.n > MAX_INSTS) return false;
    if (k->class == KERNEL_CONTRACT) mark_contracted(k, contracted);
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        if (in->kind == K_load && in->operand == operand && (in->at != store->at || contracted[i])) return false;
    }
    return true;
}

/* The buffer whose storage b lies in. */
static uint32_t root_of(const ProgramFunc *f, uint32_t b)
{
    while (f->buffers.at[b].shares != NO_BUFFER) b = f->buffers.at[b].shares;
    return b;
}

static void take_over(ProgramFunc *f)
{
    for (uint32_t s = 0; s < f->steps.n; s++) {
        const Step *step = &f->steps.at[s];
        const Kernel *k = step->kernel;
        uint32_t written = step->buffer[k->operands.n - 1];
        Buffer *out = &f->buffers.at[written];
        if (out->kind != BUFFER_WORK || k->stores.n != 1 || out->first != s) continue;
        for (uint32_t o = 0; o + 1 < k->operands.n; o++) {
            const Buffer *in = &f->buffers.at[step->buffer[o]];
            if (in->kind != BUFFER_WORK || in->last != s || in->count != out->count) continue;
            if (dtype_size(in->dtype) != dtype_size(out->dtype) || !kernel_reads_in_place(k, o, &k->stores.at[0])) continue;
            out->shares = root_of(f, step->buffer[o]);
            f->buffers.at[out->shares].last = out->last;
            break;
        }
    }
}

/* Offsets by the compiler. false with *error NULL: some size is a symbol. */
static bool place(Arena *a, ProgramFunc *f, bool reuse, const char **error)
{
    Arena scratch = {0};
    PackItem *item = arena_array(&scratch, PackItem, f->buffers.n + 1);
    uint32_t *buffer = arena_array(&scratch, uint32_t, f->buffers.n + 1), n = 0;
    bool constant = true, ok = true;
    for (uint32_t i = 0; i < f->buffers.n && constant && ok; i++) {
        const Buffer *b = &f->buffers.at[i];
        if (b->kind != BUFFER_WORK || b->shares != NO_BUFFER) continue;
        int64_t count, bytes = 0;
        constant = dim_is_const(b->count, &count);
        if (!constant) break;
        ok = size_mul(count, (int64_t)dtype_size(b->dtype), &bytes);
        item[n] = (PackItem){bytes, b->first, b->last};
        if (!reuse) item[n].first_step = 0, item[n].last_step = f->steps.n;
        buffer[n++] = i;
    }
    if (ok && constant) {
        int64_t bytes = 0, *offset = arena_array(&scratch, int64_t, n + 1);
        ok = pack_scratch(n, &bytes) && pack(item, n, offset, &f->work, arena_alloc(&scratch, (size_t)bytes + 8));
        for (uint32_t i = 0; i < n && ok; i++) f->buffers.at[buffer[i]].offset = offset[i];
        for (uint32_t i = 0; i < f->buffers.n && ok; i++)
            if (f->buffers.at[i].shares != NO_BUFFER) f->buffers.at[i].offset = f->buffers.at[root_of(f, i)].offset;
    }
    if (!ok) *error = arena_printf(a, "%s: the workspace would exceed the address space", f->func->name);
    arena_free(&scratch);
    return ok && constant;
}

bool plan_memory(Arena *a, ProgramFunc *f, bool reuse, const char **error)
{
    for (uint32_t i = 0; i < f->buffers.n; i++) f->buffers.at[i].shares = NO_BUFFER, f->buffers.at[i].offset = -1;
    lifetimes(f);
    if (reuse) take_over(f);
    else
        for (uint32_t i = 0; i < f->buffers.n; i++) f->buffers.at[i].first = 0, f->buffers.at[i].last = f->steps.n;
    f->work = -1;
    *error = NULL;
    return place(a, f, reuse, error) || !*error;
}
