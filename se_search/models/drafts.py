"""Drafts a file of sites for a network in which none are found, and says what it lacks."""

from __future__ import annotations

from torch import nn

from se_search.models.joins import find_joins, find_repeated
from se_search.models.recording import CONVOLUTION, Call, Recording

MAX_LINES = 16  # sites of a draft


def explain_lack(model: nn.Module, recording: Recording) -> str:
    """Return what a network lacks, so that no sites are found in it."""
    values = recording.values
    num_maps = sum(value.op == CONVOLUTION and value.is_feature_map for value in values)
    for value in values:
        is_sum = value.op == "add" and len(value.parents) == 2 and len(value.shape) > 2
        if is_sum and not value.is_feature_map:
            call = recording.calls[value.call]
            where = f"{call.path or 'the network'} ({_class(model, call)})"
            return (
                f"its units add features {value.shape}, first in {where}, and SE gates feature "
                "maps (batch, channels, height, width): features with channels last, or without "
                "height and width, are not supported"
            )
    if not num_maps:
        return "it has no convolution over feature maps (batch, channels, height, width)"
    if repeated := find_repeated(recording):
        calls = recording.num_calls()[repeated[0]]
        return (
            f"its residual units are called several times ({repeated[0]}: {calls} times), and an "
            "SE block gates one feature map"
        )
    if joins := find_joins(recording, ()):
        call = recording.calls[joins[0].call]
        return (
            f"{call.path or 'the network'} ({_class(model, call)}) joins a branch of convolutions "
            "with its input, but what it joins is no module's output, behind which SE could go: "
            "the branch ends with a function as F.relu, or with a module compiled by TorchScript"
        )
    return (
        f"it runs {num_maps} convolutions, but no module adds a branch of convolutions to its "
        "input, as residual units do, or concatenates both, as dense layers do"
    )


def draft_sites(recording: Recording) -> str:
    """Return a file of sites with the modules of a network that end with a feature map.

    It is the end of a message; empty if there are no such modules. Each site has a line, with the
    shape of its feature map behind it.
    """
    chosen = _choose_calls(recording)
    if not chosen:
        return ""
    lines, stage, stride = [], 1, 0
    for number in chosen:
        call = recording.calls[number]
        assert call.output is not None  # it ends with a feature map
        made = recording.values[call.output]
        if made.stride > stride:
            stage, stride = stage + 1, made.stride
        shape = " x ".join(map(str, made.shape[1:]))
        lines.append(f"  - {{stage: {stage}, standard: {{after: {call.path}}}}}  # {shape}")
    head = "A draft of the file; delete the lines where no SE may go:"
    return "\n".join([f" {head}", "sites:", *lines])


def _choose_calls(recording: Recording) -> list[int]:
    """Return calls that cover the network, as fine as the number of lines allows."""
    inside: dict[int, list[int]] = {}
    num_calls = recording.num_calls()
    for number, call in enumerate(recording.calls[1:], start=1):
        inside.setdefault(call.parent, []).append(number)

    def expand(number: int) -> list[int]:
        found: list[int] = []
        for inner in inside.get(number, ()):
            call = recording.calls[inner]
            if _num_convolutions(recording, call) and num_calls[call.path] == 1:
                found += [inner] if _ends_with_a_map(recording, call) else expand(inner)
        return found

    chosen = expand(0)
    is_coarse = True
    while is_coarse:
        is_coarse = False
        for number in sorted(
            chosen, key=lambda n: -_num_convolutions(recording, recording.calls[n])
        ):
            finer = expand(number)
            if len(finer) > 1 and len(chosen) - 1 + len(finer) <= MAX_LINES:
                chosen = [*(n for n in chosen if n != number), *finer]
                is_coarse = True
                break
    return sorted(chosen)[:MAX_LINES]


def _num_convolutions(recording: Recording, call: Call) -> int:
    made = recording.values[call.first : call.last]
    return sum(value.op == CONVOLUTION for value in made)


def _ends_with_a_map(recording: Recording, call: Call) -> bool:
    return call.output is not None and recording.values[call.output].is_feature_map


def _class(model: nn.Module, call: Call) -> str:
    return type(model.get_submodule(call.path)).__name__
