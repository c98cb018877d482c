"""Shows and keeps what each stage, position and width contributes: tables, a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console

from se_search.analysis.effect_model import ANY_SE
from se_search.analysis.effects import Effect, Effects, analyze_effects
from se_search.errors import UnwritableError
from se_search.report.console import print_files, print_text
from se_search.report.format import count, interval, number
from se_search.report.table import Column, ResultTable
from se_search.store.files import WrittenFiles, describe_unwritten, write_table
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.trials import read_records

FIELDS = ("family", *(field.name for field in fields(Effect)), "gain_per_pct", "holds")
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
        RunError: the folder holds no trials, or too few candidates for any effect.
    """
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.effects import draw_effects, prepare_effects
    from se_search.report.figures.style import save_one

    effects = analyze_effects(read_records(folder.database), read_space(folder))
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
    """Return a row for each effect; None where the trials can't determine a number."""
    return [
        {
            "family": family,
            **asdict(effect),
            "gain_per_pct": effect.gain_per_pct,
            "holds": effect.holds,
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
    console.print(main_table(effects.main))
    for title, members in (
        ("Interactions: SE in both slots, less the sum of the two gains", effects.interactions),
        ("At equal cost: one place or position instead of another", effects.matched),
    ):
        if shown := _select(members):
            console.print(contrast_table(shown, title))
    print_text(console, caution(effects))
    print_files(console, written.files, written.unwritten)


def main_table(main: Sequence[Effect]) -> ResultTable:
    """Lay out the gain of each level beside its cost, slot after slot."""
    table = ResultTable(
        [
            Column("slot", is_number=False, is_name=True),
            Column("level", is_number=False),
            Column("gain (95 %)"),
            Column("p (Holm)", rank=1),
            Column("candidates", rank=4),
            Column("trainings", rank=5),
            Column("added %", rank=3),
            Column("points per 1 %", rank=2),
        ],
        title="What SE contributes: points of accuracy against no SE in the slot",
    )
    slot = None
    for effect in main:
        if slot not in (None, effect.slot):
            table.add_section()
        against = "" if effect.reference == "no SE" else f" (against {effect.reference})"
        table.add_row(
            effect.slot if effect.slot != slot else "",
            f"{effect.level}{against}",
            _interval(effect),
            _p(effect),
            str(effect.num_candidates),
            str(effect.num_trainings),
            number(effect.cost_pct, ".2f"),
            number(effect.gain_per_pct, "+.3f"),
        )
        slot = effect.slot
    return table


def contrast_table(effects: Sequence[Effect], title: str) -> ResultTable:
    """Lay out interactions, or contrasts at equal cost."""
    table = ResultTable(
        [
            Column("what", is_number=False),
            Column("points (95 %)"),
            Column("p (Holm)", rank=1),
            Column("candidates", rank=2),
            Column("trainings", rank=3),
        ],
        title=title,
    )
    for effect in effects:
        table.add_row(
            _name(effect),
            _interval(effect),
            _p(effect),
            str(effect.num_candidates),
            str(effect.num_trainings),
        )
    return table


def caution(effects: Effects) -> str:
    """Say what the tables rest on."""
    lines = [
        _tested(effects.main, MAIN)
        + "".join(
            f"; {_tested(members, name)}"
            for name, members in list(_families(effects).items())[1:]
            if members
        )
        + ". Effects marked * differ from 0 after Holm's correction at 5 % within their family; "
        "an interval is of its effect alone."
    ]
    seeds = (
        "no candidate has two seeds"
        if effects.seed_sd is None
        else f"seeds move a training by {effects.seed_sd:.2f} points (standard deviation)"
    )
    deviation = (
        ""
        if effects.candidate_sd is None
        else f", candidates deviate from the sum of their effects by {effects.candidate_sd:.2f}"
    )
    lines.append(
        f"{count(effects.num_trainings, 'full training')} of "
        f"{count(effects.num_candidates, 'candidate')}; {seeds}{deviation}; degrees of freedom: "
        f"{effects.freedom}."
    )
    if any(len(family) > MAX_CONTRASTS for family in (effects.interactions, effects.matched)):
        lines.append(
            f"Of families of more than {MAX_CONTRASTS} contrasts only those that differ from 0 are "
            "shown; effects.csv has all."
        )
    if effects.num_short:
        verb = "is" if effects.num_short == 1 else "are"
        lines.append(f"{count(effects.num_short, 'shorter training')} {verb} not used.")
    lines += effects.notes
    missing = [effect for effect in (*effects.main, *effects.interactions) if effect.gain is None]
    if missing:
        lines.append(
            f"{count(len(missing), 'effect')} can't be told from others by these candidates: "
            + ", ".join(f"{effect.slot} {effect.level}" for effect in missing[:8])
            + (", ..." if len(missing) > 8 else "")
            + "."
        )
    lines.append(
        "A gain is averaged over what the candidates carry elsewhere. A search trains again what "
        "looked good, so its trials are no random sample: confirm a difference that matters with "
        "fresh seeds."
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
    return (
        f"{count(effects.num_trainings, 'training')} of "
        f"{count(effects.num_candidates, 'candidate')}; bars are "
        f"95 % intervals of each effect by itself.{left_out}"
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
        MAIN: "gain against no SE in the slot",
        "interactions": "SE in both slots, less the sum of gains (0: they add up)",
        "contrasts at equal cost": "contrasts at equal cost (0: no difference)",
    }.get(family, family)


def _tested(effects: Sequence[Effect], name: str) -> str:
    tested = sum(effect.gain is not None for effect in effects)
    holding = sum(effect.holds for effect in effects)
    return f"{tested} {name} tested, {holding} marked"


def _name(effect: Effect) -> str:
    if effect.kind == "interaction":
        return effect.slot
    if "at equal cost" in effect.kind:
        return f"{effect.level}, not {effect.reference}"
    against = "" if effect.reference == "no SE" else f" (against {effect.reference})"
    return f"{effect.slot}  {effect.level}{against}"


def _interval(effect: Effect) -> str:
    if effect.gain is None:
        return f"not known: {effect.reason}" if "cost" in effect.kind else "not known"
    assert effect.low is not None
    assert effect.high is not None
    return f"{effect.gain:+.2f} ({interval(effect.low, effect.high)})"


def _p(effect: Effect) -> str:
    if effect.p_holm is None:
        return "-"
    text = "<0.001" if effect.p_holm < 0.001 else f"{effect.p_holm:.3f}"
    return f"{text} {'*' if effect.holds else ' '}"
