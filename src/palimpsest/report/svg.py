"""Matplotlib figures as inline SVG, for pages with a strict content security policy and two color schemes."""

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

from palimpsest.report.drawing import drawing_settings, lay_out

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLORS = {
    "ink": "#101010",
    "faint": "#707070",
    "rule": "#c0c0c0",
    "rubric": "#a00000",
    "blue": "#0000a0",
}
"""Placeholder colors to draw with. The style sheet of the page maps each name to a light and a dark color."""

_NAMES = {code: name for name, code in COLORS.items()}
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
# The style sheet sets these properties. All others that Matplotlib writes also exist as attributes.
_PAGE_PROPERTIES = {"font", "font-family", "stroke-linejoin"}


def inline_svg(figure: "Figure", *, name: str, description: str) -> Markup:
    """Draw a figure as SVG for embedding into a page.

    Style attributes, which the page's policy forbids, become plain attributes. The colors of `COLORS` become classes
    (`fill-ink`, `stroke-rubric`).

    Args:
        figure: A figure drawn with the colors of `COLORS`.
        name: A name that is unique on the page. It prefixes the identifiers in the figure.
        description: A description for screen readers.
    """
    buffer = io.StringIO()
    with drawing_settings({"svg.fonttype": "none", "svg.hashsalt": name}):
        lay_out(figure)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    root = ElementTree.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}style", f"{_SVG}metadata"):
                parent.remove(child)
    referenced = set(re.findall(r"#([\w-]+)", " ".join(_references(root))))
    for element in root.iter():
        _restyle(element)
        _rename(element, name, referenced)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"role": "img", "aria-label": description}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _references(root: ElementTree.Element) -> list[str]:
    return [element.get(key, "") for element in root.iter() for key in (_XLINK, "clip-path")]


def _restyle(element: ElementTree.Element) -> None:
    classes = []
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if not key or key in _PAGE_PROPERTIES:
            continue
        if key in ("fill", "stroke") and value in _NAMES:
            classes.append(f"{key}-{_NAMES[value]}")
        else:
            element.set(key, value)
    if classes:
        element.set("class", " ".join(classes))


def _rename(element: ElementTree.Element, name: str, referenced: set[str]) -> None:
    identifier = element.attrib.pop("id", None)
    if identifier in referenced:
        element.set("id", f"{name}-{identifier}")
    target = element.attrib.pop(_XLINK, None)
    if target:
        element.set("href", f"#{name}-{target.removeprefix('#')}")
    clip = element.get("clip-path")
    if clip:
        element.set("clip-path", clip.replace("url(#", f"url(#{name}-"))
