"""Turns Ctrl-C into an exception, where one can be raised."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

EXIT_INTERRUPTED = 128 + signal.SIGINT


class Interrupted(BaseException):
    """Ctrl-C, where no loop of trainings waits for it: typer would end without a word."""


def raise_interrupted(say: Callable[[], None]) -> None:
    """Raise Interrupted in the main thread upon Ctrl-C; the second time, end at once.

    Args:
        say: says that the command was interrupted, where the exception can't be raised: in the
            midst of an import it could end in a library's C++ code, which aborts, or let a module
            be imported a second time, which it refuses. Nothing is open then.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            say()
            sys.stderr.flush()
            _leave(number, frame)
        signal.signal(signal.SIGINT, _leave)  # if it comes again, while the command tidies up
        raise Interrupted

    signal.signal(signal.SIGINT, interrupt)


def ignore_interrupts() -> None:
    """Let a command that has ended tidy up: PyTorch's clean-up would abort by an exception."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End at once: open files are left as a power cut would leave them."""
    os._exit(EXIT_INTERRUPTED)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
