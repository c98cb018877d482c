"""Measures how much a short recipe tells about networks in a second of CPU time.

    python benchmarks/recipe_signal.py /tmp/recipe_signal.jsonl --minutes 30
    python benchmarks/recipe_signal.py /tmp/recipe_signal.jsonl --analyse

Eight networks of the space ``stages_ratio`` are trained in the same replicates under each setting,
as a run trains them: through ``evaluate``, on one thread, with images that each replicate draws. A
training is a line of the file, and a later call goes on where an earlier one stopped.

How to read the table: accuracy(network, replicate) = network + level of the replicate + rest (a
two-way random-effects model of Searle et al., Variance Components, ch. 4). ``networks`` is the
standard deviation of what the networks differ by, from the mean squares, so that noise does not
count as signal; its 95 % interval is that of the F distribution, exact for the ratio to the rest.
``rest`` is the standard deviation that is left within a replicate: the noise of a training, as a
search sees it; its interval is that of the chi-square distribution. Both are in points. ``seconds``
are of CPU time for a training with its validation. ``noise x s`` is the variance of the rest times
seconds: of two recipes with equal signal, the one with the smaller product tells as much in less
time. ``merit`` is the variance of the networks divided by that product, and ``minutes`` the CPU
time until a difference between two networks of one ``networks`` is twice its standard error. Rows
for fewer validation images than were used are calculated: the rest gains the variance of the images
that are left out, which the bits of correctness tell, and the seconds lose their time. The rows
``test`` are about the test images, which all replicates share.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.models.catalogue import describe_backbone
from se_search.recipe import Recipe, read_recipe
from se_search.record import Assignment, Evaluation
from se_search.store.files import unpack_bits
from se_search.training.datasets import prepare_data

BACKBONE = describe_backbone("resnet20_bottleneck", 1, 28, 10)
NUM_POOL = 60_000
NUM_VALIDATION = 10_000
NUM_TEST = 10_000
SIZES = (2_500, 5_000, NUM_VALIDATION)
NETWORKS = {
    "no SE": "all=none",
    "all r16": "all=standard:r16",
    "all r4": "all=standard:r4",
    "r16, not stage 5": "all=standard:r16/stage5=none",
    "stage 2 r16": "stage2=standard:r16",
    "stage 3 r16": "stage3=standard:r16",
    "stage 4 r16": "stage4=standard:r16",
    "stage 5 r16": "stage5=standard:r16",
}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What a recipe changes in the recipe ``quick``.

    Attributes:
        images: that train.
        lr: peak learning rate.
    """

    images: int
    epochs: int
    batch_size: int = 64
    lr: float = 0.2

    def __str__(self) -> str:
        return f"{self.images:,} x {self.epochs}, batch {self.batch_size}, lr {self.lr:g}"

    @property
    def recipe(self) -> Recipe:
        """The recipe, with more images that validate than a search would take."""
        quick = read_recipe("quick")
        fraction = self.images / (NUM_POOL - NUM_VALIDATION)
        return quick.model_copy(
            update={
                "epochs": self.epochs,
                "batch_size": self.batch_size,
                "optimizer": quick.optimizer.model_copy(update={"lr": self.lr}),
                "split": quick.split.model_copy(
                    update={"validation": NUM_VALIDATION, "fraction": fraction}
                ),
            }
        )


# The settings of one group are trained replicate by replicate before the next group begins.
GROUPS = (
    (Setting(2_000, 4), Setting(6_000, 3), Setting(8_000, 3, 128, 0.4)),
    (Setting(4_500, 4), Setting(6_000, 4, 128, 0.4), Setting(8_000, 2)),
)


