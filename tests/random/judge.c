/* judge.c - is a compiled result right?
 *
 * Exact mode: bit for bit what the evaluator says, but for two things that arithmetic leaves open: the payload and sign of a NaN
 * (hardware picks one of its operands'), and the sign of zero (a sum may begin with 0 or with its first term, and max(-0, 0) is
 * either). Neither can become visible, since exact programs divide by constants only.
 *
 * Approximate mode: the truth is the evaluator in f64. How far f32 code may be from it is what Monte Carlo arithmetic estimates
 * (Parker 1997): every argument and every value that rounds is multiplied by 1 + e, e random of a few roundings, and the function
 * evaluated in f64; where results move much, the program is ill-conditioned or near a jump there, and where they do not, the
 * compiled code has no excuse. An element outside the bound of RUNS evaluations gets MORE_RUNS, of stronger noise, before it counts.
 */
#include "tests/random/random.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RUNS = 4, MORE_RUNS = 40 };

struct Judge {
    Arena         *arena;
    bool           exact;
    const Func    *f;
    const int64_t *dims;
    const Tensor  *inputs;
    Tensor         truth[RANDOM_RESULTS], plain[RANDOM_RESULTS];    /* plain: in the program's own precision */
    Func          *noisy;
    int64_t       *key;                 /* of the noise; in the noisy function's constants */
    double        *e[2];                /* of f32 and f64; likewise */
    double        *moved[RANDOM_RESULTS];   /* by element: the farthest that noise took it */
    bool           more;                /* MORE_RUNS were done */
    bool           guarded;             /* a guard refuses: the call must fail, and only the shapes of truth mean something */
};

/* ---- noise ----------------------------------------------------------------------------------------------- */

static bool rounds(const Node *n)
{
    if (n->type->kind != TYPE_TENSOR || !dtype_is_float(n->type->dtype)) return false;
    switch (op_class(n->op)) {
    case CLASS_MAP:
        return n->op != OP_neg && n->op != OP_abs && n->op != OP_sign && n->op != OP_floor && n->op != OP_ceil && n->op != OP_round &&
               n->op != OP_max && n->op != OP_min && n->op != OP_select;
    case CLASS_RED: return n->op != OP_reduce || n->attr.reduce.kind == RED_sum || n->attr.reduce.kind == RED_prod;
    case CLASS_DOT: case CLASS_SCT: return true;
    case CLASS_ORD: return n->op == OP_cumulate;
    default: return n->op == OP_arg;
    }
}

/* How many terms an element of n sums: sums of equal terms round the same way at every step, so errors add up. */
static double terms(const Judge *j, const Node *n)
{
    int64_t all = 1, left = 1, v;
    for (uint32_t i = 0; i < n->nargs; i++)
        for (uint32_t k = 0; k < n->arg[i]->type->rank; k++)
            if (dims_value(n->func, j->dims, n->arg[i]->type->dim[k], &v) && v) all *= v;
    if (op_class(n->op) == CLASS_MAP || n->op == OP_arg) return 1;
    for (uint32_t k = 0; k < n->type->rank && (n->op == OP_reduce || n->op == OP_dot); k++)
        if (dims_value(n->func, j->dims, n->type->dim[k], &v) && v) left *= v;
    if (n->op == OP_dot) return sqrt((double)all / (double)left);     /* all counts each contracted axis twice */
    if (n->op == OP_conv) {
        for (uint32_t k = 1; k < n->arg[1]->type->rank; k++) left *= dims_value(n->func, j->dims, n->arg[1]->type->dim[k], &v) ? v : 1;
        return (double)left;
    }
    return n->op == OP_reduce ? (double)all / (double)left : n->op == OP_window ? 8 : (double)all;
}

static Node *constant(Func *f, double v) { return ir_scalar(f, DT_f64, v, (Span){0}); }

/* The function with `x * (1 + e (2 u - 1))` for each x that rounds; a sum of n terms gets 1 + n / 16 times as much. */
static void add_noise(Judge *j, const Module *from)
{
    Module *m = module_clone(j->arena, from);
    Func *f = j->noisy = m->funcs.at[0];
    Span s = {0};
    Rewrite rw = rewrite_begin(f);
    int64_t zero = 0;
    Attr attr = {.lit = {&zero}};
    Node *key = ir_node(f, OP_const, 0, NULL, &attr, type_scalar(m, DT_i64), s), *e[2], *one = constant(f, 1), *two = constant(f, 2);
    j->key = (int64_t *)key->attr.lit.data;
    for (int i = 0; i < 2; i++) {
        e[i] = constant(f, 0);
        j->e[i] = (double *)e[i]->attr.lit.data;
    }
    for (uint32_t i = 0; i < rw.nold; i++) {
        Node *old = rw.old[i], *x = rewrite_copy(&rw, old);
        if (!rounds(old)) continue;
        Type *t = type_with_dtype(m, x->type, DT_f64);
        Attr stream = {.rng = {1000 + i}};
        Node *u = ir_node(f, OP_rng, 2, (Node *[]){key, key}, &stream, t, s), *ones = ir_splat(f, one, t, s);
        Node *range = ir_binary(f, OP_mul, e[x->type->dtype == DT_f64], constant(f, 1 + terms(j, old) / 16), s);
        Node *swing = ir_binary(f, OP_sub, ir_binary(f, OP_mul, u, ir_splat(f, two, t, s), s), ones, s);
        Node *factor = ir_binary(f, OP_add, ones, ir_binary(f, OP_mul, swing, ir_splat(f, range, t, s), s), s);
        rw.map[i] = ir_binary(f, OP_mul, x, ir_cast(f, factor, x->type->dtype, s), s);
    }
    memset(&f->guards, 0, sizeof f->guards);
    rewrite_end(&rw);
}

