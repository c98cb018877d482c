"""Values of cheap evaluations: how a supernet is trained, and what it says of a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from se_search.candidate import Candidate
from se_search.errors import SupernetError
from se_search.record import RanOn
from se_search.seeds import derive_seed

SUPERNET_SEEDS = 10**9  # seeds of supernets have ten digits, which tells them from replicates
ZERO_COST = ("snip", "synflow", "naswot")  # rungs that train nothing
BACKWARD = 2  # a backward pass takes the multiply-adds of two forward passes


@dataclass(frozen=True, slots=True)
class SupernetSettings:
    """What fixes a supernet and its scores besides recipe, data, backbone, designs and seed.

    Attributes:
        num_drawn: candidates drawn for each step, which trains the widest and the plain network,
            too.
        distillation: weight of the widest network's soft labels in the loss of the others, 0..1;
            the images' own labels have the rest.
        num_calibration: training images by which batch norms are computed for each candidate.
        num_scoring: validation images by which each candidate is scored.
    """

    num_drawn: int = 2
    distillation: float = 0.0
    num_calibration: int = 2_048
    num_scoring: int = 5_000

    def __post_init__(self) -> None:
        """Refuse settings by which nothing could be trained or scored.

        Raises:
            SupernetError: a number is out of its range.
        """
        if self.num_drawn < 0:
            raise SupernetError(f"num_drawn is {self.num_drawn}; allowed: 0 or more")
        if not 0 <= self.distillation <= 1:
            raise SupernetError(f"distillation is {self.distillation}; allowed: 0 to 1")
        for name in ("num_calibration", "num_scoring"):
            if getattr(self, name) < 2:
                raise SupernetError(f"{name} is {getattr(self, name)}; allowed: 2 or more")

    @property
    def num_passes(self) -> int:
        """The number of networks that each step trains: widest, plain and drawn ones."""
        return 2 + self.num_drawn


@dataclass(frozen=True, slots=True)
class Score:
    """What one member of a rung says of one candidate.

    Attributes:
        rung: ``supernet``, or the name of a score without training: ``snip``, ``synflow``,
            ``naswot``.
        member: seed of the supernet; of a score without training: of weights and images.
        candidate: text form of the candidate.
        key: short name of the candidate.
        accuracy: share of the scored validation images classified correctly, 0..1; None: nothing
            was classified.
        loss: their mean cross-entropy; None likewise.
        value: what the accuracy model takes; higher is better.
        seconds: wall seconds; those of candidates that are run together are shared out evenly.
    """

    rung: str
    member: int
    candidate: str
    key: str
    accuracy: float | None
    loss: float | None
    value: float
    seconds: float


@dataclass(frozen=True, slots=True)
class SupernetResult:
    """The result of training a supernet.

    Attributes:
        seed: names the supernet: seed of its weights, the order of its images, their augmentation,
            its draws and, unless the recipe fixes it, of which images train and which validate.
        history: a row for each epoch: epoch, and the mean losses train_loss (of all networks
            trained), widest_loss, plain_loss and, if any were drawn, drawn_loss.
        train_seconds: wall time of the training.
        ran_on: hardware and versions.
        split_hash: twelve hexadecimal digits of the images that train and validate, equal for
            equal splits; None: no images were split.
        weights_file: holds the weights; None: they were not asked for.
    """

    seed: int
    history: tuple[Mapping[str, float], ...]
    train_seconds: float
    ran_on: RanOn
    split_hash: str | None
    weights_file: Path | None = None


def supernet_seed(run_seed: int, number: int) -> int:
    """Return the seed of a run's supernet number ``number`` (from 0): ten digits.

    The replicates of a search are numbered on from the run's seed, so that a supernet shares
    neither weights nor images with one.
    """
    return SUPERNET_SEEDS + derive_seed(run_seed, "supernet", number) % (9 * SUPERNET_SEEDS)


def zero_cost_seed(run_seed: int, number: int) -> int:
    """Return the seed of member ``number`` (from 0) of a run's rungs that train nothing.

    It has ten digits, and shares weights and images neither with a supernet of the run nor with a
    replicate.
    """
    return SUPERNET_SEEDS + derive_seed(run_seed, "zero cost", number) % (9 * SUPERNET_SEEDS)


def count_worth(
    settings: SupernetSettings,
    num_candidates: int,
    share: float,
    num_train: int,
    num_validation: int,
    epochs: int,
    full_epochs: int,
) -> tuple[float, float]:
    """Return what a supernet costs in full trainings: its training, and scoring candidates by it.

    The numbers come from counts alone, so that they are the same on every machine.

    Args:
        settings: of the supernet.
        num_candidates: number of candidates that are scored.
        share: of their forward passes that is run; see ``count_share``.
        num_train: images that train.
        num_validation: images that validate after a full training.
        epochs: of the supernet's training.
        full_epochs: of a full training.
    """
    training = epochs * settings.num_passes / full_epochs
    in_training = full_epochs * num_train * (1 + BACKWARD) + num_validation
    images = min(settings.num_calibration, num_train) + min(settings.num_scoring, num_validation)
    return training, num_candidates * share * images / in_training


def count_share(candidates: Sequence[Candidate]) -> float:
    """Return the share of the multiply-adds of some candidates that is left if prefixes are shared.

    Candidates that agree on the first sites have the part of the network up to the next site in
    common. The multiply-adds of a stage are taken to be spread evenly over its sites.

    Returns:
        0..1; 1 for a single candidate.
    """
    backbone = candidates[0].backbone
    macs = {part.name: sum(part.macs.values()) for part in backbone.parts}
    in_stage = [site.stage for site in backbone.sites]
    total = sum(macs.values())
    run = float(total - sum(macs[f"stage{stage}"] for stage in backbone.stages))
    head = macs.get("head", 0)
    run += head * (len({candidate.blocks for candidate in candidates}) - 1)
    for index, stage in enumerate(in_stage):
        num_prefixes = len({_reached(candidate, index) for candidate in candidates})
        run += macs[f"stage{stage}"] / in_stage.count(stage) * num_prefixes
    return min(1.0, run / (total * len(candidates)))


def _reached(candidate: Candidate, index: int) -> tuple[object, ...]:
    """Return what decides the part of a network between its sites ``index - 1`` and ``index``."""
    own = candidate.blocks[index]
    is_first = own is not None and own.integration in ("pre", "identity")  # before the convolutions
    return (*candidate.blocks[:index], own if is_first else None)