def train(
    path: Path,
    minutes: float,
    num_replicates: int,
    device: Device,
    evaluate: Callable[..., Evaluation],
) -> None:
    """Train what the file lacks, and append it, until the time is over."""
    stop = time.monotonic() + 60 * minutes
    done = {_id(row) for row in read_rows(path)}
    for setting, replicate, name in list_trainings(num_replicates):
        row: dict[str, Any] = {**asdict(setting), "replicate": replicate, "network": name}
        if _id(row) in done:
            continue
        if time.monotonic() > stop:
            return
        recipe = setting.recipe
        data = prepare_data("fashion_mnist", None, None, recipe)
        assignment = Assignment(_candidate(NETWORKS[name]), replicate, setting.epochs)
        started = time.process_time()
        outcome = evaluate(assignment, data, recipe, device, with_test=True)
        row |= {
            "precision": device.precision,
            "cpu_seconds": time.process_time() - started,
            "inference_seconds": _time_inference(name, device.precision),
            "accuracy": outcome.accuracy,
            "test_accuracy": outcome.history[-1]["test_accuracy"],
            "correct": base64.b64encode(outcome.correct).decode(),
        }
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def list_trainings(num_replicates: int) -> Iterator[tuple[Setting, int, str]]:
    """Yield setting, replicate and network in an order that may stop after any replicate."""
    for group in GROUPS:
        for replicate in range(num_replicates):
            for setting in group:
                for name in NETWORKS:
                    yield setting, replicate, name


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the trainings of a file; none if it is not there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@dataclass(frozen=True)
class Components:
    """What a two-way random-effects model finds in accuracies ``(networks, replicates)``.

    Attributes:
        networks: variance of the networks' effects; negative estimates are kept.
        networks_interval: its 95 % interval for this ``rest``: that of their ratio, which the F
            distribution gives, times ``rest``.
        level: variance of the replicates' levels; negative estimates are kept.
        rest: variance of a training within its replicate.
        rest_interval: its 95 % interval, from the chi-square distribution.
    """

    networks: float
    networks_interval: tuple[float, float]
    level: float
    rest: float
    rest_interval: tuple[float, float]


def decompose(accuracies: Floats) -> Components:
    """Estimate the components of variance from the crossed mean squares."""
    num_networks, num_replicates = accuracies.shape
    means = accuracies.mean(axis=1)
    levels = accuracies.mean(axis=0)
    residuals = accuracies - means[:, None] - levels + accuracies.mean()
    of_networks, of_rest = num_networks - 1, (num_networks - 1) * (num_replicates - 1)
    rest = float((residuals**2).sum()) / of_rest
    square = num_replicates * float(means.var(ddof=1))
    low, high = (
        (square / stats.f.ppf(q, of_networks, of_rest) - rest) / num_replicates
        for q in (0.975, 0.025)
    )
    scale = of_rest * rest
    return Components(
        networks=(square - rest) / num_replicates,
        networks_interval=(low, high),
        level=float(levels.var(ddof=1)) - rest / num_networks,
        rest=rest,
        rest_interval=(
            scale / stats.chi2.ppf(0.975, of_rest),
            scale / stats.chi2.ppf(0.025, of_rest),
        ),
    )


def variance_of_an_image(correct: NDArray[np.bool_]) -> float:
    """Return the variance that one image adds within a replicate, of bits ``(networks, images)``.

    What makes an image hard for all networks is in the level, and is taken out.
    """
    bits = correct.astype(np.float64)
    residuals = bits - bits.mean(axis=0) - bits.mean(axis=1, keepdims=True) + bits.mean()
    return float((residuals**2).sum() / ((bits.shape[0] - 1) * (bits.shape[1] - 1)))


