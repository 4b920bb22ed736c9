"""From a bag and clicks to weights: what was labelled, and only that, is learned from."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from point_detr3d_ros.contract import CLASSES, Contract
from point_detr3d_ros.label_file import AcceptedBox, append
from point_detr3d_ros.pseudo_labels import read_pseudo_labels
from voxbox import cli
from voxbox.training import loop
from voxbox.training.point_detr3d import stages
from voxbox.training.point_detr3d.clouds import collate
from voxbox.training.point_detr3d.frames import RigFrames, split
from voxbox_core import weights
from voxbox_core.datasets.bag import write_rig_drive
from voxbox_core.datasets.kitti import Calibration, from_boxes, write_calib, write_labels
from voxbox_core.datasets.kitti_rig import to_camera
from voxbox_core.datasets.rig import Prompts
from voxbox_core.datasets.rig_folder import RigFolder, RigWriter
from voxbox_core.datasets.rig_formats import FORMATS
from voxbox_core.errors import InputError

COMPLETE, CLICKED, RECORDED = 3, 5, 7  # frames whose objects are all clicked, some of them, and frames in all


@pytest.fixture
def clicked(data, tmp_path):
    """A folder of frames of a bag and a label file: nobody clicked in the last two."""
    folder, bag, labels = RigFolder(data), tmp_path / "drive.mcap", tmp_path / "labels.jsonl"
    frames = [replace(folder[i], boxes=None, hits=np.zeros(0, np.int64), stamp=100 + i / 10) for i in range(RECORDED)]
    write_rig_drive(bag, frames)
    for i in range(CLICKED):
        boxes = folder.header(i).boxes
        for k in range(4 if i < COMPLETE else 2):
            center, size = tuple(boxes.center[k]), tuple(boxes.size[k])
            box = AcceptedBox(100 + i / 10, "lidar", boxes.names()[k], center, size, boxes.yaw[k], center, 0.8, "click")
            append(labels, box)
    out, names = tmp_path / "clicked", [f"{i:06d}" for i in range(COMPLETE)]
    made = ["bag", "rig", bag, "--out", out, "--labels", labels, "--complete", *names]
    assert cli.main([str(word) for word in made]) == 0
    return out


def sent(thing):
    """As another process gets it."""
    return pickle.loads(pickle.dumps(thing))


def test_a_clicked_bag_becomes_weights(options, clicked, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loop, "_LOG_EVERY", 1)
    there = stages.stream  # clouds go to other processes with --workers
    monkeypatch.setattr(stages, "stream", lambda clouds, *more, **named: there(sent(clouds), *more, **named))
    out = tmp_path / "run"
    steps = ["--pretrain-steps", 3, "--teacher-steps", 3, "--student-steps", 3]
    assert cli.main(options(out, "--data", clicked, "--split", "given", *steps)) == 0
    assert "3 frames with boxes, 2 with points alone; 2 with neither are left out" in capsys.readouterr().out
    boxed = json.loads((out / "split.json").read_text())["frames_with_boxes"]
    assert boxed == [f"clicked/{i:06d}" for i in range(COMPLETE)]
    for stage in ("s0", "s1", "s3"):
        assert weights.load(out / stage / "weights.pt").state

    weak = [f"clicked/{i:06d}" for i in range(COMPLETE, CLICKED)]
    origin = "3 of 7 frames, given, seed 0"
    found = read_pseudo_labels(out / "s2/pseudo_labels.npz", weak, CLASSES, origin)
    truth = RigFrames([str(clicked)])
    for name, label in found.items():
        prompts = truth.header(truth.names.index(name)).prompts
        inside = Contract(x=(-12.8, 12.8), y=(-6.4, 6.4)).grid.contains(prompts.points + np.array([0, 0, 1.7]))
        np.testing.assert_array_equal(label.prompts.points, prompts.points[inside])

    events = EventAccumulator(str(out / "s3")).Reload()
    spread = [event.value for event in events.Scalars("feature_spread")]
    assert len(spread) == 3 and all(0 < value < 2 for value in spread)
    assert "feature_spread" not in EventAccumulator(str(out / "s0")).Reload().Tags()["scalars"]


def test_frames_without_boxes_need_the_given_split(options, clicked, tmp_path, capsys):
    assert cli.main(options(tmp_path / "a", "--data", clicked, "--labelled", 100, "--stage", "s0")) == cli.INPUT_ERROR
    assert "--split given" in capsys.readouterr().err
    for name in range(COMPLETE):
        (clicked / f"{name:06d}.npz").unlink()
    assert cli.main(options(tmp_path / "b", "--data", clicked, "--split", "given")) == cli.INPUT_ERROR
    assert "--complete" in capsys.readouterr().err
    assert cli.main(options(tmp_path / "c", "--validation", clicked)) == cli.INPUT_ERROR
    assert "Validate on labelled frames" in capsys.readouterr().err


def test_classes_in_any_order_are_the_contracts(data, tmp_path):
    source = RigFolder(data)[0]
    names = source.boxes.names()
    theirs = ("Pedestrian", "Truck", "Car")
    boxes = replace(source.boxes, label=np.array([theirs.index(n) for n in names]), classes=theirs)
    clicks = Prompts(boxes.center, boxes.label, theirs)
    RigWriter(tmp_path / "mine").write(replace(source, boxes=boxes, prompts=clicks))
    frames = RigFrames([str(tmp_path / "mine")])
    for found in (frames.read(0, views=False), frames.header(0)):
        assert found.boxes.classes == found.prompts.classes == CLASSES
        assert found.boxes.names() == names
        assert [CLASSES[i] for i in found.prompts.label] == names
    strange = replace(boxes, classes=("Pedestrian", "Lorry", "Car"))
    RigWriter(tmp_path / "strange").write(replace(source, boxes=strange))
    with pytest.raises(InputError, match=r"classes of strange/000000 is Lorry; expected some of"):
        RigFrames([str(tmp_path / "strange")]).header(0)


def test_folders_are_read_with_the_sweeps_that_are_asked_for(data, monkeypatch):
    asked = []
    monkeypatch.setitem(FORMATS, "rig", lambda root, sweeps: asked.append(sweeps) or RigFolder(root))
    RigFrames([str(data)])
    RigFrames([str(data)], CLASSES, 3)
    assert asked == [1, 3]


def test_of_a_kitti_frame_what_its_camera_sees_is_learned(data, tmp_path):
    """As its own format, and beside rig frames."""
    source, root = RigFolder(data)[0], tmp_path / "kitti"
    camera_from_lidar = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    intrinsics = np.array([[700.0, 0, 620], [0, 700, 187], [0, 0, 1]])
    calibration = Calibration.of_camera(intrinsics, camera_from_lidar)
    classes = ("Car", "Tram", "Person_sitting", "Van")
    ahead = source.boxes.center[:, 0] > 0
    boxes = replace(source.boxes, label=np.arange(4), classes=classes, box2d=np.ones((4, 4)))[ahead]
    for folder in ("velodyne", "calib", "label_2"):
        (root / folder).mkdir(parents=True)
    source.points[:, :4].tofile(root / "velodyne/000007.bin")
    write_calib(root / "calib/000007.txt", calibration)
    write_labels(root / "label_2/000007.txt", from_boxes(to_camera(boxes, camera_from_lidar), calibration))

    frames = RigFrames([str(data), str(root)])
    assert frames.names[-1] == "kitti/000007"
    found = frames.read(12, views=True)
    wanted = {"Person_sitting": "Pedestrian", "Van": "Van", "Car": "Car"}
    assert found.boxes.names() == [wanted[name] for name in boxes.names() if name != "Tram"]
    assert len(found.hits) == len(found.boxes)
    header = frames.header(12)
    assert header.boxes.names() == found.boxes.names() and header.boxes.classes == CLASSES
    assert header.name == "kitti/000007" and len(header.points) == 0
    assert 0 < len(found.points) < len(source.points) / 2
    x, y, z = found.points[:, :3].T
    assert (x > 0).all() and (np.abs(y / x) < 1).all() and (np.abs(z / x) < 0.3).all()
    assert split(frames, 5, 0, "given").full.tolist() == list(range(13))


@pytest.mark.data
def test_a_nuscenes_frame_comes_in_our_classes(shared_data):
    frames = RigFrames([str(shared_data / "nuscenes" / "sample_ca9a282c")])
    found = sent(frames).read(0, views=False)
    assert found.boxes.classes == CLASSES
    assert {"Car", "Pedestrian"} <= set(found.boxes.names())


def test_what_makes_batches_travels():
    assert callable(sent(collate(Contract(), joined=True)))
