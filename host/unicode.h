/* unicode.h - what tokenizers ask about characters. */
#ifndef DLC_UNICODE_H
#define DLC_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum UnicodeKind { UNICODE_OTHER, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_PUNCTUATION, UNICODE_ACCENT, UNICODE_CONTROL } UnicodeKind;
UnicodeKind unicode_kind(uint32_t c);   /* general categories L, N, P, Mn, and Cc with Cf */
bool     unicode_is_space(uint32_t c);  /* White_Space; such characters can be UNICODE_CONTROL too */
uint32_t unicode_lower(uint32_t c);
/* Canonical decomposition without accents: up to 3 characters, the count. An accent alone gives 0. */
uint32_t unicode_base(uint32_t c, uint32_t out[3]);

/* The character at p, n > 0 bytes; *len: its bytes. Where they are not UTF-8: one byte, and UNICODE_NONE. */
enum { UNICODE_NONE = 0x110000 };
uint32_t utf8_next(const char *p, size_t n, uint32_t *len);
uint32_t utf8_write(uint32_t c, char out[4]);           /* the count of bytes */

#endif
