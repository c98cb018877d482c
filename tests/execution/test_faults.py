"""Whose fault a failed training is: told by the exception, or by how its process died."""

import errno
import signal

import pytest
import torch

from se_search.errors import BackboneError, BrokenOffError, DataError, DivergedError
from se_search.execution.faults import (
    count_memory_kills,
    explain_death,
    explain_error,
    explain_time,
)
from se_search.record import Failure, Fault


class AcceleratorError(RuntimeError):
    """PyTorch's error of a device, which only a build for CUDA raises."""


def raised_from(cause):
    error = ValueError("the block can't be run")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError(
            "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory."
        ),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        raised_from(torch.OutOfMemoryError("CUDA out of memory.")),
    ],
)
def test_a_lack_of_memory_is_told_from_the_rest(error):
    failure = explain_error(error)
    assert failure.fault == Fault.RESOURCE
    assert "memory" in failure.reason


def test_a_real_lack_of_memory_is_known_as_one():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert explain_error(raised.value).fault == Fault.RESOURCE


@pytest.mark.parametrize(
    "error",
    [
        AcceleratorError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable"),
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        ConnectionResetError("the images are on another machine"),
        DataError("/data/7.png can't be read: Input/output error"),
        SystemExit(1),
        KeyboardInterrupt(),
    ],
)
def test_the_machine_is_blamed_for_devices_files_and_signals(error):
    assert explain_error(error).fault == Fault.INFRASTRUCTURE


@pytest.mark.parametrize(
    "error",
    [
        DivergedError("the loss is nan"),
        BackboneError("the weights do not fit"),
        ValueError("bad value"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        AssertionError(),
    ],
)
def test_anything_else_is_the_candidates_own_fault(error):
    assert explain_error(error).fault == Fault.CANDIDATE


def test_an_assertion_on_a_gpu_is_in_doubt_as_a_crash_is():
    """Under NVIDIA's multi-process service all trainings of the GPU are told of one's."""
    error = RuntimeError("CUDA error: device-side assert triggered")
    failure = Failure("RuntimeError: CUDA error: device-side assert triggered", Fault.CRASH)
    assert explain_error(error) == failure


def test_a_reason_is_one_line_that_names_the_kind_of_error():
    assert explain_error(ValueError("bad\nvalue")) == Failure("ValueError: bad value")
    assert explain_error(DivergedError("the loss is nan")) == Failure("the loss is nan")
    assert explain_error(AssertionError()) == Failure("AssertionError")


def test_a_reason_controls_no_terminal_and_can_be_stored():
    reason = explain_error(ValueError("\x1b[31mred \udce9 \u202ereversed")).reason
    assert reason == r"ValueError: \x1b[31mred \xe9 \u202ereversed"


@pytest.mark.parametrize("exit_code", [7, 255, None, -signal.SIGTERM, -signal.SIGBUS])
def test_a_process_that_dies_is_not_the_candidates_fault(exit_code):
    assert explain_death(exit_code, memory_kills=1).fault == Fault.INFRASTRUCTURE


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL"])
def test_a_crash_in_native_code_is_told_from_a_kill(name):
    text = f"the training process crashed by {name}"
    assert explain_death(-signal.Signals[name], memory_kills=0) == Failure(text, Fault.CRASH)


def test_a_training_that_was_asked_to_end_is_nobodys_failure():
    failure = explain_error(BrokenOffError("saved after 1.5 of 3 epochs"))
    assert failure == Failure("saved after 1.5 of 3 epochs", Fault.STOPPED)


def test_a_kill_counts_as_a_lack_of_memory_only_if_the_system_has_killed_for_memory_meanwhile():
    kill = -signal.SIGKILL
    assert explain_death(kill, memory_kills=1).fault == Fault.RESOURCE
    assert explain_death(kill, memory_kills=0).fault == Fault.INFRASTRUCTURE
    unknown = explain_death(kill, memory_kills=None)
    assert unknown.fault == Fault.INFRASTRUCTURE
    assert unknown.reason.endswith("killed by SIGKILL; the system does that when memory runs out")


def test_a_training_may_go_on_while_it_takes_steps_and_has_time():
    assert explain_time(ran=99, idle=24, hung_before=0, timeout=100) is None
    assert explain_time(ran=29, idle=24, hung_before=70, timeout=100) is None


def test_a_training_that_takes_steps_for_too_long_is_slow_by_its_candidates_fault():
    failure = Failure("killed after 100 seconds (--timeout)", Fault.CANDIDATE)
    assert explain_time(ran=101, idle=0, hung_before=0, timeout=100) == failure


def test_a_training_that_takes_no_step_hangs_by_the_machines_fault_the_first_time_alone():
    reason = "killed as it hung: no step in 25 seconds (--timeout / 4)"
    first = explain_time(ran=60, idle=26, hung_before=0, timeout=100)
    assert first == Failure(reason, Fault.INFRASTRUCTURE)
    second = explain_time(ran=26, idle=26, hung_before=60, timeout=100)
    assert second == Failure(f"{reason}, twice", Fault.CANDIDATE)


def test_a_hang_blocks_no_longer_than_the_limit_in_all():
    """Whenever the two attempts hang, or the second one goes on and on."""
    for first in range(26, 101):
        for idle in (0, 26):
            longest = next(
                ran
                for ran in range(idle, 200)
                if explain_time(ran, idle, hung_before=first, timeout=100) is not None
            )
            assert first + longest <= 101 or longest == 26


def test_the_systems_kills_for_memory_are_counted_where_it_counts_them(tmp_path):
    path = tmp_path / "vmstat"
    assert count_memory_kills(path) is None
    path.write_text("pgfault 12\noom_kill 3\n")
    assert count_memory_kills(path) == 3
    path.write_text("pgfault 12\n")
    assert count_memory_kills(path) is None
