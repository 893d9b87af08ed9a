/* rng.c - Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011).
 * Counter-based: element i of a draw depends on key, stream, step and i alone. */
#include "ir/ir.h"

uint32_t rng_bits(uint64_t key, uint64_t stream, uint64_t step, uint64_t i)
{
    uint64_t block = i / 4, place = stream ^ step;
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)place, (uint32_t)(place >> 32)};
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53 * c[0], b = (uint64_t)0xCD9E8D57 * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
        for (int j = 0; j < 4; j++) c[j] = next[j];
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return c[i % 4];
}
