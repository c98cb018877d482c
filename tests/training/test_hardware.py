"""Hardware is described by what PyTorch and Linux say of it."""

import pytest
import torch

from se_search.training.hardware import describe_hardware


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
