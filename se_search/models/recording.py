"""Records a forward pass of a network: its operations, what feeds which, its modules' calls."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from se_search.errors import BackboneError, quote
from se_search.models.attachment import first_tensor

Layout = Literal["channels first", "channels last"]

CONVOLUTION = "convolution"
LINEAR = ("addmm", "mm", "linear")
WEIGHTED = (CONVOLUTION, *LINEAR)
VIEWS = ("view", "_unsafe_view", "alias", "expand", "unsqueeze", "squeeze", "clone", "slice")
POOLINGS = ("max_pool2d_with_indices", "max_pool2d", "avg_pool2d")


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of a forward pass, as one operation made it.

    Attributes:
        op: name of the operation, as ``add``; an operation in place has the name without ``_``.
        parents: positions of the values that it was made of, those alone that depend on the image.
        shape: the tensor's shape.
        layout: whether its last two axes are height and width or its last axis is channels;
            None: neither can be told.
        call: position of the innermost module call in which it was made.
        kernel: of a convolution the number of pixels that one output sees; else 0.
        stride: product of the strides between the image and the tensor, per axis.
        dominator: position of the last value through which everything passes that reaches it.
    """

    op: str
    parents: tuple[int, ...]
    shape: tuple[int, ...]
    layout: Layout | None
    call: int
    kernel: int
    stride: int
    dominator: int

    @property
    def is_feature_map(self) -> bool:
        """Whether it has the shape ``(batch, channels, height, width)``."""
        return len(self.shape) == 4 and self.layout == "channels first"


@dataclass(slots=True)
class Call:
    """One call of a module.

    Attributes:
        path: path of the module; ``""`` for the network.
        parent: position of the call from which it was called; -1 for the network's.
        first: number of values that had been made before the call.
        last: number of values that had been made after the call.
        input: position of the first tensor among its arguments; None: it does not depend on the
            image, or there is none.
        output: position of the first tensor that it returned; None: see ``input``.
    """

    path: str
    parent: int
    first: int
    last: int = -1
    input: int | None = None
    output: int | None = None

    def made(self, value: int) -> bool:
        """Tell whether the value at a position was made during the call."""
        return self.first <= value < self.last


@dataclass(slots=True)
class Recording:
    """One forward pass of a network. Value 0 is the image; call 0 is that of the network.

    Attributes:
        values: the tensors that depend on the image, in the order in which they were made.
        calls: the calls of modules, in the order in which they began.
    """

    values: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def num_calls(self) -> Counter[str]:
        """Return how often each module was called, by path."""
        return Counter(call.path for call in self.calls)

    def first_calls(self) -> dict[str, int]:
        """Return for each called module the position of its first call, by path."""
        return {call.path: i for i, call in reversed(list(enumerate(self.calls)))}

    def callers(self, call: int) -> Iterator[int]:
        """Yield a call and those around it, from the inside to the network's."""
        while call >= 0:
            yield call
            call = self.calls[call].parent

    def between(self, start: int, end: int) -> set[int]:
        """Return the positions of all values on a way from one value to another, ends included."""
        reaches: dict[int, bool] = {start: True}
        pending = [end]
        while pending:
            value = pending[-1]
            if value in reaches:
                pending.pop()
                continue
            if value < start:
                reaches[value] = False
                pending.pop()
                continue
            open_parents = [p for p in self.values[value].parents if p not in reaches]
            if open_parents:
                pending.extend(open_parents)
            else:
                reaches[value] = any(reaches[p] for p in self.values[value].parents)
                pending.pop()
        return {value for value, is_reached in reaches.items() if is_reached}


def call_order(model: nn.Module, in_channels: int, image_size: int) -> dict[str, int]:
    """Return for each module that a forward pass calls the position of its first call, by path.

    Raises:
        BackboneError: the network can't take such an image.
    """
    calls: dict[str, int] = {}
    with _forward_pass(model) as stack:
        for path, module in _watched(model):
            hook = module.register_forward_pre_hook(partial(_note, calls, path))
            stack.callback(hook.remove)
        run(model, image_for(model, in_channels, image_size))
    return calls


