"""A small space on the smallest backbone, and supernets of it that train in a moment."""

from support import data_sets
from support.small_network import SMALL

from se_search.device import Device
from se_search.score import SupernetSettings
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace
from se_search.space.subspace import Subspace
from se_search.training.supernet import train_supernet

DEVICE = Device("cpu", 0, 1, "32-true")
CHOICES = {"reduction": [4, 16], "integration": ["standard", "identity"]}
SPACE = BoundSpace(SearchSpace.model_validate({"granularity": "stage", "choices": CHOICES}), SMALL)
SUBSPACE = Subspace.whole(SPACE)
SETTINGS = SupernetSettings(num_drawn=1, num_calibration=20, num_scoring=8)


def prepare_images(folder):
    """Return 40 made-up images, of which 30 train."""
    data_sets.write_idx_files(folder / "files")
    return data_sets.prepare_fashion(folder, folder / "files")


def make_recipe(**changes):
    fields = {
        "epochs": 2,
        "batch_size": 8,
        "optimizer": {"lr": 0.02, "nesterov": True, "momentum": 0.9, "weight_decay": 1e-3},
        "schedule": {"warmup": 0.2},
        "split": {"validation": 10},
    }
    return data_sets.make_recipe(**(fields | changes))


def train(
    data, subspace=SUBSPACE, seed=3, settings=SETTINGS, recipe=None, device=DEVICE, **options
):
    return train_supernet(
        subspace, seed, data, recipe or make_recipe(), settings, device, **options
    )
