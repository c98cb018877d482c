"""The check that no page of the site loads anything from the net."""

import sys

import pytest
from support.pages import ROOT

sys.path.append(str(ROOT / "docs" / "_ext"))

from fetched import find_fetched


@pytest.mark.parametrize(
    "text",
    [
        '<script async src="https://cdn.example.org/mathjax.js"></script>',
        "<img alt='' src=//example.org/badge.svg>",
        '<link rel="stylesheet" href="https://fonts.example.org/css?family=Inter">',
        '<link href="https://fonts.example.org" rel="preconnect">',
        "@import url(https://fonts.example.org/css);",
        "@font-face { src: url('https://example.org/inter.woff2') }",
    ],
)
def test_what_a_browser_loads_from_the_net_is_found(text):
    assert find_fetched(text)


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://pypi.org/project/moocore/">moocore</a>',
        '<script src="_static/scripts/furo.js"></script>',
        '<link rel="stylesheet" href="_static/site.css">',
        '<link rel="next" title="https://example.org" href="results.html">',
        "<code>https://example.org</code>",
    ],
)
def test_what_lies_beside_the_page_and_what_a_reader_follows_is_not(text):
    assert not find_fetched(text)
