"""Reads the manifest of a published table, and checks the table's files against it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from se_search.errors import RunError

MANIFEST = "manifest.json"


def read_manifest(folder: Path, version: int) -> dict[str, Any]:
    """Read the manifest of a folder, and check the files against its digests.

    Args:
        folder: has the manifest and the files.
        version: the format that the reader knows.

    Raises:
        RunError: a file is missing, or is not the one that the manifest describes, or the table
            has another format.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        digests = {name: digest((folder / name).read_bytes()) for name in manifest["files"]}
    except OSError as cause:
        raise RunError(f"the table in {folder} is not complete: {cause}") from cause
    if manifest["format"] != version:
        raise RunError(f"the table in {folder} has format {manifest['format']}, not {version}")
    for name, described in manifest["files"].items():
        if digests[name] != described["sha256"]:
            raise RunError(
                f"{folder / name} is not the file that {MANIFEST} describes; fetch both again"
            )
    return manifest


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
