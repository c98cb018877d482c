"""The page of a run in a browser: figures, tables, light and dark, wide and narrow."""

from contextlib import contextmanager
from itertools import pairwise

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from support.made_up_pages import make_source, plant_names

from se_search.report.page.contents import prepare_page
from se_search.report.page.palette import DARK, PAPER
from se_search.report.page.render import SECTIONS, render_html

# Front, places, effects, found, certainty, confirmation, losses without gates, gates of 4 blocks.
FIGURES = 11


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return the paths of two pages: of a usual run, and of one whose names have mark-up."""
    folder, paths = tmp_path_factory.mktemp("pages"), {}
    for name, source in (("usual", make_source()), ("planted", plant_names())):
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(render_html(prepare_page(source)), encoding="utf-8")
    return paths


@contextmanager
def screen(browser, width, scheme="light"):
    """Show pages as on a screen of a width, in the light or dark that the system prefers."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def show(browser, path):
    browser.get(path.as_uri())
    drawn = "return document.documentElement.dataset.drawn"
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(drawn))


def color(browser, selector, name="background-color"):
    script = f"return getComputedStyle(document.querySelector('{selector}'))['{name}']"
    numbers = browser.execute_script(script).strip("rgba()").split(",")[:3]
    return "#" + "".join(f"{int(number):02x}" for number in numbers)


def texts(browser, selector):
    return [each.text for each in browser.find_elements(By.CSS_SELECTOR, selector)]


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_figures_are_drawn_and_the_page_is_as_wide_as_the_screen(browser, pages, width, scheme):
    with screen(browser, width, scheme):
        show(browser, pages["usual"])
        assert len(browser.find_elements(By.CSS_SELECTOR, ".plot .main-svg:first-child")) == FIGURES
        for name in SECTIONS:
            assert browser.find_element(By.ID, name).is_displayed()
        assert browser.execute_script("return document.documentElement.scrollWidth") == width
        sizes = browser.execute_script(
            "return [...document.querySelectorAll('.plot')].map((box) => [box.clientWidth, "
            "box.querySelector('.main-svg').getBoundingClientRect().width])"
        )
        assert all(drawn == pytest.approx(room, abs=1) for room, drawn in sizes)
        ground = PAPER if scheme == "light" else DARK[PAPER]
        assert color(browser, "body") == ground
        assert color(browser, ".plot .main-svg", "background-color") == ground


def test_no_texts_of_a_figure_lie_on_each_other_on_a_phone(browser, pages):
    with screen(browser, 390):
        show(browser, pages["usual"])
        boxes = browser.execute_script(
            "return [...document.querySelectorAll('[data-figure=effects] .annotation-text')]"
            ".map((text) => { const box = text.getBoundingClientRect();"
            " return [box.top, box.bottom, box.left, box.right]; })"
        )
        assert len(boxes) > 3
        boxes.sort()
        assert all(below[0] >= above[1] - 1 for above, below in pairwise(boxes))
        assert all(left >= 0 and right <= 390 for _, _, left, right in boxes)


def test_the_button_switches_between_light_and_dark(browser, pages):
    with screen(browser, 1280):
        show(browser, pages["usual"])
        for ground in (DARK[PAPER], PAPER):
            browser.find_element(By.ID, "theme").click()
            assert color(browser, "body") == ground
            assert color(browser, ".plot .main-svg") == ground


def test_a_heading_sorts_its_column_both_ways_by_the_keyboard_too(browser, pages):
    with screen(browser, 1280):
        show(browser, pages["usual"])
        heading = browser.find_element(By.XPATH, "//table[@id='candidate-table']//th[2]/button")
        cells = "#candidate-table tbody td:first-child"
        heading.send_keys(Keys.ENTER)
        assert texts(browser, cells) == ["s2:8 s4:16", "s2:4", "no SE"]
        heading.send_keys(Keys.ENTER)
        assert texts(browser, cells) == ["no SE", "s2:4", "s2:8 s4:16"]
        sorting = "//table[@id='candidate-table']//th[@aria-sort]"
        (sorted_by,) = browser.find_elements(By.XPATH, sorting)
        assert sorted_by.get_attribute("aria-sort") == "ascending"


def test_the_search_leaves_the_rows_that_have_all_of_its_words(browser, pages):
    with screen(browser, 1280):
        show(browser, pages["usual"])
        field = browser.find_element(By.ID, "search")
        shown = "#candidate-table tbody tr:not([hidden]) td:first-child"
        field.send_keys("s2: S4")
        assert texts(browser, shown) == ["s2:8 s4:16"]
        assert browser.find_element(By.ID, "matches").text == "1 of 3"
        field.clear()
        field.send_keys(Keys.SPACE)
        assert len(texts(browser, shown)) == 3


def test_the_history_is_shown_against_time_when_asked(browser, pages):
    with screen(browser, 1280):
        show(browser, pages["usual"])
        browser.find_element(By.CSS_SELECTOR, "[data-against=time]").click()
        titles = texts(browser, "[data-figure=found-time] .xtitle")
        assert titles == ["time of trainings, added up (minutes)"]


def test_a_row_of_the_front_points_at_its_candidate_in_the_figure(browser, pages):
    with screen(browser, 1280):
        show(browser, pages["usual"])
        row = browser.find_element(By.CSS_SELECTOR, "#front-table tr[data-number='2']")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", row)
        browser.execute_script("arguments[0].dispatchEvent(new Event('mouseenter'))", row)
        label = WebDriverWait(browser, 5).until(
            lambda driver: texts(driver, "[data-figure=front-params] .hovertext")
        )
        assert "s2:4" in label[0]


def test_names_with_mark_up_run_nothing(browser, pages):
    with screen(browser, 1280):
        show(browser, pages["planted"])
        assert browser.execute_script("return typeof window.planted") == "undefined"
        assert not browser.find_elements(By.CSS_SELECTOR, "img, iframe")
        assert "<script>" in browser.find_element(By.TAG_NAME, "main").text


def test_a_script_that_gets_into_the_page_is_not_run(browser, pages, tmp_path):
    html = pages["usual"].read_text(encoding="utf-8")
    broken = html.replace("</main>", "<script>window.planted = 1</script></main>", 1)
    path = tmp_path / "broken.html"
    path.write_text(broken, encoding="utf-8")
    with screen(browser, 1280):
        show(browser, path)
        assert browser.execute_script("return typeof window.planted") == "undefined"
    (complaint,) = browser.get_log("browser")
    assert "Content Security Policy" in complaint["message"]


def test_a_print_is_light_and_has_whole_tables_without_what_only_a_screen_needs(browser, pages):
    with screen(browser, 1280, "dark"):
        show(browser, pages["usual"])
        media = {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        browser.execute_script("dispatchEvent(new Event('beforeprint'))")
        assert color(browser, "body") == color(browser, ".plot .main-svg") == PAPER
        assert not browser.find_element(By.TAG_NAME, "nav").is_displayed()
        assert browser.execute_script(
            "return [...document.querySelectorAll('.tall')].every("
            "(box) => box.scrollHeight <= box.clientHeight + 1)"
        )
