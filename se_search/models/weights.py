"""Loads trained weights into a backbone, before SE blocks are put in."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from se_search.errors import BackboneError, explain

# Auxiliary classifiers, which some networks have during their training only.
AUXILIARY = re.compile(r"(aux\d?|AuxLogits)\.")
COUNTERS = "num_batches_tracked"  # old files lack them, and no batch norm here reads them
MAX_NAMED = 5  # names in the message of an error


@dataclass(frozen=True, slots=True)
class Loaded:
    """The parameters for which a network and a file of weights differ.

    Attributes:
        drawn: parameters of the network's classifier that keep their initial values, because the
            file has them for another number of classes.
        ignored: parameters in the file that the network does not have: auxiliary classifiers.
    """

    drawn: tuple[str, ...]
    ignored: tuple[str, ...]


def load_weights(model: nn.Module, path: Path) -> Loaded:
    """Load a state dict from a file into a backbone that carries no SE blocks yet.

    Names and shapes must be those of the network, except the number of classes. See
    ``read_weights`` for the files.

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
    """Return the tensors of a state dict in a file, by name.

    The file is of ``torch.save`` (nothing in it is executed) or safetensors. The state dict may be
    under the key ``state_dict`` or ``model``, and all names may begin with ``module.``.

    Raises:
        BackboneError: the file can't be read, or does not hold a state dict of tensors alone.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BackboneError(
            f"{path} holds more than tensors, and is not read, because that could run code"
        ) from error
    except Exception as error:  # each format has its own errors for files of another format
        raise BackboneError(f"{path} can't be read as weights: {explain(error)}") from error
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
    """Return the file of weights that a user asks for.

    Args:
        text: path of a file, or ``DEFAULT`` for torchvision's best weights. These are downloaded
            once, to PyTorch's folder, and checked against the hash in their name.
        backbone: name of the backbone.

    Raises:
        BackboneError: there is no such file, or torchvision has no weights for the backbone, or
            they can't be downloaded.
    """
    if text != "DEFAULT":
        path = Path(text)
        if not path.is_file():
            raise BackboneError(
                f"weights {text}: there is no such file (allowed: a file, or DEFAULT)"
            )
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
                f"the weights of {backbone} can't be downloaded from {url}: {explain(error)}; "
                f"put the file at {path}, or name it with --weights"
            ) from error
    return path


def _classifier(model: nn.Module) -> set[str]:
    """Return the names of the parameters of the network's last linear or convolutional layer."""
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
