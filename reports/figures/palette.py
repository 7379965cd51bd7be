"""Colours: the hue says the kind of network (orange: plain, blue: residual), the lightness its depth.

The deeper a network, the more its shade stands out from the ground, which is white, or dark in a page that follows a
dark setting. A page writes `palette_css` once and its inlined figures name the variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from matplotlib.colors import to_hex, to_rgb

from reports.judging.comparison import Net

WHITE, DARK = "#ffffff", "#0d1117"
INK, GREY, LINE = "#000000", "#6e7781", "#d0d7de"  # text and axes; the paper's and others' points; grid lines
RAMPS = {"plain": "YlOrBr", "residual": "Blues"}  # names of seaborn
DEPTHS = (20, 32, 44, 56, 110, 1202)
# ImageNet's networks have the shades of CIFAR-10's.
ALIKE = {18: 20, 34: 44, 50: 56, 101: 110, 152: 1202}
MIDDLE = 44  # whose shade a depth has that the paper doesn't train
LOWEST, HIGHEST = 3.15, 14.0  # contrast with the ground, of the shallowest and the deepest network


def kind(net: Net) -> str:
    """`plain` or `residual`, whatever its shortcuts."""
    return "plain" if net[1] == "none" else "residual"


def colour(net: Net) -> str:
    """The colour of a network on white ground, as a hexadecimal number."""
    depth = ALIKE.get(net[0], net[0])
    return shades(kind(net), WHITE)[depth if depth in DEPTHS else MIDDLE]


@cache
def shades(kind: str, ground: str) -> Mapping[int, str]:
    """The shade of each depth on a ground; contrasts with it grow by equal factors."""
    import seaborn as sns  # takes a second, and only drawing needs it

    ramp = [to_hex(each) for each in sns.color_palette(RAMPS[kind], 512)]
    highest = min(HIGHEST, max(contrast(each, ground) for each in ramp))
    step = (highest / LOWEST) ** (1 / (len(DEPTHS) - 1))
    wanted = [LOWEST * step**i for i in range(len(DEPTHS))]
    return {
        depth: min(ramp, key=lambda each: abs(contrast(each, ground) - aim))
        for depth, aim in zip(DEPTHS, wanted, strict=True)
    }


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2 defines it, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in to_rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def variables() -> dict[str, str]:
    """What stands in an inlined figure in the place of each colour: a CSS variable, or the colour of the text."""
    mine = {shade: f"var(--{kind}-{depth})" for kind in RAMPS for depth, shade in shades(kind, WHITE).items()}
    return mine | {INK: "currentColor", LINE: "var(--line)", GREY: "var(--grey)"}


def palette_css() -> str:
    """Declarations of the variables, such as `--plain-20`: on white, and in a media query on dark ground."""
    alike = "".join(f"--{kind}-{depth}:var(--{kind}-{other});" for kind in RAMPS for depth, other in ALIKE.items())
    light, dark = (_declarations(ground) + f"--grey:{grey}" for ground, grey in ((WHITE, GREY), (DARK, "#8b949e")))
    return f":root{{{alike}{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def _declarations(ground: str) -> str:
    return "".join(f"--{kind}-{depth}:{shade};" for kind in RAMPS for depth, shade in shades(kind, ground).items())
