"""The page says which trained weights are kept, and where networks were exported to."""

from dataclasses import replace

from support.made_up_fronts import GOOD, PLAIN, make_facts
from support.made_up_pages import make_source
from support.records import make_record

from se_search.report.page.contents import prepare_page
from se_search.report.page.render import render_html, render_markdown
from se_search.report.page.weights import prepare_weights_part
from se_search.store.exports import ExportNote
from se_search.store.kept_weights import WeightsName

RECORDS = [
    replace(make_record("a", 0.8), key=each.summary.key, placement=each.summary.placement)
    for each in (PLAIN, GOOD)
]
KEPT = {WeightsName(PLAIN.summary.key, 0, 4): 600_000}
NOTE = ExportNote("/home/<me>/out", "net/stage2=standard:4", "s2:4", "2026-01-02T03:04:05+00:00")


def test_what_is_kept_is_told_and_what_is_listed_without_weights():
    part = prepare_weights_part(make_source(records=RECORDS, weights=KEPT))
    assert part.sentences == (
        "Of 1 of 2 trained candidates the weights are kept, 600 kB in the folder weights: of each "
        "those of its longest training in the first replicate in which it was trained, whatever "
        "its accuracy there.",
        "Listed without weights: s2:4; se-search export trains a candidate again, to the same "
        "bits.",
    )


def test_without_weights_it_is_told_that_an_export_trains_again():
    part = prepare_weights_part(make_source(records=RECORDS))
    assert part.sentences[0].startswith("No weights are kept: se-search export trains")


def test_exports_are_listed_with_their_folders_and_nothing_of_them_is_markup():
    page = prepare_page(make_source(records=RECORDS, weights=KEPT, exports=[NOTE]))
    html = render_html(page)
    assert "/home/&lt;me&gt;/out" in html
    assert "2026-01-02" in html
    assert "<me>" not in render_markdown(page)


def test_the_command_exports_the_network_of_the_answer(tmp_path):
    facts = make_facts(run=tmp_path / "width", has_code=True)
    page = prepare_page(make_source(facts=facts))
    texts = [command.text for command in page.commands]
    assert f"se-search export {tmp_path / 'width'} --allow-code" in texts
