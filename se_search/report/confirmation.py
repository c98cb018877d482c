"""Reports a confirmation: accuracies in the search beside accuracies with fresh seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from se_search.analysis.confirmation import (
    Confirmation,
    Confirmed,
    Gain,
)
from se_search.report.figures.canvas import FAINT, GREY, INK, Canvas, Color, linear_scale, shorten
from se_search.report.figures.pareto_front import tick_values
from se_search.report.format import count, number, percent, points, role_marks
from se_search.store.confirmations import Round, count_readings
from se_search.store.files import write_table
from se_search.store.run_folder import RunFolder

SEARCH_COLOR: Color = (140, 147, 158)
VALIDATION_COLOR: Color = (196, 68, 32)
TEST_COLOR: Color = (52, 92, 160)
LABEL_WIDTH, PLOT_WIDTH, ROW_HEIGHT = 400, 640, 40
MARGIN, MARGIN_TOP, MARGIN_BOTTOM = 36, 92, 56
GAIN_FIELDS = tuple(field.name for field in fields(Gain))


def write_confirmation(folder: RunFolder, rounds: Sequence[Round]) -> list[Path]:
    """Write the CSV file and the figure of the last confirmation; return the files of its result.

    The CSV file has a row for each candidate, cheapest first; accuracies are shares (0..1).
    """
    last = rounds[-1] if rounds else None
    if last is None or last.result is None:
        return []
    rows = [_flatten(candidate) for candidate in last.result.candidates]
    write_table(folder.confirmation_csv, list(rows[0]), rows)
    draw_confirmation(folder.confirmation_png, last)
    return [folder.confirmation_png, folder.confirmation_csv, folder.confirmation_file]


def print_confirmation(console: Console, folder: RunFolder, rounds: Sequence[Round]) -> None:
    """Print the last confirmation and the paths of its files, if it has a result."""
    if print_result(console, rounds):
        files = (folder.confirmation_png, folder.confirmation_csv, folder.confirmation_file)
        text = f"Written: {', '.join(map(str, files))}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def print_result(console: Console, rounds: Sequence[Round]) -> bool:
    """Print the last confirmation as a table and in words; return whether it has a result."""
    last = rounds[-1] if rounds else None
    if last is None or last.result is None:
        return False
    console.print(confirmation_table(last))
    text = "\n".join(confirmation_sentences(rounds))
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    return True


def confirmation_event(folder: RunFolder, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the last confirmation as plain data, for a program that reads along."""
    plain = asdict(rounds[-1]) if rounds else {}
    return {
        "event": "confirmation",
        "run": str(folder.path),
        "test_readings": count_readings(rounds),
        **plain,
    }


def confirmation_table(last: Round) -> Table:
    """Lay a confirmation out for a terminal, cheapest candidate first."""
    assert last.result is not None
    table = Table(
        title=f"Confirmation: trained again with {count(len(last.seeds), 'fresh seed')} "
        f"(from {last.seeds[0]:,}), {count(last.epochs, 'epoch')} each"
    )
    table.add_column("SE (stage:squeeze width)")
    for heading in ("search (n)", "fresh (n)", "too good", "test", "test - no SE", "p", "front?"):
        table.add_column(heading, justify="right")
    for candidate in last.result.candidates:
        table.add_row(
            f"{candidate.placement}{role_marks(candidate.roles)}",
            _with_seeds(candidate.search_accuracy, candidate.search_seeds),
            _with_seeds(candidate.accuracy, candidate.num_seeds, candidate.error),
            points(candidate.optimism),
            percent(candidate.test_accuracy, candidate.test_error),
            _describe_gain(candidate.test_gain),
            "-" if candidate.test_gain is None else number(candidate.test_gain.p, ".3f"),
            _describe_place(candidate),
        )
    return table


