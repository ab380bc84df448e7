"""PyTorch as a peer: python3 torch_peer.py original|preloaded|compile|graphs cpu|cuda

Answers one JSON object a line for one that it is asked on standard input, as the JavaScript peers do (see peer.mjs).
  original   the training loop of the PyTorch original, in our own words: a DataLoader over images of a processor's memory, each
             made a PIL image and turned into a normalised tensor by itself, as torchvision's MNIST, ToTensor and Normalize do
  preloaded  normalised rows on the device, one index a batch, autograd, no reading of the loss between steps
  compile    the same through torch.compile
  graphs     the same, a whole step (indexing, backward, Adam) recorded once as a CUDA graph and replayed
"""
import json
import os
import re
import sys
import time

VARIANT, DEVICE = sys.argv[1:3]
LR, LAMBDA, TARGET = 1e-4, 0.2, 0.01
MEAN, STD = 0.1307, 0.3081
FILE_WIDTH = 784


class Skip(Exception):
    """What this peer cannot do here, in a sentence."""


def say(answer):
    if answer.get("loss") is not None and answer["loss"] != answer["loss"]:
        answer["loss"] = None  # not a number, which JSON cannot say
    print(json.dumps(answer), flush=True)


try:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset
except ImportError:
    say({"failed": "python3 has no torch."})
    sys.exit(0)

try:
    import numpy
    from PIL import Image
except ImportError:
    Image = None

if DEVICE == "cpu":
    # Two pools of threads fight over small batches: one thread is the faster and the fairer peer.
    torch.set_num_threads(1)
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False


def settle():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def stack(widths, last_activation):
    modules = []
    for inputs, outputs in zip(widths, widths[1:]):
        modules += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*(modules if last_activation else modules[:-1]))


class Autoencoder(nn.Module):
    def __init__(self, in_dims, h_dims):
        super().__init__()
        widths = [in_dims, *h_dims]
        self.encoder = stack(widths, True)
        self.decoder = stack(widths[::-1], False)

    def forward(self, x):
        code = self.encoder(x)
        return code, self.decoder(code)


def loss_of(model, x):
    code, output = model(x)
    mse = nn.functional.mse_loss(output, x)
    q = code.mean(0) + 1e-8
    target = TARGET + 1e-8
    kl = -(target * torch.log(q) + (1 - target) * torch.log(1 - q)).sum()
    return mse + LAMBDA * kl


class Digits(Dataset):
    """What torchvision's MNIST with ToTensor and Normalize does for a sample, operation for operation."""

    def __init__(self, images):
        self.images = images
        self.labels = torch.zeros(len(images), dtype=torch.int64)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image, label = self.images[index], int(self.labels[index])
        if Image is not None:
            picture = Image.fromarray(image.numpy(), mode="L")
            image = torch.from_numpy(numpy.array(picture, numpy.uint8, copy=True))
        side = image.shape[0]
        tensor = image.view(side, -1, 1).permute(2, 0, 1).contiguous().to(torch.get_default_dtype()).div(255)
        return self.normalize(tensor), label

    @staticmethod
    def normalize(tensor):
        tensor = tensor.clone()
        mean = torch.as_tensor([MEAN], dtype=tensor.dtype)
        std = torch.as_tensor([STD], dtype=tensor.dtype)
        if (std == 0).any():
            raise ValueError("the standard deviation is zero")
        return tensor.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))


def read_rows(in_dims):
    with open(os.environ["SAE_PEER_ROWS"], "rb") as file:
        rows = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).view(-1, FILE_WIDTH)
    return rows[:, :in_dims].contiguous()


def forever(epoch):
    """The items of one epoch after another, each in an order of its own."""
    while True:
        yield from epoch()


class Original:
    def __init__(self, in_dims, h_dims, batch_size):
        self.model = Autoencoder(in_dims, h_dims).to(DEVICE)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LR)
        digits = Digits(read_rows(in_dims).view(-1, 28, in_dims // 28))
        loader = DataLoader(digits, batch_size=batch_size, shuffle=True)
        self.batches = forever(lambda: iter(loader))

    def run(self, steps):
        total = 0.0
        for _ in range(steps):
            x, _labels = next(self.batches)
            x = x.view(x.size(0), -1).to(DEVICE)
            self.optimizer.zero_grad()
            loss = loss_of(self.model, x)
            loss.backward()
            self.optimizer.step()
            total += loss.item()  # the original reads it every step
        return total / steps


class Preloaded:
    def __init__(self, in_dims, h_dims, batch_size):
        self.batch_size = batch_size
        self.rows = read_rows(in_dims).to(DEVICE).float().div_(255).sub_(MEAN).div_(STD)
        self.model = Autoencoder(in_dims, h_dims).to(DEVICE)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LR, **self.adam_options())
        self.indices = forever(lambda: torch.randperm(len(self.rows), device=DEVICE).split(batch_size))
        self.start()

    def adam_options(self):
        return {}

    def start(self):
        self.loss = loss_of

    def step(self, index):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model, self.rows[index])
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def run(self, steps):
        losses = [self.step(next(self.indices)) for _ in range(steps)]
        return lambda: torch.stack(losses).mean().item()


