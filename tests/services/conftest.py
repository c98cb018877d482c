"""Real commands, and a browser: Debian's Chromium without a window, driven by Selenium."""

import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from support.commands import call_program
from support.processes import start_run

SWITCHES = (
    "--headless",
    "--no-sandbox",  # root, as in CI's container, can't have one
    "--disable-gpu",
    "--hide-scrollbars",
    # Chromium asks nothing of hosts of its maker.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def call(home, environment):
    """Return a function that runs a command in a process of its own and checks its exit code."""

    def run(*arguments, expect=0, folder=home):
        outcome = call_program(*arguments, folder=folder, environment=environment)
        assert outcome.returncode == expect, outcome.stdout + outcome.stderr
        return outcome

    return run


@pytest.fixture
def start(home, environment):
    """Return a function that starts a short search, which ends with the test at the latest."""
    started = []

    def run(*arguments, **options):
        started.append(start_run(environment, home, *arguments, **options))
        return started[-1]

    yield run
    for process in started:
        with process:  # closes what it prints to
            process.kill()


@pytest.fixture(scope="session")
def chromium():
    """Return a browser; where none is installed, the tests that open pages skip and say so."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if None in programs.values():
        missing = [name for name, path in programs.items() if path is None]
        pytest.skip(f"NO PAGE IS TESTED: {' and '.join(missing)} not found; see CONTRIBUTING.md")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for switch in SWITCHES:
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=Service(programs["chromedriver"]))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """Return a browser of 1280 x 900 pixels; what a page's scripts complain of fails the test."""
    chromium.set_window_size(1280, 900)
    chromium.get_log("browser")  # of the test before
    yield chromium
    complaints = [line["message"] for line in chromium.get_log("browser")]
    chromium.get("about:blank")
    assert complaints == []
