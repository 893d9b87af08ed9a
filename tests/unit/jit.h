/* jit.h - compile a Program's kernels in memory and run them, without artefact or runtime (but for its gemm.c): the
 * unit tests of codegen/llvm. Every buffer ends where a page that cannot be touched begins, so that a read or write
 * past its end is a crash.
 */
#ifndef DLC_TEST_JIT_H
#define DLC_TEST_JIT_H

#include "codegen/llvm/llvm.h"
#include "runtime/rt.h"

typedef struct Jit {
    const Program *program;
    KernelCode    *code;
    RtKernelFn   **fn;                  /* by kernel; NULL: a contraction */
    void          *handle;
    double         seconds;             /* emission and code generation */
} Jit;

/* false: *error. cpu: a row of targets.def. */
bool jit_open(Arena *a, const Program *p, const char *cpu, Jit *j, const char **error);
void jit_close(Jit *j);
/* Run function f over inputs (one tensor an Arg) with ranges of at most `items` items a call (rounded to the kernel's
 * split; 0: all at once). Results are allocated in a. Returns fault: 0, or the number of the failed check. */
int64_t jit_run(Arena *a, const Jit *j, const ProgramFunc *f, const Tensor *inputs, const int64_t *dims, int64_t items, Tensor *results);
/* Can the machine run this row? */
bool jit_can_run(const char *cpu);

/* n bytes before an inaccessible page. */
void *guarded_alloc(size_t n);
void  guarded_free_all(void);

#endif
