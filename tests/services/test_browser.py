"""The browser that the tests of pages get: it runs scripts, and their complaints are seen."""

import pytest


def show(browser, tmp_path, text):
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    browser.get(page.as_uri())


def test_a_page_on_disk_runs_its_scripts(browser, tmp_path):
    show(browser, tmp_path, "<p id=sum></p><script>sum.textContent = 6 * 7</script>")
    assert browser.find_element("id", "sum").text == "42"


@pytest.mark.parametrize("script", ["throw new Error('loud')", "console.error('loud')"])
def test_what_a_script_complains_of_is_seen(browser, tmp_path, script):
    show(browser, tmp_path, f"<script>{script}</script>")
    (complaint,) = browser.get_log("browser")
    assert complaint["level"] == "SEVERE"
    assert "loud" in complaint["message"]