class Compiled(Preloaded):
    """Whole batches only, so that one shape is compiled. Adam is compiled too."""

    def start(self):
        self.loss = torch.compile(loss_of, dynamic=False)
        self.update = torch.compile(self.optimizer.step, dynamic=False)
        whole = lambda: (i for i in torch.randperm(len(self.rows), device=DEVICE).split(self.batch_size) if len(i) == self.batch_size)
        self.indices = forever(whole)

    def step(self, index):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model, self.rows[index])
        loss.backward()
        self.update()
        return loss.detach()


class Graphs(Preloaded):
    """A step is one launch: the place in the order of rows and the sum of losses are on the device and in the graph."""

    def adam_options(self):
        options = {"capturable": True}
        if int(torch.__version__.split(".")[0]) >= 2:
            options["fused"] = True
        return options

    def start(self):
        self.batches = len(self.rows) // self.batch_size
        self.order = torch.randperm(len(self.rows), device=DEVICE)
        self.place = torch.zeros((), dtype=torch.int64, device=DEVICE)
        self.range = torch.arange(self.batch_size, device=DEVICE)
        self.total = torch.zeros((), device=DEVICE)
        self.done = 0
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.one()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.one()

    def one(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = loss_of(self.model, self.rows[self.order[self.place + self.range]])
        loss.backward()
        self.optimizer.step()
        self.place += self.batch_size
        self.total += loss.detach()

    def run(self, steps):
        self.total.zero_()
        for _ in range(steps):
            if self.done % self.batches == 0:
                self.order.copy_(torch.randperm(len(self.rows), device=DEVICE))
                self.place.zero_()
            self.done += 1
            self.graph.replay()
        return lambda: self.total.item() / steps


VARIANTS = {"original": Original, "preloaded": Preloaded, "compile": Compiled, "graphs": Graphs}


def has_reference_blas():
    """Whether matrices are multiplied by the reference BLAS, as in Debian's PyTorch with no better one installed."""
    torch.mm(torch.ones(8, 8), torch.ones(8, 8))
    try:
        with open("/proc/self/maps") as maps:
            return "BLAS_INFO=generic" in torch.__config__.show() and re.search(r"/blas/libblas\.so", maps.read()) is not None
    except OSError:
        return False


def hello():
    if DEVICE == "cuda" and not torch.cuda.is_available():
        raise Skip("PyTorch sees no CUDA device.")
    if VARIANT == "graphs" and DEVICE != "cuda":
        raise Skip("CUDA graphs need CUDA.")
    if VARIANT == "compile" and not hasattr(torch, "compile"):
        raise Skip(f"PyTorch {torch.__version__} has no torch.compile: it came with 2.0.")
    answer = {"versions": {"PyTorch": torch.__version__, "Python": sys.version.split()[0]}, "notes": []}
    if VARIANT == "original" and Image is None:
        answer["notes"].append(
            "without PIL or numpy, a sample is not made an image on its way: its loop is a little faster here than the original's is"
        )
    if DEVICE == "cpu" and has_reference_blas():
        answer["notes"].append(
            "its matrix products come from the slow reference BLAS: apt-get install libopenblas0-pthread makes it several times faster"
        )
    if DEVICE == "cuda":
        answer["adapter"] = torch.cuda.get_device_name()
        answer["versions"]["CUDA"] = torch.version.cuda
    return answer


trainer = None


def prepare(in_dims, h_dims, batch_size):
    global trainer
    trainer = None
    torch.manual_seed(42)
    trainer = VARIANTS[VARIANT](in_dims, h_dims, batch_size)
    return turn(1)


def turn(steps):
    settle()
    began = time.perf_counter()
    loss = trainer.run(steps)
    settle()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "steps": steps, "loss": loss() if callable(loss) else loss}


def gemm(size, times):
    a, b, c = (torch.rand(size, size, device=DEVICE) for _ in range(3))
    torch.mm(a, b, out=c)
    settle()
    began = time.perf_counter()
    for _ in range(times):
        torch.mm(a, b, out=c)
    settle()
    return {"seconds": time.perf_counter() - began, "times": times}


def attempt(make):
    try:
        say(make())
    except Skip as skip:
        say({"failed": str(skip)})
    except Exception as error:
        if os.environ.get("DEBUG") == "sae":
            raise
        lines = str(error).strip().splitlines() or [""]
        say({"failed": f"{type(error).__name__}: {lines[0][:300]}"})


attempt(hello)
for line in sys.stdin:
    request = json.loads(line)
    action = {"prepare": prepare, "turn": turn, "gemm": gemm}[request.pop("do")]
    attempt(lambda: action(**request))
