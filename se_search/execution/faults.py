"""Tells whose fault a failed training is: the candidate's, a lack of memory, or the machine's.

Only a candidate's own failure says anything about it. Everything else would bar it for what it was
trained on, and a lack of memory would bar those with most SE first.
"""

from __future__ import annotations

import errno
import signal
from pathlib import Path

from se_search.errors import BrokenOffError, DataError, RunError, SESearchError, list_causes, quote
from se_search.record import Failure, Fault
from se_search.terminal import one_line

VM_STATISTICS = Path("/proc/vmstat")

# Parts of messages, in lower case. PyTorch raises many of these as a plain RuntimeError.
NO_MEMORY = (
    "out of memory",  # CUDA, MPS
    "not enough memory",  # PyTorch's allocator for the CPU
    "can't allocate memory",
    "cannot allocate memory",
    "_status_alloc_failed",  # cuDNN, cuBLAS
    "out of shared memory",  # images on their way from a process that reads them
)
NO_DEVICE = (
    "cuda error",
    "cuda driver",
    "no cuda gpus are available",
    "_status_execution_failed",  # cuDNN, cuBLAS
    "_status_internal_error",
    "_status_mapping_error",
    "_status_not_initialized",
    "nccl error",
    "dataloader worker",  # a process that reads images was killed
)
HUNG_SHARE = 0.25  # of the timeout: a training that takes no step for so long hangs
# An index or a label beyond its range, or that of a training that shares the GPU: NVIDIA's
# multi-process service tells all of them of it, and not whose it was.
ASSERTED = ("device-side assert",)
STORAGE = (OSError, EOFError, DataError, RunError)
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)  # by what it ran itself
ASKED_TO_END = (SystemExit, KeyboardInterrupt)  # Lightning makes such an exception of a signal


def explain_error(error: BaseException) -> Failure:
    """Return the failure of a training that an exception ended."""
    text = one_line(" ".join(quote(error).split()))
    if isinstance(error, BrokenOffError):
        return Failure(text, Fault.STOPPED)
    if _lacks_memory(error):
        name = f"{type(error).__name__}: {text}" if text else "an allocation failed"
        # The message mostly says it by itself.
        told = text if "out of memory" in text.lower() else f"out of memory: {name}"
        return Failure(told, Fault.RESOURCE)
    if isinstance(error, SESearchError):
        reason = text  # it names the cause by itself
    else:
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if _has_asserted(error):
        return Failure(reason, Fault.CRASH)
    of_machine = isinstance(error, (*STORAGE, *ASKED_TO_END)) or _lacks_device(error)
    return Failure(reason, Fault.INFRASTRUCTURE if of_machine else Fault.CANDIDATE)


def explain_death(exit_code: int | None, memory_kills: int | None = None) -> Failure:
    """Return the failure of a training whose process died without a word.

    Args:
        exit_code: of the process; minus the number of the signal that killed it.
        memory_kills: how many processes the system has killed meanwhile for their memory; None:
            it does not tell.
    """
    if exit_code is None or exit_code >= 0:
        text = f"the training process ended without a result (exit code {exit_code})"
        return Failure(text, Fault.INFRASTRUCTURE)
    name = signal.Signals(-exit_code).name
    text = f"the training process was killed by {name}"
    if -exit_code in CRASHES:
        return Failure(text.replace("was killed by", "crashed by"), Fault.CRASH)
    if name != "SIGKILL" or memory_kills == 0:
        return Failure(text, Fault.INFRASTRUCTURE)
    if memory_kills is None:
        text += "; the system does that when memory runs out"
        return Failure(text, Fault.INFRASTRUCTURE)
    return Failure(f"out of memory: {text}, as the system ran out of it", Fault.RESOURCE)


def explain_time(ran: float, idle: float, hung_before: float, timeout: float) -> Failure | None:
    """Return the failure of a training that is to be killed; None: it may go on.

    Args:
        ran: seconds since it was started.
        idle: seconds since it took a step.
        hung_before: seconds that its first attempt took, which hung; 0: none did.
        timeout: seconds that it may take, with an attempt that hung.
    """
    if ran > timeout - hung_before:
        counted = f", {hung_before:.0f} of them by an attempt that hung" if hung_before else ""
        return Failure(f"killed after {timeout:g} seconds (--timeout){counted}")
    if idle <= HUNG_SHARE * timeout:
        return None
    reason = f"killed as it hung: no step in {HUNG_SHARE * timeout:g} seconds (--timeout / 4)"
    if hung_before:  # to hang twice by a fault of the machine is unlikely
        return Failure(f"{reason}, twice")
    return Failure(reason, Fault.INFRASTRUCTURE)


def count_memory_kills(statistics: Path = VM_STATISTICS) -> int | None:
    """Return how many processes Linux has killed since its start because memory ran out.

    Args:
        statistics: Linux's counters; None is returned where there are none.
    """
    try:
        lines = statistics.read_text().splitlines()
    except OSError:
        return None
    counts = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else None


def _lacks_memory(error: BaseException) -> bool:
    return any(
        isinstance(each, MemoryError)
        or (isinstance(each, OSError) and each.errno == errno.ENOMEM)
        or _says(each, NO_MEMORY)
        for each in list_causes(error)
    )


def _lacks_device(error: BaseException) -> bool:
    return any(
        isinstance(each, RuntimeError) and _says(each, NO_DEVICE) for each in list_causes(error)
    )


def _has_asserted(error: BaseException) -> bool:
    return any(
        isinstance(each, RuntimeError) and _says(each, ASSERTED) for each in list_causes(error)
    )


def _says(error: BaseException, parts: tuple[str, ...]) -> bool:
    text = quote(error).lower()
    return any(part in text for part in parts)
