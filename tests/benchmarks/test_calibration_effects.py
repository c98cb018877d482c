"""Effects in simulated worlds: the truths that they are judged by, and the judging."""

import numpy as np
import pytest

from benchmarks.calibration.effects import KINDS, Judged, judge_world
from benchmarks.calibration.worlds import AS_MEASURED, Spread
from se_search.analysis.effects import Effect

HARDLY_ANY_NOISE = Spread(networks=1.0, level=0.3, interaction=1e-3, training=0.01)


def by_name(judged):
    return {
        (effect.slot, effect.level): truth
        for effect, truth in zip(judged.effects, judged.truths, strict=True)
    }


def test_without_noise_effects_are_the_truth_that_they_are_judged_by():
    judged = judge_world("all effects", HARDLY_ANY_NOISE, 100, seed=1, num_kernels=2)
    gains = np.array([effect.gain for effect in judged.effects])
    assert len(gains) == 25
    assert np.abs(judged.truths).max() > 0.5
    assert gains == pytest.approx(judged.truths, abs=0.05)


def test_any_se_gains_the_mean_of_what_its_levels_gain():
    truths = by_name(judge_world("all effects", AS_MEASURED, 50, seed=2, num_kernels=1))
    for stage in range(2, 6):
        levels = [truths[f"stage{stage}", f"r = {ratio}"] for ratio in (4, 8, 16, 32)]
        assert truths[f"stage{stage}", "any SE"] == pytest.approx(np.mean(levels))


def test_kinds_of_worlds_lack_the_effects_that_they_are_named_for():
    lacking = {}
    for kind in KINDS:
        truths = by_name(judge_world(kind, AS_MEASURED, 50, seed=3, num_kernels=1))
        slots = [abs(truths[f"stage{stage}", "any SE"]) < 1e-9 for stage in range(2, 6)]
        levels = [abs(t) < 1e-9 for (slot, level), t in truths.items() if "r" in level]
        lacking[kind] = (sum(slots), any(levels), all(levels))
    assert lacking["no effects"] == (4, True, True)
    assert lacking["none in half of the slots"] == (2, True, False)
    assert lacking["none of half of the levels"][1:] == (True, False)
    assert lacking["all effects"] == (0, False, False)


@pytest.mark.parametrize(
    ("gain", "truth", "holds", "is_false"),
    [
        (0.4, 0.5, True, False),
        (0.4, -0.1, True, True),  # of the wrong sign
        (0.4, 0.0, True, True),
        (0.4, 0.0, False, False),
    ],
)
def test_an_effect_that_holds_is_false_if_there_is_none_or_one_of_the_other_sign(
    gain, truth, holds, is_false
):
    effect = Effect("slot", "stage2", "any SE", "no SE", gain=gain, low=0.1, high=0.7, holds=holds)
    judged = Judged((effect,), np.array([truth]))
    assert judged.is_false == is_false
    assert judged.is_held.tolist() == [0.1 <= truth <= 0.7]
