"""The page on what a run leaves names every file of a run."""

from support.pages import ROOT, read_inline_code


def test_the_page_names_every_file_of_a_run(example_runs):
    named = {text.rstrip("/") for _, text in read_inline_code(ROOT / "docs" / "results.md")}
    assert {path.name for path in (example_runs / "stages_ratio").iterdir()} <= named
