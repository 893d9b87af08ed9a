/* test_tokenizer.c - the three tokenizers on small files, sampling, text in pieces. The real files are test_text.sh's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/sample.h"
#include "host/stream.h"
#include "host/tokenizer_internal.h"
#include "host/unicode.h"

/* ---- WordPiece ------------------------------------------------------------------------------------------------------ */

static Tokenizer *wordpiece(Arena *a, const char *vocabulary, bool keep_case)
{
    const char *error = NULL;
    Tokenizer *t = tokenizer_new(a, TOKENIZER_wordpiece);
    t->keep_case = keep_case;
    if (!wordpiece_parse(t, "vocab.txt", vocabulary, strlen(vocabulary), &error)) fail_msg("%s", error);
    return t;
}

/* The tokens' texts, a '|' between. */
static void tokens(Tokenizer *t, const char *text, size_t n, const char *want)
{
    IdList ids = {0};
    const char *error = NULL;
    Str got = {.arena = t->arena};
    if (!tokenizer_encode(t, text, n, false, &ids, &error)) fail_msg("%s", error);
    for (uint32_t i = 0; i < ids.n; i++) {
        size_t len;
        const char *token = tokenizer_token(t, ids.at[i], &len);
        str_fmt(&got, "%s%.*s", i ? "|" : "", (int)len, token);
    }
    assert_string_equal(got.at ? got.at : "", want);
}
#define TOKENS(t, text, want) tokens(t, text, sizeof text - 1, want)

static void words(void **state)
{
    static const char vocabulary[] =
        "[UNK]\n[CLS]\n[SEP]\nhello\nhow\nare\nyou\n!\n?\n,\nHeLLo\na\n\xE5\x8D\x9A\n\xE6\x8E\xA8\nz\nhallo\nH\xC3\xA4LLo\nun\n##want\n##ed\nrunn\n##ing\nunknown\n"
        "\xE1\x84\x92\n##\xE1\x85\xA1\n##\xE1\x86\xAB\n\xCE\xB1\n";
    Arena a = {0};
    (void)state;
    Tokenizer *lower = wordpiece(&a, vocabulary, false), *cased = wordpiece(&a, vocabulary, true);
    TOKENS(lower, " \tHeLLo!how  \n Are yoU?  ", "hello|!|how|are|you|?");
    TOKENS(lower, "H\xC3\xA9llo", "hello");                                             /* é in one character, */
    TOKENS(lower, "He\xCC\x81llo", "hello");                                            /* and as e with an accent */
    TOKENS(lower, "H\xC3\x84LLo", "hallo");
    TOKENS(cased, " \tHeLLo!how  \n H\xC3\xA4LLo are yoU?  ", "HeLLo|!|how|H\xC3\xA4LLo|are|[UNK]|?");
    TOKENS(lower, "a\xE5\x8D\x9A\xE6\x8E\xA8z", "a|\xE5\x8D\x9A|\xE6\x8E\xA8|z");       /* CJK characters stand alone */
    TOKENS(lower, "unwanted running", "un|##want|##ed|runn|##ing");
    TOKENS(lower, "unwantedX running", "[UNK]|runn|##ing");
    TOKENS(lower, "", "");
    TOKENS(lower, " \r\n\t\xC2\xA0\xE3\x80\x80\xE2\x80\xA8", "");
    TOKENS(lower, "hel\xE2\x80\x8Blo \x01you\x7F\xEF\xBF\xBD", "hello|you");             /* control characters are dropped */
    TOKENS(lower, "hel\0lo", "hello");
    TOKENS(lower, "hel\xFFlo", "hello");                                                 /* so is what is not UTF-8 */
    TOKENS(lower, "\xED\x95\x9C", "\xE1\x84\x92|##\xE1\x85\xA1|##\xE1\x86\xAB");         /* Hangul comes apart */
    TOKENS(lower, "\xCE\x91\xCC\x81", "\xCE\xB1");
    char word[4 * 201 + 1];
    memset(word, 'a', sizeof word);
    tokens(lower, word, 201, "[UNK]");
    arena_free(&a);
}

static void kinds_of_characters(void **state)
{
    (void)state;
    assert_int_equal(unicode_kind('a'), UNICODE_LETTER);
    assert_int_equal(unicode_kind(0xAA), UNICODE_LETTER);
    assert_int_equal(unicode_kind(0x4E00), UNICODE_LETTER);
    assert_int_equal(unicode_kind('7'), UNICODE_NUMBER);
    assert_int_equal(unicode_kind(0xBD), UNICODE_NUMBER);           /* one half */
    assert_int_equal(unicode_kind('$'), UNICODE_OTHER);
    assert_int_equal(unicode_kind(0x301), UNICODE_ACCENT);
    assert_int_equal(unicode_kind(0x200B), UNICODE_CONTROL);
    assert_int_equal(unicode_kind(0x10FFFF), UNICODE_OTHER);
    assert_int_equal(unicode_kind(UNICODE_NONE), UNICODE_OTHER);
    assert_int_equal(unicode_lower(0x130), 'i');
    assert_int_equal(unicode_lower(0x100), 0x101);
    assert_int_equal(unicode_lower(0x101), 0x101);
    assert_int_equal(unicode_lower(0x10400), 0x10428);
    for (uint32_t c = 0; c < UNICODE_NONE; c += c < 0x3000 ? 1 : 97) {
        char bytes[4];
        uint32_t len;
        if (c >= 0xD800 && c < 0xE000) continue;
        assert_int_equal(utf8_next(bytes, utf8_write(c, bytes), &len), c);
    }
}

