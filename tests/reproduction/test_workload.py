"""Hours of trainings, by hand."""

import pytest

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.catalogue import describe_backbone
from se_search.record import Assignment
from se_search.reproduction.workload import SPEEDS, Speed, list_speeds


@pytest.fixture(scope="module")
def plain():
    return Candidate.plain(describe_backbone("resnet50", 3, 224, 1000))


def test_hours_are_three_passes_of_the_multiply_adds_over_the_speed(plain):
    """Fvcore counts 4,111,512,576 multiply-adds in torchvision's ResNet-50 at 224 pixels."""
    speed = Speed("hours", 1e12, None, "")
    seconds = 3 * 4_111_512_576 * 1_000_000 * 90 / 1e12
    trainings = [Assignment(plain, seed, 90) for seed in (0, 1)]
    assert speed.hours(trainings, 1_000_000, 256) == pytest.approx(2 * seconds / 3600, rel=1e-9)


def test_a_gpu_trains_resnet50_on_as_many_images_as_is_assumed(plain):
    hours = SPEEDS["cuda"].hours([Assignment(plain, 0, 1)], 2_600, 256)
    assert 3600 * hours == pytest.approx(1, rel=0.01)


def test_steps_limit_a_small_network():
    """As docs/studies.md reckons: 380 trainings of a million images, 512 a step, 200 steps a s."""
    small = Candidate.plain(describe_backbone("resnet20_bottleneck", 1, 28, 10))
    trainings = [Assignment(small, seed, 20) for seed in range(380)]
    minutes = 60 * SPEEDS["cuda"].hours(trainings, 50_000, 512)
    assert minutes == pytest.approx(380e6 / (512 * 200) / 60)
    assert 3 * count_cost(small).macs * 512 * 200 < SPEEDS["cuda"].macs_per_s


def test_hours_are_told_of_the_devices_that_may_be_used():
    assert list_speeds("auto") == [SPEEDS["cuda"], SPEEDS["cpu"]]
    assert list_speeds("cpu") == [SPEEDS["cpu"]]
    assert list_speeds("mps") == []
