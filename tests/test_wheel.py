"""The package works from a wheel, in any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_an_installed_wheel_brings_its_spaces_recipes_and_catalogue(unpacked, tmp_path):
    script = (
        "import se_search\n"
        "from se_search.models.catalogue import describe_backbone\n"
        "from se_search.recipe import read_recipe, recipe_names\n"
        "from se_search.space.schema import read_space, space_names\n"
        "print(se_search.__file__)\n"
        "backbone = describe_backbone('resnet50', 3, 224, 1000)\n"
        "print([read_space(name).description != '' for name in space_names()])\n"
        "print([read_recipe(name).epochs > 0 for name in recipe_names()])\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        check=True,
        capture_output=True,
        text=True,
    )
    package, spaces, recipes = outcome.stdout.splitlines()
    assert Path(package).is_relative_to(unpacked)
    assert spaces == str([True] * len(list((ROOT / "search_spaces").glob("*.yaml"))))
    assert recipes == str([True] * len(list((ROOT / "se_search" / "recipes").glob("*.yaml"))))


def test_a_wheel_holds_no_tests_and_no_benchmarks(unpacked):
    assert {path.name for path in unpacked.iterdir() if path.suffix != ".dist-info"} == {
        "se_search"
    }
