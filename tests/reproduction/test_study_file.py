"""Studies: what their files may say, and that the shipped ones fit the backbones they name."""

from pathlib import Path

import pytest

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import StudyFileError
from se_search.models.catalogue import describe_backbone
from se_search.reproduction.plan import parse_candidates, parse_claims
from se_search.reproduction.rows import paper_gap
from se_search.reproduction.study_file import (
    find_study,
    read_scale_recipe,
    read_study,
    study_names,
)

GOOD = """
title: A study
question: Is it so?
baseline: none
candidates: {none: all=none, all: all=standard:r16}
paper: {source: none, network: none}
claims: [all beats none]
scales:
  small: {backbone: resnet20_bottleneck, data: fashion_mnist, recipe: quick, replicates: 2}
"""


def read(tmp_path: Path, text: str):
    (tmp_path / "study.yaml").write_text(text)
    return read_study(find_study(str(tmp_path)))


def test_every_study_of_the_issue_is_shipped():
    assert study_names() == [
        "drop_last_stage",
        "gate",
        "inner",
        "integration",
        "mobilenet",
        "no_squeeze",
        "reduction",
        "squeeze_operator",
        "stages",
    ]


@pytest.mark.parametrize("name", study_names())
@pytest.mark.parametrize(
    ("scale", "image_size", "num_classes", "channels"),
    [("desk", 28, 10, 1), ("gpu", 28, 10, 1), ("paper", 224, 1000, 3)],
)
def test_shipped_studies_can_be_carried_out_at_every_scale(
    name, scale, image_size, num_classes, channels
):
    file = find_study(name)
    study = read_study(file)
    chosen = study.scales[scale]
    backbone = describe_backbone(chosen.backbone, channels, image_size, num_classes)
    candidates = parse_candidates(study, backbone)
    assert len({candidate.key for candidate in candidates.values()}) == len(candidates)
    assert parse_claims(study, file)
    assert read_scale_recipe(chosen, file.parent).split.validation in (10_000, 50_000)
    assert chosen.replicates >= 9


@pytest.mark.parametrize("name", study_names())
def test_candidates_have_the_parameters_that_the_paper_prints(name):
    """In millions, with the running statistics of batch norms, as it counts."""
    study = read_study(find_study(name))
    backbone = describe_backbone(study.scales["paper"].backbone, 3, 224, 1000)
    statistics = {"resnet50_v1": 53_120, "mobilenetv1_100": 21_888}[backbone.name]
    for title, figures in study.paper.figures.items():
        if figures.params is not None:
            text = f"{backbone.name}/{study.candidates[title]}"
            params = count_cost(Candidate.parse(text, backbone)).params + statistics
            assert params / 1e6 == pytest.approx(float(figures.params.rstrip("M")), abs=0.061)


@pytest.mark.parametrize("name", sorted({*study_names()} - {"mobilenet"}))
def test_the_paper_gives_the_same_errors_for_the_same_network_in_every_study(name):
    figures = read_study(find_study(name)).paper.figures
    # Hu et al., v4, tables 10, 13 and 16: ResNet-50 of the ablations.
    assert (figures["none"].top1_error, figures["none"].top5_error) == (23.30, 6.55)
    for same in {"all", "r16", "avg", "sigmoid", "standard", "se"} & set(figures):
        assert (figures[same].top1_error, figures[same].top5_error) == (22.28, 6.03)


def test_the_paper_finds_its_largest_gain_in_mobilenet():
    """Table 3 has 3.1 points; no other network of its tables 2 to 5 and 10 to 16 gains as much."""
    study = read_study(find_study("mobilenet"))
    (claim,) = [each for each in parse_claims(study, Path()) if str(each) == "all beats none"]
    assert paper_gap(claim, study) == pytest.approx(3.1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("baseline: none", "baseline: nothing", "'nothing' is not one of the candidates none, all"),
        ("[all beats none]", "[all beats some]", "'some' is not one of none, all"),
        ("[all beats none]", "[all is better]", "all is better"),
        ("replicates: 2", "replicates: 1", "replicates"),
        ("replicates: 2", "replicates: 21", "replicates"),
        ("question:", "quest:", "unknown key 'quest'"),
    ],
)
def test_what_is_wrong_in_a_study_is_named(tmp_path, old, new, message):
    with pytest.raises(StudyFileError, match=message):
        parse_claims(read(tmp_path, GOOD.replace(old, new)), tmp_path / "study.yaml")


def test_a_study_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(StudyFileError, match="drop_last_stage, gate"):
        find_study(str(tmp_path / "nothing"))
