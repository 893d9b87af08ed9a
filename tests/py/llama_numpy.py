"""The Llama architecture in NumPy, f64: the reference for models/llama.dl.

usage: llama_numpy.py WEIGHTS IDS OUT       safetensors; writes OUT with logits f32[B, T, vocab]
       llama_numpy.py --story DATA          print the story that stories260K tells from token 1 (a check of this file)
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "models", "data"))
from tensorfile import load, save

HEAD = 8                                                # channels a head: 64 // 8


def rms_norm(x, w):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w


def heads(x):
    return x.reshape(len(x), -1, HEAD).transpose(1, 0, 2)


def rotate(x):
    """RoPE on neighbouring pairs; x is [heads, T, HEAD]."""
    t, d = x.shape[1:]
    angle = np.arange(t)[:, None] * 10000.0 ** (-2 * np.arange(d // 2) / d)
    a, b = x[..., 0::2], x[..., 1::2]
    y = np.empty_like(x)
    y[..., 0::2] = a * np.cos(angle) - b * np.sin(angle)
    y[..., 1::2] = a * np.sin(angle) + b * np.cos(angle)
    return y


def logits(w, ids):
    """ids [T] -> [T, vocab]."""
    w = {k: v.astype(np.float64) for k, v in w.items()}
    x = w["tok_embeddings.weight"][ids]
    later = np.triu(np.ones((len(ids), len(ids)), bool), 1)
    i = 0
    while f"layers.{i}.attention.wq.weight" in w:
        p = {k.split(".", 2)[2]: v for k, v in w.items() if k.startswith(f"layers.{i}.")}
        y = rms_norm(x, p["attention_norm.weight"])
        q, k, v = (heads(y @ p[f"attention.{n}.weight"].T) for n in ("wq", "wk", "wv"))
        group = len(q) // len(k)
        k, v = (np.repeat(z, group, axis=0) for z in (rotate(k), v))
        s = rotate(q) @ k.transpose(0, 2, 1) / np.sqrt(HEAD)
        s[:, later] = -np.inf
        s = np.exp(s - s.max(-1, keepdims=True))
        s = s / s.sum(-1, keepdims=True) @ v
        x = x + s.transpose(1, 0, 2).reshape(len(ids), -1) @ p["attention.wo.weight"].T
        y = rms_norm(x, p["ffn_norm.weight"])
        a = y @ p["feed_forward.w1.weight"].T
        x = x + a / (1 + np.exp(-a)) * (y @ p["feed_forward.w3.weight"].T) @ p["feed_forward.w2.weight"].T
        i += 1
    return rms_norm(x, w["norm.weight"]) @ w["tok_embeddings.weight"].T


def greedy(w, n):
    """n tokens: token 1, then always the likeliest."""
    ids = [1]
    while len(ids) < n:
        ids.append(int(logits(w, np.array(ids))[-1].argmax()))
    return np.array(ids, np.int32)


def story(data):
    import struct
    from convert_stories import weights
    with open(os.path.join(data, "stories260K", "tok512.bin"), "rb") as f:
        text = f.read()
    tokens, at = [], 4
    while at < len(text):
        _, n = struct.unpack_from("<fi", text, at)
        tokens.append(text[at + 8:at + 8 + n].decode("utf-8", "replace"))
        at += 8 + n
    ids = greedy(weights(os.path.join(data, "stories260K", "stories260K.bin")), 64)
    return "".join(tokens[i] for i in ids[1:]).strip()


def main(args):
    if args[0] == "--story":
        print(story(args[1]))
        return
    w, ids = load(args[0]), load(args[1])["ids"]
    save(args[2], {"logits": np.stack([logits(w, row) for row in ids]).astype(np.float32)})


if __name__ == "__main__":
    main(sys.argv[1:])
