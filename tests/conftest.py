"""Fixtures of several packages' tests."""

import os

import pytest
from hypothesis import HealthCheck, settings
from support.commands import call_here

# The same examples in every run, however slow the machine is; nothing is kept between runs.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


def pytest_collection_modifyitems(items):
    """Begin with the longest file: the last one to begin leaves the other cores idle."""
    items.sort(key=lambda item: item.path.name != "test_cli.py")


@pytest.fixture(autouse=True)
def without_a_width(monkeypatch):
    """Print as into a pipe, whatever width a terminal or a library has left behind."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def environment(home):
    # Without the width of the terminal that the tests are started from, as in a pipe.
    outer = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return outer | {"SE_SEARCH_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def call(home, environment):
    """Return a function that runs a command in this process and checks its exit code."""

    def run(*arguments, expect=0, folder=home):
        outcome = call_here(*arguments, folder=folder, environment=environment)
        assert outcome.returncode == expect, outcome.stdout + outcome.stderr
        return outcome

    return run
