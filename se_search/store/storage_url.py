"""URLs of PostgreSQL databases: where one is found, what it may say, and how it is shown."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from se_search.errors import RunError, explain
from se_search.shell import mask_passwords

VARIABLE = "SE_SEARCH_STORAGE"  # of the environment, whose value never is in a list of processes
FILE_PREFIX = "file:"
SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword", "oauth_client_secret")  # among libpq's options


def remove_password(url: str) -> str:
    """Return a URL without its password; who opens it gets one from elsewhere."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = urlencode([pair for pair in parse_qsl(parts.query) if pair[0] not in _SECRETS])
    netloc = f"{user.partition(':')[0]}{at}{host}"
    return urlunsplit(parts._replace(netloc=netloc, query=query))


_KNOWN: dict[str, str] = {}  # URLs with a password that a command was given, by those without


def find_storage_url(option: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the URL that an option or the environment names; None: neither does.

    Its password is known to this process from then on, and to no other one.

    Args:
        option: a URL, or ``file:PATH`` of a file whose only line is one; None: not given.
        environment: its ``SE_SEARCH_STORAGE`` counts where there is no option, and may be either.

    Raises:
        RunError: it is no URL of a PostgreSQL database, or others may read the file.
    """
    text = option if option is not None else environment.get(VARIABLE) or None
    if text is None:
        return None
    name = "--storage" if option is not None else VARIABLE
    if text.startswith(FILE_PREFIX):
        name, text = text, _read_file(Path(text.removeprefix(FILE_PREFIX)))
    url = check_url(text, name)
    _KNOWN[remove_password(url)] = url
    return url


def check_url(url: str, name: str) -> str:
    """Return a URL of a PostgreSQL database as it came.

    Args:
        url: the URL.
        name: of what gave it, for errors.

    Raises:
        RunError: it is no such URL; its password is not in the message.
    """
    allowed = "postgresql://USER@HOST:PORT/DATABASE"
    shown = _mask_anything(url)
    if any(map(str.isspace, url)):
        raise RunError(f"{name}: {shown!r} has blanks or several lines: {allowed} is one URL")
    try:
        parts = urlsplit(url)
        is_split = "@" in parts.path + parts.fragment
        port = None if is_split or parts.scheme not in SCHEMES else parts.port
    except ValueError as cause:
        raise RunError(f"{name}: {shown!r} is no URL: {allowed} is") from cause
    if parts.scheme not in SCHEMES:
        raise RunError(
            f"{name}: {shown!r} is no URL of a PostgreSQL database, as {allowed}. Without it the "
            "trials are in the run's folder, in a SQLite file"
        )
    if is_split:
        raise RunError(
            f"{name}: {shown!r} has an @ behind its host, as {allowed} has not: in a password "
            "write %2F for /, %3F for ?, %23 for #, and in a name %40 for @"
        )
    if not unquote(parts.path).strip("/"):
        raise RunError(f"{name}: {shown!r} names no database: {allowed} does")
    if parts.hostname is None and "host" not in dict(parse_qsl(parts.query)):
        raise RunError(f"{name}: {shown!r} names no host: {allowed} does")
    assert port is None or port >= 0
    return url


def add_known_password(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a URL with the password of one that a command was given, or the environment has.

    Both must be of one server, database and user. Without it PostgreSQL's own client library looks
    in PGPASSWORD and in the file ``~/.pgpass``.
    """
    find_storage_url(None, environment)
    return _KNOWN.get(url, url)


def make_driver_url(url: str) -> str:
    """Return a URL as SQLAlchemy reads it, with the driver that se-search uses."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg"))


def _mask_anything(text: str) -> str:
    """Return a text that may be no URL without all that may be its password."""
    if re.search(r"\w\s*=", text) and "://" not in text:  # libpq's own form: host=db password=...
        return re.sub(r"(?s)(\w*(?:password|secret)\s*=).*", r"\1***", text)
    hidden = re.sub(r"(?s)^((?:\w[\w+]*://)?[^\s/@:]*):.*(?=@)", r"\1:***", text)
    return mask_passwords(hidden)


def _read_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise RunError(f"--storage file:{path} can't be read: {explain(cause)}") from cause
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise RunError(
            f"--storage file:{path} can be read by others, and may hold a password: "
            f"chmod 600 {path}"
        )
    return text
