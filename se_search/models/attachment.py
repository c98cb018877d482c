"""Attaches SE blocks to modules of a network by forward hooks, so that the network stays itself.

A module that gets an SE block, its host, keeps its class, attributes, call signature, place and
name, and so do all of its parameters. The hooks are functions of this module that look the SE
blocks up on the host that they are handed: a copy of the network runs the copy's blocks.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from se_search.candidate import SE
from se_search.models.squeeze_excite import ChannelAttention, Layers, apply_gates

HostSide = Literal["before", "after"]
# No network has such a name by chance, as it could have "se": an attribute that a network's own
# code looks for must not appear.
CHILD = "inserted_se"
BLOCKS = {"before": "inserted_se_before", "after": "inserted_se_after"}
# Code that goes through the modules inside a module would run an SE block among them.
ITERATES = frozenset({"children", "named_children", "modules", "named_modules", "_modules"})
SPECIAL = ("__call__", "__iter__", "__len__", "__getitem__")  # that a network's code may call
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class HostedLayer:
    """A layer of an SE block whose weights are parameters of another module.

    Attributes:
        name: the layer's name in the SE block.
        weight: the other module's name of its weight.
        bias: the other module's name of its bias; None: it has none.
        ndim: dimensions of the weight: 2 of a linear layer, 3 and 4 of convolutions.
        padding: of a convolution.
    """

    name: str
    weight: str
    bias: str | None
    ndim: int
    padding: int

    def bind(self, host: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return the layer as a function of its input, with the weights that the host has now."""
        weight = getattr(host, self.weight)
        bias = None if self.bias is None else getattr(host, self.bias)
        if self.ndim == 2:
            return lambda x: functional.linear(x, weight, bias)
        convolve = functional.conv1d if self.ndim == 3 else functional.conv2d
        return lambda x: convolve(x, weight, bias, padding=self.padding)


@dataclass(frozen=True)
class HostedAttention:
    """An SE block whose weights are parameters of its host, which can't have another child.

    Attributes:
        block: the design of the block.
        layers: its layers.
        site: name of the site at which it is.
    """

    block: SE
    layers: tuple[HostedLayer, ...]
    site: str

    def weight_names(self) -> dict[str, str]:
        """Return the host's names of all weights and biases, by their names in an SE block."""
        found = {}
        for layer in self.layers:
            for inner, name in (("weight", layer.weight), ("bias", layer.bias)):
                if name is not None:
                    found[f"{layer.name}.{inner}"] = name
        return found

    def __call__(self, host: nn.Module, x: Tensor) -> Tensor:
        """Map ``(b, c, h, w)`` to the gated feature map, with the weights of the host."""
        return apply_gates(x, self.block, self.bind(host))

    def bind(self, host: nn.Module) -> Layers:
        """Return the layers as functions, with the weights that the host has now."""
        return {layer.name: layer.bind(host) for layer in self.layers}


class Hosts:
    """Finds the modules of a network that can take an SE block before or after their call.

    Args:
        model: the network, before any SE block is attached.
    """

    def __init__(self, model: nn.Module) -> None:
        self._places = Counter(
            id(module) for _, module in model.named_modules(remove_duplicate=False)
        )

    def find(self, module: nn.Module, side: HostSide) -> nn.Module:
        """Return the module whose call begins, or ends, where that of ``module`` does.

        A ``Sequential`` hands the SE block on to its first or last module, unless that module
        stands at several places of the network and so would run the SE block at each of them.
        """
        while type(module).forward is nn.Sequential.forward and len(module._modules):
            inner = list(module.children())[0 if side == "before" else -1]
            if self._places[id(inner)] > 1 or not _has_call_of_its_own(inner):
                break
            module = inner
        return module


def attach(host: nn.Module, side: HostSide, attention: ChannelAttention) -> None:
    """Let an SE block gate the input or the output of a module whenever it is called.

    The block becomes a child of the module, named ``inserted_se``. In containers, and where the
    code of the module's class goes through its children, its weights become parameters of the
    module instead. SE gates the first tensor of the arguments, or of the output, if there are
    several.
    """
    name = _free_name(host)
    if takes_children(host):
        host.add_module(name, attention)
    else:
        setattr(host, name, _move_parameters(host, name, attention))
    names = vars(host).get(BLOCKS[side], ())
    setattr(host, BLOCKS[side], (*names, name))
    if names:
        return
    if side == "before":
        host.register_forward_pre_hook(gate_input, with_kwargs=True)
    else:
        host.register_forward_hook(gate_output, with_kwargs=True)


