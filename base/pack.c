/* pack.c - offsets for buffers in one block: greedy by size, best fit, over several orders, and the best
 * of them. Y. Pisarchyk and J. Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020).
 * Freestanding: no allocation, no library call. */
#include "base/pack.h"
#include "base/size.h"

/* The orders that are tried; which is best depends on the net. */
typedef enum Order { BY_SIZE, BY_LIFETIME, BY_START, ORDERS } Order;

/* Scratch, one array after another. */
typedef struct Plan {
    int64_t  *size;                     /* [n] rounded up to PACK_ALIGN */
    int64_t  *offset;                   /* [n] of the order being tried */
    uint32_t *order;                    /* [n] items in the order in which they are placed */
    uint32_t *placed;                   /* [n] items with an offset already, by offset */
} Plan;
#define BYTES_PER_ITEM (2 * sizeof(int64_t) + 2 * sizeof(uint32_t))

bool pack_scratch(uint32_t n, int64_t *bytes)
{
    return size_mul(n, BYTES_PER_ITEM, bytes);
}

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* < 0: a is placed before b. Ends with the number, so that no two are equal. */
static int precedes(const PackItem *item, const Plan *p, Order by, uint32_t a, uint32_t b)
{
    int size = compare(p->size[b], p->size[a]);
    int life = compare((int64_t)item[b].last_step - item[b].first_step, (int64_t)item[a].last_step - item[a].first_step);
    int start = compare(item[a].first_step, item[b].first_step);
    int key[3];
    switch (by) {
    case BY_LIFETIME: key[0] = life, key[1] = size, key[2] = start; break;
    case BY_START: key[0] = start, key[1] = size, key[2] = life; break;
    default: key[0] = size, key[1] = life, key[2] = start; break;
    }
    for (int i = 0; i < 3; i++)
        if (key[i]) return key[i];
    return a < b ? -1 : 1;
}

/* Heap sort: in place, never quadratic, and no library. */
static void sort(const PackItem *item, const Plan *p, Order by, uint32_t n)
{
    uint32_t *order = p->order;
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t start = n / 2, end = n; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            uint32_t last = order[--end];
            order[end] = order[0];
            order[0] = last;
        }
        uint32_t root = start, moved = order[root];
        for (uint32_t child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && precedes(item, p, by, order[child], order[child + 1]) < 0) child++;
            if (precedes(item, p, by, moved, order[child]) > 0) break;
            order[root] = order[child];
        }
        order[root] = moved;
    }
}

/* The smallest gap that item `it` fits in, among placed items alive with it; behind all of them if none.
 * A plan that reaches `limit` is no better than the best one: false, as when the sum overflows. */
static bool place(const PackItem *item, const Plan *p, uint32_t nplaced, uint32_t it, int64_t limit)
{
    int64_t end = 0;                                    /* behind the placed items seen so far */
    int64_t best = -1, best_gap = INT64_MAX;
    for (uint32_t k = 0; k < nplaced; k++) {
        uint32_t other = p->placed[k];
        if (item[other].last_step < item[it].first_step || item[it].last_step < item[other].first_step) continue;
        int64_t gap = p->offset[other] - end;
        if (gap >= p->size[it] && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        int64_t behind = p->offset[other] + p->size[other];     /* below limit: it was checked when placed */
        if (behind > end) end = behind;
    }
    if (best < 0) best = end;
    int64_t behind;
    if (!size_add(best, p->size[it], &behind) || behind >= limit) return false;
    p->offset[it] = best;

    uint32_t low = 0, high = nplaced;                   /* keep `placed` sorted by offset */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->offset[p->placed[middle]] <= best) low = middle + 1;
        else high = middle;
    }
    for (uint32_t k = nplaced; k > low; k--) p->placed[k] = p->placed[k - 1];
    p->placed[low] = it;
    return true;
}

/* Try one order. false: it does not stay below `limit`. */
static bool try_order(const PackItem *item, const Plan *p, uint32_t n, Order by, int64_t limit, int64_t *total)
{
    uint32_t nplaced = 0;
    int64_t top = 0;
    sort(item, p, by, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t it = p->order[i];
        p->offset[it] = 0;
        if (p->size[it] == 0) continue;
        if (!place(item, p, nplaced++, it, limit)) return false;
        if (p->offset[it] + p->size[it] > top) top = p->offset[it] + p->size[it];
    }
    *total = top;
    return true;
}

bool pack(const PackItem *item, uint32_t n, int64_t *offset, int64_t *total, void *scratch)
{
    Plan p;
    p.size = scratch;
    p.offset = p.size + n;
    p.order = (uint32_t *)(p.offset + n);
    p.placed = p.order + n;
    for (uint32_t i = 0; i < n; i++) {
        if (item[i].first_step > item[i].last_step || !size_align(item[i].size, PACK_ALIGN, &p.size[i])) return false;
        offset[i] = 0;
    }

    int64_t limit = INT64_MAX, found;
    bool ok = false;
    for (Order by = 0; by < ORDERS; by++)
        if (try_order(item, &p, n, by, limit, &found)) {
            ok = true;
            limit = found;                              /* the next one must be better */
            for (uint32_t i = 0; i < n; i++) offset[i] = p.offset[i];
        }
    if (ok) *total = limit;
    return ok;
}
