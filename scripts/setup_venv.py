"""Make `.venv`: voxbox, its pinned dependencies, and ROS 2 (the sourced one, or Jazzy's wheels where none is sourced).

Run by `make setup` with the system's Python; uses the standard library alone. A stamp remembers what the environment
was made from, so that a second run ends at once.
"""

import ctypes
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "voxbox.stamp"
BARE = ROOT / "bare"
REQUIREMENTS = ROOT / "requirements"
MADE_FROM = ("requirements/*.txt", "bare/*.py", "scripts/setup_venv.py", "setup.py", "setup.cfg")
OLDEST_PYTHON = (3, 10)
SHARED = ("package.xml", "config", "models")
EXECUTABLES = ("bringup", "km3d", "point_detr3d", "ssz", "build_engine")
FROM_ROS = ("rclpy", "launch_ros", "tf2_ros", "vision_msgs.msg", "diagnostic_msgs.msg", "visualization_msgs.msg")

SOURCED, WHEELS, ABSENT = "sourced", "wheels", "absent"


def main() -> None:
    """Make or update the environment, unless it is already what it should be."""
    if sys.version_info < OLDEST_PYTHON:
        raise SystemExit(f"Python is {platform.python_version()}; expected 3.10 or newer; set PYTHON=python3.x")
    ros = which_ros()
    wanted = fingerprint(ros)
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    STAMP.unlink(missing_ok=True)
    install_system_packages(ros)
    make_venv(ros)
    install_python_packages(ros)
    join_ament_index(ros)
    check(ros)
    STAMP.write_text(wanted)
    print(f"{VENV} is ready: . .venv/bin/activate, then voxbox --help", flush=True)


def which_ros() -> str:
    """Where ROS 2 comes from on this machine."""
    if os.environ.get("ROS_DISTRO") and importlib.util.find_spec("rclpy"):
        return SOURCED
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return WHEELS
    say(f"ROS 2 on PyPI is for x86_64 Linux, not {platform.machine()}: source ROS 2 Jazzy for nodes and demo")
    return ABSENT


def fingerprint(ros: str) -> str:
    """What decides the environment's content, as one line."""
    digest = hashlib.sha256()
    for path in sorted(p for pattern in MADE_FROM for p in ROOT.glob(pattern)):
        digest.update(path.read_bytes())
    digest.update(repr(sorted(p.name for p in ROOT.glob("launch/*"))).encode())
    origin = os.environ.get("AMENT_PREFIX_PATH", "") if ros == SOURCED else ""
    return f"{digest.hexdigest()} {ROOT} {sys.version.split()[0]} {ros} {origin}\n"


# -- system packages -------------------------------------------------------------------------------------------------


def install_system_packages(ros: str) -> None:
    """Get what only the distribution has. The renderer's EGL may stay missing: neither demo nor nodes render."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    required = []
    if not importlib.util.find_spec("ensurepip"):
        required.append(f"python{version}-venv")
    if ros == WHEELS and not (shutil.which("c++") or shutil.which("g++")):
        required.append("g++")
    if ros == WHEELS and not Path(sysconfig.get_path("include"), "Python.h").is_file():
        required.append(f"python{version}-dev")
    if required and not apt_install(required):
        raise SystemExit(f"system packages are missing: {' '.join(required)}; install them, then make setup again")
    rendering = ["libegl1", "libgl1", "libgl1-mesa-dri"]
    if not (loads("libEGL.so.1") and loads("libGL.so.1")) and not apt_install(rendering):
        say(f"voxbox street render will need system packages: {' '.join(rendering)}")


def apt_install(packages: list[str]) -> bool:
    """Install with apt where this user may; whether it worked."""
    if not shutil.which("apt-get"):
        return False
    if os.geteuid() == 0:
        prefix = ["env"]
    elif shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        prefix = ["sudo", "-n", "env"]
    else:
        return False
    say(f"installing system packages: {' '.join(packages)}")
    apt = [*prefix, "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    subprocess.run([*apt, "update"], stdout=subprocess.DEVNULL)
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    return subprocess.run(install, stdout=subprocess.DEVNULL).returncode == 0


def loads(library: str) -> bool:
    """Whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


# -- the environment -------------------------------------------------------------------------------------------------


def make_venv(ros: str) -> None:
    """Create the environment, or keep the one that is there when it has the same Python and the same ROS."""
    config = VENV / "pyvenv.cfg"
    if config.is_file():
        lines = dict(line.split(" = ", 1) for line in config.read_text().splitlines() if " = " in line)
        same_python = lines.get("version") == platform.python_version()
        if same_python and (lines.get("include-system-site-packages") == "true") == (ros == SOURCED):
            return
        say("the environment was made for another Python or ROS: making it anew")
        shutil.rmtree(VENV)
    say("creating .venv")
    flags = ["--system-site-packages"] if ros == SOURCED else []
    run([sys.executable, "-m", "venv", *flags, str(VENV)])