def record(model: nn.Module, in_channels: int, image_size: int) -> Recording:
    """Run a network on one image in evaluation mode and return what happened.

    Args:
        model: the network; its mode and its weights stay as they are.
        in_channels: channels of the image.
        image_size: height and width of the image in pixels.

    Raises:
        BackboneError: the network can't take such an image.
    """
    recorder = _Recorder()
    draw_lazy_weights(model, in_channels, image_size)
    with _forward_pass(model) as stack:
        for path, module in _watched(model):
            before = module.register_forward_pre_hook(recorder.enter(path), with_kwargs=True)
            after = module.register_forward_hook(recorder.leave, with_kwargs=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
        image = image_for(model, in_channels, image_size)
        recorder.begin(image)
        with recorder:
            run(model, image)
    return recorder.recording


def draw_lazy_weights(model: nn.Module, in_channels: int, image_size: int) -> None:
    """Run a network that has lazy weights, which gives them their shapes and draws them."""
    if any(map(is_lazy, model.parameters())):
        with _forward_pass(model):
            run(model, image_for(model, in_channels, image_size))


def run(model: nn.Module, image: Tensor) -> Any:
    """Return what a network makes of an image.

    Raises:
        BackboneError: the network raises something.
    """
    try:
        return model(image)
    except Exception as error:  # a foreign network may raise whatever it likes
        _, channels, height, width = image.shape
        reason = next(iter(quote(error).splitlines()), "") or type(error).__name__
        raise BackboneError(
            f"{type(model).__name__} can't take an image of {channels} x {height} x {width}: "
            f"{reason}"
        ) from error


def image_for(model: nn.Module, in_channels: int, image_size: int) -> Tensor:
    """Return one black image on the device and of the type of a network's weights."""
    weights = [
        parameter
        for parameter in model.parameters()
        if not is_lazy(parameter) and parameter.is_floating_point()
    ]
    image = torch.zeros(1, in_channels, image_size, image_size)
    return image.to(weights[0]) if weights else image


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each module back into its mode at the end."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _note(calls: dict[str, int], path: str, *_: object) -> None:
    calls.setdefault(path, len(calls))


@contextmanager
def _forward_pass(model: nn.Module) -> Iterator[ExitStack]:
    with evaluation_mode(model), torch.no_grad(), ExitStack() as stack:
        yield stack


def _watched(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that take hooks; those of TorchScript don't."""
    for path, module in model.named_modules():
        if not isinstance(module, torch.jit.ScriptModule):
            yield path, module


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # so in torch
    """Writes down each operation below autograd, and each module's call by its hooks."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # so in torch
        self.recording = Recording()
        self._stack: list[int] = []
        self._alive: list[Tensor] = []  # so that no address is used twice
        self._by_object: dict[int, int] = {}
        self._by_memory: dict[tuple[Any, ...], int] = {}

    def begin(self, image: Tensor) -> None:
        value = Value("image", (), tuple(image.shape), "channels first", 0, 0, 1, 0)
        self._add(image, value)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        found = [self._find(tensor) for tensor in tensors]
        parents = tuple(value for value in found if value is not None)
        output = func(*args, **kwargs)
        if parents:
            name = func.overloadpacket.__name__
            name = name if name.startswith("_") else name.rstrip("_")
            for tensor in tree_leaves(output):
                if isinstance(tensor, Tensor):
                    self._add(tensor, self._describe(name, parents, tensor, args))
        return output

    def enter(self, path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            calls = self.recording.calls
            parent = self._stack[-1] if self._stack else -1
            call = Call(path, parent, len(self.recording.values))
            call.input = self._find(first_tensor((args, kwargs)))
            self._stack.append(len(calls))
            calls.append(call)

        return hook

    def leave(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> Any:
        call = self.recording.calls[self._stack[-1]]
        is_same = isinstance(output, Tensor) and self._find(output) == call.input is not None
        if is_same:
            # A module that hands on its input gets an output of its own, so that a shortcut
            # through an Identity can be told from the tensor that it begins with.
            output = output.view_as(output)
        call.last = len(self.recording.values)
        call.output = self._find(first_tensor(output))
        self._stack.pop()
        return output if is_same else None

    def _find(self, tensor: Tensor | None) -> int | None:
        if tensor is None:
            return None
        found = self._by_object.get(id(tensor))
        return self._by_memory.get(_memory(tensor)) if found is None else found

    def _add(self, tensor: Tensor, value: Value) -> None:
        position = len(self.recording.values)
        self.recording.values.append(value)
        self._alive.append(tensor)
        self._by_object[id(tensor)] = position
        self._by_memory[_memory(tensor)] = position

    def _describe(
        self, op: str, parents: tuple[int, ...], tensor: Tensor, args: tuple[Any, ...]
    ) -> Value:
        values = self.recording.values
        inputs = [values[parent] for parent in parents]
        shape = tuple(tensor.shape)
        dominator = parents[0]
        for parent in parents[1:]:
            dominator = self._common_dominator(dominator, parent)
        return Value(
            op,
            parents,
            shape,
            _layout(op, inputs, shape, args),
            self._stack[-1] if self._stack else 0,
            math.prod(args[1].shape[2:]) if op == CONVOLUTION else 0,
            max(value.stride for value in inputs) * _stride(op, args),
            dominator,
        )

    def _common_dominator(self, one: int, other: int) -> int:
        while one != other:
            if one < other:
                one, other = other, one
            one = self.recording.values[one].dominator
        return one


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    # Autograd may wrap a view into a tensor object of its own; its memory is the same.
    return (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)


def _layout(
    op: str, inputs: Sequence[Value], shape: tuple[int, ...], args: tuple[Any, ...]
) -> Layout | None:
    if op == CONVOLUTION:
        return "channels first" if len(shape) == 4 else None
    if op in LINEAR or (op == "native_layer_norm" and len(args[1]) == 1 and len(shape) > 2):
        return "channels last"
    if len(shape) < 4 and not (inputs[0].layout == "channels last" and len(shape) > 1):
        return None
    layouts = {value.layout for value in inputs if value.layout is not None}
    if len(layouts) != 1:
        return None
    (layout,) = layouts
    if op in ("permute", "transpose"):
        order = _axes(op, args, len(shape))
        if layout == "channels first":
            if order[-2:] == [len(shape) - 2, len(shape) - 1]:
                return layout
            return "channels last" if order == [0, 2, 3, 1] else None
        if order[-1] == len(shape) - 1:
            return layout
        return "channels first" if order == [0, 3, 1, 2] else None
    if op in ("view", "_unsafe_view"):
        kept = 2 if layout == "channels first" else 1
        return layout if shape[-kept:] == inputs[0].shape[-kept:] else None
    if op in ("bmm", "unfold", "select", "as_strided"):
        return None
    return layout


def _axes(op: str, args: tuple[Any, ...], num_axes: int) -> list[int]:
    if op == "permute":
        return [axis % num_axes for axis in args[1]]
    order = list(range(num_axes))
    one, other = args[1] % num_axes, args[2] % num_axes
    order[one], order[other] = order[other], order[one]
    return order


def _stride(op: str, args: tuple[Any, ...]) -> int:
    if op == CONVOLUTION:
        is_transposed = args[6]
        return 1 if is_transposed else max(args[3])
    if op in POOLINGS:
        stride = (args[2] if len(args) > 2 else None) or args[1]
        return max(stride) if isinstance(stride, list | tuple) else int(stride)
    return 1
