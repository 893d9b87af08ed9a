/* test_pack.c - memory packing, against a checker that knows nothing of how it packs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/pack.h"

static bool run(const PackItem *item, uint32_t n, int64_t *offset, int64_t *total)
{
    int64_t bytes;
    assert_true(pack_scratch(n, &bytes));
    void *scratch = malloc((size_t)bytes + 1);
    bool ok = pack(item, n, offset, total, scratch);
    free(scratch);
    return ok;
}

/* No two items alive at one step share a byte, all are aligned and inside. Returns the most bytes that are
 * alive at one step, below which no plan can go. */
static int64_t check(const PackItem *item, uint32_t n, const int64_t *offset, int64_t total)
{
    int64_t bound = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(offset[i] % PACK_ALIGN, 0);
        assert_true(offset[i] >= 0 && offset[i] + item[i].size <= total);
        for (uint32_t k = 0; k < i; k++) {
            bool in_time = item[i].first_step <= item[k].last_step && item[k].first_step <= item[i].last_step;
            bool in_space = offset[i] < offset[k] + item[k].size && offset[k] < offset[i] + item[i].size;
            assert_false(in_time && in_space);
        }
        int64_t live = 0;                               /* the most are alive when some item begins */
        for (uint32_t k = 0; k < n; k++)
            if (item[k].first_step <= item[i].first_step && item[i].first_step <= item[k].last_step)
                live += (item[k].size + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;
        if (live > bound) bound = live;
    }
    assert_true(total >= bound);
    return bound;
}

static void test_small(void **state)
{
    int64_t offset[4], total = -1;
    assert_true(run(NULL, 0, offset, &total));
    assert_int_equal(total, 0);

    PackItem one = {100, 3, 3};
    assert_true(run(&one, 1, offset, &total));
    assert_int_equal(total, 128);

    /* A chain: each layer's input dies when its output is there, so two buffers serve. */
    PackItem chain[] = {{640, 0, 1}, {640, 1, 2}, {640, 2, 3}, {0, 0, 3}};
    assert_true(run(chain, 4, offset, &total));
    check(chain, 4, offset, total);
    assert_int_equal(total, 1280);
}

static void test_refused(void **state)
{
    int64_t offset[2], total;
    PackItem negative[] = {{-1, 0, 0}}, backwards[] = {{1, 2, 1}}, huge[] = {{INT64_MAX - 100, 0, 1}, {INT64_MAX - 100, 1, 1}};
    assert_false(run(negative, 1, offset, &total));
    assert_false(run(backwards, 1, offset, &total));
    assert_false(run(huge, 2, offset, &total));
    PackItem largest[] = {{INT64_MAX, 0, 1}};
    assert_false(run(largest, 1, offset, &total));
}

static uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % n;
}

static void test_random(void **state)
{
    uint64_t seed = 3;
    double worst = 1;
    for (int round = 0; round < 300; round++) {
        uint32_t n = 1 + random_below(&seed, 60), steps = 1 + random_below(&seed, 40);
        PackItem item[60];
        int64_t offset[60], again[60], total, total_again;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t from = random_below(&seed, steps), life = random_below(&seed, round % 2 ? 4 : steps);
            item[i] = (PackItem){random_below(&seed, round % 3 ? 5000 : 100), from, from + life};
        }
        assert_true(run(item, n, offset, &total));
        int64_t bound = check(item, n, offset, total);
        if (bound && (double)total / (double)bound > worst) worst = (double)total / (double)bound;
        assert_true(run(item, n, again, &total_again));
        assert_memory_equal(offset, again, n * sizeof *offset);
        assert_int_equal(total, total_again);
    }
    assert_true(worst < 1.35);                          /* random lifetimes are harder than those of a net */
}

/* A network's forward and backward pass: activations live until their gradient is done. */
static void test_large(void **state)
{
    enum { LAYERS = 1500 };
    PackItem *item = calloc(2 * LAYERS, sizeof *item);
    int64_t *offset = calloc(2 * LAYERS, sizeof *offset), total;
    for (uint32_t i = 0; i < LAYERS; i++) {
        item[i] = (PackItem){64 * (1 + i * 37 % 100), i, 2 * LAYERS - i};
        item[LAYERS + i] = (PackItem){64 * (1 + i * 53 % 100), 2 * LAYERS - i - 1, 2 * LAYERS - i};
    }
    double start = time_now();
    assert_true(run(item, 2 * LAYERS, offset, &total));
    assert_true(time_now() - start < 2);
    int64_t bound = check(item, 2 * LAYERS, offset, total);
    assert_true((double)total <= 1.05 * (double)bound);
    free(item);
    free(offset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
