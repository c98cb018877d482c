"""Defines NAS-Bench-SE: its space, backbone and candidates; imports no torch."""

from __future__ import annotations

from pathlib import Path

from se_search.candidate import Candidate
from se_search.models.catalogue import describe_backbone
from se_search.seeds import derive_seed
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space

FOLDER = Path(__file__).parent
FORMAT = 1
BACKBONE = describe_backbone("resnet20_bottleneck", in_channels=1, image_size=28, num_classes=10)
SPACE = BoundSpace(read_space(str(FOLDER / "space.yaml")), BACKBONE)


def list_candidates() -> list[Candidate]:
    """Return all candidates: the plain backbone, then the others in a fixed random order.

    The order depends only on the candidates' keys. So the first N candidates are a uniform sample
    of the space for any N.
    """
    plain = Candidate.plain(BACKBONE)
    others = [candidate for candidate in SPACE if candidate != plain]
    return [plain, *sorted(others, key=lambda other: derive_seed("nas_bench_se", other.key))]
