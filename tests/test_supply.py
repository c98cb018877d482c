"""What is installed: the lock covers what the project needs, in the tested versions, by hashes."""

import importlib.util
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDED = [*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["docs"]]
DUE = "run make lock"


def read_pins(name):
    """Return the entries of a file of pins: a requirement, and the options after it."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line and line.strip()[0] != "#"]
    return [(Requirement(line.partition(" --")[0]), line.split(" --")[1:]) for line in lines]


def versions(name):
    return {canonicalize_name(pin.name): str(pin.specifier) for pin, _ in read_pins(name)}


def test_each_file_that_is_installed_is_known_by_its_hash():
    for pin, options in read_pins("requirements.lock"):
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin
        assert options, pin
        assert all(re.fullmatch(r"hash=sha256:[0-9a-f]{64}\s*", option) for option in options), pin


@pytest.mark.parametrize("text", NEEDED)
def test_what_the_project_needs_is_locked_in_a_version_that_it_takes(text):
    needed = Requirement(text)
    locked = versions("requirements.lock").get(canonicalize_name(needed.name))
    assert locked is not None, DUE
    assert needed.specifier.contains(locked.removeprefix("==")), DUE


def test_the_locked_versions_are_those_that_the_tests_run_with():
    locked, tested = versions("requirements.lock"), versions("constraints.txt")
    assert all(locked.get(name, version) == version for name, version in tested.items()), DUE


@pytest.fixture(scope="module")
def judge():
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.judge


SOUND = {"name": "sound", "version": "1.0", "vulns": []}
SKIPPED = {"name": "odd", "skip_reason": "not found"}
HOLED = {"name": "holed", "version": "2.0", "vulns": [{"id": "X-1", "fix_versions": ["2.1"]}]}


def test_a_package_with_a_known_vulnerability_fails_the_audit(judge):
    code, lines = judge({"dependencies": [SOUND, HOLED]})
    assert code == 1
    assert lines == ["holed 2.0: X-1, fixed in 2.1", "2 packages were audited."]


@pytest.mark.parametrize("report", [None, {"dependencies": [SKIPPED]}])
def test_an_audit_that_could_ask_nobody_says_so(judge, report):
    code, lines = judge(report)
    assert code == 0
    assert lines[0].startswith("NOT AUDITED")


def test_a_package_that_nobody_knows_is_named(judge):
    assert judge({"dependencies": [SOUND, SKIPPED]}) == (
        0,
        ["NOT AUDITED, for the service does not know them: odd", "1 packages were audited."],
    )
