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
    Node    *core;                      /* its dot or conv, or NULL */
    Node    *reduction;                 /* one of its reduce, argreduce, window nodes, which gives the row; or NULL */
    uint32_t size;                      /* nodes computed inside */
    const char *refused;                /* why the last candidate did not join, for --explain */
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
 * NULL: *error says what has no kernel ("grad is not supported in compiled code yet") and where. */
enum { FUSE_LIMIT = 96 };
Fusion *fuse(Arena *a, Func *f, uint32_t limit, const char **error, Span *where);

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

/* plan.c: lifetimes, storage taken over in place, offsets (or -1 where sizes are symbolic). Sets first, last, shares,
 * offset of the work buffers, and f->work. */
bool plan_memory(Arena *a, ProgramFunc *f, bool reuse, const char **error);

#endif
