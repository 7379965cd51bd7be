"""SVG made small: what Matplotlib writes, without what cannot be seen and in whole tenths of a point."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from math import hypot
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

FONT = "system-ui,sans-serif"
FONT_SIZE = 9  # points, 12 px
UNITS = 10  # to a point: a whole number takes a byte less than one with a decimal
ROOT = (
    f' xmlns="http://www.w3.org/2000/svg" fill="none" stroke-linejoin="round" stroke-width="{UNITS}" '
    f'font-family="{FONT}" font-size="{FONT_SIZE * UNITS}"'
)
SVG_CSS = (
    f".panels svg {{ fill: none; stroke-linejoin: round; stroke-width: {UNITS}; font: {FONT_SIZE * UNITS}px {FONT}; }}"
)
OWN = {"x", "y", "d", "href", "transform", "id"}  # attributes that are not shared by neighbours
# What the root element says for all, or what is so without being said.
DEFAULTS = {
    ("fill", "none"),
    ("stroke", "none"),
    ("stroke-linejoin", "round"),
    ("stroke-linejoin", "miter"),
    ("stroke-linecap", "square"),
    ("stroke-linecap", "butt"),
    ("text-anchor", "start"),
    ("stroke-dashoffset", "0"),
    ("stroke-width", "1"),
}
RATIOS = {"opacity", "fill-opacity", "stroke-opacity", "stroke-miterlimit", "font-weight"}  # numbers without a unit
NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?"
UNSEEN = 0.4  # points, half a pixel
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Shape:
    """A path, a text or a copy of a marker, with all that it inherits."""

    tag: str
    attributes: dict[str, str]
    text: str = ""

    @property
    def style(self) -> tuple[tuple[str, str], ...]:
        """What neighbours may have in common."""
        return tuple(sorted((name, value) for name, value in self.attributes.items() if name not in OWN))

    @property
    def own(self) -> dict[str, str]:
        """The rest."""
        return {name: value for name, value in self.attributes.items() if name in OWN}


@dataclass
class Picture:
    """The shapes of a picture, and what they refer to by its id: markers, and the boxes that they are clipped to."""

    boxes: Mapping[str, Box]
    markers: dict[str, Shape] = field(default_factory=dict)
    shapes: list[Shape] = field(default_factory=list)


def compact(svg: str, prefix: str, label: str, colours: Mapping[str, str] | None = None, root: str = ROOT) -> str:
    """The same picture in fewer bytes: shapes in their order, then texts, neighbours of one style together.

    Args:
        svg: As Matplotlib writes it with `svg.fonttype` none.
        prefix: How the ids begin, which must be unique in a page.
        label: What a screen reader says.
        colours: What is written in the place of each colour.
        root: Attributes of the root; a page has them in its style (`SVG_CSS`).
    """
    source = ElementTree.fromstring(svg[svg.index("<svg") :])
    picture = Picture(dict(_boxes(source)))
    for child in source:
        _read(child, {}, picture)
    _, _, width, height = (float(each) for each in source.attrib["viewBox"].split())
    shapes = sorted(picture.shapes, key=lambda shape: shape.tag == "text")
    names = {old: f"{prefix}-{i}" for i, old in enumerate(dict.fromkeys(_references(shapes)))}
    text = _element("defs", {}, "".join(_definitions(picture, names))) if names else ""
    text += "".join(_runs(shapes))
    text = re.sub(r"#([\w-]+)", lambda match: f"#{names.get(match[1], match[1])}", text)
    for old, new in (colours or {}).items():
        text = text.replace(f'"{old}"', f'"{new}"')
    size = f'width="{width / 0.75:.1f}" height="{height / 0.75:.1f}"'
    box = f'viewBox="0 0 {_number(width)} {_number(height)}"'
    return f'<svg {size} {box} role="img" aria-label={quoteattr(label)}{root}>{text}</svg>\n'


def _boxes(root: ElementTree.Element) -> Iterator[tuple[str, Box]]:
    for clip in root.iter("{http://www.w3.org/2000/svg}clipPath"):
        x, y, width, height = (float(clip[0].attrib[name]) for name in ("x", "y", "width", "height"))
        yield clip.attrib["id"], (x, y, x + width, y + height)


def _read(element: ElementTree.Element, inherited: dict[str, str], picture: Picture) -> None:
    """Collect the shapes in an element."""
    tag = element.tag.rpartition("}")[2]
    given = inherited | {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    if tag in ("g", "defs"):
        given.pop("id", None)
        for child in element:
            _read(child, given, picture)
    elif tag in ("use", "text") or (tag == "path" and len(_points(given.get("d", ""))) > 1):
        if _is_inside(tag, given, picture.boxes):
            del given["clip-path"]
        _add(Shape(tag, _attributes(tag, given), escape((element.text or "").strip())), picture)


def _is_inside(tag: str, given: Mapping[str, str], boxes: Mapping[str, Box]) -> bool:
    """Whether a shape that is clipped lies in its box, but for half a line's width."""
    if "clip-path" not in given or tag == "text":
        return False
    left, top, right, bottom = boxes[given["clip-path"][5:-1]]
    points = _points(given["d"] if tag == "path" else f"{given['x']} {given['y']}")
    x, y = [x for x, _ in points], [y for _, y in points]
    return left - 1 <= min(x) and max(x) <= right + 1 and top - 1 <= min(y) and max(y) <= bottom + 1


