"""Reads where the sites of a network are, from a user's file or the network's ``se_sites()``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, model_validator
from torch import nn

from se_search.backbone import Integration
from se_search.config import StrictModel, read_yaml, validate
from se_search.errors import BackboneError, name_foreign, suggest_nearest
from se_search.yaml_values import find_line

Attach = tuple[Mapping[Integration, tuple[str, str]], ...]


class NamedPoint(StrictModel):
    """An attach point: SE goes before or after a module."""

    before: str | None = Field(
        None, min_length=1, description="path of the module before which SE goes"
    )
    after: str | None = Field(
        None, min_length=1, description="path of the module after which SE goes"
    )

    @model_validator(mode="after")
    def _check_sides(self) -> NamedPoint:
        if (self.before is None) == (self.after is None):
            raise ValueError("needs either before or after")
        return self

    @property
    def point(self) -> tuple[str, str]:
        """The module's path, and the side on which SE goes."""
        return (self.before, "before") if self.before is not None else (str(self.after), "after")


class NamedSite(StrictModel):
    """A site: its stage, and where SE goes for each integration that is possible there."""

    stage: Annotated[int, Field(ge=1, strict=True)] = Field(
        description="number of the stage; 2 is the first after the stem"
    )
    standard: NamedPoint | None = Field(
        None, description="attach point of standard: the residual branch, before the addition"
    )
    pre: NamedPoint | None = Field(
        None, description="attach point of pre: the input of the residual branch"
    )
    post: NamedPoint | None = Field(
        None, description="attach point of post: the output of the unit, after the addition"
    )
    identity: NamedPoint | None = Field(
        None, description="attach point of identity: the shortcut, before the addition"
    )
    inner: NamedPoint | None = Field(
        None, description="attach point of inner: after the 3x3 convolution"
    )
    rectified: NamedPoint | None = Field(
        None, description="attach point of rectified: as standard, and a ReLU is put in front of SE"
    )

    @model_validator(mode="after")
    def _check_points(self) -> NamedSite:
        if not self.points:
            raise ValueError("needs an attach point for at least one integration")
        return self

    @property
    def points(self) -> dict[Integration, tuple[str, str]]:
        """For each possible integration the module's path, and the side on which SE goes."""
        places: dict[Integration, NamedPoint | None] = {
            "standard": self.standard,
            "pre": self.pre,
            "post": self.post,
            "identity": self.identity,
            "inner": self.inner,
            "rectified": self.rectified,
        }
        return {name: place.point for name, place in places.items() if place is not None}


class SiteFile(StrictModel):
    """The content of a file of sites (``--sites``)."""

    sites: Annotated[tuple[NamedSite, ...], Field(min_length=1)] = Field(
        description="the sites of the network, in forward order"
    )


@dataclass(frozen=True, slots=True)
class SiteList:
    """The sites that a user has listed.

    Attributes:
        stages: the stage of each site.
        attach: for each site and integration the path of a module and the side.
    """

    stages: tuple[int, ...]
    attach: Attach


def read_sites(path: Path, model: nn.Module) -> SiteList:
    """Read a file of sites (YAML).

    Raises:
        BackboneError: the file can't be read, or names a module that the network does not have.
    """
    sites = read_yaml(path, SiteFile, BackboneError).sites
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    assert root is not None  # it has been read

    def where(number: int, integration: str) -> str:
        return f"{path}:{find_line(root, ('sites', number, integration))}"

    return _check_paths(sites, model, where)


def ask_sites(model: nn.Module) -> SiteList | None:
    """Return the sites that the network's method ``se_sites`` lists; None without such a method.

    Raises:
        BackboneError: the method raises something, does not return a list of sites, or names an
            unknown module.
    """
    name = f"{type(model).__name__}.se_sites()"
    try:
        method = getattr(model, "se_sites", None)
        if method is None:
            return None
        listed = method()
        listed = list(listed) if isinstance(listed, Iterator) else listed
    except Exception as cause:  # foreign code may raise whatever it likes
        raise BackboneError(f"{name} raised {name_foreign(cause)}") from cause
    if not isinstance(listed, list | tuple):
        raise BackboneError(
            f"{name} returns {listed!r:.80}; allowed: a list of sites, as "
            "[{'stage': 2, 'standard': {'after': 'layer1.0'}}]"
        )
    sites = validate({"sites": listed}, SiteFile, BackboneError, name).sites
    return _check_paths(sites, model, lambda number, integration: f"{name}, site {number + 1}")


def _check_paths(
    sites: Sequence[NamedSite], model: nn.Module, where: Callable[[int, str], str]
) -> SiteList:
    known = [name for name, _ in model.named_modules() if name]
    for number, site in enumerate(sites):
        for integration, (path, _) in site.points.items():
            if path not in known:
                hint = suggest_nearest(path, known)
                raise BackboneError(
                    f"{where(number, integration)}: {integration}: {type(model).__name__} has no "
                    f"module {path!r}{hint}"
                )
    return SiteList(tuple(site.stage for site in sites), tuple(site.points for site in sites))
