/* jit.c - see jit.h. */
#include "jit.h"

#include "runtime/gemm.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- memory that ends at a wall ---------------------------------------------------------------------- */

static struct { void *at; size_t n; } walls[4096];
static uint32_t nwalls;

void *guarded_alloc(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + page - 1) / page * page;
    char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || nwalls == COUNT(walls)) abort();
    mprotect(p + room, page, PROT_NONE);
    walls[nwalls].at = p;
    walls[nwalls++].n = room + page;
    memset(p, 0xA5, room);
    return p + room - n;
}

void guarded_free_all(void)
{
    while (nwalls) {
        nwalls--;
        munmap(walls[nwalls].at, walls[nwalls].n);
    }
}

/* ---- compiling ------------------------------------------------------------------------------------------ */

bool jit_can_run(const char *cpu)
{
    if (!strcmp(cpu, "x86-64-v4")) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
    if (!strcmp(cpu, "x86-64-v3")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}

bool jit_open(Arena *a, const Program *p, const char *cpu, Jit *j, const char **error)
{
    memset(j, 0, sizeof *j);
    double start = time_now();
    Emit *e = llvm_begin(a, &(CodegenOptions){.cpu = cpu}, "test", error);
    if (!e) return false;
    j->program = p;
    j->code = arena_array(a, KernelCode, p->kernels.n + 1);
    j->fn = arena_array(a, RtKernelFn *, p->kernels.n + 1);
    for (uint32_t i = 0; i < p->kernels.n; i++) {
        Program one = {.kernels = {&p->kernels.at[i], 1, 1}};
        if (!llvm_emit_kernels(e, &one, &j->code[i], error)) return false;
        const ContractCode *c = &j->code[i].contract;
        LLVMValueRef f[] = {j->code[i].fn, c->at, c->pack_a, c->pack_b, c->epilogue};
        for (size_t q = 0; q < COUNT(f); q++)
            if (f[q]) LLVMSetLinkage(f[q], LLVMExternalLinkage);
    }
    for (uint32_t i = 0; i < p->kernels.n; i++) {
        if (p->kernels.at[i]->class != KERNEL_CONTRACT) continue;
        LLVMValueRef family = micro_family(e, j->code[i].contract.dtype, error);
        if (!family) return false;
        LLVMSetLinkage(family, LLVMExternalLinkage);
    }
    const void *bytes;
    size_t n;
    if (getenv("JIT_IR")) LLVMDumpModule(e->module);
    if (!llvm_object(e, &bytes, &n, error)) {
        LLVMDumpModule(e->module);
        return false;
    }
    j->seconds = time_now() - start;
    char object[] = "/tmp/dlc-test-XXXXXX.o", library[] = "/tmp/dlc-test-XXXXXX.so";
    int fd = mkstemps(object, 2), fd2 = mkstemps(library, 3);
    if (fd < 0 || fd2 < 0 || write(fd, bytes, n) != (ssize_t)n) abort();
    close(fd);
    close(fd2);
    char *command = arena_printf(a, "ld -shared -o %s %s -lm", library, object);
    if (system(command)) abort();
    j->handle = dlopen(library, RTLD_NOW);
    if (!j->handle) {
        *error = arena_printf(a, "%s", dlerror());
        return false;
    }
    for (uint32_t i = 0; i < p->kernels.n; i++) {
        if (j->code[i].fn) *(void **)&j->fn[i] = dlsym(j->handle, p->kernels.at[i]->name);
    }
    if (getenv("JIT_KEEP")) fprintf(stderr, "%s\n", object);
    else unlink(object);
    unlink(library);
    llvm_end(e);
    return true;
}

void jit_close(Jit *j)
{
    dlclose(j->handle);
}

/* ---- running ------------------------------------------------------------------------------------------------ */

typedef struct Values { const Func *f; const int64_t *dims, *sym; } Values;

static bool lookup(void *user, const Atom *a, int64_t *v)
{
    const Values *x = user;
    if (a->scope == kernel_scope()) return *v = x->sym[strtoul(a->name + 1, NULL, 10)], true;
    for (uint32_t i = 0; x->f && i < x->f->dims.n; i++)
        if (dim_as_sym(x->f->dims.at[i]) == a) return *v = x->dims[i], true;
    return false;
}

static int64_t value_of(Dim *d, Values *x)
{
    int64_t v;
    if (!dim_value(d, lookup, x, &v)) abort();
    return v;
}

/* An RtContract's polys are numbered as its uint32_t fields. */
enum { POLY_BATCH, POLY_M, POLY_N, POLY_K, POLY_AM, POLY_AK, POLY_BN, POLY_BK, POLY_CM, POLYS };

static void *symbol_of(const Jit *j, const Kernel *k, const char *suffix)
{
    char name[256];
    snprintf(name, sizeof name, "%s_%s", k->name, suffix);
    return dlsym(j->handle, name);
}

/* All tasks, in pieces; constant operands are packed first where `prepare`. */
static void run_contract(const Jit *j, const Kernel *k, const ContractCode *code, const RtEnv *env, Values *kv, int64_t items)
{
    Dim *d[POLYS] = {code->batch, code->m, code->n, code->k, code->a_m, code->a_k, code->b_n, code->b_k, code->c_m};
    int64_t poly[POLYS];
    for (int i = 0; i < POLYS; i++) poly[i] = d[i] ? value_of(d[i], kv) : 0;
    bool prepare = items == 0;
    RtContract c = {
        .micro = dlsym(j->handle, code->dtype == DT_f64 ? "dlc_micro_f64" : "dlc_micro_f32"), .batch = POLY_BATCH, .m = POLY_M, .n = POLY_N, .k = POLY_K,
        .a_operand = code->a_operand, .b_operand = code->b_operand, .a_batched = code->a_batched, .b_batched = code->b_batched,
        .a_m = POLY_AM, .a_k = POLY_AK, .b_n = POLY_BN, .b_k = POLY_BK, .a_by_rows = code->a_by_rows,
        .prepared_a = code->a_constant ? 0 : -1, .prepared_b = code->b_constant ? 0 : -1, .c_operand = code->c_operand, .c_m = POLY_CM,
    };
    if (code->at) *(void **)&c.at = symbol_of(j, k, "at");
    if (code->pack_a) *(void **)&c.pack_a = symbol_of(j, k, "pack_a");
    if (code->pack_b) *(void **)&c.pack_b = symbol_of(j, k, "pack_b");
    if (code->epilogue) *(void **)&c.epilogue = symbol_of(j, k, "epilogue");
    void *packed[2] = {NULL, NULL};
    for (int side = 0; prepare && side < 2; side++) {
        if ((side ? c.prepared_b : c.prepared_a) < 0) continue;
        int64_t n = rt_prepared_size(&c, poly, side);
        packed[side] = guarded_alloc((size_t)(n + 63) & ~(size_t)63);
        rt_prepare(&c, poly, side, env, packed[side]);
    }
    RtPlan plan;
    if (!rt_contract_plan(&c, poly, items ? (int)items + 1 : 1, packed[0], packed[1], &plan)) abort();
    char *scratch = guarded_alloc((size_t)plan.scratch);
    for (int64_t lo = 0, step = items ? items : plan.tasks; lo < plan.tasks; lo += step)
        rt_contract_run(&c, &plan, env, packed[0], packed[1], lo, lo + step < plan.tasks ? lo + step : plan.tasks, scratch);
}

int64_t jit_run(Arena *a, const Jit *j, const ProgramFunc *f, const Tensor *inputs, const int64_t *dims, int64_t items, Tensor *results)
{
    Values fv = {.f = f->func, .dims = dims};
    char **buffer = arena_array(a, char *, f->buffers.n + 1);
    for (uint32_t i = 0; i < f->buffers.n; i++) {
        const Buffer *b = &f->buffers.at[i];
        size_t n = (size_t)value_of(b->count, &fv) * dtype_size(b->dtype);
        if (b->kind == BUFFER_WORK && b->shares != NO_BUFFER) continue;
        buffer[i] = guarded_alloc(n);
        if (b->kind == BUFFER_CONST) memcpy(buffer[i], b->data, n);
        uint32_t index = 0;
        for (uint32_t k = 0; k < f->func->args.n; k++) {
            const Arg *arg = &f->func->args.at[k];
            bool same = b->kind == BUFFER_INPUT ? arg->role != ARG_PARAM && index == b->index
                                                : b->kind == BUFFER_PARAM && arg->param && arg->param->index == b->index;
            if (same) memcpy(buffer[i], inputs[k].data, n);
            index += arg->role == ARG_INPUT;
        }
        if (b->kind == BUFFER_OUTPUT) {
            Tensor *t = &results[b->index];
            Type *type = f->func->results.at[b->index].node->type;
            t->dtype = type->dtype;
            t->rank = type->rank;
            for (uint32_t k = 0; k < type->rank; k++) t->dim[k] = value_of(type->dim[k], &fv);
            t->data = buffer[i];
        }
    }
    for (uint32_t i = 0; i < f->buffers.n; i++) {
        uint32_t from = i;
        while (f->buffers.at[from].kind == BUFFER_WORK && f->buffers.at[from].shares != NO_BUFFER) from = f->buffers.at[from].shares;
        buffer[i] = buffer[from];
    }
    int64_t fault = 0;
    for (uint32_t i = 0; i < f->steps.n; i++) {
        const Step *s = &f->steps.at[i];
        uint32_t number = 0;
        while (j->program->kernels.at[number] != s->kernel) number++;
        const KernelCode *code = &j->code[number];
        char **buf = arena_array(a, char *, s->kernel->operands.n + 1);
        int64_t *sym = arena_array(a, int64_t, s->kernel->syms.n + 1);
        for (uint32_t k = 0; k < s->kernel->operands.n; k++) buf[k] = buffer[s->buffer[k]];
        for (uint32_t k = 0; k < s->kernel->syms.n; k++) sym[k] = value_of(s->dim[k], &fv);
        Values kv = {.sym = sym};
        RtEnv env = {buf, sym, &fault};
        if (s->kernel->class == KERNEL_CONTRACT) {
            run_contract(j, s->kernel, &code->contract, &env, &kv, items);
            continue;
        }
        int64_t n = value_of(code->items, &kv), step = items ? (items + code->split - 1) / code->split * code->split : n;
        char *scratch = guarded_alloc((size_t)value_of(code->scratch, &kv));
        for (int64_t lo = 0; lo < n; lo += step) j->fn[number](&env, lo, lo + step < n ? lo + step : n, scratch);
    }
    for (uint32_t r = 0; r < f->func->results.n; r++) {
        results[r].data = arena_copy(a, results[r].data, (size_t)tensor_count(&results[r]) * dtype_size(results[r].dtype));
    }
    guarded_free_all();
    return fault;
}
