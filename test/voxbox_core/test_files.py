"""A file is whole or absent."""

from pathlib import Path

import pytest

from voxbox_core.errors import InputError
from voxbox_core.files import cache_folder, whole_file, whole_folder, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "result.json"
    write_json(target, {"a": 1})
    with pytest.raises(RuntimeError), whole_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("power cut")
    assert target.read_text() == '{\n  "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_whole_or_absent(tmp_path):
    target = tmp_path / "result"
    with pytest.raises(RuntimeError), whole_folder(target, "done") as folder:
        (folder / "half").write_text("")
        raise RuntimeError("power cut")
    assert not any(tmp_path.iterdir())
    for content in ("old", "new"):
        with whole_folder(target, "done") as folder:
            (folder / "done").write_text(content)
            (folder / content).write_text("")
    assert sorted(p.name for p in target.iterdir()) == ["done", "new"]


def test_a_folder_of_someone_else_is_not_replaced(tmp_path):
    (tmp_path / "precious").write_text("")
    expected = "is something else's; expected a new folder, or a former result with done"
    with pytest.raises(InputError, match=expected), whole_folder(tmp_path, "done"):
        pass
    assert (tmp_path / "precious").exists()


def test_the_cache_is_where_the_user_wants_it(monkeypatch):
    monkeypatch.setenv("VOXBOX_CACHE", "/here")
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert cache_folder() == Path("/here")
    monkeypatch.delenv("VOXBOX_CACHE")
    assert cache_folder() == Path("/there/voxbox")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path.home() / ".cache" / "voxbox"
