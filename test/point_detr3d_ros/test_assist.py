"""The prompted detector: one box per click, in order; what speaks against an answer; clicks in images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from point_detr3d_ros.assist import Assist, doubts, load_deployed, point_of_pixel, require_in_range
from point_detr3d_ros.teacher import Teacher
from point_detr3d_ros.teacher_deployed import ImagePyramid, LidarPyramid, PromptDecoder
from voxbox_core import weights
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import Prompts, View
from voxbox_core.errors import InputError

HEIGHT = 1.6  # m
CAMERA_FROM_LIDAR = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.1], [1, 0, 0, -0.2], [0, 0, 0, 1]])  # above and ahead
CAMERA = Camera(np.array([[100.0, 0, 79.5], [0, 100.0, 47.5], [0, 0, 1]]), 160, 96)


def cloud(count=400):
    rng = np.random.default_rng(0)
    return np.concatenate(
        [rng.uniform((-6, -6, -1.5), (6, 6, 1), (count, 3)), rng.uniform(0, 1, (count, 2))], 1
    ).astype(np.float32)


def view(seed=0):
    image = np.random.default_rng(seed).integers(0, 255, (96, 160, 3), np.uint8)
    return View(f"camera {seed}", image, CAMERA, CAMERA_FROM_LIDAR)


@pytest.fixture(scope="module")
def teacher(contract):
    torch.manual_seed(0)
    teacher = Teacher(contract)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return teacher.eval()


def run_of(module, inputs, outputs):
    def run(values):
        with torch.no_grad():
            found = module(*(torch.from_numpy(np.ascontiguousarray(values[name])) for name in inputs))
        return dict(zip(outputs, [v.numpy() for v in (found if isinstance(found, tuple) else (found,))]))

    return run


@pytest.fixture(scope="module")
def assist(contract, teacher):
    decoder = PromptDecoder(teacher)
    return Assist(
        contract,
        run_of(LidarPyramid(teacher), LidarPyramid.INPUTS, LidarPyramid.OUTPUTS),
        run_of(ImagePyramid(teacher), ImagePyramid.INPUTS, ImagePyramid.OUTPUTS),
        run_of(decoder, decoder.inputs, PromptDecoder.OUTPUTS),
    )


@pytest.mark.parametrize("cameras", [0, 1, 6])
def test_one_box_per_prompt_in_their_order_as_the_teacher_itself_gives_them(assist, teacher, contract, cameras):
    from point_detr3d_ros.detector import graph_inputs, grounded_pillars
    from point_detr3d_ros.images import Cameras
    from point_detr3d_ros.views import network_views

    points = np.array([[3.0, 1, -1], [-4, 2, -0.5], [1, -3, -1]])
    label = np.array([0, 5, 2])
    views = [view(i) for i in range(cameras)]
    found = assist.decode(assist.encode(cloud(), HEIGHT, views), Prompts(points, label, contract.classes))
    lift = np.array([0, 0, HEIGHT])
    down = np.eye(4)
    down[2, 3] = -HEIGHT
    images, matrices = network_views(
        [replace(v, camera_from_lidar=v.camera_from_lidar @ down) for v in views], contract
    )
    inputs = graph_inputs(grounded_pillars(cloud(), HEIGHT, contract))
    with torch.no_grad():
        ground = teacher.encode_lidar(torch.from_numpy(inputs["features"]), torch.from_numpy(inputs["cell"]), 1)
        maps = teacher.encode_images(torch.from_numpy(images))
        seen = Cameras.of_frames(maps, [torch.from_numpy(matrices)]) if cameras else None
        raised = torch.from_numpy((points + lift).astype(np.float32))
        expected = teacher.decode(ground, raised, torch.from_numpy(label), cameras=seen)
    assert found.axes is Axes.BODY
    assert found.label.tolist() == label.tolist()
    np.testing.assert_allclose(found.center, expected.center.numpy() - lift, atol=1e-4)
    np.testing.assert_allclose(found.size, expected.size.numpy().clip(0.1, 40), rtol=1e-4)
    np.testing.assert_allclose(found.score, expected.score_logit.sigmoid()[range(3), label].numpy(), atol=1e-5)


def test_any_number_of_prompts(assist, contract):
    encoded = assist.encode(cloud(), HEIGHT)
    rng = np.random.default_rng(0)
    points, label = rng.uniform(-5, 5, (150, 3)), rng.integers(0, 6, 150)
    many = assist.decode(encoded, Prompts(points, label, contract.classes))
    one = assist.decode(encoded, Prompts(points[[101]], label[[101]], contract.classes))
    np.testing.assert_allclose(many.center[101], one.center[0], atol=1e-4)
    assert len(many) == 150
    assert len(assist.decode(encoded, Prompts(points[:0], label[:0], contract.classes))) == 0


def test_boxes_are_refined_where_they_are(assist, contract):
    encoded = assist.encode(cloud(), HEIGHT, [view()])
    boxes = Boxes3D.concatenate([box(contract, (3.0, 1, -1), 0), box(contract, (-3.0, 1, -1), 3)])
    found = assist.refine(encoded, boxes)
    assert found.names() == boxes.names()
    turned = assist.refine(encoded, replace(boxes, yaw=boxes.yaw + np.array([0, 0.5])))
    np.testing.assert_allclose(turned.center[0], found.center[0], atol=1e-4)
    assert np.abs(turned.center[1] - found.center[1]).max() > 1e-4  # its heading counts


def test_without_a_class_the_one_most_sure_of_itself_answers(assist, contract):
    encoded = assist.encode(cloud(), HEIGHT)
    points = np.array([[3.0, 1, -1], [-4, 2, -0.5], [1, -3, -1]])
    answers = assist.ask(encoded, points, [None, 4, None])
    for i in range(3):
        every = assist.decode(encoded, Prompts(np.tile(points[i], (6, 1)), np.arange(6), contract.classes))
        best = 4 if i == 1 else int(np.argmax(every.score))
        assert answers.label[i] == best
        np.testing.assert_allclose(answers.center[i], every.center[best], atol=1e-4)
    assert len(assist.ask(encoded, np.zeros((0, 3)), [])) == 0


def test_an_empty_cloud_can_be_clicked_on(assist):
    encoded = assist.encode(np.zeros((0, 5), np.float32), HEIGHT)
    assert np.isfinite(assist.ask(encoded, np.zeros((1, 3)), [0]).center).all()
    assert set(assist.stages) == {"pillars", "encode_lidar", "encode_images"}


def test_a_camera_more_than_the_graph_takes_is_refused(assist):
    with pytest.raises(InputError, match="cameras is 7; expected at most 6"):
        assist.encode(cloud(), HEIGHT, [view(i) for i in range(7)])


def test_names_of_classes(assist):
    assert [assist.label_of(name) for name in ("Car", "pedestrian", "")] == [0, 5, None]
    with pytest.raises(InputError, match="class of a click is 'Unicorn'"):
        assist.label_of("Unicorn")


def test_a_folder_of_three_graphs(contract, teacher, assist, tmp_path):
    """With PyTorch, whose weights are the same file three times."""
    import hashlib

    for part in ("lidar", "image", "prompt"):
        folder = tmp_path / part
        folder.mkdir()
        weights.save(folder / "weights.pt", teacher.state_dict(), contract.to_json())
        (folder / "model.onnx").write_bytes(b"")
        digest = hashlib.sha256(b"").hexdigest()
        (folder / "manifest.yaml").write_text(f"onnx: model.onnx\nsha256: {digest}\n")
        assert load_deployed(folder / "weights.pt", part).metadata["system"] == "point_detr3d"
    opened = Assist.open(tmp_path, "torch", threads=1)
    assert (opened.contract, opened.backend) == (contract, "torch")
    points = np.array([[3.0, 1, -1]])
    found, expected = (each.ask(each.encode(cloud(), HEIGHT, [view()]), points, [3]) for each in (opened, assist))
    np.testing.assert_allclose(found.center, expected.center, atol=1e-4)
    weights.save(tmp_path / "prompt/weights.pt", teacher.state_dict(), replace(contract, max_detections=7).to_json())
    with pytest.raises(InputError, match="prompt is another; expected that of its lidar"):
        Assist.open(tmp_path, "torch", threads=1)


# -- doubts ----------------------------------------------------------------------------------------------------------


def box(contract, center, label=0, score=0.9):
    blank = np.full((1, 4), np.nan)
    size = np.array(contract.mean_sizes[label])[None]
    return Boxes3D(np.array([center]), size, [0.0], [label], [score], blank, contract.classes, Axes.BODY)


@pytest.mark.parametrize(
    ("center", "click", "score", "text"),
    [
        ((3.0, 1, -1), (3.5, 1, -1), 0.9, None),
        ((3.0, 1, -1), (3.5, 1, -1), 0.2, "score of a click on a Car is 0.20"),
        ((3.0, 1, -1), (3.5, 1, -1), np.nan, "score of a click on a Car is nan"),
        ((3.0, 1, -1), (5.1, 1, -1), 0.9, None),  # half the diagonal of a Car is 2.24 m
        ((3.0, 1, -1), (5.3, 1, -1), 0.9, "way from a click to its Car is 2.3 m; expected at most 2.2 m"),
        ((np.nan, 1, -1), (3.0, 1, -1), 0.9, "box of a click on a Car is not finite"),
    ],
)
def test_what_speaks_against_an_answer(contract, center, click, score, text):
    (found,) = doubts(box(contract, center, score=score), np.array([click]), contract, 0.3)
    assert (found is None) == (text is None)
    assert text is None or text in str(found)


@pytest.mark.parametrize("click", [(20.0, 1, -1), (3.0, 1, 9), (3.0, np.nan, -1), (np.inf, 1, -1)])
def test_clicks_out_of_range_are_refused(contract, click):
    with pytest.raises(InputError, match="place of a click is"):
        require_in_range(np.array(click), contract, HEIGHT)
    require_in_range(np.array([3.0, 1, -HEIGHT]), contract, HEIGHT)


# -- clicks in images ------------------------------------------------------------------------------------------------


def pixel_of(point):
    pixel, _ = CAMERA.project(np.array(point) @ CAMERA_FROM_LIDAR[:3, :3].T + CAMERA_FROM_LIDAR[:3, 3])
    return pixel


def test_a_click_on_points_is_at_their_median_depth():
    hit = np.array([[8.0, 1, -0.5], [8.1, 1, -0.5], [8.2, 1.02, -0.5], [30, 3.75, -1.6], [3, -2, 0], [-8, -1, 0.5]])
    found = point_of_pixel(pixel_of(hit[1]), hit, CAMERA, CAMERA_FROM_LIDAR, HEIGHT)
    np.testing.assert_allclose(pixel_of(found), pixel_of(hit[1]))
    assert found[0] == pytest.approx(
        8.15, abs=0.06
    )  # the median of those near, the far one and the ones aside left out


def test_a_click_on_nothing_is_on_the_ground():
    ground = np.array([9.0, -2.0, -HEIGHT])
    found = point_of_pixel(pixel_of(ground), np.zeros((0, 5)), CAMERA, CAMERA_FROM_LIDAR, HEIGHT)
    np.testing.assert_allclose(found, ground, atol=1e-9)


def test_a_click_on_the_sky_is_refused():
    with pytest.raises(InputError, match=r"click in an image is at \(80, 10\), above the horizon"):
        point_of_pixel(np.array([80.0, 10]), np.zeros((0, 5)), CAMERA, CAMERA_FROM_LIDAR, HEIGHT)
