"""YAML into strict models: every mistake is named with its key, its line and what is allowed."""

import re
import time
import tracemalloc

import pytest
from pydantic import Field, model_validator

from se_search.config import StrictModel, parse_yaml, read_yaml
from se_search.errors import RecipeError, SpaceError


class Wheel(StrictModel):
    size: int = 20
    rate: float = 1.0


class Axle(StrictModel):
    wheels: tuple[int, ...] = ()
    left: Wheel = Wheel()


class Cart(StrictModel):
    name: str = ""
    axle: Axle = Axle()
    either: bool | tuple[int, ...] = True
    load: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _check_load(self):
        if self.load > 100:
            raise ValueError("it breaks")
        return self


def parse(text):
    return parse_yaml(text, Cart, SpaceError, name="cart.yaml")


def refusal(text):
    with pytest.raises(SpaceError) as caught:
        parse(text)
    return str(caught.value)


def test_a_file_fills_the_model_and_leaves_its_defaults():
    cart = parse("# a comment\nname: ox\naxle:\n  wheels: [1, 2]\n")
    assert cart == Cart(name="ox", axle=Axle(wheels=(1, 2), left=Wheel(size=20)), load=0)


def test_a_model_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse("load: 1").load = 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("load: -1", "cart.yaml:1: load: must be at least 0, not -1"),
        ("# one\n\n# three\nload: -1", "cart.yaml:4: load: "),
        ("name: a\naxle:\n  left:\n    rate: 1\n    size: big", "cart.yaml:5: axle.left.size: "),
        ("axle: {wheels: [], left: {rate: 1,\n  size: big}}", "cart.yaml:2: axle.left.size: "),
        ("axle:\n  wheels:\n    - 1\n    - 2\n    - x\n    - 4", "cart.yaml:5: axle.wheels.2: "),
        ("axle:\n  wheels: [1,\n    2,\n    x]", "cart.yaml:4: axle.wheels.2: "),
        ("axle:\n  wheels:\n    4", "cart.yaml:2: axle.wheels: "),
        ('load: 1\n"axle":\n  left: 5', "cart.yaml:3: axle.left: "),
        ("name: |\n  load: 1\n  axle: 2\nload: x", "cart.yaml:4: load: "),
        ("name: a\neither:\n- 1\n- x", "cart.yaml:4: either.1: "),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(text, message):
    assert message in refusal(text)


def test_a_mistake_of_the_whole_file_does_not_repeat_the_file():
    assert refusal("name: a\n\nload: 200") == "cart.yaml:1: the file: it breaks"


def test_every_mistake_has_a_line_of_its_own():
    lines = refusal("load: -1\naxle:\n  wheels: [x, 1, y]\n").splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == ["cart.yaml:1", *2 * ["cart.yaml:3"]]
    assert {line.split(": ")[1] for line in lines} == {"load", "axle.wheels.0", "axle.wheels.2"}


@pytest.mark.parametrize(
    ("text", "line", "key", "allowed"),
    [
        ("load: 1\nwagon: 2", 2, "wagon", "name, axle, either, load"),
        ("axle:\n  wheels: []\n  right: {}", 3, "axle.right", "wheels, left"),
        ("axle:\n  left:\n    color[0]: red", 3, "axle.left.color[0]", "size, rate"),
    ],
)
def test_an_unknown_key_is_named_with_the_keys_of_its_place(text, line, key, allowed):
    assert refusal(text) == f"cart.yaml:{line}: unknown key {key!r} (allowed here: {allowed})"


def test_an_unknown_key_that_is_nearly_a_known_one_suggests_it_once():
    assert refusal("load: 1\nlaod: 2") == (
        "cart.yaml:2: unknown key 'laod' (did you mean load?) "
        "(allowed here: name, axle, either, load)"
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("016", "YAML reads 016 as 14: write 16 or 14"),
        ("1:30", "YAML reads 1:30 as 90: write 90"),
        ("0x10", "YAML reads 0x10 as 16: write 16"),
        ("0b11", "YAML reads 0b11 as 3: write 3"),
        ("1_000", "YAML reads 1_000 as 1000: write 1000"),
        ("yes", "a number is wanted, and YAML reads yes as true"),
        ("off", "a number is wanted, and YAML reads off as false"),
        ("1e3", "a whole number is wanted, and YAML reads 1e3 as a text: write 1000"),
        ("2026-01-01", "a number is wanted, and YAML reads 2026-01-01 as a date"),
        (".inf", "a number is wanted, and .inf is not finite"),
    ],
)
def test_what_yaml_reads_as_another_number_is_refused_with_its_line_and_what_was_meant(value, what):
    assert refusal(f"name: a\nload: {value}") == f"cart.yaml:2: load: {what}"
    assert refusal(f"axle:\n  wheels: [1,\n    {value}]") == f"cart.yaml:3: axle.wheels.1: {what}"


@pytest.mark.parametrize(("value", "number"), [("1e-3", 0.001), ("2.5E+2", 250), ("010.5", 10.5)])
def test_a_fraction_is_read_as_every_other_language_reads_it(value, number):
    assert parse(f"axle: {{left: {{rate: {value}}}}}").axle.left.rate == number


@pytest.mark.parametrize("value", ["1:30.5", "1_0.5"])
def test_a_fraction_in_parts_of_sixty_or_with_underscores_is_refused(value):
    assert f"YAML reads {value} as" in refusal(f"axle: {{left: {{rate: {value}}}}}")


