"""Names a trial's objectives and attributes for people who look at single trials."""

from __future__ import annotations

from collections.abc import Sequence

from se_search.record import Role, Rung, TrialRecord

# A field of a record, its name with the unit, and what the field is multiplied by.
OBJECTIVES = {
    "accuracy": ("accuracy (% of validation images)", 100.0),
    "params": ("parameters", 1.0),
    "macs": ("MACs (multiply-adds an image)", 1.0),
    "latency": ("latency (ms a batch)", 1e-6),
}
ROLES: dict[Role, str] = {
    "control": "control: the plain network of its replicate",
    "start": "start: of the sampler's start design",
    "proposal": "proposal: chosen by what the sampler had seen",
    "promotion": "promotion: trained on a higher rung",
}


def list_attributes(
    record: TrialRecord, objectives: Sequence[str], rungs: Sequence[Rung]
) -> dict[str, str | float]:
    """Return what is known of a trial besides its objectives, by names that say the unit.

    Args:
        record: of the trial.
        objectives: fields that are shown elsewhere where a full training has ended.
        rungs: of the run, the shortest trainings first.
    """
    lengths = sorted({record.epochs, *(rung.epochs for rung in rungs)})
    rung = (
        "full training"
        if record.epochs == lengths[-1]
        else f"{1 + lengths.index(record.epochs)} of {len(lengths)}"
    )
    accuracy = record.accuracy if record.state == "PRUNED" else None
    known: dict[str, str | float | None] = {
        "candidate": record.placement,
        "replicate": record.seed,
        "role": ROLES[record.role],
        "rung": rung,
        "epochs": record.epochs,
        "reason of the failure": record.reason,
        "accuracy of the rung (%)": None if accuracy is None else round(100 * accuracy, 4),
        "loss": record.loss,
        "added parameters (%)": record.added_params_pct,
        **{
            OBJECTIVES[name][0]: getattr(record, name)
            for name in ("params", "macs")
            if name not in objectives
        },
        "added MACs (multiply-adds an image)": record.added_macs,
        "added latency (ms a batch)": None
        if record.added_latency is None
        else record.added_latency / 1e6,
        "seconds": record.seconds,
        "attempts": record.attempts,
        "device": record.device,
        "candidate in full": record.candidate,
    }
    return {name: value for name, value in known.items() if value is not None}
