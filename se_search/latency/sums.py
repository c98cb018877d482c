"""The latency of any candidate, as a sum: the plain network's, and what each SE block adds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from se_search.backbone import Site
from se_search.candidate import SE, Candidate
from se_search.cost import Cost, count_cost
from se_search.errors import LatencyError

NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class LatencySums:
    """What latencies are summed from; all are whole nanoseconds, so that sums are exact.

    Attributes:
        plain: time of a batch through the plain network.
        added: by ``name_delta``, what one SE block adds to it; none is negative.
        floor: latencies that differ by no more than this count as equal.
    """

    plain: int
    added: tuple[tuple[str, int], ...]
    floor: int

    def count_cost(self, candidate: Candidate) -> Cost:
        """Return all that a candidate costs, its latency included.

        Raises:
            LatencyError: it has an SE block whose time has not been measured.
        """
        added = self.add_up(candidate)
        if added is None:
            raise LatencyError(
                f"the latency of {candidate.placement} is not known: what one of its SE blocks "
                "adds has not been measured"
            )
        return replace(count_cost(candidate), latency=self.plain + added, added_latency=added)

    def add_up(self, candidate: Candidate) -> int | None:
        """Return the time of a candidate's SE blocks; None: one has not been measured."""
        known = dict(self.added)
        placed = zip(candidate.backbone.sites, candidate.blocks, strict=True)
        names = [name_delta(block, site) for site, block in placed if block is not None]
        return sum(known[name] for name in names) if known.keys() >= set(names) else None


def name_delta(block: SE, site: Site) -> str:
    """Name what determines the time of an SE block: its design and the feature map that it gates.

    Sites of equal maps share a name, as ``standard:16 on 256 x 3136``: 256 channels of 3,136
    pixels. A network's own block is named with its operators, too.
    """
    shape = site.feature_maps[block.integration]
    name = f"{block} on {shape.channels} x {shape.pixels}"
    if block.integration == "native" and site.native is not None:
        own = site.native
        name += f" ({own.squeeze_operator}, {own.excite_operator}, {own.gate_operator})"
    return name
