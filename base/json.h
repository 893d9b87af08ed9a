/* json.h - a validating JSON reader (RFC 8259) that allocates nothing. Freestanding: the compiler, the
 * host library and the artefact's runtime all use this one.
 *
 * It is a pull reader. After `json_start`, each `json_next` gives one token; the text is checked as far as
 * it was read, so a caller that stops early has not checked the rest, and one that reads up to JSON_END has
 * checked all of it: UTF-8, escapes, numbers, commas, nesting of at most JSON_DEPTH.
 *
 *   Json j;
 *   json_start(&j, text, n);
 *   while ((t = json_next(&j)) != JSON_END && t != JSON_BAD) ...      // then j.error says why, j.pos where
 */
#ifndef DLC_JSON_H
#define DLC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH 64

typedef enum JsonToken {
    JSON_BAD,                           /* not JSON; every later call gives this again */
    JSON_END,                           /* the text is over, and was all well-formed */
    JSON_OBJECT, JSON_OBJECT_END, JSON_ARRAY, JSON_ARRAY_END,
    JSON_KEY,                           /* of the member whose value comes next */
    JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL
} JsonToken;

typedef struct Json {
    const char *text;
    size_t      n, pos;                 /* pos: behind the last token; after JSON_BAD, at what is wrong */
    const char *error;                  /* "a comma or '}' belongs here" */
    const char *at;                     /* of a key or a string: between its quotes, escapes as written; of a number: itself */
    size_t      len;
    bool        escaped;                /* the key or string holds escapes */
    bool        expect_value;           /* inner state: a key was read, or a comma in an array */
    bool        first, done;            /* just behind '{' or '['; the outermost value is over */
    uint32_t    depth;
    uint64_t    objects;                /* bit d: the container at depth d + 1 is an object */
} Json;

void      json_start(Json *j, const char *text, size_t n);
JsonToken json_next(Json *j);
/* After JSON_OBJECT or JSON_ARRAY: read on to its end. After anything else: nothing. false: JSON_BAD. */
bool      json_skip(Json *j, JsonToken t);
/* The last key or string is exactly this text, escapes resolved. */
bool      json_is(const Json *j, const char *text);
/* Escapes of `at` resolved into `to`, zero-terminated. Returns the length without the zero, or -1 if `cap` does not hold it. */
int64_t   json_unescape(const char *at, size_t len, char *to, size_t cap);
/* The last number as an integer. false: it has a fraction or exponent, or does not fit. */
bool      json_int(const Json *j, int64_t *value);
/* Bytes of the UTF-8 character at p (1 to 4); 0 if the n bytes there do not begin with a valid one. */
uint32_t  json_utf8(const char *p, size_t n);

#endif
