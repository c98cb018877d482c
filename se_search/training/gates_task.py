"""Reading gates as work for a child process: a small value, which imports PyTorch when called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from se_search.analysis.gates import GateReading, Sites
from se_search.candidate import Candidate
from se_search.device import Device
from se_search.recipe import Recipe
from se_search.training.datasets import PreparedData


@dataclass(frozen=True, slots=True)
class ReadGates:
    """Reads the gates of a candidate's trained network.

    Attributes:
        candidate: the candidate.
        weights: contents of the file of its trained weights, as ``load_trained`` takes them.
        data: the data set.
        recipe: of the training; gives the split.
        replicate: in which it was trained: whose images train and validate.
        device: where the network runs.
        num_images: that train, and that validate, are gone through at most.
        replaced: the sets of sites whose gates are replaced together.
    """

    candidate: Candidate
    weights: bytes
    data: PreparedData
    recipe: Recipe
    replicate: int
    device: Device
    num_images: int
    replaced: Sequence[Sites]

    def __call__(self) -> GateReading:
        """Return what the gates do; see ``read_gates``."""
        import torch

        from se_search.models.memory_layout import lay_channels_last
        from se_search.models.trained import load_trained
        from se_search.training.data import make_data
        from se_search.training.gates import read_gates

        torch.set_num_threads(self.device.threads)
        model = load_trained(self.candidate, self.weights)
        lay_channels_last(model)
        in_channels = self.candidate.backbone.in_channels
        images = make_data(
            self.data, self.recipe, self.replicate, in_channels, self.device.num_loaders
        )
        images.setup("validate")
        return read_gates(
            model,
            images.plain_dataloader("train", self.num_images),
            images.plain_dataloader("validation", self.num_images),
            self.data.info.num_classes,
            self.replaced,
            self.device,
        )
