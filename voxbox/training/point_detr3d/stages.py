"""The four stages: s0 a student on boxes, s1 the teacher, s2 its boxes for frames with points, s3 the student.

Each stage keeps its result in a folder of the run; a run that was interrupted goes on in the stage, at the step, where
it was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from point_detr3d_ros import teacher_losses
from point_detr3d_ros.consistency import consistency_loss, feature_spread
from point_detr3d_ros.images import Cameras, draw_cameras
from point_detr3d_ros.losses import detection_terms, total
from point_detr3d_ros.pseudo_labels import PseudoLabel, read_pseudo_labels, write_pseudo_labels
from point_detr3d_ros.student import Maps, Student
from point_detr3d_ros.teacher import Teacher
from point_detr3d_ros.teacher_losses import TeacherTargets
from voxbox.training.loop import Terms
from voxbox.training.plans import RECIPE
from voxbox.training.point_detr3d.clouds import Clouds, Order, stream, student_item, teacher_item
from voxbox.training.point_detr3d.frames import RigFrames, split, with_boxes
from voxbox.training.point_detr3d.loop import Stage, optimise
from voxbox.training.point_detr3d.recipe import GIVEN, STAGES, Plan
from voxbox.training.point_detr3d.validation import assist_of, student_validation, teacher_validation
from voxbox.training.processes import Processes
from voxbox_core import weights
from voxbox_core.datasets.label_split import LabelSplit
from voxbox_core.datasets.paste import ObjectBank
from voxbox_core.datasets.prompts import simulate
from voxbox_core.datasets.rig import Prompts, RigSample
from voxbox_core.errors import InputError
from voxbox_core.files import write_json

SPLIT, BANK, PSEUDO_LABELS = "split.json", "objects.npz", "s2/pseudo_labels.npz"
STUDENT_SHOWN = ("mAP", "SPNDS", "mATE", "mASE", "mAOE")
TEACHER_SHOWN = ("IoU", "centre", "yaw", "click IoU", "click centre")


def train(plan: Plan, out: Path, stages: Sequence[str] = STAGES, progress_bar: bool = True) -> dict[str, Any]:
    """Run stages of the plan in the folder `out`, each that is not done there yet. Returns what happened, JSON-able.

    Ends early on SIGTERM or SIGINT; the same call goes on. Raises InputError for unusable data or files, for a stage
    whose predecessor is missing, and when loss or gradient is not finite.
    """
    if plan.recipe.threads:
        torch.set_num_threads(plan.recipe.threads)
    run = _Run.of(plan, out, progress_bar)
    done: list[str] = []
    for name in stages:
        if not _STAGES[name](run):
            break
        done.append(name)
    run.processes.leave()
    finished = len(done) == len(stages)
    counts = {"frames_with_boxes": len(run.split.full), "frames_with_points_alone": len(run.split.weak)}
    return {"finished": finished, "stages": done, **counts, "out": str(out)}


@dataclass(frozen=True)
class _Run:
    """What the stages share."""

    plan: Plan
    out: Path
    frames: RigFrames
    split: LabelSplit
    bank: ObjectBank | None
    processes: Processes
    progress_bar: bool

    @classmethod
    def of(cls, plan: Plan, out: Path, progress_bar: bool) -> "_Run":
        processes, recipe = Processes.join(), plan.recipe
        frames = RigFrames(recipe.data, plan.contract.classes, plan.contract.sweeps)
        chosen = split(frames, recipe.labelled, recipe.split_seed, recipe.split)
        if processes.leads:
            _tell(frames, chosen)
            plan.save(out / RECIPE)
            write_json(out / SPLIT, {"frames_with_boxes": [frames.names[i] for i in chosen.full]})
            if recipe.paste and not (out / BANK).is_file():
                samples = (frames.boxed(int(i), views=False) for i in chosen.full)
                shown = tqdm(samples, "cutting out objects", len(chosen.full), unit="frame", disable=not progress_bar)
                ObjectBank.build(shown, plan.contract.classes).save(out / BANK)
        processes.wait()
        bank = ObjectBank.load(out / BANK) if recipe.paste else None
        return cls(plan, out, frames, chosen, bank, processes, progress_bar and processes.leads)

    def boxed(self, i: int, views: bool) -> RigSample:
        """Frame i of D_F, by its number among these."""
        return self.frames.boxed(int(self.split.full[i]), views)

    def taught(self, pseudo: Mapping[str, PseudoLabel], i: int) -> RigSample:
        """Frame i of D_F and D_W, one after the other: with its own boxes, or the teacher's."""
        place = int(np.concatenate([self.split.full, self.split.weak])[i])
        if (name := self.frames.names[place]) in pseudo:
            return pseudo[name].merged(self.frames.read(place, views=False))
        sample = self.frames.boxed(place, views=False)
        return replace(sample, prompts=self.prompts(sample))

    def labels(self) -> list[np.ndarray]:
        """Classes of the objects of each frame of D_F."""
        return [with_boxes(self.frames.header(int(i))).label for i in self.split.full]

    def prompts(self, sample: RigSample) -> Prompts:
        """What somebody has clicked in a frame of D_W: its own prompts, else points simulated for ever alike, on each
        object that a return has hit."""
        if sample.prompts is not None:
            return sample.prompts
        recipe, heights = self.plan.recipe, [size[2] for size in self.plan.contract.mean_sizes]
        return simulate(sample, self.plan.prompts, heights, recipe.split_seed)[sample.hits > 0]


