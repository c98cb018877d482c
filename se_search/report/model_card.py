"""The card of an exported network: what it is, what it gains, how images are prepared for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from se_search.analysis.statistics import wilson_interval
from se_search.export.write import Export
from se_search.report.format import count, gain, interval
from se_search.store.room import describe_bytes
from se_search.terminal import one_line

HEADLINE = "Answer of the search"


def write_card(export: Export) -> str:
    """Return the card as Markdown, from what ``candidate.json`` says."""
    return "\n".join(_write_lines(export)).rstrip() + "\n"


def _write_lines(export: Export) -> Iterator[str]:
    facts, candidate = export.facts, export.candidate
    backbone = candidate.backbone
    yield f"# {backbone.name}, SE: {candidate.placement}"
    yield ""
    yield (
        f"A network for images of {backbone.image_size} x {backbone.image_size} pixels with "
        f"{count(backbone.in_channels, 'channel')}, for {backbone.num_classes} classes; found and "
        f"trained by se-search {facts['versions']['se-search']}."
    )
    yield from _list_use(export)
    yield from _list_results(facts)
    yield from _list_data(facts)
    yield from _list_training(facts)
    yield from _list_origin(facts)
    yield from _list_files(export)


def _list_use(export: Export) -> Iterator[str]:
    yield from ("", "## Use", "", "```python", "from model import make_model", "")
    backbone = export.candidate.backbone
    shape = f"(n, {backbone.in_channels}, {backbone.image_size}, {backbone.image_size})"
    yield f"model = make_model()  # maps images {shape} to logits"
    yield "```"
    yield ""
    yield (
        "`model.py` needs se-search and the library of the plain network. `model.pt2` needs "
        'PyTorch alone: `torch.export.load("model.pt2").module()`. `model.onnx` needs neither: '
        "its input is `images`, its output `logits`. All take any number of images."
    )


def _list_results(facts: Mapping[str, Any]) -> Iterator[str]:
    training, results, cost = facts["training"], facts["results"], facts["cost"]
    number = training["validation_images"]
    low, high = wilson_interval(training["accuracy"], number)
    right = f"{100 * training['accuracy']:.2f} ({interval(100 * low, 100 * high, '.2f')})"
    yield from ("", "## What it reaches", "")
    yield (
        f"- These weights: {right} % of the {number:,} validation images of replicate "
        f"{training['replicate']} are right (95 % interval over images). They are of the first "
        "replicate in which the candidate was trained, not of the best one."
    )
    if results is not None:
        expected = results["plain_accuracy"]
        about = "" if expected is None else f" The plain network has {100 * expected:.2f} % there."
        yield (
            f"- The candidate: {gain(results['gain'], results['low'], results['high'], 'points')} "
            f"over the plain network in a fresh replicate (95 % interval; by "
            f"{count(results['replicates'], 'training')} of it and all others of the run).{about}"
        )
    confirmed = facts["confirmed"]
    if confirmed is not None:
        fresh = gain(confirmed["test_gain"], confirmed["low"], confirmed["high"], "points")
        where = count(confirmed["replicates"], "fresh replicate")
        right = f"{100 * confirmed['test_accuracy']:.2f} % right"
        yield (
            f"- Confirmed on the test images, in {where}: {fresh} over the plain network, {right}."
        )
    yield (
        f"- Cost: {cost['params']:,} parameters ({cost['added_params']:,} of SE, "
        f"{cost['added_params_pct']:.3g} % of the plain network's) and {cost['macs']:,} "
        f"multiply-adds an image ({cost['added_macs']:,} of SE)."
    )
    yield f"- {HEADLINE}: {one_line(facts['search']['answer'])}"


def _list_data(facts: Mapping[str, Any]) -> Iterator[str]:
    data = facts["data"]
    yield from ("", "## Data, and how an image is prepared", "")
    yield (
        f"{one_line(data['name'])}: {data['train']:,} images train, {data['validation']:,} "
        f"validate, {data['test']:,} test; fingerprint {data['fingerprint']}."
    )
    yield ""
    steps = data["preparation"]["steps"]
    if not steps:
        yield f"Mean, deviation and names of the classes are not known here: {data['lacking']}"
        return
    yield from (f"{number}. {step}" for number, step in enumerate(steps, 1))
    mean, std = data["preparation"]["mean"], data["preparation"]["std"]
    yield f"\nMean {_list_numbers(mean)}, standard deviation {_list_numbers(std)}."
    names = data["preparation"]["class_names"]
    if names is None:
        yield "\nClasses: as the data set numbers them."
    else:
        shown = ", ".join(f"{number}: {one_line(name)}" for number, name in enumerate(names[:20]))
        more = f" and {len(names) - 20:,} more in candidate.json" if len(names) > 20 else ""
        yield f"\nClasses: {shown}{more}."


def _list_training(facts: Mapping[str, Any]) -> Iterator[str]:
    training, search, versions = facts["training"], facts["search"], facts["versions"]
    again = (
        "" if training["trained_again"] is None else f" {training['trained_again'].rstrip('.')}."
    )
    yield from ("", "## Training, and how to repeat it", "")
    yield (
        f"{count(training['epochs'], 'epoch')} by the recipe {training['recipe_hash']} (in "
        f"candidate.json) in replicate {training['replicate']}, on {training['device']}, "
        f"{training['precision']}.{again} The search that it comes from, and then this export:"
    )
    yield from ("", "```sh", *search["commands"], "```", "")
    yield ", ".join(f"{name} {version}" for name, version in versions.items()) + "."


def _list_origin(facts: Mapping[str, Any]) -> Iterator[str]:
    origin = facts["origin"]
    yield from ("", "## Where it comes from", "")
    yield f"- Code of the plain network: {one_line(origin['code'])}."
    yield "- Code of the SE blocks: se-search (Apache-2.0)."
    yield f"- First weights: {one_line(origin['weights'])}."
    if origin["licence"] is not None:
        yield f"- Licence of these weights: {one_line(origin['licence'])}."
    yield "- The images have terms of their own, which se-search does not know."


def _list_files(export: Export) -> Iterator[str]:
    yield from ("", "## Files", "", "| file | size | SHA-256 | largest difference of outputs |")
    yield "|---|---|---|---|"
    for each in export.files:
        difference = "" if each.difference is None else f"{each.difference:.1e}"
        yield (
            f"| {each.name} | {describe_bytes(each.num_bytes)} | {each.sha256[:16]}... | "
            f"{difference} |"
        )
    images = "random images" if export.is_random else "validation images"
    yield f"\nOutputs were compared with those of the network on {export.num_images} {images}."
    for name, why in {**export.left_out, **export.failed}.items():
        yield f"\n{name} is not there: {one_line(why)}."


def _list_numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
