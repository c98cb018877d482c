"""Feeds broken inputs to the parsers: each must return a value or raise an SESearchError.

Space, recipe and sites files are mutated byte by byte, word by word and value by value, and made up
from nothing; so are candidates. The inputs are drawn by hypothesis, and equal for one seed.

    python benchmarks/fuzz_parsers.py            100,000 inputs
    python benchmarks/fuzz_parsers.py 2000       as many as that
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from se_search.candidate import Candidate
from se_search.config import parse_yaml, read_yaml
from se_search.cost import find_allowed
from se_search.errors import BackboneError, RecipeError, SESearchError, SpaceError
from se_search.models.catalogue import describe_backbone
from se_search.models.site_file import SiteFile
from se_search.recipe import Recipe
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace

NUM_INPUTS = 100_000
MAX_COMBINATIONS = 10_000  # of a space that is bound: listing its levels takes as long
BACKBONE = describe_backbone("resnet20_bottleneck", 1, 28, 10)

SPACES = (
    """\
description: Which stages carry SE, and how narrow it is
granularity: stage
sites: [stage4, stage5.block1]
choices:
  none: true
  integration: [standard, pre]
  reduction: [4, 8, 16, 32]
  gate: [sigmoid, hard_sigmoid]
shared: [integration]
block: {squeeze: avg, bias: false}
limits: {added_params: 0.10, macs: 4000000000}
""",
    "granularity: block\nchoices: {width: [4, original], kind: [se, eca]}\nsites: all\n",
)
RECIPES = (
    """\
description: Quick
epochs: 8
batch_size: 128
optimizer: {name: sgd, lr: 0.4, momentum: 0.9, weight_decay: 5.0e-4, nesterov: true}
schedule: {name: step, warmup: 0.2, milestones: [0.5, 0.75], factor: 10}
label_smoothing: 0.1
augmentation:
  crop_padding: 2
  flip: true
split: {validation: 10000, fraction: 0.5, seed: 1}
precision: float32
""",
)
SITES = (
    """\
sites:
  - {stage: 2, standard: {after: layer1.0.bn3}, pre: {before: layer1.0.conv1}}
  - stage: 3
    standard: {after: layer2.0.bn3}
    inner: {after: layer2.0.conv2}
""",
)
CANDIDATES = (
    "resnet20_bottleneck/stage2=standard:2/stage4.block1-2=pre:8+max+bias/stage5=none",
    "resnet20_bottleneck/all=standard:r16",
    "s2:16 s4.1-2:pre64 s5:eca",
    "no SE",
)
TRAPS = """
016 1:30 yes no on off 1_000 0x10 0b1 0o17 1e3 1.5e400 .inf -.inf .nan 2026-01-01 2026-13-45
~ null true -1 0 1 1e-3 99999999999999999999 &a *a << !!int !!python/name:os.system ? | >
all native stage2 stage9 s2 s9.1 none original standard pre r16 eca se :r0 ² ٣ no SE s2:4 +max
"""
WORDS = (
    *TRAPS.split(),
    *("[", "]", "{", "}", ":", ": ", "- ", ",", "\n", "\t", "  ", "#", '"', "'", "%", "@", "="),
    *("/", "\ufeff", "\x00", "\x85", "\ud800", "[" * 40, "- " * 40, "{a: " * 40, "9" * 5000),
    *("a" * 3000, "---\n", "...\n", "?\n:\n"),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.sampled_from(WORDS),
    st.sampled_from([2**70, -1, 0, 1e308, "original", "standard", "stage4", b"\x00"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LEAVES, inner, max_size=4),
    max_leaves=8,
)


def mutate_bytes(texts: tuple[str, ...]) -> st.SearchStrategy[str | bytes]:
    """Draw texts of which some bytes are changed, left out or doubled."""

    def mutate(rng: random.Random) -> bytes:
        content = bytearray(rng.choice(texts).encode())
        for _ in range(rng.randrange(5)):
            at = rng.randrange(len(content) + 1)
            content[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(3))
        return bytes(content)

    # One draw a text: hypothesis takes as long for each draw as a parser for a whole text.
    return st.randoms(use_true_random=True).map(mutate)


def mutate_words(texts: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Draw texts in which words are put in, left out, doubled or swapped."""

    def mutate(rng: random.Random) -> str:
        parts = _split_words(rng.choice(texts))
        for _ in range(rng.randrange(4)):
            at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
            how = rng.choice(("replace", "insert", "drop", "double", "swap"))
            if how == "replace":
                parts[at] = rng.choice(WORDS)
            elif how == "insert":
                parts.insert(at, rng.choice(WORDS))
            elif how == "double":
                parts.insert(at, parts[at])
            elif how == "swap":
                parts[at], parts[other] = parts[other], parts[at]
            elif len(parts) > 1:
                del parts[at]
        return "".join(parts)

    return st.randoms(use_true_random=True).map(mutate)


