"""Makes a user's own network, named ``module:callable``, if running its code is allowed."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from torch import nn

from se_search.errors import BackboneError, name_foreign, suggest_nearest
from se_search.models.names import TORCHVISION
from se_search.models.own_source import searched_folders

OWN_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def is_own_name(name: str) -> bool:
    """Tell whether a backbone's name is ``module:callable``."""
    return not name.startswith(("timm:", TORCHVISION)) and OWN_NAME.fullmatch(name) is not None


def construct_own(name: str, in_channels: int, num_classes: int, allow_code: bool) -> nn.Module:
    """Import ``module:callable`` and return the network that the callable makes.

    The callable gets the keyword arguments ``num_classes`` and ``in_channels`` if it takes them.
    Modules in the current folder can be imported.

    Raises:
        BackboneError: running the code is not allowed, there is no such callable, or it does not
            return a network.
    """
    function = _import(name, allow_code)
    try:
        model = function(**_choose_keywords(function, in_channels, num_classes))
    except (Exception, SystemExit) as error:  # foreign code may raise whatever it likes
        raise BackboneError(f"{name} raised {name_foreign(error)}") from error
    if not isinstance(model, nn.Module):
        raise BackboneError(f"{name} made a {type(model).__name__}, not a torch.nn.Module")
    return model


def taken_keywords(
    name: str, in_channels: int, num_classes: int, allow_code: bool
) -> dict[str, int]:
    """Return the keyword arguments that ``construct_own`` calls ``module:callable`` with.

    Raises:
        BackboneError: running the code is not allowed, or there is no such callable.
    """
    return _choose_keywords(_import(name, allow_code), in_channels, num_classes)


def takes_in_channels(name: str, allow_code: bool) -> bool:
    """Tell whether the callable ``module:callable`` takes the keyword argument ``in_channels``.

    Raises:
        BackboneError: running the code is not allowed, or there is no such callable.
    """
    return "in_channels" in _keywords(_import(name, allow_code))


def _choose_keywords(
    function: Callable[..., Any], in_channels: int, num_classes: int
) -> dict[str, int]:
    offered = {"num_classes": num_classes, "in_channels": in_channels}
    return {key: value for key, value in offered.items() if key in _keywords(function)}


def _import(name: str, allow_code: bool) -> Callable[..., Any]:
    if not allow_code:
        raise BackboneError(
            f"backbone {name!r} is a network of your own, and making it runs its code; "
            "--allow-code allows that, if you trust the code"
        )
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise BackboneError(
                f"backbone {name!r}: {module_name} imports {error.name}, which is not there"
            ) from error
        raise BackboneError(
            f"backbone {name!r}: there is no module {error.name} in "
            f"{' or '.join(searched_folders())}, and no package of this name is installed"
        ) from error
    except SystemExit as error:  # argparse ends a process whose arguments it does not know
        raise BackboneError(
            f"backbone {name!r}: importing {module_name} ends the process (exit status "
            f"{error.code}), as a script does that reads the command line; put what only the "
            'script does under: if __name__ == "__main__"'
        ) from error
    except Exception as error:  # foreign code may raise whatever it likes
        raise BackboneError(
            f"backbone {name!r}: importing {module_name} raised {name_foreign(error)}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            hint = suggest_nearest(part, dir(found))
            raise BackboneError(f"backbone {name!r}: {module_name} has no {attribute}{hint}")
        found = getattr(found, part)
    if not callable(found):
        raise BackboneError(f"backbone {name!r}: {attribute} can't be called")
    function: Callable[..., Any] = found
    return function


def _keywords(function: Callable[..., Any]) -> set[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind in kinds}
