"""A folder of VoxelSamples as nuScenes' tables (Caesar et al., CVPR 2020), put together from the frames' records.

The devkit's fields, and a table `fruxel` with a row for every image: its voxels' file, their geometry, the part of the
image before the grid and the depth image. The vehicle is the camera here: its axes are forward, left and up.
Annotations have no tracks: every one is an instance of its own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.camera import Camera
from voxbox_core.datasets.voxel_folder import CHANNEL, VoxelFolder, poses_of, token
from voxbox_core.errors import InputError
from voxbox_core.files import whole_folder, write_json
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, CLASSES

Row = dict[str, Any]

_EGO_FROM_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_SENSOR, _LOG, _MAP = token("sensor", CHANNEL), token("log"), token("map")
_VISIBILITY = ("0-40", "40-60", "60-80", "80-100")


def write_tables(folder: Path, split: str | None = None) -> Path:
    """Write the tables of all samples (v1.0-all), or of a split's (v1.0-SPLIT), all or none; -> their folder. Former
    ones give way. Raises InputError for damaged records and where nothing can be written."""
    tables = _tables(VoxelFolder(folder, split))
    out = Path(folder) / f"v1.0-{split or 'all'}"
    try:
        with whole_folder(out, "sample.json") as temporary:
            for name, rows in tables.items():
                write_json(temporary / f"{name}.json", rows)
    except OSError as error:
        remedy = "Make room and run the same command again."
        raise InputError(f"folder {out}", f"not writable ({error.strerror})", "room for tables", remedy) from error
    return out


def _tables(data: VoxelFolder) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = _fixed()
    sensors: dict[str, Row] = {}
    for scene, members in _by_scene(data).items():
        rows = [(data.names[i], data.record(i)) for i in members]
        samples = [token("sample", name) for name, _ in rows]
        tables["scene"].append(_scene(scene, samples))
        images = [token("image", name) for name, _ in rows]
        for k, (name, record) in enumerate(rows):
            time = round(1e6 * record.get("stamp", k))
            world_from_ego = _world_from_ego(record)
            sensor = _calibrated(record)
            sensors[sensor["token"]] = sensor
            shared = {"timestamp": time, "scene_token": token("scene", scene)}
            tables["sample"].append({"token": samples[k], **shared, **_neighbours(samples, k)})
            tables["ego_pose"].append({"token": token("ego", name), "timestamp": time, **_pose(world_from_ego)})
            links = {"sample_token": samples[k], "ego_pose_token": token("ego", name), "timestamp": time}
            links["calibrated_sensor_token"] = sensor["token"]
            tables["sample_data"].append(_image(images[k], record) | links | _neighbours(images, k))
            tables["fruxel"].append(_fruxel(token("fruxel", name), images[k], record))
            for row, label in _annotations(name, samples[k], record, world_from_ego):
                tables["sample_annotation"].append(row)
                tables["instance"].append(_instance(row, label))
    tables["calibrated_sensor"] = list(sensors.values())
    return tables


def _by_scene(data: VoxelFolder) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for i, scene in enumerate(data.scenes):
        members.setdefault(scene, []).append(i)
    return members


def _fixed() -> dict[str, list[Row]]:
    """All tables, those filled that do not depend on the frames."""
    empty: tuple[str, ...] = ("scene", "sample", "sample_data", "ego_pose", "fruxel", "sample_annotation", "instance")
    tables: dict[str, list[Row]] = {name: [] for name in (*empty, "calibrated_sensor", "attribute")}
    tables["sensor"] = [{"token": _SENSOR, "channel": CHANNEL, "modality": "camera"}]
    tables["log"] = [{"token": _LOG, "logfile": "", "vehicle": "", "date_captured": "", "location": ""}]
    tables["map"] = [{"token": _MAP, "category": "semantic_prior", "filename": "", "log_tokens": [_LOG]}]
    tables["category"] = [
        {"token": token("category", name), "name": name, "description": "", "index": k}
        for k, name in enumerate(CLASSES)
        if k != AIR
    ]
    tables["visibility"] = [
        {"token": str(k), "level": f"v{level}", "description": f"visibility {level} %"}
        for k, level in enumerate(_VISIBILITY, 1)
    ]
    return tables


def _scene(name: str, samples: list[str]) -> Row:
    ends = {"first_sample_token": samples[0], "last_sample_token": samples[-1], "nbr_samples": len(samples)}
    return {"token": token("scene", name), "name": name, "description": "", "log_token": _LOG, **ends}


def _neighbours(tokens: list[str], k: int) -> Row:
    return {"prev": tokens[k - 1] if k else "", "next": tokens[k + 1] if k + 1 < len(tokens) else ""}


def _world_from_ego(record: Row) -> np.ndarray:
    pose = np.array(record.get("world_from_camera", np.eye(4)))
    pose[:3, :3] = pose[:3, :3] @ _EGO_FROM_CAMERA.T
    return pose


def _pose(matrix: np.ndarray) -> Row:
    rotation = Rotation.from_matrix(matrix[:3, :3]).as_quat(canonical=True, scalar_first=True)
    return {"translation": matrix[:3, 3].tolist(), "rotation": rotation.tolist()}


def _calibrated(record: Row) -> Row:
    ego_from_camera = np.eye(4)
    ego_from_camera[:3, :3] = _EGO_FROM_CAMERA
    intrinsics = record["intrinsics"]
    name = token("calibrated_sensor", intrinsics)
    return {"token": name, "sensor_token": _SENSOR, "camera_intrinsic": intrinsics, **_pose(ego_from_camera)}


def _image(name: str, record: Row) -> Row:
    size = {"width": record["width"], "height": record["height"]}
    file = {"filename": record["image"], "fileformat": record["image"].rpartition(".")[2]}
    return {"token": name, "is_key_frame": True, **file, **size}


def _fruxel(name: str, image: str, record: Row) -> Row:
    grid = Fruxel(**record["fruxel"])
    camera = Camera(np.array(record["intrinsics"]), record["width"], record["height"])
    scale = grid.affine(camera)[[0, 1], [0, 1]]  # cells per pixel
    corner = (np.array([-0.5, -0.5]) - grid.affine(camera)[:, 2]) / scale + 0.5
    crop = [*corner.tolist(), *(np.array([grid.columns, grid.rows]) / scale).tolist()]
    shape = {"d": grid.slices, "w": grid.columns, "h": grid.rows}
    geometry = {"z_n": grid.near, "z_f": grid.far, **shape, "alpha": grid.alpha, "spacing": grid.spacing}
    files = {"filename": record["voxels"], "depth_filename": record.get("depth", "")}
    place = {"principal": list(grid.principal), "crop": crop, "depth_unit": record.get("depth_unit")}
    return {"token": name, "sample_data_token": image, **files, **geometry, **place}


def _annotations(name: str, sample: str, record: Row, world_from_ego: np.ndarray) -> Iterator[tuple[Row, int]]:
    """Of the objects of a frame, and their labels."""
    if "poses" not in record:
        return
    poses = poses_of(record)
    world_from_camera = world_from_ego[:3, :3] @ _EGO_FROM_CAMERA
    for k in range(len(poses)):
        pose = np.eye(4)
        pose[:3, :3] = world_from_camera @ Rotation.from_quat(poses.rotation[k], scalar_first=True).as_matrix()
        pose[:3, 3] = world_from_camera @ poses.translation[k] + world_from_ego[:3, 3]
        tokens = {"token": token("annotation", name, k), "instance_token": token("instance", name, k)}
        length, width, height = poses.size[k].tolist()
        told = {"visibility_token": "", "attribute_tokens": [], "num_lidar_pts": 0, "num_radar_pts": 0}
        place = {"sample_token": sample, "size": [width, length, height], **_pose(pose)}
        yield {**tokens, **place, **told, "prev": "", "next": ""}, int(poses.label[k])


def _instance(annotation: Row, label: int) -> Row:
    category = token("category", CLASSES[label])
    ends = {f"{end}_annotation_token": annotation["token"] for end in ("first", "last")}
    return {"token": annotation["instance_token"], "category_token": category, "nbr_annotations": 1, **ends}
