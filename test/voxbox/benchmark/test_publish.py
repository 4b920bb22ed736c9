"""Scaling, and what a benchmark leaves in a folder."""

import json

import numpy as np
import pytest

from ssz_ros.network import build
from voxbox import cli
from voxbox.benchmark import command, publish, scaling
from voxbox_core.camera import Camera
from voxbox_core.datasets.sample import Sample

SPREAD = {"p50": 10.0, "p90": 12.0}
RATIO = {"median": 1.5, "low": 1.4, "high": 1.7}


def case(engine: str, **agreement: float) -> dict:
    times = {"wall": SPREAD, "cpu": SPREAD, "wall_ratio": RATIO, "cpu_ratio": RATIO}
    return {"engine": engine, **times, "peak": 300.0, "more": 120.0, "agreement": agreement}


RESULT = {
    "machine": {"processor": "a <fast> one", "cores": 4, "load_1_min": 0.1},
    "systems": {
        "ssz": {
            "model": "ssz-street",
            "peers": {
                "frames": 3,
                "cases": {
                    "voxbox": case("openvino fp32", equal=1.0, occupied=1.0),
                    "onnxruntime": case("fp32", equal=0.9986, occupied=0.9944),
                },
                "skipped": {"torch.compile": "no compiler"},
            },
            "scaling": {
                "voxels": {
                    "axis": "voxels",
                    "cases": {
                        "voxbox": {"32^3": {"wall": SPREAD, "cpu": SPREAD}, "64^3": {"wall": SPREAD, "cpu": SPREAD}},
                        "onnxruntime": {"64^3": {"wall": SPREAD, "cpu": SPREAD}},
                    },
                    "skipped": {},
                }
            },
        }
    },
}


def test_the_page_holds_plots_tables_and_who_is_missing(tmp_path):
    publish.write(tmp_path, RESULT)
    assert json.loads((tmp_path / publish.RESULT).read_text()) == RESULT
    page = (tmp_path / publish.REPORT).read_text()
    assert page.count("data:image/png;base64,") == 2 and 'src="pictures' not in page
    assert "a &lt;fast&gt; one" in page
    assert "torch.compile is missing: no compiler" in page
    assert "99.86% of cells, 99.44% of the occupied" in page


def test_the_table_is_markdown():
    lines = publish.markdown(RESULT).splitlines()
    assert lines[0].startswith("a <fast> one, 4 cores")
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 4 and len({row.count("|") for row in rows}) == 1
    assert "1.50 (1.40 to 1.70)" in rows[3]


def test_a_point_without_a_case_is_a_dash():
    header, first, second = scaling.rows(RESULT["systems"]["ssz"]["scaling"]["voxels"])
    assert header == ["voxels", "voxbox, ms", "voxbox, CPU ms", "onnxruntime, ms", "onnxruntime, CPU ms"]
    assert first == ["32^3", "10.0", "10.0", "-", "-"] and second[3] == "10.0"
    assert "32^3" in scaling.table(RESULT["systems"]["ssz"]["scaling"]["voxels"])


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16])])
def test_threads_double_up_to_all_cores(cores, counts):
    assert scaling.thread_counts(cores) == counts


def test_a_stretched_picture_keeps_its_places():
    camera = Camera(np.array([[80.0, 0, 70.0], [0, 90, 30.0], [0, 0, 1]]), 150, 70)
    image = np.zeros((70, 150, 3), np.uint8)
    image[20:24, 40:46] = 255  # middle at 42.5, 21.5
    large = scaling.resized(Sample("0", image, camera), 300, 210)
    rows, columns = np.nonzero(large.image[..., 0] > 127)
    rays = [((42.5 - 70) / 80, (21.5 - 30) / 90)]
    k = large.camera.intrinsics
    assert np.allclose([((columns.mean() - k[0, 2]) / k[0, 0], (rows.mean() - k[1, 2]) / k[1, 1])], rays, atol=1e-3)
    assert (large.camera.width, large.camera.height) == (300, 210)


def test_cubes_have_as_many_cells_each_way():
    contract = scaling.cube(32)
    assert contract.fruxel.shape == (32, 32, 32) and contract.input_size == (64, 64)
    assert sum(p.numel() for p in build(contract).parameters()) > 1e6


def test_all_systems_are_put_on_one_page(tmp_path, monkeypatch, capsys):
    """The whole way, with systems that answer at once."""
    swept = RESULT["systems"]["ssz"]["scaling"]
    monkeypatch.setattr(command.ssz, "measure", lambda args, backends: {"scaling": swept, "parts": args.parts})
    for name in ("km3d", "point_detr3d"):
        monkeypatch.setattr(getattr(command, name), "measure", lambda args, backends: {"given": args.rounds})
    out = tmp_path / "out"
    assert cli.main(["benchmark", "all", "--rounds", "7", "--out", str(out), "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((out / publish.RESULT).read_text())
    assert result["systems"]["km3d"] == {"model": "km3d-street", "given": 7}
    assert result["systems"]["ssz"]["parts"] == "peers,scaling"
    assert json.loads((tmp_path / "r.json").read_text()) == result
    assert {path.name for path in out.iterdir()} == {publish.RESULT, publish.REPORT, publish.MARKDOWN, "pictures"}
    assert str(out / publish.REPORT) in capsys.readouterr().out


def test_a_folder_of_something_else_is_refused_before_anything_is_measured(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("")
    assert cli.main(["benchmark", "ssz", "--parts", "peers", "--out", str(tmp_path)]) == 2
    assert "a new folder, or a former result with benchmark.json" in capsys.readouterr().err
