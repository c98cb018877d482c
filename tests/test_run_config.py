"""The configuration of a run: what makes trials comparable, and how a difference is told."""

import dataclasses
import hashlib
import json
from itertools import permutations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.networks import make_backbone

from se_search.errors import RunError
from se_search.recipe import Recipe
from se_search.run_config import RunConfig, name_data, parse_objectives
from se_search.seeds import derive_seed
from se_search.space.schema import SearchSpace, read_space
from se_search.store.identity import compare_identities

RECIPE = {
    "epochs": 4,
    "batch_size": 32,
    "optimizer": {"lr": 0.1},
    "split": {"validation": 100},
}
CONFIG = RunConfig(
    space=read_space("stages"),
    backbone=make_backbone([8], [16]),
    recipe=Recipe.model_validate(RECIPE),
    data={"name": "made_up", "train": 600, "validation": 100},
    objectives=("accuracy", "params"),
    epochs=4,
    seed=0,
    precision="32-true",
)


def with_fields(model, **fields):
    return type(model).model_validate(model.model_dump(exclude_none=True) | fields)


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("epochs", 5, "epochs: 4 in the run, 5 asked for"),
        ("seed", 7, "seed: 0 in the run, 7 asked for"),
        ("precision", "bf16-mixed", 'precision: "32-true" in the run, "bf16-mixed" asked for'),
        (
            "objectives",
            ("accuracy", "macs"),
            'objectives: ["accuracy", "params"] in the run, ["accuracy", "macs"] asked for',
        ),
        ("data", dict(CONFIG.data) | {"train": 60}, "data.train: 600 in the run, 60 asked for"),
        (
            "data",
            dict(CONFIG.data) | {"test": 9},
            "data.test: nothing in the run, 9 asked for",
        ),
        (
            "backbone",
            dataclasses.replace(CONFIG.backbone, image_size=24),
            "backbone.image_size: 12 in the run, 24 asked for",
        ),
        (
            "backbone",
            dataclasses.replace(CONFIG.backbone, num_classes=11),
            "backbone.num_classes: 10 in the run, 11 asked for",
        ),
        (
            "backbone",
            make_backbone([8], [16], name="other"),
            'backbone.name: "tiny" in the run, "other" asked for',
        ),
        (
            "backbone",
            dataclasses.replace(CONFIG.backbone, parameters="0123456789ab"),
            'backbone.parameters: null in the run, "0123456789ab" asked for',
        ),
        (
            "backbone",
            dataclasses.replace(CONFIG.backbone, source={"nets/a.py": "0123456789ab"}),
            "nets/a.py: imported now, and not before",
        ),
        (
            "space",
            with_fields(CONFIG.space, granularity="block"),
            'space.granularity: "stage" in the run, "block" asked for',
        ),
        (
            "space",
            with_fields(CONFIG.space, choices={"reduction": (16, 4)}),
            "space.choices.reduction: [16] in the run, [16, 4] asked for",
        ),
        (
            "space",
            with_fields(CONFIG.space, limits={"added_params": 0.1}),
            "space.limits.added_params: null in the run, 0.1 asked for",
        ),
        (
            "recipe",
            with_fields(CONFIG.recipe, optimizer={"lr": 0.2}),
            "recipe.optimizer.lr: 0.1 in the run, 0.2 asked for",
        ),
    ],
)
def test_a_change_shows_as_one_line_with_key_and_both_values(field, value, line):
    other = dataclasses.replace(CONFIG, **{field: value})
    assert compare_identities(CONFIG.identity, other.identity) == [line]
    assert other.hash != CONFIG.hash


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("space", with_fields(CONFIG.space, description="the same, in other words")),
        ("recipe", with_fields(CONFIG.recipe, description="the same, in other words")),
        ("recipe", with_fields(CONFIG.recipe, epochs=99)),  # the configuration has the epochs
        ("data", dict(reversed(CONFIG.data.items()))),
    ],
)
def test_what_trains_alike_is_one_configuration(field, value):
    other = dataclasses.replace(CONFIG, **{field: value})
    assert compare_identities(CONFIG.identity, other.identity) == []
    assert other.hash == CONFIG.hash


def test_a_spelled_out_default_is_no_change():
    other = SearchSpace.model_validate({"sites": "all", "choices": {"reduction": [16]}})
    assert dataclasses.replace(CONFIG, space=other).hash == CONFIG.hash


