"""Writes the published files of the evidence from the logs of probes and supernets.

    python benchmarks/ladder/publish.py --raw FOLDER

probes.csv has a row for each training of a probe, scores.csv one for each score that a supernet
gives a probe. Rows of problems whose logs are not in the folder stay. Trainings of NAS-Bench-SE 2
and of the studies are not repeated.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.ladder.definition import FOLDER, PROBLEMS, RAW
from benchmarks.ladder.supernets import read_supernets
from se_search.store.files import write_table
from se_search.store.training_log import read_log

PROBES = FOLDER / "probes.csv"
SCORES = FOLDER / "scores.csv"
PROBE_COLUMNS = (
    *("problem", "key", "candidate", "replicate", "validation_accuracy", "test_accuracy"),
    *("seconds", "device", "torch"),
)
SCORE_COLUMNS = (
    *("problem", "kind", "supernet", "positions", "key", "accuracy", "loss"),
    *("train_seconds", "score_seconds", "device", "torch"),
)

Row = tuple[object, ...]


def main() -> int:
    """Write both files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--raw", type=Path, default=RAW, help="folder of the logs")
    raw = parser.parse_args().raw
    write_table(PROBES, PROBE_COLUMNS, list(_list_probes(raw)))
    write_table(SCORES, SCORE_COLUMNS, list(_list_scores(raw)))
    return 0


def _list_probes(raw: Path) -> Iterator[Row]:
    for name in PROBLEMS:
        path = raw / f"{name}.jsonl"
        log = read_log(path) if path.exists() else None
        if log is None:
            yield from _list_published(PROBES, name)
        else:
            for one in sorted(log.trainings, key=lambda each: (each.seed, each.key)):
                last, ran_on = one.history[-1], one.ran_on
                assert ran_on is not None
                yield (
                    *(name, one.key, one.candidate, one.seed),
                    *(last["accuracy"], last["test_accuracy"], round(one.seconds, 2)),
                    *(ran_on.device, ran_on.torch),
                )


def _list_scores(raw: Path) -> Iterator[Row]:
    for name in PROBLEMS:
        lines = list(read_supernets(raw / f"{name}-supernets.jsonl"))
        if not lines:
            yield from _list_published(SCORES, name)
        for line in sorted(lines, key=lambda each: (each["kind"], each["number"])):
            for key, (accuracy, loss) in line["scores"].items():
                yield (
                    *(name, line["kind"], line["number"], "+".join(line["positions"])),
                    *(key, round(accuracy, 6), round(loss, 6)),
                    *(round(line["train_seconds"], 2), round(line["score_seconds"], 3)),
                    *(line["device"], line["torch"]),
                )


def _list_published(path: Path, name: str) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["problem"] == name:
                yield tuple(row.values())


if __name__ == "__main__":
    sys.exit(main())