def _tell(frames: RigFrames, chosen: LabelSplit) -> None:
    neither = len(frames) - len(chosen.full) - len(chosen.weak)
    left_out = f"; {neither} with neither are left out" if neither else ""
    print(f"{len(chosen.full)} frames with boxes, {len(chosen.weak)} with points alone{left_out}")


# -- the student -------------------------------------------------------------------------------------------------------


def _s0(run: _Run) -> bool:
    """A student on the boxes of D_F alone."""
    plan = replace(run.plan, recipe=replace(run.plan.recipe, compare="none"))
    clouds = Clouds(
        partial(run.boxed, views=False),
        Order(run.labels(), plan.recipe.balance, plan.recipe.seed),
        plan,
        run.bank,
        student_item(plan),
    )
    return _student(run, plan, "s0", clouds, plan.recipe.pretrain_steps)


def _s3(run: _Run) -> bool:
    """The student on the boxes of D_F and the teacher's of D_W; compared views where the recipe says so."""
    recipe = run.plan.recipe
    source = Path(recipe.pseudo_labels) if recipe.pseudo_labels else run.out / PSEUDO_LABELS
    weak = [run.frames.names[i] for i in run.split.weak]
    pseudo = read_pseudo_labels(source, weak, run.plan.contract.classes, _origin(run)) if weak else {}
    labels = run.labels() + [pseudo[name].boxes.label for name in weak]
    order = Order(labels, recipe.balance, recipe.seed)
    clouds = Clouds(partial(run.taught, pseudo), order, run.plan, run.bank, student_item(run.plan))
    return _student(run, run.plan, "s3", clouds, recipe.student_steps)


def _student(run: _Run, plan: Plan, name: str, clouds: Clouds, steps: int) -> bool:
    recipe = plan.recipe
    torch.manual_seed(recipe.seed)
    student = Student(plan.contract).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.initial:
        weights.load_known(student, weights.load(recipe.initial))
    losses = _StudentLosses(plan, student)
    stage = Stage(
        folder=run.out / name,
        network=student,
        contract=plan.contract.to_json(),
        steps=steps,
        learning_rate=recipe.learning_rate,
        batches=stream(clouds, recipe.batch, plan, run.processes, joined=False),
        losses=losses,
        validate=student_validation(recipe.validation, recipe.validation_frames, plan.contract)
        if recipe.validation
        else None,
        shown=STUDENT_SHOWN,
        watched=losses.watched,
    )
    return stage.done or optimise(stage, recipe, run.processes, run.progress_bar)


class _StudentLosses:
    """The student's loss terms, and their weighted sum."""

    def __init__(self, plan: Plan, student: Student) -> None:
        self._plan, self._student = plan, student
        self._compared: Tensor | None = None

    def __call__(self, network: nn.Module, batch: Any) -> tuple[Terms, Tensor]:
        plan = self._plan
        maps: Maps = network(batch["features"], batch["cell"], batch["batch"])
        terms = detection_terms(maps, batch, plan.contract)
        if plan.recipe.compare != "none":
            with torch.no_grad():  # what gets no gradient needs no word with the other processes either
                weak = self._student.features(batch["weak_features"], batch["weak_cell"], batch["batch"])
            mask, objects = batch.get("mask"), batch.get("objects")
            terms["consistency"] = consistency_loss(maps.features, weak, batch["matrix"], plan.contract, mask, objects)
            self._compared = weak
        return terms, total(terms, plan.losses)

    def watched(self) -> Mapping[str, float]:
        """Whether the features that were compared last have collapsed."""
        return {} if self._compared is None else {"feature_spread": feature_spread(self._compared).item()}


# -- the teacher -------------------------------------------------------------------------------------------------------


