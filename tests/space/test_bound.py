"""Search spaces: against the set that one gets by listing all raw points."""

import dataclasses
import random
from dataclasses import astuple
from itertools import product
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.networks import backbones, make_backbone, with_sites

from se_search.candidate import SE, Candidate, FeatureMap, Site
from se_search.config import parse_yaml
from se_search.cost import count_cost
from se_search.errors import SpaceError
from se_search.models.catalogue import default_shape, describe_backbone
from se_search.space.bound import BoundSpace, magnitude
from se_search.space.schema import SearchSpace, read_space, space_names, space_schema

SPACES = Path(__file__).parents[2] / "search_spaces"
DEFAULTS = {
    "integration": "standard",
    "kind": "se",
    "rounding": "floor",
    "squeeze": "avg",
    "gate": "sigmoid",
    "bias": False,
    "gate_init": "half",
}
AXES = (*DEFAULTS, "reduction", "width")


def described(name):
    return describe_backbone(name, *default_shape(name))


def bind(backbone, **fields):
    return BoundSpace(SearchSpace.model_validate(fields), backbone)


# --- random spaces, and what they hold by brute force ---------------------------------------


def place_names(backbone):
    """Map the names that a list of sites may hold to the sites they mean."""
    places = {}
    for index, site in enumerate(backbone.sites):
        places.setdefault(f"stage{site.stage}", []).append(index)
        places[f"stage{site.stage}.block{site.block}"] = [index]
        if site.block == 2:
            places[f"stage{site.stage}.block1-2"] = [index - 1, index]
    return places


