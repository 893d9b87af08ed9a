/* pack.h - placing buffers with known lifetimes in one block of memory. Freestanding: the compiler uses
 * it when sizes are numbers, the artefact's runtime when a capacity is reserved.
 */
#ifndef DLC_PACK_H
#define DLC_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACK_ALIGN 64                   /* bytes; a cache line and the widest vector */

typedef struct PackItem {
    int64_t  size;                      /* bytes, not negative; 0 takes no space */
    uint32_t first_step, last_step;     /* alive from the first to the last, both included */
} PackItem;

/* Bytes of scratch that pack() needs for n items. false: too many. */
bool pack_scratch(uint32_t n, int64_t *bytes);
/* Give every item an offset, a multiple of PACK_ALIGN, such that items alive at the same step never share
 * a byte; *total is the size of the block. Same input, same result. `scratch` is aligned to 8.
 * false: a size is negative, a lifetime ends before it begins, or the total overflows. */
bool pack(const PackItem *item, uint32_t n, int64_t *offset, int64_t *total, void *scratch);

#endif
