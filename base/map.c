/* map.c - hash maps from byte strings to pointers, in insertion order: entries stand in a vector, and
 * an open-addressing table of entry numbers finds them. */
#include "base/base.h"

#include <string.h>

typedef struct Entry {
    uint64_t    hash;
    const char *key;                    /* zero-terminated copy */
    size_t      n;
    void       *value;
} Entry;

struct Map {
    Arena    *arena;
    VEC(Entry) entries;
    uint32_t *slot;                     /* entry number + 1; 0: empty */
    uint32_t  nslots;                   /* a power of two, at most 3/4 full */
};

/* FNV-1a, then the finisher of MurmurHash3 so that the low bits depend on every byte. */
uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
    const unsigned char *s = p;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < n; i++) h = (h ^ s[i]) * 0x100000001b3u;
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 33);
}

Map *map_new(Arena *a)
{
    Map *m = arena_new(a, Map);
    m->arena = a;
    return m;
}

/* The slot of this key, or the empty one where it belongs. Needs nslots > 0. */
static uint32_t *find(const Map *m, uint64_t hash, const void *key, size_t n)
{
    for (uint32_t i = (uint32_t)hash;; i++) {
        uint32_t *slot = &m->slot[i & (m->nslots - 1)];
        if (!*slot) return slot;
        const Entry *e = &m->entries.at[*slot - 1];
        if (e->hash == hash && e->n == n && (n == 0 || !memcmp(e->key, key, n))) return slot;
    }
}

void *map_get(const Map *m, const void *key, size_t n)
{
    if (!m->nslots) return NULL;
    uint32_t *slot = find(m, hash_bytes(key, n, 0), key, n);
    return *slot ? m->entries.at[*slot - 1].value : NULL;
}

static void grow(Map *m)
{
    m->nslots = m->nslots ? m->nslots * 2 : 16;
    m->slot = arena_array(m->arena, uint32_t, m->nslots);
    for (uint32_t i = 0; i < m->entries.n; i++) {
        const Entry *e = &m->entries.at[i];
        *find(m, e->hash, e->key, e->n) = i + 1;
    }
}

void map_set(Map *m, const void *key, size_t n, void *value)
{
    if (m->entries.n >= m->nslots / 4 * 3) grow(m);
    uint64_t hash = hash_bytes(key, n, 0);
    uint32_t *slot = find(m, hash, key, n);
    if (*slot) {
        m->entries.at[*slot - 1].value = value;
        return;
    }
    Entry e = {hash, arena_strndup(m->arena, key, n), n, value};
    vec_push(m->arena, &m->entries, e);
    *slot = m->entries.n;
}

uint32_t map_count(const Map *m)
{
    return m->entries.n;
}

void *map_at(const Map *m, uint32_t i, const void **key, size_t *n)
{
    const Entry *e = &m->entries.at[i];
    if (key) *key = e->key;
    if (n) *n = e->n;
    return e->value;
}

const char *intern(Strings *s, const char *text, size_t n)
{
    if (!s->map) s->map = map_new(s->arena);
    char *known = map_get(s->map, text, n);
    if (known) return known;
    char *copy = arena_strndup(s->arena, text, n);
    map_set(s->map, text, n, copy);
    return copy;
}
