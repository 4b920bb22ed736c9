"""The image pyramid, the cameras of a batch, camera dropout."""

import torch

from point_detr3d_ros.images import Cameras, ImageEncoder, draw_cameras, image_sizes


def images(contract, count, seed=0):
    shape = (count, contract.image_height, contract.image_width, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_pyramid_of_any_number_of_images(contract) -> None:
    encoder = ImageEncoder(contract)
    for count in (0, 1, 3):
        maps = encoder(images(contract, count))
        assert [tuple(m.shape) for m in maps] == [(count, contract.dim, h, w) for h, w in image_sizes(contract)]
        assert all(m.isfinite().all() for m in maps)


def test_images_are_encoded_independently(contract) -> None:
    encoder = ImageEncoder(contract).eval()
    together = encoder(images(contract, 3))
    alone = encoder(images(contract, 3)[1:2])
    for a, b in zip(alone, together, strict=True):
        torch.testing.assert_close(a[0], b[1], rtol=0, atol=1e-4)


def test_frames_with_unequal_numbers_of_cameras(contract) -> None:
    maps = [torch.arange(3.0)[:, None, None, None].expand(3, contract.dim, h, w) for h, w in image_sizes(contract)]
    matrices = [torch.ones(1, 3, 4), torch.zeros(0, 3, 4), 2 * torch.ones(2, 3, 4)]
    cameras = Cameras.of_frames(maps, matrices)
    assert cameras.valid.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert cameras.image[0, 0] == 0
    assert cameras.image[2].tolist() == [1, 2]
    assert cameras.image_from_lidar[2].eq(2).all()
    assert cameras.rows[2].eq(2).all()


def test_no_camera_in_any_frame(contract) -> None:
    maps = ImageEncoder(contract)(images(contract, 0))
    cameras = Cameras.of_frames(maps, [torch.zeros(0, 3, 4)] * 2)
    assert cameras.valid.shape == (2, 0)
    assert len(cameras.rows) == 0


def test_camera_dropout_keeps_every_number_of_cameras_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_cameras(3, generator) for _ in range(800)]
    counts = torch.bincount(torch.tensor([len(d) for d in drawn]), minlength=4)
    assert (counts > 140).all()
    assert all(torch.equal(d, d.unique()) and (d < 3).all() for d in drawn)
    single = torch.cat([d for d in drawn if len(d) == 1])
    assert set(single.tolist()) == {0, 1, 2}
    assert draw_cameras(0).tolist() == []
