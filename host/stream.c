/* stream.c - what of a text may be written already: no part of a character, and nothing that may turn out to be the stop text. */
#include "host/stream.h"

#include <string.h>

/* Bytes at the end that may be the beginning of a character. */
static size_t cut_character(const char *at, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)at[n - back];
        if ((c & 0xC0) == 0x80) continue;
        size_t whole = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        return whole > back ? back : 0;
    }
    return 0;
}

/* ... of the stop text. */
static size_t cut_stop(const char *at, size_t n, const char *stop)
{
    size_t len = strlen(stop);
    for (size_t k = len - 1 < n ? len - 1 : n; k > 0; k--)
        if (!memcmp(at + n - k, stop, k)) return k;
    return 0;
}

static const char *find_stop(const char *at, size_t n, const char *stop)
{
    size_t len = strlen(stop);
    for (size_t i = 0; i + len <= n; i++)
        if (!memcmp(at + i, stop, len)) return at + i;
    return NULL;
}

static void put(TextStream *s, size_t n)
{
    if (!n) return;
    if (!s->closed && s->write) s->closed = !s->write(s->user, s->pending.at, n);
    memmove(s->pending.at, s->pending.at + n, s->pending.n - n);
    s->pending.n -= n;
}

bool stream_add(TextStream *s, const char *at, size_t n)
{
    str_addn(&s->pending, at, n);
    if (!s->pending.n) return false;
    size_t keep = cut_character(s->pending.at, s->pending.n);
    if (s->stop && *s->stop) {
        const char *found = find_stop(s->pending.at, s->pending.n, s->stop);
        size_t held = cut_stop(s->pending.at, s->pending.n, s->stop);
        if (found) {
            put(s, (size_t)(found - s->pending.at));
            s->pending.n = 0;
            return true;
        }
        if (held > keep) keep = held;
    }
    put(s, s->pending.n - keep);
    return false;
}

void stream_end(TextStream *s)
{
    put(s, s->pending.n);
}
