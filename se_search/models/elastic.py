"""Elastic SE blocks: one module that is an SE block of any of several squeeze widths.

The first layer has the largest width, and a smaller one is its first rows, so that hidden units are
ordered. Each width has an output layer of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from se_search.backbone import NativeSE
from se_search.candidate import SE
from se_search.models.squeeze_excite import SqueezeExcite
from se_search.models.surgery import NATIVE_SITE, draw_block, resize_native
from se_search.models.units import native_layers

Layer = nn.Linear | nn.Conv2d


class PrefixLayer(nn.Module):
    """A linear layer, or a 1x1 convolution, of which the first ``width`` outputs are computed.

    Args:
        layer: the layer with all outputs, whose parameters are taken over.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = layer.bias
        self.width = len(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, c)`` to ``(b, width)``, or ``(b, c, h, w)`` to ``(b, width, h, w)``."""
        weight = self.weight[: self.width]
        bias = None if self.bias is None else self.bias[: self.width]
        return (functional.linear if weight.ndim == 2 else functional.conv2d)(x, weight, bias)

    def extra_repr(self) -> str:
        """Return the numbers of inputs, of outputs, and of those outputs that are computed."""
        outputs, inputs = self.weight.shape[:2]
        return f"{inputs}, {outputs}, width={self.width}"


class WidthChoice(nn.ModuleDict):
    """Several layers, of which the one for ``width`` inputs runs.

    Args:
        layers: a layer for each width, by its number of inputs.
    """

    def __init__(self, layers: Mapping[int, Layer]) -> None:
        super().__init__({str(width): layer for width, layer in layers.items()})
        self.width = max(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer of the width."""
        output: Tensor = self[str(self.width)](x)
        return output


def make_elastic(designs: Sequence[SE], channels: int, site: str, seed: int) -> nn.Module:
    """Return one module for SE blocks that differ in nothing but their squeeze width.

    All weights are those that ``build`` draws with this seed for a candidate with one of the
    blocks at the site, so that they do not depend on the other blocks.

    Args:
        designs: the SE blocks, not ``native``; ``set_width`` chooses among several.
        channels: of the feature map that is gated.
        site: name of the site.
        seed: of the weights.
    """
    widest = draw_block(max(designs, key=lambda block: block.width), channels, site, seed)
    if isinstance(widest, SqueezeExcite):
        expands = {
            block.width: draw_block(block, channels, site, seed).get_submodule("expand")
            for block in designs
        }
        _replace_layers(widest, ("reduce", "expand"), expands)
    return widest


def make_elastic_native(
    own: nn.Module, native: NativeSE, designs: Sequence[SE], site: str, seed: int
) -> nn.Module:
    """Return one module for an SE block that a network came with, and copies of other widths.

    The first layer begins with the rows of the network's own block if that is among the designs;
    the rows after them are those that ``build`` draws for the largest width.

    Args:
        own: the SE block that the network came with.
        native: its description.
        designs: the ``native`` blocks.
        site: name of the site.
        seed: of the weights that are drawn.
    """
    blocks = {
        block.width: own
        if block.width == native.width
        else resize_native(own, block.width, site, seed)
        for block in designs
    }
    names = tuple(native_layers(own))
    elastic = copy.deepcopy(blocks[max(blocks)])
    if native.width in blocks:
        with torch.no_grad():
            for name, parameter in own.get_submodule(names[0]).named_parameters():
                elastic.get_submodule(names[0]).get_parameter(name)[: native.width] = parameter
    seconds = {width: block.get_submodule(names[1]) for width, block in blocks.items()}
    _replace_layers(elastic, names, seconds)
    setattr(elastic, NATIVE_SITE, site)
    return elastic


def set_width(elastic: nn.Module, width: int) -> None:
    """Let an elastic SE block be that of one squeeze width; kinds without a width have 0."""
    for layer in elastic.children():
        if isinstance(layer, PrefixLayer | WidthChoice):
            layer.width = width


def has_width(elastic: nn.Module, width: int) -> bool:
    """Tell whether an elastic SE block has a squeeze width; kinds without a width have 0."""
    choices = [layer for layer in elastic.children() if isinstance(layer, WidthChoice)]
    return all(str(width) in layer for layer in choices) if choices else width == 0


def read_weights(elastic: nn.Module, width: int) -> dict[str, Tensor]:
    """Return the weights of an elastic SE block at one width, named as in the plain block."""
    found: dict[str, Tensor] = {}
    for name, tensor in elastic.named_parameters():
        layer_name, _, inner = name.partition(".")
        layer = elastic.get_submodule(layer_name)
        if isinstance(layer, PrefixLayer):
            found[name] = tensor[:width]
        elif not isinstance(layer, WidthChoice):
            found[name] = tensor
        elif inner.partition(".")[0] == str(width):
            found[f"{layer_name}.{inner.partition('.')[2]}"] = tensor
    return found


def family_of(block: SE) -> SE:
    """Return what SE blocks have in common that share an elastic block: all but the width."""
    return replace(block, width=1 if block.kind == "se" else 0)


def _replace_layers(
    block: nn.Module, names: tuple[str, ...], seconds: Mapping[int, nn.Module]
) -> None:
    first, second = names
    layer = block.get_submodule(first)
    assert isinstance(layer, Layer)
    layers = {}
    for width, module in sorted(seconds.items()):
        assert isinstance(module, Layer)
        layers[width] = module
    setattr(block, first, PrefixLayer(layer))
    setattr(block, second, WidthChoice(layers))
