"""The command ``latency``: what it refuses before it measures anything."""

import pytest
from typer.testing import CliRunner

from se_search.cli import app
from se_search.errors import UnwritableError


@pytest.mark.parametrize("option", ["--csv", "--figure"])
def test_a_file_that_can_not_be_written_is_refused_before_anything_is_measured(tmp_path, option):
    (tmp_path / "file").touch()
    asked = ["latency", "--space", "stages", option, str(tmp_path / "file" / "table.png")]
    outcome = CliRunner().invoke(app, asked)
    assert isinstance(outcome.exception, UnwritableError)
    assert "can't be written: Not a directory" in str(outcome.exception)
    assert outcome.stderr == ""


def test_a_folder_takes_no_table(tmp_path):
    outcome = CliRunner().invoke(app, ["latency", "--csv", str(tmp_path)])
    assert "can't be written: Is a directory" in str(outcome.exception)
    assert outcome.stderr == ""
