"""Compares what two sets of trainings were made for, or made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SOURCE = "backbone.source."  # what stands before the files of a user's own network


def compare_identities(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    words: tuple[str, str] = ("in the run", "asked for"),
) -> list[str]:
    """List the differences of two identities, a line each; empty if there are none.

    Args:
        old: plain data, as it was recorded.
        new: plain data of now.
        words: what stands behind an old value and behind a new one, as in ``epochs: 4 in the run,
            8 asked for``.
    """
    before, after = _flatten(old), _flatten(new)
    return [
        _describe(key, before.get(key), after.get(key), words)
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _describe(key: str, before: str | None, after: str | None, words: tuple[str, str]) -> str:
    _, is_source, file = key.partition(SOURCE)
    if not is_source:
        return f"{key}: {before or 'nothing'} {words[0]}, {after or 'nothing'} {words[1]}"
    if before is None:
        return f"{file}: imported now, and not before"
    return f"{file}: another content" if after else f"{file}: imported before, and not now"


def _flatten(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {prefix: json.dumps(value)}
    flat: dict[str, str] = {}
    for key, inner in value.items():
        flat.update(_flatten(inner, f"{prefix}.{key}" if prefix else str(key)))
    return flat
