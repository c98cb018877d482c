"""Writes an exported network into a folder: weights, code that makes it, graphs, facts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from se_search.candidate import Candidate
from se_search.errors import RunError, SESearchError
from se_search.export.candidate_file import is_export, write_candidate
from se_search.store.files import read_json, write_bytes, write_text
from se_search.store.kept_weights import KeptFile, read_whole

WEIGHTS, SOURCE, CARD, CANDIDATE = "model.safetensors", "model.py", "README.md", "candidate.json"
PT2, ONNX = "model.pt2", "model.onnx"
INSTALL = "pip install 'se-search[onnx]'"


class Written(Protocol):
    """What a graph's writer returns; see ``network_files.Written``."""

    @property
    def difference(self) -> float:
        """The largest difference of its outputs from the network's."""

    @property
    def seconds(self) -> float:
        """How long it took."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """What writes the files that compute a network by themselves.

    Attributes:
        writers: by the file's name: called with the network, images and the folder.
        list_missing: returns the packages for ONNX that are not installed.
    """

    writers: Mapping[str, Callable[[Any, Any, Path], Written]]
    list_missing: Callable[[], list[str]]


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of an export.

    Attributes:
        name: in the folder.
        num_bytes: its size.
        sha256: its checksum.
        difference: the largest difference of its outputs from the network's; None: it has none.
        seconds: that writing and checking it took; None: no time worth telling.
    """

    name: str
    num_bytes: int
    sha256: str
    difference: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """What has been written into a folder.

    Attributes:
        folder: the folder.
        candidate: the network.
        kept: the weights that it has.
        files: the files, in the order of their writing.
        left_out: why a file was left out on purpose or for lack of a package, by its name.
        failed: why a file could not be made, by its name.
        num_images: that files were checked with; of the validation part, unless ``random``.
        is_random: whether these images were random, because the data set is not here.
        facts: what ``candidate.json`` says besides.
    """

    folder: Path
    candidate: Candidate
    kept: KeptFile
    files: tuple[ExportedFile, ...]
    left_out: Mapping[str, str]
    failed: Mapping[str, str]
    num_images: int
    is_random: bool
    facts: Mapping[str, Any] = field(default_factory=dict)


def refuse_target(folder: Path) -> None:
    """Refuse a folder that holds something else than an export.

    Raises:
        RunError: it does, or it is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, and an export takes a folder")
    if folder.is_dir() and any(folder.iterdir()) and not is_export(folder):
        raise RunError(
            f"{folder} is not empty and is no export of se-search, whose files would be mixed with "
            "others; name another folder"
        )


def write_export(
    folder: Path,
    candidate: Candidate,
    kept: KeptFile,
    model: Any,
    images: Any,
    title: str,
    facts: Mapping[str, Any],
    *,
    is_random: bool,
    with_onnx: bool = True,
    graphs: Graphs | None = None,
) -> Export:
    """Write all files of an export but its card, and check those that compute the network.

    A graph that can't be made is noted; the other files are written all the same. Files of an
    earlier export that are not written now are removed.

    Args:
        folder: takes the files; see ``refuse_target``.
        candidate: the network.
        kept: its weights.
        model: the network with these weights, in evaluation mode.
        images: ``(n, c, h, w)`` as the network takes them, for the checks.
        title: a sentence about the network.
        facts: what ``candidate.json`` says besides.
        is_random: whether the images are random.
        with_onnx: whether ONNX is asked for.
        graphs: writes the graphs; None: PyTorch's exporters do.

    Raises:
        UnwritableError: the folder can't be written to.
    """
    from se_search.export.model_source import write_source

    graphs = graphs or _find_graphs()
    earlier = _list_earlier(folder)
    write_candidate(folder, candidate, facts)  # first: what is broken off can be written over
    write_bytes(folder / WEIGHTS, read_whole(kept))
    write_text(folder / SOURCE, write_source(candidate.backbone, title))
    files = [_describe(folder / WEIGHTS), _describe(folder / SOURCE)]
    left_out: dict[str, str] = {}
    failed: dict[str, str] = {}
    lacking = graphs.list_missing() if with_onnx else []
    if not with_onnx:
        left_out[ONNX] = "--no-onnx"
    elif lacking:
        left_out[ONNX] = f"{', '.join(lacking)} not installed; {INSTALL} installs what it takes"
    for name, write in graphs.writers.items():
        if name in left_out:
            continue
        try:
            written = write(model, images, folder)
        except SESearchError as error:
            failed[name] = str(error)
            continue
        described = _describe(folder / name)
        files.append(replace(described, difference=written.difference, seconds=written.seconds))
    for name in earlier - {each.name for each in files} - {CARD, CANDIDATE}:
        with suppress(FileNotFoundError):
            (folder / name).unlink()
    export = Export(
        *(folder, candidate, kept, tuple(files), left_out, failed),
        *(len(images), is_random, facts),
    )
    write_candidate(folder, candidate, {**facts, "files": list_files(export)})
    return export


def list_files(export: Export) -> dict[str, Any]:
    """Return the files of an export as plain data, by name."""
    return {
        each.name: {
            "bytes": each.num_bytes,
            "sha256": each.sha256,
            "largest_difference": each.difference,
            "seconds": None if each.seconds is None else round(each.seconds, 2),
        }
        for each in export.files
    }


def _find_graphs() -> Graphs:
    from se_search.export.network_files import list_missing_onnx, write_exported, write_onnx

    return Graphs({PT2: write_exported, ONNX: write_onnx}, list_missing_onnx)


def _list_earlier(folder: Path) -> set[str]:
    """Return the names of an earlier export's files, as far as they lie in the folder itself."""
    if not is_export(folder):
        return set()
    files = read_json(folder / CANDIDATE).get("files") or {}
    return {name for name in files if isinstance(name, str) and Path(name).name == name}


def _describe(path: Path) -> ExportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ExportedFile(path.name, path.stat().st_size, digest)
