"""stories260K.bin as safetensors with the names of models/llama.dl, and 64 tokens to read.

usage: convert_stories.py DATA OUT  DATA: the folder of models/get-data.sh
    OUT/stories.safetensors         weights
    OUT/stories_ids.safetensors     ids i32[1, 64]: the beginning of the story that the model tells from token 1
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "models", "data"))
from tensorfile import save


def weights(path):
    """A llama2.c version 0 file: seven i32, then f32 tensors, those of the layers stacked by kind."""
    with open(path, "rb") as f:
        data = f.read()
    dim, hidden, layers, heads, kv_heads, vocab, _ = np.frombuffer(data, "<i4", 7).tolist()
    kv = dim // heads * kv_heads
    floats, at = np.frombuffer(data, "<f4", offset=28), 0

    def take(*shape):
        nonlocal at
        n = int(np.prod(shape))
        at += n
        return floats[at - n:at].reshape(shape)

    w = {"tok_embeddings.weight": take(vocab, dim)}
    for name, *shape in [("attention_norm", dim), ("attention.wq", dim, dim), ("attention.wk", kv, dim), ("attention.wv", kv, dim),
                         ("attention.wo", dim, dim), ("ffn_norm", dim), ("feed_forward.w1", hidden, dim),
                         ("feed_forward.w2", dim, hidden), ("feed_forward.w3", hidden, dim)]:
        for i, x in enumerate(take(layers, *shape)):
            w[f"layers.{i}.{name}.weight"] = x
    w["norm.weight"] = take(dim)
    return w


def main(data, out):
    from llama_numpy import greedy                      # here: llama_numpy reads weights with this file
    w = weights(os.path.join(data, "stories260K", "stories260K.bin"))
    save(os.path.join(out, "stories.safetensors"), w)
    save(os.path.join(out, "stories_ids.safetensors"), {"ids": greedy(w, 64)[None]})


if __name__ == "__main__":
    main(*sys.argv[1:])
