"""Meshes of both formats come in alike; damaged ones are named."""

from pathlib import Path

import numpy as np
import pytest

from voxbox_core.datasets.mesh_file import read_triangles
from voxbox_core.errors import InputError

CORNERS = np.array([[0, 0, 0], [2, 0, 0], [2, 3, 0], [0, 3, 0], [1, 1, 4.5]])
FACES = [[3, 2, 1, 0], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]
TRIANGLES = CORNERS[[[3, 2, 1], [3, 1, 0], *FACES[1:]]]


def _header(layout: str) -> str:
    lines = ["ply", f"format {layout} 1.0", "comment a pyramid", f"element vertex {len(CORNERS)}"]
    lines += ["property uchar red", "property float x", "property double y", "property float z"]
    lines += [f"element face {len(FACES)}", "property list uchar int vertex_indices", "property uchar red"]
    return "\n".join([*lines, "end_header", ""])


def _obj(path: Path) -> None:
    lines = ["# a pyramid", "o pyramid"]
    lines += [f"v {x} {y} {z}" for x, y, z in CORNERS]
    lines += ["vn 0 0 1", "f " + " ".join(f"{n + 1}//1" for n in FACES[0])]
    lines += ["f " + " ".join(str(n - len(CORNERS)) for n in face) for face in FACES[1:]]
    path.write_text("\n".join(lines) + "\n")


def _text(path: Path) -> None:
    rows = [f"7 {x} {y} {z}" for x, y, z in CORNERS] + [" ".join(map(str, [len(f), *f, 9])) for f in FACES]
    path.write_text(_header("ascii") + "\n".join(rows) + "\n")


def _binary(path: Path) -> None:
    vertex = np.dtype([("red", "u1"), ("x", "<f4"), ("y", "<f8"), ("z", "<f4")])
    body = np.array([(7, *corner) for corner in CORNERS.tolist()], vertex).tobytes()
    for face in FACES:
        body += bytes([len(face)]) + np.array(face, "<i4").tobytes() + b"\x09"
    path.write_bytes(_header("binary_little_endian").encode() + body)


def _windows(path: Path) -> None:
    _text(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


@pytest.mark.parametrize(
    ("name", "write"), [("a.obj", _obj), ("b.ply", _text), ("c.ply", _binary), ("d.ply", _windows)]
)
def test_a_pyramid_comes_in(tmp_path: Path, name: str, write: object) -> None:
    assert callable(write)
    write(tmp_path / name)
    np.testing.assert_allclose(read_triangles(tmp_path / name), TRIANGLES)


def test_bad_files_are_named(tmp_path: Path) -> None:
    _binary(tmp_path / "whole.ply")
    whole = (tmp_path / "whole.ply").read_bytes()
    bad = {
        "cut.ply": whole[:-20],
        "big.ply": whole.replace(b"little", b"big"),
        "none.ply": b"",
        "before.ply": whole[:-4] + np.int32(-1).tobytes(),  # the last corner of the last face
        "empty.obj": b"v 0 0 0\n",
        "beyond.obj": b"v 0 0 0\nf 1 2 3\n",
        "nan.obj": b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        "text.stl": b"solid",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            read_triangles(tmp_path / name)
    with pytest.raises(InputError, match=r"absent\.ply"):
        read_triangles(tmp_path / "absent.ply")
