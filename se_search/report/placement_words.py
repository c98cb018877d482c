"""Says in words where the SE blocks of a candidate sit: ``SE of width 4 in stage 2``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from se_search.backbone import Backbone, Site
from se_search.candidate import SE, Candidate, Rounding, squeeze_width
from se_search.space.schema import SearchSpace

MAX_LENGTH = 72  # characters: a longer placement would not leave room for its gain in a line
VARIANTS = {"ese": "effective SE", "eca": "ECA", "ge": "Gather-Excite"}
SPECIAL = {  # the values of a block's fields that are not the usual ones, in words
    "max": "max pooling",
    "avgmax": "avg and max pooling",
    "std": "std pooling",
    "none": "gates for each pixel",
    "hard_sigmoid": "hard sigmoid gates",
    "tanh": "tanh gates",
    "relu": "ReLU gates",
    "bias": "biases",
    "open": "gates open at first",
    "double": "doubled gates",
}


def describe_placement(candidate: Candidate, space: SearchSpace) -> str:
    """Return where a candidate's SE blocks sit and how wide they are, in at most a line.

    A placement that takes more words is given by its short text: ``SE as s2:16 s4.1-3:pre64``.

    Args:
        candidate: of any backbone.
        space: that the candidate is of. Where it lists reduction ratios, widths are told as these.
    """
    carried = [
        (site, block)
        for site, block in zip(candidate.backbone.sites, candidate.blocks, strict=True)
        if block is not None
    ]
    if not carried:
        return "no SE"
    ratios = _choose_ratios(carried, space)
    by_design: dict[tuple[str, str], list[Site]] = {}
    for site, block in carried:
        named = (_name_kind(block), _describe_block(block, ratios.get(site)))
        by_design.setdefault(named, []).append(site)
    parts: list[str] = []
    last = ""
    for (kind, design), sites in by_design.items():
        where = _describe_sites(sites, candidate.backbone)
        words = [design, where] if kind == last else [kind, design, where]
        parts.append(" ".join(word for word in words if word))
        last = kind
    text = join_list(parts)
    return text if len(text) <= MAX_LENGTH else f"SE as {candidate.placement}"


def join_list(words: Sequence[str]) -> str:
    """Return a list in words: ``a``, ``a and b``, ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def _name_kind(block: SE) -> str:
    noun = VARIANTS.get(block.kind, "SE")
    return noun if block.integration == "standard" else f"{block.integration} {noun}"


def _describe_block(block: SE, ratio: int | None) -> str:
    special = [SPECIAL[word] for word in block.modifiers]
    if ratio:
        return f"with {join_list([f'r = {ratio}', *special])}"
    size = f"of width {block.width}" if block.width else ""
    return f"{size} with {join_list(special)}".strip() if special else size


def _choose_ratios(carried: Sequence[tuple[Site, SE]], space: SearchSpace) -> dict[Site, int]:
    """Return a reduction ratio for each site whose width one makes: as few ratios as possible.

    Several ratios can make one width: r = 16 and r = 32 are both width 1 on 16 channels. Where a
    ratio can be rounded in several ways it does not say which width is meant, and none is chosen.
    """
    roundings = space.choices.rounding or (space.block.rounding,)
    ratios = (space.choices.reduction or ()) if len(roundings) == 1 else ()
    fitting = {
        site: {ratio for ratio in ratios if _makes(block, site, ratio, roundings[0])}
        for site, block in carried
        if block.kind == "se"
    }
    chosen: dict[Site, int] = {}
    open_sites = {site for site, own in fitting.items() if own}
    while open_sites:
        shares = Counter(ratio for site in open_sites for ratio in fitting[site])
        best = max(shares, key=lambda ratio: (shares[ratio], -ratio))
        own = {site for site in open_sites if best in fitting[site]}
        chosen |= dict.fromkeys(own, best)
        open_sites -= own
    return chosen


def _makes(block: SE, site: Site, ratio: int, rounding: Rounding) -> bool:
    channels = site.feature_map(block.integration).channels
    return squeeze_width(channels, ratio, rounding) == block.width


def _describe_sites(sites: Sequence[Site], backbone: Backbone) -> str:
    if len(sites) == len(backbone.sites):
        return "everywhere"
    whole, parts = [], []
    for stage, members in groupby(sites, key=lambda site: site.stage):
        blocks = [site.block for site in members]
        if len(blocks) == sum(site.stage == stage for site in backbone.sites):
            whole.append(stage)
        else:
            parts.append(f"in {_describe_numbers('block', blocks)} of stage {stage}")
    if whole:
        parts.insert(0, f"in {_describe_numbers('stage', whole)}")
    return join_list(parts)


def _describe_numbers(noun: str, numbers: Sequence[int]) -> str:
    """Return numbers with their noun: ``stage 2``, ``stages 2 and 3``, ``stages 2 to 4``."""
    if len(numbers) == 1:
        return f"{noun} {numbers[0]}"
    return f"{noun}s {join_list(list(_list_spans(numbers)))}"


def _list_spans(numbers: Sequence[int]) -> Iterable[str]:
    """Yield numbers that follow each other as one span where there are three or more of them."""
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        own = [number for _, number in run]
        if len(own) > 2:
            yield f"{own[0]} to {own[-1]}"
        else:
            yield from map(str, own)
