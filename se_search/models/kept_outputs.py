"""Outputs of a network's modules that are kept, and runs that go on from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from se_search.candidate import SE
from se_search.errors import BackboneError
from se_search.models.frontiers import Frontier, Output, Timeline

BEGINNING = -1  # an event before which nothing is done


class KeptOutputs:
    """Outputs that are kept for a batch of images, and what they depend on.

    Attributes:
        images: the images.
        version: of the images.
        frontiers: from which a run can go on.
        entries: the outputs.
        blocks: the SE blocks of the last candidate.
        modes: whether each module of the network was in training mode.
        valid_until: the event up to which the outputs hold, whatever the candidate.
    """

    def __init__(self, images: Tensor, frontiers: list[Frontier]) -> None:
        self.images, self.version = images, version_of(images)
        self.frontiers = frontiers
        self.done = frozenset[Output]().union(*(one.done for one in frontiers))
        self.read = frozenset[Output]().union(*(one.read for one in frontiers))
        self.entries: dict[Output, _Entry] = {}
        self.blocks: tuple[SE | None, ...] = ()
        self.modes: dict[str, bool] = {}
        self.valid_until = math.inf

    @property
    def num_bytes(self) -> int:
        """The memory of the outputs."""
        storages = {
            leaf.untyped_storage().data_ptr(): leaf.untyped_storage().nbytes()
            for output in self.read
            if output in self.entries
            for leaf in tree_leaves(self.entries[output].value)
            if isinstance(leaf, Tensor)
        }
        return sum(storages.values())

    def last_event(self, limit: float) -> int:
        """Return the event of the last frontier that is not behind a limit."""
        return max([one.event for one in self.frontiers if one.event <= limit], default=BEGINNING)


class Resumption:
    """One forward pass that goes on from an event, and keeps outputs on its way."""

    def __init__(
        self, kept: KeptOutputs, event: int, timeline: Timeline, copied: Collection[Output]
    ) -> None:
        self._kept, self._event, self._timeline, self._copied = kept, event, timeline, copied
        self._running: list[int | None] = [-1]  # calls; None: one that the plain network lacks
        self._counts: Counter[tuple[int, str]] = Counter()

    def call(
        self, path: str, module: nn.Module, call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Stand for the call of a module."""
        number = self._number_call(path)
        if number is None:
            return self._enter(None, call, args, kwargs)
        if self._timeline.leaves[number] < self._event:
            return self._take(Output(number, True), path)
        if Output(number, False) not in self._kept.done:
            output = self._enter(number, call, args, kwargs)
        else:
            own = vars(module).get("forward")
            module.forward = partial(self._run_forward, number, path, module.forward)
            try:
                output = self._enter(number, call, args, kwargs)
            finally:
                del module.forward
                if own is not None:
                    module.forward = own
        self._keep(Output(number, True), output)
        return output

    def _run_forward(
        self, number: int, path: str, forward: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        if self._timeline.ends[number] < self._event:
            return self._take(Output(number, False), path)
        output = forward(*args, **kwargs)
        self._keep(Output(number, False), output)
        return output

    def _enter(self, number: int | None, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self._running.append(number)
        try:
            return call(*args, **kwargs)
        finally:
            self._running.pop()

    def _number_call(self, path: str) -> int | None:
        parent = self._running[-1]
        if parent is None:
            return None
        count = self._counts[parent, path]
        self._counts[parent, path] += 1
        return self._timeline.numbers.get((parent, path, count))

    def _keep(self, output: Output, value: Any) -> None:
        if output in self._kept.read:
            self._kept.entries[output] = _Entry(value, output in self._copied)
        elif output in self._kept.done:
            self._kept.entries[output] = _Entry(_empty(value), False)

    def _take(self, output: Output, path: str) -> Any:
        if output not in self._kept.entries:
            raise BackboneError(
                f"the network calls {path or 'itself'} now, and did not in its last run: outputs "
                "can be kept only if a network calls its modules alike in all runs"
            )
        return self._kept.entries[output].take()


class _Entry:
    """An output that is kept. If its first readers change it in place, it is copied."""

    def __init__(self, value: Any, is_copied: bool) -> None:
        self.value = _copy(value) if is_copied else value
        self._is_copied = is_copied
        self._versions = self._read_versions()

    def is_changed(self) -> bool:
        """Tell whether the output has been changed in place."""
        return self._versions != self._read_versions()

    def take(self) -> Any:
        """Return the output."""
        return _copy(self.value) if self._is_copied else self.value

    def _read_versions(self) -> list[int]:
        return [version_of(leaf) for leaf in tree_leaves(self.value) if isinstance(leaf, Tensor)]


def version_of(tensor: Tensor) -> int:
    """Return a number that changes with every change in place that PyTorch counts."""
    return 0 if tensor.is_inference() else tensor._version


def _copy(value: Any) -> Any:
    return tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, value)


def _empty(value: Any) -> Any:
    """Return a value whose tensors keep their shape and device, but neither numbers nor memory."""
    return tree_map(
        lambda leaf: leaf.new_zeros(()).expand(leaf.shape) if isinstance(leaf, Tensor) else leaf,
        value,
    )
