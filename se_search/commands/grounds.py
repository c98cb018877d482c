"""Refuses to mix trainings of other hardware or versions into a run, unless that is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from se_search.errors import RunChangedError
from se_search.ground import Ground, list_differences
from se_search.report.format import count


def check_grounds(
    path: Path, before: Mapping[Ground, int], now: Sequence[Ground], *, mix: bool
) -> str | None:
    """Return a sentence about what trainings mix if they go on; None: nothing new.

    Args:
        path: the run's folder.
        before: on what the run's finished trainings ran, and how many on each.
        now: on what further ones would run.
        mix: whether mixing is asked for.

    Raises:
        RunChangedError: they would mix, and nobody has asked for it; the message names both sides.
    """
    if not before:
        return _check_devices(path, now, mix=mix)
    new = [one for one in now if all(list_differences([one, old]) for old in before)]
    if not new:
        return None
    usual, number = Counter(before).most_common(1)[0]
    if mix:
        return (
            "From now on trainings of other hardware or versions are mixed: "
            f"{'; '.join(_compare(usual, new))}. The answer and checklist.md say how many ran on "
            "each"
        )
    lines = "\n".join(f"  {line}" for line in _compare(usual, new))
    raise RunChangedError(
        f"{path} has {count(number, 'training')} of other hardware or versions, on which equal "
        f"trainings have other numbers:\n{lines}\nGo on as they ran, with such hardware, versions "
        "and --threads, or take another --name; --mix-environments goes on here, and the run says "
        "what ran where."
    )


def _check_devices(path: Path, now: Sequence[Ground], *, mix: bool) -> str | None:
    if len(now) < 2:
        return None
    names = ", ".join(ground.device for ground in now)
    if mix:
        return f"Trainings on devices of several models are mixed: {names}"
    raise RunChangedError(
        f"{path} would have trainings on devices of several models, on which equal trainings have "
        f"other numbers: {names}. CUDA_VISIBLE_DEVICES=0 (or 0,1 ...) chooses among them; "
        "--mix-environments takes all of them, and the run says what ran where."
    )


def _compare(usual: Ground, new: Sequence[Ground]) -> list[str]:
    """Name what differs on both sides, as ``torch: 2.14.1 there, 2.15.0 here``."""
    before = usual.facts()
    lines = [
        f"{name}: {before[name]} there, {ground.facts()[name]} here"
        for ground in new
        for name in list_differences([usual, ground])
    ]
    return list(dict.fromkeys(lines))
