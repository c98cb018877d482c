"""The LightningModule that trains a supernet: each step several of its candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its customary name

from se_search.candidate import Candidate
from se_search.models.supernet import Supernet
from se_search.recipe import Recipe
from se_search.score import SupernetSettings
from se_search.space.level_draws import LevelDraws
from se_search.training.classifier import Classifier


class SupernetClassifier(Classifier):
    """Trains a supernet by the sandwich rule (Yu & Huang 2019, arXiv 1903.05134).

    Each step trains on one batch a candidate that is as wide as can be, the plain network and some
    drawn ones, and moves the weights once. Equal networks are trained once.

    Args:
        supernet: is trained in place.
        draws: of the candidates.
        settings: number of drawn candidates, and the weight of soft labels.
        recipe: optimiser, schedule and label smoothing.
        num_steps: of the whole training, over which the schedule runs.
        tell: handed a row after each epoch.

    Attributes:
        history: a row for each epoch: epoch, train_loss (mean over the networks), widest_loss,
            plain_loss and, if any are drawn, drawn_loss.
    """

    def __init__(
        self,
        supernet: Supernet,
        draws: LevelDraws,
        settings: SupernetSettings,
        recipe: Recipe,
        num_steps: int,
        tell: Callable[[Mapping[str, float]], None] = lambda _: None,
    ) -> None:
        super().__init__(supernet, recipe, num_steps, tell)
        self.automatic_optimization = False
        self._draws = draws
        self._settings = settings
        self._plain = Candidate.plain(supernet.backbone)
        self._role_losses: list[Tensor] = []  # a row for each step: widest, plain, drawn ones

    @property
    def _supernet(self) -> Supernet:
        assert isinstance(self.model, Supernet)
        return self.model

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Move the weights by one batch; return the mean loss of the networks that are trained."""
        images, labels = batch
        step, num_drawn = self.global_step, self._settings.num_drawn
        widest = self._draws.draw_widest(step)
        drawn = [self._draws.draw(step * num_drawn + number) for number in range(num_drawn)]
        candidates = tuple(dict.fromkeys((widest, self._plain, *drawn)))
        optimizer, num_pieces = self.optimizers(), self.recipe.num_pieces
        optimizer.zero_grad()
        gradients = _GradientMeans(self._supernet.parameters())
        losses = torch.zeros(len(candidates), device=labels.device)
        for piece in zip(
            images.tensor_split(num_pieces), labels.tensor_split(num_pieces), strict=True
        ):
            losses += self._train_piece(*piece, len(piece[1]) / len(labels), candidates, gradients)
        gradients.set(num_pieces)
        optimizer.step()
        self.lr_schedulers().step()
        # Kept as tensors: reading a number would make the CPU wait for a GPU in every step.
        self._train_losses.append(losses.mean())
        at = [candidates.index(candidate) for candidate in (widest, self._plain, *drawn)]
        self._role_losses.append(torch.stack([losses[i] for i in at]))
        return self._train_losses[-1]

    def _train_piece(
        self,
        images: Tensor,
        labels: Tensor,
        weight: float,
        candidates: Iterable[Candidate],
        gradients: _GradientMeans,
    ) -> Tensor:
        """Add the gradients of each candidate by a piece of a batch; return its weighted losses."""
        distillation = self._settings.distillation
        soft: Tensor | None = None
        losses = []
        for candidate in candidates:
            self._supernet.activate(candidate)
            logits = self._supernet(images)
            loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
            if soft is not None:
                loss = torch.lerp(loss, F.cross_entropy(logits, soft), distillation)
            elif distillation:  # the first one is the widest
                soft = logits.detach().float().softmax(dim=1)
            loss = loss * weight
            if loss.requires_grad:  # with a frozen backbone the plain network has nothing to train
                self.manual_backward(loss)
            gradients.take()
            losses.append(loss.detach())
        return torch.stack(losses)

    def on_train_epoch_end(self) -> None:
        """Add a row to the history, and tell it.

        Raises:
            DivergedError: a loss is not finite.
        """
        self._close_epoch()
        means = torch.stack(self._role_losses).mean(dim=0).tolist()
        self._role_losses.clear()
        row = {"epoch": self._epoch, "train_loss": self._train_loss}
        row |= {"widest_loss": means[0], "plain_loss": means[1]}
        if drawn := means[2:]:
            row["drawn_loss"] = sum(drawn) / len(drawn)
        self.history.append(row)
        self.tell(row)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add to a checkpoint what the next rows of the history depend on."""
        super().on_save_checkpoint(checkpoint)
        losses = torch.stack(self._role_losses) if self._role_losses else torch.empty(0)
        checkpoint["supernet"] = {"role_losses": losses}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what ``on_save_checkpoint`` added."""
        super().on_load_checkpoint(checkpoint)
        self._role_losses = list(checkpoint["supernet"]["role_losses"].to(self.device))


class _GradientMeans:
    """Means of gradients over the networks that have a parameter.

    A parameter of an SE block is in few of a step's networks. Divided by the number of all it would
    learn more slowly than in a network of its own.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = [one for one in parameters if one.requires_grad]
        self._sums: list[Tensor | None] = [None] * len(self._parameters)
        self._counts = [0] * len(self._parameters)

    def take(self) -> None:
        """Add the gradients of a network that has just been run backward, and clear them."""
        for index, parameter in enumerate(self._parameters):
            if parameter.grad is not None:
                known = self._sums[index]
                self._sums[index] = parameter.grad if known is None else known.add_(parameter.grad)
                self._counts[index] += 1
                parameter.grad = None

    def set(self, num_pieces: int) -> None:
        """Set each parameter's gradient to the mean.

        Args:
            num_pieces: in which each network's gradients were taken.
        """
        for parameter, total, count in zip(self._parameters, self._sums, self._counts, strict=True):
            if total is not None:
                parameter.grad = total.mul_(num_pieces / count)
