"""PyTorch as a peer: python3 torch_peer.py original|preloaded|by-hand|compile|graphs|compiled-graphs cpu|cuda

Answers one JSON object a line for one that it is asked on standard input, as the JavaScript peers do (see peer.mjs).
  original         the training loop of the PyTorch original, in our own words: a DataLoader over images of a processor's memory,
                   each made a PIL image and turned into a normalised tensor by itself, as torchvision's MNIST, ToTensor and
                   Normalize do
  preloaded        normalised rows on the device, one index a batch, autograd, no reading of the loss between steps
  by-hand          the same without autograd: the backward pass and Adam written out, into tensors made beforehand
  compile          preloaded, with forward and backward through torch.compile
  graphs           preloaded, a whole step (indexing, backward, Adam) recorded once as a CUDA graph and replayed
  compiled-graphs  both
"""
import json
import os
import re
import sys
import time

VARIANT, DEVICE = sys.argv[1:3]
# Before cuBLAS is loaded: single precision is single precision. See also has_tf32.
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"


class Skip(Exception):
    """What this peer cannot do here, in a sentence."""


def say(answer):
    if answer.get("loss") is not None and answer["loss"] != answer["loss"]:
        answer["loss"] = None  # not a number, which JSON cannot say
    print(json.dumps(answer), flush=True)


try:
    import torch
except ImportError:
    say({"failed": "python3 has no torch."})
    sys.exit(0)

import torch_loops

LOOPS = {
    "original": torch_loops.Original,
    "preloaded": torch_loops.Preloaded,
    "by-hand": torch_loops.ByHand,
    "compile": torch_loops.Compiled,
    "graphs": torch_loops.Graphs,
    "compiled-graphs": torch_loops.CompiledGraphs,
}

if DEVICE == "cpu":
    # As many as the runner's OMP_NUM_THREADS says. With several, small batches get slower: two pools of threads fight over them.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    # The moments of dead weights decay into denormal numbers, which cost a processor several times as much.
    torch.set_flush_denormal(VARIANT != "original")
torch.set_float32_matmul_precision("highest")


def settle():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def has_reference_blas():
    """Whether matrices are multiplied by the reference BLAS, as in Debian's PyTorch with no better one installed."""
    torch.mm(torch.ones(8, 8), torch.ones(8, 8))
    try:
        with open("/proc/self/maps") as maps:
            return "BLAS_INFO=generic" in torch.__config__.show() and re.search(r"/blas/libblas\.so", maps.read()) is not None
    except OSError:
        return False


def has_tf32():
    """Whether products are of numbers that were rounded to TF32's ten bits."""
    x = torch.full((256, 256), 1 + 2**-12, device=DEVICE)
    return torch.mm(x, x)[0, 0].item() == 256


def hello():
    if DEVICE == "cuda" and not torch.cuda.is_available():
        raise Skip("PyTorch sees no CUDA device.")
    if "graphs" in VARIANT and DEVICE != "cuda":
        raise Skip("CUDA graphs need CUDA.")
    if VARIANT.startswith("compile") and not hasattr(torch, "compile"):
        raise Skip(f"PyTorch {torch.__version__} has no torch.compile: it came with 2.0.")
    answer = {"versions": {"PyTorch": torch.__version__, "Python": sys.version.split()[0]}, "notes": []}
    if VARIANT == "original" and torch_loops.Image is None:
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
        if has_tf32():
            answer["notes"].append("its matrix products are in TF32, not in single precision: its times do not compare")
    return answer


trainer = None


def prepare(in_dims, h_dims, batch_size, k=None):
    global trainer
    trainer = None
    torch.manual_seed(42)
    if k is None:
        trainer = LOOPS[VARIANT](in_dims, h_dims, batch_size, DEVICE)
    else:
        trainer = torch_loops.Selected(in_dims, h_dims, batch_size, DEVICE, k)
    return turn(1)


def turn(steps):
    settle()
    began = time.perf_counter()
    loss = trainer.run(steps)
    settle()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "steps": steps, "loss": loss() if callable(loss) else loss}


def gemm(size, times):
    a, b, c = (torch.rand(size, size, device=DEVICE) - 0.5 for _ in range(3))
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
        message = " ".join(str(error).split())
        say({"failed": f"{type(error).__name__}: {message[:300]}"})


attempt(hello)
for line in sys.stdin:
    request = json.loads(line)
    action = {"prepare": prepare, "turn": turn, "gemm": gemm}[request.pop("do")]
    attempt(lambda: action(**request))
