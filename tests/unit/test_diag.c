/* test_diag.c - diagnostics: how they print, sort, repeat, and what hostile sources do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/json.h"

static uint32_t source(Diags *d, const char *path, const char *text)
{
    return diag_source(d, path, text, strlen(text));
}

static const char *printed(Arena *a, const Diags *d)
{
    Str s = {.arena = a};
    str_add(&s, "");
    diag_print(d, &s, false);
    return s.at;
}

static void test_print(void **state)
{
    Arena a = {0};
    Diags d = {.arena = &a};
    uint32_t f = source(&d, "mlp.dl", "fn f(x) {\n  h = relu(x @ w2 + b1)\n\tx\xc3\xa9 = y\n}\nlast");
    diag_error(&d, DL_bad_character, (Span){f, 41, 42}, "tab and UTF-8");
    Diag *e = diag_error(&d, DL_bad_character, (Span){f, 21, 27}, "inner dimensions differ");
    diag_note(&d, e, (Span){f, 0, 12}, "called from here");
    diag_note(&d, e, (Span){0}, "did you mean 'w1'?");
    diag_warning(&d, DL_bad_character, (Span){f, 49, 49}, "at the end");
    diag_error(&d, DL_bad_character, (Span){0}, "no place");
    assert_string_equal(printed(&a, &d),
        "mlp.dl:2:12: error DL0101: inner dimensions differ\n"
        "    2 |   h = relu(x @ w2 + b1)\n"
        "      |            ^~~~~~\n"
        "mlp.dl:1:1: note: called from here\n"
        "    1 | fn f(x) {\n"
        "      | ^~~~~~~~~\n"
        "note: did you mean 'w1'?\n"
        "mlp.dl:3:7: error DL0101: tab and UTF-8\n"
        "    3 |     x\xc3\xa9 = y\n"
        "      |          ^\n"
        "mlp.dl:5:5: warning DL0101: at the end\n"
        "    5 | last\n"
        "      |     ^\n"
        "error DL0101: no place\n");
    assert_int_equal(d.errors, 3);
    assert_int_equal(d.warnings, 1);
    arena_free(&a);
}

static void test_repeats(void **state)
{
    Arena a = {0};
    Diags d = {.arena = &a, .limit = 3};
    uint32_t f = source(&d, "x.dl", "abcdef");
    for (int i = 0; i < 1000; i++) {
        Diag *e = diag_error(&d, DL_bad_character, (Span){f, 2, 3}, "again");
        diag_note(&d, e, (Span){f, 0, 1}, i == 5 ? "from there" : "from here");
    }
    assert_int_equal(d.errors, 1000);
    assert_int_equal(diag_count(&d, DIAG_ERROR), 2);    /* the one with another note, too */
    for (uint32_t i = 0; i < 6; i++) diag_error(&d, DL_bad_character, (Span){f, i, i + 1}, "more");
    assert_int_equal(diag_count(&d, DIAG_ERROR), 3);
    diag_warning(&d, DL_bad_character, (Span){f, 0, 1}, "a warning");
    assert_int_equal(diag_count(&d, DIAG_WARNING), 1);
    assert_string_equal(printed(&a, &d),
        "x.dl:1:1: error DL0101: more\n"
        "    1 | abcdef\n"
        "      | ^\n"
        "x.dl:1:1: warning DL0101: a warning\n"
        "    1 | abcdef\n"
        "      | ^\n"
        "x.dl:1:3: error DL0101: again\n"
        "    1 | abcdef\n"
        "      |   ^\n"
        "x.dl:1:1: note: from here\n"
        "    1 | abcdef\n"
        "      | ^\n"
        "x.dl:1:3: error DL0101: again\n"
        "    1 | abcdef\n"
        "      |   ^\n"
        "x.dl:1:1: note: from there\n"
        "    1 | abcdef\n"
        "      | ^\n");
    arena_free(&a);
}

/* Escape sequences, broken UTF-8, endless lines, spans out of range: nothing of it reaches the terminal. */
static void test_hostile(void **state)
{
    Arena a = {0};
    Diags d = {.arena = &a};
    uint32_t f = source(&d, "x.dl", "a\033[2J\xff\xc2\x9b\x01z\r\nnext");
    diag_error(&d, DL_bad_character, (Span){f, 9, 10}, "text with \033[31m");
    assert_string_equal(printed(&a, &d),
        "x.dl:1:9: error DL0101: text with \xef\xbf\xbd[31m\n"
        "    1 | a\xef\xbf\xbd[2J\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\n"
        "      |         ^\n");

    Diags e = {.arena = &a};
    char *line = arena_alloc(&a, 100001);
    memset(line, 'x', 100000);
    uint32_t g = diag_source(&e, "long.dl", line, 100000);
    diag_error(&e, DL_bad_character, (Span){g, 50000, 99000}, "long line");
    diag_error(&e, DL_bad_character, (Span){g, 200000, 300000}, "beyond the end");
    diag_error(&e, DL_bad_character, (Span){g + 7, 1, 2}, "no such file");
    const char *text = printed(&a, &e);
    assert_true(strlen(text) < 1200);
    const char *caret = strchr(text, '^'), *bar = strstr(text, "| ...");
    assert_true(caret && bar);
    arena_free(&a);
}

static void test_json(void **state)
{
    Arena a = {0};
    Diags d = {.arena = &a};
    uint32_t f = source(&d, "a \"b\".dl", "x\nyz");
    Diag *e = diag_error(&d, DL_bad_character, (Span){f, 2, 4}, "bad \xff");
    diag_note(&d, e, (Span){0}, "why");
    Str s = {.arena = &a};
    diag_json(&d, &s);
    assert_string_equal(s.at,
        "[{\"code\": \"DL0101\", \"severity\": \"error\", \"file\": \"a \\\"b\\\".dl\", \"line\": 2, \"column\": 1, "
        "\"end_line\": 2, \"end_column\": 3, \"text\": \"bad \\ufffd\", \"notes\": [{\"code\": \"DL0101\", "
        "\"severity\": \"note\", \"file\": null, \"text\": \"why\", \"notes\": []}]}]\n");
    Json j;
    JsonToken t;
    json_start(&j, s.at, s.n);
    while ((t = json_next(&j)) != JSON_END) assert_int_not_equal(t, JSON_BAD);
    arena_free(&a);
}

static void test_codes(void **state)
{
    DiagCode c;
    assert_string_equal(diag_code(DL_bad_character), "DL0101");
    assert_true(diag_find("DL0101", &c) && c == DL_bad_character);
    assert_true(diag_find("dl101", &c) && c == DL_bad_character);
    assert_true(diag_find("101", &c) && c == DL_bad_character);
    assert_false(diag_find("DL9999", &c));
    assert_false(diag_find("DL", &c));
    assert_false(diag_find("", &c));
    assert_false(diag_find("DL0101x", &c));
    assert_false(diag_find("99999999999999", &c));
    for (c = 0; c < DL_COUNT; c++) {
        assert_true(*diag_title(c) && *diag_explain(c));
        DiagCode found;
        assert_true(diag_find(diag_code(c), &found) && found == c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print), cmocka_unit_test(test_repeats), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_json),  cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
