"""Trains supernets of a problem, and scores its probes by each; a supernet's scores are a line.

    python benchmarks/ladder/supernets.py --problem default              # goes on where it stopped
    python benchmarks/ladder/supernets.py --problem own --processes 16 --supernets 8
    python benchmarks/ladder/supernets.py --problem desk_positions --kind split

Supernets of a kind differ in their seeds alone. RAW/PROBLEM-supernets.jsonl gets a line for each
one as it ends: settings, seconds, and accuracy and loss of each probe.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.ladder.definition import DATA, PROBLEMS, RAW
from se_search.candidate import Candidate
from se_search.device import Device
from se_search.score import SupernetSettings, supernet_seed
from se_search.space.subspace import Subspace

NICENESS = 19
TRUNK = frozenset(("post", "identity"))  # their gates multiply the sum of branch and shortcut, too
DEFAULT = SupernetSettings()


@dataclass(frozen=True, slots=True)
class Kind:
    """How supernets are trained.

    Attributes:
        settings: see there.
        is_split: whether SE blocks that gate the trunk (post, identity) have supernets of their
            own, and so have those within the branch; each scores the probes that it holds.
        epochs: times the recipe's.
    """

    settings: SupernetSettings = DEFAULT
    is_split: bool = False
    epochs: float = 1.0


KINDS = {
    "joint": Kind(),
    "split": Kind(is_split=True),
    "distilled": Kind(SupernetSettings(distillation=1.0)),
    "longer": Kind(epochs=2.0),
    "longest": Kind(epochs=4.0),
    "single": Kind(SupernetSettings(num_drawn=1)),
}


@dataclass(frozen=True, slots=True)
class Job:
    """One supernet: its problem, kind, number and device, and the positions that it holds."""

    problem: str
    kind: str
    number: int
    positions: tuple[str, ...]
    device: Device
    data_dir: Path | None

    @property
    def identity(self) -> dict[str, Any]:
        """The fields of its line that no other supernet's has."""
        return {"kind": self.kind, "number": self.number, "positions": list(self.positions)}

    def carry_out(self) -> dict[str, Any]:
        """Train and score; return the line."""
        from se_search.training.datasets import prepare_data
        from se_search.training.scoring import score
        from se_search.training.supernet import train_supernet

        os.nice(NICENESS)
        problem, kind = PROBLEMS[self.problem], KINDS[self.kind]
        recipe = problem.recipe
        data = prepare_data(DATA, self.data_dir, None, recipe)
        subspace = Subspace.whole(problem.space)
        if self.positions:
            subspace = subspace.with_integrations(self.positions)  # type: ignore[arg-type]  # are
        seed = supernet_seed(0, self.number)
        started = time.process_time()
        supernet, result = train_supernet(
            *(subspace, seed, data, recipe, kind.settings, self.device),
            epochs=round(kind.epochs * recipe.epochs),
        )
        trained = time.process_time()
        probes = [each for each in problem.probes if each in subspace]
        scores = list(score(supernet, probes, data, recipe, seed, kind.settings, self.device))
        return {
            **self.identity,
            "seed": seed,
            "settings": asdict(kind.settings),
            "history": list(result.history),
            "device": result.ran_on.device,
            "torch": result.ran_on.torch,
            "train_seconds": trained - started,
            "score_seconds": (time.process_time() - trained) / len(probes),
            "scores": {each.key: [each.accuracy, each.loss] for each in scores},
        }


def main() -> int:
    """Train what the command line asks for; return the exit code."""
    options = _parse_arguments()
    options.raw.mkdir(parents=True, exist_ok=True)
    path = options.raw / f"{options.problem}-supernets.jsonl"
    names = ("kind", "number", "positions")
    done = [{name: line[name] for name in names} for line in read_supernets(path)]
    jobs = [job for job in _list_jobs(options) if job.identity not in done]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, max_tasks_per_child=1) as pool:
        futures = [pool.submit(job.carry_out) for job in jobs]
        for at, future in enumerate(as_completed(futures), 1):
            line = future.result()
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"{time.strftime('%H:%M:%S')} {at} of {len(jobs)}: {line['kind']} "
                f"{line['number']}: {line['train_seconds']:.0f} s of CPU, then "
                f"{line['score_seconds']:.2f} s for each of {len(line['scores'])} probes",
                flush=True,
            )
    return 0


def read_supernets(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of supernets; there need not be one."""
    if path.exists():
        yield from map(json.loads, path.read_text().splitlines())


def group_positions(probes: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """Return the positions of the probes' SE blocks: those within the branch, and the others."""
    blocks = (block for probe in probes for block in probe.blocks if block is not None)
    positions = {block.integration for block in blocks}
    groups = [tuple(sorted(own)) for own in (positions - TRUNK, positions & TRUNK)]
    return [group for group in groups if group]


def _list_jobs(options: argparse.Namespace) -> list[Job]:
    problem = PROBLEMS[options.problem]
    is_cuda = options.accelerator == "cuda"
    device = Device(options.accelerator, 0, 1, "32-true")
    assert is_cuda or device.threads == 1
    groups: list[tuple[str, ...]] = [()]
    if KINDS[options.kind].is_split:
        groups = group_positions(problem.probes)
    return [
        Job(options.problem, options.kind, number, group, device, options.data_dir)
        for number in range(options.supernets)
        for group in groups
    ]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problem", choices=PROBLEMS, required=True)
    parser.add_argument("--kind", choices=KINDS, default="joint")
    parser.add_argument("--supernets", type=int, default=8, help="(8)")
    parser.add_argument("--processes", type=int, default=1, help="supernets at once (1)")
    parser.add_argument("--accelerator", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--data-dir", type=Path, help="folder with the files of Fashion-MNIST")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder of the lines")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
