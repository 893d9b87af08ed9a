/* tensorboard.c - a training history as an event file of TensorBoard. Such a file is a sequence of TFRecords
 *   uint64 length, uint32 masked CRC-32C of the length, the bytes, uint32 masked CRC-32C of the bytes     (little-endian)
 * each of which is an Event, in protocol buffers:
 *   message Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
 *   message Summary { repeated Value value = 1; }    message Value { string tag = 1; float simple_value = 2; }
 */
#include "host/train.h"

#include <string.h>

/* CRC-32C (Castagnoli), bit by bit: these files are small. */
static uint32_t crc32c(const char *p, size_t n)
{
    uint32_t c = ~0u;
    for (; n; n--) {
        c ^= (unsigned char)*p++;
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
    }
    return ~c;
}

static void put_le(Str *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) str_char(out, (char)(v >> 8 * i));
}

static void put_crc(Str *out, const char *p, size_t n)
{
    uint32_t c = crc32c(p, n);
    put_le(out, (c >> 15 | c << 17) + 0xa282ead8u, 4);
}

static void put_record(Str *out, const Str *event)
{
    size_t at = out->n;
    put_le(out, event->n, 8);
    put_crc(out, out->at + at, 8);
    str_addn(out, event->at, event->n);
    put_crc(out, event->at, event->n);
}

/* ---- protocol buffers ------------------------------------------------------------------------------------------------------ */

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_varint(Str *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) str_char(out, (char)(v | 0x80));
    str_char(out, (char)v);
}

static void put_field(Str *out, uint32_t number, uint32_t kind) { put_varint(out, number << 3 | kind); }

static void put_bytes(Str *out, uint32_t number, const char *p, size_t n)
{
    put_field(out, number, BYTES);
    put_varint(out, n);
    str_addn(out, p, n);
}

static void put_double(Str *out, uint32_t number, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_field(out, number, FIXED64);
    put_le(out, bits, 8);
}

static void put_float(Str *out, uint32_t number, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_field(out, number, FIXED32);
    put_le(out, bits, 4);
}

/* ---- events ------------------------------------------------------------------------------------------------------------------ */

static void put_value(Str *summary, const char *tag, double v)
{
    Str value = {.arena = summary->arena};
    put_bytes(&value, 1, tag, strlen(tag));
    put_float(&value, 2, (float)v);
    put_bytes(summary, 1, value.at, value.n);
}

void train_tensorboard_begin(Str *out, double start)
{
    Str version = {.arena = out->arena};
    put_double(&version, 1, start);
    put_bytes(&version, 3, "brain.Event:2", 13);
    put_record(out, &version);
}

void train_tensorboard(Str *out, const Train *t, uint32_t first, double start)
{
    for (uint32_t i = first; i < t->history.n; i++) {
        const TrainRecord *r = &t->history.at[i];
        Str event = {.arena = out->arena}, summary = {.arena = out->arena};
        for (uint32_t k = 0; k < t->metrics.n; k++) {
            const TrainMetric *m = &t->metrics.at[k];
            const char *tag = m->validation ? arena_printf(out->arena, "validation/%s", m->name + 4) : arena_printf(out->arena, "train/%s", m->name);
            put_value(&summary, tag, r->value[k]);
        }
        put_value(&summary, "train/examples_per_second", r->rate);
        put_double(&event, 1, start + r->seconds);
        put_field(&event, 2, VARINT);
        put_varint(&event, (uint64_t)r->step);
        put_bytes(&event, 5, summary.at, summary.n);
        put_record(out, &event);
    }
}
