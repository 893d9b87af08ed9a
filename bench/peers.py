#!/usr/bin/env python3
"""peers.py - one step of training by dlc, PyTorch and torch.compile, in turns on the same cores from the same weights.

usage: peers.py [--dlc build/driver/dlc] [--threads 2] [--rounds 7] [--seconds 1] [--out results.json] [WORKLOAD...]
workloads: lenet_b64 (SGD with momentum), mlp_adam_b128, mlp_sgd_b128

Every system starts from PyTorch's weights and sees the same batch; the losses of the first five steps must agree to 1e-3
before anything is timed. A round gives each system `seconds` of calls, in turns; its figure is the median call, and what is
reported is the median over the rounds, with the ratio to dlc of the same round. Needs torch (pip install torch); without
g++ torch.compile is left out. Call overhead counts for all: ctypes for dlc, Python for the others.
"""
import argparse
import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "models", "data"))
WORKLOADS = {"lenet_b64": ("lenet_step", [], 64), "mlp_adam_b128": ("mlp_step", [], 128), "mlp_sgd_b128": ("mlp_step", ["--set", "adam=false"], 128)}


def torch_net(torch, name):
    nn = torch.nn

    class LeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
            self.f1, self.f2, self.f3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

        def forward(self, x):
            pool, relu = nn.functional.max_pool2d, nn.functional.relu
            x = pool(relu(self.c2(pool(relu(self.c1(x)), 2))), 2).flatten(1)
            return self.f3(relu(self.f2(relu(self.f1(x)))))

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.f1, self.f2, self.f3 = nn.Linear(784, 512), nn.Linear(512, 512), nn.Linear(512, 10)

        def forward(self, x):
            relu = nn.functional.relu
            return self.f3(relu(self.f2(relu(self.f1(x)))))

    return LeNet() if name.startswith("lenet") else MLP()


def optimizer(torch, name, net):
    return torch.optim.Adam(net.parameters(), lr=1e-3) if "adam" in name else torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)


def torch_step(torch, name, state, x, y, compiled, channels_last=False):
    net = torch_net(torch, name)
    net.load_state_dict(state)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    y = y.long()
    opt = optimizer(torch, name, net)
    loss_of = torch.nn.functional.cross_entropy
    forward = torch.compile(lambda: loss_of(net(x), y)) if compiled else lambda: loss_of(net(x), y)

    def step():
        opt.zero_grad(set_to_none=True)
        loss = forward()
        loss.backward()
        opt.step()
        return loss

    return step, lambda: float(step())


def dlc_step(dlc, name, weights, x, y, threads, folder):
    model, options, _ = WORKLOADS[name]
    so = os.path.join(folder, name + ".so")
    subprocess.run([dlc, os.path.join(HERE, "models", model + ".dl"), *options, "--name", "m", "-o", so], check=True, stdout=subprocess.DEVNULL)
    lib = ctypes.CDLL(so)
    lib.m_create.restype = ctypes.c_void_p
    lib.m_error.restype = ctypes.c_char_p
    for f in ("m_load", "m_error", "m_step"):
        getattr(lib, f).argtypes = None

    class Options(ctypes.Structure):    # dlc_options of the header
        _fields_ = [("size", ctypes.c_size_t), ("threads", ctypes.c_int), ("fixed", ctypes.c_int), ("map", ctypes.c_int), ("seed", ctypes.c_uint64),
                    ("max_iterations", ctypes.c_int64), ("pool", ctypes.c_void_p), ("allocate", ctypes.c_void_p), ("release", ctypes.c_void_p),
                    ("allocate_user", ctypes.c_void_p)]

    options = Options(size=ctypes.sizeof(Options), threads=threads)
    m = ctypes.c_void_p(lib.m_create(ctypes.byref(options)))
    loss = ctypes.c_float()
    args = (m, ctypes.c_int64(len(x)), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), ctypes.byref(loss))
    if not m or lib.m_load(m, weights.encode()):
        raise SystemExit(lib.m_error(m).decode())

    def step():
        if lib.m_step(*args):
            raise SystemExit(lib.m_error(m).decode())
        return loss.value

    return step, step


def timed(step, seconds):
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end or len(times) < 10:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def run(torch, np, name, a, folder):
    from tensorfile import save
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    batch = WORKLOADS[name][2]
    x = rng.random((batch, 1, 28, 28) if name.startswith("lenet") else (batch, 784), dtype=np.float32)
    y = rng.integers(0, 10, batch, dtype=np.int32)
    state = torch_net(torch, name).state_dict()
    weights = os.path.join(folder, name + ".safetensors")
    save(weights, {k: v.numpy() for k, v in state.items()})
    systems = {"dlc": dlc_step(a.dlc, name, weights, x, y, a.threads, folder), "PyTorch": torch_step(torch, name, state, x, y, False)}
    if name.startswith("lenet"):
        systems["PyTorch channels-last"] = torch_step(torch, name, state, x, y, False, True)
    systems["torch.compile"] = torch_step(torch, name, state, x, y, True)
    losses = {}
    for system in list(systems):
        try:
            losses[system] = [systems[system][1]() for _ in range(5)]
        except Exception as e:          # torch.compile without a compiler
            print(f"{system} is left out: {type(e).__name__}", file=sys.stderr)
            del systems[system]
            continue
        if any(abs(p - q) > 1e-3 * abs(q) for p, q in zip(losses[system], losses["dlc"])):
            raise SystemExit(f"{name}: the losses of {system} and dlc differ: {losses[system]} {losses['dlc']}")
        timed(systems[system][0], 0.5)
    rounds = {system: [] for system in systems}
    for _ in range(a.rounds):
        for system in systems:
            rounds[system].append(timed(systems[system][0], a.seconds))
    rows = []
    for system in systems:
        ratio = statistics.median(t / d for t, d in zip(rounds[system], rounds["dlc"]))
        rows.append({"workload": name, "system": system, "ms": 1e3 * statistics.median(rounds[system]), "to_dlc": ratio})
        print(f"{name:14} {system:22} {rows[-1]['ms']:8.3f} ms   {ratio:5.2f} x dlc's time", flush=True)
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workload", nargs="*", choices=[*WORKLOADS, []], default=[])
    p.add_argument("--dlc", default=os.path.join(HERE, "..", "build", "dlc"))
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--out")
    a = p.parse_args()
    try:
        import numpy as np
        import torch
    except ImportError as e:
        raise SystemExit(f"{e}; pip install torch numpy")
    torch.set_num_threads(a.threads)
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    print(f"{cpu}, {a.threads} threads, PyTorch {torch.__version__}; median of {a.rounds} rounds in turns")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in a.workload or WORKLOADS:
            rows += run(torch, np, name, a, folder)
    if a.out:
        with open(a.out, "w") as f:
            json.dump({"cpu": cpu, "threads": a.threads, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d"), "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
