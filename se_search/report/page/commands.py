"""The commands by which a reader of the page goes on with a run, from whatever folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from se_search.report.answer import Answer
from se_search.report.next_step import NextStep, choose_next_step
from se_search.report.run_facts import RunFacts
from se_search.shell import join_words
from se_search.store.confirmations import Round
from se_search.surrogate.posterior_front import PosteriorFront


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and what it is for."""

    purpose: str
    text: str


def locate_next_step(
    front: PosteriorFront, facts: RunFacts, confirmation: Round | None = None
) -> NextStep:
    """Return the answer's next step with a command that can be given in any folder."""
    step = choose_next_step(front, _locate(facts), confirmation)
    return step if step.command is None else replace(step, command=_from_anywhere(step.command))


def list_commands(facts: RunFacts, answer: Answer) -> list[Command]:
    """Return how to go on, confirm, export and look on, each as a command for any folder.

    Args:
        facts: of the run.
        answer: with the next step that ``locate_next_step`` returns: if it continues the search, so
            does the list.
    """
    located = _locate(facts)
    run = located.run
    step = answer.next_step
    trials, more = step.trials, step.command
    if trials is None:
        trials = max(2 * facts.num_spent, facts.num_wanted)
        more = located.continue_command(trials)
    going_on = f"Continue the search to {facts.name_budget(trials)}."
    if facts.evidence is not None and facts.evidence.is_alone and facts.has_ended:
        going_on = (
            "Go on as a ladder, which trains candidates, tests the scores by them, and has a "
            f"budget of {facts.name_budget(trials)}."
        )
    commands: list[tuple[str, str | None]] = [
        (going_on, more),
        (
            "Confirm what is listed in fresh replicates, on the test images.",
            located.confirm_command() if facts.has_test and facts.num_trainings else None,
        ),
        (
            "Export a trained network: weights, model.py, torch.export, ONNX and a card.",
            _export_command(facts, answer),
        ),
        (
            "Effects of all places, widths and positions: tables and a figure for print.",
            join_words(["se-search", "effects", run]) if facts.num_trainings else None,
        ),
        (
            "Export tables for a paper (LaTeX, booktabs), and all files of the report anew.",
            join_words(["se-search", "report", run, "--latex"]) if facts.num_trainings else None,
        ),
        (
            "Export everything as JSON, for a program.",
            join_words(["se-search", "report", run, "--json"]),
        ),
        (
            "Look at all trials in a browser.",
            join_words(["se-search", "dashboard", run]),
        ),
    ]
    is_foreign = facts.has_code or "--sites" in facts.arguments  # takes options that we don't keep
    if answer.candidate is not None and not is_foreign:
        commands.append(
            (
                "Draw the network of the answer.",
                join_words(["se-search", "show", answer.candidate]),
            )
        )
    return [Command(purpose, _from_anywhere(text)) for purpose, text in commands if text]


def _export_command(facts: RunFacts, answer: Answer) -> str | None:
    """Return what exports the network of the answer, or else the best one; None: there is none."""
    if not facts.num_trainings:
        return None
    words: list[str | Path] = ["se-search", "export", _locate(facts).run]
    words += [] if answer.candidate is not None else ["--candidate", "best"]
    return join_words([*words, *(["--allow-code"] if facts.has_code else [])])


def _locate(facts: RunFacts) -> RunFacts:
    return replace(facts, run=facts.run.resolve())


def _from_anywhere(command: str) -> str:
    """Return a command that begins with ``cd`` if it names files by where it is given."""
    if not command.startswith("se-search run "):
        return command
    return f"{join_words(['cd', Path.cwd()])} && {command}"
