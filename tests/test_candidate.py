"""Candidates: one value, one text and one key for one network."""

import dataclasses
import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import backbones, candidates, make_backbone, with_sites

from se_search.backbone import FeatureMap, NativeSE, Site, find_sites
from se_search.candidate import SE, Candidate, eca_kernel, name_backbone, squeeze_width
from se_search.errors import CandidateError

# Sites: stage2.block1, stage3.block1-4, stage4.block1-2.
TINY = make_backbone([8], [16, 16, 16, 16], [32, 64])


def parse(text, backbone=TINY):
    return Candidate.parse(text, backbone)


def carrying(**blocks):
    """Return the candidate that carries SE at these sites, given as ``s3_2=SE(...)``."""
    names = [f"s{site.stage}_{site.block}" for site in TINY.sites]
    assert set(blocks) <= set(names)
    return Candidate(TINY, tuple(blocks.get(name) for name in names))


@given(candidates())
def test_the_text_form_parses_back_to_the_candidate(candidate):
    assert Candidate.parse(str(candidate), candidate.backbone) == candidate


ONE_BACKBONE = st.shared(backbones(), key="one backbone")


@given(candidates(ONE_BACKBONE), candidates(ONE_BACKBONE))
def test_two_candidates_of_a_backbone_have_two_placements(one, other):
    assert (one.placement == other.placement) == (one.blocks == other.blocks)


@given(candidates())
def test_a_candidate_survives_pickling_with_its_hash(candidate):
    copy = pickle.loads(pickle.dumps(candidate))
    assert copy == candidate
    assert hash(copy) == hash(candidate)
    assert copy.key == candidate.key


@pytest.mark.parametrize(
    ("text", "key"),  # printf %s TEXT | sha256sum | cut -c1-12
    [
        ("tiny", "8950abfda7b7"),
        ("tiny/stage2=standard:4", "76f380463d5c"),
        ("tiny/stage3.block2-4=pre:2+max+tanh+bias", "7eff5ec3a5b1"),
        ("tiny/stage2=standard:16+none+hard_sigmoid+bias+open", "38d55a814e88"),
        ("tiny/stage2=standard:eca/stage3=pre:ese", "cab758dcaa2f"),
    ],
)
def test_a_key_is_the_start_of_the_texts_sha256(text, key):
    assert parse(text).key == key == hashlib.sha256(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("tiny/all=none", "tiny"),
        (" tiny\n", "tiny"),
        ("tiny/stage3=standard:r8", "tiny/stage3=standard:2"),
        ("tiny/stage3=standard:r32", "tiny/stage3=standard:r64"),
        ("tiny/stage3.block1-4=pre:2", "tiny/stage3=pre:2"),
        ("tiny/stage4.block2=pre:2/stage4.block1=pre:2", "tiny/stage4=pre:2"),
        ("tiny/stage2=pre:2/stage3=pre:2/stage4=pre:2", "tiny/all=pre:2"),
        ("tiny/stage2=pre:2+avg+sigmoid", "tiny/stage2=pre:2"),
        ("tiny/stage2=pre:2+bias+tanh+max", "tiny/stage2=pre:2+max+tanh+bias"),
        ("tiny/stage2=pre:2+double+std", "tiny/stage2=pre:2+std+double"),
        ("tiny/stage2=pre:eca+avg", "tiny/stage2=pre:eca"),
        ("tiny/stage2=pre:02", "tiny/stage2=pre:2"),
        ("tiny/all=post:4/all=none", "tiny"),
    ],
)
def test_two_spellings_of_one_network_have_one_text_and_one_key(text, other):
    assert parse(text) == parse(other)
    assert str(parse(text)) == str(parse(other))
    assert parse(text).key == parse(other).key
    assert len({parse(text), parse(other)}) == 1


def test_the_same_blocks_in_another_backbone_are_another_candidate():
    other = make_backbone([8], [16, 16, 16, 16], [32, 64], name="other")
    assert parse("tiny/stage2=pre:2") != parse("other/stage2=pre:2", other)


@pytest.mark.parametrize("change", [{"image_size": 24}, {"sites": make_backbone([16]).sites}])
def test_a_backbone_for_other_images_or_with_other_sites_is_another_backbone(change):
    backbone = make_backbone([8])
    assert Candidate.plain(dataclasses.replace(backbone, **change)) != Candidate.plain(backbone)


def test_the_text_form_joins_what_a_stage_shares_and_what_neighbours_share():
    block = SE("pre", 2)
    candidate = carrying(s2_1=block, s3_1=block, s3_3=block, s3_4=block, s4_2=SE("pre", 3))
    assert str(candidate) == (
        "tiny/stage2=pre:2/stage3.block1=pre:2/stage3.block3-4=pre:2/stage4.block2=pre:3"
    )


