"""The one writer of files: what it writes, and what it leaves behind when it cannot."""

import csv
import errno
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.names import ODD_NAMES

from se_search.errors import RunError, StorageError, UnwritableError, find_exit_code
from se_search.store.files import (
    WrittenFiles,
    explaining_write,
    pack_bits,
    read_bits,
    read_json,
    read_yaml,
    refuse_unwritten,
    remove_leftovers,
    unpack_bits,
    write_bytes,
    write_table,
    write_text,
    write_yaml,
)

WRITE_OVER_AND_OVER = """
import sys
from pathlib import Path
from se_search.store.files import write_text
for _ in range(50):
    write_text(Path(sys.argv[1]), sys.argv[2] * 100_000)
"""


def as_csv_writes_it(columns, rows):
    """Return the text of Python's csv module, an independent writer."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def test_a_text_is_written_in_utf_8_with_its_own_line_ends(tmp_path):
    write_text(tmp_path / "a.md", "± 1\nµ\r\n")
    assert (tmp_path / "a.md").read_bytes() == "± 1\nµ\r\n".encode()


def test_a_file_has_the_permissions_that_open_would_give_it(tmp_path):
    (tmp_path / "plain").open("w").close()
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_write_leaves_no_other_file(tmp_path):
    write_text(tmp_path / "a", "1")
    write_text(tmp_path / "a", "2")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, failing, error
):
    write_text(tmp_path / "a", "old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises((RunError, KeyboardInterrupt)):
        write_text(tmp_path / "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_an_error_names_the_file_and_the_reason(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.csv"
    with pytest.raises(RunError) as caught:
        write_text(path, "")
    assert str(caught.value) == f"{path} can't be written: Not a directory"


def test_a_folder_without_a_name_is_no_file_to_write():
    for name in ("", "/"):
        with pytest.raises(RunError, match="can't be written: Is a directory"):
            write_text(Path(name), "")


def test_a_folder_that_is_not_there_is_made(tmp_path):
    write_text(tmp_path / "missing" / "deep" / "a.csv", "1")
    assert (tmp_path / "missing" / "deep" / "a.csv").read_text() == "1"


def test_a_file_may_have_the_longest_name_that_the_system_takes(tmp_path):
    path = tmp_path / (255 * "a")
    write_text(path, "1")
    assert path.read_text() == "1"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_is_read_back_from_yaml_and_stands_in_a_table_that_pandas_reads(tmp_path, name):
    folder = tmp_path / name
    write_yaml(folder / "a.yaml", {"name": name})
    assert read_yaml(folder / "a.yaml") == {"name": name}
    write_table(folder / "a.csv", ["name"], [[name]])
    (found,) = pd.read_csv(folder / "a.csv", keep_default_na=False)["name"]
    assert found == name.replace("\udce9", "\\xe9")


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for process in (dead.pid, os.getpid()):
        (tmp_path / f".{process}-0123abcd.tmp").touch()
    (tmp_path / ".mine-and-yours.tmp").touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f".{os.getpid()}-0123abcd.tmp",
        ".mine-and-yours.tmp",
    }


def test_a_file_that_can_not_be_written_does_not_keep_the_others_from_it(tmp_path):
    (tmp_path / "a").mkdir()
    files = WrittenFiles()
    for name in ("a", "b"):
        files.attempt(write_text, tmp_path / name, name)
    assert files.written == [tmp_path / "b"]
    assert [(each.path.name, each.reason) for each in files.unwritten] == [("a", "Is a directory")]


@pytest.mark.parametrize(
    ("errors", "code", "message"),
    [
        ([("a", errno.EISDIR)], 2, "a can't be written: Is a directory"),
        (
            [("a", errno.EISDIR), ("b", errno.EACCES)],
            2,
            "2 files can't be written, among them a: Is a directory",
        ),
        (
            [("a", errno.EISDIR), ("b", errno.ENOSPC)],
            75,
            "2 files can't be written, among them b: No space left on device",
        ),
    ],
)
def test_files_that_can_not_be_written_are_one_error_by_the_machines_fault_if_it_has_any(
    errors, code, message
):
    unwritten = []
    for name, number in errors:
        with pytest.raises(UnwritableError) as caught, explaining_write(Path(name)):
            raise OSError(number, os.strerror(number))
        unwritten.append(caught.value)
    with pytest.raises(StorageError) as raised:
        refuse_unwritten(unwritten)
    assert find_exit_code(raised.value) == code
    assert re.sub(r" \(.*", "", str(raised.value)) == message
    refuse_unwritten([])


def test_a_folder_in_the_files_place_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(RunError, match=r"a can't be written: Is a directory"):
        write_text(tmp_path / "a", "")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_two_processes_that_write_one_file_both_succeed(tmp_path):
    path = tmp_path / "a"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_OVER_AND_OVER, path, letter])
        for letter in "xy"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert path.read_text() in ("x" * 100_000, "y" * 100_000)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_yaml_is_read_back_with_its_keys_in_order(tmp_path):
    data = {"b": [1, 2.5, None], "a": {"text": "µ", "yes": True}}
    write_yaml(tmp_path / "a.yaml", data)
    assert read_yaml(tmp_path / "a.yaml") == data
    assert list(read_yaml(tmp_path / "a.yaml")) == ["b", "a"]


BOMB = b"a: &a [x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c]\n" % (n, n, n - 1, n - 1) for n in range(98, 123)
)


@pytest.mark.parametrize(
    "content",
    [
        *(b"a: [", b"\xff\xfe\xff", b"\0\0"),
        *(BOMB, b"[" * 100_000, b"!!python/object/apply:os.abort []"),
    ],
)
def test_a_file_that_is_no_yaml_of_ours_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(RunError, match=r"a\.yaml can't be read"):
        read_yaml(tmp_path / "a.yaml")


def test_a_value_that_stands_twice_is_written_twice_and_read_back(tmp_path):
    value = {"reduction": [4, 8]}
    write_yaml(tmp_path / "a.yaml", {"one": value, "two": value})
    assert read_yaml(tmp_path / "a.yaml") == {"one": value, "two": value}


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\xff", b"\0\0", b"[" * 100_000])
def test_a_file_that_is_no_json_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RunError, match=r"a\.json can't be read"):
        read_json(tmp_path / "a.json")


CELLS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    st.text(st.characters(codec="utf-8")),
    st.lists(st.integers(), max_size=2),
    st.floats(allow_nan=False).map(np.float64),
)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5))
def test_a_table_is_byte_for_byte_what_the_csv_module_writes(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "a.csv"
    write_table(path, ["a", "b, c", "d"], rows)
    assert path.read_bytes() == as_csv_writes_it(["a", "b, c", "d"], rows)


def test_what_is_not_known_is_an_empty_field(tmp_path):
    write_table(tmp_path / "a.csv", ["a", "b", "c"], [(None, float("nan"), 1), (0.1, 2, None)])
    assert (tmp_path / "a.csv").read_bytes() == b"a,b,c\r\n,,1\r\n0.1,2,\r\n"


def test_a_mapping_gives_its_columns_and_no_others(tmp_path):
    write_table(tmp_path / "a.csv", ["b", "a"], [{"a": 1, "b": 2, "c": 3}])
    assert (tmp_path / "a.csv").read_bytes() == b"b,a\r\n2,1\r\n"


@given(st.lists(st.booleans(), max_size=40))
def test_bits_come_back_as_they_were(tmp_path_factory, flags):
    packed = pack_bits(np.array(flags, dtype=bool))
    assert len(packed) == (len(flags) + 7) // 8
    path = tmp_path_factory.mktemp("bits") / "0.bits"
    write_bytes(path, packed)
    assert read_bits(path, len(flags)).tolist() == flags == unpack_bits(packed, len(flags)).tolist()


def test_a_file_of_too_few_or_too_many_bits_is_refused(tmp_path):
    write_bytes(tmp_path / "0.bits", b"\x80")
    for count in (9, 0):
        with pytest.raises(RunError, match=r"0\.bits has 1 bytes"):
            read_bits(tmp_path / "0.bits", count)


def test_bits_that_are_not_there_are_an_error_that_names_the_file(tmp_path):
    with pytest.raises(RunError, match=r"0\.bits can't be read: No such file"):
        read_bits(tmp_path / "0.bits", 8)
