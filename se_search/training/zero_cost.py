"""Scores candidates without training them: snip, synflow and NASWOT at their initial weights.

All three are functions of a network as ``build`` returns it. A higher score is meant to go with a
higher accuracy after training; whether it does on a problem is what ``analysis.rung_test`` tells.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its customary name
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.utils._python_dispatch import TorchDispatchMode

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import RungError
from se_search.models.memory_layout import lay_channels_last
from se_search.models.surgery import build
from se_search.recipe import Recipe
from se_search.score import ZERO_COST, Score
from se_search.training.data import make_data
from se_search.training.datasets import PreparedData
from se_search.training.repeatable import make_cuda_repeatable

NUM_IMAGES = 64  # a batch, as in Abdelfattah et al. (2021, sec. 3.1)
SYNFLOW_DIGITS = 6  # after the point
WITH_MEANS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, _InstanceNorm)  # of the image at hand
ATEN = torch.ops.aten
RELUS = {
    *(ATEN.relu, ATEN.relu_, ATEN.leaky_relu, ATEN.leaky_relu_, ATEN._prelu_kernel),
    *(ATEN.hardtanh, ATEN.hardtanh_),  # of ReLU6
}


def score_untrained(
    candidates: Iterable[Candidate],
    rungs: Sequence[str],
    data: PreparedData,
    recipe: Recipe,
    seed: int,
    device: Device,
    weights: Path | None = None,
    num_images: int = NUM_IMAGES,
) -> Iterator[Score]:
    """Yield the scores of candidates by each rung that trains nothing.

    All candidates are built with one seed and see the same images, so that their scores can be
    compared; scores of several seeds differ in level.

    Args:
        candidates: of one backbone, in any order.
        rungs: some of ``snip``, ``synflow`` and ``naswot``.
        data: the data set.
        recipe: gives the split.
        seed: of the initial weights, and of which images train; the scores' ``member``.
        device: where snip and NASWOT are computed, in float32; synflow is computed on the CPU.
        weights: file with weights of the backbone; None: all are drawn.
        num_images: of the batch; they train, are not augmented, and have the classes in
            proportion.

    Raises:
        RungError: a rung is unknown, can't score such a network, or gives no finite number.
    """
    for rung in rungs:
        if rung not in MEASURES:
            raise RungError(f"unknown rung {rung!r}; allowed: {', '.join(ZERO_COST)}")
    wanted = list(dict.fromkeys(candidates))
    if not wanted:
        return
    torch.set_num_threads(device.threads)
    if device.accelerator == "cuda":
        make_cuda_repeatable("32-true")
    place = torch.device(device.name)
    backbone = wanted[0].backbone
    module = make_data(data, recipe, seed, backbone.in_channels, device.num_loaders)
    module.setup("validate")
    images, labels = _join(module.plain_dataloader("train", num_images))
    images, labels = images.to(place), labels.to(place)
    if "naswot" in rungs:
        # The ReLUs of SE blocks alone would score nothing but how many of them there are.
        measure_naswot(build(Candidate.plain(backbone), seed, weights).to(place), images, labels)
    for candidate in wanted:
        for rung in rungs:
            started = time.monotonic()
            model = build(candidate, seed, weights)
            lay_channels_last(model)
            value = MEASURES[rung](model.to(place), images, labels)
            if not math.isfinite(value):
                raise RungError(f"{rung} of {candidate} with seed {seed} is {value}, not finite")
            seconds = time.monotonic() - started
            text = str(candidate)
            yield Score(rung, seed, text, candidate.key, None, None, value, seconds)


def measure_snip(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the logarithm of the sum of ``|w * dL/dw|`` over all weights.

    It is the connection sensitivity of Lee et al. (2019, eq. 4-5) without its normalisation, summed
    over the network as Abdelfattah et al. (2021, sec. 3.2) do; L is the mean cross-entropy. Biases
    and parameters of norms do not count. Batch norms use the batch's own statistics; dropout and
    the like are off. The logarithm makes ratios differences: sums range over orders of magnitude.

    Args:
        model: the network; its batch norms' running statistics change.
        images: ``(n, channels, height, width)``.
        labels: ``(n,)``.
    """
    _use_batch_statistics(model)
    weights = _list_weights(model)
    loss = F.cross_entropy(model(images), labels)
    return _log(_sum_saliency(weights, loss))


