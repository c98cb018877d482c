"""Tables for LaTeX: what is in them, and that names are no commands."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_up_fronts import GOOD, PLAIN, make_front
from support.made_up_pages import EFFECTS, make_round, make_source

from se_search.report.latex import (
    confirmation_latex,
    effects_latex,
    escape_latex,
    front_latex,
    list_latex_files,
)
from se_search.store.run_folder import RunFolder

TABLES = (front_latex(make_front()), effects_latex(EFFECTS), confirmation_latex(make_round()))


def rows_of(table):
    body = table.partition("\\midrule")[2].partition("\\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith("\\\\")]
    return [[cell.strip() for cell in line.removesuffix("\\\\").split(" & ")] for line in lines]


@pytest.mark.parametrize("table", TABLES)
def test_each_row_has_a_cell_for_each_column(table):
    columns = re.search(r"\\begin{tabular}{(\w+)}", table)[1]
    head = table.partition("\\toprule\n")[2].splitlines()[0]
    assert head.count(" & ") + 1 == len(columns)
    assert {len(row) for row in rows_of(table)} == {len(columns)}


@pytest.mark.parametrize("table", TABLES)
def test_braces_dollars_and_environments_are_closed(table):
    text = re.sub(r"(?m)^%.*$", "", table)
    bare = re.sub(r"\\[{}$%\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert re.findall(r"\\begin{(\w+)}", text) == re.findall(r"\\end{(\w+)}", text)[::-1]


def test_the_front_has_gains_with_their_intervals():
    plain, good = rows_of(front_latex(make_front(candidates=(PLAIN, GOOD))))
    assert plain[:3] == ["no SE", "0", ""]
    assert good[:3] == ["s2:4$^\\star$", "$+0.62$", "{}[$+0.31$, $+0.93$]"]


def test_effects_that_differ_from_zero_are_marked():
    rows = rows_of(effects_latex(EFFECTS))
    assert [row[2].endswith("*") for row in rows] == [True, True, True, False]


def test_a_confirmation_has_what_the_search_expected_and_what_fresh_replicates_have():
    rows = {row[0]: row for row in rows_of(confirmation_latex(make_round()))}
    assert rows["s2:4"][2:5] == ["$+0.50$", "$+0.40$", "{}[$+0.05$, $+0.75$]"]


def test_there_is_a_file_for_each_table_that_there_is_something_for(tmp_path):
    folder = RunFolder(tmp_path)
    names = [path.name for path, _ in list_latex_files(folder, make_source())]
    assert names == ["front.tex", "effects.tex", "confirmation.tex"]
    early = make_source(make_front(), rounds=())
    assert [path.name for path, _ in list_latex_files(folder, early)] == ["front.tex"]


@given(st.text())
def test_no_sign_of_a_name_is_a_command(name):
    text = escape_latex(name)
    known = (
        r"\\(?:text[a-z]+(?:\{\}|\{U\+[0-9A-F]+\})|ensuremath\{(?:\\[a-z]+|-)\}|[&%$#_{}])|\{-\}"
    )
    rest = re.sub(known, "", text)
    assert not set(rest) & set("\\{}$&#^_~%\"<>|`'-")


def test_letters_that_few_fonts_have_stand_as_their_numbers():
    assert escape_latex("é 中") == r"é \texttt{U+4E2D}"
