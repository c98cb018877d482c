"""Places for SE blocks in a network, at which one block or none runs, as it is put there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from se_search.models.attachment import Hosts, HostSide, change_input, change_output
from se_search.models.sites import AttachPoint, module_at
from se_search.models.surgery import set_module

# Names a module's places, by their side. No network has such attributes by chance.
PLACES: dict[HostSide, str] = {"before": "elastic_se_before", "after": "elastic_se_after"}


class Place:
    """An attach point of a network, at which an SE block or none runs.

    The block is no child of the network's modules, so that these count and name their children as
    they do without SE. A copy of a network runs the copy's blocks.

    Attributes:
        active: the SE block that runs; None: none does.
    """

    def __init__(self) -> None:
        self.active: nn.Module | None = None
        self._shortcut: _Shortcut | None = None

    def put(self, block: nn.Module | None) -> None:
        """Let this SE block run from now on, or none."""
        self.active = block
        if self._shortcut is not None:
            self._shortcut.set(block is not None)

    def fill(self, parent: nn.Module, name: str) -> None:
        """Be on a shortcut that has no module: it gets one while an SE block runs."""
        self._shortcut = _Shortcut(parent, name, Slot(self))

    def is_in(self, module: nn.Module) -> bool:
        """Tell whether the place is a slot of the network, or on a shortcut in this module."""
        if isinstance(module, Slot):
            return module.place is self and self._shortcut is None
        return self._shortcut is not None and self._shortcut.parent is module


class Slot(nn.Module):
    """Runs the SE block of a place, as a module of the network; returns its input if there is none.

    It stands where the network came with an SE block, or has a shortcut without a module.
    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated feature map, or the feature map itself."""
        return _run([self.place], x) if self.place.active is not None else x


def put_place(model: nn.Module, hosts: Hosts, point: AttachPoint, place: Place) -> None:
    """Let the SE block of a place run at an attach point of a network.

    Places at one module run in the order in which they are put there.

    Args:
        model: the network.
        hosts: finds the modules of the network before anything is put there.
        point: the attach point.
        place: the place.
    """
    if point.side == "instead":
        set_module(model, point.path, Slot(place))
        return
    module = module_at(model, point.path)
    if module is None:
        parent, _, name = point.path.rpartition(".")
        place.fill(model.get_submodule(parent), name)
        return
    side: HostSide = "before" if point.side == "before" else "after"
    host = hosts.find(module, side)
    placed = vars(host).get(PLACES[side], ())
    setattr(host, PLACES[side], (*placed, place))
    if placed:
        return
    if side == "before":
        host.register_forward_pre_hook(_gate_input, with_kwargs=True)
    else:
        host.register_forward_hook(_gate_output, with_kwargs=True)


def find_place(model: nn.Module, place: Place) -> tuple[str, HostSide]:
    """Return the path of a module of a network, and whether a place is at its beginning or end.

    A place on a shortcut without a module is somewhere behind the beginning of the module around.
    """
    for path, module in model.named_modules():
        for side in PLACES:
            if place in vars(module).get(PLACES[side], ()):
                return path, side
        if place.is_in(module):
            return path, "before"
    raise AssertionError("the place is not in this network")


class _Shortcut:
    def __init__(self, parent: nn.Module, name: str, slot: Slot) -> None:
        self.parent, self._name, self._slot = parent, name, slot

    def set(self, has_block: bool) -> None:
        setattr(self.parent, self._name, self._slot if has_block else None)


def _gate_input(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    places = _find_active(module, "before")
    return change_input(args, kwargs, lambda x: _run(places, x)) if places else None


def _gate_output(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> Any:
    places = _find_active(module, "after")
    return change_output(args, kwargs, output, lambda x: _run(places, x)) if places else None


def _find_active(module: nn.Module, side: HostSide) -> list[Place]:
    return [place for place in vars(module)[PLACES[side]] if place.active is not None]


def _run(places: Sequence[Place], x: Tensor) -> Tensor:
    for place in places:
        assert place.active is not None
        x = place.active(x)
    return x
