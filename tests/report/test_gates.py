"""What is said of gates: sentences, tables, CSV files and the figure."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.figures import check_texts, points_of, words_of
from support.made_up_gates import NAMES, make_candidate, make_found, make_reading

from se_search.errors import RunError
from se_search.models.catalogue import describe_backbone
from se_search.report.figures.gates import draw_gates, prepare_gates
from se_search.report.gates import (
    FIELDS,
    caution,
    choose_panels,
    class_rows,
    describe_findings,
    frame_gates,
    gates_event,
    gates_table,
    make_profile,
    prepare_drops,
    write_gate_files,
)
from se_search.store.gates_file import GatesFiles, read_gates

READING = make_reading()
FOUND = make_found({3: READING})


def found_of(**known):
    return make_found({3: make_reading(**known)})


def test_the_block_that_loses_most_is_named_first_with_its_interval():
    first, second, *_ = describe_findings(FOUND)
    assert first == (
        "Most is lost without the gates of s3.1: 10.0 points (7.0 to 12.9); without those of all "
        "4 blocks 11.2 points (8.1 to 14.3)."
    )
    assert second.startswith("No loss is shown at s3.2, s5.1, s2.1: constants at one of them lose ")


def test_where_nothing_is_lost_constants_could_stand_for_the_gates():
    sentences = describe_findings(found_of(lost=(0, 0, 0, 0)))
    assert sentences[0] == (
        "Constants could stand for the gates of all 4 blocks: 400 images show no loss, the drop is "
        "0.00 points (-0.49 to +0.49)."
    )
    assert "No loss is shown" not in " ".join(sentences)


def test_few_images_that_show_no_loss_are_not_said_to_exclude_one():
    found = found_of(lost=(0, 0, 0, 0))
    wide = tuple(replace(row, drop_low=-0.14, drop_high=0.14) for row in found.rows)
    assert describe_findings(replace(found, rows=wide))[0] == (
        "Constants for the gates of all 4 blocks: 400 images show no loss, the drop is 0 points "
        "(-14 to +14). More images could tell."
    )


def test_blocks_that_lose_only_together_are_told_so():
    first = describe_findings(found_of(lost=(3, 3, 3, 3)))[0]
    assert first.startswith("No block alone loses anything by constants that 400 images show; all")


def test_the_share_of_classes_is_that_of_the_first_and_of_the_last():
    shares = [READING.blocks[site].class_share for site in ("stage2.block1", "stage5.block1")]
    assert shares[0] < 0.01 < 0.8 < shares[1]
    assert (
        "Classes tell 0 % of the gates' variance over images in s2.1, and "
        f"{100 * shares[1]:.0f} % in s5.1." in describe_findings(FOUND)
    )


def test_gates_that_have_stayed_where_they_began_are_told_so():
    stayed = describe_findings(found_of(mean=0.5, spread=0.01))[-1]
    assert stayed.endswith("they have stayed near 0.5, where untrained gates begin.")
    assert "where untrained gates begin" not in describe_findings(FOUND)[-1]


def test_the_last_block_is_said_to_be_open_by_how_much_it_is():
    last = describe_findings(found_of(mean=1.0, spread=0.001))[-1]
    assert "in the last block, s5.1, 100 % are within 0.05 of 1 and 0 % of 0." in last


def test_constant_gates_differ_by_no_class():
    assert "All gates are constants: no gate differs between two images." in describe_findings(
        found_of(spread=0.0)
    )


def test_an_interval_is_of_one_networks_weights_or_of_fresh_replicates():
    assert "the weights of replicate 3 as they are" in caution(FOUND)
    several = make_found({3: READING, 4: make_reading(seed=1)})
    assert caution(several).startswith("Means over 2 replicates of 400 images each; intervals are ")


def test_a_table_fits_80_columns():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(gates_table(FOUND))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("s3.1" in line and "+10.0 (7.0 to 12.9)" in line for line in lines)


def test_drops_are_drawn_largest_block_first():
    blocks, others = prepare_drops(FOUND).sections
    assert [row.name for row in blocks.rows] == ["s3.1", "s3.2", "s5.1", "s2.1"]
    assert [row.name for row in others.rows] == ["stage 3", "all"]
    assert blocks.rows[0].estimates[0].value == pytest.approx(10.0)


def test_files_hold_what_was_seen_and_are_read_back(tmp_path):
    files = GatesFiles(tmp_path)
    written = write_gate_files(files, FOUND, READING.blocks, NAMES)
    assert written.written == list(files)
    assert read_gates(files) == FOUND
    with files.csv.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["place"] for row in rows] == [row.place for row in FOUND.rows]
    assert float(rows[1]["mean"]) == FOUND.rows[1].mean
    event = gates_event(files, FOUND, written)
    assert json.loads(json.dumps(event))["sentences"] == describe_findings(FOUND)


def test_a_damaged_file_is_named_with_what_makes_it_anew(tmp_path):
    files = GatesFiles(tmp_path)
    files.json.write_text('{"format": 1, "rows": 3}')
    with pytest.raises(RunError, match=r"gates\.json can't be read.*se-search gates"):
        read_gates(files)


def test_no_file_is_no_gates(tmp_path):
    assert read_gates(GatesFiles(tmp_path)) is None
    assert list(frame_gates(None).columns) == list(FIELDS)


def test_each_channel_has_a_row_for_all_images_and_for_each_class():
    rows = class_rows(READING.blocks, NAMES, ["cat"])
    channels = sum(len(block.channel_means) for block in READING.blocks.values())
    assert len(rows) == channels * 5
    site, channel, name, mean, sd = rows[2]
    assert (site, channel, name, sd) == ("stage2.block1", 0, "dog", None)
    assert mean == READING.blocks["stage2.block1"].class_means[1, 0]


def test_too_many_classes_leave_those_of_the_figure():
    block = replace(READING.blocks["stage2.block1"], class_means=np.zeros((20_000, 32)))
    rows = class_rows({"stage2.block1": block}, [str(k) for k in range(20_000)], ["7"])
    assert {row[2] for row in rows} == {"all", "7"}


def test_all_blocks_of_a_small_network_have_a_panel():
    assert choose_panels(list(READING.blocks)) == list(READING.blocks)


def test_of_resnet50_each_stages_last_block_has_one_and_all_of_the_last_stage():
    sites = [site.name for site in describe_backbone("resnet50", 3, 224, 1000).sites]
    assert choose_panels(sites) == [
        *("stage2.block3", "stage3.block4", "stage4.block6"),
        *("stage5.block1", "stage5.block2", "stage5.block3"),
    ]


def test_a_line_has_at_most_64_channels_from_the_first_to_the_last():
    block = replace(
        READING.blocks["stage2.block1"],
        channel_means=np.linspace(0, 1, 2048),
        class_means=np.zeros((4, 2048)),
    )
    profile = make_profile("stage5.block3", block, NAMES, [1])
    assert (len(profile.channels), profile.channels[0], profile.channels[-1]) == (64, 0, 2047)
    assert profile.mean[-1] == 1.0
    assert list(profile.by_class) == ["dog"]


@pytest.mark.parametrize("channels", [8, 2048])
def test_the_figure_is_legible_with_few_channels_and_with_many(channels):
    block = replace(
        READING.blocks["stage2.block1"],
        channel_means=np.linspace(0.2, 0.9, channels),
        class_means=np.full((4, channels), 0.5),
    )
    profiles = [make_profile(each.site, block, NAMES, [0, 2]) for each in FOUND.profiles]
    figure = draw_gates(prepare_gates(replace(FOUND, profiles=tuple(profiles)), "Gates of s2:4"))
    check_texts(figure)
    assert len(points_of(figure.axes[0], "newt")) == min(channels, 64)


def test_a_panel_says_what_its_gates_do():
    texts = words_of(draw_gates(prepare_gates(FOUND, "Gates of s2:4")))
    assert "stage3.block1 (standard:4)" in texts
    assert any(text.endswith("drop +10.00 (+6.98 to +12.92)") for text in texts)


def test_a_frame_has_a_row_for_each_place():
    frame = frame_gates(FOUND)
    assert frame.place.tolist() == [row.place for row in FOUND.rows]
    assert make_candidate().placement == FOUND.placement
