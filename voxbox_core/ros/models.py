"""Where an installed node finds the models that come with voxbox."""

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from voxbox_core.errors import InputError


def model_path(name: str, parameter: str = "model") -> Path:
    """A path as it is, or the folder of a released model of that name.

    parameter: that gave the name. Raises InputError, which names it, when there is neither.
    """
    given = Path(name).expanduser()
    if name and given.exists():
        return given
    released = _released()
    if name in released:
        return released[name]
    names = f", or a released model ({', '.join(released)})" if released else ""
    raise InputError(parameter, repr(name), f"a path{names}", f"Check the parameter {parameter}.")


def _released() -> dict[str, Path]:
    try:
        folder = Path(get_package_share_directory("voxbox")) / "models"
    except PackageNotFoundError:  # run from its sources
        folder = Path(__file__).resolve().parents[2] / "models"
    alone = [path.parent for path in folder.glob("*/manifest.yaml")]
    in_parts = [path.parents[1] for path in folder.glob("*/*/manifest.yaml")]  # a model of several graphs
    return {path.name: path for path in sorted({*alone, *in_parts})}