def install_python_packages(ros: str) -> None:
    """Install the requirements, the generated messages, and voxbox itself as an editable package."""
    lists = ["run", "dev", "build"] + (["ros"] if ros == WHEELS else [])
    say("installing Python packages (the first time takes minutes)")
    wanted = [option for name in lists for option in ("-r", str(REQUIREMENTS / f"{name}.txt"))]
    pip("install", *wanted, "-c", str(constraints(ros)))
    if ros == WHEELS:
        pip("install", "--no-deps", "--force-reinstall", *map(str, message_wheels()))
    pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def constraints(ros: str) -> Path:
    """The pins in force: those of constraints.txt, and those of sourced.txt instead where ROS 2 is sourced."""
    general = REQUIREMENTS / "constraints.txt"
    if ros != SOURCED:
        return general
    own = (REQUIREMENTS / "sourced.txt").read_text().splitlines()
    names = {line.split("==")[0] for line in own}
    kept = [line for line in general.read_text().splitlines() if line.split("==")[0] not in names]
    merged = VENV / "constraints.txt"
    merged.write_text("\n".join([*kept, *own, ""]))
    return merged


def message_wheels() -> list[Path]:
    """Wheels of vision_msgs and tf2_msgs, generated here once and kept in the user's cache."""
    sources = [BARE / "interfaces.py", BARE / "ament_wheel.py", REQUIREMENTS / "constraints.txt"]
    key = hashlib.sha256(b"".join(p.read_bytes() for p in sources) + sys.version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voxbox" / "messages" / key
    if not cache.is_dir():
        say("generating vision_msgs and tf2_msgs")
        with tempfile.TemporaryDirectory() as scratch:
            packages, wheels = Path(scratch, "packages"), Path(scratch, "wheels")
            run([str(VENV / "bin" / "python"), str(BARE / "interfaces.py"), str(packages)])
            for package in sorted(packages.iterdir()):
                pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(package))
            cache.parent.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(dir=cache.parent))
            shutil.copytree(wheels, staged, dirs_exist_ok=True)
            staged.rename(cache)
    return sorted(cache.glob("*.whl"))


def join_ament_index(ros: str) -> None:
    """Make the environment an ament prefix, as an install folder of colcon is, with links into the tree."""
    share = VENV / "share/voxbox"
    shutil.rmtree(share, ignore_errors=True)
    link(VENV / "share/ament_index/resource_index/packages/voxbox", ROOT / "resource/voxbox")
    launch_files = ROOT.glob(
        "launch/*.launch.py"
    )  # one by one: ros2 launch looks for files, not through linked folders
    for path in [*(ROOT / name for name in SHARED), *launch_files]:
        link(share / path.relative_to(ROOT), path)
    for name in EXECUTABLES:
        link(VENV / "lib/voxbox" / name, VENV / "bin" / name)
    packages = site_packages()
    shutil.copy(BARE / "venv_start.py", packages / "_voxbox_start.py")
    stand_ins = [f"{BARE / 'stand_ins'}\n"] if ros == WHEELS else []
    if ros == WHEELS:
        write_script("ros2", "ros2cli.cli")
    # Sorted before ros_wheels_bootstrapper.pth, whose work it prepares; real packages come earlier on the path.
    (packages / "_voxbox.pth").write_text("".join([*stand_ins, "import _voxbox_start\n"]))


def write_script(name: str, module: str) -> None:
    """A command of the environment that runs a module's `main`, as pip writes them."""
    script = VENV / "bin" / name
    script.write_text(f"#!{VENV / 'bin' / 'python'}\nimport sys\n\nfrom {module} import main\n\nsys.exit(main())\n")
    script.chmod(0o755)


def site_packages() -> Path:
    """The environment's folder of Python packages."""
    return VENV / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def link(place: Path, target: Path) -> None:
    """Make `place` a relative link to `target`, whatever it was before."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(os.path.relpath(target, place.parent))


def check(ros: str) -> None:
    """Import what a node imports. Raises SystemExit naming what a sourced ROS 2 lacks."""
    if ros == ABSENT:
        return
    modules = "; ".join(f"import {name}" for name in FROM_ROS)
    probe = subprocess.run([str(VENV / "bin" / "python"), "-c", modules], cwd=VENV, capture_output=True, text=True)
    if probe.returncode:
        reason = probe.stderr.strip().splitlines()[-1]
        remedy = "rosdep install --from-paths . --ignore-src" if ros == SOURCED else "rm -r .venv"
        raise SystemExit(f"ROS 2 is incomplete: {reason}; try: {remedy}, then make setup again")


# -- processes -------------------------------------------------------------------------------------------------------


def pip(*arguments: str) -> None:
    """Run the environment's pip, which finds the environment's own cmake and ninja when it builds."""
    path = os.pathsep.join([str(VENV / "bin"), os.environ["PATH"]])
    flags = ["--disable-pip-version-check", "--quiet"]
    run([str(VENV / "bin" / "python"), "-m", "pip", *arguments, *flags], dict(os.environ, PATH=path))


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command from a folder that shadows no package. Raises SystemExit where it fails: it has said why."""
    if subprocess.run(command, env=environment, cwd=ROOT.anchor).returncode:
        raise SystemExit(f"failed: {' '.join(command)}")


def say(line: str) -> None:
    """One line on the terminal."""
    print(f"setup: {line}", flush=True)


if __name__ == "__main__":
    main()
