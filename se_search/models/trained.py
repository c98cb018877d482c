"""Packs the weights of a trained network into bytes, and loads them into its candidate's."""

from __future__ import annotations

from safetensors.torch import load, save
from torch import Tensor, nn

from se_search.candidate import Candidate
from se_search.errors import BackboneError
from se_search.models.surgery import build


def pack_weights(model: nn.Module) -> bytes:
    """Return the state dict of a network as safetensors, its tensors channels first.

    A tensor that stands under several names, as of a module in several places, is packed under each
    of them.

    Raises:
        BackboneError: the state holds something else than tensors.
    """
    packed: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise BackboneError(
                f"the state of this {type(model).__name__} has {name}, a {type(value).__name__}; "
                "only tensors are kept"
            )
        tensor = value.detach().to("cpu").contiguous()
        address = tensor.untyped_storage().data_ptr()
        packed[name] = tensor.clone() if address in seen else tensor
        seen.add(address)
    return save(packed)


def load_trained(candidate: Candidate, content: bytes) -> nn.Module:
    """Return the network of a candidate with trained weights, in evaluation mode, on the CPU.

    Args:
        candidate: of which the weights are.
        content: what ``pack_weights`` returned, with or without metadata.

    Raises:
        BackboneError: the weights do not fit the candidate's network.
    """
    model = build(candidate, seed=0)
    try:
        model.load_state_dict(load(content))
    except RuntimeError as error:
        raise BackboneError(f"the weights do not fit {candidate.placement}: {error}") from error
    return model.eval()
