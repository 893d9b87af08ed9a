"""Write tests/library/*.safetensors: what PyTorch gives for the functions of tests/library/*.dl. Run by hand, where
torch is installed; the files are committed.

usage: make_goldens.py [FAMILY]...      default: all

A file holds, in f64: the params by their path in the .dl file, and for each export test_NAME in/NAME/ARGUMENT and
out/NAME/RESULT. Where count/NAME is there, the export is called so often, and they have a leading axis of that length.
"""
import os
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import curve_data

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "models", "data"))
from tensorfile import save

torch.set_default_dtype(torch.float64)
torch.backends.mha.set_fastpath_enabled(False)
rng = np.random.RandomState(0)


def randn(*shape):
    return torch.tensor(rng.randn(*shape))


def rand(*shape, low=0.0, high=1.0):
    return torch.tensor(rng.uniform(low, high, shape))


def labels(n, *shape):
    return torch.tensor(rng.randint(0, n, shape))


class Family:
    def __init__(self):
        self.tensors = {}

    def put(self, name, x):
        x = x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
        self.tensors[name] = x.astype(np.int32 if x.dtype.kind in "iub" else np.float64)

    def case(self, name, inputs, outputs):
        for key, x in inputs.items():
            self.put(f"in/{name}/{key}", x)
        for key, x in outputs.items():
            self.put(f"out/{name}/{key}", x)

    def random_params(self, path, module):
        """Give the module's params random values and store them."""
        with torch.no_grad():
            for key, p in module.named_parameters():
                p.copy_(randn(*p.shape) * 0.5)
                self.put(f"{path}.{key}", p)
        return module

    def gradient(self, name, f, x, module=None, shape=None, params=None, **others):
        """y = f(x), and the gradients of sum(y * d) by x and by the params, one after the other."""
        x = x.clone().requires_grad_()
        y = f(x)
        d = randn(*y.shape)
        params = list(module.parameters()) if module is not None else params or []
        dx, *dp = torch.autograd.grad((y * d).sum(), [x] + params)
        out = {"y": y, "dx": dx}
        if params:
            out["dp"] = torch.cat([g.reshape(-1) for g in dp])
        self.case(name, {"x": x, "d": d, **others}, out)

    def loss(self, name, f, x, **others):
        """loss = f(x), and its gradient; an argument `v` too."""
        x = x.clone().requires_grad_()
        by = {"dx": x}
        if "v" in others:
            others["v"] = by["dv"] = others["v"].clone().requires_grad_()
        loss = f(x, **others)
        grads = torch.autograd.grad(loss, list(by.values()))
        self.case(name, {"x": x, **others}, {"loss": loss, **dict(zip(by, grads))})


# ---- activations ------------------------------------------------------------------------------------------

