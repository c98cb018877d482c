"""Advice on memory: halved until it is predicted to fit, and no more claimed than is known."""

import re

import pytest

from se_search.execution.memory import advise_micro_batch

# A message of PyTorch 2.11.
REASON = (
    "CUDA out of memory. Tried to allocate {requested} GiB. GPU 0 has a total capacity of 80.00 "
    "GiB of which 1.20 GiB is free. Including non-PyTorch memory, this process has 78.00 GiB "
    "memory in use. Of the allocated memory {allocated} GiB is allocated by PyTorch, and 512.00 "
    "MiB is reserved by PyTorch but unallocated."
)


@pytest.mark.parametrize(
    ("requested", "allocated", "images", "tried"),
    [
        ("2.00", "77.00", 512, 256),  # 79 of 80 GiB: 39.5 fit
        ("80.00", "60.00", 512, 256),  # 140 GiB: 70 fit into nine tenths of 80
        ("84.00", "62.00", 512, 128),  # 146 GiB: 73 don't
        ("600.00", "60.00", 512, 32),
        ("2.00", "77.00", 25, 12),
    ],
)
def test_images_are_halved_until_what_was_needed_would_fit(requested, allocated, images, tried):
    reason = REASON.format(requested=requested, allocated=allocated)
    needed = float(requested) + float(allocated)
    advice = advise_micro_batch(reason, images, None)
    assert f"Try a recipe with micro_batch: {tried}," in advice
    assert f"needed at least {needed:.1f} GiB of 80.0 GiB" in advice
    assert f"(at least {needed * tried / images:.1f} GiB, in proportion)" in advice


@pytest.mark.parametrize("reason", ["out of memory: killed by SIGKILL", ""])
def test_where_nothing_is_told_half_is_tried_and_no_size_is_claimed(reason):
    advice = advise_micro_batch(reason, 64, None)
    assert "Try a recipe with micro_batch: 32," in advice
    assert "GiB" not in advice
    assert "others took up to 3.0 GiB" in advise_micro_batch(reason, 64, 3 * 2**30)


def test_where_two_images_are_too_many_there_is_no_advice_to_take_fewer():
    reason = REASON.format(requested="9000.00", allocated="70.00")
    for images in (2, 64):
        assert not re.search(r"micro_batch: \d", advise_micro_batch(reason, images, None))
