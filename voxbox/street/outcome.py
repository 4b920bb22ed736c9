"""What a rendering came to, in a line and as JSON."""

import argparse
import time

from voxbox.street.plan import Plan


def outcome(args: argparse.Namespace, plan: Plan, rendered: int, began: float) -> dict:
    """Prints and returns it.  rendered: frames that were not there before.  began: `time.perf_counter` at its start."""
    seconds = time.perf_counter() - began
    speed = rendered / seconds
    print(f"{args.out}: {rendered} of {plan.frames} frames rendered now, {speed:.2f} frames/s, {args.jobs} processes")
    return {
        "out": str(args.out),
        "frames": plan.frames,
        "rendered": rendered,
        "seconds": seconds,
        "frames_per_second": speed,
        "jobs": args.jobs,
        "plan": plan.identity(),
    }