@pytest.mark.parametrize(
    "attach",
    [
        ({"standard": ("conv", "after")}, {"standard": ("other", "after")}),
        ({"standard": ("conv", "before")}, {"standard": ("last", "after")}),
        ({"post": ("conv", "after")}, {"standard": ("last", "after")}),
    ],
)
def test_sites_that_a_file_puts_elsewhere_are_a_change(attach):
    backbone = dataclasses.replace(
        CONFIG.backbone, attach=({"standard": ("conv", "after")}, {"standard": ("last", "after")})
    )
    one = dataclasses.replace(CONFIG, backbone=backbone)
    other = dataclasses.replace(CONFIG, backbone=dataclasses.replace(backbone, attach=attach))
    (line,) = compare_identities(one.identity, other.identity)
    assert line.startswith("backbone.sites: ")


def test_a_source_file_that_has_changed_or_gone_is_named_alone():
    def config(**source):
        backbone = dataclasses.replace(CONFIG.backbone, source=source)
        return dataclasses.replace(CONFIG, backbone=backbone).identity

    before, now = config(a="1", b="2", c="3"), config(a="1", b="9")
    lines = ["b: another content", "c: imported before, and not now"]
    assert compare_identities(before, now) == lines
    assert compare_identities({"run": before}, {"run": now}) == lines  # as in a log


def test_the_differences_are_listed_one_below_the_other():
    other = dataclasses.replace(CONFIG, epochs=5, seed=1)
    assert [line.split(":")[0] for line in compare_identities(CONFIG.identity, other.identity)] == [
        "epochs",
        "seed",
    ]


def test_what_is_missing_on_either_side_is_a_difference():
    assert compare_identities({"a": {"b": 1}}, {}) == ["a.b: 1 in the run, nothing asked for"]
    assert compare_identities({}, {"a": {"b": None}}) == ["a.b: nothing in the run, null asked for"]


@pytest.mark.parametrize("write", [yaml.safe_dump, json.dumps])
def test_an_identity_is_plain_data_that_a_file_gives_back(write):
    assert yaml.safe_load(write(CONFIG.identity)) == CONFIG.identity


def test_the_hash_is_the_start_of_the_sha256_of_the_sorted_identity():
    text = json.dumps(CONFIG.identity, sort_keys=True)
    assert CONFIG.hash == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_accuracy_is_maximized_and_costs_are_minimized():
    config = dataclasses.replace(CONFIG, objectives=("accuracy", "macs", "params"))
    assert config.directions == ("maximize", "minimize", "minimize")


@pytest.mark.parametrize("names", list(permutations(["accuracy", "params", "macs"])))
def test_objectives_are_read_with_accuracy_first_and_the_costs_in_their_order(names):
    costs = tuple(name for name in names if name != "accuracy")
    assert parse_objectives(" , ".join(names)) == ("accuracy", *costs)


@pytest.mark.parametrize(
    "text",
    [
        *("", "accuracy", "params", "params,macs", "accuracy,", "accuracy,memory"),
        "accuracy,params,macs,latency",
        *("accuracy,params,params", "accuracy,accuracy", "accuracy params", "Accuracy,params"),
    ],
)
def test_other_objectives_are_refused_with_those_that_there_are(text):
    with pytest.raises(RunError) as caught:
        parse_objectives(text)
    assert str(caught.value).startswith(f"objectives {text!r}: ")
    assert "one or two of params, macs, latency" in str(caught.value)
    assert "as accuracy,params" in str(caught.value)


def test_latency_is_minimized_and_makes_a_run_another_one():
    assert parse_objectives("latency,accuracy") == ("accuracy", "latency")
    timed = dataclasses.replace(CONFIG, objectives=("accuracy", "latency"), latency={"batch": 1})
    assert timed.directions == ("maximize", "minimize")
    assert timed.identity["latency"] == {"batch": 1}
    assert dataclasses.replace(timed, latency={"batch": 2}).hash != timed.hash
    assert "latency" not in CONFIG.identity


def test_a_seed_is_63_bits_of_the_sha256_of_its_names():
    # printf %s 3/sampler/17 | sha256sum | cut -c1-16 is c232e47fcb15eaf8
    assert derive_seed(3, "sampler", 17) == 0xC232E47FCB15EAF8 >> 1


@given(st.lists(st.integers(0, 50) | st.sampled_from(["order", "weights"]), min_size=1))
def test_every_seed_fits_into_63_bits(names):
    assert 0 <= derive_seed(*names) < 2**63


@pytest.mark.parametrize(
    ("asked", "shown"), [("folder:/home/me/my_images", "folder:my_images"), ("digits", "digits")]
)
def test_the_data_of_a_run_are_named_for_people_a_folder_by_its_own_name(asked, shown):
    assert name_data({"search": {"data": asked}, "identity": {"data": {"name": "digits"}}}) == shown