/* ---- llama2.c ----------------------------------------------------------------------------------------------------------- */

static void add_u32(Str *s, uint32_t v)
{
    for (int i = 0; i < 4; i++) str_char(s, (char)(v >> 8 * i));
}

static void add_scored(Str *s, const char *token, float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    add_u32(s, bits), add_u32(s, (uint32_t)strlen(token));
    str_add(s, token);
}

/* Begin, end, bytes; then the tokens given with scores -1, -2, ... */
static Str scored_file(Arena *a, const char *const *token, size_t n)
{
    Str s = {.arena = a};
    add_u32(&s, 12);
    add_scored(&s, "<unk>", 0), add_scored(&s, "\n<s>\n", 0), add_scored(&s, "\n</s>\n", 0);
    for (int b = 0; b < 256; b++) add_scored(&s, arena_printf(a, "<0x%02X>", (unsigned)b), 0);
    for (size_t i = 0; i < n; i++) add_scored(&s, token[i], -1 - (float)i);
    return s;
}

static void scores(void **state)
{
    static const char *const file[] = {"ab", " a", "bc", "abc", "a", "b", "c", " "};
    Arena a = {0};
    const char *error = NULL;
    IdList ids = {0};
    Str data = scored_file(&a, file, COUNT(file)), back = {.arena = &a};
    Tokenizer *t = tokenizer_new(&a, TOKENIZER_llama2c);
    (void)state;
    if (!llama2c_parse(t, "t.bin", data.at, data.n, &error)) fail_msg("%s", error);
    TOKENS(t, "abc", " |abc");                  /* ab before " a", for its score; then abc */
    TOKENS(t, "ac", " a|c");
    TOKENS(t, "bcbc", " |bc|bc");
    TOKENS(t, "a\xC3\xA9", " a|<0xC3>|<0xA9>");
    TOKENS(t, "", "");
    char all[512];
    for (int i = 0; i < 512; i++) all[i] = (char)(i * 7);
    assert_true(tokenizer_encode(t, all, sizeof all, true, &ids, &error));
    assert_int_equal(ids.at[0], 1);
    for (uint32_t i = 0; i < ids.n; i++) assert_true(tokenizer_piece(t, i ? ids.at[i - 1] : -1, ids.at[i], &back));
    assert_int_equal(back.n, sizeof all);
    assert_memory_equal(back.at, all, sizeof all);
    assert_false(tokenizer_piece(t, -1, tokenizer_size(t), &back));
    assert_false(tokenizer_piece(t, -1, -1, &back));
    assert_true(tokenizer_ends(t, 1) && tokenizer_ends(t, 2) && !tokenizer_ends(t, 3));
    /* Every cut is refused or, between two tokens, a smaller file. */
    for (size_t n = 0; n < data.n; n++) {
        Tokenizer *cut = tokenizer_new(&a, TOKENIZER_llama2c);
        error = NULL;
        if (!llama2c_parse(cut, "t.bin", data.at, n, &error)) assert_non_null(error);
        else assert_true(cut->tokens.n < t->tokens.n);
    }
    arena_free(&a);
}

/* ---- GPT-2 ---------------------------------------------------------------------------------------------------------------- */

static void pairs(void **state)
{
    static const char json[] = "{\"a\":0,\"b\":1,\"\\u0120\":2,\"ab\":3,\"\\u0120ab\":4,\"'\":5,\"s\":6,\"'s\":7,\"1\":8,\"!\":9,\"\\u010a\":10,\"\\u00c3\":11,\"<|endoftext|>\":12}";
    static const char merges[] = "#version: 0.2\na b\n\xC4\xA0 ab\n' s\n";
    Arena a = {0};
    const char *error = NULL;
    Tokenizer *t = tokenizer_new(&a, TOKENIZER_gpt2);
    IdList ids = {0};
    (void)state;
    if (!gpt2_parse(t, "e.json", json, sizeof json - 1, "v.bpe", merges, sizeof merges - 1, &error)) fail_msg("%s", error);
    TOKENS(t, "abab ab", "ab|ab| ab");
    TOKENS(t, "ab's 's", "ab|'s| |'|s");
    TOKENS(t, "  ab", " | ab");
    TOKENS(t, "ab  ", "ab| | ");
    TOKENS(t, "\n\n ab\n\n", "\n|\n| ab|\n|\n");
    TOKENS(t, "ab1!!1", "ab|1|!|!|1");
    TOKENS(t, "\xC3", "\xC3");                  /* not UTF-8: a byte all the same */
    assert_int_equal(tokenizer_begin(t), 12);
    assert_false(tokenizer_encode(t, "abc", 3, false, &ids, &error));
    assert_string_equal(error, "byte 2 of the text, 0x63, has no token");
    ids.n = 0;
    TOKENS(t, "ab", "ab");                      /* nothing is left of what failed */
    arena_free(&a);
}

