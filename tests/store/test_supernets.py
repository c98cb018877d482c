"""Supernets and their scores on the disk: read as they were written, and nothing guessed."""

import json
from dataclasses import replace

import pytest

from se_search.errors import RunError
from se_search.record import RanOn
from se_search.score import Score
from se_search.store.scores import FIELDS, digest_scores, read_scores, write_scores
from se_search.store.supernets import (
    Probe,
    Segment,
    SupernetFiles,
    SupernetRecord,
    Supernets,
    read_supernet_scores,
    read_supernets,
    store_scores,
    write_supernets,
)

RAN_ON = RanOn("a CPU", None, None, None, "32-true", "2.14.1", 10**9, threads=1)
SUPERNETS = Supernets(
    (Probe("net/stage2=standard:4", 2_000_000),),
    (
        Segment("train", 0, 18),
        Segment("supernets", 18, 18, (7, 8), ("net/stage3=standard:4",), 0.001, 0.002),
    ),
    (
        SupernetRecord(7, 18, training_worth=4.0, scoring_worth=0.6, ran_on=RAN_ON),
        SupernetRecord(8, 18, "FAIL", 4.0, 0.6, reason="the loss is nan"),
    ),
)


def make_score(member, key, value=0.5, loss=0.1):
    return Score("supernet", member, f"net/{key}", key, value, loss, value, 0.25)


@pytest.fixture
def files(tmp_path):
    return SupernetFiles(tmp_path)


def test_supernets_are_read_as_they_were_written(files):
    assert read_supernets(files) == Supernets()
    write_supernets(files, SUPERNETS)
    assert read_supernets(files) == SUPERNETS


def test_a_failed_supernet_costs_its_training(files):
    assert SUPERNETS.worth == pytest.approx(4.6 + 4.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content["supernets"][0].update(training_worth=0.0), "changed by hand"),
        (lambda content: content.update(format=9), "format 9, and this version reads format 1"),
        (lambda content: content.pop("segments"), "changed by hand"),
    ],
)
def test_a_file_that_was_changed_is_refused_by_name(files, change, told):
    write_supernets(files, SUPERNETS)
    content = json.loads(files.json.read_text())
    change(content)
    files.json.write_text(json.dumps(content))
    with pytest.raises(RunError, match=rf"supernets\.json can't be read .*{told}"):
        read_supernets(files)


def test_scores_are_read_as_they_were_written_to_the_last_bit(tmp_path):
    path = tmp_path / "scores.csv"
    scores = [make_score(7, "a", 0.1 + 0.2), make_score(7, "b,c"), make_score(0, "d", loss=None)]
    scores[2] = replace(scores[2], rung="naswot", accuracy=None, value=-1234.5)
    assert read_scores(path) == []
    write_scores(path, scores)
    assert read_scores(path) == scores
    assert path.read_bytes().startswith(",".join(FIELDS).encode() + b"\r\n")


@pytest.mark.parametrize("text", ["rung,member\r\n", ",".join(FIELDS) + "\r\nsupernet,x,,,,,,\r\n"])
def test_a_table_of_something_else_is_refused_by_name(tmp_path, text):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(RunError, match=r"scores\.csv can't be read as scores of a run"):
        read_scores(path)


def test_a_digest_does_not_depend_on_the_order_of_scores():
    scores = [make_score(7, key) for key in "abc"]
    assert digest_scores(scores) == digest_scores(scores[::-1]) != digest_scores(scores[:2])


def test_a_supernet_adds_to_its_scores_and_leaves_those_of_others(files):
    supernets = replace(SUPERNETS, supernets=SUPERNETS.supernets[:1])
    first = [make_score(7, "a"), make_score(7, "b")]
    supernets = store_scores(files, supernets, supernets.find(7), first)
    other = SupernetRecord(9, 30, training_worth=4.0)
    supernets = supernets.with_supernet(other)
    supernets = store_scores(files, supernets, other, [make_score(9, "a")])
    supernets = store_scores(files, supernets, supernets.find(7), [make_score(7, "c")])
    assert [(one.seed, one.num_scored) for one in supernets.scored] == [(7, 3), (9, 1)]
    assert read_supernets(files) == supernets
    found = read_supernet_scores(files, supernets)
    assert [(s.member, s.key) for s in found] == [(7, "a"), (7, "b"), (7, "c"), (9, "a")]


def test_scores_that_no_supernet_vouches_for_are_left_out(files):
    supernets = replace(SUPERNETS, supernets=SUPERNETS.supernets[:1])
    write_scores(files.csv, [make_score(7, "a")])  # and the command was killed
    assert read_supernet_scores(files, supernets) == []
    supernets = store_scores(files, supernets, supernets.find(7), [make_score(7, "b")])
    assert [s.key for s in read_supernet_scores(files, supernets)] == ["b"]
    write_scores(files.csv, [make_score(7, "b"), make_score(7, "c")])
    assert [s.key for s in read_supernet_scores(files, supernets)] == ["b"]


def test_scores_that_were_changed_are_refused_with_the_supernet(files):
    supernets = replace(SUPERNETS, supernets=SUPERNETS.supernets[:1])
    supernets = store_scores(files, supernets, supernets.find(7), [make_score(7, "a")])
    write_scores(files.csv, [make_score(7, "a", 0.6)])
    with pytest.raises(RunError, match=r"of supernet 1 \(member 7\) than it gave: 1 of 1"):
        read_supernet_scores(files, supernets)


def test_scores_whose_supernets_are_gone_are_refused_by_the_name_of_the_missing_file(files):
    write_supernets(files, SUPERNETS)
    write_scores(files.csv, [make_score(7, "a")])
    files.json.unlink()
    with pytest.raises(RunError, match=r"supernets\.json is gone, which says what the scores in"):
        read_supernets(files)
