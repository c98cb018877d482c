"""Shows and keeps what each stage, position and width contributes: tables, a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console

from se_search.analysis.effect_contrasts import NO_SE
from se_search.analysis.effects import Effect, Effects
from se_search.analysis.slot_levels import ANY_SE
from se_search.errors import RunError, UnwritableError
from se_search.report.console import print_files, print_text
from se_search.report.format import count, interval, number
from se_search.report.table import Column, ResultTable
from se_search.store.files import WrittenFiles, describe_unwritten, write_table
from se_search.store.front_cache import read_posterior_front
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.run_trials import find_trials
from se_search.store.trials import read_records

FIELDS = ("family", *(field.name for field in fields(Effect)), "gain_per_pct")
COSTS = {"params": "parameters", "macs": "MACs", "latency": "latency"}
MAIN = "main effects"
MAX_MAIN = 45  # rows of the figure, which then still fits on a page
MAX_CONTRASTS = 20  # rows of a family; of a larger family those are shown that differ from 0


@dataclass(frozen=True, slots=True)
class Written:
    """The effects of a run, the files that hold them, and the files that can't be written."""

    effects: Effects
    files: tuple[Path, ...]
    unwritten: tuple[UnwritableError, ...] = ()


def write_effects(folder: RunFolder) -> Written:
    """Make effects.csv, effects.png and effects.pdf of a run anew.

    Gains in the CSV file are in points, which are per cent of the validation images.

    Raises:
        RunError: the folder holds no trials, or too few for a model.
    """
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.effects import draw_effects, prepare_effects
    from se_search.report.figures.style import save_one

    front = read_posterior_front(folder, read_records(find_trials(folder)), read_space(folder))
    effects = front.effects
    if effects is None:
        raise RunError(f"{folder.path}: there are no effects yet, as {front.reason}")
    figure = draw_effects(
        prepare_effects(
            shown_effects(effects),
            title=f"{folder.path.name}: what SE contributes",
            note=describe_figure(effects),
        )
    )
    files = WrittenFiles()
    for path in (folder.effects_png, folder.effects_pdf):
        files.attempt(save_one, path, figure)
    files.attempt(write_table, folder.effects_csv, FIELDS, effect_rows(effects))
    return Written(effects, tuple(files.written), tuple(files.unwritten))


def effect_rows(effects: Effects) -> list[dict[str, Any]]:
    """Return a row for each effect; None where the trainings say nothing of it."""
    return [
        {
            "family": family,
            **asdict(effect),
            "gain_per_pct": effect.gain_per_pct,
        }
        for family, members in _families(effects).items()
        for effect in members
    ]


def effects_event(written: Written) -> dict[str, Any]:
    """Return the effects and their files as plain data, for a program that reads them."""
    effects = written.effects
    known = {
        field.name: getattr(effects, field.name)
        for field in fields(Effects)
        if field.name not in ("main", "interactions", "matched", "notes")
    }
    return {
        "event": "effects",
        **known,
        "notes": list(effects.notes),
        "effects": effect_rows(effects),
        "files": [str(path) for path in written.files],
        "unwritten": describe_unwritten(written.unwritten),
    }


def print_effects(console: Console, written: Written) -> None:
    """Print the tables, what they rest on, and where the files lie."""
    effects = written.effects
    console.print(main_table(effects))
    for title, members in (
        ("Interactions: SE in both slots, less the sum of the two gains", effects.interactions),
        ("At equal cost: one place or position instead of another", effects.matched),
    ):
        if shown := _select(members):
            console.print(contrast_table(shown, title))
    print_text(console, caution(effects))
    print_files(console, written.files, written.unwritten)


def main_table(effects: Effects) -> ResultTable:
    """Lay out the gain of each level beside its cost, slot after slot."""
    table = ResultTable(
        [
            Column("slot", is_number=False, is_name=True),
            Column("level", is_number=False),
            Column("gain (95 %)"),
            Column(f"added {COSTS[effects.cost]} %", rank=1),
            Column("points per 1 %", rank=2),
            Column("candidates", rank=3),
            Column("trainings", rank=4),
        ],
        title="What SE contributes: points of accuracy over no SE in the slot",
    )
    slot = None
    for effect in effects.main:
        if slot not in (None, effect.slot):
            table.add_section()
        table.add_row(
            effect.slot if effect.slot != slot else "",
            f"{effect.level}{_against(effect)}",
            _interval(effect),
            number(effect.cost_pct, ".2f"),
            number(effect.gain_per_pct, "+.3f"),
            str(effect.num_candidates),
            str(effect.num_trainings),
        )
        slot = effect.slot
    return table