def test_one_value_where_a_list_is_wanted_is_shown_as_a_list():
    assert refusal("axle:\n  wheels: 4") == "cart.yaml:2: axle.wheels: must be a list: [4], not '4'"


def test_a_value_where_a_mapping_is_wanted_is_told_the_keys():
    assert "cart.yaml:1: axle: must be a mapping with the keys wheels, left" in refusal("axle: 4")


@pytest.mark.parametrize(("value", "read"), [("no", "false"), ("2026-01-01", "a date")])
def test_a_text_that_yaml_reads_as_something_else_is_told_to_be_quoted(value, read):
    message = refusal(f"name: {value}")
    assert "cart.yaml:1: name: " in message
    assert f"YAML reads {value} as {read}, and '{value}' as a text" in message


def test_merge_keys_are_refused():
    assert refusal("name: a\n<<: {load: 1}") == "cart.yaml:2: YAML merge keys (<<) are not allowed"


def test_a_tab_is_named_as_one_with_its_line():
    assert refusal("axle:\n\tleft: 1").startswith("cart.yaml:2: not valid YAML: found character")
    assert refusal("axle:\n\tleft: 1").endswith("indent with spaces")


def test_a_nul_is_named_with_its_line():
    assert refusal("load: 1\nname: a\x00") == (
        "cart.yaml:2: not valid YAML: the character U+0000 is not allowed"
    )


def test_a_million_brackets_are_refused_at_once():
    started = time.process_time()
    assert "nested deeper" in refusal(1_000_000 * "[")
    assert time.process_time() - started < 5


def test_a_large_file_is_refused_before_it_is_read_whole(tmp_path):
    path = tmp_path / "cart.yaml"
    with path.open("wb") as file:
        file.truncate(10**9)
    tracemalloc.start()
    try:
        with pytest.raises(SpaceError, match="at most 1,000,000 characters are read"):
            read_yaml(path, Cart, SpaceError)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "line", "first"),
    [("load: 1\nname: a\nload: 1", 3, 1), ("axle:\n  left:\n    size: 1\n    size: 2", 4, 3)],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(text, line, first):
    assert refusal(text).startswith(f"cart.yaml:{line}: key ")
    assert refusal(text).endswith(f"is on line {first} too")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- load\n", "load", "5", "null", "---\n"])
def test_a_file_that_is_no_mapping_is_told_the_keys(text):
    assert refusal(text) == "cart.yaml must be a mapping with the keys name, axle, either, load"


@pytest.mark.parametrize(
    "text",
    [
        *("load: [1", "a: b: c", "load: 1\n---\nload: 2", "\x00", "load:\n\t- 1", "? [1]\n: 2"),
        *("name: 2026-13-45", "load: 0x_", "load: " + 5000 * "9", 900 * "[", 900 * "- "),
    ],
)
def test_what_pyyaml_can_not_read_is_refused(text):
    assert re.match(
        r"cart\.yaml:[12]: (not valid YAML: |values are nested deeper than 30)", refusal(text)
    )


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.getcwd []",
        "!!python/name:os.system",
        "!!bool maybe",
        "!!timestamp x",
        "!!int ''",
        "!own x",
    ],
)
def test_tags_are_refused_with_their_line(value):
    assert "cart.yaml:2: YAML aliases (*name) and tags" in refusal(f"load: 1\nname: {value}")


def test_an_alias_bomb_is_refused_before_it_takes_memory():
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join(9 * [f'*a{i - 1}'])}]\n" for i in range(1, 30)
    )
    tracemalloc.start()
    try:
        assert "cart.yaml:2: YAML aliases" in refusal(bomb)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
def test_a_number_that_is_not_finite_is_refused(number):
    assert "cart.yaml:3: axle.left.rate: " in refusal(f"axle:\n  left:\n    rate: {number}")


def test_a_text_is_read_up_to_the_largest_size(monkeypatch):
    monkeypatch.setattr("se_search.config.MAX_BYTES", 7)
    assert parse("load: 1").load == 1
    assert refusal("load: 12") == "cart.yaml has 8 characters; at most 7 are read"


def test_a_text_of_a_million_characters_is_the_largest():
    assert refusal(1_000_001 * "#").startswith("cart.yaml has 1000001 characters; at most 1000000")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "cart.yaml"
    path.write_bytes(b"\xef\xbb\xbfload: 3\n")
    assert read_yaml(path, Cart, SpaceError).load == 3


def test_letters_of_all_languages_are_read(tmp_path):
    path = tmp_path / "cart.yaml"
    path.write_text("name: Ochsenwägelchen 牛车\n", encoding="utf-8")
    assert read_yaml(path, Cart, SpaceError).name == "Ochsenwägelchen 牛车"


def test_a_file_that_is_not_utf_8_is_refused_by_its_path(tmp_path):
    path = tmp_path / "cart.yaml"
    path.write_bytes("name: Wägelchen".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"cart\.yaml:1: the byte 0xe4 is not UTF-8"):
        read_yaml(path, Cart, RecipeError)


def test_a_folder_is_refused_by_its_path(tmp_path):
    with pytest.raises(RecipeError, match="can't be read"):
        read_yaml(tmp_path, Cart, RecipeError)


def test_mistakes_in_a_file_are_named_with_its_path(tmp_path):
    path = tmp_path / "cart.yaml"
    path.write_text("load: 1\nlaod: 2\n")
    with pytest.raises(SpaceError) as caught:
        read_yaml(path, Cart, SpaceError)
    assert str(caught.value).startswith(f"{path}:2: unknown key 'laod'")
