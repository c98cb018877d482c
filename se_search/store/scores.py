"""The cheap scores of a run in ``scores.csv``: a row for each member of a rung and candidate."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from se_search.errors import RunError, explain
from se_search.score import Score
from se_search.store.files import write_text

FIELDS = tuple(field.name for field in fields(Score))


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Write all scores of a run (RFC 4180); a float has the fewest digits that read back as it.

    Raises:
        UnwritableError: the file can't be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(FIELDS)
    writer.writerows(["" if value is None else value for value in astuple(one)] for one in scores)
    write_text(path, text.getvalue())


def read_scores(path: Path) -> list[Score]:
    """Read all scores of a run; none if there is no file.

    Raises:
        RunError: the file can't be read, or is no table of scores.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != FIELDS:
                raise ValueError(f"its columns are {rows.fieldnames}, not {', '.join(FIELDS)}")
            return [_parse(row) for row in rows]
    except (OSError, ValueError, TypeError) as cause:
        raise RunError(f"{path} can't be read as scores of a run: {explain(cause)}") from cause


def digest_scores(scores: Sequence[Score]) -> str:
    """Return twelve hexadecimal digits of some scores, whatever their order."""
    rows = sorted(json.dumps(astuple(score)) for score in scores)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def _parse(row: dict[str, str]) -> Score:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    return Score(
        row["rung"],
        int(row["member"]),
        row["candidate"],
        row["key"],
        number("accuracy"),
        number("loss"),
        float(row["value"]),
        float(row["seconds"]),
    )
