"""One thing of a kind for the process, whoever asks first."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from voxbox_core.runtime.single import single

THREADS = 4


def asked_at_once(get, *args):
    """-> what each thread got."""
    ready = threading.Barrier(THREADS)

    def ask():
        ready.wait()
        return get(*args)

    with ThreadPoolExecutor(THREADS) as pool:
        return [answer.result() for answer in [pool.submit(ask) for _ in range(THREADS)]]


def test_threads_that_ask_at_once_get_the_same():
    @single
    def make(name):
        time.sleep(0.05)  # the others come meanwhile
        return [name]

    got = asked_at_once(make, "a")
    assert all(each is got[0] for each in got)
    assert make("b") is not got[0]
    assert make("a") is got[0]


def test_what_could_not_be_made_is_tried_again():
    tries = []

    @single
    def make():
        tries.append(1)
        if len(tries) == 1:
            raise OSError("busy")
        return "made"

    with pytest.raises(OSError, match="busy"):
        make()
    assert make() == "made"


def test_openvino_has_one_core_though_nodes_load_at_once():
    pytest.importorskip("openvino")
    from voxbox_core.runtime import openvino

    got = asked_at_once(openvino._core)
    assert all(core is got[0] for core in got)