/* e: this many roundings. */
static void set_noise(Judge *j, double roundings)
{
    *j->e[0] = roundings * (FLT_EPSILON / 2);
    *j->e[1] = roundings * (DBL_EPSILON / 2);
}

static double gap(double x, double y)
{
    if (x == y || (isnan(x) && isnan(y))) return 0;
    double d = fabs(x - y);
    return isfinite(d) ? d : INFINITY;
}

static void disturb(Judge *j, int runs, double roundings, int64_t first_key)
{
    set_noise(j, roundings);
    for (int k = 0; k < runs; k++) {
        Arena scratch = {0};
        Tensor out[RANDOM_RESULTS];
        const char *error = NULL;
        *j->key = first_key + k;
        if (ir_eval(&scratch, j->noisy, j->inputs, j->dims, true, out, &error)) {
            for (uint32_t r = 0; r < j->f->results.n; r++)
                for (int64_t i = 0, n = tensor_count(&j->truth[r]); i < n; i++) {
                    double d = gap(tensor_get(&out[r], i), tensor_get(&j->truth[r], i));
                    if (d > j->moved[r][i]) j->moved[r][i] = d;
                }
        } else {                        /* an index that noise took out of range: nothing is known */
            for (uint32_t r = 0; r < j->f->results.n; r++)
                for (int64_t i = 0, n = tensor_count(&j->truth[r]); i < n; i++) j->moved[r][i] = INFINITY;
        }
        arena_free(&scratch);
    }
}

/* ---- verdicts ---------------------------------------------------------------------------------------------- */

Judge *judge_new(Arena *a, const RandomProgram *p, const int64_t *dims, const Tensor *inputs, const char **error)
{
    Judge *j = arena_new(a, Judge);
    Func *f = arena_copy(a, p->m->funcs.at[0], sizeof *f);
    *j = (Judge){.arena = a, .exact = p->exact, .f = f, .dims = dims, .inputs = inputs};
    bool refused[2] = {!ir_eval(a, f, inputs, dims, !p->exact, j->truth, error), !ir_eval(a, f, inputs, dims, false, j->plain, error)};
    if (refused[0] != refused[1]) return NULL;          /* it depends on the precision */
    if (refused[0] && f->guards.n) {                    /* because of a guard? */
        f->guards.n = 0;
        j->guarded = ir_eval(a, f, inputs, dims, !p->exact, j->truth, error);
        return j->guarded ? j : NULL;
    }
    if (refused[0]) return NULL;
    if (p->exact) return j;
    for (uint32_t r = 0; r < j->f->results.n; r++) j->moved[r] = arena_array(a, double, (size_t)tensor_count(&j->truth[r]) + 1);
    add_noise(j, p->m);
    disturb(j, RUNS, 16, 1);
    return j;
}

const Tensor *judge_truth(const Judge *j, uint32_t r) { return &j->truth[r]; }

bool judge_refuses(const Judge *j) { return j->guarded; }

static bool is_near(const Judge *j, uint32_t r, int64_t i, double got)
{
    double want = tensor_get(&j->truth[r], i), plain = tensor_get(&j->plain[r], i);
    bool f64 = j->plain[r].dtype == DT_f64, whole = !dtype_is_float(j->plain[r].dtype);
    if (got == want || (isnan(got) && isnan(want))) return true;
    if (!isfinite(plain) || !isfinite(want)) return true;   /* it overflows on the way, in f32 or for good: whose order does is open */
    if (whole) return j->moved[r][i] > 0;                   /* counts and indices jump or are equal */
    double smallest = f64 ? 1e-300 : 1e-35, unit = f64 ? DBL_EPSILON / 2 : FLT_EPSILON / 2;
    return fabs(got - want) <= 2 * j->moved[r][i] + 4 * unit * fabs(want) + smallest;
}

bool judge_result(Judge *j, uint32_t r, const Tensor *got, char *text, size_t cap)
{
    for (int64_t i = 0, n = tensor_count(&j->truth[r]); i < n; i++) {
        double x = tensor_get(got, i), want = tensor_get(&j->truth[r], i);
        bool ok = x == want || (isnan(x) && isnan(want));
        if (j->exact && dtype_is_int(got->dtype)) {         /* 64 bits do not pass through a double */
            size_t size = dtype_size(got->dtype);
            ok = !memcmp((const char *)got->data + (size_t)i * size, (const char *)j->truth[r].data + (size_t)i * size, size);
        }
        if (!j->exact) {
            ok = is_near(j, r, i, x);
            if (!ok && !j->more) {
                disturb(j, MORE_RUNS, 64, 1000);
                j->more = true;
                ok = is_near(j, r, i, x);
            }
        }
        if (ok) continue;
        snprintf(text, cap, "result %u, element %lld of %lld is %.17g, the evaluator says %.17g (noise moves it by %.3g)", r, (long long)i, (long long)n, x, want,
                 j->exact ? 0 : j->moved[r][i]);
        return false;
    }
    return true;
}
