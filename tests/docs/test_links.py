"""What README and docs refer to is there."""

import re

import pytest
from support.pages import PAGES, ROOT, read_anchors, read_inline_code, read_links

PATH = re.compile(r"(?:se_search|search_spaces|studies|benchmarks|tests|docs|\.ci)/[\w./-]*")
MADE = ("docs/_build",)
MORE_PAGES = (
    ROOT / "CHANGELOG.md",
    *ROOT.glob("studies/**/README.md"),
    *ROOT.glob("*/*/README.md"),
)


@pytest.mark.parametrize(
    "page", sorted({*PAGES, *MORE_PAGES}), ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_lead_somewhere(page):
    for link in read_links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in read_anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    for _, text in read_inline_code(page):
        match = PATH.fullmatch(text.split(":")[0])
        if match and not text.startswith(MADE):
            assert (ROOT / match[0]).exists(), text


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^(\w+)$", index, re.MULTILINE))
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"} <= listed
