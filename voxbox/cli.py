"""The `voxbox` command: one verb per folder of this package.

A verb's `command` module has `configure(parser)`, which declares its arguments, and `run(args)`, which does the
work and returns what `--json FILE` records. A verb is imported only when it is asked for.
"""

import argparse
import importlib
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from voxbox_core.errors import InputError
from voxbox_core.files import require_writable, write_json

VERBS = {
    "demo": "replay a drive into the real node and leave pictures and numbers",
    "street": "render the synthetic street world",
    "train": "train a system",
    "evaluate": "score a model, or detections in files",
    "export": "turn trained weights into a released model",
    "benchmark": "measure speed, by stage and by backend",
    "bag": "look into, make and play ROS 2 bags",
    "voxels": "make semantic voxels of real data, and look at them",
}
MODULES = {
    "demo": "voxbox.demo.command",
    "street": "voxbox.street.command",
    "train": "voxbox.training.command",
    "evaluate": "voxbox.evaluation.command",
    "export": "voxbox.export.command",
    "benchmark": "voxbox.benchmark.command",
    "bag": "voxbox.bag.command",
    "voxels": "voxbox.voxels.command",
}
INPUT_ERROR, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit status: 0, 2 for bad input (one line on stderr), 130 when interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    verb = next((a for a in argv if not a.startswith("-")), None)
    parser = argparse.ArgumentParser(prog="voxbox", description="One camera and one LiDAR to 3D boxes and voxels.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, summary in VERBS.items():
        sub = verbs.add_parser(name, help=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        if name == verb:
            module = importlib.import_module(MODULES[name])
            sub.description = module.__doc__
            sub.formatter_class = argparse.RawDescriptionHelpFormatter
            module.configure(sub)
            _add_json(sub)
    args = parser.parse_args(argv)
    try:
        if args.json:
            require_writable(args.json)
        with _stoppable():
            result = module.run(args)
        if args.json:
            write_json(args.json, result)
    except InputError as error:
        print(f"voxbox {verb}: {error}", file=sys.stderr)
        return INPUT_ERROR
    except KeyboardInterrupt:
        print(f"voxbox {verb}: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends a verb as ctrl-c does, so that the nodes which it has started end with it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _add_json(parser: argparse.ArgumentParser) -> None:
    """Give every verb, or every sub-verb of it, `--json FILE`."""
    subs = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for leaf in subs[0].choices.values() if subs else [parser]:
        leaf.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")


if __name__ == "__main__":
    sys.exit(main())
