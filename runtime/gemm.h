/* gemm.h - contractions: the loops around the generated pieces that RtContract lists. Internal to runtime/.
 *
 * plan() decides once a call how the work is divided; run() does any range of the tasks, on any thread. Every
 * element of C is one k-ascending fma chain, so neither the division nor the threads change a bit.
 */
#ifndef DLC_GEMM_H
#define DLC_GEMM_H

#include "runtime/rt.h"

typedef struct RtPlan {
    int64_t batch, m, n, k;                 /* extents of this call */
    int64_t a_m, a_k, b_n, b_k, c_m;        /* strides in elements */
    int64_t tiles, panels;                  /* of m and n: units that tasks are made of */
    int64_t tasks_m, tasks_n;               /* the tiles and panels of a batch item are dealt out to that many tasks */
    int64_t tasks;                          /* batch * tasks_m * tasks_n; 0: nothing to do */
    int64_t scratch;                        /* bytes a thread, 64-aligned; 0: none */
    int64_t off_b, off_c;                   /* where the packed panel of B and the tile lie in it; packed A is at 0 */
    int64_t block_m;                        /* rows that a panel of B meets at a time; packed A holds that many */
    int64_t block_k;                        /* steps of the depth that those rows do at a time */
    bool    pack_a, pack_b, pack_tail;      /* pack_tail: only the last, narrower panel of B */
} RtPlan;

/* `poly`: the values of the function's polynomials, which the uint32_t fields of RtContract index. `have_a`, `have_b`:
 * the prepared operand exists. false: sizes overflow. */
bool rt_contract_plan(const RtContract *c, const int64_t *poly, int threads, bool have_a, bool have_b, RtPlan *p);
/* Do tasks [lo, hi). prepared_a, prepared_b: what rt_prepare wrote, or NULL as told to plan. */
void rt_contract_run(const RtContract *c, const RtPlan *p, const RtEnv *e, const void *prepared_a, const void *prepared_b,
                     int64_t lo, int64_t hi, void *scratch);

/* Bytes of the prepared form of A or B (c->prepared_a or _b is not -1); -1: overflow. Of `poly` only what this operand
 * needs is read (batch, m or n, k and its strides), all constants. */
int64_t rt_prepared_size(const RtContract *c, const int64_t *poly, bool is_b);
/* Pack it into dst (64-aligned). Of e->buf only this operand's entries are read. */
void rt_prepare(const RtContract *c, const int64_t *poly, bool is_b, const RtEnv *e, void *dst);

#endif
