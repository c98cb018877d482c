"""Rehearses networks before a search: what is built must run, be counted, and learn.

A search trusts counts that are made before any training, and sites that are found by inspection.
A rehearsal builds every kind of SE block at every kind of site, and holds what runs against what is
counted, so that a network in which SE goes wrong is refused at the start, by the name of the site.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from se_search.backbone import Backbone
from se_search.candidate import SE, Candidate
from se_search.cost import count_cost
from se_search.errors import BackboneError, name_foreign
from se_search.models.memory_layout import lay_channels_last
from se_search.models.random_state import seeded_generators
from se_search.models.sites import ModuleSite
from se_search.models.surgery import build, locate, se_parameters
from se_search.models.trace import trace
from se_search.space.designs import Designs

BATCH = 2  # images; one alone would leave batch norms of 1x1 maps without a variance
MAX_NAMED = 3  # weights in the message of an error
SECOND_SIZE = 32  # pixels by which the second image is higher than wide


def rehearse(backbone: Backbone, designs: Designs, seed: int = 0) -> int:
    """Build and run the plain network, and each kind of SE block at each kind of site.

    Sites are of one kind if their units have modules of equal classes and equal attach points;
    SE blocks, if they have equal integrations and kinds. For each network that is built:

    - two images of the backbone's shape train in one step, and run in evaluation mode;
    - the output is one number for each image and class;
    - the multiply-adds that run, operator by operator, and the parameters are those of the count;
    - each weight of an SE block gets a finite gradient, in training or in evaluation mode;
    - images of another height run, if the plain network takes them;

    and two networks that are built with one seed have equal weights.

    Args:
        backbone: the network without SE.
        designs: the SE blocks that each site may get.
        seed: of the weights and images.

    Returns:
        the number of networks that were built.

    Raises:
        BackboneError: one of this is not so; the message names the site and the integration.
    """
    plain = Candidate.plain(backbone)
    model = build(plain, seed)
    _refuse(_find_difference(model, plain, seed), backbone.name)
    candidates = cover(backbone, designs, locate(model, backbone), model)
    takes_second_size = _takes(model, _images(backbone, SECOND_SIZE))
    _refuse(_find_fault(plain, model, takes_second_size), f"{backbone.name} without SE")
    for candidate in candidates:
        fault = _build_and_find_fault(candidate, seed, takes_second_size)
        if fault is not None:
            _refuse(*_localise(candidate, fault, seed, takes_second_size))
    return 1 + len(candidates)


def cover(
    backbone: Backbone, designs: Designs, located: Sequence[ModuleSite], model: nn.Module
) -> list[Candidate]:
    """Return few candidates that together have each kind of SE block at each kind of site.

    Args:
        backbone: the network without SE.
        designs: the SE blocks that each site may get.
        located: the sites as places in the network.
        model: the network.
    """
    alike: dict[object, list[int]] = {}
    for index, site in enumerate(located):
        alike.setdefault(_signature(site, model), []).append(index)
    missing = {
        kind: dict.fromkeys(_kind(block) for index in indices for block in designs[index])
        for kind, indices in alike.items()
    }
    never = {index for index, blocks in enumerate(designs) if blocks}
    candidates: list[Candidate] = []
    while any(missing.values()) or never:
        blocks: list[SE | None] = [None] * len(designs)
        for kind, indices in alike.items():
            for index in indices:
                if designs[index]:
                    blocks[index] = _choose(designs[index], missing[kind], len(candidates) + index)
                    missing[kind].pop(_kind(blocks[index]), None)
        never.clear()
        candidates.append(Candidate(backbone, tuple(blocks)))
    return candidates


def _choose(designs: Sequence[SE], missing: Mapping[tuple[Any, ...], Any], number: int) -> SE:
    wanted = next((kind for kind in missing if kind in set(map(_kind, designs))), None)
    fitting = [block for block in designs if wanted is None or _kind(block) == wanted]
    return fitting[number % len(fitting)]


def _kind(block: SE | None) -> tuple[Any, ...]:
    return () if block is None else (block.integration, block.kind, block.squeeze == "none")


def _signature(site: ModuleSite, model: nn.Module) -> object:
    """Return a value that is equal for sites whose units have equal classes of modules."""
    paths = [point.path for point in site.attach_points.values()]
    parts = [path.split(".") for path in paths]
    depth = min(len(names) for names in parts)
    while depth and (len({tuple(names[:depth]) for names in parts}) > 1):
        depth -= 1
    top = ".".join(parts[0][:depth])
    if not depth or depth == 1 or "." not in top:
        return (site.stage, site.block)
    inner = [".".join(names[depth:]) for names in parts]
    sides = [(name, point.side) for name, point in site.attach_points.items()]
    try:
        unit = model.get_submodule(top)
    except AttributeError:  # a shortcut without projection is no module
        return (site.stage, site.block)
    classes = [(path, type(module)) for path, module in unit.named_modules()]
    return (tuple(inner), tuple(sides), tuple(classes))


def _build_and_find_fault(candidate: Candidate, seed: int, takes_second_size: bool) -> str | None:
    try:
        model = build(candidate, seed)
    except BackboneError:
        raise
    except Exception as error:  # a foreign module may refuse hooks and children
        return f"can't be built: {name_foreign(error)}"
    return _find_fault(candidate, model, takes_second_size)


def _find_fault(candidate: Candidate, model: nn.Module, takes_second_size: bool) -> str | None:
    """Return what is wrong with a network as the end of a sentence; None if nothing is."""
    backbone = candidate.backbone
    missing = set(se_parameters(model))
    lay_channels_last(model)
    for is_training, mode in ((True, "training"), (False, "evaluation")):
        if is_training or missing:
            fault = _find_fault_in_step(model.train(is_training), backbone, mode, missing)
            if fault is not None:
                return fault
    if missing:
        return f"leaves {min(missing)} without a gradient, in training and in evaluation mode"
    return _find_miscount(candidate, model) or (
        _find_fault_in_size(model, backbone) if takes_second_size else None
    )


def _find_fault_in_step(
    model: nn.Module, backbone: Backbone, mode: str, missing: set[str]
) -> str | None:
    """Run a forward and a backward step; take the weights with a gradient out of ``missing``."""
    images = _images(backbone)
    where = f"in {mode} mode on {BATCH} images of {' x '.join(map(str, images.shape[1:]))}"
    try:
        logits = model(images)
        wanted = (BATCH, backbone.num_classes)
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if shape != wanted:
            return f"gives {shape} {where}; allowed: {wanted}, one number a class"
        labels = torch.arange(BATCH) % backbone.num_classes
        functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # a foreign network may raise whatever it likes
        return f"fails {where}: {name_foreign(error)}"
    for name in sorted(missing):
        gradient = model.get_parameter(name).grad
        if gradient is not None:
            if not bool(gradient.isfinite().all()):
                return f"gives {name} a gradient that is not finite {where}"
            missing.discard(name)
    model.zero_grad()
    return None


def _find_miscount(candidate: Candidate, model: nn.Module) -> str | None:
    backbone, counted = candidate.backbone, count_cost(candidate)
    run = trace(model, backbone.in_channels, backbone.image_size).by_operator()
    for operator in sorted({*run, *counted.by_operator}):
        is_run, is_counted = run[operator], counted.by_operator.get(operator, 0)
        if is_run != is_counted:
            return (
                f"runs {is_run:,.0f} multiply-adds of {operator}, but {is_counted:,} are counted: "
                "its code skips a module, or runs one more often"
            )
    params = sum(parameter.numel() for parameter in model.parameters())
    if params != counted.params:
        return f"has {params:,} parameters, but {counted.params:,} are counted"
    return None


def _find_fault_in_size(model: nn.Module, backbone: Backbone) -> str | None:
    images = _images(backbone, SECOND_SIZE)
    try:
        with torch.no_grad():
            model.eval()(images)
    except Exception as error:  # a foreign network may raise whatever it likes
        shape = " x ".join(map(str, images.shape[1:]))
        return (
            f"fails on images of {shape}, which the network without SE takes, so that what is "
            f"gated may be no channels: {name_foreign(error)}"
        )
    return None


def _find_difference(model: nn.Module, candidate: Candidate, seed: int) -> str | None:
    """Build a network once more, from another state of the global generators."""
    weights = model.state_dict()
    with seeded_generators(seed + 1):
        again = build(candidate, seed).state_dict()
    other = [
        name
        for name in dict.fromkeys([*weights, *again])
        if name not in weights or name not in again or not torch.equal(again[name], weights[name])
    ]
    if not other:
        return None
    named = ", ".join(other[:MAX_NAMED]) + (", ..." if len(other) > MAX_NAMED else "")
    return (
        f"is built with other weights ({named}) when it is built twice with one seed; "
        "it may draw from a generator of its own, or keep a state"
    )


def _localise(
    candidate: Candidate, fault: str, seed: int, takes_second_size: bool
) -> tuple[str, str]:
    """Return the fault of the first SE block that has one alone, and what the sentence is about."""
    backbone = candidate.backbone
    for index, block in enumerate(candidate.blocks):
        if block is None:
            continue
        site = backbone.sites[index]
        alone = tuple(block if at == index else None for at in range(len(candidate.blocks)))
        one = Candidate(backbone, alone)
        found = _build_and_find_fault(one, seed, takes_second_size)
        if found is not None:
            return found, f"{backbone.name} with SE at {site.name} as {block.integration}"
    return fault, f"{backbone.name} with SE at several sites ({candidate})"


def _refuse(fault: str | None, what: str) -> None:
    if fault is not None:
        raise BackboneError(f"{what} {fault}")


def _images(backbone: Backbone, higher: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    size = (backbone.image_size + higher, backbone.image_size)
    images = torch.randn(BATCH, backbone.in_channels, *size, generator=generator)
    return images.contiguous(memory_format=torch.channels_last)


def _takes(model: nn.Module, images: Tensor) -> bool:
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()(images)
    except Exception:  # a foreign network may raise whatever it likes
        return False
    finally:
        model.train(was_training)
    return True
