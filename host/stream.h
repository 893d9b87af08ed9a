/* stream.h - text that comes in pieces, passed on in whole characters and up to a stop text. */
#ifndef DLC_STREAM_H
#define DLC_STREAM_H

#include "base/base.h"

typedef struct TextStream {
    Str         pending;                /* the end may be part of a character, or of `stop` */
    const char *stop;                   /* NULL or "": none */
    bool      (*write)(void *user, const char *at, size_t n);       /* false: nothing more is wanted; NULL: nobody reads */
    void       *user;
    bool        closed;                 /* write said so */
} TextStream;

bool stream_add(TextStream *s, const char *at, size_t n);   /* true: the stop text has come, what is before it was written */
void stream_end(TextStream *s);         /* writes what was held back */

#endif
