"""Derives seeds of independent streams of random numbers from the names of their purposes."""

from __future__ import annotations

import hashlib


def derive_seed(*names: object) -> int:
    """Return a seed of 63 bits that is a function of the names alone, on every machine."""
    text = "/".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
