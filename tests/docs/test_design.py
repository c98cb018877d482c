"""The page for contributors follows the code."""

import re
import tomllib

from support.pages import ROOT

PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


def test_the_table_of_layers_is_that_of_the_import_linter():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    table = PAGE[PAGE.index("| layer |") : PAGE.index("Beside the package:")]
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line]
    assert [re.findall(r"`(\w+)`", row) for row in rows] == [layer.split(" | ") for layer in layers]
