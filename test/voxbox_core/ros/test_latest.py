"""The newest item wins, nothing is handled twice, and stopping waits for the one at hand."""

import threading

from voxbox_core.ros.latest import Latest


def test_items_that_come_while_busy_give_way_to_the_newest() -> None:
    begun, go_on, handled = threading.Semaphore(0), threading.Event(), []

    def handle(item: int) -> None:
        begun.release()
        go_on.wait(5)
        handled.append(item)

    worker = Latest(handle, "test")
    assert not worker.put(1)
    assert begun.acquire(timeout=5)
    replaced = [worker.put(i) for i in (2, 3, 4)]
    go_on.set()
    assert begun.acquire(timeout=5)
    worker.stop()
    assert handled == [1, 4]
    assert replaced == [False, True, True]


def test_stop_waits_for_the_item_at_hand_and_drops_the_next() -> None:
    begun, go_on, handled = threading.Event(), threading.Event(), []

    def handle(item: int) -> None:
        begun.set()
        go_on.wait(5)
        handled.append(item)

    worker = Latest(handle, "test")
    worker.put(1)
    assert begun.wait(5)
    worker.put(2)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    go_on.set()
    stopping.join(5)
    assert handled == [1]
    assert not stopping.is_alive()


def test_some_may_wait_in_their_order_and_the_oldest_gives_way() -> None:
    begun, go_on, handled = threading.Semaphore(0), threading.Event(), []

    def handle(item: int) -> None:
        begun.release()
        go_on.wait(5)
        handled.append(item)

    worker = Latest(handle, "test", waiting=2)
    worker.put(1)
    assert begun.acquire(timeout=5)
    replaced = [worker.put(i) for i in (2, 3, 4)]
    go_on.set()
    assert all(begun.acquire(timeout=5) for _ in range(2))
    worker.stop()
    assert handled == [1, 3, 4]
    assert replaced == [False, False, True]
