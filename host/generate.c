/* generate.c - the loop of `dlc generate`: append the prompt, choose a token, append it, and so on; text as it comes. */
#include "host/generate.h"

#include "host/stream.h"

typedef struct Generation {
    Arena                 *arena;
    dlc_artefact          *artefact;
    dlc_instance          *m;
    Tokenizer             *t;
    const GenerateOptions *o;
    int      restart, append, dtype;    /* functions; dtype of ids */
    int64_t  vocabulary;
    void    *ids;                       /* as append takes them */
    float   *logits, *last;             /* all that append gives; of the last token */
    void   **out, **no_out;             /* append's and restart's outputs: the logits, and states, which are not given */
    TextStream text;
    Str      piece;                     /* of one token */
} Generation;

static bool failed(const char **error, const char *text)
{
    *error = text;
    return false;
}

/* ---- the model ---------------------------------------------------------------------------------------------------------- */

static bool find_functions(Generation *g, const char **error)
{
    dlc_function_info restart, append;
    dlc_argument_info ids;
    g->restart = dlc_find(g->artefact, "restart");
    g->append = dlc_find(g->artefact, "append");
    if (g->restart < 0 || g->append < 0)
        return failed(error, arena_printf(g->arena, "the model exports no `%s`; generating needs restart() and append(ids: i32[1, T]) -> (logits)",
                                             g->append < 0 ? "append" : "restart"));
    dlc_function(g->artefact, g->restart, &restart);
    dlc_function(g->artefact, g->append, &append);
    g->out = arena_array(g->arena, void *, (size_t)append.noutputs + 1);
    g->no_out = arena_array(g->arena, void *, (size_t)restart.noutputs + 1);
    bool results = false;
    for (int i = 0; i < restart.noutputs; i++) dlc_argument(g->artefact, g->restart, DLC_OUTPUT, i, &ids), results |= !ids.state;
    if (restart.ninputs || restart.ndims || results) return failed(error, "`restart` of the model takes or gives something; generating needs restart()");
    bool ok = append.ninputs == 1 && append.ndims == 1;
    if (ok) {
        dlc_argument(g->artefact, g->append, DLC_INPUT, 0, &ids);
        ok = (ids.dtype == DLC_I32 || ids.dtype == DLC_I64) && ids.rank == 2 && ids.dim[0] == 1 && ids.symbol[1] == 0;
        g->dtype = ids.dtype;
    }
    return ok || failed(error, "`append` of the model has another type; generating needs append(ids: i32[1, T]) -> (logits)");
}

/* Buffers for n tokens at once. */
static bool make_buffers(Generation *g, int64_t n, const char **error)
{
    static const char other[] = "`append` of the model gives something else than (logits: f32[1, vocabulary])";
    dlc_function_info append;
    dlc_argument_info logits = {0};
    int shown = 0, output = 0;
    int64_t shape[DLC_MAX_RANK], count = 1;
    dlc_function(g->artefact, g->append, &append);
    for (int i = 0; i < append.noutputs; i++) {
        dlc_argument_info arg;
        dlc_argument(g->artefact, g->append, DLC_OUTPUT, i, &arg);
        if (!arg.state) shown++, output = i, logits = arg;
    }
    if (shown != 1 || logits.dtype != DLC_F32 || logits.rank < 1 || logits.rank > 3) return failed(error, other);
    int status = dlc_shape(g->artefact, g->append, DLC_OUTPUT, output, &n, shape);
    if (status) return failed(error, arena_printf(g->arena, "the prompt's %lld tokens are too many: %s", (long long)n, dlc_status_text(status)));
    for (int i = 0; i < logits.rank; i++) count *= shape[i];
    g->vocabulary = shape[logits.rank - 1];
    if (g->vocabulary <= 0 || g->vocabulary > INT32_MAX || (count != g->vocabulary && count / n != g->vocabulary)) return failed(error, other);
    if (tokenizer_size(g->t) > g->vocabulary)
        return failed(error, arena_printf(g->arena, "the tokenizer has %d tokens, the model knows %lld: they do not belong together",
                                             (int)tokenizer_size(g->t), (long long)g->vocabulary));
    g->logits = arena_array(g->arena, float, (size_t)count);
    g->last = g->logits + count - g->vocabulary;
    g->out[output] = g->logits;
    g->ids = arena_array(g->arena, int64_t, (size_t)n);
    return true;
}

