"""`voxbox street rig` from its command line, with thin clouds and small pictures."""

import json
from pathlib import Path

import numpy as np
import pytest

from voxbox.bag.rig import rig_samples
from voxbox.cli import main
from voxbox_core.datasets.rig_folder import RigFolder

THIN = ["--beams", "16", "--columns", "300"]
SMALL = ["--cameras", "2", "--width", "64", "--height", "48"]


def _frames(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.npz")}


def test_a_rendering_goes_on_where_it_stopped_with_the_same_bytes(tmp_path: Path) -> None:
    whole, broken, result = tmp_path / "whole", tmp_path / "broken", tmp_path / "result.json"
    arguments = ["--frames", "4", "--moments", "2", "--seed", "40", *THIN]
    assert main(["street", "rig", str(whole), *arguments, "--jobs", "2"]) == 0
    assert main(["street", "rig", str(broken), *arguments, "--frames", "2", "--jobs", "1"]) == 0
    (broken / "000000.npz").unlink()
    assert main(["street", "rig", str(broken), *arguments, "--jobs", "1", "--json", str(result)]) == 0
    assert _frames(broken) == _frames(whole)
    assert json.loads(result.read_text())["rendered"] == 3
    folder = RigFolder(whole)
    heights = [folder.header(i).height for i in range(4)]
    assert heights[0] == heights[1] != heights[2] == heights[3]  # two moments of each scene
    assert all(len(folder[i].points) > 1000 and folder[i].boxes is not None for i in range(4))


def test_any_beams_are_others_in_every_scene_and_the_usual_sensor_stays(tmp_path: Path) -> None:
    usual = [*THIN, "--usual", "--frames", "2", "--moments", "1", "--jobs", "1"]
    assert main(["street", "rig", str(tmp_path / "usual"), *usual]) == 0
    assert [RigFolder(tmp_path / "usual").header(i).height for i in range(2)] == [1.73, 1.73]
    some = ["--frames", "3", "--moments", "1", "--columns", "300", "--sweeps", "2", "--jobs", "1", "--seed", "2"]
    assert main(["street", "rig", str(tmp_path / "any"), *some]) == 0
    clouds = [RigFolder(tmp_path / "any")[i].points for i in range(3)]
    assert all(len(np.unique(points[:, 4])) == 2 for points in clouds)
    assert max(map(len, clouds)) > 1.7 * min(map(len, clouds))


@pytest.mark.usefixtures("opengl")
def test_a_drive_is_a_bag_of_all_cameras(tmp_path: Path) -> None:
    out = tmp_path / "drive.mcap"
    arguments = ["--format", "mcap", "--drive", "--frames", "3", "--rate", "5", "--jobs", "1", *THIN, *SMALL]
    assert main(["street", "rig", str(out), *arguments]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["drive.mcap"]
    samples = list(rig_samples(out))
    assert len(samples) == 3
    assert [v.name for v in samples[0].views] == ["CAM_FRONT", "CAM_FRONT_RIGHT"]
    assert samples[1].stamp - samples[0].stamp == pytest.approx(0.2)  # type: ignore[operator]
    for sample in samples:
        assert sample.boxes is not None and sample.world_from_lidar is not None
        assert (sample.hits > 0).mean() > 0.9


def test_an_interrupted_drive_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, result = tmp_path / "drive.mcap", tmp_path / "result.json"
    arguments = ["--format", "mcap", "--drive", "--frames", "2", "--jobs", "1", *THIN, "--json", str(result)]
    monkeypatch.setattr("voxbox.street.rig.write_rig_drive", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["street", "rig", str(out), *arguments]) == 130
    monkeypatch.undo()
    assert not out.exists()
    assert main(["street", "rig", str(out), *arguments]) == 0
    assert json.loads(result.read_text())["rendered"] == 0
    assert len(list(rig_samples(out))) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["--beams", "17"],
        ["--beams", "many"],
        ["--cameras", "9"],
        ["--sweeps", "0"],
        ["--jobs", "0"],
        ["--frames", "0"],
        ["--format", "mcap"],
    ],
)
def test_what_cannot_be_rendered_is_refused(tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main(["street", "rig", str(tmp_path / "out.mcap"), *wrong]) == 2
    assert "expected" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_frames_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    arguments = ["street", "rig", str(tmp_path / "out"), "--frames", "1", "--jobs", "1", *THIN]
    assert main(arguments) == 0
    assert main([*arguments, "--sweeps", "2"]) == 2
    assert main([*arguments, "--seed", "1"]) == 2
    assert main([*arguments, "--frames", "2", "--moments", "3"]) == 0
