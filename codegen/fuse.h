/* fuse.h - which values share a kernel. fuse.c decides, lower.c makes the kernel, program.c asks both.
 *
 * A value is either stored (it has a buffer) or computed inside the kernels that need it. Every stored value is the
 * sink of one group, and a group becomes one kernel. Sources and views are never stored for their own sake: they turn into
 * index maps of whoever reads them.
 */
#ifndef DLC_FUSE_H
#define DLC_FUSE_H

#include "codegen/kernel.h"

typedef struct Group {
    uint32_t index;                     /* in Fusion.groups */
    Node    *sink;                      /* the value it stores */
    VEC(Node *) more;                   /* and others of the same dims; elementwise groups only (merge.c) */
    Node    *core;                      /* its dot or conv, or NULL */
    Node    *reduction;                 /* one of its reduce, argreduce, window nodes, which gives the row; or NULL */
    uint32_t size;                      /* nodes computed inside */
    const char *refused;                /* why the sink is stored, and not computed inside its readers; for --explain */
} Group;

typedef struct Fusion {
    Func  *func;
    Arena *arena;
    VEC(Group *) groups;                /* in order of execution */
    bool  *stored;                      /* by node id */
    Group **group;                      /* by node id: the group of a stored value */
    VEC(FaultSite) sites;
} Fusion;

/* Decide for every node of f. limit: nodes in a kernel at most; 0: every operator that is not a view is its own kernel.
 * whole: by node id, values that must have a buffer; or NULL. The result is NULL where something has no kernel ("grad is
 * not supported in compiled code yet"): *error and *where say what. */
enum { FUSE_LIMIT = 96 };
Fusion *fuse(Arena *a, Func *f, uint32_t limit, const bool *whole, const char **error, Span *where);

/* The number in fu->sites of what a call says when `user` fails. */
uint32_t fault_site(Fusion *fu, const Node *user, const char *what);

/* routine.c: operators that a routine of the runtime computes. Their operands are whole buffers; members of their tuples are
 * stored values. Before fusion every member gets exactly one `get`. */
bool    is_routine(const Node *n);
void    one_get_a_member(Func *f);
Kernel *lower_routine(Arena *a, Fusion *fu, Node *n, Node ***operands, const char **why);

/* The kernel of a group, and the stored value, argument or constant behind each of its operands (the sink is the
 * last). NULL: it cannot be one kernel; *why says the reason. */
Kernel *lower_group(Arena *a, Fusion *fu, const Group *g, Node ***operands, const char **why);

/* order.c: put the steps in an order in which every param is written in place after the last read of its old value, and after
 * all that can fail; sets f->commit. false: these results cannot be, stage[result] is set for them. */
bool order_steps(Arena *a, ProgramFunc *f, bool *stage);
bool kernel_can_fail(const Kernel *k);
bool gives_initial_values(const Func *f);                /* it is the function `init`: its results are the runtime's to place */
bool result_unchanged(const Func *f, const Result *r);  /* it is its param as it came */

/* append.c: before fusion, the starts of updates of params are checked in steps of their own. */
void check_starts(Func *f);
bool is_checked_start(const Node *n);                   /* in range, or 0 and a fault: it is stored */
bool is_append(const Func *f, const Node *n);           /* a dupdate that gives a param its new value, and could be in place */
Dim *start_limit(Module *m, const Node *n);             /* a dupdate's start must be below it; NULL: overflow */
bool start_is_proven(const Func *f, const Node *start, const Dim *limit);     /* lower.c: by such a step, or at the entry */

/* merge.c: elementwise steps that write params become one where they touch the same tensors. After order_steps, while every
 * step has a kernel of its own. */
void merge_updates(Arena *a, ProgramFunc *f, Fusion *fu);

/* plan.c: lifetimes, storage taken over in place, offsets (or -1 where sizes are symbolic). Sets first, last, shares,
 * offset of the work buffers, and f->work. */
bool plan_memory(Arena *a, ProgramFunc *f, bool reuse, const char **error);
/* May what this store writes lie where the operand lies? Every load of it must read the very element that is stored. */
bool kernel_reads_in_place(const Kernel *k, uint32_t operand, const KStore *store);

#endif
