/* tokenize.c - `dlc tokenize`: text to token ids, and ids to text. */
#include "driver/driver.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/tokenizer.h"

typedef struct TokenizeOptions {
    const char *kind, *text;
    bool decode, count, marks, keep_case;
} TokenizeOptions;

/* Ids between white space, commas and brackets: what encoding prints, or a JSON array. */
static bool read_ids(Session *s, const Tokenizer *t, const char *text, size_t n, IdList *ids)
{
    for (size_t at = 0; at < n; ) {
        char *end;
        if (isspace((unsigned char)text[at]) || strchr(",[]", text[at] ? text[at] : 'x')) {
            at++;
            continue;
        }
        errno = 0;
        long long id = strtoll(text + at, &end, 10);
        size_t next = (size_t)(end - text);
        bool over = next >= n || isspace((unsigned char)*end) || *end == ',' || *end == ']';
        if (end == text + at || !over) {
            session_error(s, "byte %zu of the input is no token id: '%.20s'", at, text + at);
            return false;
        }
        if (errno || id < 0 || id >= tokenizer_size(t)) {
            session_error(s, "id %.*s is none of the tokenizer's: they are 0 to %d", (int)(next - at), text + at, (int)tokenizer_size(t) - 1);
            return false;
        }
        vec_push(&s->arena, ids, (int32_t)id);
        at = next;
    }
    return true;
}

static bool decode(Session *s, const TokenizeOptions *o, const Tokenizer *t, const char *text, size_t n)
{
    IdList ids = {0};
    Str out = {.arena = &s->arena};
    if (!read_ids(s, t, text, n, &ids)) return false;
    for (uint32_t i = 0; i < ids.n; i++) tokenizer_piece(t, i ? ids.at[i - 1] : -1, ids.at[i], &out);
    if (o->count) {
        printf("%zu\n", out.n);
    } else if (s->json) {
        Str json = {.arena = &s->arena};
        str_add(&json, "{\"text\":");
        str_json(&json, out.at ? out.at : "", out.n);
        str_add(&json, "}\n");
        fwrite(json.at, 1, json.n, stdout);
    } else if (out.n) {
        fwrite(out.at, 1, out.n, stdout);
    }
    return true;
}

static void print_json(Session *s, const Tokenizer *t, const IdList *ids)
{
    Str json = {.arena = &s->arena};
    str_fmt(&json, "{\"tokenizer\":\"%s\",\"count\":%u,\"ids\":[", tokenizer_kind_name(t), ids->n);
    for (uint32_t i = 0; i < ids->n; i++) str_fmt(&json, "%s%d", i ? "," : "", (int)ids->at[i]);
    str_add(&json, "],\"tokens\":[");
    for (uint32_t i = 0; i < ids->n; i++) {
        size_t n;
        const char *token = tokenizer_token(t, ids->at[i], &n);
        if (i) str_char(&json, ',');
        str_json(&json, token, n);
    }
    str_add(&json, "]}\n");
    fwrite(json.at, 1, json.n, stdout);
}

static bool encode(Session *s, const TokenizeOptions *o, Tokenizer *t, const char *text, size_t n)
{
    IdList ids = {0};
    const char *error = NULL;
    if (!tokenizer_encode(t, text, n, o->marks, &ids, &error)) return session_error(s, "%s", error), false;
    if (o->count) {
        printf("%u\n", ids.n);
    } else if (s->json) {
        print_json(s, t, &ids);
    } else {
        for (uint32_t i = 0; i < ids.n; i++) printf("%s%d", i ? " " : "", (int)ids.at[i]);
        printf("\n");
    }
    return true;
}

static bool tokenize(Session *s, const TokenizeOptions *o, const char *tokenizer, const char *file)
{
    const char *error = NULL;
    char *text = NULL;
    size_t n = 0;
    Tokenizer *t = tokenizer_open(&s->arena, tokenizer, tokenizer_kind(o->kind), o->keep_case, &error);
    if (!t) return session_error(s, "%s", error), false;
    if (o->text) text = arena_printf(&s->arena, "%s", o->text), n = strlen(text);
    else if (!file_read(&s->arena, file, 0, &text, &n, &error)) return session_error(s, "%s", error), false;
    return o->decode ? decode(s, o, t, text, n) : encode(s, o, t, text, n);
}

int command_tokenize(int argc, char **argv)
{
    static const Command self = {"tokenize", "dlc tokenize TOKENIZER [FILE]",
                                 "Turn text into token ids, or ids into text.\n"
                                 "TOKENIZER is a folder with GPT-2's encoder.json and vocab.bpe, BERT's vocab.txt, or llama2.c's\n"
                                 "tokenizer.bin. The text is read from FILE, or from stdin. docs/text.md has the formats.", NULL};
    Session s;
    session_begin(&s);
    TokenizeOptions o = {0};
    TextList rest = {0};
    Option options[] = {
        {0, "text", "TEXT", OPTION_TEXT, &o.text, "this text (with --decode: these ids) instead of a file"},
        {'d', "decode", NULL, OPTION_FLAG, &o.decode, "ids to text"},
        {0, "count", NULL, OPTION_FLAG, &o.count, "print the number of tokens alone (with --decode: of bytes)"},
        {0, "marks", NULL, OPTION_FLAG, &o.marks, "with the tokens that begin and end a text"},
        {0, "keep-case", NULL, OPTION_FLAG, &o.keep_case, "WordPiece: keep capitals and accents"},
        {0, "kind", "gpt2|wordpiece|llama2c", OPTION_CHOICE, &o.kind, "what the file is, where its name does not tell"},
        {0, "json", NULL, OPTION_FLAG, &s.json, "print what a program can read"},
    };
    int code = options_parse(&s.arena, &self, options, COUNT(options), argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    if (rest.n < 1 || rest.n > 2 || (rest.n == 2 && o.text)) {
        usage_error(&self, !rest.n ? "which tokenizer?" : rest.n > 2 ? "one file at a time" : "a file or --text, not both");
        return arena_free(&s.arena), EXIT_USAGE;
    }
    bool ok = tokenize(&s, &o, rest.at[0], rest.n == 2 ? rest.at[1] : "-");
    s.json = s.json && !ok;
    return session_end(&s, ok);
}
