#!/usr/bin/env python3
"""test_zoo.py - the models of models/: each has the number of parameters that its first comment says, and the published one
where there is one; at a small size compiled code gives what the evaluator gives: results, and the params after a step of
training; with the same weights some give what PyTorch gives (tests/py/make_zoo_goldens.py).

usage: test_zoo.py [MODEL]...      default: all
DLC: the command (default build/dlc).
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np

TESTS = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(TESTS, "..", "models")
sys.path[:0] = [os.path.join(TESTS, "py"), os.path.join(MODELS, "data")]
from random_inputs import tensors
from tensorfile import load, save
from zoo_weights import draw_weights

DLC = os.path.abspath(os.environ.get("DLC", os.path.join(TESTS, "..", "build", "dlc")))

# Beside the numbers in the models' comments: MODEL, options, its published number of parameters.
PUBLISHED = [
    ("alexnet", "", 61_100_840), ("vgg", "", 138_357_544), ("vgg", "depth=11", 132_863_336), ("vgg", "depth=19", 143_667_240),
    ("resnet", "", 11_689_512), ("resnet", "depth=50", 25_557_032), ("efficientnet", "", 5_288_548), ("efficientnet", "variant=1", 7_794_184),
    ("vit", "", 86_567_656), ("clip", "", 151_277_313), ("gpt2", "", 124_439_808), ("dqn", "", 1_693_362), ("ssd", "", 26_285_486),
    ("ddpm", "", 35_746_307), ("ddpm", "channels=1 size=28 levels=3 base=24 groups=8", 915_169),
]
# Of a part: MODEL, the start of the params' names, how many numbers.
PARTS = [("bert", "bert.", 109_482_240), ("style", "net.", 1_679_235), ("lora", "lora.", 294_912), ("dcgan", "G.", 3_576_704),
         ("dcgan", "D.", 2_765_568), ("distill", "teacher.", 2_395_210), ("distill", "student.", 25_450), ("simclr", "probe.", 1_290)]

# MODEL, a training step, what it trains, its inputs (as tests/py/random_inputs.py takes them), the model's size.
IMAGES = "x:f32:3x3x32x32 y:i32:3:0:5"
TEXTS = "ids:i32:2x9:0:50 types:i32:2x9:0:2 mask:bool:2x9"
BERT = "dim=16 heads=2 layers=2 vocab=50 context=16"
GRAPH = "atoms:f32:6x4 bonds:f32:8x3 source:i32:8:0:6 target:i32:8:0:6 molecule:i32:6:0:2"
EPISODE = "support:f32:3x2x1x16x16 query:f32:4x1x16x16"
STEPS = [
    ("alexnet", "step", "net", "x:f32:2x3x63x67 y:i32:2:0:5", "width=4 hidden=16 classes=5"),
    ("vgg", "step", "net", IMAGES, "width=2 hidden=8 classes=5 size=32 depth=11"),
    ("resnet", "step", "net", IMAGES, "width=2 classes=5"),
    ("resnet", "step", "net", IMAGES, "width=2 classes=5 depth=50"),
    ("efficientnet", "step", "net", IMAGES, "width=0.1 size=32 classes=5"),
    ("unet", "step", "net", "x:f32:2x1x8x12 mask:i32:2x8x12:0:2", "width=2 levels=2"),
    ("ssd", "step", "net", "x:f32:1x3x300x300 boxes:f32:1x2x4:0:1 kinds:i32:1x2:0:3", "width=1 classes=3"),
    ("style", "step", "net", "x:f32:1x3x16x16:0:1 style:f32:1x3x20x20:0:1", "vgg.width=2 vgg.hidden=8 dim=2"),
    ("bert", "pretrain", "pretraining.net", TEXTS + " follows:i32:2:0:2", BERT + " mask_token=3"),
    ("bert", "step", "tuning.net", TEXTS + " labels:i32:2:0:2", BERT),
    ("bert", "answer_step", "span_tuning.net", TEXTS + " first:i32:2:0:9 last:i32:2:0:9", BERT),
    ("gpt2", "step", "net", "ids:i32:2x7:0:50 targets:i32:2x7:-1:50", "dim=16 heads=2 layers=2 vocab=50 context=16"),
    ("lora", "step", "net", "ids:i32:2x7:0:50 targets:i32:2x7:-1:50", "gpt2.dim=16 gpt2.heads=2 gpt2.layers=2 gpt2.vocab=50 gpt2.context=16 rank=2"),
    ("llama", "step", "net", "ids:i32:2x7:0:50 targets:i32:2x7:0:50", "dim=16 hidden=24 heads=4 kv_heads=2 layers=2 vocab=50"),
    ("vit", "step", "net", "x:f32:2x1x8x8 y:i32:2:0:5", "size=8 patch=4 dim=16 layers=2 heads=2 channels=1 classes=5"),
    ("clip", "step", "net", "image:f32:3x3x8x8 ids:i32:3x6:0:50",
     "dim=8 size=8 patch=4 image_dim=16 image_layers=1 image_heads=2 text_dim=12 text_layers=1 text_heads=2 vocab=50 context=8"),
    ("dcgan", "step", "[G, D]", "x:f32:2x1x16x16", "channels=1 dim=2 latent=4 levels=2"),
    ("wgan_gp", "step", "[G, D]", "x:f32:10x1x28x28", "dim=2 latent=4"),
    ("vae", "step", "net", "x:f32:3x20:0:1", "pixels=20 hidden=8 latent=4"),
    ("ddpm", "step", "net", "x:f32:2x1x8x8", "channels=1 size=8 levels=3 base=4 groups=2 steps=10"),
    ("dqn", "step", "q", "before:u8:2x4x84x84:0:256 action:i32:2:0:3 reward:f32:2 after:u8:2x4x84x84:0:256 done:bool:2", "width=2 hidden=8 actions=3 renewal=1"),
    ("reinforce", "step", "net", "x:f32:9x4 action:i32:9:0:2 reward:f32:9:0:1", ""),
    ("ppo", "step", "net", "x:f32:6x4 action:i32:6:0:2 old:f32:6:-1:0 advantage:f32:6 goal:f32:6", ""),
    ("simclr", "step", "[encoder, head]", "x:f32:4x1x16x16", "size=16 dim=16"),
    ("simclr", "probe_step", "probe", "x:f32:4x1x16x16 y:i32:4:0:10", "size=16 dim=16"),
    ("protonet", "step", "encoder", EPISODE + " y:i32:4:0:3", "size=16 dim=4"),
    ("triplet", "step", "net", "x:f32:6x1x16x16 label:i32:6:0:2", "size=16 width=4 dim=8"),
    ("factorisation", "step", "net", "user:i32:6:0:5 item:i32:6:0:12 rating:f32:6:1:5", "users=5 items=12 dim=4"),
    ("two_tower", "step", "net", "user:i32:4:0:5 history:i32:4x3:0:12 id:i32:4:0:12 kind:f32:4x3 share:f32:4:0.1:0.5", "users=5 items=12 kinds=3 dim=4"),
    ("nbeats", "step", "net", "x:f32:3x36:1:2 y:f32:3x12:1:2", "width=8 blocks=2"),
    ("gnn", "step", "net", GRAPH + " y:f32:2x3", "atom=4 bond=3 dim=6 targets=3"),
    ("distill", "teach", "teacher", "x:f32:4x20 y:i32:4:0:5", "inputs=20 teacher_width=12 student_width=6 classes=5"),
    ("distill", "step", "student", "x:f32:4x20 y:i32:4:0:5", "inputs=20 teacher_width=12 student_width=6 classes=5"),
    ("perceptron", "step", "net", "x:f32:9x4 y:i32:9:0:2", ""),
    ("mlp", "step", "net", "x:f32:5x20 y:i32:5:0:10", "features=20 hidden=12"),
    ("regression", "step", "net", "x:f32:5x13 y:f32:5", "hidden=12"),
    ("lenet", "step", "net", "images:u8:3x28x28:0:256 labels:i32:3:0:10", ""),
]
# MODEL, an export, its inputs, the model's size, dims.
CALLS = [
    ("alexnet", "classify", "x:f32:1x3x127x100", "width=4 hidden=16 classes=5", ""),
    ("resnet", "classify", "x:f32:2x3x33x47", "", ""),
    ("efficientnet", "classify", "x:f32:2x3x32x32", "size=32 width=0.5", ""),
    ("unet", "segment", "x:f32:1x1x16x24", "width=4 levels=3", ""),
    ("style", "paint", "x:f32:1x3x20x16:0:1", "dim=4", ""),
    ("bert", "classify", TEXTS, BERT, ""),
    ("bert", "answer", TEXTS, BERT, ""),
    ("gpt2", "evaluate", "ids:i32:2x7:0:50 targets:i32:2x7:0:50", "vocab=50 layers=1 context=16", ""),
    ("gpt2", "append", "ids:i32:1x7:0:50", "vocab=50 dim=16 heads=2 layers=2 context=16", ""),
    ("clip", "classify", "image:f32:3x3x8x8 ids:i32:5x6:0:50",
     "dim=8 size=8 patch=4 image_dim=16 image_layers=1 image_heads=2 text_dim=12 text_layers=1 text_heads=2 vocab=50 context=8", ""),
    ("dcgan", "sample", "", "channels=1 dim=4 latent=8 levels=3", "N=2"),
    ("wgan_gp", "sample", "", "dim=4 latent=8", "N=2"),
    ("vae", "decode", "z:f32:5x20", "", ""),
    ("ddpm", "denoise", "x:f32:2x1x8x8 t:i32::5:6", "channels=1 size=8 levels=3 base=8 groups=2 steps=10", ""),
    ("dqn", "act", "frames:u8:2x4x84x84:0:256 epsilon:f32::0.4:0.6", "width=4 hidden=8 actions=3", ""),
    ("protonet", "classify", EPISODE, "size=16 dim=8", ""),
    ("triplet", "embed", "x:f32:6x1x28x28", "", ""),
    ("factorisation", "recommend", "user:i32:6:0:943", "", ""),
    ("two_tower", "recommend", "user:i32:4:0:943 history:i32:4x3:0:12 kind:f32:20x19", "", ""),
    ("nbeats", "forecast", "x:f32:3x36", "", ""),
    ("gnn", "predict", GRAPH, "atom=4 bond=3 targets=3", "G=2"),
]
# MODEL, its size, an export and its result that is compared with PyTorch's: tests/zoo/NAME.safetensors.
GOLDENS = {
    "resnet18": ("resnet", "width=4 classes=5", "classify"),
    "resnet50": ("resnet", "width=2 classes=5 depth=50", "classify"),
    "efficientnet": ("efficientnet", "width=0.2 size=40 classes=5", "classify"),
    "vit": ("vit", "size=8 patch=4 dim=16 layers=2 heads=2 classes=5", "classify"),
    "bert": ("bert", BERT, "classify"),
    "gpt2": ("gpt2", "dim=16 heads=2 layers=2 vocab=50 context=16", "append"),
}

failed = False


def report(name, why=None):
    global failed
    failed |= why is not None
    first, _, rest = (why or "").partition("\n")
    print(f"ok {name}" if why is None else f"not ok {name}: {first}", flush=True)
    print("\n".join("# " + line for line in rest.splitlines()[:20]), end="\n" if rest else "")


def words(option, text):
    return [part for word in text.split() for part in (option, word)]


def dlc(*arguments):
    """What it prints; RuntimeError where it fails."""
    done = subprocess.run([DLC, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"dlc {arguments[0]}: exit code {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout


def model_file(name):
    return os.path.join(MODELS, name + ".dl")


# ---- parameters ---------------------------------------------------------------------------------------------

def params(model, options=""):
    """{path: count}"""
    summary = json.loads(dlc("summary", "--json", model_file(model), *words("--set", options)))
    return {p["path"]: p["count"] for p in summary["params"] if not p["state"]}


def check_comment(model):
    with open(model_file(model)) as f:
        comment = re.match(r"dl 1\n((#.*\n)*)", f.read()).group(1)
    text = f"{sum(params(model).values()):,} parameters"
    said = " ".join(comment.replace("#", " ").split())
    return None if re.search(rf"(?<![\d,]){text}", said) else f"the comment does not say `{text}`"


def check_gallery(model):
    with open(os.path.join(TESTS, "..", "docs", "gallery.md")) as f:
        row = f"| [{model}.dl](../models/{model}.dl) | {sum(params(model).values()):,} |"
        return None if row in f.read() else f"no row `{row}` in docs/gallery.md"


def check_count(model, options, count):
    n = sum(params(model, options).values())
    return None if n == count else f"{n:,}"


def check_part(model, start, count):
    n = sum(size for path, size in params(model).items() if path.startswith(start))
    return None if n == count else f"{n:,}"


# ---- compiled code and the evaluator ------------------------------------------------------------------------

def differences(got, want, tolerance):
    """None, or what is wrong. Relative to the largest magnitude of the tensor: sums cancel."""
    if set(got) != set(want):
        return f"results {sorted(got)} instead of {sorted(want)}"
    for name in want:
        a, b = got[name], want[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name}: {a.dtype}{list(a.shape)} instead of {b.dtype}{list(b.shape)}"
        a, b = np.atleast_1d(a).astype(np.float64), np.atleast_1d(b).astype(np.float64)
        if not np.all(np.isfinite(b)):
            return f"{name} is not finite"
        far = np.abs(a - b)
        if not np.all(far <= tolerance * max(1e-3, np.max(np.abs(b), initial=0))):
            at = np.unravel_index(np.argmax(np.where(np.isnan(far), np.inf, far)), far.shape)
            return f"{name} at {list(map(int, at))}: {a[at]!r} instead of {b[at]!r}"
    return None


def call(folder, path, export, inputs, options, how=(), weights=None):
    """The results, as {name: array}."""
    source, out = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
    save(source, inputs)
    dlc("run", path, "--fn", export, *options, *how, *(["--weights", weights] if weights else []),
        *[f"{name}={source}:{name}" for name in inputs], "-o", out)
    return load(out)


def stepped(folder, model, step, tree):
    """A copy of the model, with a weighted sum over the params of `tree` after a step as one more result."""
    for path in glob.glob(os.path.join(MODELS, "*.dl")):
        shutil.copy(path, folder)
    path = os.path.join(folder, model + ".dl")
    with open(path) as f:
        text = f.read()
    arguments, results, facts = re.search(rf"^export train fn {step}\((.*?)\) -> \((.*?)\)(.*) \{{$", text, re.M).groups()
    names = re.findall(r"(\w+): ", arguments)
    values = [f"_{name}" for name in re.findall(r"(\w+): ", results)]
    with open(path, "a") as f:
        f.write(f"\nexport train fn stepped({arguments}) -> ({results}, moved: f32){facts} {{\n"
                f"    {', '.join(values)} = {step}({', '.join(names)})\n"
                f"    moved = sum([(i + 1) * mean(abs(p)) for i, p in enumerate(leaves(params({tree})))])\n"
                f"    return {', '.join(values)}, moved\n}}\n")
    return path


def check_step(folder, model, step, tree, inputs, options):
    path, double = stepped(folder, model, step, tree), ("--f32-as=f64",)
    arguments = (folder, path, "stepped", tensors(inputs.split()), words("--set", options))
    return differences(call(*arguments, double), call(*arguments, (*double, "--eval")), 1e-9)


def check_call(folder, model, export, inputs, options, dims):
    arguments = (folder, model_file(model), export, tensors(inputs.split()), words("--set", options) + words("--dim", dims))
    return differences(call(*arguments), call(*arguments, ("--eval",)), 1e-4)


# ---- PyTorch ------------------------------------------------------------------------------------------------

def check_golden(folder, name):
    model, options, export = GOLDENS[name]
    golden = load(os.path.join(TESTS, "zoo", name + ".safetensors"))
    weights = os.path.join(folder, "weights.safetensors")
    options = words("--set", options)
    save(weights, draw_weights(json.loads(dlc("summary", "--json", model_file(model), "--fn", export, *options))))
    inputs, wanted = ({k[len(start):]: v for k, v in golden.items() if k.startswith(start)} for start in ("in/", "out/"))
    got = call(folder, model_file(model), export, inputs, options, ("--f32-as=f64",), weights)
    return differences({k: got[k] for k in wanted}, wanted, 1e-9)


def main():
    chosen = sys.argv[1:]
    models = sorted(os.path.basename(path)[:-3] for path in glob.glob(os.path.join(MODELS, "*.dl")))

    def test(name, model, check, *arguments):
        if chosen and model not in chosen:
            return
        with tempfile.TemporaryDirectory() as folder:
            try:
                report(name, check(*([folder] if check in (check_step, check_call, check_golden) else []), *arguments))
            except RuntimeError as error:
                report(name, str(error))

    for model in models:
        test(f"{model}: as dlc fmt writes it", model, lambda: dlc("fmt", "--check", model_file(model)) or None)
        test(f"{model}: its comment says how many parameters", model, check_comment, model)
        test(f"{model}: is in the gallery", model, check_gallery, model)
    for model, options, count in PUBLISHED:
        test(f"{model} {options}: {count:,} parameters", model, check_count, model, options, count)
    for model, start, count in PARTS:
        test(f"{model} {start}*: {count:,} parameters", model, check_part, model, start, count)
    for model, step, *rest in STEPS:
        test(f"{model} {step}: a step as evaluated", model, check_step, model, step, *rest)
    for model, export, *rest in CALLS:
        test(f"{model} {export}: as evaluated", model, check_call, model, export, *rest)
    for name, golden in GOLDENS.items():
        test(f"{name}: as PyTorch", golden[0], check_golden, name)
    return failed


if __name__ == "__main__":
    sys.exit(main())
