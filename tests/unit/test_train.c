/* test_train.c - the text that a training history becomes: CSV, JSON lines, TensorBoard, charts. The loop and its checkpoints
 * are tested through the command, in tests/test_train.sh. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "host/train.h"

/* Two epochs of three metrics, one of them of validation and once not a number. */
static Train *history(Arena *a)
{
    Train *t = arena_new(a, Train);
    t->arena = a;
    TrainMetric metric[] = {{"loss", false, false, 0}, {"right", false, true, 1}, {"val_loss", true, false, 0}};
    for (size_t i = 0; i < COUNT(metric); i++) vec_push(a, &t->metrics, metric[i]);
    double first[] = {0.5, 12, NAN}, second[] = {0.25, 14, 1e-7};
    TrainRecord record[] = {{1, 10, 600, 1.5, 400, true, arena_copy(a, first, sizeof first)},
                            {2, 20, 1200, 3, 400, false, arena_copy(a, second, sizeof second)}};
    for (size_t i = 0; i < COUNT(record); i++) vec_push(a, &t->history, record[i]);
    return t;
}

static void test_csv(void **state)
{
    Arena a = {0};
    Str out = {.arena = &a};
    Train *t = history(&a);
    t->metrics.at[1].name = "a,\"b\"";
    train_csv(&out, t);
    assert_string_equal(out.at, "epoch,step,examples,seconds,examples_per_second,loss,\"a,\"\"b\"\"\",val_loss\n"
                                "1,10,600,1.500,400.0,0.5,12,\n"
                                "2,20,1200,3.000,400.0,0.25,14,1e-07\n");
    arena_free(&a);
}

static void test_jsonl(void **state)
{
    Arena a = {0};
    Str out = {.arena = &a};
    train_jsonl(&out, history(&a));
    assert_string_equal(out.at, "{\"epoch\": 1, \"step\": 10, \"examples\": 600, \"seconds\": 1.500, \"examples_per_second\": 400.0, "
                                "\"loss\": 0.5, \"right\": 12, \"val_loss\": null, \"best\": true}\n"
                                "{\"epoch\": 2, \"step\": 20, \"examples\": 1200, \"seconds\": 3.000, \"examples_per_second\": 400.0, "
                                "\"loss\": 0.25, \"right\": 14, \"val_loss\": 1e-07, \"best\": false}\n");
    for (char *line = strtok(out.at, "\n"); line; line = strtok(NULL, "\n")) {
        Json j;
        JsonToken token;
        json_start(&j, line, strlen(line));
        do token = json_next(&j);
        while (token != JSON_END && token != JSON_BAD);
        assert_int_equal(token, JSON_END);
    }
    arena_free(&a);
}

/* The record that begins every file, as TensorBoard's own writer makes it (its checksums are known good). */
static void test_tensorboard(void **state)
{
    Arena a = {0};
    Str out = {.arena = &a};
    train_tensorboard_begin(&out, 0);
    static const unsigned char length[12] = {24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22};
    static const unsigned char body[] = "\x09\0\0\0\0\0\0\0\0\x1a\x0d" "brain.Event:2";
    assert_int_equal(out.n, 8 + 4 + 24 + 4);
    assert_memory_equal(out.at, length, sizeof length);
    assert_memory_equal(out.at + 12, body, 24);
    size_t before = out.n;
    train_tensorboard(&out, history(&a), 2, 0);         /* no records from number 2 on */
    assert_int_equal(out.n, before);
    train_tensorboard(&out, history(&a), 1, 0);
    assert_true(out.n > before + 16 && memmem(out.at + before, out.n - before, "validation/loss", 15));
    arena_free(&a);
}

