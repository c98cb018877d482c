"""Writes the tables of a report for LaTeX: booktabs, gains with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from se_search.analysis.confirmation import Confirmed, Gain
from se_search.analysis.effect_contrasts import NO_SE
from se_search.analysis.effects import Effect, Effects
from se_search.report.format import common_decimals, count, number
from se_search.report.front_table import find_taken
from se_search.report.source import Source
from se_search.store.confirmations import Round
from se_search.store.run_folder import RunFolder
from se_search.surrogate.posterior_front import PosteriorFront
from se_search.terminal import one_line

COMMANDS = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": "{-}",  # two hyphens would become a dash
    "×": r"\ensuremath{\times}",
    "\N{MINUS SIGN}": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
}
HEAD = (
    "% Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc} in the preamble.\n"
    "% Gains are in points (per cent of the images) over the plain network.\n"
)


def list_latex_files(folder: RunFolder, source: Source) -> list[tuple[Path, str]]:
    """Return the path and the text of each table that there is something for.

    They are ``front.tex``, ``effects.tex`` where there is a model, and ``confirmation.tex`` where a
    confirmation has a result.
    """
    front, last = source.front, source.rounds[-1] if source.rounds else None
    files = [(folder.front_tex, front_latex(front))]
    if front.effects is not None:
        files.append((folder.effects_tex, effects_latex(front.effects)))
    if last is not None and last.result is not None:
        files.append((folder.confirmation_tex, confirmation_latex(last)))
    return files


def escape_latex(text: object) -> str:
    """Return a text as LaTeX prints it: no sign of it is a command, and none breaks a line.

    Letters beyond Latin Extended-A, which not every installation has, stand as their numbers in
    Unicode.
    """
    return "".join(_escape_sign(sign) for sign in one_line(str(text)))


def front_latex(front: PosteriorFront) -> str:
    """Return the table of the listed candidates, cheapest first."""
    decimals = common_decimals((c.low, c.high) for c in front.listed if not c.is_plain)
    taken = find_taken(front)
    rows = []
    for each in front.listed:
        summary = each.summary
        mark = "$^\\star$" if each is taken else ""
        rows.append(
            [
                f"{escape_latex(summary.placement)}{mark}",
                "0" if each.is_plain else _number(100 * each.gain, decimals, signed=True),
                "" if each.is_plain else _interval(each.low, each.high, 100, decimals),
                number(each.probability_on_front, ".2f", "--"),
                f"{summary.params:,}",
                f"{summary.added_params_pct:.2f}",
                f"{summary.macs:,}",
                str(summary.num_replicates),
            ]
        )
    headings = ["SE (stage:width)", "gain", "95\\,\\% interval", "$P$(front)", "parameters"]
    headings += ["added \\%", "MACs", "replicates"]
    caption = (
        f"The front of {count(len(front.candidates), 'trained candidate')} in "
        f"{count(front.num_replicates, 'replicate')}: expected gain over the network without SE, "
        "in points, with its 95\\,\\% interval for fresh replicates. $P$(front): probability that "
        "no other trained candidate is as good at no higher cost. $\\star$: recommended."
    )
    return _table("lrlrrrrr", headings, [rows], caption, "tab:front")


def effects_latex(effects: Effects) -> str:
    """Return the table of effects: main effects, interactions, and contrasts at equal cost."""
    sections = [
        [_effect_row(effect) for effect in family]
        for family in (effects.main, effects.interactions, effects.matched)
        if family
    ]
    headings = ["place", "SE there", "gain", "95\\,\\% interval", "$p$", "added \\%", "trainings"]
    caption = (
        "What SE contributes: gain over no SE in the place, in points, averaged over what "
        "candidates carry elsewhere, with the 95\\,\\% interval of each effect by itself for fresh "
        "replicates; interactions; contrasts at equal cost. $p$ allows for all effects of a "
        f"section; *: differs from 0. {count(effects.num_trainings, 'full training')} of "
        f"{count(effects.num_candidates, 'candidate')} in "
        f"{count(effects.num_replicates, 'replicate')}."
    )
    return _table("llrlrrr", headings, sections, caption, "tab:effects")


def confirmation_latex(last: Round) -> str:
    """Return the table of a confirmation that has a result, cheapest candidate first."""
    assert last.result is not None
    rows = [_confirmed_row(each) for each in last.result.candidates]
    headings = ["SE (stage:width)", "search", "validation", "test", "95\\,\\% interval"]
    headings += ["$p$", "replicates", "added \\%"]
    caption = (
        f"Confirmation: gains over the network without SE in {escape_latex(last.stated.plan)}, in "
        "points, as the search expected them, and as fresh replicates have them on validation and "
        "on test images, with repeated 95\\,\\% intervals. $p$: of the claim that SE is better, or "
        "of its opposite; the smaller one."
    )
    return _table("lrrrlrrr", headings, [rows], caption, "tab:confirmation")


def _effect_row(effect: Effect) -> list[str]:
    against = "" if effect.reference == NO_SE else f", not {effect.reference}"
    mark = "*" if effect.holds else ""
    return [
        escape_latex(effect.slot),
        escape_latex(f"{effect.level}{against}"),
        "--" if effect.gain is None else _number(effect.gain, 2, signed=True) + mark,
        _interval(effect.low, effect.high, 1, 2),
        number(effect.p, ".3f", "--"),
        number(effect.cost_pct, ".2f", "--"),
        f"{effect.num_trainings:,}",
    ]


def _confirmed_row(each: Confirmed) -> list[str]:
    test = each.test_gain
    claim = each.claim
    return [
        escape_latex(each.placement),
        "--"
        if each.search_gain is None or claim is None
        else _number(100 * each.search_gain, 2, signed=True),
        _mean(each.gain),
        _mean(test),
        "--" if test is None else _interval(test.low, test.high, 100, 2),
        "--" if claim is None or not claim.look else f"{claim.p:.3f}",
        str(each.num_replicates),
        f"{each.added_params_pct:.2f}",
    ]


def _mean(gain: Gain | None) -> str:
    return "--" if gain is None else _number(100 * gain.mean, 2, signed=True)


def _interval(low: float | None, high: float | None, factor: float, decimals: int) -> str:
    if low is None or high is None:
        return "--"
    ends = (_number(factor * end, decimals, signed=True) for end in (low, high))
    return "{}[{}, {}]".format("{}", *ends)  # a row that begins with a bracket is read as an option


def _number(value: float, decimals: int, *, signed: bool) -> str:
    return f"${value:{'+' if signed else ''}z.{decimals}f}$"


def _table(
    columns: str,
    headings: Sequence[str],
    sections: Sequence[Sequence[Sequence[str]]],
    caption: str,
    label: str,
) -> str:
    """Return a floating table; cells and caption are LaTeX already."""
    lines = [HEAD + "\\begin{table}", "\\centering", f"\\caption{{{caption}}}"]
    lines += [f"\\label{{{label}}}", f"\\begin{{tabular}}{{{columns}}}", "\\toprule"]
    lines += [" & ".join(headings) + r" \\"]
    for rows in sections:
        lines += ["\\midrule", *(" & ".join(row) + r" \\" for row in rows)]
    lines += ["\\bottomrule", "\\end{tabular}", "\\end{table}"]
    return "\n".join(lines) + "\n"


def _escape_sign(sign: str) -> str:
    if sign in COMMANDS:
        return COMMANDS[sign]
    if sign.isascii() or (sign.isalpha() and ord(sign) < 0x180):
        return sign
    return f"\\texttt{{U+{ord(sign):04X}}}"
