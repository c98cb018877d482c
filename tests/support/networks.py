"""Small made-up backbones: so few channels that different ratios can mean one network."""

from hypothesis import strategies as st

from se_search.backbone import INTEGRATIONS, Backbone, FeatureMap, NativeSE, Part, Site
from se_search.candidate import GATES, KINDS, SE, SQUEEZES, Candidate
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace


def make_backbone(*stages, name="tiny"):
    """Return a backbone with the given channels a block: ``make_backbone([32, 32], [64])``.

    Each site takes every integration; ``inner`` sees a quarter of the channels, and the width of
    its own SE block is a quarter of them too.
    """
    sites = []
    for stage, blocks in enumerate(stages, start=2):
        for block, channels in enumerate(blocks, start=1):
            maps = {integration: FeatureMap(channels, 9) for integration in INTEGRATIONS}
            maps["inner"] = FeatureMap(max(1, channels // 4), 9)
            sites.append(Site(stage, block, maps, native_se(max(1, channels // 4))))
    return with_sites(sites, name)


def bind(*stages, **fields):
    """Return a space with these choices on a made-up backbone ``net``."""
    granularity = fields.pop("granularity", "stage")
    space = SearchSpace.model_validate({"granularity": granularity, "choices": fields})
    return BoundSpace(space, make_backbone(*stages, name="net"))


def native_se(width):
    return NativeSE(width, True, "mean", "conv", "sigmoid")


def with_sites(sites, name="tiny"):
    stages = dict.fromkeys(f"stage{site.stage}" for site in sites)
    parts = [Part(part, 1_000, {"conv": 10_000}) for part in ("stem", *stages, "head")]
    return Backbone(name, 3, 12, 10, tuple(sites), tuple(parts))


@st.composite
def backbones(draw, max_stages=3, max_blocks=3, all_integrations=False):
    """Draw backbones whose sites differ in their channels and in the integrations they take."""
    sites = []
    for stage in range(2, 2 + draw(st.integers(1, max_stages))):
        for block in range(1, 1 + draw(st.integers(1, max_blocks))):
            possible = (
                INTEGRATIONS
                if all_integrations
                else draw(st.lists(st.sampled_from(INTEGRATIONS), min_size=1, unique=True))
            )
            channels = st.sampled_from([1, 2, 4, 6, 16, 32, 64])
            maps = {integration: FeatureMap(draw(channels), 9) for integration in possible}
            native = native_se(draw(channels)) if "native" in maps else None
            sites.append(Site(stage, block, maps, native))
    return with_sites(sites)


@st.composite
def se_blocks(draw, integrations):
    """Draw blocks of these integrations: every kind, and every combination of modifiers."""
    integration = draw(st.sampled_from(integrations))
    kind = draw(st.sampled_from(KINDS)) if integration != "native" else "se"
    if kind != "se":
        return SE(integration, 0, kind=kind)
    width = draw(st.sampled_from([1, 4, 100]))
    if integration == "native":
        return SE(integration, width)
    gate, bias = draw(st.sampled_from(GATES)), draw(st.booleans())
    gate_inits = ["half", *(["open"] if bias else []), *(["double"] if "sigmoid" in gate else [])]
    squeeze, gate_init = draw(st.sampled_from(SQUEEZES)), draw(st.sampled_from(gate_inits))
    return SE(integration, width, squeeze, gate, bias, gate_init)


@st.composite
def candidates(draw, networks=None):
    """Draw candidates of any backbone, with few different blocks so that neighbours agree."""
    backbone = draw(backbones() if networks is None else networks)
    blocks = []
    for site in backbone.sites:
        block = se_blocks(list(site.feature_maps))
        repeat = [st.just(blocks[-1])] if blocks and _fits(blocks[-1], site) else []
        blocks.append(draw(st.one_of(st.none(), block, *repeat)))
    return Candidate(backbone, tuple(blocks))


def _fits(block, site):
    return block is None or block.integration in site.feature_maps