static void test_numbers(void **state)
{
    static const struct { double v; const char *text; } row[] = {
        {0, "0"}, {12, "12"}, {0.5, "0.5000"}, {12.34567, "12.346"}, {123.4567, "123.46"}, {1234.567, "1234.6"}, {1e-7, "1.000e-07"},
        {123456.7, "1.235e+05"}, {-0.25, "-0.2500"}, {INFINITY, "inf"}, {-INFINITY, "-inf"}, {NAN, "nan"},
    };
    Arena a = {0};
    for (size_t i = 0; i < COUNT(row); i++) {
        Str out = {.arena = &a};
        train_number(&out, row[i].v);
        assert_string_equal(out.at, row[i].text);
    }
    arena_free(&a);
}

static void test_ticks(void **state)
{
    double tick[10];
    assert_int_equal(chart_ticks(0, 1, 6, tick), 6);
    assert_true(fabs(tick[1] - 0.2) < 1e-12 && fabs(tick[5] - 1) < 1e-12);
    assert_int_equal(chart_ticks(1, 1, 6, tick), 0);
    assert_int_equal(chart_ticks(0, INFINITY, 6, tick), 0);
    assert_int_equal(chart_ticks(-1e308, 1e308, 6, tick), 0);
    uint32_t n = chart_ticks(1.0, 1.0 + 1e-15, 6, tick);
    assert_true(n <= 6);
    assert_int_equal(chart_ticks(-3, 7, 6, tick), 5);
    assert_true(tick[0] == -2 && tick[4] == 6);
}

static void test_chart_text(void **state)
{
    Arena a = {0};
    Str out = {.arena = &a};
    double x[] = {1, 2, 3, 4}, y[] = {4, 3, NAN, 1}, z[] = {4, 2, 2, INFINITY};
    Curve curve[] = {{"training", 4, x, y}, {"validation", 4, x, z}};
    chart_text(&out, &(Chart){"loss", "epoch", "loss", curve, 2}, 22, 4, false);
    assert_string_equal(out.at, "           loss:  * training,  o validation\n"
                                "        4 |o***\n"
                                "          |    ****\n"
                                "        2 |       o      o\n"
                                "        1 |                     *\n"
                                "          +----------------------\n"
                                "           1              epoch 4\n");
    arena_free(&a);
}

/* Nothing to show, one point, values that cannot be shown. */
static void test_odd_charts(void **state)
{
    Arena a = {0};
    double x[] = {1, 2}, nothing[] = {NAN, NAN}, huge[] = {-1.7e308, 1.7e308};
    Curve curves[] = {{"none", 0, x, nothing}, {"nan", 2, x, nothing}, {"one", 1, x, x}, {"huge", 2, x, huge}};
    for (size_t i = 0; i < COUNT(curves); i++) {
        Str text = {.arena = &a}, svg = {.arena = &a};
        Chart chart = {"<&\">", "epoch", "<&\">", &curves[i], 1};
        chart_text(&text, &chart, 1, 1, true);
        chart_text(&text, &chart, 100000, 100000, true);
        charts_svg(&svg, &chart, 1);
        assert_true(text.n > 0 && svg.n > 0 && strstr(svg.at, "&lt;&amp;&quot;>") && !strstr(svg.at, "inf"));
    }
    arena_free(&a);
}

static void test_charts(void **state)
{
    Arena a = {0};
    Chart *chart;
    Train *t = history(&a);
    assert_int_equal(train_charts(&a, t, &chart), 2);   /* loss with val_loss, right */
    assert_string_equal(chart[0].y_label, "loss");
    assert_int_equal(chart[0].n, 2);
    assert_string_equal(chart[0].curve[1].name, "validation");
    assert_true(chart[0].curve[0].x[1] == 2);
    t->o.every = 10;
    train_charts(&a, t, &chart);
    assert_string_equal(chart[0].x_label, "step");
    assert_true(chart[0].curve[0].x[1] == 20);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv),     cmocka_unit_test(test_jsonl),      cmocka_unit_test(test_tensorboard), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_ticks),   cmocka_unit_test(test_chart_text), cmocka_unit_test(test_odd_charts),  cmocka_unit_test(test_charts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
