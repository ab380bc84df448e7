"""The training loops that PyTorch is measured with. Each is made from in_dims, h_dims, batch_size and a device; run(steps) gives
the mean loss of the steps, or a function that reads it from the device."""
import math
import os

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

try:
    import numpy
    from PIL import Image
except ImportError:
    Image = None

LR, LAMBDA, TARGET = 1e-4, 0.2, 0.01
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
MEAN, STD = 0.1307, 0.3081
FILE_WIDTH = 784


class Autoencoder(nn.Module):
    def __init__(self, in_dims, h_dims):
        super().__init__()
        widths = [in_dims, *h_dims]
        self.encoder = self.stack(widths, True)
        self.decoder = self.stack(widths[::-1], False)

    @staticmethod
    def stack(widths, last_activation):
        modules = []
        for inputs, outputs in zip(widths, widths[1:]):
            modules += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*(modules if last_activation else modules[:-1]))

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


def compiled_loss():
    """loss_of for one shape, with its backward pass. What was compiled for other shapes is forgotten: PyTorch keeps but a few."""
    torch._dynamo.reset()
    return torch.compile(loss_of, dynamic=False)


def adam(model, **options):
    """Adam, in PyTorch's one fused kernel where this version has it for the device."""
    parameters = list(model.parameters())
    if int(torch.__version__.split(".")[0]) >= 2:
        try:
            return torch.optim.Adam(parameters, lr=LR, fused=True, **options)
        except RuntimeError:
            pass  # on a processor it came with 2.4
    return torch.optim.Adam(parameters, lr=LR, **options)


def read_rows(in_dims):
    """The digits' bytes, [rows, in_dims]."""
    with open(os.environ["SAE_PEER_ROWS"], "rb") as file:
        rows = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).view(-1, FILE_WIDTH)
    return rows[:, :in_dims].contiguous()


def forever(epoch):
    """The items of one epoch after another, each in an order of its own."""
    while True:
        yield from epoch()


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
            picture = Image.fromarray(image.numpy())
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


