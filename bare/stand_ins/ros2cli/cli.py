"""The `ros2` command."""

import argparse
import os
import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

ASSIGN = ":="
DESCRIPTION = "ROS 2's `launch` and `run`; every other verb needs an installed ROS 2."


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status; argparse ends the process on a verb or an option that is not here."""
    parser = argparse.ArgumentParser(prog="ros2", description=DESCRIPTION)
    verbs = parser.add_subparsers(dest="verb", required=True)
    launch = verbs.add_parser("launch", help="run a launch file")
    launch.add_argument("-s", "--show-args", action="store_true", help="show the launch file's arguments")
    launch.add_argument("package_name", help="a package, or the path of a launch file")
    launch.add_argument("rest", nargs="*", metavar="file or name:=value")
    run = verbs.add_parser("run", help="run an executable of a package")
    run.add_argument("package_name")
    run.add_argument("executable_name")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    try:
        if args.verb == "run":
            return run_executable(args.package_name, args.executable_name, args.arguments)
        return run_launch_file(*launch_file(args.package_name, args.rest), show=args.show_args)
    except (PackageNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def launch_file(package: str, rest: list[str]) -> tuple[Path, dict[str, str]]:
    """The path and the arguments of a launch file. Raises ValueError as ros2 launch complains."""
    path = Path(package)
    if not path.is_file():
        if not rest or ASSIGN in rest[0]:
            raise ValueError("a launch file name is required as the second argument")
        found = sorted(Path(get_package_share_directory(package)).rglob(rest[0]))
        if not found:
            raise ValueError(f"file '{rest[0]}' was not found in the share directory of package '{package}'")
        path, rest = found[0], rest[1:]
    for pair in rest:
        if ASSIGN not in pair:
            raise ValueError(f"malformed launch argument '{pair}', expected format '<name>:=<value>'")
    return path, dict(pair.split(ASSIGN, 1) for pair in rest)


def run_launch_file(path: Path, arguments: dict[str, str], *, show: bool) -> int:
    """Run it to its end; or show its arguments."""
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(path)), launch_arguments=list(arguments.items())
    )
    if show:
        context = LaunchContext()
        for action in include.description(context).entities:
            if hasattr(action, "default_value"):
                default = context.perform_substitution(action.default_value or "")
                print(f"    '{action.name}':\n        {action.description}\n        (default: '{default}')\n")
        return 0
    service = LaunchService(argv=[f"{k}{ASSIGN}{v}" for k, v in arguments.items()])
    service.include_launch_description(LaunchDescription([include]))
    return service.run()


def run_executable(package: str, executable: str, arguments: list[str]) -> int:
    """Become the executable."""
    path = Path(get_package_prefix(package), "lib", package, executable)
    if not os.access(path, os.X_OK):
        print("No executable found", file=sys.stderr)
        return 1
    return os.execv(path, [str(path), *arguments])
