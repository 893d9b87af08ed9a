/* llvm_module.c - a module from beginning to end: context, target machine, kernels, object file or text.
 *
 * No pass of LLVM's middle end runs: points compute what is constant in a loop outside of it, accumulators are phis,
 * and vectors are explicit. What the code generator itself does at its default level is enough.
 */
#include "codegen/llvm/llvm.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <string.h>

LLVMTargetMachineRef llvm_machine(Arena *a, const Target *t, const char **error)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMTargetRef target;
    char *message = NULL;
    const char *triple = "x86_64-unknown-linux-gnu";
    if (LLVMGetTargetFromTriple(triple, &target, &message)) {
        *error = arena_printf(a, "LLVM has no code generator for %s: %s", triple, message);
        LLVMDisposeMessage(message);
        return NULL;
    }
    LLVMTargetMachineOptionsRef o = LLVMCreateTargetMachineOptions();
    LLVMTargetMachineOptionsSetCPU(o, t->cpu);
    LLVMTargetMachineOptionsSetFeatures(o, "");
    LLVMTargetMachineOptionsSetCodeGenOptLevel(o, LLVMCodeGenLevelDefault);
    LLVMTargetMachineOptionsSetRelocMode(o, LLVMRelocPIC);
    LLVMTargetMachineRef m = LLVMCreateTargetMachineWithOptions(target, triple, o);
    LLVMDisposeTargetMachineOptions(o);
    return m;
}

Emit *llvm_begin(Arena *a, const CodegenOptions *o, const char *name, const char **error)
{
    const char *tune;
    const Target *t = target_find(a, o->cpu, &tune, error);
    LLVMTargetMachineRef machine = t ? llvm_machine(a, t, error) : NULL;
    if (!machine) return NULL;
    Emit *e = arena_new(a, Emit);
    e->arena = a;
    e->target = t;
    e->tune = tune;
    e->machine = machine;
    e->context = LLVMContextCreate();
    e->module = LLVMModuleCreateWithNameInContext(name, e->context);
    e->builder = LLVMCreateBuilderInContext(e->context);
    e->void_ = LLVMVoidTypeInContext(e->context);
    e->i1 = LLVMInt1TypeInContext(e->context);
    e->i8 = LLVMInt8TypeInContext(e->context);
    e->i32 = LLVMInt32TypeInContext(e->context);
    e->i64 = LLVMInt64TypeInContext(e->context);
    e->f32 = LLVMFloatTypeInContext(e->context);
    e->f64 = LLVMDoubleTypeInContext(e->context);
    e->ptr = LLVMPointerTypeInContext(e->context, 0);
    e->kernel_type = LLVMFunctionType(e->void_, (LLVMTypeRef[]){e->ptr, e->i64, e->i64, e->ptr}, 4, false);
    char *triple = LLVMGetTargetMachineTriple(machine);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetTarget(e->module, triple);
    LLVMSetModuleDataLayout(e->module, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
    return e;
}

void llvm_end(Emit *e)
{
    LLVMDisposeBuilder(e->builder);
    LLVMDisposeModule(e->module);
    LLVMContextDispose(e->context);
    LLVMDisposeTargetMachine(e->machine);
}

/* Elementary operations of a whole step: points times what the body costs at each; memory counts too. NULL: overflow. */
static Dim *work_of(const Kernel *k)
{
    if (k->class == KERNEL_CONTRACT) return kernel_flops(k);
    int64_t cost = 2 * (int64_t)k->stores.n;
    if (k->class == KERNEL_ROUTINE) cost = k->routine == OP_sort || k->routine == OP_top_k ? 100 : 4;
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        if (k->class == KERNEL_MAP || !in->row) cost += kernel_is_costly(in) ? 16 : in->kind == K_load ? 2 : 1;
    }
    Dim *work = dim_const(k->module, cost);
    for (uint32_t i = 0; i < k->axes.n && work; i++) work = dim_mul(k->module, work, k->axes.at[i].extent);
    return work;
}