def test_the_text_form_never_joins_two_stages():
    assert str(parse("tiny/all=pre:2")) == "tiny/stage2=pre:2/stage3=pre:2/stage4=pre:2"


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("tiny", "no SE"),
        ("tiny/stage2=standard:16", "s2:16"),
        (
            "tiny/stage2=standard:2/stage3.block1-3=pre:64+max/stage4.block2=post:8+bias",
            "s2:2 s3.1-3:pre64+max s4.2:post8+bias",
        ),
        ("tiny/stage2=standard:eca/stage3=pre:ge", "s2:eca s3:pre:ge"),
    ],
)
def test_a_placement_is_the_text_in_short(text, placement):
    assert parse(text).placement == placement


@pytest.mark.parametrize(
    ("channels", "reduction", "width"),
    [(256, 16, 16), (2048, 16, 128), (16, 16, 1), (16, 32, 1), (1, 1, 1), (100, 3, 33), (8, 1, 8)],
)
def test_a_squeeze_width_is_the_whole_part_of_the_ratio_and_at_least_1(channels, reduction, width):
    assert squeeze_width(channels, reduction) == width


@pytest.mark.parametrize(
    ("channels", "reduction", "width"),  # timm's make_divisible(channels / reduction, 8, 0)
    [
        (64, 16, 8),
        (256, 16, 16),
        (192, 16, 16),
        (191, 16, 8),
        (320, 16, 24),
        (1, 16, 8),
        (20, 1, 24),
    ],
)
def test_a_squeeze_width_can_be_a_multiple_of_8_as_timm_has_it(channels, reduction, width):
    assert squeeze_width(channels, reduction, "multiple_of_8") == width


@pytest.mark.parametrize(
    ("channels", "size"), [(1, 3), (16, 3), (32, 3), (64, 3), (128, 5), (256, 5), (512, 5)]
)
def test_the_kernel_of_eca_is_odd_and_grows_with_the_channels(channels, size):
    assert eca_kernel(channels) == size


def test_eca_in_resnet50_has_the_86_weights_by_which_timms_ecaresnet50d_is_larger():
    blocks = {256: 3, 512: 4, 1024: 6, 2048: 3}
    assert sum(number * eca_kernel(channels) for channels, number in blocks.items()) == 86


def test_a_reduction_is_of_the_channels_that_the_integration_gates_at_each_site():
    candidate = parse("tiny/stage3=inner:r2/stage4=standard:r16")
    assert [block and block.width for block in candidate.blocks] == [None, 2, 2, 2, 2, 2, 4]


def test_a_later_setting_overrides_an_earlier_one_site_by_site():
    candidate = parse("tiny/all=pre:2/stage3=none/stage3.block2=post:1+tanh/stage4=standard:3")
    assert candidate == carrying(
        s2_1=SE("pre", 2),
        s3_2=SE("post", 1, gate="tanh"),
        s4_1=SE("standard", 3),
        s4_2=SE("standard", 3),
    )


@pytest.mark.parametrize(
    ("where", "indices"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6]),
        ("stage3", [1, 2, 3, 4]),
        ("stage3.block2", [2]),
        ("stage3.block2-4", [2, 3, 4]),
        ("stage4.block1-1", [5]),
    ],
)
def test_a_place_names_the_sites_of_a_stage_a_block_or_a_range(where, indices):
    assert find_sites(where, TINY) == indices


