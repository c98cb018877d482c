"""Reports a confirmation: accuracies in the search beside accuracies with fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console

from se_search.analysis.confirmation import (
    Confirmation,
    Confirmed,
    Gain,
)
from se_search.report.console import print_files, print_text
from se_search.report.format import count, number, percent, points, role_marks
from se_search.report.table import Column, ResultTable
from se_search.store.confirmations import Round, count_readings
from se_search.store.files import write_table
from se_search.store.run_folder import RunFolder

GAIN_FIELDS = tuple(field.name for field in fields(Gain))


def write_confirmation(folder: RunFolder, rounds: Sequence[Round]) -> None:
    """Write the CSV file and the figure of the last confirmation, if it has a result.

    Raises:
        UnwritableError: a file can't be written.
    """
    for write, path, *contents in list_confirmation_files(folder, rounds):
        write(path, *contents)


def list_confirmation_files(folder: RunFolder, rounds: Sequence[Round]) -> list[tuple[Any, ...]]:
    """Return for each file of the last confirmation what writes it, its path, and its contents.

    The CSV file has a row for each candidate, cheapest first; accuracies are shares (0..1).
    """
    last = rounds[-1] if rounds else None
    if last is None or last.result is None:
        return []
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.confirmation import draw_confirmation, prepare_confirmation
    from se_search.report.figures.style import save_one

    rows = [_flatten(candidate) for candidate in last.result.candidates]
    figure = draw_confirmation(prepare_confirmation(last))
    return [
        (save_one, folder.confirmation_png, figure),
        (save_one, folder.confirmation_pdf, figure),
        (write_table, folder.confirmation_csv, list(rows[0]), rows),
    ]


def print_confirmation(console: Console, folder: RunFolder, rounds: Sequence[Round]) -> None:
    """Print the last confirmation and the paths of its files, if it has a result."""
    if print_result(console, rounds):
        print_files(console, _list_files(folder))


def _list_files(folder: RunFolder) -> list[Path]:
    return [
        *(folder.confirmation_png, folder.confirmation_pdf),
        *(folder.confirmation_csv, folder.confirmation_file),
    ]


def print_result(console: Console, rounds: Sequence[Round], num_trials: int = 0) -> bool:
    """Print the last confirmation as a table and in words; return whether it has a result.

    Args:
        console: what is printed on.
        rounds: the confirmations of the run, the oldest first.
        num_trials: how many trials the run has now; those since the confirmation are told.
    """
    last = rounds[-1] if rounds else None
    if last is None or last.result is None:
        return False
    console.print(confirmation_table(last))
    newer = num_trials - last.num_trials
    if newer > 0:
        print_text(
            console,
            f"The search has gone on since, by {count(newer, 'trial')}: its front may be another "
            "one than the front confirmed here.",
        )
    print_text(console, "\n".join(confirmation_sentences(rounds)))
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


def confirmation_table(last: Round) -> ResultTable:
    """Lay a confirmation out for a terminal, cheapest candidate first."""
    assert last.result is not None
    table = ResultTable(
        [
            Column("SE (stage:squeeze width)", is_number=False),
            Column("search (n)", rank=4),
            Column("fresh (n)"),
            Column("too good", rank=5),
            Column("test", rank=2),
            Column("test - no SE"),
            Column("p", rank=1),
            Column("front?", rank=3),
        ],
        title=f"Confirmation: trained again with {count(len(last.seeds), 'fresh seed')} "
        f"(from {last.seeds[0]:,}), {count(last.epochs, 'epoch')} each",
    )
    for candidate in last.result.candidates:
        table.add_row(
            f"{candidate.placement}{role_marks(candidate.roles)}",
            _with_seeds(candidate.search_accuracy, candidate.search_replicates),
            _with_seeds(candidate.accuracy, candidate.num_replicates, candidate.error),
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
    result, num_replicates = last.result, len(last.seeds)
    return [
        "Accuracies in % on validation images, in the search and with fresh seeds, and on test "
        "images with the same fresh seeds; front?: by fresh seeds, and how likely. * on the "
        "search's front, b plain backbone, e SE everywhere at r = 16.",
        *_describe_front(result),
        *_describe_optimism(result),
        *_describe_intervals(result, num_replicates),
        _describe_test(rounds),
        *_describe_failures(last),
    ]


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
        f"{there} of {count(len(members), 'confirmed member')} of the search's front "
        f"{'is' if there == 1 else 'are'} on the front of the fresh means{gone}.{likely} The "
        "cheapest candidate is on every front."
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


def _describe_intervals(result: Confirmation, num_replicates: int) -> list[str]:
    if result.seed_sd is None or result.test_seed_sd is None:
        return ["How far seeds move a training is not known: no candidate has two fresh ones."]
    return [
        f"± is a 95 % interval of the mean (Student's t; seeds move a training by "
        f"{100 * result.seed_sd:.2f} points on validation and {100 * result.test_seed_sd:.2f} on "
        "test images, standard deviations pooled over all candidates here). Differences to the "
        "plain backbone are paired by seed; p is by sign flips, which with "
        f"{count(num_replicates, 'seed')} is never below {2 / 2**num_replicates:.2g}."
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


def _with_seeds(share: float | None, num_replicates: int, error: float | None = None) -> str:
    return percent(share) if share is None else f"{percent(share, error)} ({num_replicates})"


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
