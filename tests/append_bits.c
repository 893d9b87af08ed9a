/* append_bits.c - the application of test_text.sh for models/llama.dl: the logits after a text have the same bits however it was
 * appended, and a call that fails changes nothing. */
#include <stdio.h>
#include <string.h>

#include "llama.h"

enum { N = 48, VOCABULARY = 512, CONTEXT = 512 };

static int append(llama *m, int64_t n, const int32_t *ids, float *logits)
{
    int status = llama_append(m, n, ids, logits);
    if (status) fprintf(stderr, "%s\n", llama_error(m));
    return status;
}

/* Pieces of `piece` tokens, then the rest. */
static int in_pieces(llama *m, int64_t piece, const int32_t *ids, float *logits)
{
    int status = llama_restart(m);
    for (int64_t at = 0; at < N && !status; at += piece) status = append(m, N - at < piece ? N - at : piece, ids + at, logits);
    return status;
}

int main(int argc, char **argv)
{
    static float whole[VOCABULARY], parts[VOCABULARY], rest[VOCABULARY];
    static int32_t ids[CONTEXT + 1];
    llama *m = llama_create(NULL);
    if (argc != 2 || !m || llama_load(m, argv[1])) return fprintf(stderr, "%s\n", llama_error(m)), 2;
    for (int i = 0; i <= CONTEXT; i++) ids[i] = 1 + i * 37 % (VOCABULARY - 1);
    if (in_pieces(m, N, ids, whole)) return 1;
    for (int64_t piece = 1; piece < N; piece += piece < 8 ? 1 : 11) {
        if (in_pieces(m, piece, ids, parts)) return 1;
        if (memcmp(whole, parts, sizeof whole)) return fprintf(stderr, "pieces of %d tokens: other logits\n", (int)piece), 1;
    }
    /* No room, an id out of range: an error; the text goes on as if they had not been asked for. */
    if (llama_append(m, CONTEXT - N + 1, ids, rest) == 0) return fprintf(stderr, "more tokens than the cache holds\n"), 1;
    int32_t outside[2] = {3, VOCABULARY};
    if (llama_append(m, 2, outside, rest) == 0) return fprintf(stderr, "an id out of range\n"), 1;
    if (llama_append(m, CONTEXT + 1, ids, rest) == 0) return fprintf(stderr, "more tokens than the context\n"), 1;
    if (append(m, 1, ids + N, parts) || llama_restart(m) || append(m, N + 1, ids, whole)) return 1;
    if (memcmp(whole, parts, sizeof whole)) return fprintf(stderr, "a call that failed changed the state\n"), 1;
    llama_destroy(m);
    return 0;
}
