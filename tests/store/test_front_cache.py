"""The posterior front that a run keeps: read back to the bit, and made anew for anything else."""

import json
from dataclasses import replace

import pytest
from support.made_up_pages import HISTORY
from support.made_up_trainings import OBJECTIVES, SPACE, make_trainings, records_of
from support.networks import bind
from support.run_folders import begin_run

from se_search.store import front_cache
from se_search.store.front_cache import (
    read_history,
    read_kept_front,
    read_posterior_front,
    read_question,
)
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.decision import TOLERANCE
from se_search.surrogate.fit_front import fit_front

RECORDS = records_of(*make_trainings(0, 40)[::2])


QUESTION = Question(OBJECTIVES, 4, num_validation=10)


@pytest.fixture(scope="module")
def front():
    return fit_front(RECORDS, SPACE, QUESTION)


class Counted:
    """A fit that is known beforehand, and notes what it is asked."""

    def __init__(self, front):
        self.front = front
        self.asked = []

    @property
    def calls(self):
        return len(self.asked)

    def __call__(self, records, space, question):
        self.asked.append(question)
        return self.front


@pytest.fixture
def fit(front):
    return Counted(front)


@pytest.fixture
def folder(tmp_path):
    return begin_run(tmp_path, SPACE)


def configure(folder, identity=(), search=()):
    """Change what a run's configuration records."""
    config = folder.read_config()
    config["identity"] |= dict(identity)
    config["search"] |= dict(search)
    folder.write_config(config)


@pytest.fixture
def read(folder, fit):
    """Return what reads the front of a run in a temporary folder, by default of ``RECORDS``."""

    def read(records=RECORDS, space=SPACE, **config):
        configure(folder, **config)
        return read_posterior_front(folder, records, space, fit)

    return read


def test_the_model_is_fitted_once_and_read_back_to_the_bit(read, fit, front):
    assert read() == read() == front
    assert fit.calls == 1


def test_without_a_fit_of_its_own_it_is_the_models(folder, front):
    assert read_posterior_front(folder, RECORDS, SPACE) == front


def test_a_run_asks_what_its_configuration_records(folder):
    assert read_question(folder) == QUESTION
    data = {"name": "digits", "validation": 360, "chance": 0.104}
    identity = {"objectives": ["accuracy", "macs"], "epochs": 9, "data": data}
    configure(folder, identity, {"tolerance": 0.5})
    wanted = Question(("accuracy", "macs"), 9, 0.104, 360, tolerance=0.005)
    assert read_question(folder) == wanted


def test_a_tolerance_of_0_points_is_no_missing_one(folder):
    assert read_question(folder).tolerance == TOLERANCE
    configure(folder, search={"tolerance": 0.0})
    assert read_question(folder).tolerance == 0


OTHER_WIDTHS = bind([16], [64], [256], width=[4, 8, 16, 32])
OTHER_CHANNELS = bind([16], [64], [128], width=[4, 8, 16])
OTHER_DATA = {"name": "digits", "validation": 10, "chance": 0.1}


@pytest.mark.parametrize(
    "change",
    [
        {"records": [*RECORDS, replace(RECORDS[0], number=99, seed=9)]},
        {"records": RECORDS[:-1]},
        {"records": [replace(RECORDS[0], accuracy=0.9), *RECORDS[1:]]},
        {"records": [replace(RECORDS[0], seed=9), *RECORDS[1:]]},
        {"identity": {"objectives": ["accuracy", "macs"]}},
        {"identity": {"epochs": 5}},
        {"identity": {"data": OTHER_DATA}},
        {"search": {"tolerance": 0.3}},
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


DAMAGED = ["", "{", "[]", '{"digest": 1}', '"text"', "\x00", pytest.param("[" * 200_000, id="deep")]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_keeps_no_front(tmp_path, content):
    folder = begin_run(tmp_path / "run", SPACE)
    (folder.path / "posterior.json").write_text(content)
    assert read_kept_front(folder) is None


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_history_is_traced_anew(tmp_path, front, content):
    folder = begin_run(tmp_path / "run", SPACE)
    (folder.path / "history.json").write_text(content)
    assert read_history(folder, RECORDS, SPACE, front, lambda *given: HISTORY) == HISTORY


@pytest.mark.parametrize("content", DAMAGED)
def test_a_file_that_is_cut_off_is_made_anew(tmp_path, read, fit, front, content):
    read()
    (tmp_path / "posterior.json").write_text(content)
    assert read() == front
    assert fit.calls == 2
    assert [path.name for path in tmp_path.glob("posterior*")] == ["posterior.json"]


def test_a_file_of_another_shape_with_the_right_digest_is_made_anew(tmp_path, read, fit, front):
    read()
    kept = json.loads((tmp_path / "posterior.json").read_text())
    del kept["front"]["candidates"][0]["gain"]
    (tmp_path / "posterior.json").write_text(json.dumps(kept))
    assert read() == front
    assert fit.calls == 2


def test_a_file_of_another_version_of_the_model_is_made_anew(read, fit, monkeypatch):
    read()
    monkeypatch.setattr(front_cache, "MODEL_VERSION", front_cache.MODEL_VERSION + 1)
    read()
    assert fit.calls == 2


def test_a_front_of_more_trainings_that_a_search_keeps_meanwhile_stays(folder, front):
    """``status`` reads a run while it goes on, and may end after it."""

    def fit_slowly(records, *_):
        read_posterior_front(folder, RECORDS, SPACE, lambda *_: front)
        return replace(front, candidates=front.candidates[:1])

    read_posterior_front(folder, RECORDS[:9], SPACE, fit_slowly)
    assert read_kept_front(folder) == front


def test_where_nothing_may_be_written_the_front_is_still_read(folder, fit, front):
    (folder.path / "posterior.json").mkdir()
    assert read_posterior_front(folder, RECORDS, SPACE, fit) == front


def test_a_history_is_traced_once_and_read_back_equal(tmp_path, front):
    folder = begin_run(tmp_path / "run", SPACE)
    asked = []

    def trace(records, space, question, kernels):
        asked.append(kernels)
        return HISTORY

    first = read_history(folder, RECORDS, SPACE, front, trace)
    assert read_history(folder, RECORDS, SPACE, front, trace) == first == HISTORY
    assert asked == [front.kernels]
    read_history(folder, RECORDS[:-1], SPACE, front, trace)
    assert len(asked) == 2


def test_that_a_history_cant_be_told_is_kept_too(tmp_path, front):
    folder = begin_run(tmp_path / "run", SPACE)
    asked = []
    for _ in range(2):
        assert (
            read_history(folder, RECORDS, SPACE, front, lambda *given: asked.append(given)) is None
        )
    assert len(asked) == 1