def confirmation_sentences(rounds: Sequence[Round]) -> list[str]:
    """Return the result of the last confirmation in words, and the methods behind its numbers."""
    last = rounds[-1]
    assert last.result is not None
    result, num_seeds = last.result, len(last.seeds)
    return [
        "Accuracies in % on validation images, in the search and with fresh seeds, and on test "
        "images with the same fresh seeds; front?: by fresh seeds, and how likely. * on the "
        "search's front, b plain backbone, e SE everywhere at r = 16.",
        *_describe_front(result),
        *_describe_optimism(result),
        *_describe_intervals(result, num_seeds),
        _describe_test(rounds),
        *_describe_failures(last),
    ]


def draw_confirmation(path: Path, last: Round) -> None:
    """Draw a row for each candidate: the search's mean, and fresh means with 95 % intervals."""
    assert last.result is not None
    shown = [c for c in last.result.candidates if c.accuracy is not None]
    width = MARGIN + LABEL_WIDTH + PLOT_WIDTH + MARGIN
    bottom = MARGIN_TOP + ROW_HEIGHT * max(len(shown), 1)
    canvas = Canvas(width, bottom + MARGIN_BOTTOM)
    canvas.text(MARGIN, 24, "What the search found, and fresh seeds of it", "lm", size=15)
    _draw_legend(canvas, len(last.seeds))
    left, right = MARGIN + LABEL_WIDTH, width - MARGIN
    if not shown:
        canvas.text((left + right) / 2, bottom - 10, "no training has ended well", "mm", size=14)
        canvas.save(path)
        return
    low, high = _range_of(shown)
    x_of = linear_scale(low, high, left, right)
    for value in tick_values(low, high):
        canvas.line([(x_of(value), MARGIN_TOP), (x_of(value), bottom)], FAINT)
        canvas.text(x_of(value), bottom + 8, f"{value:.4g}", "mt")
    canvas.line([(left, bottom), (right, bottom)], INK)
    canvas.text((left + right) / 2, bottom + 38, "accuracy, %", "mm", size=13)
    for index, candidate in enumerate(shown):
        y = MARGIN_TOP + ROW_HEIGHT * (index + 0.5)
        name = f"{candidate.placement}{role_marks(candidate.roles)}"
        text = f"{name}   {candidate.added_params_pct:+.2f}%"
        canvas.text(MARGIN, y, shorten(text, 12, LABEL_WIDTH - 24), "lm", size=12)
        _draw_row(canvas, candidate, y, x_of)
    canvas.save(path)


def _draw_legend(canvas: Canvas, num_seeds: int) -> None:
    x = float(MARGIN)
    for color, text in (
        (SEARCH_COLOR, "search, validation images"),
        (VALIDATION_COLOR, f"{count(num_seeds, 'fresh seed')}, validation images"),
        (TEST_COLOR, "the same, test images"),
    ):
        canvas.dot(x + 4, 50, 4, color)
        canvas.text(x + 14, 50, text, "lm", size=11, color=GREY)
        x += 40 + 6.2 * len(text)
    note = "bars: 95 % intervals of the mean · * on the search's front, b plain backbone, e SE "
    canvas.text(MARGIN, 70, f"{note}everywhere · cheapest first", "lm", size=11, color=GREY)


def _draw_row(
    canvas: Canvas, candidate: Confirmed, y: float, x_of: Callable[[float], float]
) -> None:
    if candidate.search_accuracy is not None:
        canvas.dot(x_of(100 * candidate.search_accuracy), y - 9, 3.6, SEARCH_COLOR)
    for accuracy, error, shift, color in (
        (candidate.accuracy, candidate.error, 0, VALIDATION_COLOR),
        (candidate.test_accuracy, candidate.test_error, 9, TEST_COLOR),
    ):
        assert accuracy is not None
        if error is not None:
            ends = [(x_of(100 * (accuracy + sign * error)), y + shift) for sign in (-1, 1)]
            canvas.line(ends, color, width=1.4)
        canvas.dot(x_of(100 * accuracy), y + shift, 3.6, color)


def _range_of(shown: Sequence[Confirmed]) -> tuple[float, float]:
    """Return the range in per cent that has all dots and bars."""
    values = [100 * c.search_accuracy for c in shown if c.search_accuracy is not None]
    for c in shown:
        for accuracy, error in ((c.accuracy, c.error), (c.test_accuracy, c.test_error)):
            assert accuracy is not None
            values += [100 * (accuracy - (error or 0.0)), 100 * (accuracy + (error or 0.0))]
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or 1.0
    return low - pad, high + pad


