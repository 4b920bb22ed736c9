"""Triangles from mesh files: .ply, as text or little-endian binary, and .obj. Colours and textures are left unread."""

import itertools
from pathlib import Path

import numpy as np

from voxbox_core.errors import InputError

SUFFIXES = (".ply", ".obj")

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "<i2"),
    **dict.fromkeys(("ushort", "uint16"), "<u2"),
    **dict.fromkeys(("int", "int32"), "<i4"),
    **dict.fromkeys(("uint", "uint32"), "<u4"),
    **dict.fromkeys(("float", "float32"), "<f4"),
    **dict.fromkeys(("double", "float64"), "<f8"),
}


def read_triangles(path: Path) -> np.ndarray:
    """(T, 3, 3) float64 corners, in the file's frame and unit; faces with more corners are cut into fans.

    Raises InputError for other suffixes, and naming the file when it is damaged, has no faces, or numbers that are not
    finite."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"mesh {path}", f"a {path.suffix} file", f"one of {SUFFIXES}", "Convert it.")
    try:
        vertices, faces = (_ply if path.suffix == ".ply" else _obj)(path)
        if any(not 0 <= n < len(vertices) for face in faces for n in face):
            raise ValueError("a face of no vertex")
        fans = [(face[0], *pair) for face in faces for pair in itertools.pairwise(face[1:])]
        triangles = vertices[np.array(fans, np.int64).reshape(-1, 3)]
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"mesh {path}", f"unreadable ({words})", "a whole mesh", "Restore it.") from error
    if not len(triangles) or not np.isfinite(triangles).all():
        value = "not finite" if len(triangles) else "without faces"
        raise InputError(f"mesh {path}", value, "triangles of finite corners", "Repair it.")
    return triangles


Faces = list[list[int]]


def _obj(path: Path) -> tuple[np.ndarray, Faces]:
    vertices: list[list[float]] = []
    faces: Faces = []
    for line in path.read_text(errors="replace").splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(v) for v in values[:3]])
        elif kind == "f":
            numbers = [int(v.split("/")[0]) for v in values]  # from 1; those below 0 count from the end
            faces.append([n - 1 if n > 0 else len(vertices) + n for n in numbers])
    return np.array(vertices, np.float64).reshape(-1, 3), faces


def _ply(path: Path) -> tuple[np.ndarray, Faces]:
    header, mark, rest = path.read_bytes().partition(b"end_header")
    lines = header.decode("ascii", "replace").splitlines()
    if not mark or lines[0].strip() != "ply":
        raise ValueError("no ply")
    body = rest.partition(b"\n")[2]  # after a Windows line's end, too
    layout = lines[1].split()[1]
    elements = _elements(lines)
    if layout == "ascii":
        return _ply_text(elements, body.decode("ascii", "replace").split("\n"))
    if layout == "binary_little_endian":
        return _ply_binary(elements, body)
    raise ValueError(f"layout {layout}")


Elements = list[tuple[str, int, list[list[str]]]]


def _elements(lines: list[str]) -> Elements:
    """Name, count and properties of each, the words after `property`."""
    elements: Elements = []
    for line in lines:
        kind, *words = line.split() or [""]
        if kind == "element":
            elements.append((words[0], int(words[1]), []))
        elif kind == "property":
            elements[-1][2].append(words)
    return elements


def _ply_text(elements: Elements, rows: list[str]) -> tuple[np.ndarray, Faces]:
    vertices, at = np.zeros((0, 3)), 0
    faces: Faces = []
    for name, count, properties in elements:
        block, at = [row.split() for row in rows[at : at + count]], at + count
        if name == "vertex":
            where = [[p[-1] for p in properties].index(axis) for axis in "xyz"]
            vertices = np.array([[float(row[k]) for k in where] for row in block])
        elif name == "face":
            faces = [[int(v) for v in row[1 : 1 + int(row[0])]] for row in block]
    return vertices, faces


def _ply_binary(elements: Elements, body: bytes) -> tuple[np.ndarray, Faces]:
    vertices, at = np.zeros((0, 3)), 0
    faces: Faces = []
    for name, count, properties in elements:
        if name == "face":
            faces, at = _binary_faces(properties, count, body, at)
            continue
        kind = np.dtype([(p[-1], _TYPES[p[0]]) for p in properties])
        rows = np.frombuffer(body, kind, count, at)
        at += count * kind.itemsize
        if name == "vertex":
            vertices = np.stack([rows[axis] for axis in "xyz"], -1).astype(np.float64)
    return vertices, faces


def _binary_faces(properties: list[list[str]], count: int, body: bytes, at: int) -> tuple[Faces, int]:
    faces: Faces = []
    for _ in range(count):
        for words in properties:
            if words[0] != "list":
                at += np.dtype(_TYPES[words[0]]).itemsize
                continue
            length, entry = np.dtype(_TYPES[words[1]]), np.dtype(_TYPES[words[2]])
            corners = int(np.frombuffer(body, length, 1, at)[0])
            at += length.itemsize
            if words[-1].startswith("vertex_ind"):
                faces.append(np.frombuffer(body, entry, corners, at).tolist())
            at += corners * entry.itemsize
    return faces, at
