"""report.html: one file that holds its own pictures, film and tables, and opens anywhere."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from voxbox_core.files import whole_file

_TEMPLATE = Path(__file__).with_name("page.html")
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".mp4": "video/mp4", ".svg": "image/svg+xml"}
_LARGEST_FILM = 24_000_000  # bytes: browsers take larger pages badly, so a larger film is linked


@dataclass(frozen=True)
class Table:
    """header: names of columns.  rows: cells as text or numbers, the first of each row its name.  note: below it."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture or film in a file, and what it shows."""

    file: Path
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading, and below it paragraphs, then pictures, then tables."""

    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Page:
    """title: of the page.  facts: name -> value, the line of figures at its top."""

    title: str
    subtitle: str
    facts: Mapping[str, str] = field(default_factory=dict)
    sections: Sequence[Section] = ()


def write_page(path: Path, page: Page) -> None:
    """Write the page with everything it shows inside, whole or not at all."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["embedded"] = _embedded
    environment.filters["cell"] = _cell
    environment.tests["film"] = lambda picture: picture.file.suffix == ".mp4"
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(page=page)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _embedded(file: Path) -> str:
    """The file as a data URL; a very large one as a link beside the page."""
    if file.stat().st_size > _LARGEST_FILM:
        return file.name
    return f"data:{_TYPES[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