class Original:
    def __init__(self, in_dims, h_dims, batch_size, device):
        self.device = device
        self.model = Autoencoder(in_dims, h_dims).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LR)
        digits = Digits(read_rows(in_dims).view(-1, 28, in_dims // 28))
        loader = DataLoader(digits, batch_size=batch_size, shuffle=True)
        self.batches = forever(lambda: iter(loader))

    def run(self, steps):
        total = 0.0
        for _ in range(steps):
            x, _labels = next(self.batches)
            x = x.view(x.size(0), -1).to(self.device)
            self.optimizer.zero_grad()
            loss = loss_of(self.model, x)
            loss.backward()
            self.optimizer.step()
            total += loss.item()  # the original reads it every step
        return total / steps


class Preloaded:
    """All rows, normalised, on the device; the loss is read once, after all steps."""

    whole_batches = False

    def __init__(self, in_dims, h_dims, batch_size, device):
        self.device, self.batch_size = device, batch_size
        self.rows = read_rows(in_dims).to(device).float().div_(255).sub_(MEAN).div_(STD)
        self.model = Autoencoder(in_dims, h_dims).to(device)
        self.indices = forever(self.epoch)
        self.start()

    def epoch(self):
        indices = torch.randperm(len(self.rows), device=self.device).split(self.batch_size)
        return (i for i in indices if len(i) == self.batch_size or not self.whole_batches)

    def start(self):
        self.optimizer = adam(self.model)

    loss_of = staticmethod(loss_of)

    def step(self, index):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(self.model, self.rows.index_select(0, index))
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def run(self, steps):
        losses = [self.step(next(self.indices)) for _ in range(steps)]
        return lambda: torch.stack(losses).mean().item()


class Selecting(nn.Module):
    """A sparse autoencoder of which the k largest latents of each row stay, as PyTorch's users write it: the others become 0,
    and all products are of whole matrices."""

    def __init__(self, in_dims, latents, k):
        super().__init__()
        self.encoder = nn.Linear(in_dims, latents)
        self.decoder = nn.Linear(latents, in_dims)
        self.k = k

    def forward(self, x):
        code = torch.relu(self.encoder(x - self.decoder.bias))
        values, indices = code.topk(self.k, dim=-1)
        return self.decoder(torch.zeros_like(code).scatter_(-1, indices, values))


class Selected(Preloaded):
    """Such a model, on rows of normal numbers."""

    def __init__(self, in_dims, h_dims, batch_size, device, k):
        self.device, self.batch_size = device, batch_size
        self.rows = torch.randn(8192, in_dims, device=device)
        self.model = Selecting(in_dims, *h_dims, k).to(device)
        self.indices = forever(self.epoch)
        self.start()

    @staticmethod
    def loss_of(model, x):
        return (model(x) - x).pow(2).sum(-1).mean()


class Compiled(Preloaded):
    """Forward and backward compiled, for one shape: whole batches only."""

    whole_batches = True

    def start(self):
        super().start()
        self.loss_of = compiled_loss()


class ByHand(Preloaded):
    """Nothing is allocated and nothing recorded: forward, backward and Adam write into tensors made beforehand. Parameters,
    gradients and moments are each one vector, so that Adam goes over them once."""

    whole_batches = True

    def start(self):
        linears = [module for module in self.model.modules() if isinstance(module, nn.Linear)]
        parameters = [p.detach() for linear in linears for p in (linear.weight, linear.bias)]
        self.parameters = torch.cat([p.reshape(-1) for p in parameters])
        self.gradients, self.first, self.second, self.root = (torch.zeros_like(self.parameters) for _ in range(4))
        views = lambda flat: [part.view_as(p) for part, p in zip(flat.split([p.numel() for p in parameters]), parameters)]
        weights, gradients = views(self.parameters), views(self.gradients)
        self.layers = list(zip(weights[::2], weights[1::2], gradients[::2], gradients[1::2]))
        self.code = len(self.layers) // 2 - 1
        empty = lambda *shape: torch.empty(*shape, device=self.device)
        self.x = empty(self.batch_size, self.rows.shape[1])
        self.outputs = [empty(self.batch_size, len(bias)) for _, bias, _, _ in self.layers]
        self.deltas = [torch.empty_like(output) for output in self.outputs]
        self.done = 0

    def step(self, index):
        inputs = [torch.index_select(self.rows, 0, index, out=self.x), *self.outputs[:-1]]
        for i, (weight, bias, _, _) in enumerate(self.layers):
            torch.addmm(bias, inputs[i], weight.t(), out=self.outputs[i])
            if i < len(self.layers) - 1:
                self.outputs[i].relu_()
        delta = torch.sub(self.outputs[-1], self.x, out=self.deltas[-1])
        q = self.outputs[self.code].mean(0).add_(1e-8)
        target = TARGET + 1e-8
        kl = -(target * torch.log(q) + (1 - target) * torch.log(1 - q)).sum()
        loss = torch.dot(delta.view(-1), delta.view(-1)) / delta.numel() + LAMBDA * kl
        delta.mul_(2 / delta.numel())
        slope = ((1 - target) / (1 - q)).sub_(target / q).mul_(LAMBDA / self.batch_size)
        for i in reversed(range(len(self.layers))):
            weight, _, weight_gradient, bias_gradient = self.layers[i]
            torch.mm(delta.t(), inputs[i], out=weight_gradient)
            torch.sum(delta, 0, out=bias_gradient)
            if i > 0:
                before = torch.mm(delta, weight, out=self.deltas[i - 1])
                if i - 1 == self.code:
                    before.add_(slope)
                # as autograd does for relu
                delta = torch.ops.aten.threshold_backward.grad_input(before, inputs[i], 0, grad_input=before)
        self.update()
        return loss

    def update(self):
        self.done += 1
        correction = math.sqrt(1 - BETA2**self.done)
        self.first.mul_(BETA1).add_(self.gradients, alpha=1 - BETA1)
        self.second.mul_(BETA2).addcmul_(self.gradients, self.gradients, value=1 - BETA2)
        torch.sqrt(self.second, out=self.root).add_(EPSILON * correction)
        self.parameters.addcdiv_(self.first, self.root, value=-LR * correction / (1 - BETA1**self.done))


class Graphs(Preloaded):
    """A step is one launch: the place in the order of rows and the sum of losses are on the device and in the graph."""

    def start(self):
        self.optimizer = adam(self.model, capturable=True)
        self.batches = len(self.rows) // self.batch_size
        self.order = torch.randperm(len(self.rows), device=self.device)
        self.range = torch.arange(self.batch_size, device=self.device)
        self.place = torch.zeros((), dtype=torch.int64, device=self.device)
        self.total = torch.zeros((), device=self.device)
        self.done = 0
        # As PyTorch's notes on CUDA graphs ask: some steps on another stream, which make Adam's state, cuBLAS's workspace and
        # what is compiled; then the capture, with no gradients, so that those it makes are the graph's own.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.one()
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.one()

    def one(self):
        index = self.order.index_select(0, self.place + self.range)
        self.total += self.step(index)
        self.place += self.batch_size

    def run(self, steps):
        self.total.zero_()
        for _ in range(steps):
            if self.done % self.batches == 0:
                self.order.copy_(torch.randperm(len(self.rows), device=self.device))
                self.place.zero_()
            self.done += 1
            self.graph.replay()
        return lambda: self.total.item() / steps


class CompiledGraphs(Graphs):
    """The same with the compiled forward and backward in the graph."""

    def start(self):
        self.loss_of = compiled_loss()
        super().start()
