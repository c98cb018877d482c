"""Values that pass between the layers: assignments, evaluations, failures and trial records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

from se_search.ground import Ground

TrialState = Literal["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"]
ENDED_WELL: tuple[TrialState, ...] = ("COMPLETE", "PRUNED")  # PRUNED: fewer epochs than a full one
Role = Literal["control", "probe", "start", "proposal", "promotion"]


@dataclass(frozen=True, slots=True, order=True)
class Rung:
    """A level of evaluation, which a candidate passes with enough trainings of enough epochs.

    Attributes:
        epochs: epochs of each training.
        replicates: number of trainings, each in another replicate.
    """

    epochs: int
    replicates: int

    @classmethod
    def parse(cls, text: str) -> Rung:
        """Read a rung from ``EPOCHSxREPLICATES``: ``4x3`` is 4 epochs in each of 3 replicates.

        Raises:
            ValueError: the text has another form.
        """
        match = re.fullmatch(r"\s*([1-9]\d*)x([1-9]\d*)\s*", text)
        if match is None:
            raise ValueError(f"{text!r} is not EPOCHSxREPLICATES")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.epochs}x{self.replicates}"


class Configuration(Protocol):
    """A member of a search space: a candidate, or a row of a table of finished trainings.

    Its text, ``str(configuration)``, is stored with a trial, and the space's ``parse`` reads it.
    """

    @property
    def key(self) -> str:
        """A short name that is unique in the space and does not depend on the machine."""

    @property
    def placement(self) -> str:
        """A short text for tables and figures, without the parts that all of the space share."""

    def __str__(self) -> str: ...


CandidateT = TypeVar("CandidateT", bound=Configuration)
CandidateT_co = TypeVar("CandidateT_co", bound=Configuration, covariant=True)


@dataclass(frozen=True, slots=True)
class Assignment(Generic[CandidateT_co]):
    """What one trial trains.

    Attributes:
        candidate: the network.
        seed: of the replicate: of the initial weights, the order of the images, their augmentation
            and, unless the recipe fixes it, of which images train and which validate.
        epochs: length of the training.
        weights_file: takes the weights after the last epoch; None: they are not kept.
    """

    candidate: CandidateT_co
    seed: int
    epochs: int
    weights_file: Path | None = None


@dataclass(frozen=True, slots=True)
class RanOn:
    """What a training ran on, as its own process saw it; None: there is no such thing there.

    Attributes:
        device: model of the GPU or CPU.
        driver: version of the GPU's driver.
        cuda: version of CUDA that PyTorch was built for.
        cudnn: version of cuDNN.
        precision: in Lightning's words, as ``32-true``.
        torch: version of PyTorch.
        peak_memory: bytes: on a GPU the most that tensors took there, on a CPU the most that the
            process took.
        threads: CPU threads; None on a GPU, where they change no number.
        packages: other packages that change numbers, as ``numpy 2.4.1, pillow 13.0.0``.
        micro_batch: images that were trained at a time: a whole batch, or the recipe's
            ``micro_batch``.
        unrepeatable: operators of CUDA that ran without a repeatable version, as
            ``cumsum_cuda_kernel``, with commas between them.
    """

    device: str
    driver: str | None
    cuda: str | None
    cudnn: str | None
    precision: str
    torch: str
    peak_memory: int | None
    threads: int | None = None
    packages: str | None = None
    micro_batch: int | None = None
    unrepeatable: str | None = None

    @property
    def ground(self) -> Ground:
        """The part that can change numbers."""
        return Ground(
            self.device,
            self.precision,
            self.threads,
            self.torch,
            self.cuda,
            self.cudnn,
            self.packages,
        )


@dataclass(frozen=True, slots=True)
class Effort:
    """What the attempts at a training took, the failed ones and those broken off too.

    Attributes:
        attempts: how often the training was begun.
        wall_seconds: wall time of all attempts, added up, with the start of their processes.
        device_seconds: time of devices: a training that shares a GPU with three others takes a
            quarter of its seconds; on a CPU its cores are its device.
    """

    attempts: int = 0
    wall_seconds: float = 0.0
    device_seconds: float = 0.0

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            self.attempts + other.attempts,
            self.wall_seconds + other.wall_seconds,
            self.device_seconds + other.device_seconds,
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of a training.

    Attributes:
        accuracy: share of the validation images classified correctly after the last epoch, 0..1.
        loss: mean cross-entropy over the validation images, without label smoothing.
        history: a row for each validation: epoch, train_loss, accuracy, loss; with more than five
            classes top5; if the test images were read, test_accuracy and test_loss.
        correct: one bit for each validation image (``numpy.packbits``), 1 if it is classified
            correctly after the last epoch. Only two trainings of one split have bits of the same
            images.
        seconds: wall time of the training and its validations.
        test_correct: one bit for each test image, like ``correct``; None: they were not read.
        split_seed: seed of the permutation that drew the images which train and which validate;
            None: no images were split.
        split_hash: twelve hexadecimal digits of these images, equal for equal splits; None: no
            images were split.
        ran_on: hardware and versions; None: nothing was trained, as for a table.
        effort: what all attempts took; None: nothing was trained.
        unkept: why its weights could not be written; None: they were, or were not asked for.
    """

    accuracy: float
    loss: float
    history: tuple[Mapping[str, float], ...]
    correct: bytes
    seconds: float
    test_correct: bytes | None = None
    split_seed: int | None = None
    split_hash: str | None = None
    ran_on: RanOn | None = None
    effort: Effort | None = None
    unkept: str | None = None