def activations():
    f = Family()
    x = torch.cat([torch.linspace(-8, 8, 33), torch.tensor([-30.0, -1e-3, 1e-3, 0.25, 2.7, 15.0, -0.1])])
    table = {
        "relu": F.relu, "relu6": F.relu6, "leaky_relu": F.leaky_relu, "elu": F.elu, "selu": F.selu, "celu": F.celu, "silu": F.silu,
        "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "softplus": lambda x: F.softplus(x, threshold=1e9),
        "softsign": F.softsign, "mish": F.mish, "log_sigmoid": F.logsigmoid, "hard_sigmoid": lambda x: F.relu6(x + 3) / 6,         # F.hardsigmoid takes 1 / 6 in f32
        "hard_swish": F.hardswish,
        "hard_tanh": F.hardtanh, "tanh_shrink": F.tanhshrink, "soft_shrink": F.softshrink, "hard_shrink": F.hardshrink,
        "leaky_slope": lambda x: F.leaky_relu(x, 0.2), "elu_alpha": lambda x: F.elu(x, 0.7), "celu_alpha": lambda x: F.celu(x, 1.5),
        "hard_tanh_range": lambda x: F.hardtanh(x, -2, 0.5),
    }
    for name, function in table.items():
        f.gradient(name, function, x)
    f.gradient("glu", F.glu, randn(3, 8))
    f.gradient("swiglu", lambda x: F.silu(x[:, :4]) * x[:, 4:], randn(3, 8))
    f.gradient("softmax", lambda x: F.softmax(x, -1), randn(3, 5, 2))
    f.gradient("softmax_axis", lambda x: F.softmax(x, 1), 30 * randn(3, 5, 2))
    f.gradient("softmin", lambda x: F.softmin(x, -1), randn(3, 5, 2))
    f.gradient("log_softmax", lambda x: F.log_softmax(x, 1), 30 * randn(3, 5, 2))
    f.gradient("logsumexp", lambda x: torch.logsumexp(x, -1), randn(3, 5, 2))
    zero = randn(3, 5, 2)
    zero[1, 2] = 0                                      # a length of 0
    f.gradient("l2_norm", lambda x: torch.norm(x, dim=-1), zero)
    f.gradient("normalize", lambda x: F.normalize(x, dim=1), randn(3, 5, 2))
    other = randn(6, 5)
    f.gradient("cosine_similarity", lambda x: F.cosine_similarity(x, other), randn(6, 5), z=other)
    f.gradient("moments", lambda x: torch.var(x, 1, correction=0), randn(3, 5, 2))
    f.case("nan", {"x": torch.full((3,), np.nan)}, {"y": np.full((21, 3), np.nan)})
    ends = randn(4, 3)
    ends[0], ends[1, 1], ends[2, 0] = -np.inf, -np.inf, np.inf
    f.case("infinite", {"x": ends}, {"sums": torch.logsumexp(ends, -1), "logs": F.log_softmax(ends, -1)})
    position, rate = torch.arange(7.0)[:, None], torch.exp(torch.arange(0, 6, 2) * (-np.log(10000.0) / 6))
    table = torch.zeros(7, 6)
    table[:, 0::2], table[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
    f.case("sinusoidal", {}, {"y": table})
    return f


# ---- layers -----------------------------------------------------------------------------------------------

def channel_shuffle(x, groups):
    b, c, h, w = x.shape
    return x.reshape(b, groups, c // groups, h, w).transpose(1, 2).reshape(x.shape)


def layers():
    f = Family()

    def module(name, net, *shape):
        f.random_params(name, net)
        f.gradient(name, net, randn(*shape), net)

    module("linear", nn.Linear(5, 3), 4, 5)
    module("linear_plain", nn.Linear(5, 3, bias=False), 2, 4, 5)
    net = f.random_params("bilinear", nn.Bilinear(4, 5, 3))
    x, z = randn(6, 4).requires_grad_(), randn(6, 5).requires_grad_()
    y, d = net(x, z), randn(6, 3)
    dx, dz, dw, db = torch.autograd.grad((y * d).sum(), [x, z, net.weight, net.bias])
    f.case("bilinear", {"x": x, "z": z, "d": d}, {"y": y, "dx": dx, "dz": dz, "dp": torch.cat([dw.reshape(-1), db])})
    net, ids, d = f.random_params("embedding", nn.Embedding(7, 3)), labels(7, 2, 4), randn(2, 4, 3)
    y = net(ids)
    f.case("embedding", {"ids": ids, "d": d}, {"y": y, "dp": torch.autograd.grad((y * d).sum(), net.weight)[0].reshape(-1)})

    module("conv1d", nn.Conv1d(3, 4, 3, stride=2, padding=1, dilation=2), 2, 3, 11)
    module("conv2d", nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), 2, 4, 7, 8)
    module("conv2d_dilated", nn.Conv2d(3, 4, 3, dilation=2, bias=False), 2, 3, 7, 8)
    module("conv3d", nn.Conv3d(2, 3, 2, padding=1), 1, 2, 3, 4, 3)
    module("conv_oblong", nn.Conv2d(3, 4, (1, 5), padding=(0, 2)), 2, 3, 4, 6)
    module("transposed1d", nn.ConvTranspose1d(3, 4, 4, stride=2, padding=1), 2, 3, 5)
    module("transposed2d", nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), 2, 3, 4, 5)

    f.gradient("max_pool", lambda x: F.max_pool2d(x, 3, 2, 1), randn(2, 3, 7, 8))
    f.gradient("max_pool_ties", lambda x: F.max_pool2d(x, 3, 2, 1), labels(3, 2, 3, 7, 8).double())
    f.gradient("avg_pool", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), randn(2, 3, 7, 8))
    f.gradient("avg_pool_plain", lambda x: F.avg_pool2d(x, 2), randn(2, 3, 6, 8))
    f.gradient("adaptive_avg_pool", lambda x: F.adaptive_avg_pool2d(x, (3, 4)), randn(2, 3, 7, 10))
    f.gradient("adaptive_max_pool", lambda x: F.adaptive_max_pool2d(x, (3, 4)), randn(2, 3, 7, 10))
    f.gradient("adaptive_max_ties", lambda x: F.adaptive_max_pool2d(x, (3, 4)), labels(3, 2, 3, 7, 10).double())
    f.gradient("global_max_ties", lambda x: x.amax((2, 3)), labels(3, 2, 3, 4, 5).double())
    f.gradient("global_avg_pool", lambda x: x.mean((2, 3)), randn(2, 3, 4, 5))
    f.gradient("global_max_pool", lambda x: x.amax((2, 3)), randn(2, 3, 4, 5))
    f.gradient("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), randn(2, 8, 3, 4))
    f.gradient("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), randn(2, 2, 6, 8))
    f.gradient("channel_shuffle", lambda x: channel_shuffle(x, 3), randn(2, 6, 3, 4))
    f.gradient("upsample", lambda x: F.interpolate(x, scale_factor=2), randn(2, 3, 3, 4))
    f.gradient("upsample_bilinear", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), randn(2, 3, 3, 4))
    f.gradient("upsample_corners", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True), randn(2, 3, 3, 4))

    module("layer_norm", nn.LayerNorm(6), 2, 3, 6)
    module("rms_norm", nn.RMSNorm(6, eps=1e-6), 2, 3, 6)
    module("group_norm", nn.GroupNorm(2, 6), 2, 6, 3, 4)
    f.gradient("instance_norm", nn.InstanceNorm2d(3), randn(2, 3, 4, 5))
    module("instance_affine", nn.InstanceNorm2d(3, affine=True), 2, 3, 4, 5)
    module("prelu", nn.PReLU(), 2, 3, 4)
    module("prelu_channels", nn.PReLU(3), 2, 3, 4)
    f.gradient("local_response_norm", lambda x: F.local_response_norm(x, 5, 0.1, 0.75, 2.0), randn(2, 7, 3, 4))

    for name, net, shape in (("batch_norm", nn.BatchNorm2d(3), (2, 3, 4, 5)), ("batch_norm1d", nn.BatchNorm1d(5, momentum=0.3), (4, 5))):
        f.random_params(name, net)
        net.running_mean.copy_(randn(shape[1]))
        net.running_var.copy_(rand(shape[1], low=0.5, high=2))
        f.put(f"{name}.running_mean", net.running_mean.clone())
        f.put(f"{name}.running_var", net.running_var.clone())
        if name == "batch_norm":
            for key, x in [*net.named_parameters(), *net.named_buffers()][:4]:
                f.put(f"batch_norm_eval.{key}", x.detach().clone())
            net.eval()
            f.gradient("batch_norm_eval", net, randn(*shape), net)
            net.train()
        f.gradient(name, net, randn(*shape), net)
        f.put(f"out/{name}/running_mean", net.running_mean)
        f.put(f"out/{name}/running_var", net.running_var)
    f.gradient("batch_plain", nn.BatchNorm2d(3, affine=False), randn(2, 3, 4, 5))
    return f


