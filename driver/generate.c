/* generate.c - `dlc generate`: compile a decoder model and let it continue a text. */
#include "driver/driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/generate.h"

typedef struct GenerateCommand {
    const char *weights, *tokenizer, *kind, *prompt, *prompt_file, *temperature, *top_p;
    int         tokens, top_k, seed, threads;
    bool        keep_case;
    GenerateOptions o;
    Session    *s;
    Str         text;                   /* --json: all of it */
} GenerateCommand;

static bool write_text(void *user, const char *at, size_t n)
{
    GenerateCommand *c = user;
    if (c->s->json) {
        str_addn(&c->text, at, n);
        return true;
    }
    return fwrite(at, 1, n, stdout) == n && fflush(stdout) == 0;
}

static const char *end_name(GenerateEnd end)
{
    static const char *const name[] = {"tokens", "end", "stop", "full", "closed"};
    return name[end];
}

static double rate(double n, double seconds)
{
    return seconds > 0 ? n / seconds : 0;
}

static void print_result(GenerateCommand *c, const GenerateResult *r)
{
    double prompt = rate((double)r->prompt_tokens, r->prompt_seconds), made = rate((double)r->ids.n, r->seconds);
    if (!c->s->json) {
        printf("\n");
        fflush(stdout);
        if (r->end == GENERATE_full) fprintf(stderr, "dlc: the model holds no longer text: %s\n", r->full);
        fprintf(stderr, "prompt %lld tokens, %.0f tokens/s; generated %u tokens, %.0f tokens/s\n", (long long)r->prompt_tokens, prompt, r->ids.n, made);
        return;
    }
    Str json = {.arena = &c->s->arena};
    str_add(&json, "{\"text\":");
    str_json(&json, c->text.at ? c->text.at : "", c->text.n);
    str_add(&json, ",\"ids\":[");
    for (uint32_t i = 0; i < r->ids.n; i++) str_fmt(&json, "%s%d", i ? "," : "", (int)r->ids.at[i]);
    str_fmt(&json, "],\"end\":\"%s\",\"prompt_tokens\":%lld,\"tokens\":%u,\"prompt_tokens_per_second\":%.1f,\"tokens_per_second\":%.1f}\n",
            end_name(r->end), (long long)r->prompt_tokens, r->ids.n, prompt, made);
    fwrite(json.at, 1, json.n, stdout);
}

static bool generate_with(GenerateCommand *c, dlc_artefact *a, dlc_instance *m, Tokenizer *t)
{
    Session *s = c->s;
    GenerateResult r;
    const char *error = NULL;
    char *prompt = NULL;
    size_t n = 0;
    if (c->weights && dlc_load(m, c->weights)) return session_error(s, "%s", dlc_error(m)), false;
    if (c->prompt) prompt = arena_printf(&s->arena, "%s", c->prompt), n = strlen(prompt);
    else if (c->prompt_file && !file_read(&s->arena, c->prompt_file, 0, &prompt, &n, &error)) return session_error(s, "%s", error), false;
    if (!generate(&s->arena, a, m, t, prompt ? prompt : "", n, &c->o, &r, &error)) return session_error(s, "%s", error), false;
    print_result(c, &r);
    return true;
}

static bool run(GenerateCommand *c, const char *path)
{
    Session *s = c->s;
    TempArtefact temp = {0};
    char why[512];
    const char *error = NULL;
    TokenizerKind kind = tokenizer_kind(c->kind);
    Tokenizer *t = tokenizer_open(&s->arena, c->tokenizer, kind, c->keep_case, &error);     /* before compiling: the quicker one to fail */
    if (!t) return session_error(s, "%s", error), false;
    if (!compile_temporary(s, path, NULL, &temp)) return false;
    dlc_artefact *a = dlc_open(temp.so, why, sizeof why);
    remove_temporary(&temp);                            /* it stays mapped */
    if (!a) return session_error(s, "%s", why), false;
    dlc_options options = {.size = sizeof options, .threads = c->threads, .seed = (uint64_t)c->seed};
    dlc_instance *m = dlc_create(a, &options, why, sizeof why);
    bool ok = m && generate_with(c, a, m, t);
    if (!m) session_error(s, "%s", why);
    if (m) dlc_destroy(m);
    dlc_close(a);
    return ok;
}

