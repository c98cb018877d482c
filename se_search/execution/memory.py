"""Says with which micro batch trainings may fit into memory, as far as that can be told."""

from __future__ import annotations

import re

SIZES = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
HEADROOM = 0.9  # of the memory, which a training should fit into: allocators leave gaps

# Parts of PyTorch's message, as of version 2.9.
REQUESTED = r"Tried to allocate ([\d.]+) (\w+)"
CAPACITY = r"total capacity of ([\d.]+) (\w+)"
ALLOCATED = r"([\d.]+) (\w+) is allocated by PyTorch"


def advise_micro_batch(reason: str, images: int, peak: int | None) -> str:
    """Return what to try after a training lacked memory.

    Memory is taken to be in proportion to the images that are trained at a time. Their number is
    halved until what the failed training needed at least would fit.

    Args:
        reason: why it failed; a message of PyTorch's tells what there was, and what it needed.
        images: that it trained at a time.
        peak: bytes, the most that a training with as many images took that ended well; None: not
            known.
    """
    requested, capacity, allocated = (
        _find_bytes(part, reason) for part in (REQUESTED, CAPACITY, ALLOCATED)
    )
    needed = None if requested is None or allocated is None else requested + allocated
    tried = images // 2
    if needed is not None and capacity is not None:
        while tried >= 2 and needed * tried / images > HEADROOM * capacity:
            tried //= 2
    if tried < 2:
        return (
            f"It trained {images} images at a time, and no micro_batch is small enough: smaller "
            "images, a narrower network or a device with more memory are left"
        )
    told = f"It trained {images} images at a time"
    predicted = ""
    if needed is not None and capacity is not None:
        told += f" and needed at least {_spell(needed)} of {_spell(capacity)}"
        predicted = f" (at least {_spell(needed * tried / images)}, in proportion)"
    if peak is not None:
        told += f"; others took up to {_spell(peak)}"
    return (
        f"{told}. Try a recipe with micro_batch: {tried}, which trains the batches of every "
        f"candidate in pieces{predicted}. What does not shrink with the pieces, and what the "
        "largest candidate needs, is not known. It is another run, for it changes batch norm"
    )


def _find_bytes(pattern: str, text: str) -> float | None:
    found = re.search(pattern, text)
    return None if found is None else float(found[1]) * SIZES[found[2]]


def _spell(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
