"""The smallest backbone that can be built, and candidates of it."""

from se_search.candidate import Candidate
from se_search.models.backbones import construct
from se_search.models.catalogue import describe_backbone

NAME = "resnet20_bottleneck"
SMALL = describe_backbone(NAME, 1, 28, 10)


def network(num_classes=10, seed=9):
    return construct(NAME, 1, num_classes, seed=seed)


def candidate(text="all=standard:4"):
    return Candidate.parse(f"{NAME}/{text}", SMALL)
