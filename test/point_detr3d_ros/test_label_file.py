"""Accepted boxes survive what files go through."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from point_detr3d_ros.label_file import AcceptedBox, append, labels_by_stamp, read_label_file
from voxbox_core.boxes import Axes
from voxbox_core.errors import InputError

STAMP = 1_700_000_000.123456
BOX = AcceptedBox(
    stamp=STAMP,
    frame_id="lidar",
    class_name="Car",
    center=(10.0, -2.0, -0.8),
    size=(4.0, 1.7, 1.5),
    yaw=0.3,
    click=(9.0, -2.0, -0.5),
    score=0.9,
    source="clicked_point",
)
CLASSES = ("Pedestrian", "Car")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels" / "drive.jsonl"


def test_boxes_come_back_in_order(path):
    boxes = [replace(BOX, yaw=0.1 * i, stamp=STAMP + i) for i in range(5)]
    for box in boxes:
        append(path, box)
    found = read_label_file(path)
    assert found.boxes == tuple(boxes) and found.cut_off == ()
    assert len(path.read_text().splitlines()) == 5


def test_a_line_cut_off_anywhere_costs_itself_alone(path):
    for i in range(3):
        append(path, replace(BOX, stamp=STAMP + i))
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        found = read_label_file(path)
        assert len(found.boxes) == 2 and found.cut_off == (3,)
    append(path, replace(BOX, stamp=STAMP + 9))
    found = read_label_file(path)
    assert [round(box.stamp - STAMP) for box in found.boxes] == [0, 1, 9] and found.cut_off == (3,)


def test_a_last_line_without_its_end_is_whole(path):
    append(path, BOX)
    path.write_bytes(path.read_bytes()[:-1])
    append(path, BOX)
    assert read_label_file(path).boxes == (BOX, BOX)


def test_several_writers_do_not_mix_their_lines(path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: append(path, replace(BOX, stamp=float(i))), range(200)))
    found = read_label_file(path)
    assert sorted(box.stamp for box in found.boxes) == list(range(200)) and not found.cut_off


def test_a_sample_gets_the_boxes_of_its_moment():
    pedestrian = replace(BOX, class_name="Pedestrian", center=(1.0, 2.0, 3.0), stamp=STAMP + 2e-7)
    boxes = [BOX, replace(BOX, stamp=STAMP + 0.1), pedestrian]
    truth, clicks = labels_by_stamp(boxes, STAMP, CLASSES, "lidar")
    assert truth.names() == ["Car", "Pedestrian"] and truth.axes is Axes.BODY and (truth.score == 1).all()
    assert np.array_equal(truth.center, [BOX.center, pedestrian.center]) and truth.yaw[0] == BOX.yaw
    assert np.array_equal(truth.size, [BOX.size, BOX.size])
    assert np.array_equal(clicks.points, [BOX.click, BOX.click]) and np.array_equal(clicks.label, truth.label)
    nothing, none = labels_by_stamp(boxes, STAMP + 5, CLASSES)
    assert len(nothing) == len(none) == 0


def test_boxes_of_another_lidar_or_class_list_are_refused():
    with pytest.raises(InputError, match=r"frame of the box accepted at .* is lidar; expected roof"):
        labels_by_stamp([BOX], STAMP, CLASSES, "roof")
    with pytest.raises(InputError, match=r"class of the box accepted at .* is Car"):
        labels_by_stamp([BOX], STAMP, ("Bus",))


@pytest.mark.parametrize(
    "change",
    [{"yaw": np.nan}, {"size": (4.0, 0.0, 1.0)}, {"center": (1.0, 2.0)}, {"class_name": ""}, {"stamp": np.inf}],
)
def test_what_is_no_box_is_not_accepted(change):
    with pytest.raises(InputError, match="accepted"):
        replace(BOX, **change)


@pytest.mark.parametrize(
    "line", ['{"stamp": 1.0}', "[1, 2]", "17", '{"unknown": 1}', '"text"', "SIZE", "NULL", "EXTRA"]
)
def test_whole_lines_that_are_no_box_are_refused_by_number(path, line):
    append(path, BOX)
    written = path.read_text()
    made = {
        "SIZE": written.replace("4.0, 1.7", "-4.0, 1.7"),
        "NULL": written.replace("0.3", "null"),
        "EXTRA": written.replace('{"stamp"', '{"more": 1, "stamp"'),
    }
    with path.open("a") as file:
        file.write(made.get(line, line) + "\n")
    with pytest.raises(InputError, match=r"line 2 of .*drive.jsonl.*Correct the line or delete it"):
        read_label_file(path)


def test_files_that_cannot_be_used_are_named(path, tmp_path):
    with pytest.raises(InputError, match="not readable"):
        read_label_file(path)
    with pytest.raises(InputError, match="not writable"):
        append(tmp_path, BOX)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not writable"):
        append(tmp_path / "file" / "labels.jsonl", BOX)


def test_bytes_that_are_no_text_are_told(path):
    append(path, BOX)
    with path.open("ab") as file:
        file.write(b"\x00\xff\xfe\n")
    found = read_label_file(path)
    assert found.boxes == (BOX,) and found.cut_off == (2,)