# ---- attention --------------------------------------------------------------------------------------------

HEADS = ("query", "key", "value", "out")


def heads_params(net):
    """Weight and bias of query, key, value, out, of PyTorch's packed params."""
    w, b = net.in_proj_weight.chunk(3), net.in_proj_bias.chunk(3)
    return [x for i in range(3) for x in (w[i], b[i])] + [net.out_proj.weight, net.out_proj.bias]


def heads_names(path):
    return [f"{path}.{part}.{kind}" for part in HEADS for kind in ("weight", "bias")]


def layer_params(net, path, names):
    """(path, tensor) of a transformer layer, in the order of nn.dl."""
    result = []
    for ours, theirs in names:
        part = getattr(net, theirs)
        if isinstance(part, nn.MultiheadAttention):
            result += zip(heads_names(f"{path}.{ours}"), heads_params(part))
        else:
            result += [(f"{path}.{ours}.weight", part.weight), (f"{path}.{ours}.bias", part.bias)]
    return result


def attention():
    f = Family()
    causal = torch.triu(torch.ones(5, 5), 1).bool()     # PyTorch: true where it is forbidden
    memory = randn(2, 3, 8)

    def randomise(net):
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(randn(*p.shape) * 0.5)
        return net

    def case(name, net, call, names, store=None, **others):
        """Gradients by the packed params, then unpacked in the order of nn.dl."""
        x = randn(2, 5, 8).requires_grad_()
        y = call(x)
        d = randn(*y.shape)
        params = list(net.parameters())
        dx, *grads = torch.autograd.grad((y * d).sum(), [x] + params)
        if store:
            for path, value in names():
                f.put(path, value)
        with torch.no_grad():                           # the gradients take the places of the params
            for p, g in zip(params, grads):
                p.copy_(g)
        dp = torch.cat([value.reshape(-1) for _, value in names()])
        f.case(name, {"x": x, "d": d, **others}, {"y": y, "dx": dx, "dp": dp})

    def restored(net, call):
        """call(net) with the params put back after it."""
        saved = [p.detach().clone() for p in net.parameters()]
        call()
        with torch.no_grad():
            for p, value in zip(net.parameters(), saved):
                p.copy_(value)

    heads = randomise(nn.MultiheadAttention(8, 2, batch_first=True))
    names = lambda: list(zip(heads_names("heads"), heads_params(heads)))
    restored(heads, lambda: case("heads", heads, lambda x: heads(x, x, x)[0], names, True))
    restored(heads, lambda: case("heads_causal", heads, lambda x: heads(x, x, x, attn_mask=causal)[0], names))
    restored(heads, lambda: case("heads_cross", heads, lambda x: heads(x, memory, memory)[0], names, memory=memory))

    parts = [("attend", "self_attn"), ("feed.up", "linear1"), ("feed.down", "linear2"), ("norm1", "norm1"), ("norm2", "norm2")]
    for name, options, mask in (("encoder", {}, None), ("encoder_first", {"activation": "gelu", "norm_first": True}, causal)):
        net = randomise(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options)).eval()
        case(name, net, lambda x: net(x, src_mask=mask), lambda: layer_params(net, name, parts), True)
    net = randomise(nn.TransformerDecoderLayer(8, 2, 12, batch_first=True)).eval()
    parts = [parts[0], ("cross", "multihead_attn")] + parts[1:] + [("norm3", "norm3")]
    case("decoder", net, lambda x: net(x, memory, tgt_mask=causal), lambda: layer_params(net, "decoder", parts), True, memory=memory)

    q, k, v, bias = [randn(*s).requires_grad_() for s in ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7), (5, 6))]
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=0.3)
    d = randn(*y.shape)
    grads = torch.autograd.grad((y * d).sum(), [q, k, v, bias])
    f.case("attention", {"q": q, "k": k, "v": v, "bias": bias, "d": d}, {"y": y, **dict(zip(("dq", "dk", "dv", "db"), grads))})
    return f


