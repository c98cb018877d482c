"""The data sets of small images that can be named: Fashion-MNIST, CIFAR-10 and -100, digits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from se_search.training.dataset_spec import DataSetSpec
from se_search.training.decoders import read_cifar_files, read_digits, read_idx_files
from se_search.training.downloads import fetch_by_torchvision, fetch_debian_package

DATA_SETS: Mapping[str, DataSetSpec] = {
    "fashion_mnist": DataSetSpec(  # Xiao et al. 2017; mean and std computed over the training part
        name="fashion_mnist",
        channels=1,
        image_size=28,
        train_counts=(6_000,) * 10,
        num_test=10_000,
        mean=(0.2860,),
        std=(0.3530,),
        read=read_idx_files,
        files=(
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
        ),
        subfolders=("FashionMNIST/raw", "raw", "."),
        known_folders=(Path("/usr/share/datasets/fashion-mnist"),),
        fetches=(fetch_by_torchvision, fetch_debian_package),
        torchvision_name="FashionMNIST",
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz",
        debian_package="dataset-fashion-mnist",
    ),
    "cifar10": DataSetSpec(  # Krizhevsky 2009; mean and std as in Jordan's airbench (2024)
        name="cifar10",
        channels=3,
        image_size=32,
        train_counts=(5_000,) * 10,
        num_test=10_000,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        read=read_cifar_files,
        files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"),
        subfolders=("cifar-10-batches-py", "."),
        fetches=(fetch_by_torchvision,),
        torchvision_name="CIFAR10",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ),
    "cifar100": DataSetSpec(  # Krizhevsky 2009; mean and std as in weiaicunzai/pytorch-cifar100
        name="cifar100",
        channels=3,
        image_size=32,
        train_counts=(500,) * 100,
        num_test=10_000,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        read=read_cifar_files,
        files=("train", "test"),
        subfolders=("cifar-100-python", "."),
        fetches=(fetch_by_torchvision,),
        torchvision_name="CIFAR100",
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    ),
    "digits": DataSetSpec(  # Alpaydin and Kaynak 1998, as in scikit-learn; 360 test images
        name="digits",
        channels=1,
        image_size=8,
        train_counts=(143, 146, 142, 146, 144, 145, 144, 143, 141, 143),
        num_test=360,
        mean=(0.3054,),
        std=(0.3753,),
        read=read_digits,
    ),
}