static int append(Generation *g, const int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (g->dtype == DLC_I64) ((int64_t *)g->ids)[i] = ids[i];
        else ((int32_t *)g->ids)[i] = ids[i];
    }
    return dlc_call(g->m, g->append, &n, (const void *[]){g->ids}, g->out);
}

/* ---- the loop ------------------------------------------------------------------------------------------------------------- */

static bool continue_text(Generation *g, int32_t before, GenerateResult *r, const char **error)
{
    Sampler *sampler = sampler_new(g->arena, &g->o->sample, tokenizer_size(g->t));
    r->end = GENERATE_tokens;
    for (int64_t i = 0; i < g->o->tokens; i++) {
        int32_t id = sampler_next(sampler, g->last);
        if (id < 0) return failed(error, "the model's logits are not numbers: are these its weights?");
        if (tokenizer_ends(g->t, id)) {
            r->end = GENERATE_end;
            break;
        }
        vec_push(g->arena, &r->ids, id);
        g->piece.n = 0;
        tokenizer_piece(g->t, before, id, &g->piece);
        before = id;
        if (stream_add(&g->text, g->piece.at ? g->piece.at : "", g->piece.n)) r->end = GENERATE_stop;
        else if (g->text.closed) r->end = GENERATE_closed;
        if (r->end != GENERATE_tokens || i + 1 == g->o->tokens) break;
        int status = append(g, &id, 1);
        if (status == DLC_BAD_INDEX || status == DLC_BAD_DIM) {     /* no room behind the tokens that are there */
            r->end = GENERATE_full;
            r->full = arena_printf(g->arena, "%s", dlc_error(g->m));
            break;
        }
        if (status) return failed(error, arena_printf(g->arena, "%s", dlc_error(g->m)));
    }
    stream_end(&g->text);
    return true;
}

bool generate(Arena *a, dlc_artefact *artefact, dlc_instance *m, Tokenizer *t, const char *prompt, size_t n, const GenerateOptions *o,
              GenerateResult *r, const char **error)
{
    Generation g = {.arena = a, .artefact = artefact, .m = m, .t = t, .o = o, .piece = {.arena = a}};
    g.text = (TextStream){.pending = {.arena = a}, .stop = o->stop, .write = o->write, .user = o->user};
    IdList ids = {0};
    *r = (GenerateResult){.end = GENERATE_tokens};
    if (!find_functions(&g, error) || !tokenizer_encode(t, prompt, n, true, &ids, error)) return false;
    while (ids.n > 1 && tokenizer_ends(t, ids.at[ids.n - 1])) ids.n--;      /* the text goes on */
    if (!ids.n && tokenizer_begin(t) >= 0) vec_push(a, &ids, tokenizer_begin(t));
    if (!ids.n) return failed(error, "the prompt has no tokens, and the tokenizer has none that begins a text");
    if (!make_buffers(&g, ids.n, error)) return false;
    if (dlc_call(m, g.restart, NULL, NULL, g.no_out)) return failed(error, arena_printf(a, "%s", dlc_error(m)));
    double start = time_now();
    int status = append(&g, ids.at, ids.n);
    if (status == DLC_BAD_DIM) return failed(error, arena_printf(a, "the prompt's %u tokens do not fit into the model: %s", ids.n, dlc_error(m)));
    if (status) return failed(error, arena_printf(a, "%s", dlc_error(m)));
    double read = time_now();
    if (!o->only_new && o->write && n) g.text.closed = !o->write(o->user, prompt, n);
    bool ok = g.text.closed || continue_text(&g, n ? ids.at[ids.n - 1] : tokenizer_begin(t), r, error);
    r->prompt_tokens = ids.n;
    r->prompt_seconds = read - start;
    r->seconds = time_now() - read;
    return ok;
}
