"""Writes the published file of NAS-Bench-SE 2 and its manifest, and reads them back.

Floats are written with all their digits, so that a training can be repeated and compared to the
bit. The files are a function of the trainings, byte for byte.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.nas_bench_se.manifest import MANIFEST, digest, read_manifest
from benchmarks.nas_bench_se_2.columns import describe_columns, from_row, to_row
from benchmarks.nas_bench_se_2.definition import (
    FORMAT,
    REMAINDERS,
    SPACE,
    count_first,
    describe_candidate,
    describe_files,
    list_candidates,
)
from se_search.errors import RunError
from se_search.store.files import write_bytes
from se_search.store.identity import compare_identities
from se_search.store.training_log import LogContents, Training, read_log

TRAININGS = "nas_bench_se_2.csv"


def write_table(log: Path, folder: Path) -> str:
    """Write the files from the trainings that are in the folder already and those of a log.

    Args:
        log: may be growing, or missing.
        folder: gets the CSV file and the manifest.

    Returns:
        A line with the numbers of trainings and of networks.

    Raises:
        RunError: there are no trainings, or they are not of this space and recipe.
    """
    parts = [read_table(folder), read_log(log) if log.exists() else None]
    contents = merge([part for part in parts if part is not None])
    candidates = {candidate.key: candidate for candidate in list_candidates()}
    order = {key: place for place, key in enumerate(candidates)}
    _check(contents, order)
    trainings = sorted(contents.trainings, key=lambda t: (t.epochs, t.seed, order[t.key]))
    described = {key: describe_candidate(candidates[key]) for key in {t.key for t in trainings}}
    rows = [
        {
            "order": order[training.key],
            "key": training.key,
            "candidate": training.candidate,
            **described[training.key],
            **to_row(training),
        }
        for training in trainings
    ]
    columns = describe_columns(max(training.epochs for training in trainings))
    data = _to_csv(list(columns), rows)
    manifest = _describe(contents, trainings, order, data, columns)
    write_bytes(folder / TRAININGS, data)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / MANIFEST, text.encode())
    return f"{len(trainings)} trainings of {len(described)} of {len(candidates)} networks"


def read_table(folder: Path) -> LogContents | None:
    """Read the published trainings back; None if there is no manifest.

    Raises:
        RunError: the file is missing, or is not the one that the manifest describes.
    """
    if not (folder / MANIFEST).exists():
        return None
    manifest = read_manifest(folder, FORMAT)
    with (folder / TRAININGS).open(newline="", encoding="utf-8") as file:
        trainings = tuple(from_row(row) for row in csv.DictReader(file))
    return LogContents(manifest["table"], tuple(manifest["environments"]), trainings, size=0)


def merge(parts: Sequence[LogContents]) -> LogContents:
    """Join tables of one identity; a training that several parts have is taken from the first.

    Raises:
        RunError: there are no parts, or their identities differ.
    """
    if not parts:
        raise RunError("there are no trainings yet: neither a table nor a log")
    if any(part.identity != parts[0].identity for part in parts):
        raise RunError("the table and the log were made for different spaces, recipes or data")
    environments: list[Mapping[str, Any]] = []
    trainings: dict[tuple[str, int, int], Training] = {}
    for part in parts:
        environments += [e for e in part.environments if e not in environments]
        for training in part.trainings:
            number = environments.index(part.environments[training.environment])
            trainings.setdefault(training.id, replace(training, environment=number))
    return LogContents(parts[0].identity, tuple(environments), tuple(trainings.values()), size=0)


def find_crossed(cells: Collection[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the networks and the replicates of the largest block without a gap, ascending.

    The block has the first k of the replicates that occur, and every network that has them all; k
    is the number that gives the block most trainings, and the larger one of two that give as many.

    Args:
        cells: the order of the network and the replicate of each training; none occurs twice.
    """
    replicates = sorted({replicate for _, replicate in cells})
    best: tuple[list[int], list[int]] = ([], [])
    left = {network for network, _ in cells}
    for number, last in enumerate(replicates, 1):
        left &= {network for network, replicate in cells if replicate == last}
        if number * len(left) >= len(best[0]) * len(best[1]):
            best = (sorted(left), replicates[:number])
    return best


def _check(contents: LogContents, order: Mapping[str, int]) -> None:
    files = describe_files()
    there = {name: contents.identity.get(name) for name in files}
    if changes := compare_identities(there, files, ("there", "here")):
        raise RunError(f"the trainings are not those of this table: {'; '.join(changes)}")
    if not contents.trainings:
        raise RunError("there are no trainings yet: the log has none")
    for training in contents.trainings:
        if training.key not in order:
            raise RunError(f"{training.candidate} is not in space.yaml")


def _describe(
    contents: LogContents,
    trainings: Sequence[Training],
    order: Mapping[str, int],
    data: bytes,
    columns: Mapping[str, str],
) -> dict[str, Any]:
    lengths = sorted({training.epochs for training in trainings})
    cells = {
        epochs: [(order[t.key], t.seed) for t in trainings if t.epochs == epochs]
        for epochs in lengths
    }
    return {
        "name": "NAS-Bench-SE 2",
        "description": "Finished trainings of squeeze-and-excitation placements in a small "
        "ResNet: networks crossed with replicates",
        "format": FORMAT,
        "licence": "Apache-2.0",
        "data_set": "Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747). In each replicate "
        "se_search.training.split.draw_split draws which images of its training part train and "
        "which validate; its test part tests",
        "made_by": [_command(epochs, cells[epochs]) for epochs in lengths],
        "counts": {
            "space": SPACE.size,
            "trainings": len(trainings),
            "networks": len({training.key for training in trainings}),
            "by_epochs": {str(epochs): _count(cells[epochs]) for epochs in lengths},
        },
        "table": contents.identity,
        "environments": list(contents.environments),
        "files": {TRAININGS: {"sha256": digest(data), "bytes": len(data), "rows": len(trainings)}},
        "columns": columns,
    }


def _command(epochs: int, cells: Collection[tuple[int, int]]) -> str:
    last_network, last_replicate = (max(numbers) for numbers in zip(*cells, strict=True))
    parts = next(n for n in range(1, len(REMAINDERS) + 1) if last_network < count_first(n))
    return (
        f"python benchmarks/nas_bench_se_2/make.py --parts {parts} "
        f"--replicates {last_replicate + 1} --epochs {epochs}"
    )


def _count(cells: Collection[tuple[int, int]]) -> dict[str, Any]:
    by_replicate = Counter(replicate for _, replicate in cells)
    networks, replicates = find_crossed(cells)
    return {
        "trainings": len(cells),
        "networks": len({network for network, _ in cells}),
        "networks_by_replicate": {str(seed): by_replicate[seed] for seed in sorted(by_replicate)},
        "crossed": {"networks": len(networks), "replicates": replicates},
        "is_crossed": len(networks) * len(replicates) == len(cells),
    }


def _to_csv(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
