"""The page of a run: what stands in it, and that names are only ever text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from support.made_up_fronts import (
    GOOD,
    LEAVE,
    NOTHING,
    PLAIN,
    UNSETTLED,
    make_candidate,
    make_facts,
    make_front,
)
from support.made_up_pages import PLANTED, make_source, plant_names

from se_search.report.page.candidates import MAX_ROWS, describe_left_out, list_candidates
from se_search.report.page.contents import prepare_page
from se_search.report.page.markdown_code import render_code
from se_search.report.page.render import SECTIONS, escape_markdown, render_html, render_markdown
from se_search.report.page.strip import WidthScale
from se_search.surrogate.decision import Decision

SCALE = WidthScale(4, 16)


class Reader(HTMLParser):
    """Reads a page: its elements with their attributes, and the text of all but scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self._open, self.words = [], {}, None, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open = (tag, dict(attributes))

    def handle_data(self, data):
        tag, attributes = self._open or ("", {})
        if tag in ("script", "style"):
            self.scripts[attributes.get("id", f"{tag} {len(self.scripts)}")] = data
        else:
            self.words.append(data)

    def handle_endtag(self, tag):
        self._open = None

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def read(source):
    return Reader(render_html(prepare_page(source)))


@pytest.fixture(scope="module")
def html():
    return render_html(prepare_page(make_source()))


@pytest.fixture(scope="module")
def page(html):
    return Reader(html)


def test_the_answer_stands_first_and_every_section_is_there_once(page):
    ids = page.ids()
    assert len(ids) == len(set(ids))
    assert [name for name in ids if name in ("answer", *SECTIONS)] == ["answer", *SECTIONS]
    assert "Put SE of width 4 in stage 2: +0.62 points (0.31 to 0.93)" in page.text


def test_a_run_whose_gates_nobody_has_looked_at_has_no_section_of_them():
    page = prepare_page(make_source(gates=None))
    assert 'id="gates"' not in render_html(page)
    assert 'href="#gates"' not in render_html(page)
    assert "Gates" not in render_markdown(page)


def test_the_gates_say_in_markdown_what_they_say_in_html(html):
    markdown = render_markdown(prepare_page(make_source()))
    for text in (html, markdown):
        assert "Most is lost without the gates of s3.1: 10.0 points" in text
    assert "| s3.1 | 0.80 |" in markdown
    assert "![Mean gates by channel and class](gates.png)" in markdown


