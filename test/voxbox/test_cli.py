"""The command line: results as JSON, bad input as one line."""

import json
import sys
import types

import pytest

from voxbox import cli
from voxbox_core.errors import InputError


@pytest.fixture
def verb(monkeypatch):
    """A verb of our own in place of `bag`, whose behaviour the test sets."""
    module = types.ModuleType("voxbox_test_verb", "A verb for tests.")
    module.configure = lambda parser: parser.add_argument("--size", type=int, default=3)
    monkeypatch.setitem(sys.modules, "voxbox_test_verb", module)
    monkeypatch.setitem(cli.MODULES, "bag", "voxbox_test_verb")
    return module


def test_the_result_is_written_as_json(verb, tmp_path):
    verb.run = lambda args: {"size": args.size}
    assert cli.main(["bag", "--size", "4", "--json", str(tmp_path / "r.json")]) == 0
    assert json.loads((tmp_path / "r.json").read_text()) == {"size": 4}


def test_bad_input_is_one_line_and_status_2(verb, tmp_path, capsys):
    def fail(args):
        raise InputError("size", 3, "at least 4", "Give --size 4.")

    verb.run = fail
    assert cli.main(["bag", "--json", str(tmp_path / "r.json")]) == 2
    assert capsys.readouterr().err == "voxbox bag: size is 3; expected at least 4. Give --size 4.\n"
    assert not (tmp_path / "r.json").exists()


def test_where_no_result_can_be_written_nothing_is_begun(verb, tmp_path, capsys):
    verb.run = lambda args: pytest.fail("begun")
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "r.json"):
        assert cli.main(["bag", "--json", str(place)]) == 2
        assert f"file {place} is " in capsys.readouterr().err


def test_unknown_options_exit_with_2(verb):
    with pytest.raises(SystemExit) as stop:
        cli.main(["bag", "--colour", "red"])
    assert stop.value.code == 2


@pytest.mark.parametrize("name", list(cli.VERBS))
def test_every_verb_has_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out) > 100
