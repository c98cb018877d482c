"""A user's own network: imports it when that is allowed, and reads where its sites are."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator
from torch import nn

from se_search.candidate import Integration
from se_search.config import StrictModel, find_line, read_yaml
from se_search.errors import BackboneError

OWN_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)

Attach = tuple[Mapping[Integration, tuple[str, str]], ...]


class Place(StrictModel):
    """Where an SE block goes: before or after the module at a path."""

    before: str | None = Field(None, min_length=1)
    after: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _check_sides(self) -> Place:
        if (self.before is None) == (self.after is None):
            raise ValueError("needs either before or after")
        return self

    @property
    def point(self) -> tuple[str, str]:
        """Its path and side."""
        return (self.before, "before") if self.before is not None else (str(self.after), "after")


class NamedSite(StrictModel):
    """A site: its stage, and the place for each integration that is possible there."""

    stage: Annotated[int, Field(ge=1, strict=True)]
    standard: Place | None = None
    pre: Place | None = None
    post: Place | None = None
    identity: Place | None = None
    inner: Place | None = None
    rectified: Place | None = None

    @model_validator(mode="after")
    def _check_places(self) -> NamedSite:
        if not self.points:
            raise ValueError("needs a place for at least one integration")
        return self

    @property
    def points(self) -> dict[Integration, tuple[str, str]]:
        """Path and side for each integration."""
        places: dict[Integration, Place | None] = {
            "standard": self.standard,
            "pre": self.pre,
            "post": self.post,
            "identity": self.identity,
            "inner": self.inner,
            "rectified": self.rectified,
        }
        return {name: place.point for name, place in places.items() if place is not None}


class SiteFile(StrictModel):
    """The sites of a network, in forward order."""

    sites: Annotated[tuple[NamedSite, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class SiteList:
    """Where the sites of a network are: of each its stage, and the points of its integrations."""

    stages: tuple[int, ...]
    attach: Attach


def is_own_name(name: str) -> bool:
    """Tell whether a backbone's name is ``module:callable``."""
    return not name.startswith("timm:") and OWN_NAME.fullmatch(name) is not None


def construct_own(name: str, in_channels: int, num_classes: int, allow_code: bool) -> nn.Module:
    """Import ``module:callable`` and call it, with the keyword arguments that it takes.

    The current folder is importable.

    Raises:
        BackboneError: it is not allowed, there is no such callable, or it makes no network.
    """
    function = _import(name, allow_code)
    offered = {"num_classes": num_classes, "in_channels": in_channels}
    taken = {key: value for key, value in offered.items() if key in _keywords(function)}
    try:
        model = function(**taken)
    except Exception as error:  # foreign code may raise whatever it likes
        raise BackboneError(f"{name} raised {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise BackboneError(f"{name} made a {type(model).__name__}, not a torch.nn.Module")
    return model


def own_in_channels(name: str, image_channels: int, allow_code: bool) -> int:
    """Return the channels that an own network takes: any, or those of its first convolution.

    Raises:
        BackboneError: see ``construct_own``.
    """
    if "in_channels" in _keywords(_import(name, allow_code)):
        return image_channels
    for module in construct_own(name, image_channels, 10, allow_code).modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    return image_channels


def read_sites(path: Path, model: nn.Module) -> SiteList:
    """Read the file that says where the sites of a network are.

    Raises:
        BackboneError: it can't be read, or names a module that the network does not have.
    """
    sites = read_yaml(path, SiteFile, BackboneError).sites
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    assert root is not None  # it has been read

    def where(number: int, integration: str) -> str:
        return f"{path}:{find_line(root, ('sites', number, integration))}"

    return _check_paths(sites, model, where)


def ask_sites(model: nn.Module) -> SiteList | None:
    """Return the sites that the network's own method ``se_sites`` lists; None if it has none.

    Raises:
        BackboneError: what it returns is no list of sites.
    """
    method = getattr(model, "se_sites", None)
    if method is None:
        return None
    name = f"{type(model).__name__}.se_sites()"
    try:
        sites = SiteFile.model_validate({"sites": method()}).sites
    except ValidationError as cause:
        problem = cause.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise BackboneError(f"{name}: {key}: {problem['msg']}") from cause
    return _check_paths(sites, model, lambda number, integration: f"{name}, site {number + 1}")


def _check_paths(
    sites: Sequence[NamedSite], model: nn.Module, where: Callable[[int, str], str]
) -> SiteList:
    known = [name for name, _ in model.named_modules() if name]
    for number, site in enumerate(sites):
        for integration, (path, _) in site.points.items():
            if path not in known:
                close = difflib.get_close_matches(path, known)
                hint = f" (did you mean {' or '.join(close)}?)" if close else ""
                raise BackboneError(
                    f"{where(number, integration)}: {integration}: {type(model).__name__} has no "
                    f"module {path!r}{hint}"
                )
    return SiteList(tuple(site.stage for site in sites), tuple(site.points for site in sites))


def _import(name: str, allow_code: bool) -> Callable[..., Any]:
    if not allow_code:
        raise BackboneError(
            f"backbone {name!r} is a network of your own: reading it runs its code. "
            "If you trust it, say so with --allow-code"
        )
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # foreign code may raise whatever it likes
        raise BackboneError(
            f"backbone {name!r}: importing {module_name} raised {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(part, dir(found))
            hint = f" (did you mean {' or '.join(close)}?)" if close else ""
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
