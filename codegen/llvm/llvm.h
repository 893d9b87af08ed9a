/* llvm.h - kernels to LLVM: what artefact.c (the rest of codegen/) uses of this folder.
 *
 *   Emit *e = llvm_begin(a, options, "mlp", &error);
 *   llvm_emit_kernels(e, program, code, &error);        one KernelCode an entry of program->kernels
 *   ... artefact.c adds its tables to e->module ...
 *   llvm_objects(e, object, &n, &error);
 *   llvm_end(e);
 */
#ifndef DLC_LLVM_H
#define DLC_LLVM_H

#include "codegen/llvm/emit.h"

/* Pieces of a contraction: the fields of RtContract that do not depend on the step. */
typedef struct ContractCode {
    DType        dtype;                 /* of the micro-kernel family */
    Dim         *batch, *m, *n, *k;
    int32_t      a_operand, b_operand;  /* -1: packed by pack_a, pack_b */
    bool         a_batched, b_batched;  /* does the operand differ from batch to batch? */
    Dim         *a_m, *a_k, *b_n, *b_k; /* strides, where an operand is linear */
    LLVMValueRef at, pack_a, pack_b;    /* functions or NULL */
    bool         a_by_rows;             /* pack_a writes row after row */
    bool         a_constant, b_constant;/* can be packed once, when the instance prepares */
    int32_t      c_operand;             /* -1: through the epilogue */
    Dim         *c_m;
    LLVMValueRef epilogue;
} ContractCode;

typedef struct KernelCode {
    const Kernel *kernel;
    LLVMValueRef  fn;                   /* MAP, REDUCE: an RtKernelFn */
    Dim          *items;                /* MAP, REDUCE: the flat index that RtKernelFn divides */
    Dim          *work;                 /* elementary operations of the whole step */
    Dim          *scratch;              /* bytes a thread */
    uint32_t      split;
    ContractCode  contract;             /* CONTRACT */
} KernelCode;

/* NULL: *error says why (an unknown CPU). */
Emit *llvm_begin(Arena *a, const CodegenOptions *o, const char *name, const char **error);
/* Fill code[i] for every kernel of the program. false: *error names the kernel and what is missing. */
bool  llvm_emit_kernels(Emit *e, const Program *p, KernelCode *code, const char **error);
/* The object file of the module, in e->arena. false: *error (our mistake: LLVM's verifier refused). */
bool  llvm_object(Emit *e, const void **bytes, size_t *n, const char **error);
/* The same as one object or two, generated side by side (split.c). The module is of no use afterwards. */
typedef struct LlvmObject { const void *bytes; size_t size; } LlvmObject;
bool  llvm_objects(Emit *e, LlvmObject object[2], uint32_t *n, const char **error);
/* A code generator for a target row; NULL: *error. */
LLVMTargetMachineRef llvm_machine(Arena *a, const Target *t, const char **error);
void  llvm_end(Emit *e);

/* micro.c, contract.c */
bool  contract_emit(Emit *e, const Kernel *k, ContractCode *out, const char **error);
/* A contraction of m x n, with panels of B (or rows of A) packed at run time: the next micro_family() must serve it. */
void  micro_need(Emit *e, DType dtype, Module *module, Dim *m, Dim *n, bool packs);
/* The RtMicro constant of a dtype, with its micro-kernels: to be called once all contractions were emitted. NULL: *error. */
LLVMValueRef micro_family(Emit *e, DType dtype, const char **error);
/* All micro-kernels of the target row, for an object of their own: what Emit.has_library relies on. */
void  micro_library(Emit *e);

#endif
