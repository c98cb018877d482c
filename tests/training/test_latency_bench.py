"""The bench: networks run as the settings say, and their memory is that of what lives at once."""

import gc

import pytest
import torch
from support.spaces import described
from torch import nn

from se_search.candidate import Candidate
from se_search.errors import LatencyError
from se_search.latency.settings import LatencySettings
from se_search.training.latency_bench import (
    TorchBench,
    describe_latency_ground,
    find_device,
    measure_peak,
    probe_latency,
)

SMALL = described("resnet20_bottleneck")
PLAIN = Candidate.plain(SMALL)
SETTINGS = LatencySettings("cpu", 2, 1)


def count_bytes(model):
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


def test_a_chain_of_layers_holds_its_weights_its_images_and_two_maps():
    model = nn.Sequential(*(nn.Conv2d(4, 4, 1, bias=False) for _ in range(5)))
    images = torch.zeros(2, 4, 8, 8)
    with torch.inference_mode():
        peak = measure_peak(model, images, 0)
    a_map = 2 * 4 * 8 * 8 * 4
    assert peak == count_bytes(model) + 3 * a_map  # the caller's images, and a map before and after


def test_se_takes_the_memory_of_its_weights_and_little_more():
    plain = TorchBench(SETTINGS).load(PLAIN)
    wide = TorchBench(SETTINGS).load(Candidate.parse("resnet20_bottleneck/all=standard:r2", SMALL))
    weights = count_bytes(wide.model) - count_bytes(plain.model)
    assert weights <= wide.peak_bytes - plain.peak_bytes <= 1.5 * weights


@pytest.mark.parametrize(
    ("settings", "dtype", "is_last"),
    [
        (SETTINGS, torch.float32, False),
        (LatencySettings("cpu", 3, 1, "bfloat16", channels_last=True), torch.bfloat16, True),
    ],
)
def test_networks_run_untrained_in_eval_mode_as_the_settings_say(settings, dtype, is_last):
    loaded = TorchBench(settings).load(PLAIN)
    assert loaded.run(2) > 0.0
    assert loaded.images.shape == (settings.batch, 1, 28, 28)
    assert not loaded.model.training
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {dtype}
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    own = [p for p in loaded.model.parameters() if p.ndim == 4 and min(p.shape) > 1]
    assert own[0].is_contiguous(memory_format=torch.channels_last) == is_last


def test_timing_leaves_threads_collector_and_arithmetic_as_they_were():
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark, gc.isenabled()
    TorchBench(LatencySettings("cpu", 1, 2)).load(PLAIN).run(1)
    assert (torch.get_num_threads(), torch.backends.cudnn.benchmark, gc.isenabled()) == before
    assert not torch.is_inference_mode_enabled()


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(LatencyError, match="cuda:63 is not there"):
        find_device(LatencySettings("cuda:63", 1, 1))


def test_a_network_that_does_not_run_is_named_with_the_settings():
    huge = LatencySettings("cpu", 2**44, 1)  # images that no memory takes
    with pytest.raises(LatencyError, match=f"resnet20_bottleneck does not run with batch {2**44}"):
        TorchBench(huge).load(PLAIN)


def test_a_probe_says_what_the_times_are_of():
    probe = probe_latency(PLAIN, SETTINGS)
    assert probe.seconds > 0
    assert probe.loading > probe.seconds
    assert probe.launch_share is None
    assert probe.foreign_bytes == 0
    assert probe.ground == describe_latency_ground(SETTINGS)
    assert probe.ground.versions["PyTorch"] == torch.__version__
