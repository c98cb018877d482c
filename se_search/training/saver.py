"""Saves the state of a training while it runs, and lets a later one go on from it to the bit.

A state is Lightning's own checkpoint (network, optimiser, schedule, scaler, progress of the loops)
with what else decides the next numbers: the history so far, the place in the order of the images,
and the global random generators.
"""

from __future__ import annotations

import io
import random
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from torch import Tensor

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import BrokenOffError, UnwritableError
from se_search.recipe import Recipe
from se_search.record import Assignment
from se_search.store.checkpoint_files import CheckpointFiles
from se_search.training.checkpointing import Checkpointing, Position, Until, never
from se_search.training.hardware import describe_ground
from se_search.training.rank import ALONE, Rank


def identify(
    assignment: Assignment[Candidate],
    recipe: Recipe,
    device: Device,
    with_test: bool,
) -> dict[str, Any]:
    """Describe all that a state must share with the training that goes on from it.

    The ground is in it, because only equal ones give equal numbers.
    """
    return {
        "candidate": str(assignment.candidate),
        "seed": assignment.seed,
        "epochs": assignment.epochs,
        "recipe": recipe.hash,
        "validate_every": recipe.validate_every,
        "with_test": with_test,
        "ground": asdict(describe_ground(device)),
    }


class Saver(pl.Callback):  # type: ignore[misc]  # Lightning is skipped by mypy
    """Saves a training every so often, and restores the random generators of one that goes on.

    A training that is asked to end is saved at the next step, and ended, if it would take longer
    than it has time. Nothing is saved after the last step of an epoch, whose evaluation is still to
    come: Lightning would go on behind it. A state that can't be written is said in the worker log,
    and the training goes on without it.

    Args:
        files: take the states.
        identity: of the training; see ``identify``.
        checkpointing: says how often; its folder is that of all trainings.
        until: says until when the training shall have ended, by the clock.
        clock: tells the seconds; another one is for tests.
        rank: of this process among those that train together; rank 0 decides and writes.

    Attributes:
        io: what Lightning writes states by and reads them with.
        has_state: whether ``find`` has found a state to go on from.
        earlier_seconds: that went into the training before it went on here.
    """

    def __init__(
        self,
        files: CheckpointFiles,
        identity: Mapping[str, Any],
        checkpointing: Checkpointing,
        until: Until = never,
        clock: Callable[[], float] = time.monotonic,
        rank: Rank = ALONE,
    ) -> None:
        self._rank = rank
        self.io = _VerifiedIO(files)
        self.has_state = False
        self.earlier_seconds = 0.0
        self._files = files
        self._identity = dict(identity)
        self._checkpointing = checkpointing
        self._until = until
        self._clock = clock
        self._started = self._due = clock()
        self._num_passed = 0  # batches of this process, those that validate too
        self._position = Position()
        self._generators: dict[str, Any] | None = None
        self._can_write = True

    def find(self) -> Position | None:
        """Return where the newest whole state of this training stands; None: there is none.

        States that are damaged, or of a training elsewhere, are removed: new ones would be older.
        """
        position = self._rank.follow(self._find() if self._rank.is_first else None)
        self.has_state = position is not None
        return position

    def _find(self) -> Position | None:
        state = _read_newest(self._files) or {}
        callbacks = state.get("callbacks")
        own = callbacks.get(self.state_key) if isinstance(callbacks, dict) else None
        if not isinstance(own, dict) or own.get("identity") != self._identity:
            self._files.remove()
            return None
        return Position(**own["position"])

    def remove(self) -> None:
        """Remove the states of a training that has ended."""
        if self._rank.is_first:
            self._files.remove()

    @property
    def path(self) -> Path:
        """What stands for the newest state towards Lightning, which wants a path."""
        return self._files.folder

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the generators, after all that is drawn while a training is set up."""
        if self._generators is not None:
            _restore_generators(self._generators)
        self._started = self._clock()
        self._due = self._started + self._checkpointing.seconds

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save the training if it is time to.

        Raises:
            BrokenOffError: it was asked to end, would take longer, and has been saved.
        """
        self._num_passed += 1
        if batch_idx + 1 >= trainer.num_training_batches:
            return
        began = self._clock()
        self._position = Position(trainer.current_epoch, batch_idx + 1)
        until = self._until()
        takes_too_long = until is not None and began + self._seconds_left(trainer) > until
        # What could not be written a moment ago is not tried again at each step.
        is_time = began >= self._due or (takes_too_long and self._can_write)
        is_time, takes_too_long = self._rank.follow_flags(is_time, takes_too_long)
        if not is_time:
            return
        self._save(trainer)
        if takes_too_long and self._can_write:
            raise BrokenOffError(self._describe(trainer))
        ended = self._clock()
        pause = (ended - began) / self._checkpointing.max_share
        self._due = ended + max(self._checkpointing.seconds, pause)

    def on_validation_batch_end(self, *_: Any) -> None:
        """Count a batch that validates, and let the coordinator know that the training goes on."""
        self._num_passed += 1
        self._until()

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._files.folder / str(trainer.global_step))
        (self._can_write,) = self._rank.follow_flags(self.io.error is None)
        if self.io.error is not None:
            print(f"The training goes on unsaved: {self.io.error}", file=sys.stderr, flush=True)

    def _seconds_left(self, trainer: pl.Trainer) -> float:
        """Estimate how long the training takes, if its batches go on as quickly as so far.

        A batch that validates counts as one that trains, which takes longer.
        """
        every: int = trainer.check_val_every_n_epoch
        num_validations = -(-trainer.max_epochs // every) - self._position.epoch // every
        num_left = (
            (trainer.max_epochs - self._position.epoch) * trainer.num_training_batches
            - self._position.batch
            + num_validations * _count_validating(trainer)
        )
        seconds = self._clock() - self._started
        return float(num_left * seconds / self._num_passed)

    def _describe(self, trainer: pl.Trainer) -> str:
        share = self._position.batch / trainer.num_training_batches
        return (
            f"saved after {self._position.epoch + share:.1f} of {trainer.max_epochs} epochs; the "
            "same command goes on from there"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what Lightning's own checkpoint does not have."""
        return {
            "identity": self._identity,
            "position": asdict(self._position),
            "seconds": self.earlier_seconds + self._clock() - self._started,
            "generators": self._rank.gather(_read_generators()),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what ``state_dict`` returned."""
        self.earlier_seconds = state_dict["seconds"]
        self._generators = state_dict["generators"][self._rank.index]


def _count_validating(trainer: pl.Trainer) -> int:
    """Return the number of batches of a validation."""
    loaders = trainer.datamodule.val_dataloader()
    return sum(map(len, loaders)) if isinstance(loaders, list) else len(loaders)


class _VerifiedIO(CheckpointIO):
    """Writes states with a checksum, and reads the newest whole one without running its code.

    Attributes:
        error: why the last state could not be written; None: it could.
    """

    def __init__(self, files: CheckpointFiles) -> None:
        self._files = files
        self.error: UnwritableError | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        self.error = None
        try:
            self._files.write(checkpoint["global_step"], buffer.getvalue())
        except UnwritableError as error:  # not raised: other ranks wait for this one
            self.error = error

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        state = _read_newest(self._files)
        assert state is not None, "a training goes on only from a state that has been found"
        return state

    def remove_checkpoint(self, path: Any) -> None:
        self._files.remove()


def _read_newest(files: CheckpointFiles) -> dict[str, Any] | None:
    """Return the newest state that is whole and holds nothing but plain data and tensors."""
    for data in files.read():
        # Whatever it is that somebody has put there, PyTorch has errors of many classes for it.
        with suppress(Exception):
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            if isinstance(state, dict):
                return state
    return None


def _read_generators() -> dict[str, Any]:
    """Return the states of the global generators as plain data and tensors."""
    version, numbers, gauss = random.getstate()
    name, keys, place, has_gauss, cached = np.random.get_state(legacy=True)
    states: dict[str, Any] = {
        "python": [version, list(numbers), gauss],
        "numpy": [
            name,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            place,
            has_gauss,
            cached,
        ],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def _restore_generators(states: Mapping[str, Any]) -> None:
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, place, has_gauss, cached = states["numpy"]
    np.random.set_state((name, _to_uint32(keys), place, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if "cuda" in states:
        torch.cuda.set_rng_state_all(states["cuda"])


def _to_uint32(keys: Tensor) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return keys.numpy().astype(np.uint32)
