"""The dashboard, served by a real command and opened in a browser."""

import re
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from support.commands import COMMAND
from support.run_folders import begin_run, fill_config
from support.searching import evaluation, make_space, search

from se_search.store.trials import read_records

SECONDS = 120  # until something is there, on a machine that is busy
NUM_TRIALS = 24
FIGURES = ("front-params", "places", "effects", "found-trainings", "certainty-trainings")


def evaluate(assignment):
    """Return a training: SE in stage 2 gains a point, a seed moves all, and the rest is noise."""
    candidate = assignment.candidate
    gain = 0.01 * ("stage2" in str(candidate))
    noise = (int(candidate.key, 16) % 7 + assignment.seed) % 5 / 5000
    return evaluation(0.8 + gain + 0.002 * assignment.seed + noise)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    space = make_space()
    folder = begin_run(tmp_path_factory.mktemp("runs") / "mine", space)
    fill_config(folder)
    search(folder.database, NUM_TRIALS, space=space, evaluate=evaluate, replicates=3)
    return folder


@contextmanager
def serving(folder, environment):
    """Serve a run; the value is the process and the address that it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [COMMAND, "dashboard", str(folder.path), "--port", str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert address, line + process.stderr.read()
            yield process, address[0]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def address(folder, environment):
    with serving(folder, environment) as (_, address):
        yield address


@pytest.fixture
def wait(browser):
    return WebDriverWait(browser, SECONDS).until


def read(browser):
    return browser.find_element(By.TAG_NAME, "body").text


def test_the_dashboard_opens_with_the_answer_which_leads_to_the_report(browser, wait, address):
    browser.get(address)

    def has_answer(browser):
        if "are being computed" in read(browser):
            browser.refresh()
        return "Open the report" in read(browser)

    wait(has_answer)
    text = read(browser)
    assert f"{NUM_TRIALS} trials: {NUM_TRIALS} in full." in text
    assert "**" not in text
    browser.find_element(By.LINK_TEXT, "Open the report").click()
    wait(lambda browser: "mine" in browser.title)
    assert browser.find_element(By.TAG_NAME, "h1").text


def test_the_figures_are_drawn(browser, wait, address):
    browser.get(f"{address}/dashboard/studies/0")
    for name in FIGURES:
        place = f"#user-defined-plot\\:{name} .main-svg .gtitle"
        wait(lambda browser, place=place: browser.find_elements(By.CSS_SELECTOR, place))
    plots = browser.find_elements(By.CSS_SELECTOR, "[id^='user-defined-plot:']")
    assert [each.get_attribute("id").partition(":")[2] for each in plots] == list(FIGURES)
    for plot in plots:
        assert plot.find_elements(By.CSS_SELECTOR, ".trace")
        assert 0 < plot.find_element(By.CLASS_NAME, "main-svg").size["height"] <= 450
    optuna = browser.find_element(By.XPATH, "//*[contains(text(), 'Hyperparameter Importance')]")
    pareto = browser.find_element(By.XPATH, "//*[contains(text(), 'Pareto Front')]")
    assert max(plot.location["y"] for plot in plots) < optuna.location["y"] < pareto.location["y"]
    assert browser.execute_script("return document.documentElement.scrollWidth") == 1280


def test_the_page_of_a_trial_says_its_candidate_and_replicate(browser, wait, address, folder):
    record = read_records(folder.database)[5]
    browser.get(f"{address}/dashboard/studies/0/trials?numbers=5")
    wait(lambda browser: f"candidate {record.placement}" in read(browser).splitlines())
    assert f"replicate {record.seed}" in read(browser).splitlines()


def find_addresses(port):
    """Return the addresses at which this machine listens on a port, as Linux writes them."""
    found = set()
    for table in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, local, _, state = line.split()[:4]
            address, number = local.split(":")
            if state == "0A" and int(number, 16) == port:
                found.add(address)
    return found


def test_it_listens_here_alone_and_ctrl_c_ends_it_without_a_trace(folder, environment, tmp_path):
    before = sorted(folder.path.rglob("*"))
    own = environment | {"TMPDIR": str(tmp_path)}
    with serving(folder, own) as (process, address):
        port = int(address.rpartition(":")[2])
        assert find_addresses(port) <= {"0100007F"}  # 127.0.0.1, and nowhere else
        assert find_addresses(port) or not Path("/proc/net/tcp").exists()
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
        assert process.stderr.read() == ""
    assert sorted(folder.path.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []
