"""The confirmations of a run: candidates trained again in fresh replicates, plans and results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from se_search.analysis.claims import Claim
from se_search.analysis.confirmation import (
    Chosen,
    ClaimResult,
    Confirmation,
    Confirmed,
    Gain,
)
from se_search.analysis.confirming import Stated
from se_search.analysis.sequential import LookPlan
from se_search.analysis.winner import Winner
from se_search.errors import RunError, explain
from se_search.store.files import read_yaml, write_yaml
from se_search.store.run_folder import RunFolder
from se_search.store.training_log import LogContents, read_log


@dataclass(frozen=True, slots=True)
class Round:
    """One confirmation of a run: the candidates that were asked for, and the result.

    Attributes:
        started: date and time of the start (ISO 8601).
        asked_for: the candidates in the user's words: ``front``, ``all-credible`` or text forms.
        chosen: the candidates that were asked for, the plain network, and SE everywhere.
        stated: looks and claims, written down before the first training.
        seeds: the seeds of the whole plan's replicates, in their order; no trial of the search has
            any of them.
        epochs: the epochs of each training.
        num_trials: how many trials the search had when the confirmation started.
        num_images: how many images the validation part and the test part have.
        reads_test: whether any candidate was trained, and so the test images were read.
        failures: a line for each failed training, with the reason.
        seconds: wall time of the trainings, added up.
        result: None until the trainings have been judged.
        command: the command line.
    """

    started: str
    asked_for: tuple[str, ...]
    chosen: tuple[Chosen, ...]
    stated: Stated
    seeds: tuple[int, ...]
    epochs: int
    num_trials: int
    num_images: tuple[int, int]
    reads_test: bool
    failures: tuple[str, ...] = ()
    seconds: float = 0.0
    result: Confirmation | None = None
    command: tuple[str, ...] = ()

    @property
    def subject(self) -> tuple[frozenset[str], Stated, tuple[int, ...], int]:
        """What makes a confirmation: a round with an equal subject continues an earlier one."""
        return frozenset(c.key for c in self.chosen), self.stated, self.seeds, self.epochs

    @property
    def num_replicates(self) -> int:
        """The number of fresh replicates of the candidate that has been trained in most."""
        numbers = [c.num_replicates for c in self.result.candidates] if self.result else []
        return max(numbers, default=0)


def read_rounds(folder: RunFolder) -> list[Round]:
    """Read all confirmations of a run, the oldest first; empty if there is none.

    Raises:
        RunError: the file can't be read, or holds no confirmations.
    """
    path = folder.confirmation_file
    if not path.is_file():
        return []
    try:
        return [_from_plain(row) for row in read_yaml(path)["confirmations"]]
    except (KeyError, TypeError) as cause:
        raise RunError(
            f"{path} can't be read as the confirmations of a run: {explain(cause)}"
        ) from cause


def read_fresh(folder: RunFolder) -> LogContents | None:
    """Read the trainings of all confirmations of a run; None: there are none.

    Raises:
        RunError: the file can't be read.
    """
    return read_log(folder.confirmation_log) if folder.confirmation_log.is_file() else None


def write_rounds(folder: RunFolder, rounds: Sequence[Round]) -> None:
    """Write ``confirmation.yaml``.

    Raises:
        RunError: the file can't be written.
    """
    plain = json.loads(json.dumps({"confirmations": [to_plain(each) for each in rounds]}))
    write_yaml(folder.confirmation_file, plain)


def count_readings(rounds: Iterable[Round]) -> int:
    """Return how many of a run's confirmations have read the test images."""
    return sum(each.reads_test for each in rounds)


def to_plain(each: Round) -> dict[str, Any]:
    """Return a confirmation as plain data; claims are texts."""
    stated = each.stated
    return asdict(each) | {
        "stated": {
            "plan": stated.plan.to_json(),
            "beats_plain": list(map(str, stated.beats_plain)),
            "not_worse": list(map(str, stated.not_worse)),
        }
    }


def _from_plain(row: Mapping[str, Any]) -> Round:
    result = row["result"]
    return Round(
        **dict(row)
        | {
            "chosen": tuple(Chosen(**_with_roles(each)) for each in row["chosen"]),
            "stated": _read_stated(row["stated"]),
            "result": None if result is None else _read_result(result),
            **{name: tuple(row[name]) for name in ("asked_for", "seeds", "num_images")},
            **{name: tuple(row[name]) for name in ("failures", "command")},
        }
    )


def _read_result(result: Mapping[str, Any]) -> Confirmation:
    candidates = []
    for each in result["candidates"]:
        kinds = {"gain": Gain, "test_gain": Gain, "claim": ClaimResult}
        parts = {
            name: None if each[name] is None else make(**each[name]) for name, make in kinds.items()
        }
        candidates.append(Confirmed(**_with_roles(each) | parts))
    return Confirmation(
        **dict(result)
        | {
            "candidates": tuple(candidates),
            "not_worse": tuple(ClaimResult(**each) for each in result["not_worse"]),
            "winner": None if result["winner"] is None else Winner(**result["winner"]),
        }
    )


def _read_stated(row: Mapping[str, Any]) -> Stated:
    return Stated(
        LookPlan.from_json(row["plan"]),
        tuple(map(Claim.parse, row["beats_plain"])),
        tuple(map(Claim.parse, row["not_worse"])),
    )


def _with_roles(row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(row) | {"roles": tuple(row["roles"])}
