/* Batches: the order of an epoch, resuming in the middle of it, the prefetch thread, parts for validation; and that
 * nothing of the part for validation reaches the statistics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/data_support.h"

static Dataset *numbers(Arena *a, int64_t n)
{
    test_npy(a, "n.npy", DLC_I32, 1, &n, NULL);
    return must_open(a, (Opening){"x:i32[B]", {"x=%/n.npy"}});
}

/* How often each number of a text comes; anything above `n` fails. */
static void count_numbers(const char *text, int *count, int n)
{
    for (const char *p = text; *p;) {
        if (*p < '0' || *p > '9') {
            p++;
            continue;
        }
        char *end;
        long v = strtol(p, &end, 10);
        assert_true(v < n);
        count[v]++;
        p = end;
    }
}

static void order(void **state)
{
    (void)state;
    Arena a = {0};
    Dataset *d = numbers(&a, 50);
    const char *seen[4];
    for (int e = 0; e < 4; e++) {
        seen[e] = all_batches(d, (BatchOptions){.size = 7, .shuffle = true, .seed = 3, .epoch = e});
        int count[50] = {0};
        count_numbers(seen[e], count, 50);
        for (int i = 0; i < 50; i++) assert_int_equal(count[i], 1);
        for (int k = 0; k < e; k++) assert_string_not_equal(seen[e], seen[k]);
    }
    assert_string_not_equal(seen[0], all_batches(d, (BatchOptions){.size = 7, .shuffle = true, .seed = 4}));
    check_text(all_batches(d, (BatchOptions){.size = 7, .shuffle = true, .seed = 3}), seen[0]);
    check_text(all_batches(d, (BatchOptions){.size = 20}), "x=0;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19 | "
               "x=20;21;22;23;24;25;26;27;28;29;30;31;32;33;34;35;36;37;38;39 | x=40;41;42;43;44;45;46;47;48;49");
    /* These exact numbers: a seed gives the same order in every version and on every machine. */
    check_text(all_batches(numbers(&a, 8), (BatchOptions){.size = 8, .shuffle = true, .seed = 1}), "x=1;2;4;6;7;5;0;3");
    arena_free(&a);
}

