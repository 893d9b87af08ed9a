/* report.c - --explain: what every kernel of a program does and what it costs, what did not join it and why, which values make
 * the peak of the workspace, what the backward pass keeps from the forward pass, and what is computed again.
 */
#include "driver/driver.h"

#include <string.h>

typedef struct Report {
    Session *s;
    Arena   *arena;
    Str     *out;
    const ProgramFunc *f;
    const TextList *dims;
    uint32_t *stored;                   /* by node id: number of its buffer + 1 */
} Report;

/* "mlp.dl:12"; empty for IR text. */
static const char *place(const Report *r, Span at)
{
    const Diags *d = &r->s->diags;
    if (!at.file || at.file > d->sources.n) return "";
    uint32_t line, column;
    diag_position(d, at, &line, &column);
    return arena_printf(r->arena, "%s:%u", d->sources.at[at.file - 1].path, line);
}

/* "contract, add, max": the different operators of a body, in order. */
static const char *work_of(const Report *r, const Kernel *k)
{
    Str s = {.arena = r->arena};
    VEC(const char *) seen = {0};
    if (k->class == KERNEL_ROUTINE) return op_name(k->routine);
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        const char *name = NULL;
        if (in->kind == K_contract) name = "contract";
        else if (in->kind == K_reduce) name = arena_printf(r->arena, "reduce %s", red_name(in->red));
        else if (in->kind == K_argreduce) name = arena_printf(r->arena, "arg%s", red_name(in->red));
        else if (in->kind == K_rng) name = "random";
        else if (in->kind == K_op) name = op_name(in->op);
        bool known = !name;
        for (uint32_t j = 0; j < seen.n && !known; j++) known = !strcmp(seen.at[j], name);
        if (known) continue;
        str_fmt(&s, "%s%s", seen.n ? ", " : "", name);
        vec_push(r->arena, &seen, name);
    }
    return seen.n ? s.at : "copy";
}

static Dim *here(const Report *r, const Step *s, Dim *d)
{
    return d ? dim_subst(r->f->func->module, d, s->kernel->syms.n, s->kernel->syms.at, s->dim) : NULL;
}

static void kernels(const Report *r)
{
    for (uint32_t i = 0; i < r->f->steps.n; i++) {
        const Step *s = &r->f->steps.at[i];
        str_fmt(r->out, "  %3u %s", i, s->kernel->name);
        const char *where = place(r, s->span);
        if (*where) str_fmt(r->out, "  (%s)", where);
        str_fmt(r->out, "\n        %s; FLOPs %s, bytes %s\n", work_of(r, s->kernel), amount_text(r->arena, here(r, s, kernel_flops(s->kernel)), r->dims),
                amount_text(r->arena, here(r, s, kernel_bytes(s->kernel)), r->dims));
        if (s->refused) str_fmt(r->out, "        stored: %s\n", s->refused);
    }
}

static bool look_up(void *user, const Atom *sym, int64_t *value) { return given_dim(user, sym->name, value); }

static const char *bytes_text(const Report *r, const Buffer *b)
{
    int64_t count;
    if (dim_with(b->count, r->dims, &count)) return size_text(r->arena, (double)count * (double)dtype_size(b->dtype));
    return arena_printf(r->arena, "%zu*(%s) B", dtype_size(b->dtype), dim_text(r->arena, b->count));
}

/* "64 KiB  tanh f32[B,32]  mlp.dl:14" */
static const char *value_text(const Report *r, const Buffer *b)
{
    Str s = {.arena = r->arena};
    str_fmt(&s, "%s  %s", bytes_text(r, b), b->value ? op_name(b->value->op) : "");
    if (b->value) str_fmt(&s, " %s", type_text(r->arena, b->value->type));
    if (b->value && *place(r, b->value->span)) str_fmt(&s, "  %s", place(r, b->value->span));
    return s.at;
}

/* The buffers that are marked, a line each; equal ones (layers of one shape) on one line with their number. */
static void values(const Report *r, const bool *marked)
{
    const char **text = arena_array(r->arena, const char *, r->f->buffers.n + 1);
    for (uint32_t i = 0; i < r->f->buffers.n; i++) text[i] = marked[i] ? value_text(r, &r->f->buffers.at[i]) : NULL;
    for (uint32_t i = 0; i < r->f->buffers.n; i++) {
        uint32_t same = 1;
        if (!text[i]) continue;
        for (uint32_t k = i + 1; k < r->f->buffers.n; k++) {
            if (!text[k] || strcmp(text[i], text[k])) continue;
            text[k] = NULL;
            same++;
        }
        if (same > 1) str_fmt(r->out, "    %u times %s\n", same, text[i]);
        else str_fmt(r->out, "    %s\n", text[i]);
    }
}

