"""The driver's functions are called as they are declared: without a GPU nothing else would show that they are not."""

import ast
import inspect

import pytest

from voxbox_core.runtime import driver

CALLS = [
    (node.lineno, node.args[0].value, len(node.args) - 1)
    for node in ast.walk(ast.parse(inspect.getsource(driver)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_call"
    if isinstance(node.args[0], ast.Constant)
]
FREED = [
    node.args[2].value
    for node in ast.walk(ast.parse(inspect.getsource(driver)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "finalize"
]


@pytest.mark.parametrize(("line", "name", "count"), CALLS)
def test_each_call_has_as_many_arguments_as_its_signature(line, name, count):
    assert count == len(driver._SIGNATURES[name])


@pytest.mark.parametrize("name", FREED)
def test_what_frees_takes_a_handle_alone(name):
    assert len(driver._SIGNATURES[name]) == 1


def test_nothing_was_overlooked():
    assert len(CALLS) > 15
    assert {name for name in driver._SIGNATURES if "Free" in name or "Destroy" in name} == {*FREED, "cuGraphDestroy"}


def test_bytes_on_the_device_are_shown_as_the_cuda_array_interface_says():
    there = driver.DeviceBytes(owner=None, address=4096, size=12)
    shown = there.__cuda_array_interface__
    assert shown["data"] == (4096, False)  # not read-only: PyTorch refuses such
    assert (shown["shape"], shown["typestr"], shown["strides"]) == ((12,), "|u1", None)
