"""Values of a run's config.yaml that are accepted, however odd: no command fails by them."""

import copy
from contextlib import suppress

import pytest
from support.commands import list_leaves
from support.kept_runs import make_run, make_trial
from support.run_folders import fill_config

from se_search.commands.options import ConfirmOptions
from se_search.commands.recorded_run import describe_recorded_run, read_recorded_options
from se_search.errors import RunError, SESearchError
from se_search.report.overview import read_overview
from se_search.report.run_report import write_report
from se_search.report.status import read_status
from se_search.store.config_file import check_config

ENDED = [make_trial(name, 0.8, seed) for name in ("no SE", "s2:4", "s2:8") for seed in (0, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "run", ENDED, trials=6)
    fill_config(folder)
    return folder


def put(config, path, value):
    part = config
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value


@pytest.mark.parametrize("value", [None, "", True, [], {}, 10**30], ids=repr)
def test_no_command_ends_in_a_traceback_by_a_value_that_is_accepted(folder, tmp_path, value):
    """All keys that accept a value get it at once."""
    (tmp_path / "config.yaml").write_text("format: 5\n")  # which messages quote
    config = folder.read_config()
    changed = copy.deepcopy(config)
    for path in list_leaves(config):
        tried = copy.deepcopy(changed)
        put(tried, path, value)
        try:
            check_config(tmp_path / "config.yaml", tried)
        except RunError:
            continue
        if path[:2] not in (("identity", "space"), ("identity", "backbone")):
            changed = tried
    folder.write_config(changed)
    try:
        for command in (read_overview, read_status, write_report, plan_confirmation):
            with suppress(SESearchError):
                command(folder)
    finally:
        folder.write_config(config)


def plan_confirmation(folder):
    config = folder.read_config()
    describe_recorded_run(folder, config, read_recorded_options(config, ConfirmOptions()))