@pytest.mark.parametrize(
    "where",
    [
        *("stage1", "stage5", "stage3.block0", "stage3.block5", "stage3.block3-5", "stage3.block"),
        *(
            "stage3.block3-2",
            "stage3.block1-",
            "stage",
            "stage3 ",
            "Stage3",
            "",
            "stage" + 5000 * "3",
        ),
    ],
)
def test_a_place_that_is_not_there_is_named_with_the_stages_that_are(where):
    with pytest.raises(CandidateError) as caught:
        find_sites(where, TINY)
    assert f"tiny has no site {where!r}" in str(caught.value)
    assert "stage2, stage3, stage4" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "named", "allowed"),
    [
        ("other/stage2=pre:2", "'other/stage2=pre:2'", "tiny"),
        ("", "''", "tiny"),
        ("tiny/stage9=pre:2", "'stage9'", "stage2, stage3, stage4"),
        ("tiny/stage2=outer:2", "'outer'", "standard, pre, post, identity, inner"),
        ("tiny/stage2=pre:0", "'pre:0'", "positive integer"),
        ("tiny/stage2=pre:r0", "'pre:r0'", "positive integer"),
        (
            "tiny/stage2=pre:2+soft",
            "'soft'",
            "sigmoid, hard_sigmoid, tanh, relu, half, open, double",
        ),
        ("tiny/stage2=pre:2+biased", "'biased'", "avg, max, avgmax, std, none, sigmoid"),
        ("tiny/stage2=pre:2+open", "'open'", "it needs bias"),
        ("tiny/stage2=pre:2+double+tanh", "'double'", "0.5 (sigmoid, hard_sigmoid), not 'tanh'"),
        ("tiny/stage2=pre:eca+max", "'eca'", "takes no max"),
        ("tiny/stage2=native:2+max", "native", "takes no max"),
        ("tiny/stage2=native:ge", "native", "not that of kind 'ge'"),
        ("tiny/stage2", "'stage2'", "SITE=BLOCK"),
        ("tiny/", "''", "SITE=BLOCK"),
        ("tiny//stage2=pre:2", "''", "SITE=BLOCK"),
        ("tiny/=pre:2", "''", "stage2, stage3, stage4"),
    ],
)
def test_a_malformed_text_is_refused_by_name_with_what_is_allowed(text, named, allowed):
    with pytest.raises(CandidateError) as caught:
        parse(text)
    assert named in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    "what",
    [
        *("", "pre", "pre:", ":2", "pre:-2", "pre:2.5", "pre:two", "pre: 2", "2", "pre:2+"),
        *(
            "pre:2++bias",
            "pre:2=post:2",
            "None",
            "pre:r",
            "pre:R2",
            "pre:se",
            "pre:" + 5000 * "9",
        ),
    ],
)
def test_what_does_not_read_as_a_block_is_refused_with_the_forms_that_do(what):
    with pytest.raises(CandidateError) as caught:
        parse(f"tiny/stage2=pre:2/stage3={what}")
    assert str(caught.value) == (
        f"{what!r} is not INTEGRATION:WIDTH, INTEGRATION:rRATIO, "
        "INTEGRATION:ese (or eca, ge), native:original or none"
    )


PIECES = [
    "stage",
    "2",
    "3",
    ".block",
    "1",
    "-",
    "=",
    "pre",
    ":",
    "r",
    "+",
    "max",
    "none",
    "all",
    "eca",
]


@given(st.lists(st.sampled_from([*PIECES, "²", "٣", "0", " ", "/", "="]), max_size=12).map("".join))
def test_whatever_stands_behind_the_backbones_name_is_a_candidate_or_a_candidate_error(text):
    try:
        candidate = parse(f"tiny/stage{text}")
    except CandidateError:
        return
    assert parse(str(candidate)) == candidate


@pytest.mark.parametrize(
    ("fields", "named", "allowed"),
    [
        ({"integration": "outer"}, "integration 'outer'", "standard, pre, post, identity, inner"),
        ({"squeeze": "median"}, "squeeze 'median'", "avg, max"),
        ({"gate": "softmax"}, "gate 'softmax'", "sigmoid, hard_sigmoid, tanh, relu"),
        ({"width": 0}, "width 0", "positive integer"),
        ({"width": -4}, "width -4", "positive integer"),
        ({"gate_init": "wide"}, "gate_init 'wide'", "half, open, double"),
        ({"gate_init": "open"}, "gate_init 'open'", "bias"),
        ({"gate_init": "double", "gate": "relu"}, "gate_init 'double'", "sigmoid, hard_sigmoid"),
        ({"kind": "cbam", "width": 0}, "kind 'cbam'", "se, ese, eca, ge"),
        ({"kind": "eca"}, "kind 'eca'", "no squeeze width"),
        ({"kind": "ese", "width": 0, "bias": True}, "kind 'ese'", "takes no bias"),
        ({"kind": "ge", "width": 0, "integration": "native"}, "native", "not that of kind 'ge'"),
        ({"integration": "native", "gate": "tanh"}, "native", "takes no tanh"),
    ],
)
def test_what_is_no_se_block_can_not_be_made(fields, named, allowed):
    with pytest.raises(CandidateError) as caught:
        SE(**{"integration": "pre", "width": 2} | fields)
    assert named in str(caught.value)
    assert allowed in str(caught.value)


NO_IDENTITY = with_sites([Site(2, 1, {"pre": FeatureMap(8, 9), "post": FeatureMap(8, 9)})])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Candidate(NO_IDENTITY, (SE("identity", 2),)),
        lambda: Candidate.parse("tiny/stage2=identity:2", NO_IDENTITY),
        lambda: Candidate.parse("tiny/stage2=identity:r2", NO_IDENTITY),
    ],
)
def test_an_integration_that_a_site_has_not_is_refused(make):
    with pytest.raises(CandidateError, match=r"stage2.block1 .*'identity' \(it has pre, post\)"):
        make()


