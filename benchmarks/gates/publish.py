"""Writes the published table of a case from its logs, and renews the figures of two pages.

    python benchmarks/gates/publish.py      # after make.py and ablate.py

A row of ``CASE.csv`` is a subset of the stages in a replicate: retrained, and SE everywhere with
constants for the gates of the other stages. Only replicates that have all are published.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

import numpy as np
import pandas as pd

from benchmarks.gates.definition import CASES, FOLDER, RAW, Case, name_stages
from benchmarks.gates.predict import Agreement, Floats, predict, split_halves
from benchmarks.nas_bench_se_2.decompose import measure_mean, measure_spread
from benchmarks.nas_bench_se_2.table import NASBenchSE2
from benchmarks.pages import renew_part
from se_search.errors import RunError
from se_search.store.files import write_text
from se_search.store.training_log import LogContents, read_log

BEGIN, END = "<!-- figures of benchmarks/gates: {} -->", "<!-- end of these figures -->"
TEXTS = (FOLDER / "README.md", FOLDER.parents[1] / "docs" / "gates.md")
COLUMNS = (
    *("replicate", "stages", "candidate", "validation_accuracy", "test_accuracy"),
    *("validation_loss", "test_loss", "ablated_validation_accuracy", "ablated_test_accuracy"),
)
PARTS = ("validation", "test")
PREFIXES = ("", "ablated_")  # of the columns: retrained, and with constants
NO_STAGE = name_stages(())


def main() -> int:
    """Publish what the logs have; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", choices=CASES, default="default")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder of the logs")
    options = parser.parse_args()
    case = CASES[options.case]
    log = read_log(options.raw / f"{options.case}.jsonl")
    assert log is not None, "make.py has trained nothing yet"
    ablated = [json.loads(line) for line in (options.raw / f"{options.case}.ablated").open()]
    table = join(case, log, ablated)
    table.to_csv(FOLDER / f"{options.case}.csv", index=False, lineterminator="\n")
    gates = list_gates(ablated)
    gates.to_csv(FOLDER / f"{options.case}_gates.csv", index=False, lineterminator="\n")
    about = {"made_on": log.environments, "trainings": log.identity}
    write_text(FOLDER / f"{options.case}.json", json.dumps(about, indent=2) + "\n")
    for page in TEXTS:
        renew_part(page, BEGIN.format(options.case), END, describe(table))
        renew_part(page, BEGIN.format(f"{options.case} gates"), END, describe_gates(gates))
    print(f"{table.replicate.nunique()} replicates of {table.stages.nunique()} subsets")
    return 0


