"""What the gates of SE blocks do: how they spread over images, channels and classes.

The gates of a trained network are looked at as Hu et al. 2019 do in sec. 7.2. Everything is added
up image by image, so that the gates of large networks need not be kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.statistics import CONFIDENCE, t_quantile

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bits = NDArray[np.bool_]
Sites = tuple[str, ...]

NEAR = 0.05  # how far a gate may be from a value that it is said to be near


@dataclass(frozen=True, slots=True, eq=False)  # eq: arrays have no single answer to it
class GateStatistics:
    """The gates of one SE block over some images, ``K`` classes and ``C`` channels.

    Attributes:
        num_images: that were looked at.
        mean: over images and channels.
        sd_channels: standard deviation over channels of their means.
        sd_images: standard deviation over images within a channel: the root of the mean over
            channels of the variance.
        sd_pixels: standard deviation over the pixels of an image within a channel, likewise; None:
            all pixels of a channel share one gate.
        class_share: share of the variance over images that lies between classes: omega squared of
            a one-way analysis of variance in each channel, pooled by the channels' variances. It
            may fall a little below 0 where classes do not matter; None: no gate varies.
        near_zero: share of gates within 0.05 of 0.
        near_one: share of gates within 0.05 of 1.
        near_constant: share of gates within 0.05 of their channel's constant; None: no constants
            were given.
        channel_means: ``(C,)``.
        channel_sds: ``(C,)``, over images.
        class_means: ``(K, C)``; NaN for a class without images.
    """

    num_images: int
    mean: float
    sd_channels: float
    sd_images: float
    sd_pixels: float | None
    class_share: float | None
    near_zero: float
    near_one: float
    near_constant: float | None
    channel_means: Floats
    channel_sds: Floats
    class_means: Floats

    @property
    def variation(self) -> float | None:
        """Spread over images, divided by the mean: 0 is a constant. None: the mean is 0."""
        return self.sd_images / abs(self.mean) if self.mean else None


@dataclass(frozen=True, slots=True, eq=False)  # eq: as above
class GateReading:
    """What the gates of one trained network do.

    Attributes:
        blocks: the gates of each SE block on the images that validate, by site in the order in
            which they are run.
        constants: mean gates of each SE block on images that train, ``(C,)`` by site.
        correct: which of the images that validate the network gets right.
        without: which of them it gets right if the gates of some sites are these constants.
    """

    blocks: Mapping[str, GateStatistics]
    constants: Mapping[str, Floats]
    correct: Bits
    without: Mapping[Sites, Bits]


class GateTally:
    """Adds up the gates of one SE block, batch by batch.

    Gates are taken less those of the first image, so that gates which hardly vary lose no digits.

    Args:
        num_classes: of the data set.
        constants: ``(C,)``, what ``near_constant`` is measured from; None: nothing.
    """

    def __init__(self, num_classes: int, constants: Floats | None = None) -> None:
        self._num_classes = num_classes
        self._constants = constants
        self._first: Floats | None = None
        self._near = np.zeros(3, dtype=np.int64)  # of 0, of 1, of the constants
        self._pixel_variance: float | None = None

    def add(self, gates: Floats, labels: Integers, pixel_variances: Floats | None = None) -> None:
        """Add the gates of a batch.

        Args:
            gates: ``(b, C)``; of gates that differ from pixel to pixel, their means.
            labels: ``(b,)``, classes from 0.
            pixel_variances: ``(b, C)``, over the pixels; None: all pixels share one gate.
        """
        if self._first is None:
            self._first = gates[0].copy()
            shape = (self._num_classes, gates.shape[1])
            self._counts = np.zeros(self._num_classes, dtype=np.int64)
            self._sums, self._squares = np.zeros(shape), np.zeros(shape)
        shifted = gates - self._first
        order = np.argsort(labels, kind="stable")
        classes, starts = np.unique(labels[order], return_index=True)
        self._counts += np.bincount(labels, minlength=self._num_classes)
        self._sums[classes] += np.add.reduceat(shifted[order], starts)
        self._squares[classes] += np.add.reduceat(shifted[order] ** 2, starts)
        distances = [gates, gates - 1.0]
        if self._constants is not None:
            distances.append(gates - self._constants)
        for place, distance in enumerate(distances):
            self._near[place] += int((np.abs(distance) <= NEAR).sum())
        if pixel_variances is not None:
            self._pixel_variance = (self._pixel_variance or 0.0) + float(pixel_variances.sum())

    @property
    def channel_means(self) -> Floats:
        """The mean gate of each channel so far: ``(C,)``."""
        assert self._first is not None, "no gates have been added"
        means: Floats = self._first + self._sums.sum(axis=0) / self._counts.sum()
        return means

    def finish(self) -> GateStatistics:
        """Return what the gates so far are like."""
        assert self._first is not None, "no gates have been added"
        total = int(self._counts.sum())
        num_gates = total * len(self._first)
        means = self.channel_means
        sums = self._sums.sum(axis=0)
        squares = np.maximum(0.0, self._squares.sum(axis=0) - sums**2 / total)
        seen = self._counts > 0
        counts = self._counts[seen][:, None]
        between = np.maximum(0.0, (self._sums[seen] ** 2 / counts).sum(axis=0) - sums**2 / total)
        class_means = np.full(self._sums.shape, np.nan)
        class_means[seen] = self._first + self._sums[seen] / counts
        zero, one, constant = (self._near / num_gates).tolist()
        pixels = self._pixel_variance
        return GateStatistics(
            num_images=total,
            mean=float(means.mean()),
            sd_channels=float(means.std()),
            sd_images=math.sqrt(squares.mean() / total),
            sd_pixels=None if pixels is None else math.sqrt(pixels / num_gates),
            class_share=pooled_omega_squared(between, squares, total, int(seen.sum())),
            near_zero=zero,
            near_one=one,
            near_constant=None if self._constants is None else constant,
            channel_means=means,
            channel_sds=np.sqrt(squares / total),
            class_means=class_means,
        )


def pooled_omega_squared(
    between: Floats, whole: Floats, num_images: int, num_classes: int
) -> float | None:
    """Return the share of variance between classes, without what chance adds to it.

    Eta squared, the sum of squares between classes by the whole one, is too large by what classes
    differ by chance; omega squared (Hays 1963, sec. 12.18) takes that off. Channels are pooled as
    sums of squares, so that they weigh by their variances.

    Args:
        between: ``(C,)`` sums of squares between classes.
        whole: ``(C,)`` sums of squares about the mean of all images.
        num_images: of all classes.
        num_classes: that have images.

    Returns:
        None if no gate varies, or no class has two images.
    """
    degrees = num_images - num_classes
    if degrees < 1 or not whole.sum():
        return None
    within = (whole - between) / degrees
    top = (between - (num_classes - 1) * within).sum()
    return float(top / (whole + within).sum())


@dataclass(frozen=True, slots=True)
class Drop:
    """What is lost in accuracy, as a share of the images, with its 95 % interval.

    Attributes:
        value: accuracy before, less that after.
        low: lower end; None: not known.
        high: upper end; None: not known.
    """

    value: float
    low: float | None = None
    high: float | None = None


def paired_drop(before: Bits, after: Bits) -> Drop:
    """Return what is lost between two answers to the same images.

    The interval is that of Agresti and Min (2005, sec. 3) for a difference of paired shares: half
    an image is added to each of the four cells of the table that McNemar's test looks at. It holds
    for other images, and for these two networks as they are.

    Args:
        before: ``(n,)``, which images were right.
        after: ``(n,)``, which are right now.
    """
    num_images = len(before)
    lost, won = int((before & ~after).sum()), int((~before & after).sum())
    n, b, c = num_images + 2, lost + 0.5, won + 0.5
    middle = (b - c) / n
    half = _normal_quantile() * math.sqrt(b + c - (b - c) ** 2 / n) / n
    return Drop((lost - won) / num_images, middle - half, middle + half)


def mean_drop(drops: Sequence[Drop]) -> Drop:
    """Return the mean drop of several replicates, with Student's interval for fresh ones.

    Replicates differ by weights and by images. Where a few of them happen to agree, their variance
    is taken to be what their images alone make it, as ``paired_drop`` has it.

    Args:
        drops: of the replicates; of one alone there is no interval.
    """
    n = len(drops)
    values = np.array([drop.value for drop in drops])
    mean = float(values.mean())
    if n < 2:
        return Drop(mean)
    halves = [(d.high - d.low) / 2 for d in drops if d.low is not None and d.high is not None]
    by_images = float(np.mean(np.square(halves))) / _normal_quantile() ** 2 if halves else 0.0
    variance = max(float(values.var(ddof=1)), by_images)
    half = t_quantile((1 + CONFIDENCE) / 2, n - 1) * math.sqrt(variance / n)
    return Drop(mean, mean - half, mean + half)


def _normal_quantile() -> float:
    from scipy.special import ndtri  # half a second to import

    return float(ndtri((1 + CONFIDENCE) / 2))
