"""The space of a run as its folder keeps it, against the space that was searched."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from support.networks import make_backbone
from support.run_folders import begin_run

from se_search.errors import RunError
from se_search.models.catalogue import describe_backbone
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace, read_space, space_names
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import (
    digest_backbone,
    read_backbone,
    read_recorded_space,
    write_backbone,
)
from se_search.store.run_space import read_space as read_space_of

OWN = make_backbone([8], [16, 32], name="module:build")


@pytest.mark.parametrize("name", space_names())
def test_a_recorded_space_reads_as_it_was(name):
    space = read_space(name)
    recorded = json.loads(json.dumps(space.model_dump(mode="json", exclude={"description"})))
    assert read_recorded_space(recorded, "a.yaml") == space.model_copy(update={"description": ""})


@pytest.mark.parametrize("name", ["stages_ratio", "blocks", "variants"])
def test_a_folder_gives_back_the_candidates_of_the_run(tmp_path, name):
    searched = BoundSpace(read_space(name), describe_backbone("resnet50", 3, 224, 1000))
    found = read_space_of(begin_run(tmp_path / "run", searched))
    assert found.backbone == searched.backbone
    assert found.describe_levels() == searched.describe_levels()
    for number in (0, 3, searched.size - 1):
        text = str(searched.candidate_at(number))
        assert found.index_of(found.parse(text)) == number


def test_a_network_of_the_users_own_is_known_without_its_code(tmp_path):
    space = BoundSpace(SearchSpace.model_validate({"choices": {"reduction": [4]}}), OWN)
    folder = begin_run(tmp_path / "run", space)
    code = (
        "import sys; from pathlib import Path\n"
        "from se_search.store.run_folder import RunFolder\n"
        "from se_search.store.run_space import read_space\n"
        "print(read_space(RunFolder(Path(sys.argv[1]))).size, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(folder.path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.split() == ["4", "False"]


def test_a_backbone_that_was_changed_after_the_start_is_refused(tmp_path):
    folder = RunFolder(tmp_path)
    write_backbone(folder, OWN)
    folder.write_config({"identity": {}, "backbone_digest": digest_backbone(OWN)})
    assert read_backbone(folder) == OWN
    text = folder.backbone_file.read_text()
    folder.backbone_file.write_text(text.replace("[16, ", "[17, "))
    with pytest.raises(RunError, match=r"backbone\.json has been changed since the run"):
        read_backbone(folder)


def test_whether_code_may_be_run_is_said_by_who_reads(tmp_path):
    backbone = replace(OWN, allow_code=True)
    folder = RunFolder(tmp_path)
    write_backbone(folder, backbone)
    assert read_backbone(folder) == OWN
    assert read_backbone(folder, allow_code=True) == backbone


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"name": "net", "sites": 3}'])
def test_a_backbone_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "backbone.json").write_text(content)
    with pytest.raises(RunError, match=r"backbone\.json can't be read"):
        read_backbone(RunFolder(tmp_path))


def test_a_backbone_that_is_not_there_is_named_once(tmp_path):
    with pytest.raises(RunError) as caught:
        read_backbone(RunFolder(tmp_path))
    assert str(caught.value).count("backbone.json") == 1


def test_a_folder_without_a_configuration_has_no_space(tmp_path):
    with pytest.raises(RunError, match=r"is no run: there is no config\.yaml"):
        read_space_of(RunFolder(tmp_path))


def test_a_space_of_another_version_is_refused(tmp_path):
    recorded = read_space("stages").model_dump(mode="json")
    recorded["choices"]["integration"] = ["sideways"]
    with pytest.raises(RunError, match=r"^a\.yaml: identity\.space: .*sideways"):
        read_recorded_space(recorded, "a.yaml")