def test_headings_do_not_skip_a_level(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_the_page_asks_for_nothing_that_is_not_in_it(page, html):
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert "src" not in attributes
        assert not attributes.get("href", "#").startswith(("http", "//", "file"))
        assert not any(name.startswith("on") for name in attributes)
    (policy,) = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_each_figure_of_the_page_has_its_data(page):
    wanted = {a["data-figure"] for _, a in page.elements if "data-figure" in a}
    assert wanted == {"places", "front-params", "effects", "found-trainings"} | {
        "certainty-trainings",
        *("confirmed", "drops", "gates-0", "gates-1", "gates-2", "gates-3"),
    }
    for name in (*wanted, "found-time", "certainty-time"):
        assert json.loads(page.scripts[f"data-{name}"])["data"]


def test_the_page_of_a_run_is_small(html):
    assert len(html.encode()) < 2_000_000


def test_names_with_mark_up_are_text():
    page = read(plant_names())
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert sum("type" not in attributes for attributes in scripts) == 2  # plotly's, the page's
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert page.text.count(PLANTED) > 8
    for name, text in page.scripts.items():
        if name.startswith("data-"):
            assert "<" not in text
            json.loads(text)


def test_names_with_mark_up_are_text_in_markdown():
    text = render_markdown(prepare_page(plant_names()))
    outside = re.sub(r"(?ms)^(`{3,})sh\n.*?^\1$", "", text)
    assert "\\<script\\>" in outside
    assert not re.search(r"(?<!\\)<", outside)


@pytest.mark.parametrize(
    ("front", "verdict", "fact"),
    [
        (make_front(), "Put SE in", "+0.62 points"),
        (make_front(LEAVE), "Leave SE out", "0.31 points at most"),
        (make_front(NOTHING, UNSETTLED), "Nothing can be said", "2.0 points at most"),
        (
            make_front(Decision("nothing", None, "x"), UNSETTLED, (), recommended_key=None),
            "Nothing can be said",
            "not known",
        ),
    ],
)
def test_the_verdict_and_what_se_gains_are_seen_at_a_glance(front, verdict, fact):
    page = prepare_page(make_source(front, rounds=(), history=None))
    assert page.verdict == verdict
    assert page.facts[0].value == fact
    text = Reader(render_html(page)).text
    assert verdict in text
    assert fact in text


def test_facts_in_markdown_are_sentences_of_their_own():
    front = make_front(NOTHING, UNSETTLED)
    text = render_markdown(prepare_page(make_source(front, rounds=(), history=None)))
    assert "**What SE may gain**: 2.0 points at most. The most that" in text


def test_where_nothing_is_proven_no_limit_is_told():
    front = make_front(NOTHING, UNSETTLED, unproven="accuracies are at chance level")
    page = prepare_page(make_source(front, rounds=(), history=None))
    assert page.facts[0].value == "not known"
    assert "accuracies are at chance level" in page.facts[2].detail


def test_commands_hold_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    facts = make_facts(working_directory=tmp_path, run=Path("runs/my run"))
    page = prepare_page(make_source(facts=facts))
    commands = [each.text for each in page.commands]
    run = tmp_path / "runs" / "my run"
    assert f"se-search confirm '{run}'" in commands
    assert f"se-search report '{run}' --latex" in commands
    assert all(str(tmp_path) in each for each in commands if " show " not in each)


def test_failures_are_counted_by_their_reason():
    page = prepare_page(make_source())
    (group,) = page.failures
    assert (group.reason, group.num_failures) == ("loss is not finite", 2)
    assert group.where == "trial 2: c; trial 3: c"


def tabulate(candidates, **known):
    front = make_front(candidates=candidates)
    parsed = {
        each.summary.key: make_facts().space.parse(each.summary.candidate) for each in candidates
    }
    return list_candidates(front, parsed, SCALE, **known)


def test_only_columns_that_differ_are_shown_and_the_others_are_named():
    table = tabulate([PLAIN, GOOD])
    names = [column.name for column in table.columns]
    assert {"SE", "gain, points (95 %)", "added %"} <= set(names)
    assert "epochs" not in names
    assert ("epochs", "4") in table.alike
    assert all(len(row) == len(names) for row in table.rows)


def test_candidates_are_sorted_by_their_expected_gain():
    worst = make_candidate("s3:4", -0.01, added=100, is_listed=False)
    rows = tabulate([PLAIN, worst, GOOD]).rows
    assert [row[0].text for row in rows] == ["s2:4", "no SE", "s3:4"]


def test_of_many_candidates_the_best_and_the_listed_are_shown():
    crowd = [
        replace(each, gain=0.001 + number / 1e6, summary=replace(each.summary))
        for number, each in enumerate([make_candidate("s3:4", is_listed=False)] * (MAX_ROWS + 5))
    ]
    table = tabulate([PLAIN, *crowd])
    assert len(table.rows) == MAX_ROWS
    assert "no SE" in {row[0].text for row in table.rows}
    assert "6 more candidates" in describe_left_out(table)


@pytest.mark.parametrize(
    ("line", "html"),
    [
        ("a `b` c", "a <code>b</code> c"),
        ("`` a`b ``", "<code>a`b</code>"),
        ("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"),
        ("none", "none"),
        ("one ` alone", "one ` alone"),
    ],
)
def test_code_spans_are_read_as_commonmark_has_them(line, html):
    assert render_code(line) == html


def test_markdown_of_a_name_is_that_name():
    assert escape_markdown("a|b*c_d\n# e") == r"a\|b\*c\_d \# e"


def test_the_markdown_has_the_answer_the_front_and_the_commands():
    text = render_markdown(prepare_page(make_source()))
    assert text.startswith("# width: Put SE in\n")
    assert "| 2 | s2:4 | +0.62 (0.31 to 0.93) | the answer |" in text.replace(" \\|", "|")
    assert "\n```sh\nse-search confirm " in text
    assert "\n\n\n" not in text
