/* fold - compute what depends on constants alone.
 * In:  any verified graph.
 * Out: nodes whose operands are all constants become constants, evaluated by the reference evaluator, up to
 *      4 KiB a value (a larger one would trade arithmetic for bytes in the artefact). Random draws stay.
 *   %0 = const 2.0 : f32[]
 *   %1 = sqrt %0 : f32[]         ->   %0 = const 1.4142135 : f32[]
 */
#include "passes/passes.h"

enum { FOLD_LIMIT = 4096 };

/* A constant as the evaluator's tensor; false for anything else. */
static bool as_tensor(const Node *n, Tensor *t)
{
    if (n->op != OP_const) return false;
    *t = (Tensor){.dtype = n->type->dtype, .rank = n->type->rank, .data = (void *)n->attr.lit.data};
    for (uint32_t i = 0; i < n->type->rank; i++)
        if (!dim_is_const(n->type->dim[i], &t->dim[i])) return false;
    return true;
}

static bool foldable(const Node *n)
{
    OpClass c = op_class(n->op);
    if (n->type->kind != TYPE_TENSOR || c == CLASS_TUP || n->op == OP_arg || n->op == OP_const || n->op == OP_rng) return false;
    /* A splat is smaller as it is, and schedules know it. */
    if (n->op == OP_broadcast && n->arg[0]->type->rank == 0) return false;
    if (n->op == OP_iota) return false;
    int64_t d;
    for (uint32_t i = 0; i < n->type->rank; i++)
        if (!dim_is_const(n->type->dim[i], &d)) return false;
    return n->op != OP_dim || dim_is_const(n->attr.dim, &d);
}

static void fold(Func *f)
{
    Rewrite rw = rewrite_begin(f);
    for (uint32_t i = 0; i < rw.nold; i++) {
        Node *n = rewrite_copy(&rw, rw.old[i]);
        if (!foldable(n)) continue;
        Arena scratch = {0};
        Tensor *args = arena_array(&scratch, Tensor, n->nargs + 1), result;
        bool constant = true;
        for (uint32_t k = 0; k < n->nargs && constant; k++) constant = as_tensor(n->arg[k], &args[k]);
        if (constant && ir_eval_node(&scratch, n, args, FOLD_LIMIT, &result)) {
            size_t bytes = (size_t)tensor_count(&result) * dtype_size(result.dtype);
            Attr attr = {.lit = {.data = arena_copy(f->module->arena, result.data, bytes)}};
            Node *c = ir_node(f, OP_const, 0, NULL, &attr, n->type, n->span);
            if (c) rw.map[rw.old[i]->id] = c;
        }
        arena_free(&scratch);
    }
    rewrite_end(&rw);
}

void pass_fold(Module *m)
{
    FuncList all = module_funcs(m->arena, m);
    for (uint32_t i = 0; i < all.n; i++) fold(all.at[i]);
}
