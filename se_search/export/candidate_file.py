"""Reads and writes ``candidate.json``: what an exported network is, and all that is known of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from se_search.backbone_file import backbone_from_json, backbone_to_json
from se_search.candidate import Candidate
from se_search.errors import BackboneError, CandidateError, RunError
from se_search.store.files import read_json, write_text

NAME = "candidate.json"
FORMAT = 1


def write_candidate(folder: Path, candidate: Candidate, facts: Mapping[str, Any]) -> None:
    """Write ``candidate.json`` into a folder: the candidate, its backbone, and further facts.

    Raises:
        UnwritableError: it can't be written.
    """
    content = {
        "se_search_export": FORMAT,
        "candidate": str(candidate),
        "placement": candidate.placement,
        "key": candidate.key,
        **facts,
        "backbone": backbone_to_json(candidate.backbone),
    }
    write_text(folder / NAME, json.dumps(content, indent=1) + "\n")


def read_candidate(path: str | Path) -> Candidate:
    """Return the candidate that ``se-search export`` has written to ``candidate.json``.

    ``insert`` puts its SE blocks into the network of its backbone.

    Args:
        path: of the file, or of the folder in which it lies.

    Raises:
        RunError: the file can't be read, or is no such file.
    """
    path = Path(path)
    path = path / NAME if path.is_dir() else path
    content = read_json(path)
    try:
        if content["se_search_export"] != FORMAT:
            raise RunError(
                f"{path} is of format {content['se_search_export']!r}; this version of se-search "
                f"reads format {FORMAT}"
            )
        return Candidate.parse(content["candidate"], backbone_from_json(content["backbone"]))
    except (KeyError, TypeError, BackboneError, CandidateError) as cause:
        raise RunError(f"{path} is no file of se-search export: {cause}") from cause


def is_export(folder: Path) -> bool:
    """Tell whether a folder is one that ``se-search export`` has written."""
    try:
        return "se_search_export" in read_json(folder / NAME)
    except (RunError, TypeError):
        return False