def _add(shape: Shape, picture: Picture) -> None:
    """Put a path with an id among the markers, and what can be seen among the shapes."""
    if shape.tag == "use":
        shape = _dot(shape, picture.markers[shape.attributes["href"][1:]])
    if shape.tag == "path" and "id" in shape.attributes:
        picture.markers[shape.attributes["id"]] = shape
    elif shape.tag != "path" or {"fill", "stroke"} & {*shape.attributes}:
        picture.shapes.append(shape)


def _dot(use: Shape, marker: Shape) -> Shape:
    """A filled round marker as a line of no length with round ends, a third of the bytes; other markers as they are."""
    radius = re.match(rf"M0 ({NUMBER})C", marker.attributes["d"])
    if not radius or "fill" not in use.attributes:
        return use
    width = 2 * int(radius[1]) + int(marker.attributes.get("stroke-width", UNITS))
    look = {"stroke": use.attributes["fill"], "stroke-width": str(width), "stroke-linecap": "round"}
    box = {name: value for name, value in use.attributes.items() if name == "clip-path"}
    return Shape("path", {"d": f"M{use.attributes['x']} {use.attributes['y']}h0", **look, **box})


def _attributes(tag: str, given: dict[str, str]) -> dict[str, str]:
    """The attributes that are kept, with those of the style, and short numbers."""
    style = dict(re.findall(r"([\w-]+): ([^;]+)", given.pop("style", "")))
    if tag == "text":
        style = {name: value for name, value in style.items() if name in ("fill", "text-anchor")} | _weight(style)
        style.setdefault("fill", "#000000")
    if style.get("fill", "none") == "none":
        style.pop("fill-opacity", None)
    if tag == "use":  # the marker's own stroke is in its definition
        style = {"fill": style.get("fill", "none")}
    kept = {name: value for name, value in (given | style).items() if (name, value) not in DEFAULTS}
    return {name: _value(name, value) for name, value in kept.items() if not value.startswith("rotate(-0 ")}


def _weight(style: Mapping[str, str]) -> dict[str, str]:
    """Bold where a font is."""
    return {"font-weight": "bold"} if "700" in style.get("font", style.get("font-weight", "")) else {}


def _value(name: str, value: str) -> str:
    if name == "d":
        return path(value)
    if name in ("fill", "stroke", "href", "clip-path", "id"):
        return value
    if name in RATIOS:
        return re.sub(r"^0\.", ".", value)
    turned = re.match(rf"rotate\(({NUMBER})", value)
    scaled = re.sub(NUMBER, lambda match: _number(float(match[0])), value)
    return re.sub(rf"^rotate\({NUMBER}", f"rotate({turned[1]}", scaled) if turned else scaled


def _references(shapes: list[Shape]) -> Iterator[str]:
    for shape in shapes:
        yield from re.findall(r"#([\w-]+)", " ".join(shape.attributes.get(name, "") for name in ("href", "clip-path")))


