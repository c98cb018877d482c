"""Notes in a run's folder where its candidates were exported to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from se_search.candidate import Candidate
from se_search.errors import RunError, UnwritableError
from se_search.store.files import read_yaml, write_yaml
from se_search.store.run_folder import RunFolder

NAME = "exports.yaml"


@dataclass(frozen=True, slots=True)
class ExportNote:
    """An export of a run.

    Attributes:
        folder: absolute path.
        candidate: its text form.
        placement: its short text.
        written: date and time (ISO 8601, UTC).
    """

    folder: str
    candidate: str
    placement: str
    written: str


def read_exports(folder: RunFolder) -> list[ExportNote]:
    """Return the exports of a run, the last one of each folder; what can't be read is left out."""
    with suppress(RunError, TypeError, KeyError):
        return [ExportNote(**row) for row in read_yaml(folder.path / NAME)["exports"]]
    return []


def record_export(
    folder: RunFolder, to: Path, candidate: Candidate, note: Callable[[str], None]
) -> None:
    """Note an export; a run whose folder can't be written to is exported all the same.

    Args:
        folder: of the run.
        to: the folder of the export.
        candidate: the network.
        note: told if it can't be noted.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    this = ExportNote(str(to.absolute()), str(candidate), candidate.placement, now)
    others = [each for each in read_exports(folder) if each.folder != this.folder]
    try:
        write_yaml(folder.path / NAME, {"exports": [asdict(each) for each in (*others, this)]})
    except UnwritableError as error:
        note(f"The run does not note this export: {error}")
