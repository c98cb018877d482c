"""The page on the command line: its tables are what the program does."""

import re
import signal

from support.pages import ROOT

from se_search import errors

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def first_cells(heading):
    """Return what stands in code or as a number in the first column of a section's tables."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")][2:]
    return {word for cell in cells for word in re.findall(r"[\w_]+", cell)}


def test_the_table_of_exit_codes_has_every_code_of_an_error():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = {kind.exit_code for kind in kinds if issubclass(kind, errors.SESearchError)}
    stopped = {128 + signal.SIGINT, 128 + signal.SIGTERM}
    assert {int(code) for code in first_cells("Exit codes")} == {0, 1} | raised | stopped


def test_the_table_of_json_has_every_key_of_a_report():
    from se_search.report.event import KEYS

    assert first_cells("JSON") == set(KEYS)
