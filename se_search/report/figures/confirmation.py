"""The figure of a confirmation: differences to the plain network, in the search and afterwards."""

from __future__ import annotations

from matplotlib.figure import Figure

from se_search.analysis.confirmation import PLAIN, Confirmed, Gain
from se_search.report.figures.forest import Bar, Forest, ForestRow, Section, Series, draw_forest
from se_search.report.figures.style import BLUE, GREY, VERMILION, with_interval
from se_search.report.format import count, role_marks
from se_search.store.confirmations import Round


def prepare_confirmation(last: Round) -> Forest:
    """Return what the figure shows of a confirmation that has a result.

    All are differences to the plain network, in points: of the search's means where the search has
    trained both, and of fresh trainings with common seeds. The plain network itself has no row.
    """
    assert last.result is not None
    candidates = last.result.candidates
    plain = next((c for c in candidates if PLAIN in c.roles), None)
    shown = [c for c in candidates if c.gain is not None]
    return Forest(
        title="Differences to the plain network: in the search, and with fresh seeds",
        note=_describe(plain, len(shown)),
        axis="difference in accuracy to the plain network (points)",
        zero="no SE",
        series=(
            Series("search, validation images", "^", GREY, is_filled=False),
            Series(f"{count(len(last.seeds), 'fresh seed')}, validation images", "o", VERMILION),
            Series("these seeds, test images", "s", BLUE, is_filled=False, size=3.8),
        ),
        sections=(Section("", tuple(_prepare_row(each, plain) for each in shown)),),
        columns=("test (95 %)", "added %"),
        spread=0.27,
        row_height=0.29,
        names_heading="SE (stage:width)",
    )


def draw_confirmation(prepared: Forest) -> Figure:
    """Draw a row for each candidate: the search's difference, and fresh ones with intervals."""
    return draw_forest(prepared)


def _prepare_row(candidate: Confirmed, plain: Confirmed | None) -> ForestRow:
    found = None
    if plain is not None and None not in (candidate.search_accuracy, plain.search_accuracy):
        assert candidate.search_accuracy is not None
        assert plain.search_accuracy is not None
        found = Bar(100 * (candidate.search_accuracy - plain.search_accuracy))
    validation, test = _estimate(candidate.gain), _estimate(candidate.test_gain)
    return ForestRow(
        f"{candidate.placement}{role_marks(candidate.roles)}",
        (found, validation, test),
        (
            "–" if test is None else with_interval(test.value, test.low, test.high),
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
        return f"{level} No other candidate has a training with one of its seeds."
    return (
        f"{level} Bars are 95 % intervals, paired by seed. * on the search's front, e SE "
        "everywhere; cheapest first."
    )
