"""Made-up trials."""

from se_search.record import TrialRecord


def make_record(name, accuracy, params=100, macs=1_000, *, state="COMPLETE", seed=0, epochs=4):
    """Return a trial of the candidate ``name``; one that has not ended well has no accuracy."""
    is_complete = state in ("COMPLETE", "PRUNED")
    return TrialRecord(
        number=0,
        state=state,
        candidate=f"tiny/{name}",
        key=name,
        placement=name,
        seed=seed,
        epochs=epochs,
        accuracy=accuracy if is_complete else None,
        loss=1 - accuracy if is_complete else None,
        params=params,
        added_params=params - 50,
        added_params_pct=100 * (params - 50) / 50,
        macs=macs,
        added_macs=macs - 500,
        seconds=1.0,
        reason=None,
    )


def front_of(summaries):
    """Return the summaries on the front of plain means, cheapest first."""
    return sorted((s for s in summaries if s.on_front), key=lambda s: (s.params, s.macs))
