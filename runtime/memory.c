/* memory.c - the runtime's memory, error texts and text building. */
#include "runtime/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *malloc_allocate(void *user, size_t bytes, size_t align)
{
    void *p;
    (void)user;
    return posix_memalign(&p, align, bytes) ? NULL : p;
}

static void malloc_release(void *user, void *p, size_t bytes)
{
    (void)user, (void)bytes;
    free(p);
}

const RtMemory rt_malloc = {malloc_allocate, malloc_release, NULL};

void *rt_alloc(const RtMemory *a, int64_t bytes)
{
    if (bytes < 0) return NULL;
    return a->allocate(a->user, bytes ? (size_t)bytes : 1, RT_ALIGN);
}

void *rt_alloc_zero(const RtMemory *a, int64_t bytes)
{
    void *p = rt_alloc(a, bytes);
    if (p) memset(p, 0, (size_t)bytes);
    return p;
}

void rt_free(const RtMemory *a, void *p, int64_t bytes)
{
    if (p) a->release(a->user, p, bytes ? (size_t)bytes : 1);
}

int rt_fail(RtError *e, int status, const char *fmt, ...)
{
    if (!e) return status;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return status;
}

int rt_fail_errno(RtError *e, int status, int error, const char *fmt, ...)
{
    if (!e) return status;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    char text[128];
    size_t n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, ": %s", strerror_r(error, text, sizeof text));
    return status;
}

void rt_text_add(RtText *t, const char *s, size_t n)
{
    if (t->at) memcpy(t->at + t->n, s, n);
    t->n += (int64_t)n;
}

void rt_text(RtText *t, const char *s)
{
    rt_text_add(t, s, strlen(s));
}

void rt_text_int(RtText *t, int64_t v)
{
    char digits[24];
    rt_text_add(t, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)v));
}

void rt_text_unsigned(RtText *t, uint64_t v)
{
    char digits[24];
    rt_text_add(t, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)v));
}

void rt_text_json(RtText *t, const char *s)
{
    rt_text(t, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        char escaped[8] = {'\\', *s};
        if (c == '"' || c == '\\') rt_text_add(t, escaped, 2);
        else if (c < 0x20) rt_text_add(t, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        else rt_text_add(t, s, 1);
    }
    rt_text(t, "\"");
}