# ---- losses -----------------------------------------------------------------------------------------------

def focal(x, y):
    p, ce = torch.sigmoid(x), F.binary_cross_entropy_with_logits(x, y, reduction="none")
    return ((0.25 * y + 0.75 * (1 - y)) * (1 - p * y - (1 - p) * (1 - y)) ** 2 * ce).mean()


def dice(x, y):
    p = torch.sigmoid(x)
    return (1 - (2 * (p * y).sum(1) + 1) / (p.sum(1) + y.sum(1) + 1)).mean()


def contrastive(x, b, y):
    d = F.pairwise_distance(x, b)
    return (0.5 * torch.where(y > 0, d, torch.clamp(2.5 - d, min=0)) ** 2).mean()


def clip(x, b, scale):
    logits, y = F.normalize(x, dim=1) @ F.normalize(b, dim=1).T * scale, torch.arange(len(x))
    return F.cross_entropy(logits, y), F.cross_entropy(logits.T, y)


def losses():
    f = Family()
    y, w = labels(5, 6), rand(5, low=0.2, high=2)
    some = y.clone()
    some[1] = some[4] = -100
    x = randn(6, 5)
    f.loss("cross_entropy", lambda x, y: F.cross_entropy(x, y), x, y=y)
    f.loss("cross_entropy_3d", lambda x, y: F.cross_entropy(x.transpose(1, 2), y), randn(2, 3, 5), y=labels(5, 2, 3))
    f.loss("smoothing", lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1), x, y=y)
    f.loss("ignore", lambda x, y: F.cross_entropy(x, y), x, y=some)
    f.loss("smoothing_ignore", lambda x, y: F.cross_entropy(x, y, label_smoothing=0.2), x, y=some)
    f.loss("weight", lambda x, y, w: F.cross_entropy(x, y, w), x, y=y, w=w)
    f.loss("weight_smoothing_ignore", lambda x, y, w: F.cross_entropy(x, y, w, label_smoothing=0.2), x, y=some, w=w)
    logp = F.log_softmax(x, 1)
    f.loss("nll", lambda x, y: F.nll_loss(x, y), logp, y=y)
    f.loss("nll_weight_ignore", lambda x, y, w: F.nll_loss(x, y, w, ignore_index=2), logp, y=y, w=w)
    f.loss("bce", lambda x, y: F.binary_cross_entropy(x, y), rand(8, low=0.05, high=0.95), y=rand(8))
    ends, truth = torch.tensor([0.0, 1.0, 0.0, 1.0]), torch.tensor([1.0, 1.0, 0.0, 0.25])
    f.case("bce_limits", {"x": ends, "y": truth}, {"loss": F.binary_cross_entropy(ends, truth)})
    x, y, w = 3 * randn(3, 4), rand(3, 4), rand(4, low=0.5, high=3)
    f.loss("bce_logits", lambda x, y: F.binary_cross_entropy_with_logits(x, y), x, y=y)
    f.loss("bce_logits_weight", lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w), x, y=y, w=w)
    f.loss("bce_logits_sum", lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="sum"), x, y=y)
    y = labels(2, 3, 4).double()
    f.loss("focal_loss", focal, x, y=y)
    f.loss("dice_loss", dice, x, y=y)

    x, y = randn(8), randn(8)
    x[3] = y[3]                                         # no difference
    f.loss("mse", lambda x, y: F.mse_loss(x, y), x, y=y)
    f.loss("l1", lambda x, y: F.l1_loss(x, y), x, y=y)
    f.loss("huber", lambda x, y: F.huber_loss(x, y, delta=0.7), x, y=y)
    f.loss("smooth_l1", lambda x, y: F.smooth_l1_loss(x, y, beta=0.7), x, y=y)
    f.loss("smooth_l1_zero", lambda x, y: F.smooth_l1_loss(x, y, beta=0.0), x, y=y)
    f.loss("gaussian_nll", lambda x, y, v: F.gaussian_nll_loss(x, y, v, full=True), x, y=y, v=rand(8, low=0.1, high=2))
    count = labels(5, 8).double()
    f.loss("poisson_nll", lambda x, y: F.poisson_nll_loss(x, y), x, y=count)
    f.loss("poisson_nll_rate", lambda x, y: F.poisson_nll_loss(x, y, log_input=False), rand(8, low=0.1, high=3), y=count)
    q = F.softmax(randn(3, 5), 1)
    q[1, 2] = 0
    f.loss("kl_div", lambda x, y: F.kl_div(x, y), F.log_softmax(randn(3, 5), 1), y=q)
    f.loss("kl_normal", lambda x, v: -0.5 * (1 + v - x ** 2 - v.exp()).sum() / 4, randn(4, 3), v=randn(4, 3))

    x, y = randn(8), labels(2, 8).double() * 2 - 1
    f.loss("hinge", lambda x, y: torch.clamp(1 - x * y, min=0).mean(), x, y=y)
    f.loss("squared_hinge", lambda x, y: (torch.clamp(1 - x * y, min=0) ** 2).mean(), x, y=y)
    f.loss("soft_margin", lambda x, y: F.soft_margin_loss(x, y), x, y=y)
    f.loss("hinge_embedding", lambda x, y: F.hinge_embedding_loss(x, y, 0.8), x, y=y)
    f.loss("margin_ranking", lambda x, b, y: F.margin_ranking_loss(x, b, y, 0.2), x, b=randn(8), y=y)
    x, b, y = randn(6, 5), randn(6, 5), labels(2, 6).double() * 2 - 1
    f.loss("multi_margin", lambda x, y: F.multi_margin_loss(x, y), x, y=labels(5, 6))
    f.loss("triplet", lambda x, b, c: F.triplet_margin_loss(x, b, c, 0.9), x, b=b, c=randn(6, 5))
    f.loss("cosine_embedding", lambda x, b, y: F.cosine_embedding_loss(x, b, y, 0.1), x, b=b, y=y)
    f.loss("contrastive", contrastive, x, b=b, y=y)
    f.loss("info_nce", lambda x, b: clip(x, b, 5.0)[0], x, b=b)
    f.loss("clip_loss", lambda x, b: sum(clip(x, b, 5.0)) / 2, x, b=b)
    return f


