"""Classes have names: words, the names of their folders, or numbers."""

from support.batches import prepare
from support.data_sets import make_recipe, write_image_folders

from se_search.training.class_names import KNOWN, name_classes
from se_search.training.data_catalogue import DATA_SETS
from se_search.training.datasets import prepare_data


def test_a_data_set_that_is_known_has_words(tmp_path):
    assert name_classes(prepare(tmp_path))[9] == "ankle boot"
    for name, words in KNOWN.items():
        assert len(words) == len(DATA_SETS[name].train_counts)


def test_other_arrays_have_numbers(tmp_path):
    assert name_classes(prepare(tmp_path, "cifar100"))[:3] == ["0", "1", "2"]


def test_classes_of_folders_have_their_names(tmp_path):
    write_image_folders(tmp_path / "images")
    name = f"folder:{tmp_path / 'images'}"
    prepared = prepare_data(name, None, tmp_path / "cache", make_recipe(image_size=8))
    folders = sorted(path.name for path in (tmp_path / "images" / "train").iterdir())
    assert name_classes(prepared) == folders
