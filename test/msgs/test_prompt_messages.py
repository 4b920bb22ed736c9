"""Clicks and prompts, as RViz and other modules publish them."""

from types import SimpleNamespace as Message

import numpy as np
import pytest

from msgs.prompts import identified, read_click, read_prompts


def detection(x, results, frame="", id=""):
    place = Message(position=Message(x=x, y=2.0, z=3.0))
    hypotheses = [Message(hypothesis=Message(class_id=name, score=score)) for name, score in results]
    return Message(header=Message(frame_id=frame), results=hypotheses, bbox=Message(center=place), id=id)


def test_a_click():
    click = read_click(Message(header=Message(frame_id="map"), point=Message(x=1, y=2, z=3)), "Car")
    np.testing.assert_array_equal(click.point, [1, 2, 3])
    assert (click.frame_id, click.name) == ("map", "Car")


def test_prompts_keep_their_order_best_class_frame_and_id():
    own = detection(1.0, [("Car", 0.2), ("Van", 0.7)], "camera", "a")
    array = Message(header=Message(frame_id="map"), detections=[own, detection(5.0, [], id="b")])
    found = read_prompts(array)
    assert [(c.name, c.frame_id, c.id) for c in found] == [("Van", "camera", "a"), ("", "map", "b")]
    assert [c.point[0] for c in found] == [1, 5]


def test_answers_bear_the_ids_of_their_prompts():
    array = Message(detections=[Message(id=""), Message(id="")])
    assert [d.id for d in identified(array, ["a", "b"]).detections] == ["a", "b"]
    with pytest.raises(ValueError, match="shorter"):
        identified(array, ["a"])
