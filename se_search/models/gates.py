"""Looks at the gates of a network's SE blocks while it runs, and replaces them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from se_search.errors import BackboneError
from se_search.models.attachment import HostedAttention, attached_names
from se_search.models.squeeze_excite import ChannelAttention, apply_gates
from se_search.models.surgery import NATIVE_SITE

Change = Callable[[str, Tensor], Tensor]

# The activation that makes the gates, in the SE blocks that networks of torchvision and timm come
# with; see ``units.NATIVE``.
NATIVE_GATES = ("scale_activation", "gate", "sigmoid")


@contextmanager
def changing_gates(model: nn.Module, change: Change) -> Iterator[None]:
    """Hand the gates of each SE block to a function, until the ``with`` block ends.

    Afterwards the network is as it was. The network is that of a candidate as ``build`` or
    ``insert`` makes it, on one device and in one process.

    Args:
        model: the network.
        change: is given the name of a site and the gates there, ``(b, c, 1, 1)``, or
            ``(b, c, h, w)`` without a squeeze, and returns those that are used instead.

    Raises:
        BackboneError: the gates of an SE block that the network came with can't be seen.
    """
    with ExitStack() as stack:
        for module in list(model.modules()):
            if isinstance(module, ChannelAttention) and module.site:
                hook = module.register_forward_hook(partial(_gate_again, change))
                stack.callback(hook.remove)
            if site := vars(module).get(NATIVE_SITE):
                activation = _find_activation(module, site)
                hook = activation.register_forward_hook(partial(_change_output, change, site))
                stack.callback(hook.remove)
            for name in attached_names(module):
                hosted = getattr(module, name)
                if isinstance(hosted, HostedAttention):
                    setattr(module, name, partial(_gate_hosted, change, hosted, module))
                    stack.callback(setattr, module, name, hosted)
        yield


def _gate_again(
    change: Change, attention: ChannelAttention, args: tuple[Tensor, ...], _output: Tensor
) -> Tensor:
    """Return what an SE block gives with changed gates: a forward hook."""
    layers: Any = dict(attention.named_children())
    return apply_gates(args[0], attention.block, layers, partial(change, attention.site))


def _gate_hosted(change: Change, hosted: HostedAttention, host: nn.Module, x: Tensor) -> Tensor:
    return apply_gates(x, hosted.block, hosted.bind(host), partial(change, hosted.site))


def _change_output(
    change: Change, site: str, _module: nn.Module, _args: tuple[Any, ...], output: Tensor
) -> Tensor:
    return change(site, output)


def _find_activation(module: nn.Module, site: str) -> nn.Module:
    for name in NATIVE_GATES:
        found = module._modules.get(name)
        if found is not None:
            return found
    raise BackboneError(
        f"the gates of {type(module).__name__} at {site} can't be seen: it has no module "
        f"{' nor '.join(NATIVE_GATES)}"
    )
