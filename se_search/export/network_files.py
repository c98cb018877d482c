"""Writes a trained network as ``torch.export`` and ONNX files, and checks that they compute it."""

from __future__ import annotations

import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from se_search.errors import SESearchError, explain, list_causes
from se_search.export.write import ONNX, PT2
from se_search.store.files import write_bytes

TOLERANCE = 1e-4  # of the largest output: what other kernels round otherwise
BATCHES = (1, 3)  # besides that of all images: a file takes any number of them
TRACED = 2  # images that a network is traced with; a single one would be taken for a constant
# What PyTorch raises where a graph would depend on values, as of version 2.14.
DATA_DEPENDENT = {"GuardOnDataDependentSymNode", "DataDependentOutputException"}
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Written:
    """A file that computes an exported network.

    Attributes:
        path: the file.
        difference: the largest difference of its outputs from those of the network.
        scale: the largest output of the network.
        num_images: that were compared.
        seconds: that writing and checking took.
        num_bytes: size of the file.
    """

    path: Path
    difference: float
    scale: float
    num_images: int
    seconds: float
    num_bytes: int


def list_missing_onnx(find: Callable[[str], object | None] = find_spec) -> list[str]:
    """Return the packages of the extra ``onnx`` that are not installed.

    Args:
        find: returns None for the name of a package that is not there.
    """
    return [name for name in ONNX_PACKAGES if find(name) is None]


def write_exported(model: nn.Module, images: Tensor, folder: Path) -> Written:
    """Write ``model.pt2`` by ``torch.export``, load it again, and compare its outputs.

    Args:
        model: in evaluation mode, on the CPU.
        images: ``(n, c, h, w)``, prepared as in the training; at least two.
        folder: takes the file.

    Raises:
        SESearchError: the network can't be traced, or the file computes something else.
    """
    path, started = folder / PT2, time.monotonic()
    with _explaining(path), _quiet():
        program = _trace(model, images)
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        write_bytes(path, buffer.getvalue())
        loaded = torch.export.load(path).module()
        return _compare(path, model, images, loaded, started)


def write_onnx(model: nn.Module, images: Tensor, folder: Path) -> Written:
    """Write ``model.onnx``, and compare what ONNX Runtime computes by it on the CPU.

    Its input is ``images``, its output ``logits``; the number of images is free. See
    ``write_exported`` for the arguments.

    Raises:
        SESearchError: the network can't be converted, or the file computes something else.
    """
    import onnxruntime

    path, started = folder / ONNX, time.monotonic()
    with _explaining(path), _quiet():
        program = torch.onnx.export(
            _trace(model, images),
            input_names=["images"],
            output_names=["logits"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        assert program is not None, "the dynamo exporter returns a program"
        write_bytes(path, program.model_proto.SerializeToString())
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

        def run(batch: Tensor) -> Tensor:
            (logits,) = session.run(["logits"], {"images": batch.numpy()})
            return torch.from_numpy(logits)

        return _compare(path, model, images, run, started)


def _trace(model: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """Return the network as a graph that takes any number of images.

    Hooks are called while a network is traced, so that SE is part of the graph.
    """
    shapes = ({0: torch.export.Dim("batch")},)
    with torch.no_grad():
        return torch.export.export(model, (images[:TRACED],), dynamic_shapes=shapes)


def _compare(
    path: Path,
    model: nn.Module,
    images: Tensor,
    run: Callable[[Tensor], Any],
    started: float,
) -> Written:
    """Return how far a file's outputs are from the network's.

    Raises:
        SESearchError: too far, or the file does not take another number of images.
    """
    difference = scale = 0.0
    for number in (*BATCHES, len(images)):
        batch = images[:number]
        with torch.no_grad():
            wanted, found = model(batch), run(batch)
        if found.shape != wanted.shape:
            raise SESearchError(
                f"{path} maps {number} images to {tuple(found.shape)}, and the network to "
                f"{tuple(wanted.shape)}"
            )
        difference = max(difference, float((found - wanted).abs().max()))
        scale = max(scale, float(wanted.abs().max()))
    if not difference <= TOLERANCE * max(1.0, scale):
        raise SESearchError(
            f"{path} computes something else than the network: outputs of up to {scale:.3g} differ "
            f"by up to {difference:.3g}"
        )
    seconds = time.monotonic() - started
    return Written(path, difference, scale, len(images), seconds, path.stat().st_size)


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Turn whatever an exporter raises into an error that says why; remove what is wrong."""
    try:
        yield
    except SESearchError:
        path.unlink(missing_ok=True)
        raise
    except Exception as error:  # exporters have errors of many classes for what they can't convert
        path.unlink(missing_ok=True)
        raise SESearchError(_name_reason(error)) from error


def _name_reason(error: Exception) -> str:
    """Say why an exporter failed; its own words are kept where no plainer ones are known."""
    kinds = {type(each).__name__ for each in list_causes(error)}
    if kinds & DATA_DEPENDENT:
        return (
            "what the network computes depends on the values of its images (an if, a loop or a "
            "size by a tensor's value), and a graph has one way for all images"
        )
    reason = (explain(error).strip() or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {reason}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep exporters from talking of themselves: what matters is an error, or is compared."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)  # PyTorch logs the graph of a failure as an error
    try:
        # PyTorch prints the graph of a failure.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
