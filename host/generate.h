/* generate.h - text from a decoder model: one that exports
 *   fn restart()                                       start a new text
 *   fn append(ids: i32[1, T]) -> (logits)              more tokens; the logits of the one after them, f32[1, vocabulary]
 */
#ifndef DLC_GENERATE_H
#define DLC_GENERATE_H

#include "host/dlc.h"
#include "host/sample.h"
#include "host/tokenizer.h"

typedef struct GenerateOptions {
    SampleOptions sample;
    int64_t     tokens;                 /* at most so many */
    const char *stop;                   /* the text ends before it; NULL: nothing */
    bool        only_new;               /* do not write the prompt */
    bool      (*write)(void *user, const char *at, size_t n);       /* text as it comes, whole characters; false: end */
    void       *user;
} GenerateOptions;

typedef enum GenerateEnd { GENERATE_tokens, GENERATE_end, GENERATE_stop, GENERATE_full, GENERATE_closed } GenerateEnd;

typedef struct GenerateResult {
    IdList      ids;                    /* those generated */
    int64_t     prompt_tokens;
    double      prompt_seconds, seconds;
    GenerateEnd end;
    const char *full;                   /* GENERATE_full: what the model said */
} GenerateResult;

/* false: *error says why: a function is missing or has another type, the prompt is too long, the tokenizer is of another
 * vocabulary. The model's state is then as it was, or that of a new text. */
bool generate(Arena *a, dlc_artefact *artefact, dlc_instance *m, Tokenizer *t, const char *prompt, size_t n, const GenerateOptions *o,
              GenerateResult *r, const char **error);

#endif
