"""Writes plain data as JSON (RFC 8259), which knows no NaN and no infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def to_json(data: Any, indent: int | None = None) -> str:
    """Return data as JSON text; a number that is not finite becomes ``null``."""
    return json.dumps(_clean(data), indent=indent, allow_nan=False)


def _clean(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value
