"""What is written about the node is what the node has. `python test_point_detr3d_documentation.py` renews the table."""

from pathlib import Path

import yaml

from point_detr3d_ros.parameters import Parameters
from voxbox_core.ros.parameters import NodeParameters, table

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "nodes.md"
BEGIN, END = "<!-- generated: point_detr3d_ros.parameters.Parameters -->\n", "<!-- end -->"


def renewed(page: str) -> str:
    head, rest = page.split(BEGIN)
    return head + BEGIN + table(Parameters) + rest[rest.index(END) :]


def test_the_page_has_the_parameters_of_the_node() -> None:
    page = PAGE.read_text()
    assert page == renewed(page), f"run python {Path(__file__).relative_to(ROOT)}"


def test_the_configuration_file_makes_a_node() -> None:
    sections = yaml.safe_load((ROOT / "config/point_detr3d.yaml").read_text()).values()
    (given,) = (node["ros__parameters"] for node in sections)
    assert isinstance(Parameters(**given), NodeParameters)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
