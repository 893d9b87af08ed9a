/* frontend.h - model text to IR.
 *
 *   lex.c parse*.c fmt.c  text -> tree (ast.h)
 *   check*.c               tree -> IR: an interpreter of the compile-time language whose tensors are IR nodes
 *   std/ (.dl files)       the standard library, compiled into dlc
 */
#ifndef DLC_FRONTEND_H
#define DLC_FRONTEND_H

#include "frontend/ast.h"
#include "ir/ir.h"

typedef struct FrontendOptions {
    const char *name;                                   /* prefix of the artefact; NULL: the file's stem as an identifier */
    struct { const char *name, *value; } *set;          /* --set depth=50, --set f.depth=50 */
    uint32_t    nset;
    const char *only;                                   /* compile this export alone; NULL: all */
} FrontendOptions;

/* Compile the program at `path` ("-": stdin) with its imports into a module of exported functions, plus "init",
 * the initial values of the params and states that they reach (results alias the params). NULL: errors are in d.
 * Exports that reach what is not supported yet are left out with a warning; none left is an error. */
Module *frontend_compile(Arena *a, Diags *d, const char *path, const FrontendOptions *o);
/* The same for text in memory; `path` is for messages and relative imports. */
Module *frontend_compile_text(Arena *a, Diags *d, const char *path, const char *text, size_t n, const FrontendOptions *o);

/* Sources of the standard library, by name ("nn.dl"). */
typedef struct StdFile { const char *name, *text; size_t n; } StdFile;
extern const StdFile std_files[];
extern const uint32_t std_file_count;

#endif
