"""The part of a run's page about trained weights: what is kept, and what was exported where."""

from __future__ import annotations

from dataclasses import dataclass

from se_search.record import ENDED_WELL
from se_search.report.format import count
from se_search.report.source import Source
from se_search.store.room import describe_bytes

MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class WeightsPart:
    """What is kept, in sentences, and the folders of exports."""

    sentences: tuple[str, ...]
    exports: tuple[tuple[str, str, str], ...]


def prepare_weights_part(source: Source) -> WeightsPart:
    """Return what a page says of trained weights; an export is placement, folder and date."""
    return WeightsPart(
        tuple(_describe_kept(source)),
        tuple((each.placement, each.folder, each.written[:10]) for each in source.exports),
    )


def _describe_kept(source: Source) -> list[str]:
    trained = {r.key for r in source.records if r.state in ENDED_WELL}
    kept = {name.key for name in source.weights}
    if not kept:
        return ["No weights are kept: se-search export trains a candidate again, to the same bits."]
    size = describe_bytes(sum(source.weights.values()))
    sentences = [
        f"Of {len(kept):,} of {count(len(trained), 'trained candidate')} the weights are kept, "
        f"{size} in the folder weights: of each those of its longest training in the first "
        "replicate in which it was trained, whatever its accuracy there."
    ]
    lacking = [c.summary.placement for c in source.front.listed if c.summary.key not in kept]
    if lacking:
        more = f" and {len(lacking) - MOST_NAMED} more" if len(lacking) > MOST_NAMED else ""
        sentences.append(
            f"Listed without weights: {', '.join(lacking[:MOST_NAMED])}{more}; se-search export "
            "trains a candidate again, to the same bits."
        )
    return sentences