def some_of(*values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


def draw_axis(draw, choices, block, axis, values):
    """Put some values under choices, or one under block, or none; return what the axis can be."""
    where = draw(st.sampled_from([{}, {}, choices, block]))
    where[axis] = draw(some_of(*values) if where is choices else st.sampled_from(values))
    if where is choices:
        return where[axis]
    return [block.get(axis, DEFAULTS[axis])]


@st.composite
def spaces(draw):
    """Draw a space file's content, a backbone, and the indices of the sites that are searched."""
    backbone = draw(backbones(max_blocks=2, all_integrations=True))
    choices = {"none": draw(st.booleans())}
    block = {}
    integrations = ["standard", "pre", "inner"]
    what = draw(st.sampled_from(["modifiers", "modifiers", "variants", "native"]))
    if what == "variants":
        choices["kind"] = draw(some_of("se", "ese", "eca", "ge"))
    if what == "native":  # a native block takes no modifiers
        integrations.append("native")
    if "se" in choices.get("kind", ["se"]):
        axis = draw(st.sampled_from(["reduction", "width"]))
        values = (1, 2, 4, 8, 16, 32, 64) + ("original",) * (axis == "width")
        choices[axis] = draw(some_of(*values))
    if draw(st.booleans()):
        choices["integration"] = draw(some_of(*integrations))
    if what == "modifiers":
        draw_axis(draw, choices, block, "squeeze", ("avg", "max", "none"))
        draw_axis(draw, choices, block, "gate", ("sigmoid", "hard_sigmoid"))
        biases = draw_axis(draw, choices, block, "bias", (False, True))
        openings = ("half", "double") + ("open",) * all(biases)
        draw_axis(draw, choices, block, "gate_init", openings)
    if "reduction" in choices:
        draw_axis(draw, choices, block, "rounding", ("floor", "multiple_of_8"))
    shared = draw(st.lists(st.sampled_from([a for a in AXES if a in choices]), unique=True))
    places = place_names(backbone)
    listed = draw(st.just("all") | st.lists(st.sampled_from(list(places)), min_size=1))
    names = ["stage2", "stage3", "stage4"] if listed == "all" else listed
    searched = sorted({index for name in names for index in places.get(name, [])})
    granularity = draw(st.sampled_from(["network", "stage", "block"]))
    fields = {"granularity": granularity, "sites": listed, "shared": shared}
    return {**fields, "choices": choices, "block": block}, backbone, searched


def combine(axes):
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def resolve(site, values):
    channels = site.feature_maps[values["integration"]].channels
    if values["kind"] != "se":
        width = 0
    elif values.get("width") == "original":
        width = site.native.width
    elif "width" in values:
        width = values["width"]
    elif values["rounding"] == "floor":
        width = max(1, channels // values["reduction"])
    else:
        width = make_divisible(channels / values["reduction"])
    fields = ("squeeze", "gate", "bias", "gate_init", "kind")
    return (values["integration"], width, *(values[field] for field in fields))


def make_divisible(value):
    """Round as timm's function of this name with a divisor of 8 and a round limit of 0."""
    return max(8, int(value + 4) // 8 * 8)


def raw_points(fields, backbone, searched):
    """Return the network, as a tuple of SE fields a site, of every point of the raw space."""
    axes = {axis: [value] for axis, value in (DEFAULTS | fields["block"]).items()}
    axes |= {axis: values for axis, values in fields["choices"].items() if axis != "none"}
    slot_of = {
        "network": lambda site: 0,
        "stage": lambda site: site.stage,
        "block": lambda site: (site.stage, site.block),
    }[fields["granularity"]]
    slots = list(dict.fromkeys(slot_of(backbone.sites[index]) for index in searched))
    own = combine({axis: axes[axis] for axis in axes if axis not in fields["shared"]})
    options = [None, *own] if fields["choices"]["none"] else own
    common = combine({axis: axes[axis] for axis in fields["shared"]})
    assume(len(common) * len(options) ** len(slots) <= 500)
    points = []
    for shared in common:
        for drawn in product(options, repeat=len(slots)):
            network = [None] * len(backbone.sites)
            for index in searched:
                values = drawn[slots.index(slot_of(backbone.sites[index]))]
                if values is not None:
                    network[index] = resolve(backbone.sites[index], shared | values)
            points.append(tuple(network))
    return points


@st.composite
def listed_spaces(draw):
    """Draw a bound space of at least two networks, and its raw points by brute force."""
    fields, backbone, searched = draw(spaces())
    points = raw_points(fields, backbone, searched)
    assume(len(set(points)) > 1)
    return bind(backbone, **fields), points


def as_tuples(candidate):
    return tuple(block and astuple(block) for block in candidate.blocks)


def choose_from(bound, params):
    """Return the candidate that these values of parameters make; what is missing is an error."""
    return bound.choose(lambda parameter: params[parameter.name])


def all_draws(bound):
    """Yield the candidate at the end of every way through ``choose``."""
    scripts = [()]
    while scripts:
        script = scripts.pop()
        asked = []

        def answer(parameter, script=script, asked=asked):
            asked.append(parameter)
            return script[len(asked) - 1] if len(asked) <= len(script) else parameter.choices[0]

        yield bound.choose(answer)
        for depth in range(len(script), len(asked)):
            firsts = tuple(parameter.choices[0] for parameter in asked[len(script) : depth])
            scripts += [(*script, *firsts, other) for other in asked[depth].choices[1:]]


few_examples = settings(max_examples=60)


@few_examples
@given(listed_spaces())
def test_a_space_lists_each_network_of_its_raw_points_once(listed):
    bound, points = listed
    networks = [as_tuples(candidate) for candidate in bound]
    assert len(networks) == bound.size
    assert sorted(networks, key=repr) == sorted(set(points), key=repr)


@few_examples
@given(listed_spaces())
def test_the_ways_to_draw_a_candidate_are_the_raw_points(listed):
    bound, points = listed
    assert bound.raw_size == len(points)
    drawn = [as_tuples(candidate) for candidate in all_draws(bound)]
    assert sorted(drawn, key=repr) == sorted(points, key=repr)


@few_examples
@given(listed_spaces())
def test_candidates_are_numbered_as_they_are_listed(listed):
    bound, _ = listed
    assert [bound.candidate_at(index) for index in range(bound.size)] == list(bound)


@few_examples
@given(listed_spaces())
def test_a_candidate_is_found_by_its_number_and_the_number_by_the_candidate(listed):
    bound, _ = listed
    assert [bound.index_of(candidate) for candidate in bound] == list(range(bound.size))


def spell(bound, row):
    """Make the candidate whose slots carry the levels at the positions of a row."""
    blocks = [None] * len(bound.backbone.sites)
    for slot, levels, position in zip(bound.slots, bound.levels, row, strict=True):
        for index, block in zip(slot.indices, levels[position], strict=True):
            blocks[index] = block
    return Candidate(bound.backbone, tuple(blocks))


@few_examples
@given(listed_spaces())
def test_the_codes_of_a_space_spell_its_candidates_in_order(listed):
    bound, _ = listed
    assert bound.codes().shape == (bound.size, len(bound.slots))
    assert [spell(bound, row) for row in bound.codes().tolist()] == list(bound)


@few_examples
@given(listed_spaces())
def test_what_a_space_parses_is_what_its_candidates_write(listed):
    bound, _ = listed
    assert all(bound.parse(str(candidate)) == candidate for candidate in bound)


@few_examples
@given(listed_spaces())
def test_the_parameters_of_a_candidate_are_the_choices_that_make_it(listed):
    bound, _ = listed
    assert all(choose_from(bound, bound.encode(each)) == each for each in bound)


@few_examples
@given(listed_spaces())
def test_encoding_gives_parameters_of_the_space_with_values_they_can_take(listed):
    bound, _ = listed
    choices = {parameter.name: parameter.choices for parameter in bound.parameters}
    for candidate in bound:
        for name, value in bound.encode(candidate).items():
            assert value in choices[name]


@few_examples
@given(listed_spaces())
def test_a_candidate_is_in_a_space_if_a_raw_point_stands_for_it(listed):
    bound, points = listed
    networks = set(points)
    seen = [
        sorted({*values, None, astuple(SE("standard", 3))}, key=repr)
        for values in zip(*points, strict=True)
    ]
    draw = random.Random(0)
    for _ in range(30):
        network = tuple(draw.choice(values) for values in seen)
        candidate = Candidate(bound.backbone, tuple(block and SE(*block) for block in network))
        assert (candidate in bound) == (network in networks)


def added_params(candidate):
    """Count ``2 * C * w`` weights and ``w + C`` biases for each block, and ``C**2 + C`` for ESE."""
    total = 0
    for site, block in zip(candidate.backbone.sites, candidate.blocks, strict=True):
        if block is not None:
            channels = site.feature_maps[block.integration].channels
            total += 2 * channels * block.width + block.bias * (block.width + channels)
            total += (block.kind == "ese") * (channels * channels + channels)
    return total


@few_examples
@given(listed_spaces())
def test_the_extreme_prices_are_those_of_the_listed_candidates(listed):
    bound, points = listed
    prices = [
        added_params(Candidate(bound.backbone, tuple(block and SE(*block) for block in network)))
        for network in set(points)
    ]
    low, high = bound.price_extremes(lambda candidate: (added_params(candidate),))
    assert (low.tolist(), high.tolist()) == ([min(prices)], [max(prices)])


def num_blocks(candidate):
    return sum(block is not None for block in candidate.blocks)


@few_examples
@given(listed_spaces())
def test_prices_that_add_up_are_those_of_the_candidates_one_by_one(listed):
    bound, _ = listed
    prices = bound.price_codes(
        bound.codes(), lambda candidate: (added_params(candidate), num_blocks(candidate))
    )
    assert prices.tolist() == [[added_params(each), num_blocks(each)] for each in bound]


# --- order, parameters, what is asked for ---------------------------------------------------

TINY = make_backbone([8], [16, 16], [32])
SHARED = {
    "choices": {"integration": ["standard", "pre"], "reduction": [2, 4]},
    "shared": ["integration"],
}


def test_candidates_count_up_with_none_first_and_the_last_slot_fastest():
    bound = bind(TINY, choices={"reduction": [8, 4]})
    texts = [
        "/".join(["tiny", *(f"stage{s}=standard:{w}" for s, w in zip("234", widths) if w)])  # noqa: B905  # a test of three stages
        for widths in product([0, 1, 2], [0, 2, 4], [0, 4, 8])
    ]
    assert [str(candidate) for candidate in bound] == texts


def test_every_block_of_a_slot_carries_the_same_choice():
    bound = bind(TINY, granularity="stage", sites=["stage3"], choices={"width": [2]})
    assert [str(candidate) for candidate in bound] == ["tiny", "tiny/stage3=standard:2"]


def test_a_site_that_two_names_list_is_searched_once():
    bound = bind(TINY, sites=["stage3", "stage3.block1", "stage3"], choices={"width": [2]})
    assert bound.size == 2


def test_a_choice_without_none_puts_se_at_every_site():
    bound = bind(TINY, choices={"none": False, "width": [2, 3]})
    assert bound.size == 2**3
    assert all(None not in candidate.blocks for candidate in bound)


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        (
            {"choices": {"width": [2]}, "sites": ["stage2", "stage4"]},
            {"stage2.se": ("none", "on"), "stage4.se": ("none", "on")},
        ),
        (
            {"choices": {"width": [2, 3], "bias": [False, True]}, "granularity": "network"},
            {"network.width": ("none", 2, 3), "network.bias": (False, True)},
        ),
        (
            {"choices": {"width": [2, 3], "none": False}, "granularity": "block"},
            {f"stage{place}.width": (2, 3) for place in ("2.block1", "3.block1", "3.block2")}
            | {"stage4.block1.width": (2, 3)},
        ),
        (
            SHARED | {"sites": ["stage2"]},
            {"integration": ("standard", "pre"), "stage2.reduction": ("none", 2, 4)},
        ),
        (
            {"choices": {"width": [2, 3]}, "shared": ["width"], "sites": ["stage2"]},
            {"width": (2, 3), "stage2.se": ("none", "on")},
        ),
        # A squeeze "none" is not the "none" of no SE at all.
        (
            {"choices": {"width": [2], "squeeze": ["avg", "none"]}, "sites": ["stage2"]},
            {"stage2.se": ("none", "on"), "stage2.squeeze": ("avg", "none")},
        ),
        (
            {
                "choices": {"none": False, "width": [2], "squeeze": ["avg", "none"]},
                "sites": ["stage2"],
            },
            {"stage2.squeeze": ("avg", "none")},
        ),
        (
            {"choices": {"kind": ["se", "eca"], "width": [2, "original"]}, "sites": ["stage2"]},
            {"stage2.kind": ("none", "se", "eca"), "stage2.width": (2, "original")},
        ),
    ],
)
def test_the_parameters_are_the_axes_with_more_than_one_value(fields, parameters):
    bound = bind(TINY, **fields)
    assert {parameter.name: parameter.choices for parameter in bound.parameters} == parameters


def test_only_parameters_that_matter_are_asked_for():
    bound = bind(TINY, choices={"integration": ["standard", "pre"], "reduction": [2, 4]})
    answers = {
        "stage2.integration": "none",
        "stage3.integration": "pre",
        "stage3.reduction": 4,
        "stage4.integration": "none",
    }
    asked = []

    def choose(parameter):
        asked.append(parameter.name)
        return answers[parameter.name]

    assert str(bound.choose(choose)) == "tiny/stage3=pre:4"
    assert asked == list(answers)


def test_a_shared_parameter_is_asked_for_once_and_first():
    asked = []

    def choose(parameter):
        asked.append(parameter.name)
        return parameter.choices[-1]

    assert str(bind(TINY, **SHARED).choose(choose)) == (
        "tiny/stage2=pre:2/stage3=pre:4/stage4=pre:8"
    )
    assert asked == ["integration", "stage2.reduction", "stage3.reduction", "stage4.reduction"]


def test_parameters_that_do_not_matter_are_not_spelled():
    bound = bind(TINY, choices={"integration": ["standard", "pre"], "reduction": [2, 4]})
    params = {f"stage{stage}.integration": "none" for stage in (2, 3, 4)}
    assert bound.encode(Candidate.plain(TINY)) == params
    assert choose_from(bound, params) == Candidate.plain(TINY)


@pytest.mark.parametrize(
    "text",
    [
        "tiny/stage2=standard:3",
        "tiny/stage3.block1=standard:4",
        "tiny/stage2=pre:2/stage3=standard:4",
        "tiny/stage2=standard:2+bias",
    ],
)
def test_a_candidate_outside_the_space_is_refused_by_its_text(text):
    bound, candidate = bind(TINY, **SHARED), Candidate.parse(text, TINY)
    for look_up in (bound.encode, bound.index_of):
        with pytest.raises(SpaceError, match=rf"{text.replace('+', '.')} is not in the space"):
            look_up(candidate)


@pytest.mark.parametrize(
    "thing", ["tiny", None, Candidate.plain(make_backbone([8], [16, 16], [32], name="other"))]
)
def test_only_candidates_of_the_backbone_are_in_a_space(thing):
    assert thing not in bind(TINY, **SHARED)


def test_a_candidate_of_another_backbone_has_no_number():
    other = Candidate.plain(make_backbone([8], [16, 16], [32], name="other"))
    with pytest.raises(SpaceError, match="other is not in the space"):
        bind(TINY, **SHARED).index_of(other)


@pytest.mark.parametrize("index", [-1, 27, 10**30])
def test_an_index_beyond_the_size_is_refused(index):
    bound = bind(TINY, choices={"reduction": [8, 4]})
    with pytest.raises(IndexError, match=rf"candidate {index} is not in 0\.\.26"):
        bound.candidate_at(index)


def test_a_huge_space_is_counted_to_the_last_candidate():
    bound = BoundSpace(read_space("blocks"), described("resnet152"))
    assert bound.size == bound.raw_size == 2**50
    assert str(bound.candidate_at(2**50 - 1)) == (
        "resnet152/stage2=standard:16/stage3=standard:32/stage4=standard:64/stage5=standard:128"
    )
    assert bound.index_of(bound.candidate_at(2**50 - 1)) == 2**50 - 1
    assert str(bound.candidate_at(1)) == "resnet152/stage5.block3=standard:128"
    assert bound.candidate_at(0) == Candidate.plain(bound.backbone)


# --- the spaces that come with the package --------------------------------------------------

NUM_SITES = {  # He et al. 2016, table 1; the ResNeXts and wide ResNets have the same blocks
    "resnet20_bottleneck": 6,
    "resnet18": 8,
    "resnet34": 16,
    "resnet50": 16,
    "resnet101": 33,
    "resnet152": 50,
    "resnext50_32x4d": 16,
    "resnext101_32x8d": 33,
    "resnext101_64x4d": 33,
    "wide_resnet50_2": 16,
    "wide_resnet101_2": 33,
}


def test_the_shipped_spaces_are_the_files_of_the_folder():
    assert space_names() == sorted(path.stem for path in SPACES.glob("*.yaml"))
    assert len(space_names()) == 11


@pytest.mark.parametrize("backbone", NUM_SITES)
def test_the_shipped_spaces_have_the_sizes_that_their_choices_multiply_to(backbone):
    names = [name for name in space_names() if name != "native"]
    sizes = {name: BoundSpace(read_space(name), described(backbone)).size for name in names}
    assert sizes == {
        "stages": 2**4,
        "stages_ratio": 5**4,
        "reduction": 1 + 5,
        "integration": 1 + 5,
        "squeeze": 1 + 5,
        "gate": 1 + 4,
        "variants": 1 + 4,
        "blocks": 2 ** NUM_SITES[backbone],
        "fc_width": 7**4,
        # r = 4 on 2 channels is r = 2 on them, and so on: stage 2 has 5 + 5 + 5 + 3 + 3 blocks
        # (pre and inner on 8 channels), stage 3 has one less (inner on 16), stages 4 and 5 all 25.
        "full": 22 * 25 * 26**2 if backbone == "resnet20_bottleneck" else 26**4,
    }


@pytest.mark.parametrize(
    ("name", "size"),
    [("stages", 16), ("stages_ratio", 625), ("reduction", 6), ("integration", 6), ("blocks", 64)],
)
def test_the_shipped_spaces_list_as_many_candidates_as_they_count(name, size):
    assert len(set(BoundSpace(read_space(name), described("resnet20_bottleneck")))) == size


def test_the_raw_points_of_the_full_space_repeat_networks_of_the_default_backbone():
    assert BoundSpace(read_space("full"), described("resnet20_bottleneck")).raw_size == 26**4


def test_stages_on_resnet50_holds_se_everywhere_and_se_without_the_last_stage():
    added = {
        count_cost(candidate).added_params: str(candidate)
        for candidate in BoundSpace(read_space("stages"), described("resnet50"))
    }
    everywhere = "resnet50/stage2=standard:16/stage3=standard:32/stage4=standard:64"
    assert added[2_514_944] == f"{everywhere}/stage5=standard:128"  # Hu et al. 2019, sec. 4
    assert added[942_080] == everywhere


def test_native_asks_of_each_se_block_that_a_network_came_with_whether_it_is_needed():
    sites = make_backbone([8], [16, 16], [32]).sites
    some = with_sites([sites[0], dataclasses.replace(sites[1], native=None), *sites[2:]])
    bound = BoundSpace(read_space("native"), some)
    assert bound.size == 2**3
    assert str(bound.candidate_at(7)) == (
        "tiny/stage2=native:2/stage3.block2=native:4/stage4=native:8"
    )
    assert bound.candidate_at(0) == Candidate.plain(some)


def test_native_does_not_fit_a_network_that_came_without_se():
    with pytest.raises(SpaceError, match="does not fit resnet50: it came without SE"):
        BoundSpace(read_space("native"), described("resnet50"))


def test_a_multiple_of_8_makes_the_seresnet18_of_timm_and_the_whole_part_its_legacy_one():
    params = {}
    for rounding in ("floor", "multiple_of_8"):
        choices = {"reduction": [16], "none": True}
        block = {"rounding": rounding, "bias": True}
        bound = bind(described("resnet18"), granularity="network", choices=choices, block=block)
        params[rounding] = count_cost(bound.candidate_at(1)).params
    assert params == {"floor": 11_778_592, "multiple_of_8": 11_779_624}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("squeeze", ["", "+max", "+avgmax", "+std", "+none"]),
        ("gate", ["", "+hard_sigmoid", "+tanh", "+relu"]),
    ],
)
def test_a_space_of_modifiers_is_the_usual_block_and_each_modified_one(name, texts):
    backbone = described("resnet50")
    everywhere = [f"resnet50/all=standard:r16{text}" for text in texts]
    assert list(BoundSpace(read_space(name), backbone)) == [
        Candidate.parse(text, backbone) for text in ["resnet50", *everywhere]
    ]


