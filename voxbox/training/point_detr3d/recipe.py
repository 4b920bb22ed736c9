"""The recipe of Point-DETR3D: everything a researcher may change, with its default, its help and its check."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.losses import LossWeights
from point_detr3d_ros.teacher_losses import TeacherLossWeights
from voxbox.training.limits import settle
from voxbox.training.options import PRECISIONS, option
from voxbox.training.plans import read_parts
from voxbox_core.datasets.augment_cloud import CloudAugmentation
from voxbox_core.datasets.prompts import PromptSettings
from voxbox_core.files import write_json

STAGES = ("s0", "s1", "s2", "s3")
GIVEN = "given"
SPLITS = ("scene", "time", GIVEN)
COMPARED = ("none", "all", "points")


@dataclass(frozen=True)
class Recipe:
    """Raises InputError on a value that cannot be; the command line makes options from the fields."""

    data: tuple[str, ...] = option(
        (), "training folders: rig frames (`voxbox street rig`, `voxbox bag rig`), KITTI, nuScenes, Argoverse 2"
    )
    validation: tuple[str, ...] = option((), "validation folders, of the same formats")
    labelled: float = option(
        5.0, "percent of the frames whose boxes may be used; the others have points alone", above=0, most=100
    )
    split: str = option(
        "scene",
        "which frames have boxes: whole scenes at random (scene), the first in time, as published (time), or those "
        "that have them (given), whatever percentage this is",
        among=SPLITS,
    )
    split_seed: int = option(0, "seed of the split and of the points of frames without boxes", least=0)
    pretrain_steps: int = option(1500, "steps of stage s0: the student on boxes alone", above=0)
    teacher_steps: int = option(1500, "steps of stage s1: the teacher on boxes", above=0)
    student_steps: int = option(3000, "steps of stage s3: the student on boxes and pseudo boxes", above=0)
    batch: int = option(8, "clouds per step of the student", above=0)
    teacher_batch: int = option(4, "clouds per step of the teacher", above=0)
    learning_rate: float = option(3e-3, "peak learning rate of AdamW for the student", above=0)
    teacher_learning_rate: float = option(2e-3, "peak learning rate of AdamW for the teacher", above=0)
    warmup: float = option(0.1, "fraction of a stage with rising learning rate", least=0, below=1)
    weight_decay: float = option(0.01, "AdamW's weight decay, of weights of layers only", least=0)
    clip: float = option(35.0, "largest gradient norm", above=0)
    ema: float = option(
        0.995, "decay per step of the averaged weights, which are validated and released", least=0, below=1
    )
    precision: str = option(
        "bf16", "of the forward pass: bf16 or fp32; geometry and losses are float32", among=PRECISIONS
    )
    balance: bool = option(True, "draw frames so that all classes are seen alike often (CBGS)")
    paste: int = option(
        3, "paste objects of boxed frames until a cloud has so many of each class; 0 pastes none", least=0
    )
    compare: str = option(
        "points", "where two views of a cloud must look alike in s3: none, all (the map) or points", among=COMPARED
    )
    size_factor: float = option(1.0, "of the places about the points where views are compared (kappa)", above=0)
    rois: float = option(
        0.5, "part of the teacher's prompts that are boxes of a detector, to be refined, not clicks", least=0, most=1
    )
    wrong: float = option(
        0.1, "part of the teacher's prompts of another class, and as many more where nothing is", least=0, most=1
    )
    initial: str = option("", "weights.pt of a former student to begin s0 and s3 with; they begin anew when empty")
    pseudo_labels: str = option("", "pseudo labels of another run for s3, instead of this run's")
    validate_every: float = option(0.25, "fraction of a stage between validations", above=0, most=1)
    validation_frames: int = option(150, "most frames per validation, evenly spread", above=0)
    checkpoint_minutes: float = option(5.0, "minutes between checkpoints", above=0)
    workers: int = option(0, "processes that prepare clouds; 0 does it in the training process", least=0)
    threads: int = option(0, "CPU threads of the training process; 0 leaves PyTorch's choice", least=0)
    seed: int = option(0, "seed of weights, order and augmentation", least=0)

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class Plan:
    """All that decides a run. Saved as recipe.json with it.

    augmentation: of the student's (strong) view and of the teacher's clouds.  prompts: how clicks fall in training.
    """

    contract: Contract
    recipe: Recipe
    losses: LossWeights
    teacher_losses: TeacherLossWeights
    augmentation: CloudAugmentation
    prompts: PromptSettings

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Reads what `save` wrote. Raises InputError for anything else."""
        return cls(**read_parts(path, PARTS))


PARTS: dict[str, Any] = {
    "contract": Contract,
    "recipe": Recipe,
    "losses": LossWeights,
    "teacher_losses": TeacherLossWeights,
    "augmentation": CloudAugmentation,
    "prompts": PromptSettings,
}
"""What a plan is made of; the command line makes options from the fields of some."""

# A preset is what differs from the defaults, part by part.
Preset = dict[str, dict[str, Any]]
_BASE, _STRONG = asdict(CloudAugmentation.base()), asdict(CloudAugmentation.strong())
PRESETS: dict[str, Preset] = {
    # The released model: a LiDAR's whole surroundings, and clouds varied so that it carries over to other sensors.
    "street": {
        "losses": {"box": 0.5},
        "augmentation": _BASE
        | {"scale_min": 0.9, "scale_max": 1.1, "translation": 0.3, "lift": 0.1, "dropout": 0.3, "thinning": 0.3}
        | {"intensity": 0.5, "intensity_off": 0.2},
    },
    # A smaller surrounding, for experiments that need many runs.
    "compact": {
        "contract": {"x": (-32.0, 32.0), "y": (-32.0, 32.0), "max_pillars": 10000},
        "losses": {"box": 0.5},
        "augmentation": _BASE,
    },
    # Sizes, augmentation and weights as published, of the pillar variant.
    "paper": {
        "contract": {
            "z": (-3.2, 4.8),
            "cell": 0.2,
            "per_pillar": 20,
            "max_pillars": 40000,
            "pillar_channels": 64,
            "stage_channels": (64, 128, 256),
            "stage_layers": (3, 5, 5),
            "neck_channels": 128,
            "head_channels": 64,
            "dim": 256,
            "heads": 8,
            "free_points": 16,
            "roi_grid": 7,
            "ffn": 512,
        },
        "recipe": {"teacher_learning_rate": 2e-4, "learning_rate": 1e-3, "rois": 0.0, "wrong": 0.0},
        "losses": {"box": 0.25, "axis": 0.0},
        "teacher_losses": {"box": 0.25, "axis": 0.0},
        "augmentation": _STRONG,
        "prompts": {"surface": 0.0, "ground": 0.0},
    },
}