def _definitions(picture: Picture, names: Mapping[str, str]) -> Iterator[str]:
    """The markers and boxes that are referred to."""
    for old, new in names.items():
        if old in picture.markers:
            yield _element("path", picture.markers[old].attributes | {"id": new})
        else:
            left, top, right, bottom = picture.boxes[old]
            sides = {"x": left, "y": top, "width": right - left, "height": bottom - top}
            box = _element("rect", {name: _number(value) for name, value in sides.items()})
            yield _element("clipPath", {"id": new}, box)


def _runs(shapes: list[Shape]) -> Iterator[str]:
    """Neighbours of one style: paths as one, others in a group."""
    for style, run in groupby(shapes, key=lambda shape: shape.style):
        yield _together(dict(style), list(run))


def _together(style: dict[str, str], run: list[Shape]) -> str:
    if all(shape.tag == "path" for shape in run):
        return _element("path", {"d": "".join(shape.attributes["d"] for shape in run)} | style)
    if len(run) == 1:
        return _element(run[0].tag, run[0].attributes, run[0].text)
    inner = "".join(_element(shape.tag, shape.own, shape.text) for shape in run)
    return _element("g", style, inner) if style else inner


def _element(tag: str, attributes: Mapping[str, str], inner: str = "") -> str:
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{tag}{written}>{inner}</{tag}>" if inner else f"<{tag}{written}/>"


def path(d: str) -> str:
    """Path data of straight lines in relative steps, without what can't be seen; of curves with short numbers only.

    >>> path("M 10 20 L 10.52 20.04 L 12 18 z")
    'M100 200l5 0 15-20z'
    """
    if set(re.findall("[A-Z]", d)) - {"M", "L"}:
        tokens = re.findall(rf"[A-Za-z]|{NUMBER}", d)
        return _joined(token if token.isalpha() else _number(float(token)) for token in tokens)
    lines = ((line, end == "z") for line, end in re.findall(r"M([^Mz]*)(z?)", d))
    return "".join(_joined(_steps(_points(line), is_closed)) for line, is_closed in lines)


def _points(line: str) -> list[Point]:
    """The points of path data, its letters left out."""
    numbers = [float(each) for each in re.findall(NUMBER, line)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _steps(points: list[Point], is_closed: bool) -> Iterator[str]:
    """A start and the steps between rounded points, so that roundings do not add up."""
    kept = points if is_closed else _thinned(points)
    rounded = [(round(UNITS * x), round(UNITS * y)) for x, y in kept]
    yield from ("M", *map(str, rounded[0]), *(["l"] if len(rounded) > 1 else []))
    for (x, y), (next_x, next_y) in pairwise(rounded):
        yield from (str(next_x - x), str(next_y - y))
    if is_closed:
        yield "z"


def _thinned(points: list[Point]) -> list[Point]:
    """The points without those that lie closer than `UNSEEN` to the line between others (Douglas and Peucker)."""
    if len(points) < 3:
        return points
    far, index = max((_distance(point, points[0], points[-1]), i) for i, point in enumerate(points[1:-1], 1))
    if far < UNSEEN:
        return [points[0], points[-1]]
    return _thinned(points[: index + 1])[:-1] + _thinned(points[index:])


def _distance(point: Point, start: Point, end: Point) -> float:
    """From a point to the line through two others, or to these where they are one."""
    across, along = end[0] - start[0], end[1] - start[1]
    length = hypot(across, along)
    x, y = point[0] - start[0], point[1] - start[1]
    return abs(x * along - y * across) / length if length else hypot(x, y)


def _joined(tokens: Iterable[str]) -> str:
    """Tokens with a space only where one is needed: between two numbers of which the second has no sign."""
    written = list(tokens)
    spaces = [" " if not a.isalpha() and b[0].isdecimal() else "" for a, b in pairwise(written)]
    return "".join(token + space for token, space in zip(written, [*spaces, ""], strict=True))


def _number(points: float) -> str:
    """A length in whole units."""
    return str(round(UNITS * points))
