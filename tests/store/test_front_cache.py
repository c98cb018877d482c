"""The posterior front that a run keeps: read back to the bit, and made anew for anything else."""

import json
from dataclasses import replace

import pytest
from support.made_up_trainings import OBJECTIVES, SPACE, make_trainings, records_of
from support.networks import bind

from se_search.store import front_cache
from se_search.store.front_cache import read_posterior_front
from se_search.store.run_folder import RunFolder
from se_search.surrogate.posterior_front import fit_front

RECORDS = records_of(*make_trainings(0, 40)[::2])


@pytest.fixture(scope="module")
def front():
    return fit_front(RECORDS, SPACE, OBJECTIVES, 4)


class Counted:
    """A fit that is known beforehand, and counts how often it is asked for."""

    def __init__(self, front):
        self.front = front
        self.calls = 0

    def __call__(self, records, space, objectives, full_epochs):
        self.calls += 1
        return self.front


@pytest.fixture
def fit(front):
    return Counted(front)


@pytest.fixture
def read(tmp_path, fit):
    """Return what reads the front of a run in a temporary folder, by default of ``RECORDS``."""

    def read(records=RECORDS, space=SPACE, objectives=OBJECTIVES, epochs=4):
        return read_posterior_front(RunFolder(tmp_path), records, space, objectives, epochs, fit)

    return read


def test_the_model_is_fitted_once_and_read_back_to_the_bit(read, fit, front):
    assert read() == read() == front
    assert fit.calls == 1


def test_without_a_fit_of_its_own_it_is_the_models(tmp_path, front):
    assert read_posterior_front(RunFolder(tmp_path), RECORDS, SPACE, OBJECTIVES, 4) == front


OTHER_WIDTHS = bind([64], [64], [64], width=[4, 8, 16, 32])
OTHER_CHANNELS = bind([64], [64], [128], width=[4, 8, 16])


@pytest.mark.parametrize(
    "change",
    [
        {"records": [*RECORDS, replace(RECORDS[0], number=99, seed=9)]},
        {"records": RECORDS[:-1]},
        {"records": [replace(RECORDS[0], accuracy=0.9), *RECORDS[1:]]},
        {"objectives": ("accuracy", "macs")},
        {"epochs": 5},
        {"space": OTHER_WIDTHS},
        {"space": OTHER_CHANNELS},
    ],
    ids=lambda change: next(iter(change)),
)
def test_for_anything_else_it_is_made_anew(read, fit, change):
    read()
    read(**change)
    assert fit.calls == 2
    read(**change)
    assert fit.calls == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": 1}', '"text"', "\x00"])
def test_a_file_that_is_cut_off_is_made_anew(tmp_path, read, fit, front, content):
    read()
    (tmp_path / "posterior.json").write_text(content)
    assert read() == front
    assert fit.calls == 2
    assert [path.name for path in tmp_path.iterdir()] == ["posterior.json"]


def test_a_file_of_another_shape_with_the_right_digest_is_made_anew(tmp_path, read, fit, front):
    read()
    kept = json.loads((tmp_path / "posterior.json").read_text())
    del kept["front"]["candidates"][0]["estimate"]
    (tmp_path / "posterior.json").write_text(json.dumps(kept))
    assert read() == front
    assert fit.calls == 2


def test_a_file_of_another_version_of_the_model_is_made_anew(read, fit, monkeypatch):
    read()
    monkeypatch.setattr(front_cache, "MODEL_VERSION", front_cache.MODEL_VERSION + 1)
    read()
    assert fit.calls == 2


def test_where_nothing_may_be_written_the_front_is_still_read(tmp_path, fit, front):
    folder = RunFolder(tmp_path / "gone")
    assert read_posterior_front(folder, RECORDS, SPACE, OBJECTIVES, 4, fit) == front
