"""Makes the operations of CUDA repeatable, and notes those that are not."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import torch

# How PyTorch warns of an operator that it runs without a repeatable version.
NOT_REPEATABLE = (
    r"(?P<name>.+?) does not have a deterministic implementation\b",
    r"(?P<name>.+?) defaults to a non-deterministic algorithm\b",
    r"Deterministic behavior was enabled .* because it uses (?P<name>CuBLAS)\b",
)


def make_cuda_repeatable(precision: str) -> None:
    """Let this process's CUDA operations give equal numbers each time, and float32 mean float32.

    An operation for which PyTorch has no repeatable version warns and runs all the same: the
    networks that come with se-search have none, and a user's own network shall not fail by it.

    Args:
        precision: in Lightning's words. With ``32-true`` convolutions and matrix products compute
            in IEEE float32; PyTorch's default for convolutions is TF32, with a mantissa of 10 bits.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read as CUDA is started
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling would cost time in each step. (PyTorch's types don't know this property.)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if precision == "32-true":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


@contextmanager
def noting_unrepeatable() -> Iterator[set[str]]:
    """Collect, until the ``with`` block ends, the operators that have no repeatable version.

    PyTorch tells of them by warnings, which are shown as before.
    """
    found: set[str] = set()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            found.update(_find_operator(str(message)))
            show(message, category, filename, lineno, file, line)

        warnings.showwarning = note
        for pattern in NOT_REPEATABLE:
            warnings.filterwarnings("default", message=pattern)
        yield found


def _find_operator(message: str) -> list[str]:
    matches = (re.match(pattern, message, re.DOTALL) for pattern in NOT_REPEATABLE)
    return [match["name"] for match in matches if match is not None]
