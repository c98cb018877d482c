"""How figures are written and their texts cut, whatever the user's settings are."""

import io
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter
from matplotlib.lines import Line2D
from PIL import Image
from support.figures import check_texts, greyness, words_of

from se_search.errors import RunError
from se_search.report.figures.style import (
    CYCLE,
    ONE_COLUMN,
    TWO_COLUMNS,
    Header,
    add_axes,
    figure_style,
    new_figure,
    padded,
    save,
    shorten,
    signed,
    text_width,
    with_interval,
    wrap,
    write,
)


def make_figure(width=ONE_COLUMN, height=2.0):
    with figure_style():
        figure = new_figure(width, height)
        axes = add_axes(figure, 0.5, 0.2, width - 0.7, height - 0.7)
        axes.plot([0, 1], [0, 1])
        write(figure, 0.5, 0.1, "a text")
        return figure


def test_a_notebook_shows_a_figure_by_itself_in_the_size_of_a_screen():
    notebook = DisplayFormatter()
    shown, _ = notebook.format(make_figure(TWO_COLUMNS, 2.0))
    assert Image.open(io.BytesIO(shown["image/png"])).size == (828, 240)


@pytest.mark.parametrize("name", ["a", "a.png", "a.pdf"])
def test_a_figure_becomes_a_png_and_a_pdf_and_nothing_else(tmp_path, name):
    assert save(make_figure(), tmp_path / name) == [tmp_path / "a.png", tmp_path / "a.pdf"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png"]


def test_a_name_with_a_dot_keeps_it(tmp_path):
    assert save(make_figure(), tmp_path / "run.v2")[0].name == "run.v2.png"


def test_a_figure_without_a_name_is_refused(tmp_path):
    for path in (Path(), tmp_path / ".png"):
        with pytest.raises(RunError, match="can't be written: it has no name before its suffix"):
            save(make_figure(), path)


@pytest.mark.parametrize("width", [ONE_COLUMN, TWO_COLUMNS])
def test_the_files_have_the_stated_size_at_300_dots_an_inch(tmp_path, width):
    png, pdf = save(make_figure(width, 2.0), tmp_path / "a")
    with Image.open(png) as image:
        assert image.format == "PNG"
        assert image.size == (round(300 * width), 600)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert set(image.info) <= {"dpi"}
    assert f"/MediaBox [ 0 0 {72 * width:g} 144 ]".encode() in pdf.read_bytes()


def test_the_pdf_embeds_true_type_and_has_no_date(tmp_path):
    _, pdf = save(make_figure(), tmp_path / "a")
    contents = pdf.read_bytes()
    assert contents.startswith(b"%PDF-")
    assert b"/FontFile2" in contents
    assert b"/Type3" not in contents
    assert b"Date" not in contents


def test_one_figure_gives_one_sequence_of_bytes_in_every_process(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from se_search.report.figures.study import *\n"
        "from se_search.report.figures.style import save\n"
        "gains = [StudyGain('SE', 8.8, -0.4, -0.7, -0.1, 1.0)]\n"
        "save(draw_study(prepare_study(gains, 't', 'no SE', 'o', 'p')), Path(sys.argv[1]))\n"
    )
    for seed in "12":
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script, str(tmp_path / seed)]
        subprocess.run(command, check=True, env=environment, timeout=120)
    for kind in ("png", "pdf"):
        one, other = (tmp_path / f"{seed}.{kind}" for seed in "12")
        assert one.read_bytes() == other.read_bytes()


def test_a_folder_that_is_not_there_is_made(tmp_path):
    files = save(make_figure(), tmp_path / "nowhere" / "a.png")
    assert files == sorted((tmp_path / "nowhere").iterdir(), reverse=True)


def test_a_file_in_a_folders_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/a\.png can't be written: Not a directory"):
        save(make_figure(), tmp_path / "file" / "a.png")


@pytest.mark.parametrize("name", ["caf\udce9", "$\\frac$", "a\nb", "\N{GRINNING FACE}", "[red]"])
def test_a_title_can_be_any_name_of_a_folder(name):
    with figure_style():
        header = Header(TWO_COLUMNS, f"digits of {name}", name, [])
        figure = new_figure(TWO_COLUMNS, header.height)
        header.draw(figure)
        figure.canvas.draw()  # warnings are errors: no sign is missing in the font


def test_the_users_settings_change_nothing_and_are_left_as_they_were(tmp_path):
    plain = [path.read_bytes() for path in save(make_figure(), tmp_path / "plain")]
    own = {"font.size": 20, "axes.facecolor": "red", "savefig.bbox": "tight", "figure.dpi": 30}
    with matplotlib.rc_context(own):
        found = [path.read_bytes() for path in save(make_figure(), tmp_path / "own")]
        assert {key: matplotlib.rcParams[key] for key in own} == own
    assert found == plain


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_a_text_is_cut_to_the_width_it_may_take_and_ends_in_an_ellipsis(text):
    cut = shorten(text, 1.0)
    assert text_width(cut) <= 1.0
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))
    if cut != text:
        assert text_width(f"{text[: len(cut) + 2]}…") > 0.9


@given(st.lists(st.text("abcdefghij", min_size=1, max_size=9), max_size=30))
def test_a_text_is_broken_between_words_and_loses_none(words):
    lines = wrap(" ".join(words), 2.0)
    assert " ".join(lines).split() == words
    assert all(text_width(line) <= 2.0 for line in lines)


@pytest.mark.parametrize("num_handles", [0, 1, 4, 9])
@pytest.mark.parametrize("note", ["", "a word, " * 60])
def test_a_header_holds_its_title_note_and_legend(num_handles, note):
    handles = [Line2D([], [], label=f"curve number {n} of some") for n in range(num_handles)]
    with figure_style():
        header = Header(TWO_COLUMNS, "a title " * 40, note, handles)
        figure = new_figure(TWO_COLUMNS, header.height)
        header.draw(figure)
    check_texts(figure)
    assert set(words_of(figure)) >= {handle.get_label() for handle in handles}


def test_curves_differ_in_shape_and_style_besides_their_colours():
    assert len({marker for _, marker, _ in CYCLE}) == len(CYCLE)
    assert len({style for _, _, style in CYCLE}) == len(CYCLE)
    for (one, *_), (other, *_) in combinations(CYCLE[:2], 2):
        assert abs(greyness(one) - greyness(other)) > 0.1


@pytest.mark.parametrize(
    ("value", "text"), [(0.125, "+0.12"), (-0.126, "−0.13"), (-0.001, "+0.00"), (0.0, "+0.00")]
)
def test_differences_have_a_sign_that_zero_does_not_lose(value, text):
    assert signed(value) == text


def test_an_interval_that_is_not_known_is_left_out():
    assert with_interval(0.5, -0.25, 1.25) == "+0.50 (−0.25 to +1.25)"
    assert with_interval(0.5, None, None) == "+0.50"


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_a_range_is_widened_and_never_empty(low, length):
    start, end = padded(low, low + length)
    assert start < low <= low + length < end
