"""The fingerprint of a user's own source: which files it covers, and what changes it."""

import os
import sys
from itertools import count
from textwrap import dedent

import pytest

from se_search.models.own_source import look_in, read_own_source, searched_folders

numbers = count()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write a project whose files import each other, and stand in it; return its folder."""
    top = f"own_project_{next(numbers)}"
    files = {
        f"{top}/__init__.py": "",
        f"{top}/networks.py": f"""
            import torch
            from . import units
            from .deep.inner import thing
            import {top}_helper as helper

            def make():
                import {top}_late
                from importlib import import_module
                import_module("{top}_named")
            """,
        f"{top}/units.py": f"from ..{top} import networks\nfrom .star import *\n",
        f"{top}/star.py": "",
        f"{top}/deep/__init__.py": "",
        f"{top}/deep/inner.py": f"import {top}.units\nthing = 1\n",
        f"{top}/other.py": "never = 'imported'\n",
        f"{top}_helper.py": "import os, json\n",
        f"{top}_late.py": "",
        f"{top}_named.py": "",
        f"{top}_unrelated.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path, top


def digests(top):
    return read_own_source(f"{top}.networks:Net").digests


def test_the_files_are_those_that_the_module_imports_wherever_it_does(project):
    folder, top = project
    source = read_own_source(f"{top}.networks:Net")
    assert source.folder == folder
    assert sorted(source.digests) == sorted(
        [
            *(f"{top}/{name}.py" for name in ("__init__", "networks", "units", "star")),
            *(f"{top}/deep/{name}.py" for name in ("__init__", "inner")),
            *(f"{top}_{name}.py" for name in ("helper", "late", "named")),
        ]
    )


def test_nothing_is_imported_to_find_the_files(project):
    _, top = project
    digests(top)
    assert not any(name.startswith(top) for name in sys.modules)


def test_a_comment_changes_one_file_and_the_ends_of_lines_change_none(project):
    folder, top = project
    before = digests(top)
    path = folder / top / "units.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert digests(top) == before
    path.write_bytes(path.read_bytes() + b"# a comment\n")
    changed = {name for name, digest in digests(top).items() if digest != before[name]}
    assert changed == {f"{top}/units.py"}


def test_files_that_are_not_imported_change_nothing(project):
    folder, top = project
    before = digests(top)
    (folder / f"{top}_unrelated.py").write_text("changed = True\n")
    (folder / top / "other.py").write_text("changed = True\n")
    assert digests(top) == before


def test_a_project_has_one_fingerprint_wherever_it_lies(project, tmp_path, monkeypatch):
    folder, top = project
    before = digests(top)
    (folder / "elsewhere").mkdir()
    for path in list(folder.glob(f"{top}*")):
        path.rename(folder / "elsewhere" / path.name)
    monkeypatch.chdir(folder / "elsewhere")
    assert digests(top) == before


def test_a_file_that_is_no_python_is_covered_all_the_same(project):
    folder, top = project
    (folder / top / "units.py").write_bytes(b"\xff\x00 def (")
    assert f"{top}/units.py" in digests(top)


@pytest.mark.parametrize("name", ["no_such_module_at_all:Net", "__main__:Net", "sys:Net"])
def test_what_has_no_files_has_no_fingerprint(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", object())
    assert read_own_source(name) is None


def test_of_an_installed_package_the_module_alone_is_covered():
    assert sorted(read_own_source("pydantic.fields:Field").digests) == [
        *("pydantic/__init__.py", "pydantic/fields.py")
    ]


def test_a_folder_that_is_looked_in_comes_before_or_after_the_current_one(project):
    folder, top = project
    other = folder / "other"
    other.mkdir()
    (other / f"{top}_helper.py").write_text("here = 'in the other folder'\n")
    (other / f"{top}_only.py").write_text("")
    look_in(other, first=False)
    assert read_own_source(f"{top}_helper:Net").folder == folder
    assert read_own_source(f"{top}_only:Net").folder == other
    look_in(other, first=True)
    assert read_own_source(f"{top}_helper:Net").folder == other
    assert searched_folders()[:2] == [str(other), os.getcwd()]