def _describe_front(result: Confirmation) -> list[str]:
    members = result.members
    if not members:
        return []
    there = sum(member.on_front for member in members)
    sure = sum((member.front_probability or 0.0) >= 0.5 for member in members)
    lost = [member.placement for member in members if not member.on_front]
    gone = f"; no longer there: {', '.join(lost)}" if lost else ""
    likely = (
        ""
        if result.seed_sd is None
        else f" Allowing for the noise that is left, {sure} of them are there more likely than not."
    )
    return [
        f"{there} of the {len(members)} members of the search's front are on the front of the "
        f"fresh means{gone}.{likely} The cheapest candidate is on every front."
    ]


def _describe_optimism(result: Confirmation) -> list[str]:
    optimism, error = result.mean_optimism, result.mean_estimate_error
    if optimism is None:
        return []
    word = "above" if optimism >= 0 else "below"
    estimates = (
        ""
        if error is None
        else f"; the model's estimates were {100 * abs(error):.2f} points "
        f"{'above' if error >= 0 else 'below'}"
    )
    return [
        f"In the search the members' mean accuracies were {100 * abs(optimism):.2f} points {word} "
        f"those of fresh seeds, on average{estimates}."
    ]


def _describe_intervals(result: Confirmation, num_seeds: int) -> list[str]:
    if result.seed_sd is None or result.test_seed_sd is None:
        return ["How far seeds move a training is not known: no candidate has two fresh ones."]
    return [
        f"± is a 95 % interval of the mean (Student's t; seeds move a training by "
        f"{100 * result.seed_sd:.2f} points on validation and {100 * result.test_seed_sd:.2f} on "
        "test images, standard deviations pooled over all candidates here). Differences to the "
        "plain backbone are paired by seed; p is by sign flips, which with "
        f"{count(num_seeds, 'seed')} is never below {2 / 2**num_seeds:.2g}."
    ]


def _describe_test(rounds: Sequence[Round]) -> str:
    readings = count_readings(rounds)
    num_test = f"{rounds[-1].num_images[1]:,} test images"
    if readings <= 1:
        return (
            f"The {num_test} were read by this confirmation for the first time, after the last "
            "epoch of each training."
        )
    return (
        f"The {num_test} have been read by {readings} confirmations of this run: whoever chooses "
        "between candidates by them has used them up, and needs other images to report."
    )


def _describe_failures(last: Round) -> list[str]:
    assert last.result is not None
    missing = len(last.seeds) * len(last.chosen) - last.result.num_trainings
    lines = []
    if last.failures:
        lines.append(f"{count(len(last.failures), 'training')} failed: {last.failures[-1]}")
    if missing:
        lines.append(
            f"{count(missing, 'training')} of {len(last.seeds) * len(last.chosen)} missing; "
            "the same command trains them."
        )
    return lines


def _describe_gain(gain: Gain | None) -> str:
    if gain is None:
        return "-"
    if gain.low is None or gain.high is None:
        return points(gain.mean)
    return points(gain.mean, (gain.high - gain.low) / 2)


def _describe_place(candidate: Confirmed) -> str:
    if candidate.accuracy is None:
        return "-"
    word = "yes" if candidate.on_front else "no"
    share = candidate.front_probability
    return word if share is None else f"{word} {share:.2f}"


def _with_seeds(share: float | None, num_seeds: int, error: float | None = None) -> str:
    return percent(share) if share is None else f"{percent(share, error)} ({num_seeds})"


def _flatten(candidate: Confirmed) -> dict[str, object]:
    """Return a CSV row: roles as words, each gain as four columns."""
    row: dict[str, object] = {}
    for name, value in asdict(candidate).items():
        if name in ("gain", "test_gain"):
            gain = value or dict.fromkeys(GAIN_FIELDS)
            row |= {name if key == "mean" else f"{name}_{key}": gain[key] for key in GAIN_FIELDS}
        else:
            row[name] = "; ".join(value) if name == "roles" else value
    return row
