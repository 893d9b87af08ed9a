"""Train the network of models/digits.dl on models/data/digits.safetensors and write digits.safetensors beside this file.

NumPy only: the forward and backward pass of two convolutions and two linear layers by hand, in f64, with Adam, a cosine
learning rate, and images shifted, turned and stretched a little. Half a minute on one core. `dlc train` will replace it.

usage: train_digits.py [digits.safetensors]
"""
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "data"))
from tensorfile import load, save

SEED, EPOCHS, BATCH, RATE, DECAY = 1, 60, 32, 2e-3, 1e-3


# ---- layers: each forward returns its result and what its backward needs -----------------------------------------

def patches(x):
    """[B, C, H, W] -> [B, H, W, C * 9]: the 3x3 surroundings of each pixel, zeros outside."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    p = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return p.transpose(0, 2, 3, 1, 4, 5).reshape(x.shape[0], x.shape[2] - 2, x.shape[3] - 2, -1)


def conv(x, w, b):
    p = patches(x)
    y = p @ w.reshape(len(w), -1).T + b
    return y.transpose(0, 3, 1, 2), p


def conv_back(dy, w, p, need_dx):
    dw = np.tensordot(dy, p, ((0, 2, 3), (0, 1, 2))).reshape(w.shape)
    db = dy.sum((0, 2, 3))
    if not need_dx:
        return None, dw, db
    flipped = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return conv(dy, flipped, 0)[0], dw, db


def max_pool(x):
    b, c, h, w = x.shape
    tiles = x.reshape(b, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(b, c, h // 2, w // 2, 4)
    at = tiles.argmax(-1)
    return tiles.max(-1), at


def max_pool_back(dy, at):
    b, c, h, w = dy.shape
    d = np.zeros((b, c, h, w, 4))
    np.put_along_axis(d, at[..., None], dy[..., None], -1)
    return d.reshape(b, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(b, c, 2 * h, 2 * w)


# ---- the network ------------------------------------------------------------------------------------------------

def initial(rng):
    def layer(name, *shape):
        bound = 1 / np.sqrt(np.prod(shape[1:]))
        return {f"net.{name}.weight": rng.uniform(-bound, bound, shape), f"net.{name}.bias": rng.uniform(-bound, bound, shape[0])}
    return layer("c1", 16, 1, 3, 3) | layer("c2", 32, 16, 3, 3) | layer("f1", 64, 512) | layer("f2", 10, 64)


def forward(p, images):
    x = images[:, None] / 16
    a1, p1 = conv(x, p["net.c1.weight"], p["net.c1.bias"])
    h1 = np.maximum(a1, 0)
    a2, p2 = conv(h1, p["net.c2.weight"], p["net.c2.bias"])
    h2, at = max_pool(np.maximum(a2, 0))
    flat = h2.reshape(len(x), -1)
    h3 = np.maximum(flat @ p["net.f1.weight"].T + p["net.f1.bias"], 0)
    logits = h3 @ p["net.f2.weight"].T + p["net.f2.bias"]
    return logits, (a1, p1, a2, p2, at, flat, h3)


def gradients(p, images, labels):
    logits, (a1, p1, a2, p2, at, flat, h3) = forward(p, images)
    e = np.exp(logits - logits.max(1, keepdims=True))
    prob = e / e.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(prob[rows, labels]).mean()
    d = prob.copy()
    d[rows, labels] -= 1
    d /= len(labels)
    g = {"net.f2.weight": d.T @ h3, "net.f2.bias": d.sum(0)}
    d = d @ p["net.f2.weight"] * (h3 > 0)
    g |= {"net.f1.weight": d.T @ flat, "net.f1.bias": d.sum(0)}
    d = max_pool_back((d @ p["net.f1.weight"]).reshape(at.shape), at) * (a2 > 0)
    d, g["net.c2.weight"], g["net.c2.bias"] = conv_back(d, p["net.c2.weight"], p2, True)
    _, g["net.c1.weight"], g["net.c1.bias"] = conv_back(d * (a1 > 0), p["net.c1.weight"], p1, False)
    return loss, g


def accuracy(p, images, labels):
    return (forward(p, images)[0].argmax(1) == labels).mean()


# ---- data: each image turned, stretched and shifted a little, read with bilinear interpolation --------------------------

def augment(images, rng):
    n = len(images)
    angle = rng.uniform(-0.2, 0.2, n)
    size = rng.uniform(0.88, 1.12, (2, n))
    shift = rng.uniform(-0.8, 0.8, (2, n))
    rows, cols = np.meshgrid(np.arange(8) - 3.5, np.arange(8) - 3.5, indexing="ij")
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    y = (c * rows - s * cols) * size[0][:, None, None] + shift[0][:, None, None] + 3.5
    x = (s * rows + c * cols) * size[1][:, None, None] + shift[1][:, None, None] + 3.5
    padded = np.pad(images.astype(float), ((0, 0), (2, 2), (2, 2)))
    y, x = np.clip(y + 2, 0, 10.999), np.clip(x + 2, 0, 10.999)
    i, j = y.astype(int), x.astype(int)
    fy, fx = y - i, x - j
    k = np.arange(n)[:, None, None]
    return ((1 - fy) * ((1 - fx) * padded[k, i, j] + fx * padded[k, i, j + 1])
            + fy * ((1 - fx) * padded[k, i + 1, j] + fx * padded[k, i + 1, j + 1]))


def check_gradients(p, images, labels):
    """Central differences of a few elements of each parameter."""
    _, g = gradients(p, images, labels)
    for name, x in p.items():
        for at in range(0, x.size, x.size // 3 + 1):
            old = x.flat[at]
            x.flat[at] = old + 1e-5
            up, _ = gradients(p, images, labels)
            x.flat[at] = old - 1e-5
            down, _ = gradients(p, images, labels)
            x.flat[at] = old
            assert abs((up - down) / 2e-5 - g[name].flat[at]) < 1e-6, name


def main():
    data = load(os.path.join(HERE, "..", "data", "digits.safetensors"))
    rng = np.random.RandomState(SEED)
    p = initial(rng)
    check_gradients(p, data["train_x"][:8], data["train_y"][:8])
    m = {k: np.zeros_like(v) for k, v in p.items()}
    v = {k: np.zeros_like(v) for k, v in p.items()}
    n = len(data["train_y"])
    step, total = 0, EPOCHS * (n // BATCH)
    for epoch in range(EPOCHS):
        order = rng.permutation(n)
        for i in range(n // BATCH):
            rows = order[i * BATCH:(i + 1) * BATCH]
            loss, g = gradients(p, augment(data["train_x"][rows], rng), data["train_y"][rows])
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / total))
            for k in p:
                m[k] = 0.9 * m[k] + 0.1 * g[k]
                v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
                d = m[k] / (1 - 0.9 ** step) / (np.sqrt(v[k] / (1 - 0.999 ** step)) + 1e-8)
                p[k] = p[k] - rate * (d + (DECAY * p[k] if p[k].ndim > 1 else 0))
        print(f"epoch {epoch + 1:2}  loss {loss:.4f}", flush=True)
    p = {k: x.astype(np.float32) for k, x in p.items()}
    print(f"train {accuracy(p, data['train_x'], data['train_y']):.4f}  test {accuracy(p, data['test_x'], data['test_y']):.4f}")
    save(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "digits.safetensors"), p)


if __name__ == "__main__":
    main()
