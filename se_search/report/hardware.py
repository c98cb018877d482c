"""Says what the trainings of a run ran on, and what was mixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from se_search.record import TrialRecord
from se_search.report.format import count


def describe_hardware(config: Mapping[str, Any], records: Sequence[TrialRecord]) -> str | None:
    """Return the machine in a phrase, with each device and set of versions where several were used.

    Args:
        config: the run's ``config.yaml``; None is returned if it tells no hardware.
        records: the run's trials.
    """
    hardware = config.get("hardware")
    if not hardware:
        return None
    text = (
        f"{hardware['name']} ({hardware['accelerator']}, {hardware['cores']} cores, "
        f"{count(hardware['devices'], 'device')}), {hardware['system']}"
    )
    used = Counter(_name_ground(record) for record in records if record.device is not None)
    if len(used) > 1:
        parts = [f"{count(number, 'training')} on {name}" for name, number in used.items()]
        text += f"; mixed: {', '.join(parts)}"
    return text


def _name_ground(record: TrialRecord) -> str:
    """Name what a training ran on, as far as it can change numbers."""
    parts = {"driver": record.driver, "CUDA": record.cuda, "cuDNN": record.cudnn}
    versions = {"PyTorch": record.torch, **parts}
    told = [f"{name} {version}" for name, version in versions.items() if version is not None]
    return f"{record.device} ({', '.join([*told, record.precision or '?'])})"
