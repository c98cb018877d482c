"""What is changed by hand in a run's config.yaml is refused by file, line, key and value."""

import copy
import re

import pytest
from support.commands import list_leaves
from support.recorded_configs import RECORDED

from se_search.errors import RunError
from se_search.store.config_file import check_config
from se_search.store.run_folder import RunFolder

VALUES = [None, "x", "", -1, 0, 1.5, True, [], {}, ["x"], {"x": 1}, 10**30, float("nan")]
FOREIGN = re.compile(r"Input should|pydantic|validation error|Traceback|type=|Error\b|<class")


def changed(path, value):
    config = copy.deepcopy(RECORDED)
    part = config
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return config


@pytest.fixture
def file(tmp_path):
    """Return a file of a few lines: what a message quotes of it is tested by itself."""
    (tmp_path / "config.yaml").write_text("identity:\n  epochs: 4\n")
    return tmp_path / "config.yaml"


def test_a_run_as_it_was_recorded_is_accepted(file):
    check_config(file, RECORDED)


@pytest.mark.parametrize("path", list_leaves(RECORDED), ids=lambda path: ".".join(map(str, path)))
def test_a_value_that_is_refused_is_named_with_file_key_and_what_is_allowed(file, path):
    is_refused = []
    for value in VALUES:
        try:
            check_config(file, changed(path, value))
            is_refused.append(False)
        except RunError as error:
            is_refused.append(True)
            text = str(error)
            assert text.startswith(f"{file}:")
            assert str(path[0]) in text
            assert str(path[-1]) in text or isinstance(path[-1], int)
            assert not FOREIGN.search(text), text
            assert re.search(r"must|needs|unknown key|nesterov|at least|not", text), text
    assert any(is_refused), "each key refuses some of these values"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("identity.objectives", ["accuracy", "speed"], "must be accuracy and one or two of"),
        ("identity.objectives", ["accuracy"], "must be accuracy and one or two of params, macs"),
        ("identity.epochs", "3", "must be a whole number, not '3'"),
        ("identity.data.pool_share", -0.5, "must be at least 0, not -0.5"),
        ("identity.recipe.split.draw", "never", "must be 'replicate' or 'fixed', not 'never'"),
        ("identity.space.choices.integration", ["sideways"], "not 'sideways'"),
        ("search.workers", 0, "must be at least 1, not 0"),
        ("search.workers", True, "must be a whole number, not True"),
        ("search.tolerance", "x", "must be a number, not 'x'"),
        ("search.replicates", -1, "must be at least 1, not -1"),
        ("search.promotion", "fast", "must be off, or rungs of epochs x replicates, as 1x1,3x1"),
        ("search.ending", "well", "must be 'finished', 'stopped', 'settled' or 'exhausted'"),
        ("search.arguments", "--space", "must be a list: [--space], not '--space'"),
        ("search", "x", "must be a mapping with the keys"),
    ],
)
def test_a_value_of_another_meaning_is_refused_in_its_line(tmp_path, key, value, message):
    path = key.split(".")
    (tmp_path / "run").mkdir()
    folder = RunFolder(tmp_path / "run")
    folder.write_config(changed(path, value))
    with pytest.raises(RunError) as caught:
        folder.read_config()
    text = str(caught.value)
    assert message in text
    name, line, rest = text.removeprefix(str(folder.path)).split(":", 2)
    assert name == "/config.yaml"
    assert rest.startswith(f" {key}")
    shown = folder.config_file.read_text().splitlines()[int(line) - 1].strip()
    assert shown.startswith((f"{path[-1]}:", f"- {value[0] if isinstance(value, list) else value}"))


def test_what_a_later_version_adds_is_let_be(file):
    later = copy.deepcopy(RECORDED)
    later["search"]["colour"], later["identity"]["data"]["smell"] = "blue", 3
    check_config(file, later)
