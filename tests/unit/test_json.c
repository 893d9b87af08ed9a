/* test_json.c - the JSON reader: what RFC 8259 allows, what it does not, and a safetensors header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/json.h"

/* Read it all from an exact copy, so that a sanitizer sees any byte read beyond the end. */
static bool valid(const char *text, size_t n)
{
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    Json j;
    JsonToken t;
    json_start(&j, copy, n);
    while ((t = json_next(&j)) != JSON_END && t != JSON_BAD) assert_true(j.pos <= n);
    assert_true(j.pos <= n);
    assert_int_equal(t == JSON_BAD, j.error != NULL);
    assert_int_equal(json_next(&j), t);                 /* and stays so */
    free(copy);
    return t == JSON_END;
}

static void test_good(void **state)
{
    static const char *const texts[] = {
        "0", "-0", "1.5e+10", "1E-2", "-12.25", "true", " null\n", "\"\"", "\"a\\u00e9\\ud83d\\ude00\\n\\/\"", "[]", "{}",
        "[1, [2, [3]], {}]", "{\"a\": 1, \"b\": [true, false], \"\": {\"c\": null}}", "\t[\r\n1\t,2 ]", "\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"",
        "123456789012345678901234567890", "[[[[[[[[]]]]]]]]",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (!valid(texts[i], strlen(texts[i]))) fail_msg("refused: %s", texts[i]);
}

static void test_bad(void **state)
{
    static const char *const texts[] = {
        "", " ", "{", "[", "]", "}", "[1,]", "{\"a\":1,}", "[,1]", "{,}", "[1 2]", "{\"a\" 1}", "{\"a\"}", "{\"a\":}",
        "{a:1}", "{1:2}", "[1}", "{\"a\":1]", "01", "-", "-01", "1.", ".5", "+1", "1e", "1e+", "0x1", "NaN", "Infinity",
        "tru", "truex", "nul", "nulll", "'a'", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\u0041\"", "\"\\ud800\\", "\"a\nb\"", "\"\x01\"", "1 2", "[] []", "\xef\xbb\xbf[]", "\"\xff\"", "\"\xc3\"",
        "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe0\x80\xaf\"", "\"\xf0\x80\x80\xaf\"", "{\"a\":1 \"b\":2}", "[1", "{\"a\":1", "{\"a\"",
        "/* */1", "[\"a\"", "[1,",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (valid(texts[i], strlen(texts[i]))) fail_msg("accepted: %s", texts[i]);
    assert_false(valid("1\0", 2));
    assert_false(valid("\"\0\"", 3));
}

static void test_depth(void **state)
{
    char text[4 * JSON_DEPTH];
    memset(text, '[', JSON_DEPTH);
    memset(text + JSON_DEPTH, ']', JSON_DEPTH);
    assert_true(valid(text, 2 * JSON_DEPTH));
    memset(text, '[', JSON_DEPTH + 1);
    memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    assert_false(valid(text, 2 * JSON_DEPTH + 2));
    /* Objects and arrays mixed at every depth. */
    Arena a = {0};
    Str s = {.arena = &a};
    for (int i = 0; i < JSON_DEPTH; i++) str_add(&s, i % 3 ? "{\"k\":" : "[");
    str_add(&s, "0");
    for (int i = JSON_DEPTH - 1; i >= 0; i--) str_add(&s, i % 3 ? "}" : "]");
    assert_true(valid(s.at, s.n));
    arena_free(&a);
}

/* Cut anywhere, a document is refused; with any byte changed, it is read without harm. */
static void test_damage(void **state)
{
    const char text[] = "{\"a\\n\": [1, -2.5e3, \"\xc3\xa9\\ud83d\\ude00\"], \"b\": {\"c\": true}}";
    for (size_t n = 0; n < sizeof text - 1; n++) assert_false(valid(text, n));
    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int c = 0; c < 256; c++) {
            char copy[sizeof text];
            memcpy(copy, text, sizeof text);
            copy[i] = (char)c;
            valid(copy, sizeof text - 1);
        }
}

static JsonToken first(Json *j, const char *text)
{
    json_start(j, text, strlen(text));
    return json_next(j);
}

static void test_values(void **state)
{
    Json j;
    int64_t v = 5;
    assert_int_equal(first(&j, "9223372036854775807 "), JSON_NUMBER);
    assert_true(json_int(&j, &v) && v == INT64_MAX);
    assert_int_equal(first(&j, "-9223372036854775808"), JSON_NUMBER);
    assert_true(json_int(&j, &v) && v == INT64_MIN);
    first(&j, "9223372036854775808");
    assert_false(json_int(&j, &v));
    first(&j, "-9223372036854775809");
    assert_false(json_int(&j, &v));
    first(&j, "1.0");
    assert_false(json_int(&j, &v));
    first(&j, "1e3");
    assert_false(json_int(&j, &v));
    first(&j, "-0");
    assert_true(json_int(&j, &v) && v == 0);

    assert_int_equal(first(&j, "\"F32\""), JSON_STRING);
    assert_true(json_is(&j, "F32"));
    assert_false(json_is(&j, "F3"));
    assert_false(json_is(&j, "F321"));
    assert_false(j.escaped);
    first(&j, "\"\\u0046\\u00e9\\ud83d\\ude00\"");
    assert_true(j.escaped);
    assert_true(json_is(&j, "F\xc3\xa9\xf0\x9f\x98\x80"));
    char text[16];
    assert_int_equal(json_unescape(j.at, j.len, text, sizeof text), 7);
    assert_string_equal(text, "F\xc3\xa9\xf0\x9f\x98\x80");
    assert_int_equal(json_unescape(j.at, j.len, text, 8), 7);
    assert_int_equal(json_unescape(j.at, j.len, text, 7), -1);
    assert_int_equal(json_unescape("", 0, text, 0), -1);
    assert_int_equal(json_unescape("", 0, text, 1), 0);
    first(&j, "\"\\u0000\"");
    assert_false(json_is(&j, ""));
}

/* As the readers of weights use it. */
static void test_safetensors_header(void **state)
{
    static const char text[] = "{\"__metadata__\":{\"format\":\"pt\"},\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[10,64],"
                               "\"data_offsets\":[0,2560]},\"s\":{\"shape\":[],\"extra\":[{}],\"data_offsets\":[2560,2564],\"dtype\":\"I32\"}}";
    Json j;
    JsonToken t;
    json_start(&j, text, sizeof text - 1);
    assert_int_equal(json_next(&j), JSON_OBJECT);
    int tensors = 0;
    int64_t sum = 0, number;
    while ((t = json_next(&j)) == JSON_KEY) {
        bool metadata = json_is(&j, "__metadata__");
        assert_int_equal(t = json_next(&j), JSON_OBJECT);
        if (metadata) {
            assert_true(json_skip(&j, t));
            continue;
        }
        tensors++;
        while ((t = json_next(&j)) == JSON_KEY) {
            bool offsets = json_is(&j, "data_offsets");
            t = json_next(&j);
            if (!offsets) {
                assert_true(json_skip(&j, t));
                continue;
            }
            assert_int_equal(t, JSON_ARRAY);
            while (json_next(&j) == JSON_NUMBER) {
                assert_true(json_int(&j, &number));
                sum += number;
            }
        }
        assert_int_equal(t, JSON_OBJECT_END);
    }
    assert_int_equal(t, JSON_OBJECT_END);
    assert_int_equal(json_next(&j), JSON_END);
    assert_int_equal(tensors, 2);
    assert_int_equal(sum, 2560 + 2560 + 2564);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),    cmocka_unit_test(test_depth),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_values), cmocka_unit_test(test_safetensors_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
