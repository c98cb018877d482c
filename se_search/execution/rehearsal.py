"""Rehearses a backbone before its trainings, once for each set of SE blocks and each version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from se_search.backbone_file import backbone_to_json
from se_search.execution.child import call_in_child
from se_search.training.array_cache import default_cache_dir
from se_search.training.task import Rehearsal

PACKAGES = ("torch", "torchvision", "timm", "fvcore")  # that build, run and count networks


def rehearse_once(
    rehearsal: Rehearsal, log: Path, note: Callable[[str], None], cache: Path | None = None
) -> None:
    """Rehearse in a child process, unless it has been done already.

    What passed is remembered in the cache by the backbone, the SE blocks, and the versions of this
    package and of the packages that it builds on. A network of the user's own is rehearsed each
    time, because its code may have changed.

    Args:
        rehearsal: the backbone and the SE blocks.
        log: file that takes what the network prints.
        note: told how many networks were built.
        cache: folder of everything that is cached; None: the usual one.

    Raises:
        SESearchError: something is wrong with a network; the message names the site.
    """
    is_own = rehearsal.backbone.allow_code
    passed = (cache or default_cache_dir()) / "rehearsed" / f"{_key(rehearsal)}.json"
    if not is_own and passed.exists():
        return
    count = call_in_child(rehearsal, log)
    note(f"Rehearsed: {count} networks run, learn, and cost what is counted")
    if not is_own:
        try:
            passed.parent.mkdir(parents=True, exist_ok=True)
            passed.write_text(json.dumps({"backbone": rehearsal.backbone.name, "built": count}))
        except OSError:  # nothing is lost: the next start rehearses again
            return


def _key(rehearsal: Rehearsal) -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].joinpath("models").glob("*.py")):
        digest.update(path.read_bytes())
    described = [
        backbone_to_json(rehearsal.backbone),
        [[str(block) for block in blocks] for blocks in rehearsal.designs],
        [metadata.version(package) for package in PACKAGES],
    ]
    digest.update(json.dumps(described, sort_keys=True).encode())
    return digest.hexdigest()[:16]
