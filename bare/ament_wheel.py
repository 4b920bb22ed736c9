"""A PEP 517 backend that makes a wheel of an ament_cmake interface package, against the ros-* wheels.

Use it with `pip wheel --no-build-isolation` in an environment that holds those wheels, cmake and ninja. What CMake
installs goes where those wheels put theirs: Python to site-packages, the rest under `sys.prefix`.
"""

import base64
import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"
PLATFORM = sysconfig.get_platform().replace("-", "_").replace(".", "_")
TAG = f"{PYTHON}-{PYTHON}-{PLATFORM}"
SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages/"

# The ros-* wheels export include directories of the machine that built them, which CMake refuses when it generates.
# At the end of the top CMakeLists.txt, this drops from every imported target the folders that are not there.
KEEP_EXISTING_INCLUDES = """
function(keep_existing_includes)
  get_property(targets DIRECTORY "${CMAKE_SOURCE_DIR}" PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT folders)
      continue()
    endif()
    set(kept "")
    foreach(folder IN LISTS folders)
      if(folder MATCHES "^\\\\$<" OR EXISTS "${folder}")
        list(APPEND kept "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${kept}")
  endforeach()
endfunction()
cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL keep_existing_includes)
"""


class Wheel:
    """A wheel under construction: a zip archive and the RECORD of what went in."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self.record: list[str] = []

    def add(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add one file; the fixed date makes the same content the same bytes."""
        info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
        info.external_attr = (mode | 0o100000) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self.archive.writestr(info, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.record.append(f"{name},sha256={digest},{len(data)}")

    def close(self, dist_info: str) -> None:
        """Add the RECORD and finish the archive."""
        self.record.append(f"{dist_info}/RECORD,,")
        self.archive.writestr(f"{dist_info}/RECORD", "\n".join(self.record) + "\n")
        self.archive.close()


def build_wheel(
    wheel_directory: str, config_settings: dict | None = None, metadata_directory: str | None = None
) -> str:
    """PEP 517: build the package in the current folder, return the wheel's file name."""
    root = ET.parse("package.xml").getroot()
    name, version = root.findtext("name"), root.findtext("version")
    stem = f"{name}-{version}"
    with tempfile.TemporaryDirectory() as scratch:
        installed = cmake_install(Path(scratch))
        wheel = Wheel(Path(wheel_directory) / f"{stem}-{TAG}.whl")
        for path in sorted(p for p in installed.rglob("*") if p.is_file()):
            relative = path.relative_to(installed).as_posix()
            if relative.endswith(".pyc") or ".egg-info/" in relative:
                continue
            place = (
                relative.removeprefix(SITE_PACKAGES)
                if relative.startswith(SITE_PACKAGES)
                else f"{stem}.data/data/{relative}"
            )
            wheel.add(place, path.read_bytes(), 0o755 if path.suffix == ".so" else 0o644)
    info = f"{stem}.dist-info"
    wheel.add(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode())
    header = "Wheel-Version: 1.0\nGenerator: ament_wheel\nRoot-Is-Purelib: false\n"
    wheel.add(f"{info}/WHEEL", f"{header}Tag: {TAG}\n".encode())
    wheel.close(info)
    return f"{stem}-{TAG}.whl"


def cmake_install(scratch: Path) -> Path:
    """Configure, build and install the package of the current folder; returns the install folder."""
    build, install, fix = scratch / "build", scratch / "install", scratch / "fix.cmake"
    fix.write_text(KEEP_EXISTING_INCLUDES)
    environment = dict(os.environ, AMENT_PREFIX_PATH=sys.prefix, CMAKE_PREFIX_PATH=sys.prefix)
    configure = [
        *("cmake", "-S", ".", "-B", str(build), "-G", "Ninja"),
        f"-DCMAKE_INSTALL_PREFIX={install}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        f"-DCMAKE_PROJECT_INCLUDE={fix}",
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_TESTING=OFF",
    ]
    subprocess.check_call(configure, env=environment)
    subprocess.check_call(["cmake", "--build", str(build), "--target", "install"], env=environment)
    return install
