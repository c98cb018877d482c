"""Measures what it takes to keep the weights of a search, in CPU time.

    python benchmarks/kept_weights.py [--data digits] [--epochs 3] [--pairs 30]

One candidate is trained again and again in this process, in turns with and without a file that
takes its weights; which comes first alternates. Printed are the CPU time of a training, the median
difference of a pair with its 95 % interval (of the sign test), and its share of a training; then
what the coordinator takes for each trial of a search that has 200 trials, and once at its end.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import binom

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.device import Device
from se_search.models.catalogue import describe_backbone
from se_search.models.memory_layout import lay_channels_last
from se_search.models.surgery import build
from se_search.recipe import read_recipe
from se_search.record import Assignment, Evaluation, TrialRecord
from se_search.search.weights_keeper import Keeping, WeightsKeeper
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.store.kept_weights import KeptWeights
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.fit_front import fit_front
from se_search.training.datasets import describe_data, prepare_data
from se_search.training.evaluate import evaluate
from se_search.training.final_weights import keep_weights

DEVICE = Device("cpu", 0, 1, "32-true")
NUM_TRIALS = 200


def measure_pairs(data: str, epochs: int, num_pairs: int, folder: Path) -> None:
    """Print what keeping takes of a training."""
    info, recipe = describe_data(data, read_recipe("quick"))
    prepared = prepare_data(data, None, None, recipe)
    backbone = describe_backbone(
        "resnet20_bottleneck", info.channels, info.image_size, info.num_classes
    )
    candidate = Candidate.parse("all=standard:r16", backbone)
    file = folder / "weights" / "0123456789ab-0-1.safetensors"

    def train(weights_file: Path | None) -> float:
        began = time.process_time()
        evaluate(Assignment(candidate, 0, epochs, weights_file), prepared, recipe, DEVICE)
        return time.process_time() - began

    train(None)  # imports and caches
    with_file, without = [], []
    for number in range(num_pairs):
        order = (file, None) if number % 2 else (None, file)
        for each in order:
            (without if each is None else with_file).append(train(each))
    differences = np.sort(np.subtract(with_file, without))
    rank = int(binom.ppf(0.025, num_pairs, 0.5))  # the sign test's interval of a median
    usual = statistics.median(without)
    low, middle, high = differences[rank - 1], np.median(differences), differences[-rank]
    print(
        f"{data}, {epochs} epochs: {usual:.3f} s of CPU a training; keeping adds "
        f"{1000 * middle:.1f} ms ({1000 * low:.1f} to {1000 * high:.1f}), "
        f"{100 * middle / usual:.2f} % ({100 * low / usual:.2f} to {100 * high / usual:.2f}); "
        f"{num_pairs} pairs, {file.stat().st_size:,} bytes a file"
    )


def measure_writing(folder: Path) -> None:
    """Print what a training's process takes to write the file, alone."""
    backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
    candidate = Candidate.parse("all=standard:r16", backbone)
    model = build(candidate, 0)
    lay_channels_last(model)
    assignment = Assignment(candidate, 0, 1, folder / "alone.safetensors")
    times = []
    for _ in range(50):
        began = time.process_time()
        keep_weights(model, assignment, read_recipe("quick"), {"accuracy": 0.5}, "a CPU")
        times.append(1000 * (time.process_time() - began))
    quarters = statistics.quantiles(times, n=4)
    print(
        f"Writing alone: {quarters[1]:.1f} ms of CPU (quartiles {quarters[0]:.1f} and "
        f"{quarters[2]:.1f}), {folder.joinpath('alone.safetensors').stat().st_size:,} bytes"
    )


def measure_coordinator(folder: Path) -> None:
    """Print what the coordinator takes."""
    backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
    folder = folder / "run"
    folder.mkdir()
    space = BoundSpace(read_space("stages_ratio"), backbone)
    rng = np.random.default_rng(0)
    records = [
        make_record(number, space.candidate_at(int(rng.integers(space.size))), number % 8, rng)
        for number in range(NUM_TRIALS)
    ]
    question = Question(("accuracy", "params"), 3, 0.1, 10_000, 0.002)
    keeper = WeightsKeeper(
        KeptWeights(folder),
        Keeping("front", 10**9, 3),
        lambda: records,
        lambda known: fit_front(known, space, question),
    )
    began = time.process_time()
    for record in records:
        assignment = Assignment(space.parse(record.candidate), record.seed, record.epochs)
        path = keeper.assign(record.number, assignment).weights_file
        if path is not None:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"")
        keeper.end(record.number, Evaluation(0.9, 0.5, (), b"", 0.0))
    each = (time.process_time() - began) / NUM_TRIALS
    front = fit_front(records, space, question)  # a report fits it anyway, and finds it kept
    began = time.process_time()
    keeper.finish(front)
    last = time.process_time() - began
    print(
        f"Coordinator: {1000 * each:.2f} ms of CPU a trial with {NUM_TRIALS} trials, "
        f"{1000 * last:.1f} ms at the end; {len(KeptWeights(folder).list_names())} of "
        f"{len({record.key for record in records})} candidates stay"
    )


def make_record(
    number: int, candidate: Candidate, seed: int, rng: np.random.Generator
) -> TrialRecord:
    """Return a trial with a made-up accuracy; the first eight are the plain network's."""
    if number < 8:
        candidate = Candidate.plain(candidate.backbone)
    cost = count_cost(candidate)
    accuracy = float(0.9 + 0.003 * rng.standard_normal())
    return TrialRecord(
        *(number, "COMPLETE", str(candidate), candidate.key, candidate.placement, seed, 3),
        *(accuracy, 0.5, cost.params, cost.added_params, cost.added_params_pct),
        *(cost.macs, cost.added_macs, 1.0, None),
    )


def main() -> None:
    """Print both measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=30, help="0: no trainings")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        if options.pairs:
            measure_pairs(options.data, options.epochs, options.pairs, Path(folder))
        measure_writing(Path(folder))
        measure_coordinator(Path(folder))


if __name__ == "__main__":
    main()
