"""Replaces the gates of stages by their means in SE everywhere, for every subset of the stages.

    python benchmarks/gates/ablate.py       # goes on where it was stopped, after make.py

In each replicate that make.py has trained whole, SE everywhere is trained again, to the bits that
it had (they are compared), and keeps its gates in the stages of a subset. In the other stages each
channel's gate is its mean over the images that trained. A line a replicate is added to
``raw/CASE.ablated``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.gates.definition import CASES, RAW, Case, name_stages
from benchmarks.nas_bench_se_2.table import NASBenchSE2
from se_search.device import Device
from se_search.models.surgery import build
from se_search.record import Assignment
from se_search.store.files import pack_bits
from se_search.store.training_log import LogContents, read_log
from se_search.training.data import make_data
from se_search.training.datasets import PreparedData, prepare_data
from se_search.training.evaluate import train
from se_search.training.gates import read_gates

NICENESS = 19


def main() -> int:
    """Ablate what is missing; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", choices=CASES, default="default")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder of the logs")
    options = parser.parse_args()
    os.nice(NICENESS)
    case = CASES[options.case]
    log = read_log(options.raw / f"{options.case}.jsonl")
    assert log is not None, "make.py has trained nothing yet"
    precision = log.environments[0]["precision"]
    device = Device("cpu", 0, 1, precision)
    data = prepare_data(case.data, None, None, case.recipe)
    path = options.raw / f"{options.case}.ablated"
    done = {json.loads(line)["replicate"] for line in path.open()} if path.exists() else set()
    for replicate in list_complete(case, log):
        if replicate in done:
            continue
        line = ablate(case, data, replicate, find_correct(case, log, replicate), device)
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(
            f"{time.strftime('%H:%M:%S')} replicate {replicate}: {line['validation']}", flush=True
        )
    return 0


def list_complete(case: Case, log: LogContents) -> list[int]:
    """Return the replicates in which every subset that is not published has been trained."""
    trained = {(training.key, training.seed) for training in log.trainings}
    keys = {case.candidate(stages).key for stages in case.subsets} - case.published_keys
    return [
        replicate
        for replicate in range(case.num_replicates)
        if all((key, replicate) in trained for key in keys)
    ]


def find_correct(case: Case, log: LogContents, replicate: int) -> bytes:
    """Return which validation images SE everywhere has right in a replicate, as packed bits."""
    candidate = case.candidate(case.backbone.stages)
    if candidate.key in case.published_keys:
        return pack_bits(NASBenchSE2.read().query(candidate, replicate).validation_correct)
    trained = {(training.key, training.seed): training for training in log.trainings}
    return trained[candidate.key, replicate].correct


def ablate(
    case: Case, data: PreparedData, replicate: int, correct: bytes, device: Device
) -> dict[str, object]:
    """Return the accuracies of one replicate by the stages that keep their gates.

    Args:
        case: whose SE everywhere it is.
        data: the data set.
        replicate: in which it is trained again.
        correct: which validation images it had right, as packed bits.
        device: where it is trained.
    """
    candidate = case.candidate(case.backbone.stages)
    model = build(candidate, replicate)
    assignment = Assignment(candidate, replicate, case.epochs)
    again = train(model, assignment, data, case.recipe, device)
    images = make_data(data, case.recipe, replicate, case.in_channels)
    images.setup("validate")
    images.setup("test")
    replaced = {
        kept: tuple(site.name for site in case.backbone.sites if site.stage not in kept)
        for kept in case.subsets
    }
    accuracies: dict[str, object] = {
        "replicate": replicate,
        "is_repeated": again.correct == correct,
    }
    for part, batches in (
        ("validation", images.val_dataloader()),
        ("test", images.test_dataloader()),
    ):
        reading = read_gates(
            model,
            images.plain_dataloader("train", data.info.num_used),
            batches,
            case.num_classes,
            [sites for sites in replaced.values() if sites],
        )
        whole = {(): reading.correct, **reading.without}
        accuracies[part] = {
            name_stages(kept): float(whole[sites].mean()) for kept, sites in replaced.items()
        }
        if part == "validation":
            accuracies["gates"] = {
                site: {
                    name: getattr(block, name)
                    for name in (
                        *("mean", "sd_channels", "sd_images", "class_share"),
                        *("near_zero", "near_one", "near_constant"),
                    )
                }
                for site, block in reading.blocks.items()
            }
    return accuracies


if __name__ == "__main__":
    sys.exit(main())