def test_as_many_blocks_as_sites_are_needed():
    with pytest.raises(CandidateError, match="tiny has 7 sites, not 6"):
        Candidate(TINY, (None,) * 6)


@pytest.mark.parametrize(
    ("value", "field"),
    [(parse("tiny"), "blocks"), (SE("pre", 2), "width"), (TINY, "sites"), (TINY.sites[0], "stage")],
)
def test_the_values_are_frozen(value, field):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)


@pytest.mark.parametrize(
    ("modifiers", "field"),
    [
        ("avg+max", "squeeze"),
        ("tanh+relu", "gate"),
        ("bias+bias", "bias"),
        ("half+double", "gate_init"),
    ],
)
def test_a_modifier_that_is_given_twice_is_refused(modifiers, field):
    with pytest.raises(CandidateError, match=f"{field} is given twice"):
        Candidate.parse(f"tiny/stage2=pre:2+{modifiers}", make_backbone([32]))


def test_original_is_the_width_that_the_network_came_with():
    site = Site(2, 1, {"native": FeatureMap(32, 9)}, NativeSE(6, True, "mean", "conv", "sigmoid"))
    candidate = Candidate.parse("tiny/all=native:original", with_sites([site]))
    assert candidate.blocks == (SE("native", 6),)


@pytest.mark.parametrize("integration", ["native", "standard"])
def test_original_is_refused_where_there_was_no_se(integration):
    site = Site(2, 1, {"standard": FeatureMap(32, 9)})
    with pytest.raises(CandidateError, match=r"stage2\.block1 came without an SE block"):
        Candidate.parse(f"tiny/all={integration}:original", with_sites([site]))


@given(candidates(), st.sampled_from(["", "{}/", "{} ", " {}/ "]))
def test_what_tables_print_is_read_back_with_and_without_the_backbones_name(candidate, front):
    backbone = candidate.backbone
    text = front.format(backbone.name) + candidate.placement
    assert Candidate.parse(text, backbone) == candidate
    for mark in (" *", " be", " *be"):  # of a confirmation's table
        assert Candidate.parse(text + mark, backbone) == candidate


@given(candidates())
def test_the_backbones_name_may_be_left_out(candidate):
    rest = str(candidate).removeprefix(candidate.backbone.name).removeprefix("/")
    if rest:
        assert Candidate.parse(rest, candidate.backbone) == candidate


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("s2:r2 s4:eca", "tiny/stage2=standard:r2/stage4=standard:eca"),
        ("s3.2-4:pre2+max", "tiny/stage3.block2-4=pre:2+max"),
        ("stage2:inner:r2", "tiny/stage2=inner:r2"),
        ("tiny s2:pre:ese/stage3=post:2", "tiny/stage2=pre:ese/stage3=post:2"),
        ("s2=standard:4", "tiny/stage2=standard:4"),
        ("no SE", "tiny"),
        ("tiny no SE *", "tiny"),
    ],
)
def test_short_forms_mean_the_long_ones(short, long):
    assert parse(short) == parse(long)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("tiny/stge2=pre:2", "did you mean stage2?"),
        ("tiny/stage2=standrd:2", "did you mean standard?"),
        ("tiny/stage2=pre:ecaa", "did you mean eca?"),
        ("tiny/stage2=pre:2+sigmod", "did you mean sigmoid?"),
        ("tinny/stage2=pre:2", "did you mean tiny?"),
    ],
)
def test_an_unknown_name_suggests_the_nearest_one_once(text, hint):
    with pytest.raises(CandidateError) as caught:
        parse(text)
    assert str(caught.value).count("did you mean") == 1
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Candidate.parse(3, TINY),
        lambda: Candidate.parse("tiny", "tiny"),
        lambda: Candidate("tiny", ()),
        lambda: Candidate(TINY, [None] * 7),
        lambda: Candidate(TINY, ("pre:2",) * 7),
    ],
)
def test_arguments_of_another_type_are_named_in_a_sentence(make):
    with pytest.raises(TypeError, match=r"(takes|is|are) .*not "):
        make()


def test_a_text_that_begins_with_a_site_names_no_backbone():
    assert name_backbone("resnet50/all=standard:r16") == "resnet50"
    assert name_backbone(" resnet50 s2:4") == "resnet50"
    assert name_backbone("timm:resnet26t/stage2=pre:2") == "timm:resnet26t"
    for text in ("s2:16 s3:4", "stage2=pre:2", "no SE", ""):
        with pytest.raises(CandidateError, match="does not begin with a backbone"):
            name_backbone(text)