def test_the_variants_of_se_are_one_network_each_whatever_the_reductions():
    backbone = described("resnet50")
    choices = {"kind": ["se", "ese", "eca", "ge"], "reduction": [4, 16]}
    bound = bind(backbone, granularity="network", choices=choices)
    assert (bound.raw_size, bound.size) == (1 + 4 * 2, 1 + 2 + 3)
    everywhere = [f"resnet50/all=standard:{what}" for what in ("r16", "ese", "eca", "ge")]
    assert list(BoundSpace(read_space("variants"), backbone)) == [
        Candidate.parse(text, backbone) for text in ["resnet50", *everywhere]
    ]


@pytest.mark.parametrize("name", ["stages", "reduction", "integration", "blocks", "fc_width"])
def test_the_plain_backbone_is_the_first_candidate_of_a_shipped_space(name):
    bound = BoundSpace(read_space(name), described("resnet50"))
    assert bound.candidate_at(0) == Candidate.plain(bound.backbone)


def test_the_schema_for_editors_is_up_to_date():
    assert (SPACES / "schema.json").read_text(encoding="utf-8") == space_schema()


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_space_names_its_schema_and_describes_itself(path):
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first == "# yaml-language-server: $schema=schema.json"
    assert second.startswith("description: ")


# --- what is refused ------------------------------------------------------------------------

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
        (GOOD + "sites:\n  - 2", 5, "sites.0: ", "a valid string, not 2"),
        (GOOD + "shared: [ratio]", 4, "shared.0: ", "'integration', 'kind', 'reduction'"),
        (GOOD + "  integration:\n  - outer", 5, "choices.integration.0", "'standard', 'pre'"),
        (GOOD + "  gate: [soft]", 4, "choices.gate.0", "'sigmoid', 'hard_sigmoid', 'tanh'"),
        (GOOD + "  bias: [perhaps]", 4, "choices.bias.0", "a valid boolean"),
        (GOOD + "  bias: []", 4, "choices.bias: ", "at least one value, and none twice"),
        (GOOD + "  squeeze: [avg, avg]", 4, "choices.squeeze: ", "none twice"),
        (GOOD + "  width: [16]", 2, "choices: ", "either reduction or width"),
        ("choices:\n  none: true", 1, "choices: ", "either reduction or width"),
        ("granularity: stage", 1, "choices: ", "required"),
        (GOOD + "limits: {added_params: 0}", 4, "limits.added_params: ", "greater than 0, not 0"),
        ("choices:\n  kind: [eca]\n  width: [2]", 1, "choices: ", "neither reduction nor width"),
        (GOOD + "  kind: [cbam]", 4, "choices.kind.0", "'se', 'ese', 'eca' or 'ge'"),
        ("choices:\n  width: [own]", 2, "choices.width.0", "integer, or original, not 'own'"),
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


