"""Writes commands so that they can be pasted into a shell."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

_WITH_PASSWORD = re.compile(r"(?P<user>\w[\w+]*://[^\s/@:]*):[^\s/]*(?=@)")
_PASSWORD_OPTION = re.compile(r"(?P<name>[?&](?:(?:ssl)?password|oauth_client_secret)=)[^\s&]*")


def join_words(words: Iterable[str | os.PathLike[str]]) -> str:
    """Return a command line whose words a shell reads as they are.

    A word with control characters, or with bytes that are not in UTF-8, is written as ``$'\\n'``,
    which bash, ksh and zsh read. A path that starts with a hyphen gets ``./`` before it. The
    password of a URL is not shown.
    """
    return mask_passwords(" ".join(_quote(word) for word in words))


def join_command(arguments: Iterable[str]) -> str:
    """Return the command line of se-search with the arguments that a user gave."""
    return join_words(["se-search", *arguments])


def mask_passwords(text: str) -> str:
    """Return a text in which the password of each URL is ``***``.

    Example:
        >>> mask_passwords("--storage postgresql://ann:se:cr@t@db.lab/se?sslmode=require")
        '--storage postgresql://ann:***@db.lab/se?sslmode=require'
    """
    return _PASSWORD_OPTION.sub(r"\g<name>***", _WITH_PASSWORD.sub(r"\g<user>:***", text))


def _quote(word: str | os.PathLike[str]) -> str:
    text = os.fspath(word)
    if not isinstance(word, str) and text.startswith("-"):
        text = f"./{text}"
    if text.isprintable() or not text:
        return shlex.quote(text)
    return "$'" + "".join(map(_escape, text)) + "'"


def _escape(sign: str) -> str:
    if sign in "\\'":
        return f"\\{sign}"
    if sign.isprintable():
        return sign
    return "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))
