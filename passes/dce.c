/* dce - drop what no result needs.
 * In:  any verified graph.
 * Out: the same results from the nodes they are computed from; params that nothing reads leave the signature. No tuple but of an
 *      operator with several results is left, also at -O0: kernels know none.
 *   %2 = exp %0 : f32[8]
 *   %3 = neg %0 : f32[8]
 *   return %3            ->  %2 = neg %0 : f32[8]   return %2
 */
#include "passes/passes.h"

/* An argument that is a param stays only while something reads it or stores to it. */
static void drop_unused_params(Func *f)
{
    Arena scratch = {0};
    uint32_t *uses = use_counts(&scratch, f);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->args.n; i++) {
        Arg *arg = &f->args.at[i];
        if (arg->role == ARG_PARAM && uses[arg->node->id] == 0) {
            bool stored = false;
            for (uint32_t r = 0; r < f->results.n; r++) stored |= f->results.at[r].param == arg->param;
            if (!stored) continue;
        }
        arg->node->attr.arg = kept;
        f->args.at[kept++] = *arg;
    }
    f->args.n = kept;
    arena_free(&scratch);
}

void pass_dce(Module *m)
{
    FuncList all = module_funcs(m->arena, m);
    for (uint32_t i = 0; i < all.n; i++) {
        Func *f = all.at[i];
        Rewrite rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++) {
            Node *x = rewrite_copy(&rw, rw.old[n]);
            if (x->op == OP_get && x->arg[0]->op == OP_tuple) rw.map[n] = x->arg[0]->arg[x->attr.axis];
        }
        rewrite_end(&rw);
        drop_unused_params(f);
        rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++)
            if (rw.old[n]->op != OP_arg || f->args.at[rw.old[n]->attr.arg].node == rw.old[n]) rewrite_copy(&rw, rw.old[n]);
        rewrite_end(&rw);
    }
}
