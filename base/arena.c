/* arena.c - memory by lifetime: blocks that are freed together, and vectors that grow in them. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0                     /* 1: every piece is its own block, so that an overrun is seen */
#endif

#define ALIGNMENT   16
#define FIRST_BLOCK ((size_t)16 << 10)  /* blocks double from here ... */
#define LAST_BLOCK  ((size_t)4 << 20)   /* ... to here */

/* A block is this header (a multiple of ALIGNMENT) followed by `cap` zeroed bytes. */
struct ArenaBlock {
    struct ArenaBlock *before;
    size_t             used, cap;
    size_t             pad;
};

_Noreturn static void out_of_memory(size_t n)
{
    fprintf(stderr, "dlc: out of memory (%zu bytes asked for)\n", n);
    exit(3);
}

/* A block is also what keeps calloc's zeroes: no byte is handed out twice. */
static struct ArenaBlock *block_new(size_t cap)
{
    struct ArenaBlock *b = cap > SIZE_MAX - sizeof *b ? NULL : calloc(1, sizeof *b + cap);
    if (!b) out_of_memory(cap);
    b->cap = cap;
    return b;
}

void *arena_alloc(Arena *a, size_t n)
{
    if (n > SIZE_MAX - ALIGNMENT) out_of_memory(n);
    size_t want = n ? (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
    struct ArenaBlock *b = a->last;

    if (SANITIZED) {
        struct ArenaBlock *own = block_new(n);
        own->before = b;
        a->last = own;
        a->used += want;
        return own + 1;
    }
    if (!b || b->cap - b->used < want) {
        size_t cap = b ? b->cap * 2 : FIRST_BLOCK;
        if (cap > LAST_BLOCK) cap = LAST_BLOCK;
        if (want > cap / 2 && b) {
            /* A large piece gets its own block, put behind the one in use so that the rest of that still serves. */
            struct ArenaBlock *own = block_new(want);
            own->used = want;
            own->before = b->before;
            b->before = own;
            a->used += want;
            return own + 1;
        }
        struct ArenaBlock *next = block_new(want > cap ? want : cap);
        next->before = b;
        a->last = b = next;
    }
    void *p = (char *)(b + 1) + b->used;
    b->used += want;
    a->used += want;
    return p;
}

void *arena_alloc_array(Arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) out_of_memory(SIZE_MAX);
    return arena_alloc(a, bytes);
}

void *arena_copy(Arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (n) memcpy(copy, p, n);
    return copy;
}

void arena_free(Arena *a)
{
    for (struct ArenaBlock *b = a->last, *before; b; b = before) {
        before = b->before;
        free(b);
    }
    *a = (Arena){0};
}

void vec_grow(Arena *a, void **at, uint32_t *cap, uint32_t want, size_t item)
{
    if (want == 0) out_of_memory(SIZE_MAX);             /* n + 1 wrapped: 4 billion items */
    if (want <= *cap) return;
    uint32_t more = *cap < 4 ? 4 : *cap > UINT32_MAX / 2 ? UINT32_MAX : *cap * 2;
    if (more < want) more = want;
    void *p = arena_alloc_array(a, more, item);
    if (*cap) memcpy(p, *at, (size_t)*cap * item);
    *at = p;
    *cap = more;
}
