"""What property tests draw from: cells, and text of every kind that people and machines write."""

from __future__ import annotations

from hypothesis import strategies as st

from study.recipes import RECIPES
from study.spec import FAMILIES, IMAGENET_DEPTHS, SHORTCUTS, Spec

SEEDS = st.integers(0, 2**31 - 1)
# Any text but lone surrogates, which no file in UTF-8 can hold, and often what a format gives a meaning to.
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("\\|&<>[]{}$%#_^~\"',;\n\r ab")


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Any cell that has a recipe."""
    dataset = draw(st.sampled_from(sorted(RECIPES)))
    in_table_1 = st.sampled_from(IMAGENET_DEPTHS)
    depth = draw(in_table_1 if FAMILIES[dataset] == "imagenet" else st.integers(1, 200).map(lambda n: 6 * n + 2))
    shortcut = draw(st.sampled_from(SHORTCUTS))
    return Spec(dataset, depth, shortcut, draw(st.sampled_from(sorted(RECIPES[dataset]))), draw(SEEDS))  # type: ignore[arg-type]
