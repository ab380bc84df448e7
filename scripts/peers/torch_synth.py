"""PyTorch as a peer that learns known features: python3 torch_synth.py

Answers one JSON object a line for one that it is asked on standard input, as torch_peer.py does:
  { rows, model, training, start_rows, save, start? }
trains on the .npy file `rows`, in its order, a model with the options of webgpu-sae, each meaning what it does there, and saves it as the
safetensors file `save`, under webgpu-sae's names. The output's bias begins as the mean of the first `start_rows` rows, where the options say so.
`start` is such a file to begin with, in the place of drawn weights. The answer has the seconds of the training's steps.

As PyTorch's users write it: an nn.Module, whole matrices, autograd and torch.optim.Adam. Options that are not here are refused.
"""
import json
import math
import os
import sys
import time


class Refused(Exception):
    """What is not here, in a sentence."""


def say(answer):
    print(json.dumps(answer), flush=True)


try:
    import numpy
    import torch
    from torch import nn
except ImportError:
    say({"failed": "python3 has no torch, or no numpy."})
    sys.exit(0)

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
# The moments of dead weights decay into denormal numbers, which cost a processor several times as much.
torch.set_flush_denormal(True)


class Window(torch.autograd.Function):
    """1 where a value is above a threshold, and else 0. Its gradient by the threshold is a window's of a width, by the value none."""

    @staticmethod
    def forward(context, values, threshold, width):
        context.save_for_backward(values, threshold)
        context.width = width
        return (values > threshold).to(values.dtype)

    @staticmethod
    def backward(context, gradient):
        values, threshold = context.saved_tensors
        near = (values - threshold).abs() < context.width / 2
        return None, -(gradient * near).sum(0) / context.width, None


class Jump(torch.autograd.Function):
    """Values above a threshold, and 0 for the others."""

    @staticmethod
    def forward(context, values, threshold, width):
        context.save_for_backward(values, threshold)
        context.width = width
        return values * (values > threshold)

    @staticmethod
    def backward(context, gradient):
        values, threshold = context.saved_tensors
        near = (values - threshold).abs() < context.width / 2
        by_threshold = -(threshold / context.width) * (gradient * near).sum(0)
        return gradient * (values > threshold), by_threshold, None


def largest(values, count):
    """The `count` largest of each row, and 0 for the others."""
    kept, at = values.topk(count, dim=-1)
    return torch.zeros_like(values).scatter(-1, at, kept)


class SparseAutoencoder(nn.Module):
    """A kind is a subclass: how it makes the code of pre-activations, and what its loss has besides the reconstruction's error."""

    def __init__(self, model, options):
        super().__init__()
        latents, in_dims = model["h_dims"][0], model["in_dims"]
        self.options, self.pre_bias = options, model.get("pre_bias", False)
        self.encoder = nn.Linear(in_dims, latents)
        self.decoder = nn.Linear(latents, in_dims)
        # Rows since each latent was active.
        self.silent = torch.zeros(latents, dtype=torch.int64)

    @torch.no_grad()
    def begin(self, first_rows):
        if self.options["decoder_norm"] == "unit":
            self.normalize()
        if self.options["encoder_init"] == "decoder_transpose":
            self.encoder.weight.copy_(self.decoder.weight.T)
            self.encoder.bias.zero_()
            self.decoder.bias.zero_()
        if self.pre_bias:
            zero = self.options.get("pre_bias_init", "mean") == "zero"
            self.decoder.bias.copy_(torch.zeros_like(self.decoder.bias) if zero else first_rows.mean(0))

    def named(self):
        """The parameters by their names in webgpu-sae."""
        names = {"encoder.0": self.encoder, "decoder.0": self.decoder}
        return {f"{name}.{key}": value for name, linear in names.items() for key, value in linear.named_parameters()}

    def loss(self, x):
        pre = self.encoder(x - self.decoder.bias if self.pre_bias else x)
        dead = self.silent > self.options["dead_after"]
        code = self.code_of(pre)
        self.silent = torch.where((code > 0).any(0), 0, self.silent + len(x))
        return self.reconstruction_loss(x, pre, code, dead) + self.penalty(pre, code, dead)

    def error(self, y, x):
        squares = (y - x).pow(2)
        return squares.mean() if self.options["reconstruction"] == "mean" else squares.sum(-1).mean()

    def reconstruction_loss(self, x, pre, code, dead):
        return self.error(self.decoder(code), x)

    def penalty(self, pre, code, dead):
        return 0

    @torch.no_grad()
    def normalize(self):
        weight = self.decoder.weight
        weight.div_(weight.norm(dim=0, keepdim=True))

    @torch.no_grad()
    def project(self):
        """Takes from the decoder's gradient what is along the directions, which have norm 1."""
        weight = self.decoder.weight
        weight.grad -= (weight.grad * weight).sum(0, keepdim=True) * weight