static void prefetch_and_resume(void **state)
{
    (void)state;
    Arena a = {0};
    Dataset *d = numbers(&a, 50);
    BatchOptions o = {.size = 7, .shuffle = true, .seed = 3, .epoch = 2};
    const char *whole = all_batches(d, o);
    o.prefetch = true;
    check_text(all_batches(d, o), whole);
    const char *tail = whole;
    for (o.first = 1; o.first <= 8; o.first++) {
        const char *bar = strstr(tail, " | ");
        tail = bar ? bar + 3 : tail + strlen(tail);
        for (int p = 0; p < 2; p++) {
            o.prefetch = p;
            check_text(all_batches(d, o), tail);
        }
    }
    /* Closed in the middle of an epoch. */
    const char *error = NULL;
    o.first = 0, o.prefetch = true;
    for (int stop = 0; stop < 5; stop++) {
        Batches *b = batches_open(d, &o, &error);
        Batch batch;
        assert_non_null(b);
        for (int i = 0; i < stop; i++) {
            assert_true(batches_next(b, &batch, &error));
            assert_true(batch.index == i && batch.count == 7 && (uintptr_t)batch.data[0] % 64 == 0);
        }
        batches_close(b);
    }
    static const struct { BatchOptions o; const char *says; } wrong[] = {
        {{.size = 0}, "at least one example"}, {{.size = 7, .first = 9}, "has 8 batches and no number 9"}, {{.size = 7, .first = -1}, "no number -1"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_null(batches_open(d, &wrong[i].o, &error));
        assert_non_null(strstr(error, wrong[i].says));
    }
    test_npy(&a, "fixed.npy", DLC_F32, 2, (int64_t[]){5, 2}, NULL);
    d = must_open(&a, (Opening){"x:f32[4,2]", {"x=%/fixed.npy"}});
    assert_null(batches_open(d, &(BatchOptions){.size = 3}, &error));
    check_text(error, "the function takes batches of 4, not of 3");
    d = must_open(&a, (Opening){"x:f32[6,2]", {"x=%/fixed.npy"}});
    assert_null(batches_open(d, &(BatchOptions){.size = 6}, &error));
    check_text(error, "5 examples are not one batch of 6");
    arena_free(&a);
}

static void splits(void **state)
{
    (void)state;
    Arena a = {0};
    const char *error = NULL, *first = NULL;
    for (int seed = 0; seed < 5; seed++) {
        Dataset *d = numbers(&a, 40), *part = dataset_split(d, 0.26, (uint64_t)seed, &error);
        assert_non_null(part);
        assert_true(dataset_count(part) == 10 && dataset_count(d) == 30);
        int count[40] = {0};
        count_numbers(all_examples(d), count, 40);
        count_numbers(all_examples(part), count, 40);
        for (int i = 0; i < 40; i++) assert_int_equal(count[i], 1);
        if (seed == 0) first = all_examples(part);
        else assert_string_not_equal(all_examples(part), first);
    }
    check_text(all_examples(dataset_split(numbers(&a, 40), 0.26, 0, &error)), first);
    assert_true(dataset_count(dataset_split(numbers(&a, 40), 0.001, 0, &error)) == 1);
    assert_true(dataset_count(dataset_split(numbers(&a, 40), 0.999, 0, &error)) == 39);
    assert_null(dataset_split(numbers(&a, 40), 1, 0, &error));
    check_text(error, "the part for validation is between 0 and 1, not 1");
    assert_null(dataset_split(numbers(&a, 1), 0.5, 0, &error));
    check_text(error, "one example cannot be split into training and validation");
    arena_free(&a);
}

/* Mean and deviation of the rows of a part alone, whatever the others hold. */
static void no_leak(void **state)
{
    (void)state;
    Arena a = {0};
    const char *error = NULL;
    for (int outlier = 0; outlier < 2; outlier++) {
        Str s = {.arena = &a};
        str_add(&s, "n,c\n");
        for (int i = 0; i < 20; i++) str_fmt(&s, "%d,%s\n", i, i % 3 ? "a" : "b");
        test_text(&a, "t.csv", s.at);
        Dataset *d = must_open(&a, (Opening){"x:f64[B,3]", {"x=%/t.csv,normalize"}});
        Dataset *part = dataset_split(d, 0.25, 9, &error);
        assert_non_null(part);
        if (outlier) {                                  /* the same split, with other values in the part for validation */
            Str wild = {.arena = &a};
            str_add(&wild, "n,c\n");
            for (int i = 0; i < 20; i++) {
                bool held = false;
                for (int64_t k = 0; k < part->count; k++) held |= part->row[k] == i;
                str_fmt(&wild, held ? "1e6,b\n" : "%d,%s\n", i, i % 3 ? "a" : "b");
            }
            test_text(&a, "t.csv", wild.at);
            Dataset *again = must_open(&a, (Opening){"x:f64[B,3]", {"x=%/t.csv,normalize"}});
            assert_string_not_equal(dataset_describe(again), dataset_describe(d));      /* before the split: of all rows */
            Dataset *held = dataset_split(again, 0.25, 9, &error);
            check_text(dataset_describe(again), dataset_describe(d));
            check_text(dataset_describe(held), dataset_describe(d));
            check_text(all_examples(again), all_examples(d));
            assert_string_not_equal(all_examples(held), all_examples(part));
        }
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < d->count; i++) sum += (double)d->row[i], squares += (double)(d->row[i] * d->row[i]);
        const Column *c = &d->input[0].column[0];
        double mean = sum / (double)d->count;
        assert_true(d->count == 15 && c->mean == mean);
        assert_true(c->deviation * c->deviation - (squares / 15 - mean * mean) < 1e-9 && c->deviation * c->deviation - (squares / 15 - mean * mean) > -1e-9);
    }
    /* Arrays alike. */
    test_npy(&a, "n.npy", DLC_F64, 1, (int64_t[]){20}, NULL);
    Dataset *d = must_open(&a, (Opening){"x:f64[B]", {"x=%/n.npy,normalize"}});
    Dataset *part = dataset_split(d, 0.25, 9, &error);
    double sum = 0, mean, deviation;
    for (int64_t i = 0; i < d->count; i++) sum += (double)d->row[i];
    assert_true(dataset_scale(part, "x", &mean, &deviation) && mean == sum / 15);
    arena_free(&a);
}

static void text_windows(void **state)
{
    (void)state;
    Arena a = {0};
    const char *error = NULL, *f = "x:i32[B,4] y:i32[B,4]";
    char text[101];
    for (int i = 0; i < 100; i++) text[i] = (char)(' ' + i % 90);
    test_file(&a, "t.txt", text, 100);
    Dataset *d = must_open(&a, (Opening){f, {"x=%/t.txt,bytes", "y=@x,shift=1"}});
    assert_true(dataset_count(d) == 24);
    Dataset *part = dataset_split(d, 0.1, 5, &error);
    assert_true(dataset_count(part) == 2 && dataset_count(d) == 22);        /* ids 90 to 99; 0 to 89 */
    check_text(all_examples(part), "x=32,33,34,35;36,37,38,39 y=33,34,35,36;37,38,39,40");
    /* Shuffled epochs begin elsewhere, stay within their part and keep x and y together. */
    bool moved = false;
    for (int e = 0; e < 5; e++) {
        Batches *b = batches_open(d, &(BatchOptions){.size = 22, .shuffle = true, .epoch = e}, &error);
        Batch batch;
        assert_true(batches_next(b, &batch, &error) && batch.count == 22);
        const int32_t *x = batch.data[0], *y = batch.data[1];
        for (int i = 0; i < 22; i++) {
            for (int k = 0; k < 4; k++) assert_true(y[4 * i + k] == x[4 * i + k] + 1 && y[4 * i + k] < ' ' + 90);
            moved |= (x[4 * i] - ' ') % 4 != 0;
        }
        batches_close(b);
    }
    assert_true(moved);
    assert_null(dataset_split(must_open(&a, (Opening){f, {"x=%/t.txt,bytes", "y=@x,shift=1"}}), 0.04, 5, &error));
    check_text(error, "0.040000000000000001 of 100 ids leaves less than a window of 5 for validation");
    must_not_open(&a, (Opening){f, {"x=%/t.txt,bytes", "y=@x,shift=1"}, .augment = {"flip"}}, "--augment flip: text is not augmented");
    arena_free(&a);
}

