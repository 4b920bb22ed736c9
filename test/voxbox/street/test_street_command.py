"""`voxbox street` from its command line, with small pictures."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from voxbox.cli import main
from voxbox.street.plan import Plan
from voxbox.street.workers import film, sample_of
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.kitti import KittiFolder
from voxbox_core.datasets.street.kitti_layout import KittiWriter

SMALL = ["--width", "320", "--height", "96", "--jobs", "1"]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.*")) if p.name != "street.json"}


@pytest.mark.usefixtures("opengl")
def test_a_rendering_goes_on_where_it_stopped_with_the_same_bytes(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    arguments = ["--frames", "3", "--moments", "3", "--seed", "40", "--beams", "16", "--depth", "--instance", *SMALL]
    assert main(["street", "render", str(whole), *arguments]) == 0
    assert main(["street", "render", str(broken), *arguments, "--frames", "2"]) == 0
    (broken / "label_2" / "000000.txt").unlink()
    (broken / "image_2" / "000000.png").write_bytes(b"half")
    assert main(["street", "render", str(broken), *arguments, "--json", str(tmp_path / "result.json")]) == 0
    assert _contents(broken) == _contents(whole)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["rendered"] == 2
    assert result["frames_per_second"] > 0
    frames = KittiFolder(whole)
    assert len(frames) == 3
    assert all(len(frames[i].points) > 1000 for i in range(3))  # type: ignore[arg-type]


@pytest.mark.usefixtures("opengl")
def test_a_drive_is_a_bag_with_truth(tmp_path: Path) -> None:
    out = tmp_path / "drive.mcap"
    arguments = ["--format", "mcap", "--drive", "--frames", "3", "--rate", "5", "--beams", "16", *SMALL]
    assert main(["street", "render", str(out), *arguments]) == 0
    with Bag(out) as bag:
        topics = find_topics(bag)
        counts = {t.name: t.count for t in bag.topics}
        stamps = [m.stamp for m in bag.messages([topics.image.name])]
    assert topics.camera_info
    assert topics.points
    assert topics.truth
    assert counts[topics.image.name] == counts[topics.points] == counts[topics.truth] == 3
    assert counts["/tf"] == 3  # where the car is
    assert counts["/tf_static"] == 1  # where the sensors sit on it
    assert np.diff(stamps).tolist() == [200_000_000] * 2


@pytest.mark.usefixtures("opengl")
def test_an_interrupted_drive_goes_on_and_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tmp_path / "whole.mcap", tmp_path / "broken.mcap"
    arguments = ["--format", "mcap", "--drive", "--frames", "3", "--beams", "16", "--jobs", "1", *SMALL]
    assert main(["street", "render", str(whole), *arguments]) == 0
    monkeypatch.setattr("voxbox_core.datasets.bag.write_drive", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["street", "render", str(broken), *arguments]) == 130
    assert not broken.exists()
    (tmp_path / ".broken.mcap.frames" / "000001.npz").unlink()
    monkeypatch.undo()
    assert main(["street", "render", str(broken), *arguments, "--json", str(tmp_path / "result.json")]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["rendered"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.mcap", "result.json", "whole.mcap"]
    with Bag(whole) as first, Bag(broken) as second:
        messages = [[(m.topic, m.stamp, bytes(m.raw)) for m in bag.messages()] for bag in (first, second)]
    assert messages[0] == messages[1]
    monkeypatch.setattr("voxbox_core.datasets.bag.write_drive", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["street", "render", str(broken), *arguments]) == 130
    assert main(["street", "render", str(broken), *arguments, "--rate", "5"]) == 2


@pytest.mark.usefixtures("opengl")
def test_a_sheet_shows_what_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert main(["street", "sheet", str(out), "--frames", "2", "--across", "1", *SMALL]) == 0
    assert cv2.imread(str(out)).shape == (2 * 300, 1000, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frames", "0"], "number of frames is 0"),
        (["--jobs", "0"], "number of processes is 0"),
        (["--beams", "5"], "LiDAR beams is 5"),
        (["--format", "mcap", "--depth"], "kitti for depth and instance images"),
        (["--format", "mcap"], "a name ending in .mcap or .db3"),
    ],
)
def test_bad_arguments_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    out = tmp_path / "frames"
    assert main(["street", "render", str(out), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.usefixtures("opengl")
def test_processes_share_the_work_and_a_worker_can_fail(tmp_path: Path) -> None:
    """Every frame once, in order, whoever renders it; what fails in a worker is raised here."""
    plan = Plan(5, 60, moments=2, width=64, height=32, beams=None)
    assert [sample.name for sample in film(plan, range(5), sample_of, jobs=2)] == [f"{i:06d}" for i in range(5)]
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="taken"):
        list(film(plan, range(2), KittiWriter(tmp_path / "taken").write, jobs=2))


@pytest.mark.usefixtures("opengl")
def test_a_sheet_of_an_unknown_format_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["street", "sheet", str(tmp_path / "sheet.gif"), "--frames", "1", *SMALL]) == 2
    assert "a name ending in .png or .jpg" in capsys.readouterr().err
