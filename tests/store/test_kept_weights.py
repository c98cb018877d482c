"""Kept weights: files that say themselves what they are of."""

import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.errors import RunError
from se_search.store.files import write_bytes
from se_search.store.kept_weights import (
    KeptWeights,
    WeightsName,
    add_facts,
    describe_facts,
    read_kept_file,
    read_whole,
)

CANDIDATE = Candidate.parse("all=standard:4", make_backbone([8]))
TENSORS = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor(7),
    "empty": torch.ones(0),
}


@pytest.fixture
def weights(tmp_path):
    return KeptWeights(tmp_path)


def keep(weights, replicate=3, epochs=4, candidate=CANDIDATE, accuracy=0.875):
    facts = describe_facts(candidate, replicate, epochs, accuracy=accuracy)
    path = weights.path_for(candidate.key, replicate, epochs)
    write_bytes(path, add_facts(save(TENSORS), facts))
    return path


def test_safetensors_reads_facts_and_tensors_of_a_file(weights):
    path = keep(weights)
    with safe_open(path, "pt") as file:
        facts = file.metadata()
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118  # no mapping
            name: tensor.tolist() for name, tensor in TENSORS.items()
        }
    assert (facts["candidate"], facts["replicate"]) == ("tiny/stage2=standard:4", "3")
    assert load(path.read_bytes())["b"] == 7


def test_a_file_says_what_it_is_of(weights):
    path = keep(weights)
    kept = weights.find(CANDIDATE)
    assert (kept.path, kept.candidate, kept.replicate, kept.epochs, kept.accuracy) == (
        path,
        str(CANDIDATE),
        3,
        4,
        0.875,
    )
    assert kept.num_bytes == path.stat().st_size == len(read_whole(kept))


def test_the_longest_training_is_found(weights):
    for epochs in (1, 16, 4):
        keep(weights, epochs=epochs)
    assert weights.find(CANDIDATE).epochs == 16


def test_another_candidates_weights_are_not_found(weights):
    keep(weights)
    assert weights.find(Candidate.plain(CANDIDATE.backbone)) is None


def test_a_run_without_weights_has_none(weights):
    assert weights.find(CANDIDATE) is None
    assert weights.list_names() == {}


def test_a_changed_tensor_is_refused_by_the_name_of_the_file(weights):
    path = keep(weights)
    kept = weights.find(CANDIDATE)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=rf"{path.name} is damaged: its tensors"):
        read_whole(kept)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:20],
        lambda content: b"",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:8] + b"[" + content[9:],
        lambda content: save(TENSORS),
    ],
    ids=["a byte short", "cut off", "empty", "no length", "no JSON", "no facts"],
)
def test_a_file_that_is_none_of_a_run_is_refused_by_its_name(weights, damage):
    path = keep(weights)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunError, match=rf"{path.name} can't be read as weights of a run"):
        read_kept_file(path)


def test_an_empty_file_is_said_to_have_no_header(weights):
    path = keep(weights)
    path.write_bytes(b"")
    with pytest.raises(RunError, match=r"as weights of a run: it has no header$"):
        read_kept_file(path)


def test_a_file_under_another_ones_name_is_refused(weights):
    keep(weights).rename(weights.path_for(CANDIDATE.key, 5, 4))
    with pytest.raises(RunError, match="which is not what its name says"):
        weights.find(CANDIDATE)


def test_tidying_removes_what_a_killed_process_left_and_an_empty_folder(weights):
    path = keep(weights)
    dead = os.fork()
    if not dead:
        os._exit(0)
    os.waitpid(dead, 0)
    (weights.folder / f".{dead}-0123abcd.tmp").write_bytes(b"half")
    weights.tidy()
    assert [file.name for file in weights.folder.iterdir()] == [path.name]
    weights.remove(WeightsName.parse(path.name))
    weights.tidy()
    assert not weights.folder.exists()


def test_names_of_other_files_are_none_of_weights():
    names = ("x.safetensors", "0123456789ab-1.safetensors", "0123456789ab-1-2.tmp")
    assert [WeightsName.parse(name) for name in names] == [None] * 3
