"""Bags written and read back, in both storages; and bags that are none."""

import numpy as np
import pytest

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import Bag, find_topics, frames, new_bag, write_drive
from voxbox_core.datasets.bag import messages as build
from voxbox_core.datasets.bag.types import CAMERA_INFO, DETECTIONS, IMAGE, STRING
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError

CAMERA = Camera(np.array([[50.0, 0, 31.5], [0, 50, 15.5], [0, 0, 1]]), 64, 32)


def sample(number: int, rng: np.random.Generator) -> Sample:
    boxes = Boxes3D(
        center=[[1.0, 0.8, 9.0 + number]],
        size=[[3.9, 1.6, 1.5]],
        yaw=[0.4],
        label=[0],
        score=[1.0],
        box2d=[[10, 8, 40, 30]],
        classes=("Car",),
    )
    return Sample(
        name=str(number),
        image=rng.integers(0, 255, (32, 64, 3), np.uint8),
        camera=CAMERA,
        boxes=boxes,
        truncation=np.array([0.25]),
        occlusion=np.array([1]),
        points=rng.normal(size=(5, 4)).astype(np.float32),
        lidar_to_camera=np.array([[0.0, -1, 0, 0], [0, 0, -1, 0.1], [1, 0, 0, -0.3], [0, 0, 0, 1]]),
    )


@pytest.fixture(params=[".mcap", ".db3"])
def drive(request, tmp_path):
    rng = np.random.default_rng(3)
    path = tmp_path / f"drive{request.param}"
    assert write_drive(path, (sample(i, rng) for i in range(4))) == 4
    return path


def test_a_drive_has_its_topics_and_frames(drive):
    with Bag(drive) as bag:
        topics = find_topics(bag)
        found = list(frames(bag, topics))
        image = bag.decode(found[0].image)
        duration = bag.duration
    assert (topics.image.name, topics.camera_info) == ("/camera/image", "/camera/camera_info")
    assert (topics.points, topics.truth) == ("/lidar/points", "/ground_truth/boxes")
    assert topics.notes == ()
    assert [f.index for f in found] == [0, 1, 2, 3]
    assert all(f.camera_info and f.points and f.truth and f.labels for f in found)
    assert duration == pytest.approx(0.3)
    assert image.encoding == "bgr8"
    expected = sample(0, np.random.default_rng(3)).image
    np.testing.assert_array_equal(np.reshape(image.data, (32, 64, 3))[..., ::-1], expected)


def test_a_folder_with_metadata_is_a_bag_too(tmp_path):
    from rosbags.rosbag2 import Writer

    from voxbox_core.datasets.bag.types import typestore

    with Writer(tmp_path / "folder", version=9) as writer:
        topic = writer.add_connection("/words", STRING, typestore=typestore())
        writer.write(topic, 5, typestore().serialize_cdr(build.text("here"), STRING))
    with Bag(tmp_path / "folder") as bag:
        assert [bag.decode(m).data for m in bag.messages()] == ["here"]


def test_limit_ends_early(drive):
    with Bag(drive) as bag:
        assert [f.index for f in frames(bag, find_topics(bag), limit=2)] == [0, 1]


def test_boxes_keep_frame_class_and_heading(drive):
    with Bag(drive) as bag:
        message = bag.decode(next(bag.messages(["/ground_truth/boxes"])))
    box = message.detections[0].bbox
    q = box.center.orientation
    heading = 1 - 2 * (q.y**2 + q.z**2), 2 * (q.x * q.z - q.w * q.y)  # x and z of the turned x axis
    np.testing.assert_allclose(heading, [np.cos(0.4), -np.sin(0.4)], atol=1e-12)
    assert (box.size.x, box.size.y, box.size.z) == (3.9, 1.6, 1.5)
    assert message.detections[0].results[0].hypothesis.class_id == "Car"
    assert message.detections[0].header.frame_id == "camera_optical"


def test_an_image_takes_the_truth_of_its_own_stamp(tmp_path):
    """Companions are recorded late and out of step; stamps decide."""
    path = tmp_path / "late.mcap"
    with new_bag(path) as bag:
        for i in range(6):
            now = 10**9 + i * 10**8
            picture = build.image(now, "camera", np.zeros((2, 2, 3), np.uint8))
            bag.write("/camera/image", IMAGE, now, picture)
            boxes = Boxes3D([[i, 0, 9]], [[4, 2, 2]], [0], [0], [1], [[0, 0, 1, 1]], ("Car",), Axes.OPTICAL)
            bag.write("/truth", DETECTIONS, now + 150_000_000, build.detections(now + 1000, "camera", boxes))
    with Bag(path) as bag:
        for frame in frames(bag, find_topics(bag)):
            assert bag.decode(frame.truth).detections[0].bbox.center.position.x == frame.index


def test_a_camera_info_sent_once_serves_all_images(tmp_path):
    path = tmp_path / "once.mcap"
    with new_bag(path) as bag:
        for i in range(12):
            now = 10**9 + i * 10**8
            bag.write("/camera/image", IMAGE, now, build.image(now, "camera", np.zeros((2, 2, 3), np.uint8)))
            if i == 2:
                bag.write("/camera/camera_info", CAMERA_INFO, now, build.camera_info(now, "camera", CAMERA))
    with Bag(path) as bag:
        assert all(f.camera_info is not None for f in frames(bag, find_topics(bag)))