class L1(SparseAutoencoder):
    def code_of(self, pre):
        return torch.relu(pre)

    def penalty(self, pre, code, dead):
        each = code * self.decoder.weight.norm(dim=0) if self.options["l1_weighted"] else code
        return self.options["sparsity_lambda"] * each.sum(-1).mean()


class TopK(SparseAutoencoder):
    def code_of(self, pre):
        return largest(torch.relu(pre), self.options["k"])

    def reconstruction_loss(self, x, pre, code, dead):
        y = self.decoder(code)
        return self.error(y, x) + self.aux(x - y.detach(), pre, dead)

    def aux(self, residual, pre, dead):
        """AuxK as SAELens has it: dead latents reconstruct what is lacking, by their pre-activations without a ReLU."""
        count = int(dead.sum())
        if self.options["revive"] != "auxk" or count == 0:
            return 0
        most = self.options.get("auxk_k", max(1, min(math.ceil(4 * self.options["k"]), residual.shape[1] // 2)))
        code = largest(pre.masked_fill(~dead, -math.inf), min(count, most))
        error = self.error(code @ self.decoder.weight.T, residual)
        return self.options["auxk_alpha"] * min(count / most, 1) * error


class BatchTopK(TopK):
    """The largest latents of a batch; in use, those above the mean of what was the smallest of a batch."""

    def __init__(self, model, options):
        super().__init__(model, options)
        self.threshold, self.weight = torch.zeros(1), 0

    def named(self):
        return {**super().named(), "encoder.0.threshold": self.threshold}

    def code_of(self, pre):
        code = torch.relu(pre)
        code = largest(code.flatten(), math.floor(self.options["k"] * len(code))).view_as(code)
        self.follow(code.detach())
        return code

    def follow(self, code):
        active = code[code > 0]
        if len(active) > 0:
            # A mean with a share of 0.01, corrected for its beginning as Adam's moments are.
            self.weight += 0.01 * (1 - self.weight)
            self.threshold += 0.01 / self.weight * (active.min() - self.threshold)


class Matryoshka(BatchTopK):
    """The same, with reconstructions by the first latents alone as well."""

    def reconstruction_loss(self, x, pre, code, dead):
        latents = code.shape[1]
        widths = self.options.get("matryoshka", [w for w in (latents // 8, latents // 4, latents // 2) if w > 0])
        inner = 0
        for width in sorted(set(widths) - {latents}):
            y = nn.functional.linear(code[:, :width], self.decoder.weight[:, :width], self.decoder.bias)
            inner = inner + self.error(y, x)
        return inner + super().reconstruction_loss(x, pre, code, dead)


class JumpReLU(SparseAutoencoder):
    """Latents above a threshold each, which is trained."""

    def __init__(self, model, options):
        super().__init__(model, options)
        self.threshold = nn.Parameter(torch.full((model["h_dims"][0],), float(options["threshold_init"])))

    def named(self):
        return {**super().named(), "encoder.0.threshold": self.threshold}

    def code_of(self, pre):
        return Jump.apply(pre, torch.relu(self.threshold), self.options["bandwidth"])

    def penalty(self, pre, code, dead):
        options, threshold, norms = self.options, torch.relu(self.threshold), self.decoder.weight.norm(dim=0)
        if options["l0_loss"] == "tanh":
            term = torch.tanh(4 * code * norms).sum(-1).mean()
        else:
            l0 = Window.apply(pre, threshold, options["bandwidth"]).sum(-1).mean()
            term = l0 if options["l0_loss"] == "linear" else (l0 / options["l0_target"] - 1).pow(2)
        below = (torch.relu(threshold - pre) * norms * dead).sum(-1).mean()
        return options["sparsity_lambda"] * term + options["pre_act_lambda"] * below


KINDS = {"l1": L1, "topk": TopK, "batchtopk": BatchTopK, "matryoshka": Matryoshka, "jumprelu": JumpReLU}

# What may be asked for: any value, or one of some.
ANY = None
MODEL = {"in_dims": ANY, "h_dims": ANY, "selection": ANY, "pre_bias": ANY, "activation": ["relu"], "tied": [False]}
TRAINING = {
    **dict.fromkeys(["steps", "epochs", "batch_size", "lr", "seed", "adam_betas", "adam_eps", "clip_norm", "dead_after"], ANY),
    **dict.fromkeys(["sparsity_lambda", "sparsity_warmup", "l1_weighted", "k", "matryoshka", "auxk_alpha", "auxk_k"], ANY),
    **dict.fromkeys(["pre_act_lambda", "bandwidth", "threshold_init", "l0_target"], ANY),
    "sparsity": list(KINDS),
    "optimizer": ["adam"],
    "shuffle": [False],
    "lr_warmup": [0],
    "lr_decay": ["none"],
    "k_decay": [0],
    "rescale_acts_by_decoder_norm": [False],
    "l0_loss": ["linear", "quadratic", "tanh"],
    "reconstruction": ["sum", "mean"],
    "encoder_init": ["random", "decoder_transpose"],
    "pre_bias_init": ["mean", "zero"],
    "decoder_norm": ["none", "unit"],
    "revive": ["none", "auxk"],
    "auxk_loss": ANY,
}


def check(options, known):
    for name, value in options.items():
        allowed = known.get(name, [])
        if allowed is not ANY and value not in allowed:
            expected = f"; it knows {', '.join(map(str, allowed))}" if allowed else ""
            raise Refused(f"scripts/peers/torch_synth.py does not know {name} {json.dumps(value)}{expected}.")
    if options.get("revive") == "auxk":
        check({"auxk_loss": options["auxk_loss"]}, {"auxk_loss": ["saelens"]})
    if len(options.get("h_dims", [0])) != 1:
        raise Refused("scripts/peers/torch_synth.py has models of one hidden layer.")


def train(rows, model, training, start_rows, save, start=None):
    check(model, MODEL)
    check(training, TRAINING)
    torch.manual_seed(training["seed"])
    data = numpy.load(rows, mmap_mode="r")
    read = lambda first, end: torch.from_numpy(numpy.array(data[first:end]))
    autoencoder = KINDS[training["sparsity"]](model, training)
    if start is None:
        autoencoder.begin(read(0, start_rows).double())
    else:
        load(autoencoder, start)
    optimizer = torch.optim.Adam(
        autoencoder.parameters(), lr=training["lr"], betas=training["adam_betas"], eps=training["adam_eps"]
    )
    unit, clip, batch = training["decoder_norm"] == "unit", training.get("clip_norm"), training["batch_size"]
    weight = training.get("sparsity_lambda", 0)
    warmup = training.get("sparsity_warmup", training["steps"] // 20 if weight else 0) or -1
    began = time.perf_counter()
    for step in range(training["steps"]):
        if step <= warmup:
            autoencoder.options["sparsity_lambda"] = weight * min(1, step / warmup)
        x = read(step * batch, (step + 1) * batch)
        optimizer.zero_grad(set_to_none=True)
        loss = autoencoder.loss(x)
        loss.backward()
        if unit:
            autoencoder.project()
        if clip is not None:
            nn.utils.clip_grad_norm_(autoencoder.parameters(), clip)
        optimizer.step()
        if unit:
            autoencoder.normalize()
    seconds = time.perf_counter() - began
    store(save, autoencoder, model)
    return {"seconds": seconds}


def store(path, autoencoder, model):
    """A safetensors file: the length of a header, this header in JSON, and the tensors' bytes."""
    header, parts, at = {"__metadata__": {"format": "pt", "config": json.dumps(model)}}, [], 0
    for name, tensor in autoencoder.named().items():
        parts.append(tensor.detach().contiguous().numpy().astype("<f4").tobytes())
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(parts))


@torch.no_grad()
def load(autoencoder, path):
    with open(path, "rb") as file:
        content = file.read()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    for name, parameter in autoencoder.named().items():
        first, end = header[name]["data_offsets"]
        values = numpy.frombuffer(content[begin + first : begin + end], "<f4").reshape(header[name]["shape"])
        parameter.copy_(torch.from_numpy(values.copy()))


say({"versions": {"PyTorch": torch.__version__, "Python": sys.version.split()[0]}})
for line in sys.stdin:
    try:
        say(train(**json.loads(line)))
    except Refused as refused:
        say({"failed": str(refused)})
    except Exception as error:
        if os.environ.get("DEBUG") == "sae":
            raise
        message = " ".join(str(error).split())
        say({"failed": f"{type(error).__name__}: {message[:300]}"})
