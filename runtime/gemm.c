/* gemm.c - the loops around micro-kernels: which part of a contraction a task is, and packing.
 *
 * C is cut into panels of columns (micro->vectors vectors wide) and tiles of rows. A micro-kernel runs over the depth of
 * a tile, with its A read in place or from a packed row panel [K][rows], and its B in place or from a packed column
 * panel [K][columns] that all tiles of the task use one after the other: it stays in L2, the tile's accumulators in
 * registers, and C is written once. Only a panel too large for L2 is gone over in blocks of the depth, which take up C
 * where the one before left it.
 *
 * Nothing here depends on values, and every element of C is one k-ascending chain whatever the division.
 */
#include "runtime/gemm.h"

#include <string.h>

#include "base/size.h"

enum {
    FEW_ROWS      = 64,             /* with so few, a B whose columns are adjacent is not worth packing; */
    SOME_ROWS     = 256,            /* nor with so few, where a panel of it stays in L2 whatever its stride: */
    SOME_BYTES    = 160 << 10,
    THIN_ROWS     = 2,              /* with so few, B is read in chunks of the depth, which follow its rows: */
    THIN_DEPTH    = 8,
    EPILOGUE_ROWS = 64,             /* an epilogue runs over so many rows of a panel at a time: they stay in L1 */
    PANEL_BYTES   = 400 << 10,      /* of B that all rows meet before the next block of the depth */
    BLOCK_ROWS    = 1024,           /* of C that wait for the rest of the depth before an epilogue */
    BLOCK_BYTES   = 8 << 20,        /* of A that a task goes over with one panel after the other */
    PACKED_BYTES  = 1 << 20,        /* likewise when it is packed */
    PIECES        = 4,              /* at most so many tasks a thread, against uneven progress */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
static int64_t element(const RtMicro *u) { return u->dtype == RT_f64 || u->dtype == RT_i64 ? 8 : 4; }
static int64_t panel_width(const RtMicro *u) { return (int64_t)u->vectors * u->lanes; }
/* First column of panel p of n columns. The last panel is what is left over; but where that would be one vector of a
 * possible three or more, it takes one from its neighbour, since two narrow panels of two run at full speed. */
static int64_t panel_start(const RtMicro *u, int64_t n, int64_t p)
{
    int64_t vectors = ceil_div(n, u->lanes), start = p * u->vectors;
    if (u->vectors > 2 && vectors > u->vectors && start == vectors - 1) start--;
    return least(n, start * u->lanes);
}
/* Rows of a packed row panel: one, where its own packing function works by rows. */
static int64_t row_width(const RtContract *c, int64_t m) { return c->a_by_rows ? 1 : least(c->micro->rows[0], m); }

/* ---- the plan ------------------------------------------------------------------------------------------------- */

/* A relative price of dividing the work this way: the longest any thread computes, packs and reads. */
static double price(const RtPlan *p, const RtMicro *u, int threads, int64_t tasks_m, int64_t tasks_n)
{
    double rows = (double)(ceil_div(p->tiles, tasks_m) * u->rows[0]), columns = (double)(ceil_div(p->panels, tasks_n) * panel_width(u));
    if (rows > (double)p->m) rows = (double)p->m;
    if (columns > (double)p->n) columns = (double)p->n;
    double rounds = (double)ceil_div(p->batch * tasks_m * tasks_n, threads);
    double fma = 1.0 / (2 * u->lanes);
    return rounds * (rows * columns * fma + columns * (p->pack_b ? 0.4 : 0.12) + rows * (p->pack_a ? 0.4 : 0.06));
}

static void divide(RtPlan *p, const RtMicro *u, int threads)
{
    p->tasks_m = p->tasks_n = 1;
    if (threads <= 1) return;
    int64_t most = (int64_t)threads * PIECES;
    double best = price(p, u, threads, 1, 1);
    for (int64_t n = 1; n <= p->panels && n <= most; n++) {
        for (int64_t m = 1; m <= p->tiles && m * n <= most; m++) {
            if (m * n > 1 && p->batch > most / (m * n)) break;
            double cost = price(p, u, threads, m, n) * (1 + 0.001 * (double)(m * n));
            if (cost < best * 0.999) best = cost, p->tasks_m = m, p->tasks_n = n;
        }
    }
}

/* Scratch: packed rows of A, a packed panel of B, a tile for the epilogue. */
static bool lay_out(const RtContract *c, RtPlan *p)
{
    const RtMicro *u = c->micro;
    int64_t size = element(u), width = panel_width(u), a = 0, b = 0, t = 0;
    if (p->pack_a) {
        if (!size_mul(round_up(p->block_m, row_width(c, p->m)), p->k, &a) || !size_mul(a, size, &a) || !size_align(a, 64, &a)) return false;
    }
    if (p->pack_b || p->pack_tail) {
        if (!size_mul(width * size, p->k, &b) || !size_align(b, 64, &b)) return false;
    }
    if (c->c_operand < 0) t = (p->block_k < p->k ? p->block_m : EPILOGUE_ROWS) * width * size;
    t = round_up(t, 64);
    p->off_b = a;
    return size_add(a, b, &p->off_c) && size_add(p->off_c, t, &p->scratch);
}

bool rt_contract_plan(const RtContract *c, const int64_t *poly, int threads, bool have_a, bool have_b, RtPlan *p)
{
    const RtMicro *u = c->micro;
    *p = (RtPlan){.batch = poly[c->batch], .m = poly[c->m], .n = poly[c->n], .k = poly[c->k],
                  .a_m = poly[c->a_m], .a_k = poly[c->a_k], .b_n = poly[c->b_n], .b_k = poly[c->b_k], .c_m = poly[c->c_m]};
    int64_t all;
    if (p->batch < 0 || p->m < 0 || p->n < 0 || p->k < 0) return false;
    if (p->batch == 0 || p->m == 0 || p->n == 0) return true;
    p->tasks_m = p->tasks_n = 1;
    p->tasks = p->batch;
    p->tiles = ceil_div(p->m, u->rows[0]);
    p->panels = ceil_div(p->n, panel_width(u));
    /* In place, A wants its depth adjacent, or rows so few that it is read a few times only. */
    p->pack_a = !have_a && (c->a_operand < 0 || (p->a_k != 1 && p->k > 1 && p->panels > 2));
    bool place_b = p->m <= FEW_ROWS || (p->m <= SOME_ROWS && p->k <= SOME_BYTES / (panel_width(u) * element(u)));
    p->pack_b = !have_b && (c->b_operand < 0 || (p->b_n != 1 && p->n > 1) || !place_b);
    p->pack_tail = !have_b && !p->pack_b && u->pads_b && p->n % u->lanes;
    divide(p, u, threads);
    if (!size_mul(p->tasks_m * p->tasks_n, p->batch, &p->tasks)) return false;
    int64_t rows = ceil_div(p->tiles, p->tasks_m) * u->rows[0];
    int64_t bytes = p->k ? (p->pack_a ? PACKED_BYTES : BLOCK_BYTES) / element(u) / p->k : rows;
    p->block_m = least(rows, round_up(bytes < 1 ? 1 : bytes, u->rows[0]));
    int64_t depth = PANEL_BYTES / (panel_width(u) * element(u));
    p->block_k = p->k > depth && p->m > 2 * u->rows[0] ? ceil_div(p->k, ceil_div(p->k, depth)) : p->k;
    if (p->block_k < p->k && c->c_operand < 0) p->block_m = least(p->block_m, BLOCK_ROWS / u->rows[0] * u->rows[0]);
    return size_mul(p->m, p->n, &all) && lay_out(c, p);
}

/* ---- packing --------------------------------------------------------------------------------------------------- */

#define PACK(name, type) \
    static void name(int64_t k, int64_t n, const type *src, int64_t k_stride, int64_t i_stride, type *dst, int64_t width) \
    { \
        for (int64_t i = 0; i < n; i++) \
            for (int64_t q = 0; q < k; q++) dst[q * width + i] = src[q * k_stride + i * i_stride]; \
        for (int64_t q = 0; n < width && q < k; q++) memset(dst + q * width + n, 0, (size_t)(width - n) * sizeof *dst); \
    }
PACK(pack_4, uint32_t)
PACK(pack_8, uint64_t)

static void pack(const RtMicro *u, int64_t k, int64_t n, const char *src, int64_t k_stride, int64_t i_stride, void *dst, int64_t width)
{
    if (u->pack) u->pack(k, n, src, k_stride, i_stride, dst, width);
    else if (element(u) == 8) pack_8(k, n, (const void *)src, k_stride, i_stride, dst, width);
    else pack_4(k, n, (const void *)src, k_stride, i_stride, dst, width);
}

/* Columns [i0, i1) of B, or rows of A, at `width` a step of the depth. src: element (0, 0) of a linear operand. */
static void pack_panel(const RtContract *c, const RtPlan *p, const RtEnv *e, bool is_b, const char *src, int64_t batch,
                       int64_t i0, int64_t i1, void *dst, int64_t width)
{
    RtPackFn *own = is_b ? c->pack_b : c->pack_a;
    int64_t i_stride = is_b ? p->b_n : p->a_m, k_stride = is_b ? p->b_k : p->a_k;
    if ((is_b ? c->b_operand : c->a_operand) < 0) own(e, batch, i0, i1, dst, !is_b && c->a_by_rows ? p->k : width);
    else pack(c->micro, p->k, i1 - i0, src + i0 * i_stride * element(c->micro), k_stride, i_stride, dst, width);
}

/* ---- one task ---------------------------------------------------------------------------------------------------- */

/* An operand of one batch item: element (0, 0) of a linear one in place, its packed form where there is one. */
typedef struct Side { const char *at, *packed; } Side;

/* Rows [m0, m1) of one panel of C. */
typedef struct Tiles {
    const RtMicro *u;
    const RtPlan  *p;
    int64_t     k;              /* depth, of all or of this chunk */
    const char *a;              /* row a0 of A: packed, or in place */
    int64_t     a_width;        /* rows of a packed panel of A; 0: in place */
    bool        accumulate;
    const char *b;
    int64_t     b_k, columns, a0, m0, m1;
    char       *out;            /* row m0 */
    int64_t     out_row;        /* elements */
} Tiles;

static RtMicroFn *micro_fn(const RtMicro *u, int32_t set, int64_t columns)
{
    if (columns == panel_width(u) && u->full[set]) return u->full[set];
    return u->masked[set][ceil_div(columns, u->lanes) - 1];
}

static void run_tiles(const Tiles *t)
{
    const RtMicro *u = t->u;
    const RtPlan *p = t->p;
    int64_t size = element(u), width = t->a_width;
    int64_t a_row = width > 1 ? 1 : width ? p->k : p->a_m, a_k = width ? width : p->a_k;
    int32_t set = 0;
    RtMicroFn *fn = NULL;
    for (int64_t i = t->m0, rows; i < t->m1; i += rows) {
        /* The tallest tile that fits and that this artefact has. */
        while (set < RT_ROW_SETS && (u->rows[set] > t->m1 - i || !(fn = micro_fn(u, set, t->columns)))) set++;
        if (set == RT_ROW_SETS) return;
        rows = u->rows[set];
        int64_t r = i - t->a0;
        const char *a = t->a + size * (width ? r / width * width * p->k + r % width : r * p->a_m);
        fn(t->k, a, a_row, a_k, t->b, t->b_k, t->out + (i - t->m0) * t->out_row * size, t->out_row, t->accumulate, t->columns);
    }
}

/* Few rows and B in place: the depth in chunks, so that B is read row by row rather than column panel by column panel. */
static void run_thin(const RtPlan *p, const RtMicro *u, const char *a, const char *b, char *out, int64_t m, int64_t first, int64_t last)
{
    int64_t size = element(u);
    for (int64_t k = 0; k < p->k; k += THIN_DEPTH) {
        for (int64_t j = first; j < last; j++) {
            int64_t n = panel_start(u, p->n, j), columns = panel_start(u, p->n, j + 1) - n;
            run_tiles(&(Tiles){.u = u, .p = p, .k = least(THIN_DEPTH, p->k - k), .a = a + k * p->a_k * size, .accumulate = k > 0,
                               .b = b + (k * p->b_k + n) * size, .b_k = p->b_k, .columns = columns, .m1 = m, .out = out + n * size, .out_row = p->c_m});
        }
    }
}

/* Rows [m0, m1) of a deep panel: all of them do a block of the depth before any does the next. */
static void run_blocks(const Tiles *panel, int64_t m0, int64_t m1, char *out)
{
    const RtPlan *p = panel->p;
    int64_t size = element(panel->u);
    for (int64_t k = 0; k < p->k; k += p->block_k) {
        Tiles t = *panel;
        t.k = least(p->block_k, p->k - k);
        t.a += k * (t.a_width ? t.a_width : p->a_k) * size;
        t.b += k * t.b_k * size;
        t.accumulate = k > 0;
        t.m0 = m0, t.m1 = m1, t.out = out;
        run_tiles(&t);
    }
}

/* Rows [m0, m1), panels [first, last). */
static void run_task(const RtContract *c, const RtPlan *p, const RtEnv *e, Side a, Side b, char *out, int64_t batch,
                     int64_t m0, int64_t m1, int64_t first, int64_t last, char *scratch)
{
    const RtMicro *u = c->micro;
    int64_t size = element(u), rows = row_width(c, p->m);
    bool b_packed = b.packed || p->pack_b || p->pack_tail;
    if (m1 - m0 <= THIN_ROWS && p->k > THIN_DEPTH && last - first > 2 && out && !a.packed && !p->pack_a && !b_packed) {
        run_thin(p, u, a.at + m0 * p->a_m * size, b.at, out + m0 * p->c_m * size, m1 - m0, first, last);
        return;
    }
    for (int64_t i0 = m0; i0 < m1; i0 += p->block_m) {
        int64_t i1 = least(m1, i0 + p->block_m);
        Tiles t = {.u = u, .p = p, .k = p->k, .a_width = a.packed || p->pack_a ? rows : 0, .a0 = i0};
        if (p->pack_a) {
            t.a = scratch;
            for (int64_t i = i0, step = c->a_by_rows ? i1 - i0 : rows; i < i1; i += step)
                pack_panel(c, p, e, false, a.at, batch, i, least(i1, i + step), scratch + (i - i0) * p->k * size, rows);
        } else {
            t.a = a.packed ? a.packed + i0 * p->k * size : a.at + i0 * p->a_m * size;
        }
        for (int64_t j = first; j < last; j++) {
            int64_t n = panel_start(u, p->n, j);
            t.columns = panel_start(u, p->n, j + 1) - n;
            t.b_k = round_up(t.columns, u->lanes);
            if (b.packed) {
                t.b = b.packed + n * p->k * size;
            } else if (p->pack_b || (p->pack_tail && t.columns % u->lanes)) {
                t.b = scratch + p->off_b;
                pack_panel(c, p, e, true, b.at, batch, n, n + t.columns, scratch + p->off_b, t.b_k);
            } else {
                t.b = b.at + n * size, t.b_k = p->b_k;
            }
            char *tile = scratch + p->off_c, *to = out ? out + (i0 * p->c_m + n) * size : tile;
            t.out_row = out ? p->c_m : panel_width(u);
            if (p->block_k < p->k) {
                run_blocks(&t, i0, i1, to);
                if (c->epilogue) c->epilogue(e, batch, i0, i1, n, n + t.columns, tile, t.out_row);
                continue;
            }
            int64_t step = c->epilogue ? EPILOGUE_ROWS / u->rows[0] * u->rows[0] : i1 - i0;
            for (int64_t m = i0; m < i1; m += step) {
                t.m0 = m, t.m1 = least(i1, m + step), t.out = to;
                run_tiles(&t);
                if (c->epilogue) c->epilogue(e, batch, m, t.m1, n, n + t.columns, tile, t.out_row);
            }
        }
    }
}

void rt_contract_run(const RtContract *c, const RtPlan *p, const RtEnv *e, const void *prepared_a, const void *prepared_b,
                     int64_t lo, int64_t hi, void *scratch)
{
    const RtMicro *u = c->micro;
    int64_t size = element(u);
    for (int64_t t = lo; t < hi; t++) {
        int64_t batch = t / (p->tasks_m * p->tasks_n), part = t % (p->tasks_m * p->tasks_n);
        int64_t i = part % p->tasks_m, j = part / p->tasks_m;
        int64_t m0 = p->tiles * i / p->tasks_m * u->rows[0], m1 = least(p->m, p->tiles * (i + 1) / p->tasks_m * u->rows[0]);
        int64_t first = p->panels * j / p->tasks_n, last = p->panels * (j + 1) / p->tasks_n;
        int64_t offset[3] = {0};
        if (c->at) c->at(e, batch, offset);
        Side a = {0}, b = {0};
        if (prepared_a) {
            a.packed = (const char *)prepared_a + (c->a_batched ? batch : 0) * round_up(p->m, row_width(c, p->m)) * p->k * size;
        } else if (c->a_operand >= 0) {
            a.at = e->buf[c->a_operand] + offset[0] * size;
        }
        if (prepared_b) {
            b.packed = (const char *)prepared_b + (c->b_batched ? batch : 0) * round_up(p->n, u->lanes) * p->k * size;
        } else if (c->b_operand >= 0) {
            b.at = e->buf[c->b_operand] + offset[1] * size;
        }
        char *out = c->c_operand >= 0 ? e->buf[c->c_operand] + offset[2] * size : NULL;
        run_task(c, p, e, a, b, out, batch, m0, m1, first, last, scratch);
    }
}

/* ---- prepared operands --------------------------------------------------------------------------------------------- */

int64_t rt_prepared_size(const RtContract *c, const int64_t *poly, bool is_b)
{
    const RtMicro *u = c->micro;
    int64_t n = poly[is_b ? c->n : c->m], k = poly[c->k], batch = (is_b ? c->b_batched : c->a_batched) ? poly[c->batch] : 1;
    if (n < 0 || k < 0 || batch < 0) return -1;
    int64_t width = is_b ? u->lanes : row_width(c, n), bytes;
    if (n == 0) return 0;
    bool ok = size_add(n, width - 1, &bytes) && size_mul(bytes / width * width, k, &bytes) && size_mul(bytes, batch, &bytes) &&
              size_mul(bytes, element(u), &bytes);
    return ok ? bytes : -1;
}

void rt_prepare(const RtContract *c, const int64_t *poly, bool is_b, const RtEnv *e, void *dst)
{
    const RtMicro *u = c->micro;
    RtPlan p = {.m = poly[c->m], .n = poly[c->n], .k = poly[c->k], .a_m = poly[c->a_m], .a_k = poly[c->a_k], .b_n = poly[c->b_n], .b_k = poly[c->b_k]};
    int64_t count = is_b ? p.n : p.m, size = element(u), batches = (is_b ? c->b_batched : c->a_batched) ? poly[c->batch] : 1;
    int64_t rows = row_width(c, p.m), operand = is_b ? c->b_operand : c->a_operand;
    char *to = dst;
    for (int64_t batch = 0; batch < batches; batch++) {
        int64_t offset[3] = {0};
        if (operand >= 0 && c->at) c->at(e, batch, offset);
        const char *src = operand >= 0 ? e->buf[operand] + offset[is_b] * size : NULL;
        for (int64_t i = 0, j = 0, next; i < count; i = next, j++) {
            next = is_b ? panel_start(u, count, j + 1) : c->a_by_rows ? count : least(count, i + rows);
            int64_t width = is_b ? round_up(next - i, u->lanes) : rows;
            pack_panel(c, &p, e, is_b, src, batch, i, next, to, width);
            to += (is_b ? width : round_up(next - i, rows)) * p.k * size;
        }
    }
}