def test_an_image_without_stamp_gets_that_of_its_recording_and_no_other_byte_changes(tmp_path):
    image = np.zeros((2, 2, 3), np.uint8)
    with new_bag(tmp_path / "drive.mcap") as writer:
        writer.write("/image", IMAGE, 7_000_000_009, build.image(0, "camera", image))
        writer.write("/image", IMAGE, 8_000_000_009, build.image(5_000_000_001, "camera", image))
    with Bag(tmp_path / "drive.mcap") as bag:
        without, own = bag.messages(["/image"])
        stamp = bag.decode(without.stamped).header.stamp
        assert (stamp.sec, stamp.nanosec) == (7, 9)
        assert without.stamped.raw[12:] == without.raw[12:]
        assert own.stamped == own


def cameras(path, *names):
    with new_bag(path) as bag:
        for name in names:
            bag.write(name, IMAGE, 10**9, build.image(10**9, "camera", np.zeros((2, 2, 3), np.uint8)))
            info = f"{name.rsplit('/', 1)[0]}/camera_info"
            bag.write(info, CAMERA_INFO, 10**9, build.camera_info(10**9, "camera", CAMERA))


def test_of_several_cameras_the_front_one_is_taken_and_the_others_are_named(tmp_path):
    cameras(tmp_path / "b.mcap", "/rear/image", "/front/image", "/front_left/image", "/front/depth/image")
    with Bag(tmp_path / "b.mcap") as bag:
        topics = find_topics(bag)
        chosen = find_topics(bag, "/rear/image")
    assert (topics.image.name, topics.camera_info) == ("/front/image", "/front/camera_info")
    assert "/rear/image" in topics.notes[0]
    assert "/front_left/image" in topics.notes[0]
    assert (chosen.image.name, chosen.camera_info, chosen.notes) == ("/rear/image", "/rear/camera_info", ())


def test_a_given_topic_must_be_there_and_be_an_image(tmp_path):
    cameras(tmp_path / "b.mcap", "/front/image")
    with Bag(tmp_path / "b.mcap") as bag:
        with pytest.raises(InputError, match="/nose/image of .* is absent; expected one of: /front/image"):
            find_topics(bag, "/nose/image")
        with pytest.raises(InputError, match="type of topic /front/camera_info is sensor_msgs/msg/CameraInfo"):
            find_topics(bag, "/front/camera_info")


def test_a_bag_without_images_says_what_it_has(tmp_path):
    with new_bag(tmp_path / "b.mcap") as bag:
        bag.write("/words", STRING, 1, build.text("no picture"))
    with Bag(tmp_path / "b.mcap") as bag, pytest.raises(InputError, match="absent; it holds /words"):
        find_topics(bag)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_bag_is_refused_by_name(drive, tmp_path, keep):
    data = drive.read_bytes()
    cut = tmp_path / f"cut{drive.suffix}"
    cut.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match=r"cut\.(mcap|db3) is (unreadable|without messages)"), Bag(cut) as bag:
        for message in bag.messages():
            bag.decode(message)


def test_damage_in_the_middle_is_refused_when_it_is_met(drive, tmp_path):
    data = bytearray(drive.read_bytes())
    data[len(data) // 4 : len(data) // 2] = b"\xa5" * (len(data) // 2 - len(data) // 4)
    broken = tmp_path / f"broken{drive.suffix}"
    broken.write_bytes(data)
    with pytest.raises(InputError), Bag(broken) as bag:
        for message in bag.messages():
            bag.decode(message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("photo.mcap", b"\xff\xd8\xff\xe0 not a bag", "unreadable"),
        ("table.db3", b"id,name\n1,car\n", "unreadable"),
        ("old.bag", b"#ROSBAG V2.0\n", "a ROS 1 bag; .* rosbags-convert"),
        ("drive.mp4", b"", "a .mp4 file; expected a ROS 2 bag"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message), Bag(tmp_path / name):
        pass


def test_an_absent_bag_and_a_folder_that_is_none(tmp_path):
    with pytest.raises(InputError, match="nowhere.mcap is absent"):
        Bag(tmp_path / "nowhere.mcap")
    with pytest.raises(InputError, match="unreadable"), Bag(tmp_path):
        pass


def test_a_drive_that_fails_half_way_leaves_nothing(tmp_path):
    def failing():
        yield sample(0, np.random.default_rng(0))
        raise RuntimeError("camera fell off")

    with pytest.raises(RuntimeError):
        write_drive(tmp_path / "drive.mcap", failing())
    with pytest.raises(InputError, match="samples of the drive is none"):
        write_drive(tmp_path / "drive.mcap", iter(()))
    with pytest.raises(InputError, match=r"ending in .mcap or .db3"):
        write_drive(tmp_path / "drive.avi", failing())
    assert list(tmp_path.iterdir()) == []
