"""Slots: the groups of sites that share a choice, as a search space lays them over a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from se_search.backbone import Backbone, Integration, Site, find_sites
from se_search.errors import CandidateError, SpaceError
from se_search.space.schema import SearchSpace


@dataclass(frozen=True, slots=True)
class Slot:
    """Sites that share a choice: the sites of the network, of a stage, or one block's site.

    Attributes:
        name: ``network``, ``stage2`` or ``stage2.block1``.
        indices: positions of the sites in ``Backbone.sites``.
        sites: the sites at these positions.
        integrations: the integrations that the space lists.
        widths: the squeeze widths that the space lists; empty: it lists reduction ratios.
    """

    name: str
    indices: tuple[int, ...]
    sites: tuple[Site, ...]
    integrations: tuple[Integration, ...] = ()
    widths: tuple[int | str, ...] = ()


def make_slots(space: SearchSpace, backbone: Backbone) -> tuple[Slot, ...]:
    """Group the searched sites of a backbone by the space's granularity, in forward order.

    Raises:
        SpaceError: the space names a site that the backbone does not have, or an integration or
            width that is impossible at a searched site.
    """
    groups: dict[str, list[int]] = {}
    for index in _searched_sites(space, backbone):
        site = backbone.sites[index]
        name = {"network": "network", "stage": f"stage{site.stage}", "block": site.name}
        groups.setdefault(name[space.granularity], []).append(index)
    return tuple(
        Slot(
            name,
            tuple(members),
            tuple(backbone.sites[index] for index in members),
            space.choices.integration,
            space.choices.width or (),
        )
        for name, members in groups.items()
    )


def fit_integration(site: Site, wanted: Integration, listed: Sequence[Integration]) -> Integration:
    """Return the integration that a site has where a space wants one.

    Where a space lists native and others, a site with an SE block that the network came with is
    native if it can't be what is wanted, and a site without one is the first of the others instead
    of native.

    Raises:
        CandidateError: the site has neither.
    """
    instead = ("native",) if site.native else listed if wanted == "native" else ()
    for integration in (wanted, *instead):
        if integration in listed and integration in site.feature_maps:
            return integration
    site.feature_map(wanted)  # raises
    return wanted


def _searched_sites(space: SearchSpace, backbone: Backbone) -> list[int]:
    if space.sites == "native":
        indices = [index for index, site in enumerate(backbone.sites) if site.native]
        if not indices:
            raise SpaceError(f"the space does not fit {backbone.name}: it came without SE blocks")
    else:
        listed = ("all",) if space.sites == "all" else space.sites
        try:
            indices = sorted({index for where in listed for index in find_sites(where, backbone)})
        except CandidateError as cause:
            raise SpaceError(f"the space does not fit {backbone.name}: {cause}") from cause
    if not indices:
        raise SpaceError("sites: the list is empty; allowed: all, native, or names such as stage5")
    for index in indices:
        _check_site(space, backbone, backbone.sites[index])
    return indices


def _check_site(space: SearchSpace, backbone: Backbone, site: Site) -> None:
    try:
        for integration in space.choices.integration:
            fit_integration(site, integration, space.choices.integration)
    except CandidateError as cause:
        raise SpaceError(f"the space does not fit {backbone.name}: {cause}") from cause
    if set(space.choices.width or ()) == {"original"} and site.native is None:
        raise SpaceError(
            f"the space does not fit {backbone.name}: {site.name} came without an SE block, so "
            "there is no original width"
        )
