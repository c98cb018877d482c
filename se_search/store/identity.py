"""Compares what two sets of trainings were made for, or made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


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
        f"{key}: {before.get(key, 'nothing')} {words[0]}, {after.get(key, 'nothing')} {words[1]}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _flatten(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {prefix: json.dumps(value)}
    flat: dict[str, str] = {}
    for key, inner in value.items():
        flat.update(_flatten(inner, f"{prefix}.{key}" if prefix else str(key)))
    return flat
