"""Weights that were trained before: loads them into a backbone as it comes, and freezes them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from se_search.errors import BackboneError

# Classifiers beside the network's own, which some networks have during their training only.
AUXILIARY = re.compile(r"(aux\d?|AuxLogits)\.")
COUNTERS = "num_batches_tracked"  # old files lack them, and nothing here reads them
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file of weights left as it was.

    Attributes:
        drawn: parameters of the classifier that the file has for another number of classes.
        ignored: names in the file that this network has no use for: auxiliary classifiers.
    """

    drawn: tuple[str, ...]
    ignored: tuple[str, ...]


def load_weights(model: nn.Module, path: Path) -> Loaded:
    """Load a state dict into a network as it comes, before any surgery.

    The file is of ``torch.save`` (nothing in it is executed) or safetensors. It may hold the state
    dict under ``state_dict`` or ``model``, and ``module.`` in front of every name. All names and
    shapes must be the network's, but for the number of classes.

    Raises:
        BackboneError: the file can't be read, or does not fit the network.
    """
    weights = read_weights(path)
    wanted = model.state_dict()
    classifier = _classifier(model)
    ignored = [name for name in weights if name not in wanted and AUXILIARY.match(name)]
    drawn = [
        name
        for name, tensor in weights.items()
        if name in classifier and _differs_in_classes(tensor, wanted[name])
    ]
    problems = {
        "lacks": [name for name in wanted if name not in weights and not name.endswith(COUNTERS)],
        "has unknown": [name for name in weights if name not in wanted and name not in ignored],
        "has in another shape": [
            f"{name} {tuple(tensor.shape)} for {tuple(wanted[name].shape)}"
            for name, tensor in weights.items()
            if name in wanted and name not in drawn and tensor.shape != wanted[name].shape
        ],
    }
    found = [f"{what} {_list(names)}" for what, names in problems.items() if names]
    if found:
        raise BackboneError(f"{path} does not fit {type(model).__name__}: it {'; '.join(found)}")
    fitting = {name: weights[name] for name in wanted if name in weights and name not in drawn}
    model.load_state_dict(fitting, strict=False)
    return Loaded(tuple(drawn), tuple(ignored))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a state dict from a file, by name.

    Raises:
        BackboneError: it can't be read, holds more than tensors, or no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BackboneError(
            f"{path} is no file of tensors alone, and is not read since that could run code"
        ) from error
    except Exception as error:  # each format has errors of its own for what is no such file
        raise BackboneError(f"{path} can't be read as weights: {error}") from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise BackboneError(f"{path} holds no state dict but a {type(content).__name__}")
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise BackboneError(f"{path} holds no state dict: {_list(others)} is no tensor")
    is_wrapped = all(str(name).startswith("module.") for name in content)
    return {
        str(name).removeprefix("module.") if is_wrapped else str(name): tensor
        for name, tensor in content.items()
    }


def find_weights(text: str, backbone: str) -> Path:
    """Return the file of weights that ``--weights`` asks for; ``DEFAULT`` is torchvision's best.

    These are fetched once, to PyTorch's own folder, and checked against the hash in their name.

    Raises:
        BackboneError: there is no such file, torchvision has no weights, or can't be reached.
    """
    if text != "DEFAULT":
        path = Path(text)
        if not path.is_file():
            raise BackboneError(f"weights {text}: there is no such file")
        return path
    from torchvision.models import get_model_weights

    try:
        url: str = get_model_weights(backbone).DEFAULT.url
    except ValueError as error:
        raise BackboneError(
            f"torchvision has no weights for {backbone}; name a file instead of DEFAULT"
        ) from error
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        digest = re.search(r"-([0-9a-f]{8,})\.", path.name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                url, str(path), hash_prefix=digest[1] if digest else None, progress=False
            )
        except (OSError, RuntimeError) as error:
            raise BackboneError(
                f"the weights of {backbone} can't be had from {url}: {error}; "
                f"put the file at {path}, or name it with --weights"
            ) from error
    return path


def freeze(model: nn.Module, trained: Iterable[nn.Parameter]) -> None:
    """Let training change these parameters of a network only."""
    keep = {id(parameter) for parameter in trained}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in keep)


def frozen_norms(model: nn.Module) -> list[nn.Module]:
    """Return the batch norms whose parameters are frozen.

    Their running statistics are not to change either, so they stay in evaluation mode: whoever
    calls ``model.train()`` calls ``eval()`` on these afterwards.
    """
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.affine
        and not any(parameter.requires_grad for parameter in module.parameters())
    ]


def _classifier(model: nn.Module) -> set[str]:
    """Return the parameters of the last layer that the network lists."""
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    if not layers:
        return set()
    prefix, layer = layers[-1]
    return {f"{prefix}.{name}" if prefix else name for name, _ in layer.named_parameters()}


def _differs_in_classes(tensor: Tensor, wanted: Tensor) -> bool:
    return tensor.shape != wanted.shape and tensor.shape[1:] == wanted.shape[1:]


def _list(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