def join(case: Case, log: LogContents, ablated: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the table's rows: the replicates in which every subset is trained and ablated.

    Raises:
        RunError: no replicate has all, or one was not trained to the same bits again.
    """
    last = {(t.key, t.seed): t.history[-1] for t in log.trainings}
    published = NASBenchSE2.read() if case.is_published else None
    rows = []
    for line in ablated:
        replicate = line["replicate"]
        if not line["is_repeated"]:
            raise RunError(f"SE everywhere was not trained to the same bits in {replicate}")
        own = []
        for stages in case.subsets:
            candidate = case.candidate(stages)
            found = last.get((candidate.key, replicate))
            if found is None and published is not None and candidate.key in case.published_keys:
                curve = published.query(candidate, replicate, case.epochs).curve.iloc[-1]
                found = {
                    "accuracy": curve.validation_accuracy,
                    "loss": curve.validation_loss,
                    "test_accuracy": curve.test_accuracy,
                    "test_loss": curve.test_loss,
                }
            if found is None:
                break
            name = name_stages(stages)
            accuracies = (found["accuracy"], found["test_accuracy"])
            losses = (found["loss"], found["test_loss"])
            constants = (line["validation"][name], line["test"][name])
            own.append((replicate, name, str(candidate), *accuracies, *losses, *constants))
        else:
            rows += own
    if not rows:
        raise RunError("no replicate has all trainings yet")
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("replicate", kind="stable")


def list_gates(ablated: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a row for each block of SE everywhere in each replicate: what its gates do."""
    return pd.DataFrame(
        {"replicate": line["replicate"], "site": site, **gates}
        for line in sorted(ablated, key=lambda line: line["replicate"])
        for site, gates in line["gates"].items()
    )


def describe_gates(gates: pd.DataFrame) -> str:
    """Return what the gates do as Markdown: means over replicates, with the least and the most."""
    whole = gates.assign(spread=gates.sd_images / gates["mean"])
    lines = [
        f"SE everywhere in {whole.replicate.nunique()} replicates: mean, and least to most.",
        "",
        "| block | mean gate | spread over images, by the mean | class share | near constant |",
        "|---|---|---|---|---|",
    ]
    for site, own in whole.groupby("site", sort=False):
        columns = (own["mean"], own.spread, own.class_share, own.near_constant)
        lines.append(_row(str(site), map(_range, columns)))
    return "\n".join(lines)


def _range(values: pd.Series[float]) -> str:
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def describe(table: pd.DataFrame) -> str:
    """Return what the table says, as Markdown."""
    cubes = {
        name: table.pivot(index="stages", columns="replicate", values=name)
        for name in COLUMNS
        if name.endswith("accuracy")
    }
    subsets = {name: cube.drop(index=NO_STAGE).to_numpy() for name, cube in cubes.items()}
    retrained, ablated = (
        [subsets[f"{prefix}{part}_accuracy"] for part in PARTS] for prefix in PREFIXES
    )
    num_subsets, num_replicates = retrained[0].shape
    everything = max(cubes["test_accuracy"].index, key=len)
    stages = everything.split("+")
    without = {stage: "+".join(each for each in stages if each != stage) for stage in stages}
    return "\n".join(
        [
            f"{num_subsets} subsets x {num_replicates} replicates; in brackets 95 % intervals, of "
            "halves the least and the most.",
            "",
            "| over the subsets | validation images | test images |",
            "|---|---|---|",
            _row(
                "Kendall's tau: constants for gates with retraining",
                map(_predict, ablated, retrained),
            ),
            _row(
                "ceiling: half of the retrained replicates with the others",
                map(_halve, retrained),
            ),
            _row("half of the replicates with constants with the others", map(_halve, ablated)),
            _row("standard deviation of retrained networks, points", map(_spread, retrained)),
            _row("standard deviation with constants, points", map(_spread, ablated)),
            "",
            "| points lost, validation images | constants for gates | retrained without SE there |",
            "|---|---|---|",
            *(
                _row(f"stage {stage}", _losses(cubes, everything, kept or NO_STAGE))
                for stage, kept in without.items()
            ),
            _row("all stages", _losses(cubes, everything, NO_STAGE)),
        ]
    )


def _row(name: str, cells: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _predict(ablated: Floats, retrained: Floats) -> str:
    return _agreement(predict(ablated, retrained))


def _halve(accuracies: Floats) -> str:
    return _agreement(split_halves(accuracies))


def _agreement(found: Agreement) -> str:
    return f"{found.tau:.2f} ({found.low:.2f} to {found.high:.2f})"


def _spread(accuracies: Floats) -> str:
    found = measure_spread(accuracies).networks
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _losses(cubes: Mapping[str, pd.DataFrame], everything: str, kept: str) -> Iterator[str]:
    for prefix in reversed(PREFIXES):
        cube = cubes[f"{prefix}validation_accuracy"]
        lost = 100 * (cube.loc[everything] - cube.loc[kept]).to_numpy()
        if not np.ptp(lost):  # Student's interval would claim that it is sure
            yield f"{lost[0]:+z.2f} in each replicate"
            continue
        found = measure_mean(lost)
        yield f"{found.value:+z.2f} ({found.low:+z.2f} to {found.high:+z.2f})"


if __name__ == "__main__":
    sys.exit(main())