static void other_function(void **state)
{
    (void)state;
    Arena a = {0};
    const char *error = NULL;
    test_text(&a, "t.csv", "n,m,c\n1,2,a\n3,4,b\n5,9,a\n");
    Dataset *d = must_open(&a, (Opening){.function = "x:f64[B,2] y:i32[B]", .csv = "%/t.csv,normalize", .target = "c"});
    Signature evaluate = test_signature(&a, "y:i32[K] x:f64[K,F]"), less = test_signature(&a, "x:f64[B,2]");
    Dataset *e = dataset_for_signature(d, &evaluate, &error), *l = dataset_for_signature(d, &less, &error);
    assert_true(e && l);
    assert_non_null(dataset_split(d, 0.4, 1, &error));  /* the means are then those of two rows */
    check_text(all_examples(d), "x=-1,-1;1,1 y=0;0");
    check_text(all_examples(e), "y=0;1;0 x=-1,-1;0,-0.428571;1,1");
    check_text(all_examples(l), "x=-1,-1;0,-0.428571;1,1");
    assert_true(dataset_count(e) == 3);
    static const struct { const char *f, *says; } wrong[] = {
        {"x:f32[B,2]", "argument 'x' of step has another type"}, {"x:f64[B,3]", "argument 'x' of step has another type"},
        {"z:f64[B,3]", "argument 'z' of step has no data"}, {"x:f64", "none of its inputs has a batch dim"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        Signature f = test_signature(&a, wrong[i].f);
        assert_null(dataset_for_signature(d, &f, &error));
        assert_non_null(strstr(error, wrong[i].says));
    }
    arena_free(&a);
}

static void all_at_once(void **state)
{
    (void)state;
    Arena a = {0};
    const char *error = NULL;
    test_text(&a, "t.csv", "n,m,c\n1,2,a\n3,4,b\n5,9,a\n");
    test_npy(&a, "n.npy", DLC_F32, 2, (int64_t[]){3, 2}, NULL);
    Dataset *d = must_open(&a, (Opening){"x:f64[B,2] y:i32[B] rate:f32", {"x=%/t.csv", "y=%/t.csv:c", "rate=2"}});
    dlc_tensor *t = dataset_tensors(d, &error);
    assert_true(t && t[0].dim[0] == 3 && t[1].dim[0] == 3 && t[2].rank == 0);
    assert_true(((double *)t[0].data)[5] == 9 && ((int32_t *)t[1].data)[1] == 1 && *(float *)t[2].data == 2);
    d = must_open(&a, (Opening){"x:f32[B,2] again:f64[B,2]", {"x=%/n.npy", "again=@x,scale=1/2"}});
    t = dataset_tensors(d, &error);
    assert_true(t && ((float *)t[0].data)[5] == 5 && ((double *)t[1].data)[5] == 2.5);
    d = must_open(&a, (Opening){"x:f32[4,2]", {"x=%/n.npy"}});
    assert_null(dataset_tensors(d, &error));
    check_text(error, "3 examples are not one batch of 4");
    const char *plain[] = {"x=a.npy", "x=a.npy,scale=2", "x=w.safetensors:k", "x", "x=a.npy,scale=?"};
    const char *rich[] = {"x=a.csv", "x=a.csv:b", "x=@y", "x=a.txt,chars", "x=a.npy,round", "x=/tmp"};
    for (size_t i = 0; i < COUNT(plain); i++) assert_false(dataset_needed(&a, plain + i, 1));
    for (size_t i = 0; i < COUNT(rich); i++) assert_true(dataset_needed(&a, rich + i, 1));
    assert_true(dataset_needed(&a, (const char *[]){plain[0], rich[0]}, 2));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(order, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(prefetch_and_resume, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(splits, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(no_leak, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(text_windows, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(other_function, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(all_at_once, make_test_folder, remove_test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
