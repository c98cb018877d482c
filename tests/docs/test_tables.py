"""The reference tables that the site makes from the code."""

import re
import sys

import pytest
from pydantic import BaseModel
from support.pages import ROOT, read_blocks

from se_search.recipe import Recipe
from se_search.space.schema import SearchSpace, space_names

sys.path.append(str(ROOT / "docs" / "_ext"))

from table_rows import backbone_rows, read_rows, space_rows, to_markdown

PAGE_OF = {SearchSpace: "spaces.md", Recipe: "recipes.md"}


def keys_of(model, prefix=""):
    """List all keys of a model's file, from pydantic's fields and not from the JSON Schema."""
    for name, field in model.model_fields.items():
        yield prefix + name
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys_of(inner, f"{prefix}{name}.")


@pytest.mark.parametrize("model", PAGE_OF, ids=lambda model: model.__name__)
def test_the_table_has_a_row_for_every_key(model):
    assert [row.key for row in read_rows(model)] == list(keys_of(model))


@pytest.mark.parametrize("model", PAGE_OF, ids=lambda model: model.__name__)
def test_every_key_has_a_meaning(model):
    assert [row.key for row in read_rows(model) if not row.meaning] == []


@pytest.mark.parametrize(("model", "page"), PAGE_OF.items(), ids=PAGE_OF.values())
def test_the_page_has_the_table(model, page):
    languages = [block.language for block in read_blocks(ROOT / "docs" / page)]
    assert f"{{schema-table}} {model.__module__}:{model.__name__}" in languages


def test_a_row_has_bounds_values_and_default():
    rows = {row.key: row for row in read_rows(Recipe)}
    assert rows["epochs"].default is None
    assert rows["epochs"].allowed == "a whole number ≥ 1"
    assert rows["optimizer.name"].allowed == "`sgd`, `adamw`"
    assert rows["optimizer.momentum"].default == "0.9"
    assert rows["augmentation.resized_crop"].allowed == "a list of 2, each a number > 0, ≤ 1"


def test_every_line_of_a_table_has_as_many_cells():
    lines = to_markdown(read_rows(SearchSpace)).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


def test_the_table_of_backbones_has_the_papers_costs():
    """ResNet-50: 25.6 million parameters; SE on every block adds 2.5 (Hu et al. 2019, sec. 4)."""
    rows = {row[0]: row for row in backbone_rows()}
    assert rows["`resnet50`"][4] == "25,557,032"
    assert rows["`resnet50`"][6] == "2,514,944 (9.84 %)"


def test_the_table_of_spaces_has_every_shipped_space():
    assert [row[0] for row in space_rows()] == [f"`{name}`" for name in space_names()]
