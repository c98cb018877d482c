"""What a network lacks in which no sites are found, and the draft of a file of sites."""

import pytest

from se_search.errors import BackboneError
from se_search.models.catalogue import describe_backbone

pytest.importorskip("timm")


def refusal(name, size):
    with pytest.raises(BackboneError) as caught:
        describe_backbone(name, 3, size, 10)
    return str(caught.value)


def test_the_draft_is_a_file_with_which_the_network_is_described(tmp_path):
    sentence, _, draft = refusal("alexnet", 64).partition("\n")
    assert "5 convolutions, but no module adds a branch" in sentence
    assert sentence.endswith("delete the lines where no SE may go:")
    file = tmp_path / "sites.yaml"
    file.write_text(draft)
    backbone = describe_backbone("alexnet", 3, 64, 10, sites=file)
    shapes = [f"{site.feature_maps['standard'].channels}" for site in backbone.sites]
    assert shapes == [line.rpartition("# ")[2].split(" x ")[0] for line in draft.splitlines()[1:]]
    assert len(backbone.sites) > 3


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("swin_t", 32, r"features \(1, 8, 8, 96\), first in features.1.0 \(SwinTransformerBlock\)"),
        ("vit_tiny_patch16_224", 224, r"features \(1, 197, 192\), first in blocks.0 \(Block\)"),
    ],
)
def test_features_with_channels_last_are_refused_by_name(name, size, message):
    with pytest.raises(BackboneError, match=message):
        describe_backbone(name, 3, size, 10)


def test_a_branch_that_ends_with_a_function_is_explained():
    with pytest.raises(BackboneError, match=r"units.0 \(ActivatedUnit\) joins .* ends with a func"):
        describe_backbone("support.own_networks:EndsWithAFunction", 3, 16, 10, allow_code=True)


def test_a_draft_has_few_lines():
    assert len(refusal("swin_t", 32).splitlines()) <= 20