# ---- metrics ----------------------------------------------------------------------------------------------

def metrics():
    f = Family()
    x, y = randn(8, 5), labels(5, 8)
    right = x.topk(2, 1).indices == y[:, None]
    f.case("accuracy", {"x": x, "y": y}, {"out": right[:, 0].double().mean()})
    f.case("top_k_accuracy", {"x": x, "y": y}, {"out": right.any(1).double().mean()})

    def scores(counts):
        ratio = lambda a, b: np.where(b > 0, a / np.where(b > 0, b, 1), 0)
        hit, truth, said = np.diag(counts), counts.sum(1), counts.sum(0)
        return ratio(hit, said), ratio(hit, truth), ratio(2 * hit, truth + said)

    counts = np.zeros((5, 5))
    np.add.at(counts, (y.numpy(), x.argmax(1).numpy()), 1)
    f.case("confusion", {"x": x, "y": y}, dict(zip(("counts", "precision_", "recall", "f1"), (counts, *scores(counts)))))
    s, t = torch.round(rand(12) * 8) / 8, labels(2, 12).double()         # with ties
    counts = np.zeros((2, 2))
    np.add.at(counts, (t.numpy().astype(int), (s > 0.4).numpy().astype(int)), 1)
    f.case("binary", {"x": s, "y": t}, {"counts": counts, "f1": scores(counts)[2][1]})
    f.case("binary_accuracy", {"x": s, "y": t.int()}, {"out": ((s > 0.4) == (t > 0.5)).double().mean()})
    one, zero = s[t == 1][:, None], s[t == 0]
    f.case("auc", {"x": s, "y": t}, {"out": ((one > zero).double() + 0.5 * (one == zero).double()).mean()})
    x, y = randn(12), randn(12)
    e, r2 = x - y, 1 - ((x - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    f.case("regression", {"x": x, "y": y}, {"mae_": e.abs().mean(), "rmse_": (e * e).mean().sqrt(), "r2_": r2, "parts": r2})
    x, y = randn(8, 5), labels(5, 8)
    f.case("perplexity", {"x": x, "y": y}, {"out": F.cross_entropy(x, y).exp()})
    return f


# ---- optimizers -------------------------------------------------------------------------------------------

class Lion(torch.optim.Optimizer):                      # the authors' pseudo-code
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                decay = group["decay"] if p.dim() > 1 else 0
                p -= group["lr"] * (torch.sign(b1 * m + (1 - b1) * p.grad) + decay * p)
                m.copy_(b2 * m + (1 - b2) * p.grad)


class LAMB(torch.optim.Optimizer):                      # algorithm 2 of the paper, with bias corrections
    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "decay": weight_decay, "t": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), group["t"] = group["betas"], group["t"] + 1
            for p in group["params"]:
                s = self.state[p]
                s["m"] = b1 * s.get("m", 0) + (1 - b1) * p.grad
                s["v"] = b2 * s.get("v", 0) + (1 - b2) * p.grad ** 2
                m, v = s["m"] / (1 - b1 ** group["t"]), s["v"] / (1 - b2 ** group["t"])
                r = m / (v.sqrt() + group["eps"]) + group["decay"] * p
                p -= group["lr"] * p.norm() / r.norm() * r


def optimizers():
    f = Family()
    a0, b0 = randn(4, 3), randn(3)
    ga, gb = randn(6, 4, 3), randn(6, 3)
    O = torch.optim

    def run(name, make, schedule=None, clip=None, averaged=None):
        a, b = a0.clone().requires_grad_(), b0.clone().requires_grad_()
        opt = make([a, b])
        rates = schedule(opt) if schedule else None
        outs = []
        for k in range(6):
            a.grad, b.grad = ga[k].clone(), gb[k].clone()
            if clip:
                clip([a, b])
            opt.step()
            if rates:
                rates.step()
            outs.append(averaged([a, b], outs, k) if averaged else [a.detach().clone(), b.detach().clone()])
        f.put(f"{name}_net.a", a0)
        f.put(f"{name}_net.b", b0)
        f.put(f"count/{name}", 6)
        f.case(name, {"ga": ga, "gb": gb}, {"a": torch.stack([o[0] for o in outs]), "b": torch.stack([o[1] for o in outs])})

    run("sgd", lambda p: O.SGD(p, 0.1))
    run("sgd_momentum", lambda p: O.SGD(p, 0.1, momentum=0.9, weight_decay=0.01))
    run("sgd_nesterov", lambda p: O.SGD(p, 0.1, momentum=0.9, weight_decay=0.01, nesterov=True))
    run("adam", lambda p: O.Adam(p, 0.01))
    run("adam_decay", lambda p: O.Adam(p, 0.01, (0.8, 0.95), 1e-5, 0.1))
    run("adamw", lambda p: O.AdamW(p, 0.01, weight_decay=0.1))
    run("adamw_matrices", lambda p: O.AdamW([{"params": p[:1]}, {"params": p[1:], "weight_decay": 0.0}], 0.01, weight_decay=0.1))
    run("adamw_scale", lambda p: O.AdamW([{"params": p[:1]}, {"params": p[1:], "weight_decay": 0.0, "lr": 0.001}], 0.01, weight_decay=0.01))
    run("nadam", lambda p: O.NAdam(p, 0.01, weight_decay=0.1))
    run("adamax", lambda p: O.Adamax(p, 0.01))
    run("rmsprop", lambda p: O.RMSprop(p, 0.01))
    run("rmsprop_momentum", lambda p: O.RMSprop(p, 0.01, 0.9, momentum=0.8, weight_decay=0.1))
    run("rmsprop_centered", lambda p: O.RMSprop(p, 0.01, momentum=0.8, centered=True))
    run("adagrad", lambda p: O.Adagrad(p, 0.1))
    run("adagrad_decay", lambda p: O.Adagrad(p, 0.1, 0.05, 0.01, 0.2))
    run("adadelta", lambda p: O.Adadelta(p, 1.0, weight_decay=0.01))
    run("lion", lambda p: Lion(p, 0.01, weight_decay=0.1))
    run("lamb", lambda p: LAMB(p, 0.01, weight_decay=0.1))
    run("sgd_step", lambda p: O.SGD(p, 0.1), lambda opt: O.lr_scheduler.StepLR(opt, 2))
    run("adam_one_cycle", lambda p: O.Adam(p, 0.1), lambda opt: O.lr_scheduler.OneCycleLR(opt, 0.1, 6, cycle_momentum=False))
    run("clip_norm", lambda p: O.SGD(p, 0.1), clip=lambda p: nn.utils.clip_grad_norm_(p, 2.0))
    run("clip_value", lambda p: O.SGD(p, 0.1), clip=lambda p: nn.utils.clip_grad_value_(p, 0.5))
    run("host_rate", lambda p: O.SGD(p, 0.1))
    run("ema", lambda p: O.SGD(p, 0.1), averaged=lambda p, outs, k: [0.8 * o + 0.2 * x.detach() for o, x in zip(outs[-1] if outs else (a0, b0), p)])
    run("swa", lambda p: O.SGD(p, 0.1), averaged=lambda p, outs, k: [(k * o + x.detach()) / (k + 1) for o, x in zip(outs[-1] if outs else (a0, b0), p)])
    x = randn(2, 4).numpy()
    a, b = f.tensors["out/ema/a"], f.tensors["out/ema/b"]
    f.put("in/ema/x", np.stack([x] * 6))
    f.put("out/ema/y", np.stack([x @ a[k] + b[k] for k in range(6)]))
    for name in ("host_rate", "ema", "swa"):            # their nets have shorter names
        for key in "ab":
            f.tensors[f"{name.split('_')[0]}_net.{key}"] = f.tensors.pop(f"{name}_net.{key}")
    return f


def schedules():
    f = Family()
    L = torch.optim.lr_scheduler
    t = np.arange(1, 41)

    def run(name, make):
        opt = torch.optim.SGD([torch.zeros(1)], 0.1)
        rates, schedule = [], make(opt)
        for _ in t:
            rates.append(opt.param_groups[0]["lr"])
            opt.step()
            if len(rates) < len(t):
                schedule.step()
        f.case(name, {"t": t}, {"y": rates})
        return rates

    steps = run("step_decay", lambda o: L.StepLR(o, 7, 0.5))
    run("multi_step", lambda o: L.MultiStepLR(o, [5, 12, 30], 0.3))
    run("exponential", lambda o: L.ExponentialLR(o, 0.9))
    run("linear", lambda o: L.LinearLR(o, 1.0, 0.2, 25))
    run("polynomial", lambda o: L.PolynomialLR(o, 30, 2.0))
    run("cosine", lambda o: L.LambdaLR(o, lambda e: 0.1 + 0.45 * (1 + np.cos(np.pi * min(e / 30, 1)))))
    run("cosine_restarts", lambda o: L.CosineAnnealingWarmRestarts(o, 8, eta_min=0.01))
    run("one_cycle", lambda o: L.OneCycleLR(o, 0.1, 40))
    rise = 0.1 * t[:10] / 10
    f.case("warmup", {"t": t}, {"y": np.concatenate([rise, steps[:30]])})
    fall = 0.05 * (1 + np.cos(np.pi * np.arange(30) / 30))
    f.case("warmup_cosine", {"t": t}, {"y": np.concatenate([rise, fall])})
    f.case("inverse_sqrt", {"t": t}, {"y": 64 ** -0.5 * np.minimum(t ** -0.5, t * 10 ** -1.5)})
    return f


# ---- curves -----------------------------------------------------------------------------------------------

class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(20, 32), nn.Linear(32, 5)

    def forward(self, x):
        return self.l2(F.relu(self.l1(x)))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def curves():
    f = Family()
    O = torch.optim
    makers = {"sgd": lambda p: O.SGD(p, 0.05, momentum=0.9), "adam": lambda p: O.Adam(p, 2e-3),
              "adamw": lambda p: O.AdamW(p, 2e-3, weight_decay=0.05), "rmsprop": lambda p: O.RMSprop(p, 1e-3)}
    for model, make_net in (("mlp", MLP), ("lenet", LeNet)):
        for name, make in makers.items():
            net = make_net()
            net.load_state_dict({k: torch.tensor(v) for k, v in curve_data.weights(model).items()})
            opt, losses = make(net.parameters()), []
            for x, y in curve_data.batches(model):
                loss = F.cross_entropy(net(torch.tensor(x)), torch.tensor(y).long())
                opt.zero_grad()
                loss.backward()
                opt.step()
                losses.append(loss.item())
            f.case(f"{model}_{name}", {}, {"loss": losses})
    return f


# ---- recurrent --------------------------------------------------------------------------------------------

def recurrent():
    f = Family()
    for kind, make in (("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)):
        for both in False, True:
            net = f.random_params(kind + ("2" if both else ""), make(3, 4, bidirectional=both))
            x, d = randn(5, 2, 3).requires_grad_(), randn(5, 2, 8 if both else 4)
            given = [] if both and kind != "lstm" else [randn(*([2] if both else [1]), 2, 4).requires_grad_() for _ in range(1 + (kind == "lstm"))]
            y, last = net(x, None if not given else tuple(given) if kind == "lstm" else given[0])
            last = list(last) if kind == "lstm" else [last]
            grads = torch.autograd.grad((y * d).sum() + sum((r * r).sum() for r in last), [x] + given + list(net.parameters()))
            n = 1 + len(given)
            flat = lambda gs: torch.cat([g.reshape(-1) for g in gs])
            one = lambda t: t if both else t[0]
            f.case(kind + ("_both" if both else ""), {"x": x, "d": d, **{a: one(t) for a, t in zip("hc", given)}},
                   {"y": y, **{a: one(t) for a, t in zip(("last", "cell"), last)}, "dx": flat(grads[:n]), "dp": flat(grads[n:])})
    return f


FAMILIES = {make.__name__: make for make in (activations, layers, attention, losses, metrics, optimizers, schedules, curves, recurrent)}
for number, name in enumerate(FAMILIES):
    if len(sys.argv) == 1 or name in sys.argv[1:]:
        rng.seed(number)
        path = os.path.join(ROOT, "tests", "library", f"{name}.safetensors")
        save(path, FAMILIES[name]().tensors)
        print(f"{path}: {os.path.getsize(path)} bytes")