@dataclass(frozen=True, slots=True)
class EpochRow:
    """How far a training that still runs has come; told after each epoch.

    Attributes:
        epoch: how many epochs have ended.
        epochs: of the whole training.
        train_loss: mean over the epoch's batches.
        loss: mean cross-entropy over the validation images; None: they are not evaluated after
            this epoch.
        accuracy: share of the validation images classified correctly, 0..1; None likewise.
        seconds: wall time of the training so far.
    """

    epoch: int
    epochs: int
    train_loss: float
    loss: float | None
    accuracy: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial as the store has it; fields of results that are not known yet are None.

    Attributes:
        number: position in the run, from 0.
        state: COMPLETE: a full training ended; PRUNED: a training of fewer epochs ended; FAIL:
            it failed; RUNNING and WAITING: it has not ended.
        candidate: text form of the candidate.
        key: short name of the candidate, unique in the space.
        placement: short text of the candidate for tables and figures.
        seed: the replicate's name: seed of the initial weights, the order of the images, their
            augmentation and, unless the recipe fixes it, of the split.
        epochs: epochs of the training.
        accuracy: share of the validation images classified correctly after the last epoch, 0..1.
        loss: mean cross-entropy over the validation images.
        params: number of parameters, SE blocks included.
        added_params: parameters of the SE blocks.
        added_params_pct: parameters of the SE blocks in per cent of the plain backbone's.
        macs: multiply-adds for one image, SE blocks included.
        added_macs: multiply-adds of the SE blocks.
        latency: nanoseconds of a batch: the plain network's, and a sum of what its SE blocks add;
            None: the run has measured none.
        added_latency: nanoseconds of the SE blocks.
        seconds: wall time of the training and its validations.
        reason: why the trial failed.
        role: why the trial was made. control: it is the plain network's in its replicate; probe:
            it tests cheap scores, in a replicate apart from the search's; start: the sampler's
            start design has it; proposal: the sampler chose it by what it had seen; promotion: the
            candidate climbed to the training's rung.
        split_seed: seed of the permutation that drew the images which train and which validate.
        split_hash: twelve hexadecimal digits of these images, equal for equal splits.
        attempts: how often the training was begun; see ``Effort``.
        wall_seconds: wall time of all attempts, added up.
        device_seconds: time of devices of all attempts.
        device: model of the GPU or CPU of the attempt that ended well; see ``RanOn``.
        driver: version of the GPU's driver.
        cuda: version of CUDA.
        cudnn: version of cuDNN.
        precision: in Lightning's words.
        torch: version of PyTorch.
        peak_memory: bytes, of the GPU or of the process.
        threads: CPU threads; None on a GPU.
        packages: versions of other packages that change numbers.
        micro_batch: images that were trained at a time.
        unrepeatable: operators of CUDA that ran without a repeatable version.
    """

    number: int
    state: TrialState
    candidate: str
    key: str
    placement: str
    seed: int
    epochs: int
    accuracy: float | None
    loss: float | None
    params: int
    added_params: int
    added_params_pct: float
    macs: int
    added_macs: int
    seconds: float | None
    reason: str | None
    role: Role = "proposal"
    split_seed: int | None = None
    split_hash: str | None = None
    attempts: int | None = None
    wall_seconds: float | None = None
    device_seconds: float | None = None
    device: str | None = None
    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    precision: str | None = None
    torch: str | None = None
    peak_memory: int | None = None
    threads: int | None = None
    packages: str | None = None
    micro_batch: int | None = None
    unrepeatable: str | None = None
    latency: int | None = None
    added_latency: int | None = None

    @property
    def ran_on(self) -> RanOn | None:
        """What the training ran on; None: it is not recorded."""
        if self.device is None or self.precision is None or self.torch is None:
            return None
        return RanOn(**{field.name: getattr(self, field.name) for field in fields(RanOn)})

    @property
    def ground(self) -> Ground | None:
        """The part of what the training ran on that can change numbers; None: not recorded."""
        ran_on = self.ran_on
        return None if ran_on is None else ran_on.ground


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search has come.

    Attributes:
        total: what the run is to have: trials, or with supernets trainings' worth.
        completed: trainings that ended well, of any length.
        failed: trainings that failed.
        running: trainings that run now.
        best_accuracy: highest mean accuracy of a candidate over its full trainings, 0..1; None: no
            full training has ended.
        front_size: candidates on the Pareto front of these means.
        shorter: completed trainings that were shorter than a full one.
        changed: the trial that began or ended just now; None: none has yet.
        num_supernets: supernets that have ended; None: the run is searched without.
        supernets_worth: what these cost, in full trainings.
    """

    total: int
    completed: int
    failed: int
    running: int
    best_accuracy: float | None
    front_size: int
    shorter: int = 0
    changed: TrialRecord | None = None
    num_supernets: int | None = None
    supernets_worth: float = 0.0

    @property
    def num_ended(self) -> int:
        """How many trials have ended, well or not."""
        return self.completed + self.failed

    @property
    def spent(self) -> float:
        """What of the total has been spent, on trials and supernets."""
        return self.num_ended + self.supernets_worth