/* ---- sampling ------------------------------------------------------------------------------------------------------------- */

static void counts(const SampleOptions *o, const float *logits, int32_t n, int *count)
{
    Arena a = {0};
    Sampler *s = sampler_new(&a, o, n), *again = sampler_new(&a, o, n);
    for (int i = 0; i < 4000; i++) {
        int32_t id = sampler_next(s, logits);
        assert_true(id >= 0 && id < n);
        assert_int_equal(id, sampler_next(again, logits));
        count[id]++;
    }
    arena_free(&a);
}

static void sampling(void **state)
{
    const float logits[5] = {logf(0.1f), logf(0.4f), -INFINITY, logf(0.3f), logf(0.2f)};
    const float share[5] = {0.1f, 0.4f, 0, 0.3f, 0.2f};
    int all[5] = {0}, two[5] = {0}, most[5] = {0}, greedy[5] = {0}, cold[5] = {0};
    (void)state;
    counts(&(SampleOptions){1, 0, 1, 3}, logits, 5, all);
    for (int i = 0; i < 5; i++) assert_true(fabsf((float)all[i] / 4000 - share[i]) < 0.04f);       /* 5 standard deviations */
    counts(&(SampleOptions){1, 2, 1, 3}, logits, 5, two);
    assert_true(two[1] > 2100 && two[1] + two[3] == 4000);                                         /* 4 : 3 */
    counts(&(SampleOptions){1, 0, 0.75, 3}, logits, 5, most);
    assert_true(most[1] && most[3] && most[4] && !most[0]);
    counts(&(SampleOptions){0, 0, 1, 3}, logits, 5, greedy);
    assert_int_equal(greedy[1], 4000);
    counts(&(SampleOptions){1e-9, 0, 1, 3}, logits, 5, cold);
    assert_int_equal(cold[1], 4000);
    Arena a = {0};
    Sampler *s = sampler_new(&a, &(SampleOptions){1, 0, 1, 0}, 3);
    assert_int_equal(sampler_next(s, (float[]){1, NAN, 2}), -1);
    assert_int_equal(sampler_next(s, (float[]){-INFINITY, -INFINITY, -INFINITY}), -1);
    assert_int_equal(sampler_next(s, (float[]){1, INFINITY, 2}), 1);
    s = sampler_new(&a, &(SampleOptions){0, 0, 1, 0}, 3);
    assert_int_equal(sampler_next(s, (float[]){1, 2, 2}), 1);                                      /* of equal ones the first */
    arena_free(&a);
}

/* ---- text in pieces ---------------------------------------------------------------------------------------------------------- */

typedef struct Sink { Str text; uint32_t calls, limit; } Sink;

static bool collect(void *user, const char *at, size_t n)
{
    Sink *s = user;
    str_addn(&s->text, at, n);
    str_char(&s->text, '|');
    return ++s->calls < s->limit;
}

/* The text, a byte at a time, as it was written: '|' behind every piece. */
static void streamed(const char *text, const char *stop, const char *want, bool stops)
{
    Arena a = {0};
    Sink sink = {.text = {.arena = &a}, .limit = 100};
    TextStream s = {.pending = {.arena = &a}, .stop = stop, .write = collect, .user = &sink};
    bool stopped = false;
    for (const char *p = text; *p && !stopped; p++) stopped = stream_add(&s, p, 1);
    stream_end(&s);
    assert_string_equal(sink.text.at ? sink.text.at : "", want);
    assert_int_equal(stopped, stops);
    arena_free(&a);
}

static void pieces_of_text(void **state)
{
    (void)state;
    streamed("abc", NULL, "a|b|c|", false);
    streamed("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z", NULL, "a|\xC3\xA9|\xE2\x82\xAC|\xF0\x9F\x98\x80|z|", false);
    streamed("a\xE2\x82", NULL, "a|\xE2\x82|", false);          /* the end of the text is written as it is */
    streamed("\xE2z", NULL, "\xE2z|", false);
    streamed("one. two", ". ", "o|n|e|", true);
    streamed("a.b.", "..", "a|.b|.|", false);
    streamed("aab", "ab", "a|", true);
    streamed("ab", "", "a|b|", false);
    Arena a = {0};
    Sink sink = {.text = {.arena = &a}, .limit = 2};
    TextStream s = {.pending = {.arena = &a}, .write = collect, .user = &sink};
    stream_add(&s, "x", 1), stream_add(&s, "y", 1), stream_add(&s, "z", 1);
    assert_true(s.closed);
    assert_string_equal(sink.text.at, "x|y|");
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words),    cmocka_unit_test(kinds_of_characters), cmocka_unit_test(scores),
                                       cmocka_unit_test(pairs),    cmocka_unit_test(sampling),            cmocka_unit_test(pieces_of_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
