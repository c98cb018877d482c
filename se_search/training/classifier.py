"""The LightningModule that trains one candidate as an image classifier."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its customary name

from se_search.errors import DivergedError
from se_search.models.freezing import frozen_norms
from se_search.recipe import Optimizer, Recipe, Schedule
from se_search.training.rank import ALONE, Rank, read_statistics, write_statistics

LOADER_PREFIXES = ("", "test_")  # of the names of each loader's numbers in the history
NUM_LIKELIEST = 5


class Classifier(pl.LightningModule):  # type: ignore[misc]  # Lightning is skipped by mypy
    """Trains a network by a recipe, and records its accuracy on the validation images.

    If each validation has a second loader, that loader has the test images. A recipe with a
    ``micro_batch`` trains each batch in pieces, after which the optimiser steps once.

    Args:
        model: maps images ``(n, c, h, w)`` to logits ``(n, classes)``.
        recipe: optimiser, schedule and label smoothing.
        num_steps: optimiser steps of the whole training, over which the schedule runs.
        tell: handed a row after each epoch: epoch and train_loss, and what the history has of a
            validation after it.
        rank: of this process among those that train together. The loss of a rank is weighted by
            its part of the batch, so that gradients that are averaged over ranks are the batch's.

    Attributes:
        history: a row for each validation: epoch, train_loss, accuracy (0..1) and loss; with more
            than five classes top5, the share of images whose class is among the five likeliest;
            with a second loader also test_accuracy, test_loss and test_top5.
        correct: which images the network classified correctly in the last validation, ``(images,)``
            bool for each loader.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        num_steps: int,
        tell: Callable[[Mapping[str, float]], None] = lambda _: None,
        rank: Rank = ALONE,
    ) -> None:
        super().__init__()
        self._rank = rank
        self._own_statistics: list[Tensor] = []
        self.tell = tell
        self.model = model
        self.recipe = recipe
        self.num_steps = num_steps
        self.automatic_optimization = recipe.num_pieces == 1
        self.history: list[dict[str, float]] = []
        self.correct: list[Tensor] = []
        self._epoch = 0
        self._train_loss = math.nan
        self._train_losses: list[Tensor] = []
        self._eval_losses: list[list[Tensor]] = [[] for _ in LOADER_PREFIXES]
        self._eval_correct: list[list[Tensor]] = [[] for _ in LOADER_PREFIXES]
        self._eval_top5: list[list[Tensor]] = [[] for _ in LOADER_PREFIXES]

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(n, c, h, w)`` to logits ``(n, classes)``."""
        logits: Tensor = self.model(images)
        return logits

    def configure_optimizers(self) -> dict[str, Any]:
        """Return the optimiser and the schedule, which is advanced after every optimiser step."""
        optimizer = make_optimizer(self.model, self.recipe.optimizer)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_factor(self.recipe.schedule, step / self.num_steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the mean cross-entropy of a batch, with the recipe's label smoothing."""
        images, labels = batch
        if self.automatic_optimization:
            loss, weight = self._find_loss(images, labels), self._weigh(labels)
            loss = loss if weight == 1 else loss * weight
        else:
            loss = self._step_in_pieces(images, labels)
        # Kept as a tensor: reading a number would make the CPU wait for a GPU in every step.
        self._train_losses.append(loss.detach())
        return loss

    def _find_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(
            self.model(images), labels, label_smoothing=self.recipe.label_smoothing
        )

    def _weigh(self, labels: Tensor) -> float:
        return self._rank.weigh(len(labels), self.recipe.batch_size)

    def _step_in_pieces(self, images: Tensor, labels: Tensor) -> Tensor:
        """Do one step of the optimiser by a batch, a piece at a time; return the mean loss.

        Pieces weigh by their numbers of images, so that their gradients add up to the batch's.
        """
        optimizer, num_pieces = self.optimizers(), self.recipe.count_pieces(len(labels))
        optimizer.zero_grad()
        parts = []
        for piece in zip(
            images.tensor_split(num_pieces), labels.tensor_split(num_pieces), strict=True
        ):
            loss = self._find_loss(*piece) * (len(piece[1]) / len(labels) * self._weigh(labels))
            self.manual_backward(loss)
            parts.append(loss.detach())
        optimizer.step()
        self.lr_schedulers().step()
        return torch.stack(parts).sum()

    def on_train_epoch_start(self) -> None:
        """Count the epoch, and keep the batch norms of a frozen backbone in evaluation mode."""
        # Lightning's own count has moved on by the time of the last validation.
        self._epoch += 1
        self._fix_frozen_norms()

    def on_train_start(self) -> None:
        """Do as at the start of an epoch, for a training that goes on in the midst of one."""
        self._fix_frozen_norms()
        if self._own_statistics:  # the state of the network is that of rank 0
            with torch.no_grad():
                write_statistics(self.model, self._own_statistics)

    def _fix_frozen_norms(self) -> None:
        for norm in frozen_norms(self.model):
            norm.eval()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add to a checkpoint what the next rows of the history depend on."""
        losses = torch.stack(self._train_losses) if self._train_losses else torch.empty(0)
        checkpoint["classifier"] = {
            "history": self.history,
            "epoch": self._epoch,
            "ranks": self._rank.gather(
                {"train_losses": losses.cpu(), "statistics": read_statistics(self.model)}
            ),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what ``on_save_checkpoint`` added."""
        own = checkpoint["classifier"]
        self.history = own["history"]
        self._epoch = own["epoch"]
        of_rank = own["ranks"][self._rank.index]
        self._train_losses = list(of_rank["train_losses"].to(self.device))
        self._own_statistics = of_rank["statistics"]

    def on_validation_start(self) -> None:
        """Average the epoch's losses; raise a DivergedError if one is not finite."""
        self._close_epoch()
        with torch.no_grad():
            self._rank.agree_on_buffers(self.model)

    def on_train_epoch_end(self) -> None:
        """Average the epoch's losses, if no validation did, and tell how far it has come.

        Raises:
            DivergedError: a loss is not finite.
        """
        self._close_epoch()
        last = self.history[-1] if self.history else {}
        validated = last if last.get("epoch") == self._epoch else {}
        self.tell({**validated, "epoch": self._epoch, "train_loss": self._train_loss})

    def _close_epoch(self) -> None:
        if not self._train_losses:
            return
        losses = self._rank.average(torch.stack(self._train_losses))
        self._train_losses.clear()
        if not bool(torch.isfinite(losses).all()):
            first = int((~torch.isfinite(losses)).nonzero()[0])
            raise DivergedError(
                f"the loss is {float(losses[first])} at epoch {self._epoch}, "
                f"step {first + 1} of {len(losses)}"
            )
        self._train_loss = float(losses.mean())

    def validation_step(
        self, batch: tuple[Tensor, Tensor], batch_index: int, dataloader_idx: int = 0
    ) -> None:
        """Record which images of a batch are classified correctly, and their losses."""
        images, labels = batch
        logits = self.model(images).float()
        self._eval_losses[dataloader_idx].append(F.cross_entropy(logits, labels, reduction="sum"))
        self._eval_correct[dataloader_idx].append(logits.argmax(dim=1) == labels)
        if logits.shape[1] > NUM_LIKELIEST:
            likeliest = logits.topk(NUM_LIKELIEST, dim=1).indices
            self._eval_top5[dataloader_idx].append((likeliest == labels[:, None]).any(dim=1))

    def on_validation_epoch_end(self) -> None:
        """Add a row to the history and set ``correct``."""
        row: dict[str, float] = {"epoch": self._epoch}
        if self._epoch:
            row["train_loss"] = self._train_loss
        kinds = (self._eval_correct, self._eval_losses, self._eval_top5)
        correct, losses, top5 = (self._gather(batches) for batches in kinds)
        self.correct = [torch.cat(batches).cpu() for batches in correct if batches]
        for part, right, sums, likely in zip(
            LOADER_PREFIXES, self.correct, losses, top5, strict=False
        ):  # not strict: there may be no second loader
            row[f"{part}accuracy"] = float(right.double().mean())
            row[f"{part}loss"] = float(torch.stack(sums).sum()) / len(right)
            if likely:
                row[f"{part}top5"] = float(torch.cat(likely).double().mean())
        self.history.append(row)
        for batches in (*self._eval_losses, *self._eval_correct, *self._eval_top5):
            batches.clear()

    def _gather(self, loaders: list[list[Tensor]]) -> list[list[Tensor]]:
        """Return what all ranks have of each loader, in the order of the images."""
        if self._rank.count == 1:
            return loaders
        here = [[batch.cpu() for batch in batches] for batches in loaders]
        parts = self._rank.gather(here)
        return [[batch for part in parts for batch in part[i]] for i in range(len(loaders))]


def make_optimizer(model: nn.Module, config: Optimizer) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over all parameters that require a gradient."""
    # fused: on a small network the usual optimiser takes a tenth of a step's time on a CPU.
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.name == "adamw":
        return torch.optim.AdamW(
            parameters,
            lr=config.lr,
            betas=(config.momentum, 0.999),
            weight_decay=config.weight_decay,
            fused=True,
        )
    optimizer = torch.optim.SGD(
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
        fused=True,
    )
    if config.momentum:
        # The fused step fails where one parameter has a buffer and another has none, as happens
        # if a unit is skipped at first (stochastic depth). A first step from 0 is the usual one.
        for parameter in parameters:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def rate_factor(schedule: Schedule, progress: float) -> float:
    """Return the learning rate over its peak after a share ``progress`` (0..1) of the training."""
    if progress < schedule.warmup:
        return progress / schedule.warmup
    if schedule.name == "step":
        passed = sum(progress >= milestone for milestone in schedule.milestones)
        return float(schedule.factor**-passed)
    rest = (progress - schedule.warmup) / (1 - schedule.warmup)
    return max(0.0, 1 - rest) if schedule.name == "linear" else (1 + math.cos(math.pi * rest)) / 2
