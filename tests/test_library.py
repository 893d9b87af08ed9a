#!/usr/bin/env python3
"""test_library.py - the standard library against PyTorch: every function of tests/library/*.dl, compiled in double, gives
the values and gradients that tests/py/make_goldens.py found, and 200 steps of training the same losses. Initial values
and random draws have the range and spread that they should have.

usage: test_library.py [FAMILY]...      default: all
DLC: the command (default build/dlc).
"""
import ctypes
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(TESTS, "py"), os.path.join(TESTS, "..", "models", "data")]
import curve_data
from tensorfile import load, save

DLC = os.path.abspath(os.environ.get("DLC", os.path.join(TESTS, "..", "build", "dlc")))
RTOL = {"curves": 1e-9}
EVALUATED = {"recurrent"}        # loops are not compiled yet
failed = False


def report(name, why=None):
    global failed
    failed |= why is not None
    print(f"ok {name}" if why is None else f"not ok {name}: {why}", flush=True)


class Artefact:
    """A compiled family, with one instance; functions whose sizes are all numbers."""

    def __init__(self, family, folder, options=("--f32-as=f64",)):
        self.name = family
        out = os.path.join(folder, f"{family}{''.join(options)}.so")
        command = [DLC, os.path.join(TESTS, "library", family + ".dl"), "-o", out, "--name", family, "--quiet", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode or done.stdout:
            raise RuntimeError(f"dlc: exit code {done.returncode}\n{done.stdout}")
        with open(out[:-2] + "h") as f:
            header = f.read()
        self.arguments = {name: [(not const, kind, arg) for const, kind, arg in re.findall(r"(const )?(\w+) \*(\w+)", text)]
                          for name, text in re.findall(rf"^int {family}_(\w+)\({family} \*m(.*?)\);", header, re.M | re.S)}
        self.lib = ctypes.CDLL(out)
        self.function("create").restype = ctypes.c_void_p
        self.function("error").restype = ctypes.c_char_p
        self.m = ctypes.c_void_p(self.function("create")(None))

    def function(self, name):
        return getattr(self.lib, f"{self.name}_{name}")

    def check(self, status):
        if status:
            raise RuntimeError(self.function("error")(self.m).decode())

    def load(self, path):
        self.check(self.function("load")(self.m, path.encode()))

    def call(self, name, inputs, shapes):
        """The results, as {name: array}, of shapes {name: shape}."""
        types = {"double": np.float64, "float": np.float32, "int32_t": np.int32}
        results, pointers = {}, []
        for is_result, kind, arg in self.arguments[name]:
            if is_result:
                x = results[arg] = np.full(shapes[arg], -1, types[kind])
            else:
                x = inputs[arg] = np.ascontiguousarray(inputs[arg], types[kind])
            pointers.append(ctypes.c_void_p(x.ctypes.data))
        self.check(self.function(name)(self.m, *pointers))
        return results


class Evaluated:
    """A family that is not compiled yet, by the evaluator; the same interface."""

    def __init__(self, family, folder):
        self.source, self.folder, self.weights = os.path.join(TESTS, "library", family + ".dl"), folder, []
        with open(self.source) as f:
            self.arguments = dict.fromkeys(re.findall(r"^export fn (\w+)", f.read(), re.M))

    def load(self, path):
        self.weights = ["--weights", path]

    def call(self, name, inputs, shapes):
        data, out = os.path.join(self.folder, "in.safetensors"), os.path.join(self.folder, "out.safetensors")
        save(data, inputs)
        command = [DLC, "run", "--eval", "--f32-as=f64", self.source, "--fn", name, *self.weights, "-o", out, *(f"{a}={data}:{a}" for a in inputs)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"dlc: exit code {done.returncode}\n{done.stdout}")
        return load(out)


def difference(got, want, rtol):
    """None, or what is wrong. Relative to the largest magnitude of the tensor: sums cancel."""
    finite = np.isfinite(want)
    scale = max(1e-3, float(np.max(np.abs(want), initial=0, where=finite)))
    with np.errstate(invalid="ignore"):
        far = np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0, np.abs(got - want))
    if np.all(far <= rtol * scale):
        return None
    at = np.unravel_index(np.nanargmax(np.where(np.isnan(far), np.inf, far)), far.shape)
    return f"{list(map(int, at))} is {got[at]!r}, PyTorch says {want[at]!r}"


def test_case(artefact, golden, name, rtol):
    inputs = {k.split("/")[2]: v for k, v in golden.items() if k.startswith(f"in/{name}/")}
    wanted = {k.split("/")[2]: v for k, v in golden.items() if k.startswith(f"out/{name}/")}
    count = f"count/{name}" in golden
    for k in range(int(golden[f"count/{name}"]) if count else 1):
        part = (lambda x: x[k]) if count else (lambda x: x)
        results = artefact.call("test_" + name, {a: part(x) for a, x in inputs.items()}, {a: part(x).shape for a, x in wanted.items()})
        if set(results) != set(wanted):
            return f"results {sorted(results)}, goldens for {sorted(wanted)}"
        for a, want in wanted.items():
            why = difference(results[a], part(want), rtol)
            if why:
                return f"{a}{f' of call {k + 1}' if count else ''} {why}"
    return None


