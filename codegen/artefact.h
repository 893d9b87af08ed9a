/* artefact.h - what the files that write artefacts share. */
#ifndef DLC_ARTEFACT_H
#define DLC_ARTEFACT_H

#include "codegen/llvm/llvm.h"

/* artefact_header.c */
/* The prefix of the artefact's names: the module's name, changed where C or C++ would not take it. */
const char *artefact_prefix(Arena *a, const Module *m);
/* Is the result given to the caller (and not the new value of a param)? */
bool artefact_returns(const Result *r);
/* artefact_header() with a line of `note` (NULL: none) in its first comment. */
void artefact_header_note(Str *s, const Module *m, const char *note);

/* artefact_tables.c: add the tables of rt.h to the module. NULL: *error; else the RtModel, and the number of exports. */
LLVMValueRef artefact_tables(Emit *e, const Program *p, const CodegenOptions *o, const KernelCode *code, const char **error);
/* artefact_entry.c: add the functions of the header and the descriptor. */
void artefact_entries(Emit *e, const Program *p, LLVMValueRef model);

/* artefact_link.c: object files' bytes to an artefact at `out`, which exports the names that begin with `prefix`. */
typedef struct LinkJob {
    Arena        *arena;
    ArtefactKind  kind;
    const Target *target;               /* whose micro-kernels are linked in */
    const LlvmObject *object;
    uint32_t      nobjects;             /* at most 2 */
    const char   *prefix;
    bool          blas;
    const char   *out;                  /* written in place: a temporary name of the caller's */
} LinkJob;
bool artefact_link(const LinkJob *j, const char **error);

/* Made by embed.c: the runtime's object, the text of runtime/abi.h, micro-kernels by row of targets.def. */
extern const unsigned char embedded_runtime[];
extern const size_t embedded_runtime_size;
extern const unsigned char embedded_abi[];
extern const size_t embedded_abi_size;
extern const unsigned char embedded_micro0[], embedded_micro1[], embedded_micro2[];
extern const size_t embedded_micro0_size, embedded_micro1_size, embedded_micro2_size;

#endif