def test_an_original_width_is_of_a_site_that_came_with_se():
    sites = make_backbone([8], [16]).sites
    backbone = with_sites([sites[0], dataclasses.replace(sites[1], native=None)])
    choices = {"integration": ["standard", "native"], "width": ["original", 2]}
    with pytest.raises(SpaceError, match=r"tiny: stage3.block1 came without an SE block.*original"):
        bind(backbone, choices=choices)
    bound = bind(backbone, sites="native", choices=choices)  # the original width is 2 itself
    assert [str(candidate) for candidate in bound] == [
        "tiny",
        "tiny/stage2=standard:2",
        "tiny/stage2=native:2",
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sites": ["stage9"]}, "does not fit tiny: .*'stage9'; it has stage2, stage3, stage4"),
        ({"sites": ["stage2", "stage3.block7"]}, "does not fit tiny: .*'stage3.block7'"),
        ({"sites": []}, "sites: the list is empty"),
        ({"choices": {"width": [2], "none": False}}, "leaves nothing to choose on tiny"),
        # All of these are a width of 1 on 8 channels.
        (
            {"choices": {"reduction": [8, 16, 32], "none": False}, "sites": ["stage2"]},
            "leaves nothing to choose on tiny",
        ),
    ],
)
def test_a_space_that_does_not_fit_its_backbone_is_refused(fields, message):
    with pytest.raises(SpaceError, match=message):
        bind(TINY, **({"choices": {"width": [2]}} | fields))


def test_an_integration_that_a_searched_site_has_not_is_refused():
    maps = {"pre": FeatureMap(8, 9)}
    backbone = with_sites([Site(2, 1, maps), Site(2, 2, maps | {"post": FeatureMap(8, 9)})])
    choices = {"integration": ["pre", "post"], "width": [2]}
    with pytest.raises(SpaceError, match=r"stage2.block1 has no integration 'post' \(it has pre\)"):
        bind(backbone, choices=choices)
    assert bind(backbone, sites=["stage2.block2"], choices=choices).size == 3


def test_a_space_file_is_read_by_its_path(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(GOOD)
    assert read_space(str(path)) == SearchSpace.model_validate({"choices": {"reduction": [16]}})


def test_a_space_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(SpaceError) as caught:
        read_space(str(tmp_path / "own.yaml"))
    assert "own.yaml' is neither a file nor one of blocks, fc_width, full" in str(caught.value)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (625, "625"),
        (371_800, "371,800"),
        (9_999_999, "9,999,999"),
        (10**7, "about 10^7.0"),
        (2**50, "about 10^15.1"),
        (10**400, "about 10^400.0"),
    ],
)
def test_a_large_count_is_written_in_powers_of_ten(count, text):
    assert magnitude(count) == text