def contrast_table(effects: Sequence[Effect], title: str) -> ResultTable:
    """Lay out interactions, or contrasts at equal cost."""
    table = ResultTable(
        [
            Column("what", is_number=False),
            Column("points (95 %)"),
            Column("candidates", rank=1),
            Column("trainings", rank=2),
        ],
        title=title,
    )
    for effect in effects:
        table.add_row(
            _name(effect),
            _interval(effect),
            str(effect.num_candidates),
            str(effect.num_trainings),
        )
    return table


def caution(effects: Effects) -> str:
    """Say what the tables rest on."""
    marked = "; ".join(
        _count_marked(members, name) for name, members in _families(effects).items() if members
    )
    lines = [
        f"{marked}. Effects marked * differ from 0 at 5 %, with all effects of their table allowed "
        "for; an interval is of its effect alone, in replicates yet to come."
    ]
    if effects.unproven is not None:
        lines.append(f"Nothing is marked, as {effects.unproven}.")
    lines.append(
        f"{count(effects.num_trainings, 'full training')} of "
        f"{count(effects.num_candidates, 'candidate')} in "
        f"{count(effects.num_replicates, 'replicate')}. A gain is a mean over what the space's "
        "candidates carry elsewhere."
    )
    if any(len(family) > MAX_CONTRASTS for family in (effects.interactions, effects.matched)):
        lines.append(
            f"Of families of more than {MAX_CONTRASTS} contrasts only those that differ from 0 are "
            "shown; effects.csv has all."
        )
    lines += effects.notes
    missing = [effect for effect in (*effects.main, *effects.interactions) if effect.gain is None]
    if missing:
        lines.append(
            f"{count(len(missing), 'effect')} not known: "
            + ", ".join(f"{effect.slot} {effect.level}" for effect in missing[:8])
            + (", ..." if len(missing) > 8 else "")
            + f" ({'; '.join(dict.fromkeys(effect.reason for effect in missing))})."
        )
    return "\n".join(lines)


def shown_effects(effects: Effects) -> dict[str, Sequence[Effect]]:
    """Return the effects that the figure shows, by the heading of their family."""
    main = effects.main
    if len(main) > MAX_MAIN:
        main = tuple(effect for effect in main if effect.level == ANY_SE or effect.holds)
    return {
        _heading(family): main if family == MAIN else _select(members)
        for family, members in _families(effects).items()
    }


def describe_figure(effects: Effects) -> str:
    """Say what the figure rests on, and which main effects it leaves out."""
    left_out = (
        f" Of more than {MAX_MAIN} main effects those of any SE and those that differ from 0 are "
        "shown; effects.csv has all."
        if len(effects.main) > MAX_MAIN
        else ""
    )
    unproven = "" if effects.unproven is None else f" None holds, as {effects.unproven}."
    return (
        f"{count(effects.num_trainings, 'training')} of "
        f"{count(effects.num_candidates, 'candidate')} in "
        f"{count(effects.num_replicates, 'replicate')}; bars are 95 % intervals of each effect by "
        f"itself; added % is of {COSTS[effects.cost]}.{unproven}{left_out}"
    )


def _families(effects: Effects) -> dict[str, tuple[Effect, ...]]:
    return {
        MAIN: effects.main,
        "interactions": effects.interactions,
        "contrasts at equal cost": effects.matched,
    }


def _select(contrasts: Sequence[Effect]) -> Sequence[Effect]:
    """Return what is shown of a family of contrasts, which the CSV file has in full."""
    if len(contrasts) <= MAX_CONTRASTS:
        return contrasts
    return [contrast for contrast in contrasts if contrast.holds]


def _heading(family: str) -> str:
    return {
        MAIN: "gain over no SE in the slot",
        "interactions": "SE in both slots, less the sum of gains (0: they add up)",
        "contrasts at equal cost": "contrasts at equal cost (0: no difference)",
    }[family]


def _count_marked(effects: Sequence[Effect], name: str) -> str:
    known = sum(effect.gain is not None for effect in effects)
    return f"{sum(effect.holds for effect in effects)} of {known} {name} marked"


def _name(effect: Effect) -> str:
    if effect.kind == "interaction":
        return effect.slot
    return f"{effect.level}, not {effect.reference}"


def _against(effect: Effect) -> str:
    return "" if effect.reference == NO_SE else f" (against {effect.reference})"


def _interval(effect: Effect) -> str:
    if effect.gain is None:
        return f"not known: {effect.reason}" if "cost" in effect.kind else "not known  "
    assert effect.low is not None
    assert effect.high is not None
    mark = "*" if effect.holds else " "
    return f"{effect.gain:+z.2f} ({interval(effect.low, effect.high)}) {mark}"
