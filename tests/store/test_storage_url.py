"""URLs of databases: from an option, the environment or a file; passwords are never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from se_search.errors import RunError
from se_search.shell import join_command, mask_passwords
from se_search.store.storage_url import (
    add_known_password,
    find_storage_url,
    make_driver_url,
    remove_password,
)

URL = "postgresql://ann:se:cr%40t@db.lab:5433/se?sslmode=require"
BARE = "postgresql://ann@db.lab:5433/se?sslmode=require"


def test_an_option_comes_before_the_environment_and_neither_is_none():
    there = {"SE_SEARCH_STORAGE": URL}
    assert find_storage_url(BARE, there) == BARE
    assert find_storage_url(None, there) == URL
    assert find_storage_url(None, {}) is None
    assert find_storage_url(None, {"SE_SEARCH_STORAGE": ""}) is None


def test_a_file_may_hold_the_url_if_nobody_else_can_read_it(tmp_path):
    file = tmp_path / "storage"
    file.write_text(f"{URL}\n")
    file.chmod(0o640)
    with pytest.raises(RunError, match=f"can be read by others.*chmod 600 {file}"):
        find_storage_url(f"file:{file}", {})
    file.chmod(0o600)
    assert find_storage_url(f"file:{file}", {}) == URL
    with pytest.raises(RunError, match=r"file:\S+/none can't be read"):
        find_storage_url(f"file:{tmp_path}/none", {})


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://ann:secret@db/se", "no URL of a PostgreSQL database"),
        ("trials.db", "no URL of a PostgreSQL database"),
        ("postgresql://ann:secret@db:port/se", "is no URL"),
        ("postgresql://ann:secret@db/", "names no database"),
        ("postgresql:///se", "names no host"),
        ("postgresql://ann:1/secret@db/se", "has an @ behind its host"),
        ("postgresql://ann:my/secret@db/se", "has an @ behind its host"),
        ("postgresql://ann:1#secret@db/se", "has an @ behind its host"),
        ("postgresql://ann:my secret@db/se", "has blanks or several lines"),
        ("postgresql://ann@db/se\npostgresql://ann:secret@db/other", "several lines"),
        ("postgresql://ann:my secret@[::1/se", "has blanks or several lines"),
        ("ann:secret@db/se", "no URL of a PostgreSQL database"),
        ("host=db user=ann password=secret dbname=se", "has blanks or several lines"),
        ("postgresql://db?sslpassword=secret", "names no database"),
    ],
)
def test_what_is_no_database_is_refused_without_its_password(url, reason):
    with pytest.raises(RunError, match=f"^--storage: .*{reason}.*postgresql://USER@HOST") as caught:
        find_storage_url(url, {})
    assert "secret" not in str(caught.value)


def test_a_recorded_url_gets_the_password_of_its_own_server_alone():
    find_storage_url(URL, {})
    assert remove_password(URL) == BARE
    assert add_known_password(BARE, {}) == URL
    other = BARE.replace("5433", "5432")
    assert add_known_password(other, {}) == other
    assert add_known_password(other, {"SE_SEARCH_STORAGE": other.replace("@", ":b@")}) != other


def test_a_password_among_the_options_of_a_url_is_removed_and_masked_too():
    url = "postgresql://db/se?user=ann&password=secret&sslmode=require"
    assert remove_password(url) == "postgresql://db/se?user=ann&sslmode=require"
    assert mask_passwords(url) == "postgresql://db/se?user=ann&password=***&sslmode=require"


@pytest.mark.parametrize("option", ["sslpassword", "oauth_client_secret"])
def test_the_password_of_a_key_and_the_secret_of_a_client_are_removed_and_masked(option):
    url = f"postgresql://ann@db/se?{option}=secret&sslmode=require"
    assert remove_password(url) == "postgresql://ann@db/se?sslmode=require"
    assert mask_passwords(url) == f"postgresql://ann@db/se?{option}=***&sslmode=require"


def test_the_driver_is_named_where_sqlalchemy_wants_it():
    assert make_driver_url("postgres://db/se") == "postgresql+psycopg://db/se"


@given(st.text("abcXYZ019:@%$!'\"()*", min_size=1, max_size=12))
def test_a_printed_command_never_has_a_password(password):
    printed = join_command(["run", "--storage", f"postgresql://ann:{password}@db.lab/se"])
    assert "ann:***@db.lab/se" in printed.replace("'", "").replace('"', "")


def test_a_command_without_a_password_is_printed_as_it_is():
    arguments = ["run", "--data", "folder:a@b", "--storage", "postgresql://ann@db/se"]
    assert join_command(arguments) == f"se-search {' '.join(arguments)}"