def test_curve(artefact, golden, name):
    model = name.split("_")[0]
    want = golden[f"out/{name}/loss"]
    for k, (x, y) in enumerate(curve_data.batches(model)):
        loss = artefact.call("test_" + name, {"x": x, "y": y}, {"loss": ()})["loss"]
        if not abs(loss - want[k]) <= RTOL["curves"] * abs(want[k]):
            return f"the loss of step {k + 1} is {loss!r}, PyTorch says {want[k]!r}"
    return None


def curve_weights():
    return {f"{model}_{opt}.{key}": x for model in curve_data.PARAMS for key, x in curve_data.weights(model).items()
            for opt in ("sgd", "adam", "adamw", "rmsprop")}


def test_family(family, folder):
    golden = load(os.path.join(TESTS, "library", family + ".safetensors"))
    artefact = (Evaluated if family in EVALUATED else Artefact)(family, folder)
    weights = {k: v for k, v in golden.items() if not re.match("in/|out/|count/", k)}
    if family == "curves":
        weights.update(curve_weights())
    if weights:
        path = os.path.join(folder, family + ".safetensors")
        save(path, weights)
        artefact.load(path)
    names = {k.split("/")[1] for k in golden if k.startswith("out/")}
    for name in sorted(n[len("test_"):] for n in artefact.arguments if n.startswith("test_")):
        if name not in names:
            report(f"{family} {name}", "no golden")
            continue
        if family == "curves":
            report(f"{family} {name}", test_curve(artefact, golden, name))
        else:
            report(f"{family} {name}", test_case(artefact, golden, name, 1e-10))
    for name in sorted(names):
        if "test_" + name not in artefact.arguments:
            report(f"{family} {name}", "no such export")
    if family == "curves":
        test_single(folder, path)
    if family == "optimizers":
        report("optimizers rate set by the host", test_rate(artefact))


def test_rate(artefact):
    """Of rate 0 nothing moves; of twice the rate, twice as far."""
    moves, ga, gb = [], np.ones((4, 3)), np.ones(3)
    shapes = {"a": (4, 3), "b": (3,)}
    at = artefact.call("test_host_rate", {"ga": ga, "gb": gb}, shapes)["a"]
    for rate in (0.0, 0.25, 0.5):
        value = np.array(rate)
        artefact.check(artefact.function("set")(artefact.m, b"host.rate", ctypes.c_void_p(value.ctypes.data), ctypes.c_size_t(8)))
        now = artefact.call("test_host_rate", {"ga": ga, "gb": gb}, shapes)["a"]
        moves.append(at - now)
        at = now
    return None if all(np.allclose(m, rate) for m, rate in zip(moves, (0, 0.25, 0.5))) else f"moved by {[float(m[0, 0]) for m in moves]}"


def test_single(folder, path):
    """In f32 the first step's loss and gradients are those of f64 within 1e-5, by their norm."""
    single = load(path)
    path = os.path.join(folder, "single.safetensors")
    save(path, {k: v.astype(np.float32) for k, v in single.items()})
    results = []
    for options in ("--f32-as=f64",), ():
        artefact = Artefact("curves", folder, options)
        artefact.load(path if not options else os.path.join(folder, "curves.safetensors"))
        for model in curve_data.PARAMS:
            x, y = next(curve_data.batches(model))
            size = sum(int(np.prod(s)) for s in curve_data.PARAMS[model].values())
            results.append(artefact.call(model + "_gradient", {"x": x, "y": y}, {"loss": (), "dp": (size,)}))
    for model, exact, rounded in zip(curve_data.PARAMS, results[:2], results[2:]):
        loss = abs(rounded["loss"] / exact["loss"] - 1)
        gradient = np.linalg.norm(rounded["dp"] - exact["dp"]) / np.linalg.norm(exact["dp"])
        report(f"curves {model} in f32", None if loss < 1e-5 and gradient < 1e-5 else f"loss off by {loss:.2g}, gradient by {gradient:.2g}")


# ---- initial values and draws ----------------------------------------------------------------------------------

def spread(x, std, mean=0.0):
    return abs(x.std() / std - 1) < 0.02 and abs(x.mean() - mean) < 0.02 * std


def within(x, bound):
    return np.max(np.abs(x)) <= bound and np.max(np.abs(x)) > 0.98 * bound and spread(x, bound / np.sqrt(3))