/* Nothing is generated: the linker finds the function in the runtime. */
static LLVMValueRef emit_routine(Emit *e, const Kernel *k)
{
    LLVMValueRef f = LLVMGetNamedFunction(e->module, k->function);
    if (f) return f;
    f = LLVMAddFunction(e->module, k->function, e->kernel_type);
    LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

static bool emit_kernel(Emit *e, const Kernel *k, KernelCode *code, const char **error)
{
    code->kernel = k;
    code->work = work_of(k);
    code->scratch = dim_const(k->module, 0);
    if (!target_supports(e->arena, k, error)) return false;
    switch (k->class) {
    case KERNEL_MAP:
        code->items = kernel_extent(k, AXIS_PARALLEL);
        code->fn = emit_map(e, k, &code->split);
        break;
    case KERNEL_REDUCE:
        code->items = kernel_extent(k, AXIS_PARALLEL);
        code->fn = emit_reduce(e, k, &code->split, &code->scratch);
        break;
    case KERNEL_ROUTINE:
        code->items = kernel_extent(k, AXIS_PARALLEL);
        code->fn = emit_routine(e, k);
        code->split = 1;
        code->scratch = k->scratch;
        break;
    case KERNEL_CONTRACT:
        return contract_emit(e, k, &code->contract, error);
    }
    if (!e->error && (!code->items || !code->work || !code->scratch)) e->error = arena_printf(e->arena, "%s: sizes overflow", k->name);
    *error = e->error;
    return !e->error;
}

bool llvm_emit_kernels(Emit *e, const Program *p, KernelCode *code, const char **error)
{
    for (uint32_t i = 0; i < p->kernels.n; i++) {
        if (!emit_kernel(e, p->kernels.at[i], &code[i], error)) return false;
    }
    return true;
}

/* The module as an object file or as assembly. */
static bool emit_file(Emit *e, LLVMCodeGenFileType type, const void **bytes, size_t *n, const char **error)
{
    char *message = NULL;
#ifndef NDEBUG
    if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message)) {
        *error = arena_printf(e->arena, "LLVM refuses the generated code: %s", message);
        LLVMDisposeMessage(message);
        return false;
    }
    LLVMDisposeMessage(message);
    message = NULL;
#endif
    LLVMMemoryBufferRef buffer;
    if (LLVMTargetMachineEmitToMemoryBuffer(e->machine, e->module, type, &message, &buffer)) {
        *error = arena_printf(e->arena, "LLVM cannot write the generated code: %s", message);
        LLVMDisposeMessage(message);
        return false;
    }
    *n = LLVMGetBufferSize(buffer);
    *bytes = arena_copy(e->arena, LLVMGetBufferStart(buffer), *n);
    LLVMDisposeMemoryBuffer(buffer);
    return true;
}

bool llvm_object(Emit *e, const void **bytes, size_t *n, const char **error)
{
    return emit_file(e, LLVMObjectFile, bytes, n, error);
}

bool llvm_text(Arena *a, const Program *p, const CodegenOptions *o, bool assembly, Str *out, const char **error)
{
    Emit *e = llvm_begin(a, o, p->module->name, error);
    if (!e) return false;
    KernelCode *code = arena_array(a, KernelCode, p->kernels.n + 1);
    bool ok = llvm_emit_kernels(e, p, code, error);
    /* Nothing calls the kernels here; as internal functions they would not be written. */
    for (LLVMValueRef f = LLVMGetFirstFunction(e->module); ok && f; f = LLVMGetNextFunction(f)) {
        if (LLVMGetLinkage(f) == LLVMInternalLinkage) LLVMSetLinkage(f, LLVMExternalLinkage);
    }
    if (ok && assembly) {
        const void *text;
        size_t n;
        ok = emit_file(e, LLVMAssemblyFile, &text, &n, error);
        if (ok) str_addn(out, text, n);
    } else if (ok) {
        char *text = LLVMPrintModuleToString(e->module);
        str_add(out, text);
        LLVMDisposeMessage(text);
    }
    llvm_end(e);
    return ok;
}