static void peak(const Report *r)
{
    int64_t *live = arena_array(r->arena, int64_t, r->f->steps.n + 1), total = workspace_at(r->arena, r->f, look_up, (void *)r->dims, live);
    if (total < 0) {
        str_add(r->out, "  workspace: grows with its dims; --dim gives numbers\n");
        return;
    }
    uint32_t at = 0;
    for (uint32_t i = 1; i < r->f->steps.n; i++)
        if (live[i] > live[at]) at = i;
    str_fmt(r->out, "  workspace %s", size_text(r->arena, (double)total));
    if (total) str_fmt(r->out, "; most of it at step %u, %s:", at, r->f->steps.at[at].kernel->name);
    str_char(r->out, '\n');
    bool *alive = arena_array(r->arena, bool, r->f->buffers.n + 1);
    for (uint32_t i = 0; i < r->f->buffers.n && total; i++) {
        const Buffer *b = &r->f->buffers.at[i];
        alive[i] = b->kind == BUFFER_WORK && b->shares == NO_BUFFER && b->first <= at && b->last >= at;
    }
    values(r, alive);
}

/* Is a value of origin `made` computed inside the kernel that stores n? */
static bool computes(const Report *r, const Node *n, Made made, bool *seen)
{
    seen[n->id] = true;
    bool found = n->made == made;
    for (uint32_t k = 0; k < n->nargs && !found; k++)
        if (!r->stored[n->arg[k]->id] && !seen[n->arg[k]->id]) found = computes(r, n->arg[k], made, seen);
    return found;
}

/* By step: does it compute a value of that origin? */
static bool *steps_of(const Report *r, Made made)
{
    const ProgramFunc *f = r->f;
    bool *is = arena_array(r->arena, bool, f->steps.n + 1);
    for (uint32_t i = 0; i < f->steps.n; i++) {
        const Step *s = &f->steps.at[i];
        bool *seen = arena_array(r->arena, bool, f->func->nodes_made + 1);
        for (uint32_t k = 0; k < s->kernel->operands.n && !is[i]; k++) {
            const Node *n = s->kernel->operands.at[k].written ? f->buffers.at[s->buffer[k]].value : NULL;
            is[i] = n && computes(r, n, made, seen);
        }
    }
    return is;
}

static void kept(const Report *r)
{
    const ProgramFunc *f = r->f;
    const bool *backward = steps_of(r, MADE_BACKWARD), *again = steps_of(r, MADE_AGAIN);
    bool *read = arena_array(r->arena, bool, f->buffers.n + 1), any_read = false, any_backward = false, any = false;
    for (uint32_t i = 0; i < f->steps.n; i++) any_backward |= backward[i], any |= again[i];
    for (uint32_t b = 0; b < f->buffers.n && any_backward; b++) {
        const Buffer *x = &f->buffers.at[b];
        if (x->kind != BUFFER_WORK || !x->value || x->value->made != MADE_FORWARD) continue;
        for (uint32_t i = 0; i < f->steps.n && !read[b]; i++) {
            const Step *s = &f->steps.at[i];
            for (uint32_t k = 0; k < s->kernel->operands.n && (backward[i] || again[i]); k++) read[b] |= s->buffer[k] == b && !s->kernel->operands.at[k].written;
        }
        any_read |= read[b];
    }
    if (any_read) str_add(r->out, "  the backward pass keeps from the forward pass:\n");
    values(r, read);
    if (any) str_add(r->out, "  computed again instead of kept, in steps:");
    for (uint32_t i = 0; i < f->steps.n; i++)
        if (again[i]) str_fmt(r->out, " %u", i);
    if (any) str_char(r->out, '\n');
}

void explain_program(Session *s, const Program *p, Str *out)
{
    static const TextList none;
    str_add(out, "");
    for (uint32_t i = 0; i < p->funcs.n; i++) {
        Report r = {.s = s, .arena = &s->arena, .out = out, .f = p->funcs.at[i], .dims = s->dims ? s->dims : &none};
        if (!r.f->func->exported) continue;
        r.stored = arena_array(r.arena, uint32_t, r.f->func->nodes_made + 1);
        for (uint32_t b = 0; b < r.f->buffers.n; b++)
            if (r.f->buffers.at[b].value) r.stored[r.f->buffers.at[b].value->id] = b + 1;
        str_fmt(out, "%s: %u kernel%s\n", r.f->func->name, r.f->steps.n, r.f->steps.n == 1 ? "" : "s");
        kernels(&r);
        peak(&r);
        kept(&r);
        str_char(out, '\n');
    }
    Report r = {.s = s, .arena = &s->arena};
    for (uint32_t i = 0; i < p->module->remarks.n; i++)
        str_fmt(out, "%s (%s)\n", p->module->remarks.at[i].text, place(&r, p->module->remarks.at[i].span));
}
