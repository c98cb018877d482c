"""Space files: what they may say, and mistakes are named with their line."""

import pytest

from se_search.config import parse_yaml
from se_search.errors import SpaceError
from se_search.space.schema import SearchSpace, read_space

GOOD = "granularity: stage\nchoices:\n  reduction: [16]\n"


def refusal(text):
    with pytest.raises(SpaceError) as caught:
        parse_yaml(text, SearchSpace, SpaceError, name="space.yaml")
    return str(caught.value)


def test_the_smallest_space_file_is_its_choices():
    space = parse_yaml("choices: {width: [4]}", SearchSpace, SpaceError, name="space.yaml")
    assert space == SearchSpace.model_validate(
        {
            "description": "",
            "granularity": "stage",
            "sites": "all",
            "choices": {"none": True, "integration": ["standard"], "width": [4]},
            "shared": [],
            "block": {"squeeze": "avg", "gate": "sigmoid", "bias": False, "gate_init": "half"},
            "limits": {},
        }
    )


@pytest.mark.parametrize(
    ("text", "line", "named", "allowed"),
    [
        (GOOD + "sights: all", 4, "unknown key 'sights'", "granularity, sites, choices, shared"),
        (
            GOOD + "  ratio: [2]",
            4,
            "unknown key 'choices.ratio'",
            "none, integration, kind, reduction",
        ),
        (GOOD + "block:\n  width: 2", 5, "unknown key 'block.width'", "squeeze, gate, bias"),
        (GOOD + "limits: {flops: 2}", 4, "unknown key 'limits.flops'", "added_params, added_macs"),
        (GOOD.replace("stage", "site"), 1, "granularity: ", "'network', 'stage' or 'block'"),
        (GOOD + "sites: stage2", 4, "sites: ", "'all' or 'native', not 'stage2'"),
        (GOOD + "sites:\n  - 2", 5, "sites.0: ", "must be a text, not 2"),
        (GOOD + "shared: [ratio]", 4, "shared.0: ", "'integration', 'kind', 'reduction'"),
        (GOOD + "  integration:\n  - outer", 5, "choices.integration.0", "'standard', 'pre'"),
        (GOOD + "  gate: [soft]", 4, "choices.gate.0", "'sigmoid', 'hard_sigmoid', 'tanh'"),
        (GOOD + "  bias: [perhaps]", 4, "choices.bias.0", "must be true or false, not 'perhaps'"),
        (GOOD + "  bias: []", 4, "choices.bias: ", "at least one value, and none twice"),
        (GOOD + "  squeeze: [avg, avg]", 4, "choices.squeeze: ", "none twice"),
        (GOOD + "  width: [16]", 2, "choices: ", "either reduction or width"),
        ("choices:\n  none: true", 1, "choices: ", "either reduction or width"),
        ("granularity: stage", 1, "choices: ", "required"),
        (GOOD + "limits: {added_params: 0}", 4, "limits.added_params: ", "must be above 0, not 0"),
        ("choices:\n  kind: [eca]\n  width: [2]", 1, "choices: ", "neither reduction nor width"),
        (GOOD + "  kind: [cbam]", 4, "choices.kind.0", "'se', 'ese', 'eca' or 'ge'"),
        (
            "choices:\n  width: [own]",
            2,
            "choices.width.0",
            "integer of at most 999999999, or original, not 'own'",
        ),
        ("choices:\n  width: [1000000000]", 2, "choices.width.0", "at most 999999999, or original"),
        (
            GOOD.replace("16", str(10**20)),
            3,
            "choices.reduction.0",
            "must be at most 999999999",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_is_allowed(text, line, named, allowed):
    message = refusal(text)
    assert f"space.yaml:{line}: {named}" in message
    assert allowed in message


@pytest.mark.parametrize("axis", ["reduction", "width"])
@pytest.mark.parametrize("value", ["0", "-1", "a", "true", "1.5", "2.0", "null", "'16'", "[4]"])
def test_a_reduction_or_a_width_is_a_positive_integer(axis, value):
    message = refusal(f"granularity: block\nchoices:\n  {axis}:\n    - 16\n    - {value}\n")
    assert message.startswith(f"space.yaml:5: choices.{axis}.1: ")


@pytest.mark.parametrize("values", ["[]", "[16, 4, 16]", "16", "'16'"])
def test_reductions_are_a_list_without_repeats(values):
    message = refusal(f"choices:\n  reduction: {values}\n")
    assert message.startswith("space.yaml:2: choices.reduction: ")


@pytest.mark.parametrize("axis", ["width", "squeeze", "gate", "bias"])
def test_a_shared_axis_must_be_one_of_the_choices(axis):
    assert f"shared axis '{axis}' is not listed under choices" in refusal(
        GOOD + f"shared: [{axis}]"
    )


@pytest.mark.parametrize("axis", ["squeeze: avg", "gate: sigmoid", "bias: false"])
def test_an_axis_stands_under_block_or_under_choices(axis):
    name, value = axis.split(": ")
    message = refusal(GOOD + f"  {name}: [{value}]\nblock: {{{axis}}}")
    assert f"{name} stands under block and under choices" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD + "  gate_init: [half, open]", "'open' is set by the last layer's bias"),
        (GOOD + "  bias: [true, false]\nblock: {gate_init: open}", "it needs bias"),
        (GOOD + "  gate: [sigmoid, tanh]\nblock: {gate_init: double}", "not 'tanh'"),
        (
            GOOD + "  kind: [se, eca]\nblock: {bias: true}",
            "'eca' has a fixed design: it takes",
        ),
        (GOOD + "  kind: [se, ge]\n  squeeze: [avg, max]", "it takes no max"),
        (GOOD + "  integration: [native]\n  gate: [tanh]", "own design: it takes no tanh"),
        (GOOD + "  integration: [native]\n  kind: [se, ge]", "not that of kind 'ge'"),
    ],
)
def test_choices_that_combine_to_no_block_are_refused_with_the_reason(text, reason):
    message = refusal(text)
    assert "some of the choices can't be combined: " in message
    assert reason in message


@pytest.mark.parametrize(
    "where", ["choices: {width: [2], rounding: [floor]}", "block: {rounding: floor}"]
)
def test_widths_as_they_are_have_no_rounding(where):
    text = where if where.startswith("choices") else "choices: {width: [2]}\n" + where
    assert "rounding needs a reduction, and choices lists none" in refusal(text)


def test_a_space_file_is_read_by_its_path(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(GOOD)
    assert read_space(str(path)) == SearchSpace.model_validate({"choices": {"reduction": [16]}})


def test_a_space_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(SpaceError) as caught:
        read_space(str(tmp_path / "own.yaml"))
    assert "own.yaml' is neither a file nor one of blocks, fc_width, full" in str(caught.value)
