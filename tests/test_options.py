"""Options declared once: as a dataclass for Python, and as parameters of a command."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from se_search.errors import RunError
from se_search.options import (
    AtLeast,
    OneOf,
    Positive,
    Within,
    check_options,
    parse_bytes,
    spell_options,
    takes_options,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    names: Annotated[tuple[str, ...], typer.Argument(help="who")]
    count: Annotated[int, typer.Option(help="how many"), AtLeast(2)] = 3
    ratio: Annotated[float | None, typer.Option(help="of what"), Positive()] = None
    kind: Annotated[str, typer.Option(help="big or small"), OneOf(("big", "small"))] = "big"
    folders: Annotated[tuple[Path, ...], typer.Option("--folder", help="repeatable")] = ()
    places: Annotated[int, typer.Option(help="where"), Within(1, 9)] = 1
    is_loud: Annotated[bool, typer.Option("--loud", help="whether it shouts")] = False

    def __post_init__(self):
        check_options(self)


@pytest.fixture
def run():
    """Run a command of these options; return its result and what it was called with."""
    app, calls = typer.Typer(), []

    @app.command()
    @takes_options(Options)
    def command(
        options: Options, as_json: Annotated[bool, typer.Option("--json", help="no text")] = False
    ) -> None:
        """Do it."""
        calls.append((options, as_json))

    return lambda *arguments: (CliRunner().invoke(app, [*arguments]), calls)


def test_a_command_without_options_has_the_defaults_of_the_dataclass(run):
    _, calls = run("a", "b")
    assert calls == [(Options(names=("a", "b")), False)]


def test_each_option_reaches_its_field_and_the_commands_own_stay(run):
    _, calls = run(
        *("a", "--count", "4", "--ratio", "0.5", "--kind", "small", "--loud", "--json"),
        *("--folder", "x", "--folder", "y"),
    )
    expected = Options(
        names=("a",),
        count=4,
        ratio=0.5,
        kind="small",
        is_loud=True,
        folders=(Path("x"), Path("y")),
    )
    assert calls == [(expected, True)]


def test_the_help_has_each_fields_help_and_default(run):
    text = run("--help")[0].output
    for words in ("Do it.", "how many", "[default: 3]", "big or small", "whether it shouts"):
        assert words in text
    assert "options" not in text.replace("[OPTIONS]", "").replace("Options", "").split("--")[0]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("count", 1, "count 1 is below 2"),
        ("places", 0, "places 0 is below 1"),
        ("places", 10**11, "places 100000000000 is above 9"),
        ("ratio", 0.0, "ratio 0.0 is not positive"),
        ("ratio", float("nan"), "ratio nan is not positive"),
        ("kind", "huge", "kind 'huge' is not one of big, small"),
    ],
)
def test_a_value_beyond_its_limit_is_refused_with_what_is_allowed(field, value, message):
    with pytest.raises(RunError) as caught:
        Options(names=(), **{field: value})
    assert str(caught.value) == message


def test_an_option_that_was_not_given_is_within_any_limit():
    assert Options(names=(), ratio=None).ratio is None


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"count": 4, "ratio": 0.5, "kind": "small"},
        {"folders": (Path("a b"), Path("-x")), "is_loud": True},
    ],
)
def test_options_that_are_spelled_are_read_as_they_were(run, given):
    options = Options(names=("who",), **given)
    outcome, calls = run("who", *spell_options(options, never=["names"]))
    assert outcome.exit_code == 0
    assert calls == [(options, False)]


def test_options_at_their_defaults_are_not_spelled_unless_asked_for():
    options = Options(names=("who",))
    assert spell_options(options, never=["names"]) == []
    assert spell_options(options, never=["names"], always=["kind"]) == ["--kind", "big"]


def test_a_switch_that_is_on_by_default_is_spelled_with_its_no():
    from se_search.commands.options import SearchOptions

    name, default = next(
        (field.name, field.default) for field in fields(SearchOptions) if field.default is True
    )
    off = SearchOptions(**{name: not default})
    assert spell_options(off) == [f"--no-{name.replace('_', '-')}"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2GB", 2_000_000_000),
        ("1.5 MB", 1_500_000),
        ("800kB", 800_000),
        ("7", 7),
        ("3T", 3 * 10**12),
    ],
)
def test_a_size_is_read_with_its_unit(text, number):
    assert parse_bytes("weights_budget", text) == number


@pytest.mark.parametrize("text", ["", "-1GB", "2 GiB", "two", "1e9", "2PB", "nan"])
def test_another_text_is_no_size(text):
    with pytest.raises(RunError, match=r"weights_budget .* is not a size as 2GB, 500MB or 800kB"):
        parse_bytes("weights_budget", text)
