"""The Python and YAML examples of README and docs."""

import ast
import subprocess
import sys

import pytest
import yaml
from support.pages import PAGES, read_blocks

from se_search.analysis.claims import Claim
from se_search.config import parse_yaml
from se_search.errors import SESearchError
from se_search.models.site_file import SiteFile
from se_search.recipe import Recipe
from se_search.space.schema import SearchSpace

# A file is told by a key that no other has.
MODELS = {"choices": SearchSpace, "epochs": Recipe, "sites": SiteFile}
EXAMPLES = [b for page in PAGES for b in read_blocks(page) if b.language == "yaml"]


def run_script(text, environment):
    """Run an example that trains: it is a script, which the child processes import again."""
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert outcome.returncode == 0, outcome.stderr


def run_example(text, names):
    """Run an example; where a line ends in a comment that is a value, it must have that value."""
    for statement in ast.parse(text).body:
        source = "\n".join(text.splitlines()[statement.lineno - 1 : statement.end_lineno])
        exec(compile(source, "<example>", "exec"), names)
        _, mark, comment = source.rpartition("  # ")
        if mark and isinstance(statement, ast.Expr) and is_literal(comment):
            assert eval(source, names) == ast.literal_eval(comment), source


def is_literal(text):
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return False
    return True


def test_the_python_examples_of_a_page_run_in_their_order(page, reader, environment):
    names = {}
    for block in read_blocks(page):
        if block.language != "python":
            continue
        if "__main__" in block.text:
            run_script(block.text, environment)
        else:
            run_example(block.text, names)


def test_a_wrong_value_in_a_comment_is_found():
    run_example("1 + 1  # 2\n", {})
    with pytest.raises(AssertionError):
        run_example("1 + 1  # 3\n", {})


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: f"{block.page.name}:{block.line}")
def test_the_yaml_examples_are_read_without_complaint(block):
    keys = yaml.safe_load(block.text)
    if "apiVersion" in keys:  # Kubernetes reads it
        return
    if "claims" in keys:
        assert [str(Claim.parse(claim)) for claim in keys["claims"]]
        return
    model = next(model for key, model in MODELS.items() if key in keys)
    parse_yaml(block.text, model, SESearchError, name=str(block.page))
