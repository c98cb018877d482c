"""Hardware is described by what PyTorch and Linux say of it."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from se_search.device import Device
from se_search.training.hardware import describe_hardware, describe_training, read_driver
from se_search.training.task import FindGrounds


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("fpu avx2 f16c", "32-true"), ("avx2 avx512_bf16", "bf16-mixed"), ("amx_bf16", "bf16-mixed")],
)
def test_half_precision_is_chosen_only_where_the_cpu_has_it(
    monkeypatch, tmp_path, flags, precision
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(f"processor\t: 0\nmodel name\t: a CPU\nflags\t\t: {flags}\n")
    found = describe_hardware(cpu_info)
    assert (found.accelerator, found.auto_precision, found.name) == ("cpu", precision, "a CPU")


@pytest.mark.parametrize(("has_bfloat16", "precision"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_half_precision_on_a_gpu_is_bfloat16_where_it_has_it(monkeypatch, has_bfloat16, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "a GPU")
    found = describe_hardware()
    assert (found.accelerator, found.num_devices, found.auto_precision) == ("cuda", 3, precision)


def test_a_training_on_the_cpu_has_neither_driver_nor_cuda_and_took_some_memory():
    found = describe_training(Device("cpu", 0, 1, "bf16-mixed"), 64, [])
    assert (found.driver, found.cuda, found.cudnn) == (None, None, None)
    assert (found.torch, found.precision) == (torch.__version__, "bf16-mixed")
    assert found.device
    # PyTorch alone takes a hundred megabytes, and no machine of the tests has a terabyte.
    assert 1e8 < found.peak_memory < 1e12


def test_the_peak_of_memory_grows_by_what_is_taken():
    before = describe_training(Device("cpu", 0, 1, "32-true"), 64, []).peak_memory
    taken = bytearray(before)  # more than the peak had left, whatever that was
    assert describe_training(Device("cpu", 0, 1, "32-true"), 64, []).peak_memory > before
    assert taken


def test_a_training_ran_on_the_ground_that_was_known_before_it_began():
    device = Device("cpu", 0, 3, "bf16-mixed")
    (known,) = FindGrounds((device, device))()
    assert describe_training(device, 64, []).ground == known
    assert known.threads == 3
    assert known.facts()["pytorch-lightning"] == pl.__version__
    assert known.facts()["numpy"] == np.__version__


def test_threads_belong_to_the_ground_of_a_cpu_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index % 2}")
    devices = [
        Device("cuda", index, threads, "32-true") for index in (0, 1, 2) for threads in (1, 2)
    ]
    assert [each.device for each in FindGrounds(tuple(devices))()] == ["GPU 0", "GPU 1"]


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC\n"
            "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n",
            "550.54.15",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\n",
            "580.159.04",
        ),
        ("something else", None),
    ],
)
def test_the_driver_is_the_one_that_the_kernel_names(tmp_path, text, driver):
    path = tmp_path / "version"
    path.write_text(text)
    assert read_driver(path) == driver


def test_without_nvidias_driver_there_is_no_version(tmp_path):
    assert read_driver(tmp_path / "version") is None