def measure_synflow(model: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return the logarithm of the sum of ``|w * dR/dw|`` over all weights, for an input of ones.

    R is the sum of the outputs of the network with all parameters replaced by their absolute
    values (Tanaka et al. 2020, sec. 5), in float64: without batch norm it grows with each layer,
    which is why the logarithm is taken. Batch norms do nothing, as in the networks by which
    Abdelfattah et al. (2021) compute synflow (their code's ``bn=False``). The gates of SE blocks
    stay. Weights and inputs that are not negative put a sigmoid gate between 1/2 and 1, and as
    flows grow, to 1: then synflow does not see SE. It is rounded to six digits after the point, as
    gates that differ from 1 by rounding errors would order candidates.

    Args:
        model: the network; it is spoilt.
        images: give the shape of the input, and nothing else.
        labels: of no effect.

    Raises:
        RungError: the network has a norm other than batch norm, whose means make signs that
            synflow rules out.
    """
    model.eval().cpu().double()
    for name, module in model.named_modules():
        if isinstance(module, WITH_MEANS):
            raise RungError(
                f"synflow is not defined for a network with {type(module).__name__} ({name}); "
                "allowed: batch norms, or none"
            )
        if isinstance(module, _BatchNorm):
            _neutralise(module)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    output = model(torch.ones(1, *images.shape[1:], dtype=torch.float64))
    return round(_log(_sum_saliency(_list_weights(model), output.sum())), SYNFLOW_DIGITS)


def measure_naswot(model: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    """Return ``log |det K|``, where K counts for two images the ReLU units that agree on them.

    A unit agrees on two images if it is on for both or off for both (Mellor et al. 2021, eq. 2).
    Every ReLU, ReLU6, leaky ReLU and PReLU counts, whether a module or a function runs it, those of
    SE blocks included; other activations have no such code and do not count. Batch norms use the
    batch's own statistics.

    Args:
        model: the network; its batch norms' running statistics change.
        images: ``(n, channels, height, width)``.
        labels: of no effect.

    Raises:
        RungError: the network runs no such unit, or too few to tell the images apart.
    """
    _use_batch_statistics(model)
    with torch.no_grad(), _ReluCodes(len(images)) as codes:
        model(images)
    if not codes.num_units:
        raise RungError(
            f"naswot compares which ReLU units are on, and {type(model).__name__} runs none; "
            "it counts ReLU, ReLU6, leaky ReLU and PReLU"
        )
    kernel = codes.kernel.cpu()
    if int(torch.linalg.matrix_rank(kernel, hermitian=True)) < len(images):
        raise RungError(
            f"naswot: {codes.num_units} ReLU units of {type(model).__name__} do not tell "
            f"{len(images)} images apart, so that the determinant is 0"
        )
    return float(torch.linalg.slogdet(kernel).logabsdet)


MEASURES: dict[str, Callable[[nn.Module, Tensor, Tensor], float]] = {
    "snip": measure_snip,
    "synflow": measure_synflow,
    "naswot": measure_naswot,
}


class _ReluCodes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # so in torch
    """Counts the ReLU units that agree on two images while a network is run.

    Attributes:
        num_units: seen so far, for each image.
        kernel: ``(n, n)``, float64: the units that agree on two images.
    """

    def __init__(self, num_images: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # so in torch
        self.num_units = 0
        self.kernel = torch.zeros(num_images, num_images, dtype=torch.float64)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Take the code of a ReLU's input, which a ReLU in place is about to change."""
        packet = func.overloadpacket
        is_relu6 = len(args) > 1 and args[1] == 0
        if packet in RELUS and ("hardtanh" not in str(packet) or is_relu6):
            self._take(args[0])
        return func(*args, **(kwargs or {}))

    def _take(self, x: Tensor) -> None:
        num_images = len(self.kernel)
        if not x.ndim or len(x) % num_images:
            return  # a function of weights, say: it has no image axis
        signs = (x.reshape(num_images, -1) > 0).float() * 2 - 1
        # The product is agreeing less disagreeing units: whole numbers, exact in float32.
        agreeing = (signs.shape[1] + (signs @ signs.T).double()) / 2
        self.num_units += signs.shape[1]
        self.kernel = self.kernel.to(agreeing.device) + agreeing


def _use_batch_statistics(model: nn.Module) -> None:
    model.eval()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.train()


def _neutralise(norm: _BatchNorm) -> None:
    """Let a batch norm return its input, in evaluation mode."""
    norm.eps = 0.0
    norm.running_mean = torch.zeros(norm.num_features, dtype=torch.float64)
    norm.running_var = torch.ones(norm.num_features, dtype=torch.float64)
    if norm.affine:
        nn.init.ones_(norm.weight)
        nn.init.zeros_(norm.bias)


def _list_weights(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of two and more axes: those of layers, not biases or norms."""
    return [parameter for parameter in model.parameters() if parameter.ndim > 1]


def _sum_saliency(weights: Sequence[nn.Parameter], objective: Tensor) -> float:
    gradients = torch.autograd.grad(objective, weights, allow_unused=True)
    return sum(
        float((weight.detach() * gradient).abs().sum(dtype=torch.float64))
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None
    )


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf if value == 0 else math.nan


def _join(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return images, labels