def _s1(run: _Run) -> bool:
    """The teacher on the boxes of D_F and points drawn anew each time, with the LiDAR encoder of s0 to begin with."""
    plan, recipe, contract = run.plan, run.plan.recipe, run.plan.contract
    former = run.out / "s0" / "weights.pt"
    if not former.is_file():
        raise InputError("stage s0", f"not done in {run.out}", "its weights, for s1 to begin with", "Run it first.")
    if contract.cameras and not any(run.boxed(i, views=True).views for i in range(len(run.split.full))):
        remedy = "Train with --no-cameras, or give frames with images."
        raise InputError("images of the frames with boxes", "none", "some, for a teacher with cameras", remedy)
    torch.manual_seed(recipe.seed)
    teacher = _Prompted(contract)
    stored = weights.load(former).state
    encoder = {name.removeprefix("lidar."): t for name, t in stored.items() if name.startswith("lidar.")}
    teacher.lidar.load_state_dict(encoder)
    # A pasted object is not in the images, so that a teacher with cameras would look at what is not there.
    clouds = Clouds(
        partial(run.boxed, views=contract.cameras),
        Order(run.labels(), recipe.balance, recipe.seed),
        plan,
        None if contract.cameras else run.bank,
        teacher_item(plan),
    )
    stage = Stage(
        folder=run.out / "s1",
        network=teacher,
        contract=contract.to_json(),
        steps=recipe.teacher_steps,
        learning_rate=recipe.teacher_learning_rate,
        batches=stream(clouds, recipe.teacher_batch, plan, run.processes, joined=True),
        losses=_teacher_losses(plan),
        validate=teacher_validation(recipe.validation, recipe.validation_frames, contract, plan.prompts)
        if recipe.validation
        else None,
        shown=TEACHER_SHOWN,
    )
    return stage.done or optimise(stage, recipe, run.processes, run.progress_bar)


class _Prompted(Teacher):
    """The teacher with its whole way as one forward pass, as several processes need it."""

    def forward(self, batch: Any) -> Any:
        ground = self.encode_lidar(batch["features"], batch["cell"], batch["batch"])
        cameras = self._cameras(batch) if self.images else None
        return self.decode(ground, batch["points"], batch["label"], batch["frame"], cameras, batch["roi"])

    def _cameras(self, batch: Any) -> Cameras:
        """What is left of the cameras: whole ones drop out, so that any number of them will do later."""
        kept, matrices, first = [], [], 0
        for own in batch["image_from_lidar"]:
            chosen = draw_cameras(len(own))
            kept.append(first + chosen)
            matrices.append(own[chosen])
            first += len(own)
        maps = self.encode_images(batch["images"][torch.cat(kept)])
        return Cameras.of_frames(maps, matrices)


def _teacher_losses(plan: Plan) -> Callable[[nn.Module, Any], tuple[Terms, Tensor]]:
    def losses(network: nn.Module, batch: Any) -> tuple[Terms, Tensor]:
        decoded = network(batch)
        targets = TeacherTargets(batch["object"], batch["center"], batch["size"], batch["yaw"])
        terms = teacher_losses.loss_terms(decoded, targets)
        return terms, teacher_losses.total(terms, plan.teacher_losses)

    return losses


# -- pseudo labels -----------------------------------------------------------------------------------------------------


def _s2(run: _Run) -> bool:
    """The teacher's boxes for every point of D_W: all of them, for none is too doubtful."""
    place, contract = run.out / PSEUDO_LABELS, run.plan.contract
    if place.is_file() or not run.processes.leads:
        run.processes.wait()
        return True
    stored = run.out / "s1" / "weights.pt"
    if not stored.is_file():
        raise InputError("stage s1", f"not done in {run.out}", "the teacher's weights, for s2", "Run it first.")
    teacher = Teacher(contract)
    weights.load_into(teacher, weights.load(stored))
    assist = assist_of(teacher)
    found = {}
    for i in tqdm(run.split.weak, "pseudo labels", unit="frame", disable=not run.progress_bar):
        sample = run.frames.read(int(i), views=contract.cameras)
        clicks = run.prompts(sample)
        inside = contract.grid.contains(clicks.points + np.array([0.0, 0.0, sample.height]))
        clicks = clicks[inside]
        boxes = assist.decode(assist.encode(sample.points, sample.height, sample.views), clicks)
        found[sample.name] = PseudoLabel.of(replace(sample, prompts=clicks), boxes)
    write_pseudo_labels(place, found, contract.classes, _origin(run))
    run.processes.wait()
    return True


def _origin(run: _Run) -> str:
    """What pseudo labels must have been made of, to be learned from beside this run's boxes."""
    recipe, frames = run.plan.recipe, len(run.frames)
    if recipe.split == GIVEN:
        return f"{len(run.split.full)} of {frames} frames, {GIVEN}, seed {recipe.split_seed}"
    return f"{recipe.labelled:g}% of {frames} frames by {recipe.split}, seed {recipe.split_seed}"


_STAGES: dict[str, Callable[[_Run], bool]] = {"s0": _s0, "s1": _s1, "s2": _s2, "s3": _s3}
