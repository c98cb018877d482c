"""Writes commands so that they can be pasted into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable


def join_words(words: Iterable[str | os.PathLike[str]]) -> str:
    """Return a command line whose words a shell reads as they are.

    A word with control characters, or with bytes that are not in UTF-8, is written as ``$'\\n'``,
    which bash, ksh and zsh read. A path that starts with a hyphen gets ``./`` before it.
    """
    return " ".join(_quote(word) for word in words)


def join_command(arguments: Iterable[str]) -> str:
    """Return the command line of se-search with the arguments that a user gave."""
    return join_words(["se-search", *arguments])


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
