"""Work for child processes as small values: training, finding weights, probing hardware.

Calling a value imports PyTorch; the coordinator only creates the values and never imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.device import Device, Hardware
from se_search.ground import Ground
from se_search.recipe import Recipe
from se_search.record import Assignment, EpochRow, Evaluation
from se_search.space.designs import Designs
from se_search.training.checkpointing import Checkpointing, Until, never
from se_search.training.datasets import PreparedData

RESUMED = ("states", "curves")  # kinds of outputs that a training goes on from
PRELOAD = ("se_search.training.evaluate",)  # imported once, before children are forked


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """Trains assignments on one data set by one recipe.

    Attributes:
        data: the data set.
        recipe: how to train.
        weights: file with weights of the backbone to start from; None: all are drawn.
        freeze_backbone: train only the parameters that are not in that file.
        with_test: evaluate the test images after each validation. A search never does.
        checkpointing: keeps the states of long trainings; None: none is kept.
        tensorboard: folder that takes what TensorBoard shows of a training; None: nothing does.
        tell: handed a row after each epoch of a training; None: nobody is told.
    """

    data: PreparedData
    recipe: Recipe
    weights: Path | None = None
    freeze_backbone: bool = False
    with_test: bool = False
    checkpointing: Checkpointing | None = None
    tensorboard: Path | None = None
    tell: Callable[[EpochRow], None] | None = None

    @property
    def num_trainings(self) -> float:
        """How many full trainings' time an assignment may take."""
        return 1.0

    def telling(self, tell: Callable[[EpochRow], None]) -> TrainingTask:
        """Return the task as it calls ``tell`` after each epoch."""
        return replace(self, tell=tell)

    def for_trial(self, number: int) -> TrainingTask:
        """Return the task of one trial, whose logs have a folder of their own."""
        if self.tensorboard is None:
            return self
        return replace(self, tensorboard=self.tensorboard / f"trial-{number:04d}")

    def outputs(self, assignment: Assignment[Candidate]) -> dict[str, Path]:
        """Return the folders that take what a training leaves, by kind.

        A training that goes on needs what is there of the kinds in ``RESUMED``.
        """
        folders = {}
        if self.checkpointing is not None:
            files = self.checkpointing.files(assignment, self.recipe, self.with_test)
            folders["states"] = files.folder
        if self.tensorboard is not None:
            folders["curves"] = self.tensorboard
        if assignment.weights_file is not None:
            folders["weights"] = assignment.weights_file.parent
        return folders

    def moved(
        self, assignment: Assignment[Candidate], folder: Path
    ) -> tuple[TrainingTask, Assignment[Candidate]]:
        """Return task and assignment as they leave everything in folders of another one."""
        checkpointing = self.checkpointing
        if checkpointing is not None:
            checkpointing = replace(checkpointing, folder=folder / "states")
        curves = None if self.tensorboard is None else folder / "curves" / self.tensorboard.name
        if assignment.weights_file is not None:
            file = folder / "weights" / assignment.weights_file.name
            assignment = replace(assignment, weights_file=file)
        return replace(self, checkpointing=checkpointing, tensorboard=curves), assignment

    def __call__(
        self, assignment: Assignment[Candidate], device: Device, until: Until = never
    ) -> Evaluation:
        """Train and validate a candidate; see ``evaluate``."""
        from se_search.training.evaluate import evaluate

        return evaluate(
            assignment,
            self.data,
            self.recipe,
            device,
            self.weights,
            self.freeze_backbone,
            self.with_test,
            self.checkpointing,
            self.tensorboard,
            self.tell,
            until,
        )

    def forget(self, assignment: Assignment[Candidate]) -> None:
        """Remove the states of a training that nobody will go on with."""
        if self.checkpointing is not None:
            self.checkpointing.files(assignment, self.recipe, self.with_test).remove()


@dataclass(frozen=True, slots=True)
class FindWeights:
    """Finds the file of weights that a user asks for.

    Attributes:
        text: path of a file, or ``DEFAULT`` for torchvision's weights.
        backbone: name of the backbone.
    """

    text: str
    backbone: str

    def __call__(self) -> Path:
        """Return the path of the file; see ``find_weights``."""
        from se_search.models.weights import find_weights

        return find_weights(self.text, self.backbone)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Builds and runs the kinds of networks that trainings are going to have.

    Attributes:
        backbone: the network without SE.
        designs: the SE blocks that each site may get.
    """

    backbone: Backbone
    designs: Designs

    def __call__(self) -> int:
        """Return the number of networks that were built; see ``rehearse``."""
        from se_search.models.rehearsal import rehearse

        return rehearse(self.backbone, self.designs)


@dataclass(frozen=True, slots=True)
class FindGrounds:
    """Finds out what trainings on some devices would run on.

    Attributes:
        devices: of this machine.
    """

    devices: tuple[Device, ...]

    def __call__(self) -> tuple[Ground, ...]:
        """Return what the devices are, each kind once; see ``describe_ground``."""
        from se_search.training.hardware import describe_ground

        kinds = [describe_ground(device) for device in dict.fromkeys(self.devices)]
        return tuple(dict.fromkeys(kinds))


@dataclass(frozen=True, slots=True)
class TouchDevices:
    """Uses some devices for a moment, so that what can't be used is known before a training.

    Attributes:
        devices: of this machine.
    """

    devices: tuple[Device, ...]

    def __call__(self) -> int:
        """Compute on each device; return their number.

        Raises:
            RuntimeError: one can't be used.
        """
        import torch

        places = {(device.accelerator, device.index) for device in self.devices}
        for accelerator, index in places:
            one = torch.ones(1, device=torch.device(accelerator, index))
            assert float(one + one) == 2
        return len(places)


def probe_hardware() -> Hardware:
    """Return the hardware on which trainings can run; see ``describe_hardware``."""
    from se_search.training.hardware import describe_hardware

    return describe_hardware()
