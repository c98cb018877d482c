"""The figure of a confirmation: gains over the plain network, in the search and afterwards."""

from __future__ import annotations

from matplotlib.figure import Figure

from se_search.analysis.confirmation import PLAIN, Confirmed, Gain
from se_search.report.figures.forest import Bar, Forest, ForestRow, Section, Series, draw_forest
from se_search.report.figures.style import BLUE, GREY, VERMILION, with_interval
from se_search.report.format import role_marks
from se_search.store.confirmations import Round


def prepare_confirmation(last: Round) -> Forest:
    """Return what the figure shows of a confirmation that has a result.

    All are gains over the plain network, in points: those that the search expects, and those of
    fresh trainings in common replicates. The plain network itself has no row.
    """
    assert last.result is not None
    candidates = last.result.candidates
    plain = next((c for c in candidates if PLAIN in c.roles), None)
    shown = [c for c in candidates if c.gain is not None]
    return Forest(
        title="Gains over the plain network: expected by the search, and in fresh replicates",
        note=_describe(plain, len(shown)),
        axis="gain in accuracy over the plain network (points)",
        zero="no SE",
        series=(
            Series("expected by the search", "^", GREY, is_filled=False),
            Series("fresh replicates, validation images", "o", VERMILION),
            Series("fresh replicates, test images", "s", BLUE, is_filled=False, size=3.8),
        ),
        sections=(Section("", tuple(map(_prepare_row, shown))),),
        columns=("test (95 %)", "replicates", "added %"),
        spread=0.27,
        row_height=0.29,
        names_heading="SE (stage:width)",
    )


def draw_confirmation(prepared: Forest) -> Figure:
    """Draw a row for each candidate: the search's difference, and fresh ones with intervals."""
    return draw_forest(prepared)


def _prepare_row(candidate: Confirmed) -> ForestRow:
    found = None
    if candidate.search_gain is not None:
        low, high = (
            None if end is None else 100 * end
            for end in (candidate.search_low, candidate.search_high)
        )
        found = Bar(100 * candidate.search_gain, low, high)
    validation, test = _estimate(candidate.gain), _estimate(candidate.test_gain)
    return ForestRow(
        f"{candidate.placement}{role_marks(candidate.roles)}",
        (found, validation, test),
        (
            "–" if test is None else with_interval(test.value, test.low, test.high),
            str(candidate.num_replicates),
            f"{candidate.added_params_pct:.2f}",
        ),
    )


def _estimate(gain: Gain | None) -> Bar | None:
    if gain is None:
        return None
    low, high = (None if end is None else 100 * end for end in (gain.low, gain.high))
    return Bar(100 * gain.mean, low, high)


def _describe(plain: Confirmed | None, num_shown: int) -> str:
    if plain is None or plain.accuracy is None or plain.test_accuracy is None:
        return "No training of the plain network has ended well, so there are no differences."
    searched = (
        "; the search has not trained it"
        if plain.search_accuracy is None
        else f", in the search {100 * plain.search_accuracy:.2f} %"
    )
    level = (
        f"The plain network has {100 * plain.accuracy:.2f} % on validation and "
        f"{100 * plain.test_accuracy:.2f} % on test images{searched}."
    )
    if not num_shown:
        return f"{level} No other candidate has a training in one of its replicates."
    return (
        f"{level} Bars are 95 % intervals, of fresh gains repeated ones (they hold at all looks at "
        "once). * listed by the search, e SE everywhere; cheapest first."
    )
