"""Finds attention that a network came with and that is no SE block which se-search can price."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from se_search.models.recording import WEIGHTED, Recording, Value
from se_search.models.units import class_names, overlaps

POOLINGS = ("mean", "amax", "sum", "max", "linalg_vector_norm", "_adaptive_avg_pool2d")
# A product with one of these is a normalisation; attention has layers with weights in between.
NORMALISING = ("rsqrt", "reciprocal", "sqrt", "var", "std", "var_mean", "pow")
# No normalisation ends with one of these: it is attention, whatever statistics it is made of.
GATES = ("sigmoid", "hardsigmoid", "_softmax", "tanh")
RESAMPLING = ("upsample", "_upsample", "avg_pool2d", "max_pool2d")  # beginnings of names

# Attention whose products don't show it: a sum with a context, or an attention over pixels.
CLASSES = (
    "timm.layers.cbam.CbamModule",
    "timm.layers.cbam.LightCbamModule",
    "timm.layers.eca.EcaModule",
    "timm.layers.eca.CecaModule",
    "timm.layers.gather_excite.GatherExcite",
    "timm.layers.global_context.GlobalContext",
    "timm.layers.grn.GlobalResponseNorm",
    "timm.layers.non_local_attn.NonLocalAttn",
    "timm.layers.non_local_attn.BatNonLocalAttn",
    "timm.layers.selective_kernel.SelectiveKernel",
    "timm.layers.split_attn.SplitAttn",
    "timm.layers.squeeze_excite.EffectiveSEModule",
    "timm.layers.squeeze_excite.SqueezeExciteCl",
    "timm.models.van.LKA",
)

# Self-attention that is a hybrid network's layer, as convolutions are: it mixes pixels, and gates
# nothing. Units of it have no sites.
MIXERS = (
    "timm.layers.attention2d.Attention2d",
    "timm.layers.attention2d.MultiQueryAttention2d",
    "timm.layers.attention2d.MultiQueryAttentionV2",
    "timm.models.efficientformer_v2.Attention2d",
    "timm.models.efficientformer_v2.Attention2dDownsample",
    "timm.models.efficientvit_mit.LiteMLA",
    "timm.models.efficientvit_msra.CascadedGroupAttention",
    "timm.models.maxxvit.Attention2d",
)
SELF_ATTENTION = ("bmm", "_scaled_dot_product")  # the beginnings of operations' names


@dataclass(frozen=True, slots=True)
class Attention:
    """A module that gates or mixes its feature map by what it computes from it.

    Attributes:
        path: path of the module; ``""`` for the network itself.
        name: name of its class.
    """

    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path or 'the network'} ({self.name})"


def find_attention(
    model: nn.Module, recording: Recording, native: Sequence[str] = ()
) -> list[Attention]:
    """Return the modules that run attention, in the order of their calls.

    Attention is a feature map times gates that are computed from it by layers with weights or a
    pooling: gates of each channel, of each pixel, or of both. An activation (``x * sigmoid(x)``), a
    constant layer scale and a normalisation are none. Modules of known classes are found by name.

    Args:
        model: the network.
        recording: a forward pass of the network.
        native: paths of SE blocks that are known, which are left out.
    """
    found: dict[str, Attention] = {}
    for call in recording.calls:
        module = model.get_submodule(call.path)
        if any(name in CLASSES for name in class_names(module)):
            found[call.path] = Attention(call.path, type(module).__name__)
    for position, value in enumerate(recording.values):
        if value.op in ("mul", "add") and len(value.parents) == 2:
            path = recording.calls[value.call].path
            is_known = any(overlaps(path, other) for other in found if path and other)
            if not is_known and _is_attention(recording, position, value):
                found[path] = Attention(path, type(model.get_submodule(path)).__name__)
    return [
        attention
        for path, attention in found.items()
        if not any(f"{path}.".startswith(f"{other}.") for other in native)
    ]


def find_self_attention(
    model: nn.Module, recording: Recording, values: Iterable[int]
) -> Attention | None:
    """Return the module that multiplies two of its feature maps as matrices; None: there is none.

    Args:
        model: the network.
        recording: a forward pass of the network.
        values: positions of the values that are looked at.
    """
    for i in sorted(values):
        value = recording.values[i]
        if value.op.startswith(SELF_ATTENTION) and len(value.parents) > 1:
            path = recording.calls[value.call].path
            return Attention(path, type(model.get_submodule(path)).__name__)
    return None


def is_mixer(module: nn.Module) -> bool:
    """Tell whether a module is self-attention that is a layer of a hybrid network."""
    return any(name in MIXERS for name in class_names(module))


def _is_attention(recording: Recording, position: int, value: Value) -> bool:
    if len(value.shape) < 3:  # a feature map may be gated with its pixels in one axis
        return False
    sizes = [_spread(recording.values, parent) for parent in value.parents]
    gate, gated = (parent for _, parent in sorted(zip(sizes, value.parents, strict=True)))
    if sizes[0] != sizes[1]:
        common = value.dominator
        source = gated if gated in recording.between(common, gate) - {gate} else common
        return _has_layers_or_pooling(recording, source, gate)
    if value.op != "mul":
        return False
    if any(_is_mask(recording, value.dominator, parent) for parent in value.parents):
        return True
    # On a feature map of one pixel SE's gates have the size of what they gate.
    return any(
        value.dominator == source and _has_layers_or_pooling(recording, source, end)
        for source, end in ((gate, gated), (gated, gate))
    )


def _has_layers_or_pooling(recording: Recording, source: int, gate: int) -> bool:
    """Tell whether a gate is computed from a feature map as attention, not as a normalisation."""
    inside = recording.between(source, gate) - {source}
    operations = {recording.values[i].op for i in inside}
    if operations.intersection(WEIGHTED):
        return True
    if operations.isdisjoint(POOLINGS):
        return False
    return operations.isdisjoint(NORMALISING) or not operations.isdisjoint(GATES)


def _is_mask(recording: Recording, source: int, gate: int) -> bool:
    """Tell whether gates of all values are computed from a feature map at another resolution.

    Those of a gated linear unit are not: each is computed where it gates.
    """
    last = recording.values[gate]
    while last.op not in (*GATES, *WEIGHTED) and len(last.parents) == 1:
        last = recording.values[last.parents[0]]
    inside = recording.between(source, gate) - {source}
    return last.op in GATES and any(recording.values[i].op.startswith(RESAMPLING) for i in inside)


def _spread(values: Sequence[Value], position: int) -> int:
    """Return how many numbers a tensor holds that are not copies of each other."""
    size = 1
    value = values[position]
    while value.op in ("expand", "view", "unsqueeze", "clone") and len(value.parents) == 1:
        value = values[value.parents[0]]
    for length in value.shape:
        size *= length
    return size
