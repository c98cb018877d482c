"""Reads the gates of a trained network, and what it gets right with gates that are constants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from se_search.analysis.gate_rows import group_sites
from se_search.analysis.gates import Bits, Floats, GateReading, GateTally, Sites
from se_search.device import Device
from se_search.errors import BackboneError
from se_search.models.gates import changing_gates

Batches = Iterable[tuple[Tensor, Tensor]]


def read_gates(
    model: nn.Module,
    train: Batches,
    validation: Batches,
    num_classes: int,
    replaced: Sequence[Sites] | None = None,
    device: Device | None = None,
) -> GateReading:
    """Read the gates of a candidate's trained network; afterwards the network is as it was.

    Constants are measured on images that train, and judged on those that validate, which are gone
    through once. A network in evaluation mode has no randomness, so that equal arguments give equal
    numbers. It runs in float32, whatever precision it was trained in.

    Args:
        model: the network, as ``build`` makes it.
        train: batches of images ``(b, c, h, w)`` and labels ``(b,)``.
        validation: likewise.
        num_classes: of the data set.
        replaced: the sets of sites whose gates are replaced together; None: each block, each stage
            and all, as ``tabulate`` takes them.
        device: where the network runs; None: where it is.

    Raises:
        BackboneError: the network has no SE block, or one whose gates can't be seen.
    """
    with _evaluating(model, device) as run:
        first = _tally(model, run, train, num_classes)
        if not first:
            raise BackboneError("the network has no SE block, so that it has no gates to look at")
        constants = {site: tally.channel_means for site, tally in first.items()}
        if replaced is None:
            replaced = list(dict.fromkeys(group_sites(tuple(constants)).values()))
        correct: list[Bits] = []
        without: dict[Sites, list[Bits]] = {chosen: [] for chosen in replaced}
        tallies: dict[str, GateTally] = {}
        like = next(model.parameters())
        means = {
            site: torch.from_numpy(mean).to(like)[None, :, None, None]
            for site, mean in constants.items()
        }
        for images, labels in validation:
            see = partial(_see, tallies, num_classes, labels, constants)
            with changing_gates(model, see):
                correct.append(run(images, labels))
            for chosen, bits in without.items():
                fixed = {site: means[site] for site in chosen}
                with changing_gates(model, fixed.get):
                    bits.append(run(images, labels))
    return GateReading(
        blocks={site: tally.finish() for site, tally in tallies.items()},
        constants=constants,
        correct=np.concatenate(correct),
        without={chosen: np.concatenate(bits) for chosen, bits in without.items()},
    )


class _Run:
    """Classifies batches with a network, without gradients."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._place = next(model.parameters()).device

    @torch.inference_mode()
    def __call__(self, images: Tensor, labels: Tensor) -> Bits:
        """Return which images of a batch are right: ``(b,)``."""
        logits: Tensor = self._model(images.to(self._place))
        bits: Bits = (logits.argmax(dim=1).cpu() == labels.cpu()).numpy()
        return bits


@contextmanager
def _evaluating(model: nn.Module, device: Device | None) -> Iterator[_Run]:
    """Put a network onto a device and into evaluation mode, and back."""
    modes = {module: module.training for module in model.modules()}
    before = next(model.parameters()).device
    try:
        if device is not None:
            is_cuda = device.accelerator == "cuda"
            model.to(f"cuda:{device.index}" if is_cuda else device.accelerator)
        model.eval()
        yield _Run(model)
    finally:
        model.to(before)
        for module, mode in modes.items():
            module.training = mode


def _tally(model: nn.Module, run: _Run, batches: Batches, num_classes: int) -> dict[str, GateTally]:
    tallies: dict[str, GateTally] = {}
    for images, labels in batches:
        with changing_gates(model, partial(_see, tallies, num_classes, labels, None)):
            run(images, labels)
    return tallies


def _see(
    tallies: dict[str, GateTally],
    num_classes: int,
    labels: Tensor,
    constants: Mapping[str, Floats] | None,
    site: str,
    gates: Tensor,
) -> Tensor:
    """Add the gates of a batch to the tally of their site, and return them as they are."""
    if len(gates) != len(labels):
        raise BackboneError(
            f"the gates at {site} come for {len(gates)} inputs, and the batch has {len(labels)} "
            "images: the network takes its images apart, so that gates can't be told by class"
        )
    known = None if constants is None else constants[site]
    tally = tallies.setdefault(site, GateTally(num_classes, known))
    values = gates.detach().flatten(2).cpu().double()  # (b, c, pixels); a GPU may have no float64
    variances = None if values.shape[2] == 1 else values.var(dim=2, correction=0).numpy()
    tally.add(values.mean(dim=2).numpy(), labels.cpu().numpy(), variances)
    return gates
