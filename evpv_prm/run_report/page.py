"""Write the report of a run, one page with everything in it, and the gallery of its figures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from os.path import relpath
from pathlib import Path
from typing import Any

from docutils.core import publish_parts
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from evpv_prm.errors import InputError, UserError
from evpv_prm.metrics.rendering import Table, from_markdown
from evpv_prm.run_report.exhibits import EXHIBITS, OVERVIEW, SUFFIXES, Exhibit

_ASSETS = Path(__file__).parent / "assets"
_PIXELS_AN_INCH = 112  # letters of 8 points are 12 pixels high


@dataclass(frozen=True)
class Shown:
    """An exhibit as it is shown, with `sources`, its files by suffix.

    A figure has an `image`; tables have their texts, and the `note` that stands by them.
    """

    exhibit: Exhibit
    sources: Mapping[str, Path]
    tables: Sequence[Table] = ()
    note: str | None = None

    @property
    def image(self) -> Path:
        """The picture of a figure."""
        return self.sources["png"]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a figure on a screen, in CSS pixels, so that its text can be read.

        Raises:
            InputError: the file is no picture.
        """
        try:
            with Image.open(self.image) as picture:
                scale = _PIXELS_AN_INCH / float(picture.info.get("dpi", (_PIXELS_AN_INCH,))[0])
                return round(picture.width * scale), round(picture.height * scale)
        except OSError as error:
            raise InputError(self.image, expected=f"expected a picture: {error}") from error

    @property
    def anchor(self) -> str:
        """Its name within the page."""
        return f"{self.exhibit.kind}-{self.exhibit.name}"


def collect(files: Sequence[Path]) -> list[Shown]:
    """Read exhibits in their order, from the file of each that is shown: FOLDER/KIND/NAME.SUFFIX.

    Raises:
        UserError: a file is not that of an exhibit.
        InputError: one cannot be read.
    """
    by_name = {(path.parent.name, path.name): path for path in files}
    shown = []
    for exhibit in EXHIBITS:
        suffixes = SUFFIXES[exhibit.kind]
        path = by_name.pop((exhibit.kind, f"{exhibit.name}{suffixes[0]}"), None)
        if path is None:
            continue
        sources = {suffix[1:]: path.with_suffix(suffix) for suffix in suffixes}
        note, tables = from_markdown(_read(path).decode()) if "md" in sources else (None, [])
        shown.append(Shown(exhibit, sources, tables, note))
    if by_name:
        unknown = ", ".join(str(path) for path in by_name.values())
        raise UserError(f"{unknown}: expected tables/NAME.md or figures/NAME.png of a known name")
    return shown


def render_report(output: Path, exhibits: Sequence[Shown], facts: Mapping[str, Any]) -> str:
    """Return the page of the report, which stands at `output`, from what page.html asks for."""
    return _render("page.html", output, exhibits, embed_image, facts)


def render_gallery(output: Path, exhibits: Sequence[Shown]) -> str:
    """Return the page of all figures, which stands at `output`; it shows their files."""
    figures = [each for each in exhibits if each.exhibit.kind == "figures"]
    return _render("gallery.html", output, figures, lambda path: _link(output, path), {})


def embed_image(path: Path) -> str:
    """Return a PNG as an address that holds it.

    Raises:
        InputError: it cannot be read.
    """
    return f"data:image/png;base64,{base64.b64encode(_read(path)).decode()}"


def _render(
    template: str,
    output: Path,
    exhibits: Sequence[Shown],
    image: Callable[[Path], str],
    facts: Mapping[str, Any],
) -> str:
    environment = Environment(
        loader=FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["image"] = image
    environment.filters["link"] = lambda path: _link(output, path)
    environment.filters["rst"] = _prose
    style = Markup((_ASSETS / "style.css").read_text())
    sections = [
        (name, list(group)) for name, group in groupby(exhibits, lambda each: each.exhibit.section)
    ]
    values = {"exhibits": exhibits, "sections": sections, "style": style, "overview": OVERVIEW}
    return environment.get_template(template).render(values | dict(facts))


def _link(output: Path, path: Path) -> str:
    return Path(relpath(path, output.parent)).as_posix()


@cache
def _prose(path: Path) -> Markup:
    """Return a text of ours in reStructuredText as HTML."""
    settings = {"raw_enabled": False, "file_insertion_enabled": False, "report_level": 5}
    parts = publish_parts(path.read_text(), writer="html5", settings_overrides=settings)
    return Markup(parts["body"])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
