"""What has been seen of the gates of a candidate, in ``gates.json``, and the files made of it.

The last call of ``se-search gates`` is kept: another candidate's takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from se_search.analysis.gate_rows import GateRow
from se_search.errors import RunError
from se_search.store.files import read_json, write_text

FORMAT = 1


@dataclass(frozen=True, slots=True)
class GateProfile:
    """The mean gates of some channels of a block, for its figure.

    Attributes:
        site: name of the block's site.
        channels: their numbers, ascending from 0.
        num_channels: that the block gates.
        mean: over all images, in the order of ``channels``.
        by_class: likewise over the images of a class, by its name.
    """

    site: str
    channels: tuple[int, ...]
    num_channels: int
    mean: tuple[float, ...]
    by_class: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class GatesFound:
    """What has been seen of a candidate's gates.

    Attributes:
        candidate: its long text form.
        placement: its short text form.
        made: date and time (ISO 8601).
        replicates: whose trained networks were looked at.
        trained: those of them that were trained for it, as their weights had not been kept.
        epochs: of each training.
        accuracy: share of the images that validate that the networks get right, with their gates;
            mean over the replicates.
        num_train: images on which the constants were measured, in each replicate.
        num_validation: images on which gates and drops were measured, in each replicate.
        num_classes: of these images.
        rows: of blocks, stages and all; see ``tabulate``.
        profiles: of the first replicate, of the blocks that the figure shows.
        versions: of the packages that numbers depend on.
    """

    candidate: str
    placement: str
    made: str
    replicates: tuple[int, ...]
    trained: tuple[int, ...]
    epochs: int
    accuracy: float
    num_train: int
    num_validation: int
    num_classes: int
    rows: tuple[GateRow, ...]
    profiles: tuple[GateProfile, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GatesFiles:
    """The files of ``se-search gates`` in a folder."""

    folder: Path

    @property
    def json(self) -> Path:
        """What has been seen, for the report."""
        return self.folder / "gates.json"

    @property
    def csv(self) -> Path:
        """A row for each block, each stage and all of them, in each replicate."""
        return self.folder / "gates.csv"

    @property
    def by_class_csv(self) -> Path:
        """A row for each block, channel and class."""
        return self.folder / "gates_by_class.csv"

    @property
    def png(self) -> Path:
        """The figure: mean gates by channel and class."""
        return self.folder / "gates.png"

    @property
    def pdf(self) -> Path:
        """The figure of ``gates.png`` for print."""
        return self.folder / "gates.pdf"

    def __iter__(self) -> Iterator[Path]:
        return iter((self.png, self.pdf, self.csv, self.by_class_csv, self.json))


def write_gates(path: Path, found: GatesFound) -> None:
    """Write ``gates.json``.

    Raises:
        UnwritableError: the file can't be written.
    """
    write_text(path, json.dumps({"format": FORMAT, **asdict(found)}, allow_nan=False) + "\n")


def read_gates(files: GatesFiles) -> GatesFound | None:
    """Read ``gates.json``; None: no gates have been looked at.

    Raises:
        RunError: the file can't be read, or is of another format.
    """
    if not files.json.is_file():
        return None
    try:
        return _from_plain(read_json(files.json))
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise RunError(
            f"{files.json} can't be read as what was seen of gates: {cause}. Remove it, or make it "
            "anew with se-search gates"
        ) from cause


def _from_plain(fields: dict[str, Any]) -> GatesFound:
    number = fields.pop("format")
    if number != FORMAT:
        raise ValueError(f"it has format {number}, and this version reads format {FORMAT}")
    profiles = [
        GateProfile(
            site=each["site"],
            channels=tuple(each["channels"]),
            num_channels=each["num_channels"],
            mean=tuple(each["mean"]),
            by_class={name: tuple(values) for name, values in each["by_class"].items()},
        )
        for each in fields["profiles"]
    ]
    return GatesFound(
        **fields
        | {
            "replicates": tuple(fields["replicates"]),
            "trained": tuple(fields["trained"]),
            "rows": tuple(GateRow(**row) for row in fields["rows"]),
            "profiles": tuple(profiles),
        }
    )
