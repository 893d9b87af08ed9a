/* gemm_code.h - a whole family of micro-kernels as running code, for tests and benchmarks of runtime/gemm.c. */
#ifndef DLC_GEMM_CODE_H
#define DLC_GEMM_CODE_H

#include "base/base.h"
#include "ir/ir.h"
#include "runtime/gemm.h"

typedef struct GemmCode {
    const RtMicro *micro;
    const char    *target;          /* "x86-64-v4" */
    uint32_t       kernels;
    double         milliseconds;    /* to generate them */
} GemmCode;

/* Every micro-kernel of a dtype for a row of targets.def ("host": the best one), generated, linked and opened. */
bool gemm_code_open(Arena *a, const char *cpu, DType dtype, GemmCode *out, const char **error);
/* RtContract.at for dense batches: env->dim holds the elements of one item of A, B and C. */
void gemm_code_dense_at(const RtEnv *e, int64_t batch, int64_t offset[3]);

#endif
