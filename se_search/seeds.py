"""Derives the seed of each stream of random numbers from what the stream is for."""

from __future__ import annotations

import hashlib


def derive_seed(*names: object) -> int:
    """Return a seed of 63 bits that depends on these names alone, the same on every machine."""
    text = "/".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
