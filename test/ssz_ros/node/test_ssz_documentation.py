"""What is written about the node is what the node has. `python test_ssz_documentation.py` renews the tables."""

from pathlib import Path

import yaml

from ssz_ros.parameters import Parameters
from voxbox_core.ros.parameters import NodeParameters, table
from voxbox_core.voxels import CLASSES, COLOURS

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "nodes.md"
END = "<!-- end -->"


def colours() -> str:
    """Labels and colours as a Markdown table."""
    rows = [f"| {label} | {name} | {', '.join(map(str, COLOURS[name]))} |" for label, name in enumerate(CLASSES)]
    return "\n".join(["| label | class | RGB |", "|---|---|---|", *rows]) + "\n"


def renewed(page: str) -> str:
    tables = {"ssz_ros.parameters.Parameters": table(Parameters), "voxbox_core.voxels.COLOURS": colours()}
    for name, text in tables.items():
        begin = f"<!-- generated: {name} -->\n"
        head, rest = page.split(begin)
        page = head + begin + text + rest[rest.index(END) :]
    return page


def test_the_page_has_the_parameters_of_the_node_and_the_colours_of_the_classes() -> None:
    page = PAGE.read_text()
    assert page == renewed(page), f"run python {Path(__file__).relative_to(ROOT)}"


def test_the_configuration_file_makes_a_node() -> None:
    (given,) = (node["ros__parameters"] for node in yaml.safe_load((ROOT / "config/ssz.yaml").read_text()).values())
    assert isinstance(Parameters(**given), NodeParameters)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
