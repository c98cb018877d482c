"""How long trainings take, estimated before any is made, from their exact multiply-adds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.record import Assignment

PASSES = 3  # a backward pass takes twice the multiply-adds of a forward pass


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a kind of device is assumed to train.

    Attributes:
        device: what is counted in hours, as ``GPU``.
        macs_per_s: multiply-adds a second, forward and backward.
        steps_per_s: optimiser steps a second that it reaches at most, of all trainings that share
            it; None: multiply-adds alone are what limits it.
        assumption: where the figures come from.
    """

    device: str
    macs_per_s: float
    steps_per_s: float | None
    assumption: str

    def hours(
        self, assignments: Iterable[Assignment[Candidate]], num_images: int, batch_size: int
    ) -> float:
        """Return the hours that one device takes for trainings.

        Args:
            assignments: the trainings.
            num_images: that one epoch shows.
            batch_size: images of a step.
        """
        seconds = 0.0
        for assignment in assignments:
            macs = PASSES * count_cost(assignment.candidate).macs
            an_image = macs / self.macs_per_s
            if self.steps_per_s is not None:
                an_image = max(an_image, 1 / (batch_size * self.steps_per_s))
            seconds += an_image * num_images * assignment.epochs
        return seconds / 3600


SPEEDS = {
    "cuda": Speed(
        device="GPU",
        macs_per_s=32e12,
        steps_per_s=200.0,
        assumption="a data-centre GPU makes 32e12 multiply-adds a second, as an A100 does that "
        "trains ResNet-50 on 2,600 images/s, and at most 200 steps a second, several trainings "
        "together (an H100 made 220, of 15 trainings at a time)",
    ),
    "cpu": Speed(
        device="CPU-core",
        macs_per_s=13e9,
        steps_per_s=None,
        assumption="a core makes 13e9 multiply-adds a second, as one of an AMD EPYC did in a "
        "training of the scale gpu",
    ),
}


def list_speeds(accelerator: str) -> list[Speed]:
    """Return the devices that an option ``--accelerator`` allows; none is known for ``mps``."""
    if accelerator == "auto":
        return list(SPEEDS.values())
    return [SPEEDS[accelerator]] if accelerator in SPEEDS else []