class Fault(StrEnum):
    """Whose fault a failed training is; see ``execution.faults``.

    CANDIDATE: its own, as a loss that is not finite; such a failure alone judges the candidate.
    RESOURCE: memory did not suffice. INFRASTRUCTURE: of the machine, as a process that was killed,
    a device that is gone, or files that can't be read. CRASH: in native code each time; whether of
    the candidate or of the machine shows by how others end. STOPPED: nobody's, for it was asked to
    end.
    """

    CANDIDATE = "candidate"
    RESOURCE = "resource"
    INFRASTRUCTURE = "infrastructure"
    CRASH = "crash"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Failure:
    """Returned in place of an evaluation if a training failed.

    Attributes:
        reason: why, in one line.
        fault: whose fault it is.
        effort: what all attempts took; None: nothing was trained.
        remedy: what may mend a lack of memory; None: not known.
    """

    reason: str
    fault: Fault = Fault.CANDIDATE
    effort: Effort | None = None
    remedy: str | None = None


class Stop(IntEnum):
    """How soon a search is to end.

    NO: not. AFTER_RUNNING: when each running training has ended, or has saved its state because it
    would take long. SOON: likewise, within seconds. NOW: at once.
    """

    NO = 0
    AFTER_RUNNING = 1
    SOON = 2
    NOW = 3