def analyse(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table in Markdown; settings with fewer than two whole replicates are left out."""
    lines = [
        "| setting | validation | replicates | networks | level | rest | seconds | noise x s | "
        "merit | minutes |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for setting in (setting for group in GROUPS for setting in group):
        own = {(r["network"], r["replicate"]): r for r in rows if _setting(r) == setting}
        whole = [r for r in range(1_000) if all((name, r) in own for name in NETWORKS)]
        if len(whole) < 2:
            continue
        blocks = [[own[name, replicate] for replicate in whole] for name in NETWORKS]
        for num_validation in (*SIZES, 0):
            lines.append(_describe(setting, num_validation, blocks))
    return "\n".join(lines)


def _describe(
    setting: Setting, num_validation: int, blocks: Sequence[Sequence[Mapping[str, Any]]]
) -> str:
    """Return a row of the table; without validation images it is about the test images."""
    measure = "accuracy" if num_validation else "test_accuracy"
    found = decompose(100 * np.array([[row[measure] for row in block] for block in blocks]))
    added = 0.0
    if num_validation:
        replicates = zip(*blocks, strict=True)
        bits = [np.array([_bits(row["correct"]) for row in replicate]) for replicate in replicates]
        image = 1e4 * float(np.mean([variance_of_an_image(each) for each in bits]))
        added = image * (1 / num_validation - 1 / NUM_VALIDATION)
    num_left_out = NUM_VALIDATION + NUM_TEST - (num_validation or NUM_VALIDATION)
    times = [
        row["cpu_seconds"] - num_left_out * row["inference_seconds"]
        for block in blocks
        for row in block
    ]
    seconds = float(np.mean(times))
    rest = found.rest + added
    low, high = (math.sqrt(end + added) for end in found.rest_interval)
    merit = found.networks / (rest * seconds)
    minutes = 16 * rest * seconds / found.networks / 60 if found.networks > 0 else math.inf
    ends = " to ".join(f"{_root(end):.2f}" for end in found.networks_interval)
    return (
        f"| {setting} | {f'{num_validation:,}' if num_validation else 'test'} | {len(blocks[0])} | "
        f"{_root(found.networks):.2f} ({ends}) | {_root(found.level):.2f} | "
        f"{math.sqrt(rest):.2f} ({low:.2f} to {high:.2f}) | {seconds:.1f} | {rest * seconds:.2f} | "
        f"{merit:.3f} | {minutes:.0f} |"
    )


def _root(variance: float) -> float:
    return math.sqrt(max(0.0, variance))


def _bits(text: str) -> NDArray[np.bool_]:
    return unpack_bits(base64.b64decode(text), NUM_VALIDATION)


def _candidate(text: str) -> Candidate:
    return Candidate.parse(f"{BACKBONE.name}/{text}", BACKBONE)


def _setting(row: Mapping[str, Any]) -> Setting:
    return Setting(row["images"], row["epochs"], row["batch_size"], row["lr"])


def _id(row: Mapping[str, Any]) -> tuple[Setting, int, str]:
    return _setting(row), row["replicate"], row["network"]


@cache
def _time_inference(name: str, precision: str, num_batches: int = 4) -> float:
    """Return the CPU seconds for an image in a validation, measured once for each network."""
    import torch

    from se_search.models.memory_layout import lay_channels_last
    from se_search.models.surgery import build

    model = build(_candidate(NETWORKS[name]), 0).eval()
    lay_channels_last(model)
    images = torch.zeros(1_000, 1, 28, 28).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", enabled=precision == "bf16-mixed"):
        model(images)
        started = time.process_time()
        for _ in range(num_batches):
            model(images)
        return (time.process_time() - started) / (num_batches * len(images))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", type=Path, help="JSON lines, a training each")
    parser.add_argument("--minutes", type=float, default=30, help="begin no training after these")
    parser.add_argument("--replicates", type=int, default=6, help="of each setting")
    parser.add_argument("--analyse", action="store_true", help="train nothing, print the table")
    options = parser.parse_args()
    if not options.analyse:
        from se_search.training.evaluate import evaluate
        from se_search.training.task import probe_hardware

        device = Device("cpu", 0, 1, probe_hardware().auto_precision)
        train(options.file, options.minutes, options.replicates, device, evaluate)
    print(analyse(read_rows(options.file)))
