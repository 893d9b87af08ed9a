"""Write tests/zoo/*.safetensors: what PyTorch gives for whole networks of models/, at a small size, in f64. Run by hand, where
torch is installed; the files are committed. The networks are written with torch.nn.functional, each weight by its name; the
weights are drawn from the names (zoo_weights.py). test_zoo.py compares.

usage: DLC=build/dlc make_zoo_goldens.py
"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [TESTS, os.path.join(TESTS, "..", "models", "data")]
from tensorfile import save
from test_zoo import GOLDENS, dlc, model_file, words
from zoo_weights import draw_weights

torch.set_default_dtype(torch.float64)
rng = np.random.RandomState(0)


def conv(W, name, x, stride=1, padding=0, groups=1):
    return F.conv2d(x, W[name + ".weight"], W.get(name + ".bias"), stride, padding, groups=groups)


def batch_norm(W, name, x, eps=1e-5):
    return F.batch_norm(x, W[name + ".running_mean"], W[name + ".running_var"], W[name + ".weight"], W[name + ".bias"], eps=eps)


def layer_norm(W, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], W[name + ".weight"], W[name + ".bias"], eps)


def linear(W, name, x):
    return F.linear(x, W[name + ".weight"], W[name + ".bias"])


def attend(q, k, v, heads, **options):
    parts = [y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v)]
    return F.scaled_dot_product_attention(*parts, **options).transpose(1, 2).flatten(2)


def resnet(counts, convolutions):
    """convolutions of a block: (name, whether it has the stride, padding)"""
    def forward(W, x):
        x = F.relu(batch_norm(W, "bn1", conv(W, "conv1", x, 2, 3)))
        x = F.max_pool2d(x, 3, 2, 1)
        for stage, count in enumerate(counts, 1):
            for i in range(count):
                name, stride, y = f"layer{stage}.{i}.", 2 if stage > 1 and i == 0 else 1, x
                for k, (strided, padding) in enumerate(convolutions, 1):
                    y = batch_norm(W, f"{name}bn{k}", conv(W, f"{name}conv{k}", y, stride if strided else 1, padding))
                    if k < len(convolutions):
                        y = F.relu(y)
                if name + "downsample.0.weight" in W:
                    x = batch_norm(W, name + "downsample.1", conv(W, name + "downsample.0", x, stride))
                x = F.relu(x + y)
        return {"prob": F.softmax(linear(W, "fc", x.mean((2, 3))), -1)}
    x = torch.tensor(rng.randn(2, 3, 40, 33))
    return {"x": x}, forward


def efficientnet():
    def norm_act(W, name, x, stride=1, groups=1, act=F.silu):
        size = W[name + ".conv.weight"].shape[-1]
        return act(batch_norm(W, name + ".norm", conv(W, name + ".conv", x, stride, size // 2, groups), 1e-3))

    def block(W, name, x, stride):
        y, i, none = x, 0, lambda x: x
        if name + ".layers.3.conv.weight" in W:                          # it expands first
            y, i = norm_act(W, name + ".layers.0", y), 1
        y = norm_act(W, f"{name}.layers.{i}", y, stride, y.shape[1])
        s = F.silu(conv(W, f"{name}.layers.{i + 1}.reduce", y.mean((2, 3), keepdim=True)))
        y = y * torch.sigmoid(conv(W, f"{name}.layers.{i + 1}.expand", s))
        y = norm_act(W, f"{name}.layers.{i + 2}", y, act=none)
        return x + y if stride == 1 and x.shape == y.shape else y

    def forward(W, x):
        W = {name.removeprefix("net.").removeprefix("average.average."): w for name, w in W.items()}
        x = norm_act(W, "stem", x, 2)
        strides = [s for n, s in ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)) for s in [s] + [1] * (n - 1)]
        for i, stride in enumerate(strides):
            x = block(W, f"blocks.{i}", x, stride)
        return {"prob": F.softmax(linear(W, "head.3", norm_act(W, "head.0", x).mean((2, 3))), -1)}
    return {"x": torch.tensor(rng.randn(2, 3, 40, 40))}, forward


def vit():
    def forward(W, x):
        x = conv(W, "patch_embed.proj", x, 4).flatten(2).transpose(1, 2)
        x = torch.cat([W["cls_token"].expand(len(x), 1, -1), x], 1) + W["pos_embed"]
        for name in ("blocks.0.", "blocks.1."):
            qkv = linear(W, name + "attn.qkv", layer_norm(W, name + "norm1", x, 1e-6)).chunk(3, -1)
            x = x + linear(W, name + "attn.proj", attend(*qkv, heads=2))
            y = F.gelu(linear(W, name + "mlp.fc1", layer_norm(W, name + "norm2", x, 1e-6)))
            x = x + linear(W, name + "mlp.fc2", y)
        return {"prob": F.softmax(linear(W, "head", layer_norm(W, "norm", x, 1e-6)[:, 0]), -1)}
    return {"x": torch.tensor(rng.randn(2, 3, 8, 8))}, forward


def bert():
    def forward(W, ids, types, mask):
        embed = lambda name, ids: W[f"bert.embeddings.{name}_embeddings.weight"][ids.long()]
        x = embed("word", ids) + embed("position", torch.arange(ids.shape[1])) + embed("token_type", types)
        x = layer_norm(W, "bert.embeddings.LayerNorm", x, 1e-12)
        for name in ("bert.encoder.layer.0.", "bert.encoder.layer.1."):
            qkv = [linear(W, f"{name}attention.self.{part}", x) for part in ("query", "key", "value")]
            y = attend(*qkv, heads=2, attn_mask=mask[:, None, None].expand(-1, 1, ids.shape[1], -1))
            x = layer_norm(W, name + "attention.output.LayerNorm", x + linear(W, name + "attention.output.dense", y), 1e-12)
            y = linear(W, name + "output.dense", F.gelu(linear(W, name + "intermediate.dense", x)))
            x = layer_norm(W, name + "output.LayerNorm", x + y, 1e-12)
        pooled = torch.tanh(linear(W, "bert.pooler.dense", x[:, 0]))
        return {"prob": F.softmax(linear(W, "classifier", pooled), -1)}
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 6:] = False
    return {"ids": torch.tensor(rng.randint(0, 50, (2, 9))), "types": torch.tensor(rng.randint(0, 2, (2, 9))), "mask": mask}, forward


def gpt2():
    def conv1d(W, name, x):
        return x @ W[name + ".weight"] + W[name + ".bias"]

    def forward(W, ids):
        x = W["wte.weight"][ids.long()] + W["wpe.weight"][:ids.shape[1]]
        for name in ("h.0.", "h.1."):
            qkv = conv1d(W, name + "attn.c_attn", layer_norm(W, name + "ln_1", x, 1e-5)).chunk(3, -1)
            x = x + conv1d(W, name + "attn.c_proj", attend(*qkv, heads=2, is_causal=True))
            y = F.gelu(conv1d(W, name + "mlp.c_fc", layer_norm(W, name + "ln_2", x, 1e-5)), approximate="tanh")
            x = x + conv1d(W, name + "mlp.c_proj", y)
        return {"logits": (layer_norm(W, "ln_f", x, 1e-5) @ W["wte.weight"].T)[:, -1]}
    return {"ids": torch.tensor(rng.randint(0, 50, (1, 7)))}, forward


NETWORKS = {"resnet18": resnet([2, 2, 2, 2], [(True, 1), (False, 1)]), "resnet50": resnet([3, 4, 6, 3], [(False, 0), (True, 1), (False, 0)]),
            "efficientnet": efficientnet(), "vit": vit(), "bert": bert(), "gpt2": gpt2()}
os.makedirs(os.path.join(TESTS, "zoo"), exist_ok=True)
for name, (model, options, export) in GOLDENS.items():
    inputs, forward = NETWORKS[name]
    summary = json.loads(dlc("summary", "--json", model_file(model), "--fn", export, *words("--set", options)))
    outputs = forward({path: torch.tensor(w) for path, w in draw_weights(summary).items()}, **inputs)
    small = lambda x: x.to(torch.int32) if x.dtype == torch.int64 else x
    save(os.path.join(TESTS, "zoo", name + ".safetensors"),
         {f"in/{key}": small(x).numpy() for key, x in inputs.items()} | {f"out/{key}": x.numpy() for key, x in outputs.items()})
    print(name, {key: x.flatten()[:4].tolist() for key, x in outputs.items()})
