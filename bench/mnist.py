#!/usr/bin/env python3
"""mnist.py - final test accuracy on MNIST: dlc beside PyTorch, the same network, optimizer and schedule, three seeds each.

usage: mnist.py [--dlc build/dlc] [--epochs 5] [--seeds 3] [--out results.json]     data from $DLC_DATA/mnist

Seeds do not mean the same numbers in the two, so single runs differ; their means must agree within half a point. Needs torch.
"""
import argparse
import gzip
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..")
MNIST = os.path.join(os.environ.get("DLC_DATA", os.path.expanduser("~/.cache/dlc/data")), "mnist")
PARTS = {"train": "train", "test": "t10k"}
BATCH = {"lenet": 64, "mlp": 128}


def path(part, what):
    return os.path.join(MNIST, f"{PARTS[part]}-{what}-idx{3 if what == 'images' else 1}-ubyte.gz")


def dlc_accuracy(dlc, model, seed, epochs, folder):
    x, y = ("images", "labels") if model == "lenet" else ("x", "y")
    scale = "" if model == "lenet" else ",scale=1/255"
    steps = epochs * -(-60000 // BATCH[model])
    options = ["--set", f"steps={steps}"] if model == "lenet" else []
    file = os.path.join(ROOT, "models", model + ".dl")
    out = os.path.join(folder, "w.safetensors")
    train = [dlc, "train", file, *options, f"{x}={path('train', 'images')}{scale}", f"{y}={path('train', 'labels')}", "--epochs", str(epochs), "--batch", str(BATCH[model]),
             "--seed", str(seed), "-q", "-o", out, "--checkpoint", os.path.join(folder, "c.safetensors")]
    subprocess.run(train, check=True)
    text = subprocess.run([dlc, "run", file, *options, "--fn", "evaluate", "--weights", out, f"{x}={path('test', 'images')}{scale}", f"{y}={path('test', 'labels')}"],
                          check=True, capture_output=True, text=True).stdout
    return float(re.search(r"accuracy\S*\s+\S+\s+([0-9.]+)", text).group(1))


def torch_accuracy(torch, np, model, seed, epochs, data):
    nn = torch.nn
    torch.manual_seed(seed)
    if model == "lenet":
        net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
                            nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))
        opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * -(-60000 // BATCH[model]))
        images = {k: ((v[0].float() / 255 - 0.1307) / 0.3081)[:, None] for k, v in data.items()}
    else:
        net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
        groups = [{"params": [p for p in net.parameters() if p.dim() >= 2], "weight_decay": 0.01}, {"params": [p for p in net.parameters() if p.dim() < 2], "weight_decay": 0.0}]
        opt, schedule = torch.optim.AdamW(groups, lr=1e-3), None
        images = {k: v[0].float().flatten(1) / 255 for k, v in data.items()}
    for _ in range(epochs):
        order = torch.randperm(60000)
        for i in range(0, 60000, BATCH[model]):
            k = order[i:i + BATCH[model]]
            loss = nn.functional.cross_entropy(net(images["train"][k]), data["train"][1][k])
            opt.zero_grad()
            loss.backward()
            if model == "mlp":
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            if schedule:
                schedule.step()
    with torch.no_grad():
        return float((net(images["test"]).argmax(1) == data["test"][1]).float().mean())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dlc", default=os.path.join(ROOT, "build", "dlc"))
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--out")
    a = p.parse_args()
    import numpy as np
    import torch
    torch.set_num_threads(2)
    data = {}
    for part in PARTS:
        x = np.frombuffer(gzip.open(path(part, "images")).read(), np.uint8, offset=16).reshape(-1, 28, 28)
        y = np.frombuffer(gzip.open(path(part, "labels")).read(), np.uint8, offset=8)
        data[part] = (torch.from_numpy(x.copy()), torch.from_numpy(y.astype(np.int64)))
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in BATCH:
            ours = [dlc_accuracy(a.dlc, model, s + 1, a.epochs, folder) for s in range(a.seeds)]
            theirs = [torch_accuracy(torch, np, model, s + 1, a.epochs, data) for s in range(a.seeds)]
            rows[model] = {"dlc": ours, "PyTorch": theirs}
            print(f"{model}: {a.epochs} epochs, test accuracy: dlc {statistics.mean(ours):.4f} {ours}, PyTorch {statistics.mean(theirs):.4f} {theirs}", flush=True)
    if a.out:
        with open(a.out, "w") as f:
            json.dump({"date": time.strftime("%Y-%m-%d"), "torch": torch.__version__, "epochs": a.epochs, "test_accuracy": rows}, f, indent=1)
    worst = max(abs(statistics.mean(r["dlc"]) - statistics.mean(r["PyTorch"])) for r in rows.values())
    print(f"largest difference of the means: {100 * worst:.2f} points")
    raise SystemExit(worst > 0.005)


if __name__ == "__main__":
    main()
