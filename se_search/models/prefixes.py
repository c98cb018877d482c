"""Runs a supernet for many candidates, without repeating what those that begin alike share.

If two candidates differ only from some site on, all that runs before it gives what it gave, and
outputs that were kept serve again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from se_search.candidate import SE, Candidate
from se_search.models.frontiers import (
    Frontier,
    Output,
    choose_frontiers,
    find_frontiers,
    make_timeline,
)
from se_search.models.kept_outputs import BEGINNING, KeptOutputs, Resumption, version_of
from se_search.models.places import Place, find_place
from se_search.models.recording import evaluation_mode, image_for, record
from se_search.models.supernet import Supernet

MAX_BYTES = 2**30


class PrefixMemo:
    """Runs the active candidate of a supernet, and keeps outputs for the next one.

    What is kept is of the last candidate and batch of images alone. ``sort`` brings
    candidates into an order in which neighbours have long beginnings in common.

    Answers are those of the supernet to the bit, if modules that draw random numbers are in
    evaluation mode. Batch norms may be in training mode: those that do not run again keep the
    statistics of the last run, in which all before them was as it is now.

    Weights, statistics, modes and images may be changed between runs: what depends on them runs
    again. A change that PyTorch does not count, as by ``tensor.data``, and a move to another device
    or type need ``clear``.

    Args:
        supernet: the supernet.
        max_bytes: of outputs that are kept. If they would be more, the outputs of the
            first modules are left out, which the fewest neighbours need.

    Attributes:
        order: positions of the sites in the backbone, in the order in which they run.

    Raises:
        BackboneError: the network can't take an image of the backbone's size.
    """

    def __init__(self, supernet: Supernet, max_bytes: int = MAX_BYTES) -> None:
        self._supernet = supernet
        self._max_bytes = max_bytes
        active = supernet.candidate
        supernet.activate(Candidate.plain(supernet.backbone))
        self._shape = (supernet.backbone.in_channels, supernet.backbone.image_size)
        self._recording = record(supernet.network, *self._shape)
        self._timeline = make_timeline(self._recording)
        self._modules = dict(supernet.network.named_modules())
        self._events = [
            {integration: self._event_of(place) for integration, place in at.items()}
            for at in supernet.places
        ]
        firsts = [min(at.values(), default=math.inf) for at in self._events]
        self.order = tuple(sorted(range(len(firsts)), key=firsts.__getitem__))
        events = {event for at in self._events for event in at.values()}
        found = find_frontiers(self._recording, self._timeline, events)
        self._frontiers = [frontier for frontier in found if not self._parts_statistics(frontier)]
        self._tensors = [*self._watch_network(), *self._watch_blocks()]
        self._versions = [one.version for one in self._tensors]
        self._kept: KeptOutputs | None = None
        self._changed: set[Output] = set()
        self._find_changed()
        supernet.activate(active)

    def sort(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Return candidates of the supernet in an order in which few modules run again."""
        levels: list[dict[SE | None, int]] = [
            {block: number for number, block in enumerate((None, *blocks))}
            for blocks in self._supernet.designs
        ]
        return sorted(candidates, key=lambda one: [levels[at][one.blocks[at]] for at in self.order])

    def run(self, images: Tensor) -> Any:
        """Return what the active candidate's network makes of images, without gradients.

        Outputs that were kept are used if the images are the tensor of the last run.
        """
        event = self._find_event(images)
        kept, self._kept = self._kept, None  # a run that fails leaves nothing behind
        if kept is None or event == BEGINNING:
            chosen = choose_frontiers(
                self._frontiers, self._recording, len(images), self._max_bytes
            )
            kept = KeptOutputs(images, chosen)
        with torch.inference_mode(False), torch.no_grad(), ExitStack() as stack:
            self._wrap_modules(stack, Resumption(kept, event, self._timeline, self._changed))
            output = self._supernet(images)
        self._kept = kept
        kept.blocks = self._supernet.candidate.blocks
        kept.modes = self._modes()
        kept.valid_until = math.inf
        self._note_changes(is_own=True)
        return output

    def find_fresh(self, images: Tensor) -> list[nn.Module]:
        """Return the modules that ``run`` would run, in the modes that they have now.

        A batch norm whose statistics are computed from nothing for each candidate must be reset if,
        and only if, it is among them: others have those of the last run, which are the candidate's.
        """
        event = self._find_event(images)
        return [
            self._modules[path]
            for path in self._timeline.calls
            if max(self._times(path, self._timeline.ends)) >= event
        ]

    @property
    def num_bytes(self) -> int:
        """The memory of all outputs that are kept."""
        return 0 if self._kept is None else self._kept.num_bytes

    def clear(self) -> None:
        """Forget all outputs."""
        self._kept = None

    def _find_changed(self) -> None:
        """Find outputs that are changed in place by those who read them, by a run of one image."""
        with evaluation_mode(self._supernet.network):
            image = image_for(self._supernet.network, *self._shape)
            self.run(image)
            self._find_event(image)
        self.clear()

    # --- what has changed -------------------------------------------------------------------

    def _find_event(self, images: Tensor) -> int:
        """Return the event from which a run has to go on."""
        self._note_changes(is_own=False)
        kept = self._kept
        if kept is None or kept.images is not images or kept.version != version_of(images):
            return BEGINNING
        limit = kept.valid_until
        blocks = self._supernet.candidate.blocks
        for events, old, new in zip(self._events, kept.blocks, blocks, strict=True):
            if old != new:
                limit = min([limit, *(events[one.integration] for one in (old, new) if one)])
        for path, mode in self._modes().items():
            if mode != kept.modes[path]:
                limit = min([limit, *self._times(path, self._timeline.enters)])
        for output, entry in kept.entries.items():
            if entry.is_changed():
                self._changed.add(output)
                limit = min(limit, self._timeline.ends[output.call])
        return kept.last_event(limit)

    def _note_changes(self, is_own: bool) -> None:
        """Look for weights and statistics that have changed, by a run or since the last one."""
        versions = [one.version for one in self._tensors]
        for watched, old, new in zip(self._tensors, self._versions, versions, strict=True):
            if old != new and self._kept is not None:
                limit = self._find_limit(watched, self._kept, is_own)
                self._kept.valid_until = min(self._kept.valid_until, limit)
        self._versions = versions

    def _find_limit(self, watched: _Watched, kept: KeptOutputs, is_own: bool) -> float:
        path = watched.path
        if path is None:
            return watched.event
        if watched.is_statistic and kept.modes[path]:
            # In training mode a batch norm does not read its statistics. But if somebody has reset
            # them, it must run.
            return math.inf if is_own else min(self._times(path, self._timeline.ends))
        return min(self._times(path, self._timeline.enters), default=math.inf)

    def _watch_network(self) -> Iterator[_Watched]:
        for path, module in self._modules.items():
            for name in module._parameters:
                yield _Watched(module, name, path, False, 0)
            for name in module._buffers:
                yield _Watched(module, name, path, isinstance(module, _BatchNorm), 0)

    def _watch_blocks(self) -> Iterator[_Watched]:
        for events, blocks in zip(self._events, self._supernet.elastic_blocks, strict=True):
            for family, block in blocks.items():
                for module in block.modules():
                    for name in (*module._parameters, *module._buffers):
                        yield _Watched(module, name, None, False, events[family.integration])

    def _modes(self) -> dict[str, bool]:
        return {path: module.training for path, module in self._modules.items()}

    # --- events -----------------------------------------------------------------------------

    def _times(self, path: str, events: tuple[int, ...]) -> list[int]:
        return [events[call] for call in self._timeline.calls.get(path, ())]

    def _event_of(self, place: Place) -> int:
        path, side = find_place(self._supernet.network, place)
        events = self._timeline.leaves if side == "after" else self._timeline.enters
        return min(self._times(path, events), default=BEGINNING)

    def _parts_statistics(self, frontier: Frontier) -> bool:
        """Tell whether some, but not all calls of a module with statistics are done."""
        for path, module in self._modules.items():
            ends = self._times(path, self._timeline.ends)
            if module._buffers and len({end < frontier.event for end in ends}) > 1:
                return True
        return False

    def _wrap_modules(self, stack: ExitStack, run: Resumption) -> None:
        for path in self._timeline.calls:
            module = self._modules[path]
            # PyTorch's way in for compiled modules: it stands for the call with all its hooks.
            compiled = module._compiled_call_impl
            call = module._call_impl if compiled is None else compiled
            module._compiled_call_impl = partial(run.call, path, module, call)
            stack.callback(setattr, module, "_compiled_call_impl", compiled)


class _Watched:
    """A weight or a statistic, and where it is read: in a module of the network, or from an event.

    Attributes:
        path: path of the module that has it; None: it is of an SE block.
        is_statistic: whether it is a statistic of a batch norm.
        event: of an SE block, the event from which on it can run.
    """

    def __init__(
        self, module: nn.Module, name: str, path: str | None, is_statistic: bool, event: float
    ) -> None:
        self.path, self.is_statistic, self.event = path, is_statistic, event
        self._module, self._name = module, name

    @property
    def version(self) -> tuple[int, int]:
        """A value that changes with every change that PyTorch counts."""
        tensor = getattr(self._module, self._name)
        return (0, 0) if tensor is None else (id(tensor), version_of(tensor))
