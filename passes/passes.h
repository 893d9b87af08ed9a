/* passes.h - IR to IR. Each pass is one file and one public function over a module; passes.def lists them in the
 * order they run. What depends on a target (fusion, kernels, the memory plan) is in codegen/.
 */
#ifndef DLC_PASSES_H
#define DLC_PASSES_H

#include "ir/ir.h"

typedef struct PassOptions {
    int         level;                  /* -O0..-O3; passes of a higher level are skipped */
    const char *stop_after;             /* run up to and including this pass; NULL: all */
    bool        verify;                 /* verify after every pass (on by default in debug and test builds) */
    bool        time;                   /* fill PassTimes */
} PassOptions;

enum { PASS_MAX = 32 };
typedef struct PassTimes {
    uint32_t    n;
    const char *name[PASS_MAX];
    double      seconds[PASS_MAX];
} PassTimes;

/* Run the pipeline on m. false: a pass broke an invariant (our mistake); *error names the pass and the rule. */
bool passes_run(Module *m, const PassOptions *o, PassTimes *times, const char **error);
/* Is there a pass of that name? For `inspect --after=NAME`; *all lists them otherwise. */
bool pass_find(const char *name, const char **all);

/* inline.c   */ void pass_inline(Module *m);
/* raise.c    */ void pass_raise(Module *m);
/* autodiff.c */ void pass_autodiff(Module *m);
/* simplify.c */ void pass_simplify(Module *m);
/* fold.c     */ void pass_fold(Module *m);
/* cse.c      */ void pass_cse(Module *m);
/* dce.c      */ void pass_dce(Module *m);

/* retype.c: not in the list. Every f32 becomes f64 (--f32-as=f64); call it before the first pass. */
void retype_f32_as_f64(Module *m);

#endif
