"""Pictures, film and page."""

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from voxbox.report import video
from voxbox.report.page import Page, Picture, Section, Table, write_page
from voxbox.report.scene import HEIGHT, points_at_camera, scene
from voxbox.report.video import write_video
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.sample import Sample
from voxbox_core.draw import colour_of
from voxbox_core.errors import InputError

CAMERA = Camera(np.array([[300.0, 0, 199.5], [0, 300, 74.5], [0, 0, 1]]), 401, 151)
CAR = Boxes3D([[0.0, 0.7, 12.0]], [[3.9, 1.6, 1.5]], [1.2], [0], [0.8], [[0, 0, 1, 1]], ("Car",))


def sample(**more) -> Sample:
    return Sample("0", np.full((151, 401, 3), 90, np.uint8), CAMERA, **more)


def has(picture, colour) -> bool:
    return bool((picture == np.array(colour)).all(-1).any())


def test_a_scene_shows_the_box_in_both_views_and_has_even_sides():
    picture = scene(sample(), CAR, "left", "right")
    views = picture[-HEIGHT:]
    wide = round(401 * HEIGHT / 151 / 2) * 2
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
    empty = scene(sample(), CAR[:0], "left", "right")[-HEIGHT:]
    for view in (np.s_[:, :wide], np.s_[:, wide:]):
        assert np.abs(views[view].astype(int) - empty[view]).max() > 60
    assert has(picture[:-HEIGHT], colour_of("Car"))  # the legend


def test_a_frame_without_answer_says_so():
    said = scene(sample(), None, "", "")[-HEIGHT:]
    silent = scene(sample(), CAR[:0], "", "")[-HEIGHT:]
    assert (said != silent).any()


def test_lidar_points_are_turned_into_the_cameras_view():
    pose = np.array([[0.0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3], [0, 0, 0, 1]])
    found = points_at_camera(sample(points=np.array([[10.0, 2, 1, 0.5]], np.float32), lidar_to_camera=pose))
    np.testing.assert_allclose(found, [[9.7, 1.9, 1.2]], atol=1e-6)
    assert points_at_camera(sample()) is None


def pictures(count):
    return (np.full((48, 1000, 3), 20 * i, np.uint8) for i in range(count))


def test_the_film_plays_every_picture(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    path = write_video(tmp_path, "film", pictures(7), rate=10)
    film = cv2.VideoCapture(str(path))
    brightness = []
    while True:
        more, picture = film.read()
        if not more:
            break
        assert picture.shape == (48, 1000, 3)
        brightness.append(picture.mean())
    np.testing.assert_allclose(brightness, 20.0 * np.arange(7), atol=4)
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_without_an_encoder_the_film_is_a_gif(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(video, "_encoder", lambda: None)
    path = write_video(tmp_path, "film", pictures(5), rate=5)
    with Image.open(path) as film:
        assert (film.format, film.n_frames, film.info["duration"]) == ("GIF", 5, 200)


def test_a_film_of_nothing_is_refused_and_a_broken_one_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="pictures of the film is none"):
        write_video(tmp_path, "film", iter(()), 10)

    def breaking():
        yield from pictures(2)
        raise RuntimeError("no third picture")

    with pytest.raises(RuntimeError):
        write_video(tmp_path, "film", breaking(), 10)
    assert list(tmp_path.iterdir()) == []


class Tags(HTMLParser):
    """Checks that what is opened is closed, and collects cells."""

    VOID = ("meta", "img")

    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attributes):
        self.open += [] if tag in self.VOID else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def test_the_page_is_whole_in_itself_and_escapes_what_it_is_given(tmp_path):
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((4, 4, 3), np.uint8))
    table = Table(["stage", "p50"], [["decode <1>", 1.25], ["none", None]], "ms & more")
    sections = [Section("Pictures", ["x < y"], [Picture(picture, 'a "picture"')], [table])]
    write_page(tmp_path / "page.html", Page("Title", "below", {"frames": "3"}, sections))
    text = (tmp_path / "page.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.cells == ["decode <1>", "1.2", "none", "–"]
    assert "x &lt; y" in text
    embedded = re.search(r'src="data:image/png;base64,([^"]+)"', text)
    assert base64.b64decode(embedded[1]) == picture.read_bytes()
    assert not re.search(r'(src|href)="(?!data:)', text)
