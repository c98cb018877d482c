"""Data and weights on a node: what is there is used if it is equal, else it is sent once."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_sets import make_recipe

from se_search.errors import DataError
from se_search.execution.node_data import (
    _FOUND,
    Parcel,
    digest_file,
    find_data,
    find_weights,
    read_all,
)
from se_search.training.datasets import describe_data, prepare_data

RECIPE = make_recipe(epochs=1, batch_size=32, split={"validation": 100})


class Post:
    """A node's post that reads the coordinator's files by itself, and counts how often."""

    def __init__(self, parcel, size=1_000):
        self._parcel = parcel
        self._size = size
        self.num_fetched = 0

    def fetch_parts(self, name):
        self.num_fetched += 1
        if self._parcel is None:
            raise DataError(f"the {name} can't be sent")
        return read_all(lambda cursor: self._parcel.read(name, cursor, self._size))


@pytest.fixture(autouse=True)
def _new_process():
    _FOUND.clear()
    yield
    _FOUND.clear()


@pytest.fixture
def digits(tmp_path):
    return prepare_data("digits", None, tmp_path / "cache", RECIPE)


@pytest.fixture
def images(tmp_path):
    """Return a folder of images as the coordinator has prepared it, and its recipe."""
    drawn = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 2)):
        for label in ("cat", "dög"):
            folder = tmp_path / "images" / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = drawn.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    recipe = make_recipe(epochs=1, batch_size=4, image_size=8, split={"validation": 2})
    name = f"folder:{tmp_path / 'images'}"
    _, recipe = describe_data(name, recipe, cache_dir=tmp_path / "cache")
    return prepare_data(name, None, tmp_path / "cache", recipe), recipe


def test_arrays_that_lie_where_the_coordinator_has_them_are_used(digits, tmp_path):
    post = Post(None)
    found = find_data(digits, RECIPE, None, post, tmp_path / "node")
    assert (found, post.num_fetched) == (digits, 0)


def test_arrays_are_sent_once_to_a_node_that_has_none(digits, tmp_path):
    elsewhere = replace(digits, folder=Path("/nowhere"))
    post = Post(Parcel(digits, None))
    for _ in range(2):
        _FOUND.clear()  # as in another process of the node
        found = find_data(elsewhere, RECIPE, None, post, tmp_path / "node")
        assert found.folder.is_relative_to(tmp_path / "node")
        assert found.info == digits.info
    assert post.num_fetched == 1
    for file in digits.folder.glob("*.npy"):
        assert (found.folder / file.name).read_bytes() == file.read_bytes()


def test_arrays_that_are_damaged_on_a_node_are_sent_anew(digits, tmp_path):
    elsewhere = replace(digits, folder=Path("/nowhere"))
    post = Post(Parcel(digits, None))
    found = find_data(elsewhere, RECIPE, None, post, tmp_path / "node")
    labels = np.load(found.array_path("train_labels"))
    np.save(found.array_path("train_labels"), labels[::-1].copy())
    _FOUND.clear()
    found = find_data(elsewhere, RECIPE, None, post, tmp_path / "node")
    assert post.num_fetched == 2
    assert (np.load(found.array_path("train_labels")) == labels).all()


def test_where_nothing_can_be_sent_a_node_may_find_arrays_by_their_name(digits, tmp_path):
    elsewhere = replace(digits, folder=Path("/nowhere"))
    found = find_data(elsewhere, RECIPE, None, Post(None), tmp_path / "node")
    assert found.info.fingerprint == digits.info.fingerprint
    other = replace(elsewhere, info=replace(digits.info, fingerprint="0" * 16))
    with pytest.raises(DataError, match="the data can't be sent"):
        find_data(other, RECIPE, None, Post(None), tmp_path / "node")


def test_data_that_have_changed_since_the_command_began_are_refused(digits, tmp_path):
    other = replace(
        digits, folder=Path("/nowhere"), info=replace(digits.info, fingerprint="0" * 16)
    )
    with pytest.raises(DataError, match="is not what"):
        find_data(other, RECIPE, None, Post(Parcel(digits, None)), tmp_path / "node")


def test_a_folder_of_images_is_used_where_it_is_and_else_sent_once(images, tmp_path):
    prepared, recipe = images
    post = Post(Parcel(prepared, None))
    found = find_data(prepared, recipe, None, post, tmp_path / "node")
    assert (found.folder, post.num_fetched) == (prepared.folder, 0)
    gone = tmp_path / "kept"
    shutil.move(prepared.folder, gone)  # for the node alone
    post = Post(Parcel(replace(prepared, folder=gone), None))
    for _ in range(2):
        _FOUND.clear()
        found = find_data(prepared, recipe, None, post, tmp_path / "node")
    assert post.num_fetched == 1
    assert found.folder.is_relative_to(tmp_path / "node")
    assert found.info == prepared.info
    assert found.test_part == prepared.test_part
    names = [path.relative_to(gone) for path in gone.rglob("*.png")]
    assert len(names) == 16
    for name in names:
        assert (found.folder / name).read_bytes() == (gone / name).read_bytes()


def test_weights_are_used_by_their_digest_and_else_sent_once(digits, tmp_path):
    weights = tmp_path / "net.pth"
    weights.write_bytes(bytes(range(256)) * 20)
    digest = digest_file(weights)
    post = Post(Parcel(digits, weights))
    assert find_weights(weights, digest, post, tmp_path / "node") == weights
    elsewhere = tmp_path / "not here" / "net.pth"
    for _ in range(2):
        found = find_weights(elsewhere, digest, post, tmp_path / "node")
        assert found.read_bytes() == weights.read_bytes()
    assert post.num_fetched == 1
    with pytest.raises(DataError, match="is not what"):
        find_weights(elsewhere, "0" * 12, post, tmp_path / "node")
