"""Checks what no CPU can: trainings on a GPU, their repeatability, accuracy and speed.

    python benchmarks/gpu_check.py --data-dir FOLDER

Needs one GPU, Fashion-MNIST (the Debian package ``dataset-fashion-mnist``, or a copy), no network,
and three minutes. Prints a line for each check, and ends with exit code 1 if one failed:

- the same training twice gives the same bits;
- a training on the GPU and one on the CPU end within three points of each other;
- what an epoch takes by ``evaluate``, against a plain loop of the same steps;
- what a step takes with and without CUDA graphs (``torch.cuda.make_graphed_callables``);
- what SE adds to a batch through ResNet-50, with its noise floor, and how far sums are off.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its customary name

from se_search.candidate import Candidate
from se_search.cost import find_allowed
from se_search.device import Device
from se_search.latency.measure import make_table, plan_measurement, time_structures
from se_search.latency.settings import LatencySettings
from se_search.models.catalogue import describe_backbone
from se_search.models.memory_layout import lay_channels_last
from se_search.models.surgery import build
from se_search.recipe import Recipe, read_recipe
from se_search.record import Assignment
from se_search.report.latency import describe_latency
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.training.classifier import make_optimizer
from se_search.training.data import make_data
from se_search.training.datasets import PreparedData, prepare_data
from se_search.training.evaluate import evaluate
from se_search.training.latency_bench import TorchBench, probe_latency
from se_search.training.repeatable import make_cuda_repeatable

RECIPE = Path(__file__).parent.parent / "studies/recipes/gpu.yaml"
GPU = Device("cuda", 0, 1, "32-true")
CPU = Device("cpu", 0, os.cpu_count() or 1, "32-true")
BACKBONES = ("resnet20_bottleneck", "mobilenet_small")
NUM_STEPS = 90
NUM_WARM_UP = 20
MAX_DIFFERENCE = 0.03  # of two accuracies after so short a training
EPOCHS = 3
LATENCY_SECONDS = 60.0
MAX_FLOOR = 2.0  # per cent of the plain network's time, on an idle GPU
MAX_SUM_ERROR = 2.0  # per cent of the plain network's time


def main() -> None:
    """Run the checks and print what they say."""
    arguments = parse_arguments()
    say(
        f"{torch.cuda.get_device_name(0)}; PyTorch {torch.__version__}, torchvision "
        f"{torchvision.__version__}, CUDA {torch.version.cuda}, cuDNN "
        f"{torch.backends.cudnn.version()}, Python {sys.version.split()[0]}"
    )
    recipe = read_recipe(str(RECIPE))
    data = prepare_data("fashion_mnist", arguments.data_dir, None, recipe)
    failed = []
    for name in BACKBONES:
        backbone = describe_backbone(name, 1, 28, 10)
        candidate = Candidate.parse(f"{name}/all=standard:r16", backbone)
        failed += [f"{what} of {name}" for what in check_trainings(candidate, data, recipe)]
        compare_loops(candidate, data, recipe)
    failed += check_latency()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    say("All checks passed")


def check_trainings(candidate: Candidate, data: PreparedData, recipe: Recipe) -> list[str]:
    """Train twice on the GPU and once on the CPU; return what was wrong."""
    assignment = Assignment(candidate, 0, EPOCHS)
    first, second = (evaluate(assignment, data, recipe, GPU, with_test=True) for _ in range(2))
    same = (first.history, first.correct) == (second.history, second.correct)
    say(f"{candidate.backbone.name}: the same bits twice: {same}")
    cpu = evaluate(assignment, data, recipe, CPU)
    say(
        f"{candidate.backbone.name}: accuracy after {EPOCHS} epochs: GPU "
        f"{100 * first.accuracy:.2f} % in {second.seconds:.1f} s, CPU {100 * cpu.accuracy:.2f} % "
        f"in {cpu.seconds:.1f} s with {CPU.threads} threads"
    )
    wrong = [] if same else ["repeatability"]
    return [*wrong, "accuracy"] if abs(first.accuracy - cpu.accuracy) > MAX_DIFFERENCE else wrong


def check_latency() -> list[str]:
    """Measure what SE adds to ResNet-50; return what failed."""
    settings = LatencySettings("cuda:0", 64, 1)
    backbone = describe_backbone("resnet50", 3, 224, 1000)
    allowed = find_allowed(BoundSpace(read_space("stages"), backbone))
    probe = probe_latency(Candidate.plain(backbone), settings)
    plan = plan_measurement(allowed, probe, LATENCY_SECONDS)
    timings = time_structures(TorchBench(settings), plan.structures, plan.rounds, plan.number)
    table = make_table(plan, probe, timings, None, os.cpu_count() or 1)
    for each in table.deltas:
        timing = each.timing
        say(
            f"resnet50, {each.block} in {each.places}: {timing.added_pct:+.2f} % "
            f"({timing.low:.2f} to {timing.high:.2f}) of the time for "
            f"{each.added_macs_pct * each.num_blocks:.3f} % of the MACs"
        )
    for line in describe_latency(table):
        say(line)
    error = table.sum_error
    assert error is not None
    failed = []
    if table.floor_pct > MAX_FLOOR:
        failed.append(f"a noise floor of at most {MAX_FLOOR} %")
    if error.median_pct > MAX_SUM_ERROR:
        failed.append(f"sums of latencies within {MAX_SUM_ERROR} % (median)")
    return failed


def compare_loops(candidate: Candidate, data: PreparedData, recipe: Recipe) -> None:
    """Say what a step takes by ``evaluate``, in a plain loop, and in one with CUDA graphs."""
    torch.set_num_threads(1)
    datamodule = make_data(data, recipe, 0, 1, 0)
    datamodule.setup("fit")
    batches = [(images.cuda(), labels.cuda()) for images, labels in datamodule.train_dataloader()]
    name = candidate.backbone.name
    for loop, graphed in (("a plain loop", False), ("a plain loop with CUDA graphs", True)):
        model = lay_out(build(candidate, 0))
        seconds, loss = time_steps(model, batches[:NUM_STEPS], recipe, graphed)
        say(f"{name}: {loop}: {1e3 * seconds:.2f} ms a step, last loss {loss!r}")
    whole = evaluate(Assignment(candidate, 0, 1), data, recipe, GPU)
    say(
        f"{name}: evaluate: {1e3 * whole.seconds / len(batches):.2f} ms a step, with the reading "
        "of the data and one evaluation of 10,000 images"
    )


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def lay_out(model: nn.Module) -> nn.Module:
    """Return the network as ``evaluate`` trains it."""
    make_cuda_repeatable(GPU.precision)
    lay_channels_last(model)
    return model.cuda().train()


def time_steps(
    model: nn.Module, batches: list[tuple[Tensor, Tensor]], recipe: Recipe, graphed: bool
) -> tuple[float, float]:
    """Train on batches and return the seconds a step took, and the last loss."""
    optimizer = make_optimizer(model, recipe.optimizer)
    network = model
    if graphed:
        state = {key: value.clone() for key, value in model.state_dict().items()}
        network = torch.cuda.make_graphed_callables(model, (torch.zeros_like(batches[0][0]),))
        model.load_state_dict(state)
        for parameter in model.parameters():
            parameter.grad = None
    for index, (images, labels) in enumerate(batches):
        if index == NUM_WARM_UP:
            torch.cuda.synchronize()
            started = time.monotonic()
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.cuda.synchronize()
    return (time.monotonic() - started) / (len(batches) - NUM_WARM_UP), float(loss.detach())


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="folder with the files of Fashion-MNIST")
    return parser.parse_args()


if __name__ == "__main__":
    main()
