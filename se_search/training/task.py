"""What a search hands its children: data and a recipe, as a small value that trains when called.

PyTorch is imported when it is called, in the child; the coordinator never loads it.
"""

from __future__ import annotations

from dataclasses import dataclass

from se_search.recipe import Recipe
from se_search.record import Assignment, Device, Evaluation, Hardware
from se_search.training.datasets import PreparedData

PRELOAD = ("se_search.training.evaluate",)


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """Trains assignments on one data set by one recipe."""

    data: PreparedData
    recipe: Recipe

    def __call__(self, assignment: Assignment, device: Device) -> Evaluation:
        """Train and validate; see ``evaluate``."""
        from se_search.training.evaluate import evaluate

        return evaluate(assignment, self.data, self.recipe, device)


def probe_hardware() -> Hardware:
    """Return what trainings can run on here."""
    from se_search.training.hardware import describe_hardware

    return describe_hardware()