/* A number within [lo, hi]; NULL: it stays as it is. */
static bool number(const Command *self, const char *name, const char *text, double lo, double hi, double *v)
{
    char *end;
    if (!text) return true;
    *v = strtod(text, &end);
    if (end != text && !*end && *v >= lo && *v <= hi) return true;
    usage_error(self, "--%s takes a number from %g to %g, not '%s'", name, lo, hi, text);
    return false;
}

int command_generate(int argc, char **argv)
{
    static const Command self = {"generate", "dlc generate FILE.dl --weights FILE --tokenizer FILE [--prompt TEXT]",
                                 "Continue a text with a decoder model: one that exports restart() and append(ids: i32[1, T]) -> (logits).\n"
                                 "The text goes to stdout as it comes; tokens per second to stderr.", NULL};
    Session s;
    session_begin(&s);
    GenerateCommand c = {.s = &s, .tokens = 256, .text = {.arena = &s.arena}};
    TextList rest = {0};
    Option options[40] = {
        {0, "weights", "FILE", OPTION_TEXT, &c.weights, "params and states (.safetensors); default: initial values"},
        {0, "tokenizer", "FILE", OPTION_TEXT, &c.tokenizer, "a tokenizer's file or folder, as for `dlc tokenize`"},
        {0, "prompt", "TEXT", OPTION_TEXT, &c.prompt, "the text to continue (default: none)"},
        {0, "prompt-file", "FILE", OPTION_TEXT, &c.prompt_file, "... from a file; `-` is stdin"},
        {'n', "tokens", "N", OPTION_INT, &c.tokens, "generate at most so many (default 256)"},
        {0, "temperature", "T", OPTION_TEXT, &c.temperature, "0 takes the likeliest token (default); 1 draws as the model says"},
        {0, "top-k", "K", OPTION_INT, &c.top_k, "draw from the K likeliest (default: all)"},
        {0, "top-p", "P", OPTION_TEXT, &c.top_p, "draw from the likeliest that have the probability P together (default 1)"},
        {0, "seed", "S", OPTION_INT, &c.seed, "of the draws (default 0)"},
        {0, "stop", "TEXT", OPTION_TEXT, &c.o.stop, "end before this text"},
        {0, "only-new", NULL, OPTION_FLAG, &c.o.only_new, "do not repeat the prompt"},
        {0, "keep-case", NULL, OPTION_FLAG, &c.keep_case, "WordPiece: keep capitals and accents"},
        {0, "kind", "gpt2|wordpiece|llama2c", OPTION_CHOICE, &c.kind, "what the tokenizer's file is, where its name does not tell"},
        {0, "threads", "N", OPTION_INT, &c.threads, "default: one a CPU"},
    };
    uint32_t n = 14 + session_options(&s, options + 14);
    int code = options_parse(&s.arena, &self, options, n, argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    const char *wrong = NULL;
    if (rest.n != 1) wrong = rest.n ? "one model at a time" : "which model?";
    else if (!c.tokenizer) wrong = "which tokenizer? --tokenizer FILE";
    else if (c.prompt && c.prompt_file) wrong = "--prompt or --prompt-file, not both";
    else if (c.tokens < 0 || c.top_k < 0) wrong = "--tokens and --top-k are not negative";
    if (wrong) usage_error(&self, "%s", wrong);
    double temperature = 0, top_p = 1;
    if (wrong || !number(&self, "temperature", c.temperature, 0, 1e6, &temperature) || !number(&self, "top-p", c.top_p, 0, 1, &top_p))
        return arena_free(&s.arena), EXIT_USAGE;
    c.o.sample = (SampleOptions){temperature, c.top_k, top_p, (uint64_t)c.seed};
    c.o.tokens = c.tokens;
    c.o.write = write_text;
    c.o.user = &c;
    bool ok = run(&c, rest.at[0]);
    s.json = s.json && !ok;                             /* the result was the JSON */
    return session_end(&s, ok);
}