def test_initial(folder):
    a = Artefact("initial", folder)
    shapes = {"square": (64, 64), "wide": (16, 36), "tall": (70, 20), "truncated": (60000,)}
    for kind in ("xavier", "lecun"):
        shapes[kind + "_uniform_"] = shapes[kind + "_normal_"] = (60000,)
    shapes["kaiming_uniform_"] = shapes["kaiming_normal_"] = shapes["kaiming_out"] = (75000,)
    v = a.call("test_values", {}, shapes)
    ok = lambda name, value: report("initial " + name, None if value else "not as it should be")
    ok("xavier_uniform", within(v["xavier_uniform_"], np.sqrt(6 / 500)))
    ok("xavier_normal", spread(v["xavier_normal_"], np.sqrt(2 / 500)))
    ok("kaiming_uniform", within(v["kaiming_uniform_"], np.sqrt(6 / 750)))
    ok("kaiming_normal", spread(v["kaiming_normal_"], np.sqrt(2 / 750)))
    ok("kaiming_normal by outputs", spread(v["kaiming_out"], np.sqrt(1 / 2500)))
    ok("lecun_uniform", within(v["lecun_uniform_"], np.sqrt(3 / 300)))
    ok("lecun_normal", spread(v["lecun_normal_"], np.sqrt(1 / 300)))
    # Of a normal distribution cut at 2 std the spread is 0.8796 of it; a quarter lies beyond 1.0939 of it (0.2742 beyond 1).
    t = (v["truncated"] - 1) / 0.5
    ok("truncated_normal", np.max(np.abs(t)) <= 2 and spread(t, 0.87962) and abs(np.mean(np.abs(t) > 1) - 0.28475) < 0.01)
    for name, gain in (("square", 1), ("wide", 2), ("tall", 1)):
        x = v[name] / gain
        gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
        ok("orthogonal " + name, np.max(np.abs(gram - np.eye(len(gram)))) < 1e-6)


def test_random(folder):
    a = Artefact("random", folder)
    shapes = {"order": (1000,), "shuffled": (100, 2), "exponential_": (20000,), "gumbel_": (20000,), "soft": (2000, 4), "hard": (2000, 4),
              "signs": (20000,)}
    x = np.arange(200.0).reshape(100, 2)
    first, second = (a.call("test_draws", {"x": x}, shapes) for _ in range(2))
    ok = lambda name, value: report("random " + name, None if value else "not as it should be")
    ok("permutation", sorted(first["order"]) == list(range(1000)) and (first["order"] != second["order"]).any())
    ok("shuffle", np.array_equal(np.sort(first["shuffled"], axis=0), x) and not np.array_equal(first["shuffled"], x)
       and (first["shuffled"][:, 1] - first["shuffled"][:, 0] == 1).all())
    e = first["exponential_"]
    ok("exponential", e.min() >= 0 and abs(e.mean() - 0.5) < 0.02 and abs(e.std() - 0.5) < 0.03)
    g = first["gumbel_"]
    ok("gumbel", abs(g.mean() - 0.5772) < 0.05 and abs(g.std() - np.pi / np.sqrt(6)) < 0.05)
    share = np.exp([0, 1, 2, 0]) / np.exp([0, 1, 2, 0]).sum()
    ok("gumbel_softmax", np.allclose(first["soft"].sum(1), 1) and np.all(np.abs(np.bincount(first["soft"].argmax(1), minlength=4) / 2000 - share) < 0.05))
    ok("gumbel_softmax hard", set(np.unique(np.round(first["hard"], 12))) == {0, 1} and np.allclose(first["hard"].sum(1), 1))
    ok("rademacher", set(np.unique(first["signs"])) == {-1, 1} and abs(first["signs"].mean()) < 0.03)

    shapes = {"y": (4, 8, 50, 25), "channels": (40, 50, 3, 2), "samples": (400, 5, 2), "dx": (4, 8, 50, 25)}
    d = a.call("test_dropout", {}, shapes)
    kept = d["y"] != 0
    ok("Dropout", abs(kept.mean() - 0.7) < 0.01 and np.allclose(d["y"][kept], 1 / 0.7) and np.array_equal(d["dx"], d["y"]))
    for name, part, rate in (("Dropout2d", d["channels"].reshape(2000, 6), 0.5), ("DropPath", d["samples"].reshape(400, 10), 0.25)):
        whole = part[:, 0] != 0
        ok(name, (part == part[:, :1]).all() and abs(whole.mean() - (1 - rate)) < 0.06 and np.allclose(part[whole], 1 / (1 - rate)))


FAMILIES = ["activations", "layers", "attention", "losses", "metrics", "optimizers", "schedules", "curves", "recurrent", "initial", "random"]
for family in sys.argv[1:] or FAMILIES:
    with tempfile.TemporaryDirectory() as folder:
        try:
            special = {"initial": test_initial, "random": test_random}.get(family)
            special(folder) if special else test_family(family, folder)
        except RuntimeError as error:
            first, _, rest = str(error).partition("\n")
            report(family, first)
            print("\n".join("# " + line for line in rest.splitlines()[:20]))
sys.exit(failed)
