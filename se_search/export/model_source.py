"""Writes ``model.py``: the few lines that make an exported network again."""

from __future__ import annotations

from torch.nn.parameter import is_lazy

from se_search.backbone import Backbone
from se_search.models.backbones import BACKBONES, construct, timm_name, torchvision_name
from se_search.models.names import TORCHVISION, TORCHVISION_NAMES
from se_search.models.own import is_own_name, taken_keywords
from se_search.models.own_source import read_own_source
from se_search.store.kept_weights import SUFFIX

WEIGHTS = f"model{SUFFIX}"
AUXILIARY = ("googlenet", "inception_v3")  # made without their auxiliary classifiers
TEMPLATE = '''\
"""{title}

{where}
"""

from pathlib import Path

{imports}

FOLDER = Path(__file__).parent


def make_model() -> nn.Module:
    """Return the trained network in evaluation mode: images {images} to logits {logits}.

    README.md says how images are prepared.
    """
    model = {call}
{lazy}    se_search.insert(model, se_search.read_candidate(FOLDER / "candidate.json"))
    model.load_state_dict(load_file(FOLDER / "{weights}"))
    return model.eval()


if __name__ == "__main__":
    print(make_model())
'''


def write_source(backbone: Backbone, title: str) -> str:
    """Return the text of ``model.py``.

    Args:
        backbone: of the network; with ``allow_code`` if that is the user's own.
        title: a sentence: what the network is.
    """
    line, call, where = _describe_call(backbone)
    lines = [line]
    size, channels = backbone.image_size, backbone.in_channels
    lazy = ""
    if is_own_name(backbone.name) and _has_lazy_weights(backbone):
        lazy = (
            f"    model(torch.zeros(1, {channels}, {size}, {size}))  # gives weights their shapes\n"
        )
        lines = [*lines, "import torch"]
    lines += ["import se_search", "from safetensors.torch import load_file", "from torch import nn"]
    lines.sort(key=lambda line: (not line.startswith("import"), line.split()[1].lower()))
    return TEMPLATE.format(
        title=_quote(title),
        where=_quote(where),
        imports="\n".join(lines),
        images=f"(n, {channels}, {size}, {size})",
        logits=f"(n, {backbone.num_classes})",
        call=call,
        lazy=lazy,
        weights=WEIGHTS,
    )


def _quote(text: str) -> str:
    """Return a text as it stands in a docstring."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _describe_call(backbone: Backbone) -> tuple[str, str, str]:
    """Return the import, the call that makes the plain network, and where that comes from."""
    name, channels, classes = backbone.name, backbone.in_channels, backbone.num_classes
    if is_own_name(name):
        return _describe_own(backbone)
    if name in TORCHVISION_NAMES or name.startswith(TORCHVISION):
        arch = torchvision_name(name)
        extra = ", aux_logits=False, init_weights=False" if arch in AUXILIARY else ""
        call = f'models.get_model("{arch}", weights=None, num_classes={classes}{extra})'
        return "from torchvision import models", call, "The plain network is torchvision's."
    if name in BACKBONES:
        call = f'construct("{name}", in_channels={channels}, num_classes={classes}, seed=0)'
        line = "from se_search.models.backbones import construct"
        return line, call, "The plain network is one of se-search's own."
    call = f'timm.create_model("{timm_name(name)}", num_classes={classes}, in_chans={channels})'
    return "import timm", call, "The plain network is timm's."


def _describe_own(backbone: Backbone) -> tuple[str, str, str]:
    module, _, attribute = backbone.name.partition(":")
    given = taken_keywords(
        backbone.name, backbone.in_channels, backbone.num_classes, backbone.allow_code
    )
    keywords = ", ".join(f"{key}={value}" for key, value in given.items())
    source = read_own_source(backbone.name)
    files = "" if source is None else f" ({', '.join(source.digests)})"
    where = (
        f"The plain network is made by the module {module}{files},\n"
        "which must lie beside this file or in a folder of PYTHONPATH."
    )
    return f"from {module} import {attribute.partition('.')[0]}", f"{attribute}({keywords})", where


def _has_lazy_weights(backbone: Backbone) -> bool:
    """Tell whether the first image gives the network's weights their shapes."""
    model = construct(
        backbone.name, backbone.in_channels, backbone.num_classes, 0, backbone.allow_code
    )
    return any(map(is_lazy, model.parameters()))