def mutate_values(texts: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Draw files in which a value or a key is another, or one more stands."""
    trees = [yaml.safe_load(text) for text in texts]

    @st.composite
    def draw_one(draw: st.DrawFn) -> str:
        tree = yaml.safe_load(yaml.safe_dump(draw(st.sampled_from(trees))))
        node: Any = tree
        while True:
            places = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not places:
                break
            place = draw(st.sampled_from(places))
            inner = node[place]
            if isinstance(inner, dict | list) and inner and draw(st.booleans()):
                node = inner
                continue
            if isinstance(node, dict) and draw(st.integers(0, 3)) == 0:
                node[draw(LEAVES)] = inner if draw(st.booleans()) else draw(VALUES)
            else:
                node[place] = draw(VALUES)
            break
        return str(yaml.safe_dump(tree, default_flow_style=draw(st.booleans()), allow_unicode=True))

    return draw_one()


def make_files(texts: tuple[str, ...]) -> st.SearchStrategy[str | bytes]:
    """Draw files: mutations of the texts, any YAML, and any text."""
    any_yaml = VALUES.map(lambda value: str(yaml.safe_dump(value)))
    any_text = st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=8).map("".join)
    # Values are drawn one by one, which takes hypothesis long: they are a quarter of the inputs.
    many = [mutate_bytes(texts), mutate_words(texts), mutate_words(texts)]
    return st.one_of(*many, *many, mutate_values(texts), any_yaml, any_text)


def make_candidates() -> st.SearchStrategy[str | bytes]:
    """Draw texts of candidates."""
    any_text = st.text(max_size=40) | st.lists(st.sampled_from(WORDS), max_size=8).map("".join)
    return st.one_of(mutate_words(CANDIDATES), mutate_words(CANDIDATES), any_text)


def read_space(content: str | bytes) -> None:
    """Read a space; where it has few combinations, bind it and find what is allowed."""
    space = _read(content, SearchSpace, SpaceError)
    combinations = 1
    for values in space.axes.values():
        combinations *= len(values)
    if combinations <= MAX_COMBINATIONS:
        find_allowed(BoundSpace(space, BACKBONE)).list_codes(10)


def read_recipe(content: str | bytes) -> None:
    """Read a recipe."""
    assert len(_read(content, Recipe, RecipeError).hash) == 12


def read_sites(content: str | bytes) -> None:
    """Read a file of sites."""
    for site in _read(content, SiteFile, BackboneError).sites:
        assert site.points is not None


def read_candidate(content: str | bytes) -> None:
    """Read a candidate; its text form must mean it."""
    candidate = Candidate.parse(str(content), BACKBONE)
    assert Candidate.parse(str(candidate), BACKBONE) == candidate
    assert Candidate.parse(candidate.placement, BACKBONE) == candidate


# Candidates, whose parser is quick, are every other input.
SHARES = {"space": 0.2, "recipe": 0.15, "sites": 0.15, "candidate": 0.5}
Parsers = Mapping[str, tuple[st.SearchStrategy[str | bytes], Callable[[str | bytes], None]]]
PARSERS: Parsers = {
    "space": (make_files(SPACES), read_space),
    "recipe": (make_files(RECIPES), read_recipe),
    "sites": (make_files(SITES), read_sites),
    "candidate": (make_candidates(), read_candidate),
}


class Fault(Exception):  # noqa: N818  # what is looked for, not what has gone wrong here
    """An input that ended in another exception than an SESearchError."""


def fuzz(name: str, num_inputs: int, first: int = 0, parsers: Parsers = PARSERS) -> tuple[int, int]:
    """Feed inputs to a parser; return how many were read and how many were refused.

    Args:
        name: of the parser.
        num_inputs: how many inputs.
        first: the seed of the inputs.
        parsers: their inputs and themselves, by name.

    Raises:
        Fault: an input ended in another exception; the message has both.
    """
    inputs, parse = parsers[name]
    counts = {"read": 0, "refused": 0}

    @seed(first)
    @settings(
        max_examples=num_inputs,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def feed(content: str | bytes) -> None:
        try:
            parse(content)
        except SESearchError:
            counts["refused"] += 1
        except Exception as fault:
            text = "".join(traceback.format_exception(fault))
            raise Fault(f"{name}: the input {content!r} ended in\n{text}") from None
        else:
            counts["read"] += 1

    feed()
    return counts["read"], counts["refused"]


def _read(content: str | bytes, model: Any, error: type[SESearchError]) -> Any:
    if isinstance(content, str):
        return parse_yaml(content, model, error, name="input.yaml")
    with tempfile.NamedTemporaryFile(suffix=".yaml", dir=_folder()) as file:
        file.write(content)
        file.flush()
        return read_yaml(Path(file.name), model, error)


def _folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _split_words(text: str) -> list[str]:
    words = [""]
    for character in text:
        if character.isalnum() and words[-1].isalnum():
            words[-1] += character
        else:
            words.append(character)
    return words[1:]


def main(arguments: list[str] | None = None, parsers: Parsers = PARSERS) -> None:
    """Feed all parsers; exit with 1 if one of them has a fault."""
    parser = argparse.ArgumentParser(description="Feed broken inputs to the parsers.")
    parser.add_argument("inputs", type=int, nargs="?", default=NUM_INPUTS, help="how many in all")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs")
    options = parser.parse_args(arguments)
    for name in parsers:
        started = time.process_time()
        try:
            read, refused = fuzz(
                name, math.ceil(SHARES[name] * options.inputs), options.seed, parsers
            )
        except Fault as fault:
            print(fault, file=sys.stderr)
            sys.exit(1)
        seconds = time.process_time() - started
        print(
            f"{name}: {read + refused:,} inputs, {read:,} read, {refused:,} refused, "
            f"{seconds:.0f} s of CPU",
            flush=True,
        )


if __name__ == "__main__":
    main()
