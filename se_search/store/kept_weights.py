"""The trained weights that a run keeps, in ``weights/``: each file says itself what it is of.

A file is safetensors: eight bytes with the length of the header, the header as JSON, and the bytes
of the tensors. The header's metadata name candidate, replicate and epochs, and have the SHA-256 of
the tensors' bytes. So no list can contradict the files, and PyTorch is not needed to read it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from se_search.candidate import Candidate
from se_search.errors import RunError, explain
from se_search.store.files import parse_json, remove_leftovers

FOLDER = "weights"
SUFFIX = ".safetensors"
NAME = re.compile(r"([0-9a-f]{12})-(\d+)-(\d+)\.safetensors")
LONGEST_HEADER = 100_000_000  # bytes, as the format itself has it
LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class WeightsName:
    """What the name of a file of weights says.

    Attributes:
        key: of the candidate.
        replicate: seed of the replicate in which it was trained.
        epochs: of the training.
    """

    key: str
    replicate: int
    epochs: int

    def __str__(self) -> str:
        return f"{self.key}-{self.replicate}-{self.epochs}{SUFFIX}"

    @classmethod
    def parse(cls, text: str) -> WeightsName | None:
        """Read the name of a file; None: it is none of a file of weights."""
        found = NAME.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]))


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of trained weights.

    Attributes:
        path: the file.
        candidate: text form of the candidate.
        replicate: seed of the replicate in which it was trained.
        epochs: of the training.
        accuracy: on the replicate's validation images after the last epoch, 0..1.
        digest: SHA-256 of the tensors' bytes, in hexadecimal digits.
        num_bytes: size of the file.
        device: model of the GPU or CPU that trained them; None: the file does not say.
    """

    path: Path
    candidate: str
    replicate: int
    epochs: int
    accuracy: float
    digest: str
    num_bytes: int
    device: str | None = None


class KeptWeights:
    """The weights that a run keeps: of each candidate those of one training at most.

    Args:
        run: the run's folder.

    Attributes:
        folder: takes the files; made with the first one.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER

    def path_for(self, key: str, replicate: int, epochs: int) -> Path:
        """Return the file that takes the weights of a training."""
        return self.folder / str(WeightsName(key, replicate, epochs))

    def list_names(self) -> dict[WeightsName, int]:
        """Return what files there are, each with its size in bytes; no file is read."""
        found = {}
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            name = WeightsName.parse(path.name)
            with suppress(OSError):  # removed a moment ago
                if name is not None:
                    found[name] = path.stat().st_size
        return found

    def size(self, name: WeightsName) -> int | None:
        """Return the size of a file in bytes; None: it is not there."""
        try:
            return (self.folder / str(name)).stat().st_size
        except OSError:
            return None

    def find(self, candidate: Candidate) -> KeptFile | None:
        """Return the weights of a candidate's longest training that has some; None: none has.

        The bytes of the tensors are not read; ``read_whole`` compares them with their checksum.

        Raises:
            RunError: the file is damaged, or is of another candidate.
        """
        key = candidate.key
        names = [name for name in self.list_names() if name.key == key]
        if not names:
            return None
        longest = max(names, key=lambda name: (name.epochs, -name.replicate))
        kept = read_kept_file(self.folder / str(longest))
        if (kept.candidate, kept.replicate, kept.epochs) != (
            str(candidate),
            longest.replicate,
            longest.epochs,
        ):
            raise RunError(
                f"{kept.path} holds the weights of {kept.candidate}, replicate {kept.replicate}, "
                f"{kept.epochs} epochs, which is not what its name says: the file was changed"
            )
        return kept

    def remove(self, name: WeightsName) -> None:
        """Remove a file; one that is not there is no error."""
        with suppress(FileNotFoundError):
            (self.folder / str(name)).unlink()

    def tidy(self) -> None:
        """Remove what killed trainings have left, and the folder if it is empty."""
        remove_leftovers(self.folder)
        with suppress(OSError):
            self.folder.rmdir()


def add_facts(tensors: bytes, facts: Mapping[str, str]) -> bytes:
    """Return a file of safetensors with facts in its header, and the checksum of its tensors.

    Args:
        tensors: the file without metadata.
        facts: what it is of.
    """
    length = int.from_bytes(tensors[:LENGTH_BYTES], "little")
    data = memoryview(tensors)[LENGTH_BYTES + length :]
    header = json.loads(tensors[LENGTH_BYTES : LENGTH_BYTES + length])
    header["__metadata__"] = {**facts, "sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the tensors
    return b"".join([len(text).to_bytes(LENGTH_BYTES, "little"), text, data])


def read_kept_file(path: Path) -> KeptFile:
    """Return what a file of weights says of itself, without reading its tensors.

    Raises:
        RunError: it can't be read, or is none that se-search wrote, whole.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if not length:
                raise ValueError("it has no header")
            if length > LONGEST_HEADER:
                raise ValueError(f"its header would have {length:,} bytes")
            header = parse_json(file.read(length))
            num_bytes = file.seek(0, 2)
        facts = header["__metadata__"]
        ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
        if num_bytes != LENGTH_BYTES + length + max(ends, default=0):
            raise ValueError(f"{num_bytes:,} bytes are not what its header says")
        return KeptFile(
            path,
            facts["candidate"],
            int(facts["replicate"]),
            int(facts["epochs"]),
            float(facts["accuracy"]),
            facts["sha256"],
            num_bytes,
            facts.get("device"),
        )
    except (OSError, ValueError) as cause:
        raise RunError(f"{path} can't be read as weights of a run: {explain(cause)}") from cause
    except (KeyError, TypeError, IndexError, AttributeError) as cause:
        raise RunError(f"{path} can't be read as weights of a run: it lacks {cause}") from cause


def read_whole(kept: KeptFile) -> bytes:
    """Return the contents of a file of weights.

    Raises:
        RunError: it can't be read, or its tensors are not those of its checksum.
    """
    try:
        content = kept.path.read_bytes()
    except OSError as cause:
        raise RunError(f"{kept.path} can't be read: {explain(cause)}") from cause
    _check_tensors(kept.path, content, kept.digest)
    return content


def read_with_facts(path: Path) -> tuple[bytes, Mapping[str, str]]:
    """Return the contents of a file that ``add_facts`` has made, and the facts in it.

    Raises:
        RunError: it can't be read, is no such file, or is damaged.
    """
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:LENGTH_BYTES], "little")
        facts: Mapping[str, str] = parse_json(content[LENGTH_BYTES : LENGTH_BYTES + length])[
            "__metadata__"
        ]
        digest = facts["sha256"]
    except (OSError, ValueError) as cause:
        raise RunError(f"{path} can't be read as weights of a run: {explain(cause)}") from cause
    except (KeyError, TypeError) as cause:
        raise RunError(f"{path} can't be read as weights of a run: it lacks {cause}") from cause
    _check_tensors(path, content, digest)
    return content, facts


def _check_tensors(path: Path, content: bytes, digest: str) -> None:
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    if hashlib.sha256(memoryview(content)[LENGTH_BYTES + length :]).hexdigest() != digest:
        raise RunError(f"{path} is damaged: its tensors are not those of its checksum")


def describe_facts(
    candidate: Candidate, replicate: int, epochs: int, **others: Any
) -> dict[str, str]:
    """Return the facts that the header of a file of weights has."""
    facts = {"candidate": candidate, "replicate": replicate, "epochs": epochs, **others}
    return {name: str(value) for name, value in facts.items()}
