"""Fills in the checklist for research on architecture search from what a run has recorded.

The items follow Lindauer & Hutter 2020, "Best practices for scientific research on neural
architecture search" (JMLR 21(243)), in the paper's order: code, comparisons, reporting. An item
that the run has not recorded says so, and is left to the run's authors.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from se_search.analysis.confirmation import EVERYWHERE, PLAIN
from se_search.record import ENDED_WELL, TrialRecord
from se_search.report.format import count
from se_search.report.hardware import (
    count_all_grounds,
    describe_hardware,
    describe_time,
    describe_unrepeatable,
)
from se_search.shell import join_words
from se_search.store.confirmations import Round, count_readings
from se_search.store.files import write_text
from se_search.store.training_log import LogContents
from se_search.terminal import one_line

UNKNOWN = "The run has not recorded this"
SOURCE = (
    "After the checklist of Lindauer & Hutter 2020, Best practices for scientific research on "
    "neural architecture search, JMLR 21(243). `[x]`: filled in from the run; `[ ]`: for you to "
    "fill in."
)


@dataclass(frozen=True, slots=True)
class Item:
    """A question of the checklist, with the run's answer to it.

    Attributes:
        question: in bold, as the checklist prints it.
        answer: None if the run has not recorded it.
        missing: stands in the place of an answer that is None.
    """

    question: str
    answer: str | None
    missing: str = UNKNOWN

    def __str__(self) -> str:
        if self.answer is None:
            end = "" if self.missing.endswith("?") else "."
            return f"- [ ] **{self.question}** {self.missing}{end}"
        return f"- [x] **{self.question}** {self.answer}."


def write_checklist(
    path: Path,
    config: Mapping[str, Any],
    records: Sequence[TrialRecord],
    rounds: Sequence[Round] = (),
    fresh: LogContents | None = None,
) -> None:
    """Write a run's checklist as Markdown.

    Args:
        path: the file.
        config: the run's configuration.
        records: all trials of the search.
        rounds: the confirmations of the run, the oldest first.
        fresh: their trainings; None: there are none.

    Raises:
        RunError: the file can't be written.
    """
    identity = config["identity"]
    lines = [
        f"# Checklist: {identity['backbone']['name']} on {_code(identity['data']['name'])}",
        "",
        SOURCE,
    ]
    for heading, items in list_items(config, records, rounds, fresh).items():
        lines += ["", f"## {heading}", "", *map(str, items)]
    write_text(path, "\n".join(lines) + "\n")


def list_items(
    config: Mapping[str, Any],
    records: Sequence[TrialRecord],
    rounds: Sequence[Round] = (),
    fresh: LogContents | None = None,
) -> dict[str, list[Item]]:
    """Return the items by heading; the arguments are those of ``write_checklist``."""
    identity, search = config["identity"], config.get("search") or {}
    hardware = describe_hardware(config, *count_all_grounds(records, fresh))
    return {
        "Code": [
            Item("Code and versions.", _describe_versions(config)),
            Item("Command line.", _describe_command(config)),
            Item(
                "Training pipeline.",
                f"One for all candidates, recipe {_code(search.get('recipe', '?'))} with the hash "
                f"`{search.get('recipe_hash', '?')}` and {count(identity['epochs'], 'epoch')}: "
                f"{_describe_recipe(identity['recipe'])}. `config.yaml` has all of it",
            ),
            Item(
                "Search space.",
                f"{_code(search.get('space', '?'))}, granularity "
                f"{identity['space']['granularity']}; `config.yaml` has all of it",
            ),
            Item("Protocol.", _describe_identity(config)),
            Item(
                "Code is public.",
                None,
                "se-search is public. Are your network, your recipe and your changes?",
            ),
        ],
        "Comparisons": [
            Item("Data and split.", _describe_data(identity)),
            Item(
                "Same for all candidates.",
                "Data, split, recipe, epochs, precision and initial weights are part of the "
                "run's hash; a trial with others is refused. Two candidates with one seed are "
                "trained on the same images in the same order and validated on the same images; "
                "they start from the same weights where their layers have the same names",
            ),
            Item("Weight sharing.", _describe_sharing(search) + _describe_weights(identity)),
            Item("Replicates.", _describe_replicates(identity, records, rounds)),
            _list_controls(identity, records),
            Item("Repeats.", _describe_repeats(identity["epochs"], records, rounds)),
            _list_baselines(identity, records, rounds),
            Item(
                "Random search.",
                "The sampler of this run is random" if search.get("sampler") == "random" else None,
                "The sampler of this run is not random; `--sampler random --name OTHER` searches "
                "at random, and `se-search benchmark samplers` compares samplers on tables",
            ),
            Item(
                "Several runs of the search.",
                None,
                "This checklist is of one run, with one seed of the sampler",
            ),
            Item("Test split.", _describe_test(identity, rounds)),
            Item(
                "Confounding factors.",
                f"{hardware or 'Hardware not recorded'}. Precision "
                f"{identity.get('precision', '?')}, "
                f"{count(search.get('threads', 1), 'thread')} a training, "
                f"{search.get('workers', '?')} at a time{describe_unrepeatable(records, fresh)}",
            ),
        ],
        "Reporting": [
            Item("Budget.", _describe_budget(identity, search, records)),
            Item("Time.", describe_time(records, rounds, fresh)),
            Item("Hardware.", hardware),
            Item(
                "Settings of the search.",
                f"{_describe_settings(search)}, "
                f"objectives {', '.join(identity['objectives'])}, up to "
                f"{count(search.get('max_failures', 0), 'failure')} in a row",
            ),
            Item(
                "What was tuned.",
                None,
                "The run tunes nothing but the choices of its space. Were the recipe, the space or "
                "the sampler's settings tuned before, on which data, and at what cost?",
            ),
            Item("Failures.", _describe_failures(records, rounds)),
            Item("All results.", "`trials.csv` has every training, the failed ones too"),
        ],
    }


def _describe_settings(search: Mapping[str, Any]) -> str:
    """Name the sampler and the rungs, and those before if a run was continued with others."""
    first, *others = search.get("history") or [search]
    text = f"Sampler `{first.get('sampler', '?')}`, rungs {first.get('promotion', 'off')}"
    for one in others:
        text += f"; from trial {one['from_trial']} on `{one['sampler']}`, rungs {one['promotion']}"
    return text


def _describe_versions(config: Mapping[str, Any]) -> str | None:
    versions = config.get("versions")
    return ", ".join(f"{name} {v}" for name, v in versions.items()) if versions else None


def _describe_command(config: Mapping[str, Any]) -> str | None:
    command = config.get("command")
    return _code(join_words(command)) if command else None


def _describe_recipe(recipe: Mapping[str, Any]) -> str:
    optimizer, augmentation = recipe["optimizer"], recipe["augmentation"]
    changes = [f"{name} {value}" for name, value in augmentation.items() if value]
    return (
        f"{optimizer['name']} with a learning rate of {optimizer['lr']:g}, momentum "
        f"{optimizer['momentum']:g} and weight decay {optimizer['weight_decay']:g}, batches of "
        f"{recipe['batch_size']}{_describe_pieces(recipe)}, schedule "
        f"{recipe['schedule']['name']}, label smoothing "
        f"{recipe['label_smoothing']:g}, augmentation {', '.join(changes) or 'none'}"
    )


def _describe_pieces(recipe: Mapping[str, Any]) -> str:
    size = recipe.get("micro_batch")
    return f" in pieces of up to {size}" if size else ""


def _describe_identity(config: Mapping[str, Any]) -> str | None:
    if "hash" not in config:
        return None
    return (
        f"Run `{config['hash']}`: the hash of space, backbone, data and split, recipe, epochs, "
        "objectives, seed, precision and weights, checked whenever the run is opened"
    )


def _describe_data(identity: Mapping[str, Any]) -> str:
    data = identity["data"]
    return (
        f"{_code(data['name'])}, {data['num_classes']} classes, {data['channels']} x "
        f"{data['image_size']} x {data['image_size']} pixels: {data['train']:,} images train, "
        f"{data['validation']:,} validate, {data['test']:,} test. "
        f"{_describe_validation(identity)}. A constant answer is right on "
        f"{100 * data['chance']:.2f} % of them. The test part is the data set's own. "
        f"Fingerprint of the images: `{data['fingerprint']}`"
    )


def _describe_validation(identity: Mapping[str, Any]) -> str:
    split = identity["recipe"]["split"]
    is_fixed = split["draw"] == "fixed"
    if identity["data"]["validation_part"] == "val":
        text = "Validation images are a part of their own"
        return text if is_fixed else f"{text}; each replicate draws the images that train"
    seeds = (
        f"once, with seed {split['seed']}"
        if is_fixed
        else f"anew in each replicate, with seeds derived from {split['seed']} and the replicate's "
        "(`split_seed` in `trials.csv`)"
    )
    return (
        "Images that train and images that validate are drawn from the training part, class by "
        f"class in proportion, {seeds}. One replicate uses "
        f"{100 * identity['data']['pool_share']:.0f} % of it"
    )


def _describe_weights(identity: Mapping[str, Any]) -> str:
    backbone = identity["backbone"]
    if backbone.get("weights") is None:
        return ""
    frozen = ", and only SE is trained" if backbone.get("frozen") else ""
    return f". The backbone starts from weights with the digest `{backbone['weights']}`{frozen}"


def _describe_sharing(search: Mapping[str, Any]) -> str:
    if search.get("evaluator", "train") == "train":
        return "None: each training starts anew"
    return (
        "Supernets score candidates; the report has their test, and `supernets.json` what they "
        "took of devices, which is not in the search's time. Each training starts anew"
    )


def _describe_replicates(
    identity: Mapping[str, Any], records: Sequence[TrialRecord], rounds: Sequence[Round]
) -> str:
    probed = sorted({record.seed for record in records if record.role == "probe"})
    seeds = sorted({record.seed for record in records} - set(probed))
    text = (
        f"The sampler's seed is {identity['seed']}. The search took turns among "
        f"{count(len(seeds), 'replicate')}, named by their seeds, {_span(seeds)}"
    )
    if probed:
        text += f"; probes have {count(len(probed), 'replicate')} of their own, {_span(probed)}"
    if not rounds:
        return f"{text}; no confirmation in fresh replicates so far"
    fresh = sorted({seed for each in rounds for seed in each.seeds[: each.num_replicates]})
    return f"{text}; the confirmation is of replicates that no trial has, {_span(fresh)}"


def _list_controls(identity: Mapping[str, Any], records: Sequence[TrialRecord]) -> Item:
    full = _list_full(identity["epochs"], records)
    seeds = {record.seed for record in full}
    plain = {r.seed for r in full if r.candidate == identity["backbone"]["name"]}
    return Item(
        "Controls.",
        f"The plain network was trained in {len(plain)} of {count(len(seeds), 'replicate')}, and "
        "gains are over it"
        if plain
        else None,
        "No full training of the plain network has ended: gains are over what the model expects "
        "of it",
    )


def _list_full(epochs: int, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [record for record in records if record.state == "COMPLETE" and record.epochs == epochs]


def _describe_repeats(epochs: int, records: Sequence[TrialRecord], rounds: Sequence[Round]) -> str:
    counts = Counter(record.key for record in _list_full(epochs, records))
    several = sum(trainings > 1 for trainings in counts.values())
    text = (
        f"{count(len(counts), 'candidate')} with {count(sum(counts.values()), 'full training')}, "
        f"{count(several, 'candidate')} in two replicates or more"
    )
    if not rounds:
        return f"{text}. Not confirmed so far: `se-search confirm` trains what is listed again"
    last = rounds[-1]
    return (
        f"{text}. Confirmed: {count(len(last.chosen), 'candidate')} in "
        f"{count(last.num_replicates, 'fresh replicate')} at most"
    )


def _list_baselines(
    identity: Mapping[str, Any], records: Sequence[TrialRecord], rounds: Sequence[Round]
) -> Item:
    found = []
    name = identity["backbone"]["name"]
    if any(record.candidate == name and record.state == "COMPLETE" for record in records):
        found.append("the plain backbone, in the search")
    trained = (c for each in rounds if each.result for c in each.result.candidates)
    roles = {role for c in trained if c.num_replicates for role in c.roles}
    words = {PLAIN: "the plain backbone", EVERYWHERE: "SE everywhere (r = 16)"}
    found += [f"{text}, in fresh replicates" for role, text in words.items() if role in roles]
    return Item(
        "Baselines.",
        "Trained: " + "; ".join(found) if found else None,
        "No baseline was trained: `se-search confirm` trains the plain backbone and SE everywhere",
    )


def _describe_test(identity: Mapping[str, Any], rounds: Sequence[Round]) -> str:
    images = f"The {identity['data']['test']:,} test images"
    readings = [each for each in rounds if each.reads_test]
    if not readings:
        return f"{images} have not been read"
    times = ", ".join(
        f"{each.started} ({count(len(each.chosen), 'candidate')} x "
        f"{count(each.num_replicates, 'replicate')})"
        for each in readings
    )
    return (
        f"{images} have been read by {count(count_readings(rounds), 'confirmation')}, each "
        f"time after a training's last epoch: {times}. The search does not read them"
    )


def _describe_budget(
    identity: Mapping[str, Any], search: Mapping[str, Any], records: Sequence[TrialRecord]
) -> str:
    ended = [record for record in records if record.state in ENDED_WELL]
    epochs = sum(record.epochs for record in ended)
    shorter = sum(record.state == "PRUNED" for record in ended)
    return (
        f"{search.get('trials', '?')} trials asked for, {len(records)} made: "
        f"{len(ended)} ended well ({shorter} shorter than "
        f"{count(identity['epochs'], 'epoch')}), {epochs:,} epochs in all"
    )


def _describe_failures(records: Sequence[TrialRecord], rounds: Sequence[Round]) -> str:
    failed = sum(record.state == "FAIL" for record in records)
    text = f"{count(failed, 'trial')} of the search failed"
    if rounds:
        text += f", {count(len(rounds[-1].failures), 'training')} of the last confirmation"
    return text


def _code(text: str) -> str:
    """Return a text as inline code of Markdown, whatever is in it (CommonMark, section 6.1)."""
    line = one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    gap = " " if "`" in line else ""
    return f"{fence}{gap}{line}{gap}{fence}"


def _span(seeds: Sequence[int]) -> str:
    if not seeds:
        return "none"
    if len(seeds) == 1:
        return f"{seeds[0]}"
    return f"{seeds[0]} to {seeds[-1]} ({len(seeds)} in all)"