def gate_input(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Run the SE blocks before a module: a forward pre-hook."""
    return change_input(args, kwargs, lambda x: _run(module, "before", x))


def gate_output(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> Any:
    """Run the SE blocks after a module: a forward hook."""
    return change_output(args, kwargs, output, lambda x: _run(module, "after", x))


def change_input(
    args: tuple[Any, ...], kwargs: dict[str, Any], change: Callable[[Tensor], Tensor]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a module's arguments with their first tensor replaced by a function of it."""

    def keep_and_change(x: Tensor) -> Tensor:
        # A shortcut may go on to change the input in place, while SE still needs it as it was.
        return change(_keep(x))

    args, is_found = map_first_tensor(args, keep_and_change)
    if not is_found:
        kwargs, _ = map_first_tensor(kwargs, keep_and_change)
    return args, kwargs


def change_output(
    args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, change: Callable[[Tensor], Tensor]
) -> Any:
    """Return a module's output with its first tensor replaced by a function of it."""
    inputs = (*args, *kwargs.values())

    def keep_and_change(x: Tensor) -> Tensor:
        # An output that is the input itself (an identity, a ReLU in place) has other readers.
        return change(_keep(x) if any(x is other for other in inputs) else x)

    return map_first_tensor(output, keep_and_change)[0]


def map_first_tensor(value: Any, function: Callable[[Tensor], Tensor]) -> tuple[Any, bool]:
    """Return a value whose first tensor is replaced by a function of it, and whether it has one.

    Tuples, lists and mappings are searched in their order, and are copied, never changed.
    """
    if isinstance(value, Tensor | torch.fx.Proxy):  # a proxy stands for a tensor in FX's tracing
        return function(cast(Tensor, value)), True
    if isinstance(value, dict):
        for key, inner in value.items():
            changed, is_found = map_first_tensor(inner, function)
            if is_found:
                copied = value.copy()
                copied[key] = changed
                return copied, True
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            changed, is_found = map_first_tensor(inner, function)
            if is_found:
                items = [*value[:number], changed, *value[number + 1 :]]
                if hasattr(value, "_fields"):  # a named tuple takes its items one by one
                    return type(value)(*items), True
                return type(value)(items), True
    return value, False


def first_tensor(value: Any) -> Tensor | None:
    """Return the first tensor of a value, which an SE block would gate; None if it has none."""
    found: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        found.append(x)
        return x

    map_first_tensor(value, keep)
    return found[0] if found else None


def attached_names(host: nn.Module) -> tuple[str, ...]:
    """Return the names of the SE blocks that are attached to a module."""
    own = vars(host)  # a class may have any attribute that is asked for, by its __getattr__
    return (*own.get(BLOCKS["before"], ()), *own.get(BLOCKS["after"], ()))


def attached_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters of all SE blocks that are attached to modules of a network, by name."""
    for path, host in model.named_modules():
        for name in attached_names(host):
            block = getattr(host, name)
            names = (
                tuple(block.weight_names().values()) if isinstance(block, HostedAttention) else ()
            )
            if isinstance(block, nn.Module):
                names = tuple(f"{name}.{inner}" for inner, _ in block.named_parameters())
            for inner in names:
                yield f"{path}.{inner}" if path else inner, host.get_parameter(inner)


def takes_children(module: nn.Module) -> bool:
    """Tell whether another child of a module goes unnoticed by the module's own code.

    Containers count and index their children. Other modules are judged by the code that a call
    runs: it must not go through the children of a module.
    """
    if isinstance(module, CONTAINERS):
        return False
    cls = type(module)
    waiting: list[Any] = [getattr(cls, name, None) for name in ("forward", *SPECIAL)]
    seen: set[CodeType] = set()
    while waiting:
        function = inspect.unwrap(waiting.pop())
        code = getattr(function, "__code__", None)
        # A class may have a __code__ that is no code: FunctionType, which torchvision's code names.
        if not isinstance(code, CodeType) or code in seen or _is_torch(function):
            continue
        seen.add(code)
        names = set(_names(code))
        if names & ITERATES:
            return False
        for name in names:
            waiting.append(getattr(cls, name, None))
            waiting.append(function.__globals__.get(name))
    return True


def _is_torch(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "torch"


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _has_call_of_its_own(module: nn.Module) -> bool:
    """Tell whether a module is called by its container: all are, but lists and dictionaries."""
    return not isinstance(module, nn.ModuleList | nn.ModuleDict)


def _free_name(host: nn.Module) -> str:
    name, number = CHILD, 1
    taken = {*vars(host), *dir(type(host)), *host._modules, *host._parameters, *host._buffers}
    while name in taken:
        number += 1
        name = f"{CHILD}_{number}"
    return name


def _move_parameters(host: nn.Module, name: str, attention: ChannelAttention) -> HostedAttention:
    layers = []
    for layer_name, layer in attention.named_children():
        names = {inner: f"{name}_{layer_name}_{inner}" for inner, _ in layer.named_parameters()}
        for inner, parameter in layer.named_parameters():
            host.register_parameter(names[inner], parameter)
        weight = layer.get_parameter("weight")
        padding = 0 if weight.ndim == 2 else weight.shape[-1] // 2
        layers.append(
            HostedLayer(layer_name, names["weight"], names.get("bias"), weight.ndim, padding)
        )
    return HostedAttention(attention.block, tuple(layers), attention.site)


def _run(host: nn.Module, side: HostSide, x: Tensor) -> Tensor:
    for name in getattr(host, BLOCKS[side]):
        block = getattr(host, name)
        x = block(host, x) if isinstance(block, HostedAttention) else block(x)
    return x


def _keep(x: Tensor) -> Tensor:
    """Return a copy that no one else can change, if a backward step may need it."""
    is_tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # so in torch
    return x.clone() if torch.is_grad_enabled() and not is_tracing else x
