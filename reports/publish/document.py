"""REPORT.md as blocks of a W&B report: its figures from the run of the report, and live panels under Figs. 6 and 4."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.figures.style import Drawing
from reports.judging.comparison import IMAGENET, Comparison
from reports.page.model import Report as Whole
from reports.page.render import TITLE
from reports.publish.panels import Live
from reports.publish.uploads import figure_key

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import PanelGrid

DRAWING = r"!\[.*\]\(figures/(.*)\.svg\)"
WIDE = 24  # units of a report's grid, of which a panel can be so wide at most
HEADS = 3  # units of height that a panel's title and frame take


@dataclass(frozen=True)
class Document:
    """What the W&B report is made of.

    Attributes:
        whole: What the report says.
        live: The live panels.
        run_id: The run of the report.
        run_url: Its address.
        views: The addresses of the workspaces by their names.
    """

    whole: Whole
    live: Live
    run_id: str
    run_url: str
    views: Mapping[str, str]

    def save(self, text: str, address: str | None) -> str:
        """Save the report; returns its address.

        Args:
            text: REPORT.md.
            address: The report that is updated; without one, a new one is made.
        """
        from wandb_workspaces.reports import v2 as wr

        project = self.live.project
        report = wr.Report.from_url(address) if address else wr.Report(project.name, project.entity)
        report.title, report.width = TITLE, "fluid"
        report.blocks = [wr.TableOfContents(), self._beside(), *self._mirrored(text), *self._fig4()]
        return str(report.save().url)

    def _beside(self) -> Any:
        """Where everything else is."""
        from wandb_workspaces.reports import v2 as wr

        workspaces = ", ".join(f"[{name}]({address})" for name, address in self.views.items())
        held = f"[One run]({self.run_url}) has every figure, every table, the page and the snapshot."
        return wr.MarkdownBlock(f"{held} Workspaces: {workspaces}.")

    def _mirrored(self, text: str) -> Iterator[Any]:
        """Headings and text; in the place of each drawing its picture, then its caption, then its live panels."""
        from wandb_workspaces.reports import v2 as wr

        drawings = {drawing.name: drawing for drawing in self.whole.drawings}
        body = text.partition("\n")[2]  # below its title
        above = ""  # the drawing above a paragraph, which is its caption
        for paragraph in re.split(r"\n\s*\n", relinked(body, self.run_url, self._pages()).strip()):
            if drawing := re.fullmatch(DRAWING, paragraph):
                above = drawing[1]
                yield self._picture(drawings[above])
            elif heading := re.fullmatch(r"(##+) (.*)", paragraph):
                yield (wr.H2 if heading[1] == "##" else wr.H3)(heading[2])
            else:
                yield wr.MarkdownBlock(paragraph)
                yield from self._live(self._comparisons.get(above))
                above = ""

    @property
    def _comparisons(self) -> dict[str, Comparison]:
        """Whose runs the drawings of curves show."""
        return {f"fig6-{comparison.slug}": comparison for comparison in self.whole.judged}

    def _pages(self) -> dict[str, str]:
        """The pages of our runs in W&B, by the names that REPORT.md links to."""
        runs = self.whole.snapshot.runs
        return {f"run-{run}": url for run, url in zip(runs["run"], runs["url"], strict=True) if isinstance(url, str)}

    def _picture(self, drawing: Drawing) -> PanelGrid:
        """A drawing, from the run of the report."""
        from wandb_workspaces.reports import v2 as wr

        project = self.live.project
        columns, rows = drawing.columns, -(-len(drawing.panels) // drawing.columns)
        height = round(WIDE * (rows * drawing.size[1]) / (columns * drawing.size[0])) + HEADS
        picture = wr.MediaBrowser(
            title=drawing.title,
            media_keys=[figure_key(drawing.name)],
            num_columns=1,
            layout=wr.Layout(w=WIDE, h=height),
        )
        run = wr.Runset(project.entity, project.name, "the report", filters=f"Metric('ID') = '{self.run_id}'")
        return wr.PanelGrid(runsets=[run], hide_run_sets=True, panels=[picture])

    def _live(self, comparison: Comparison | None) -> Iterator[Any]:
        """Live panels with their own caption; nothing without a comparison."""
        from wandb_workspaces.reports import v2 as wr

        if comparison:
            yield from self.live.grids(comparison)
            yield wr.MarkdownBlock(f"*{self._caption(comparison)}*")

    def _caption(self, comparison: Comparison) -> str:
        has_papers = any(of == comparison for of, _ in self.live.papers)
        papers = " Dashed and paler: the paper's curves, digitised." if has_papers else ""
        urls = comparison.of(self.whole.snapshot.runs)["url"].dropna()
        is_live = any(f"/{self.live.project.path}/runs/" in url for url in urls)
        absent = "" if is_live else " None of the report's runs was in this project when the report was published."
        test = " Test error is that of the validation images, centre crop." if comparison.family == "imagenet" else ""
        return (
            f"Live: the runs of this project, {comparison.title}, a line for each network through the mean of its "
            "seeds, plain nets above residual ones; the axes hold the end of every run of the report."
            f"{papers}{test}{absent}"
        )

    def _fig4(self) -> Iterator[Any]:
        """Fig. 4, which REPORT.md leaves to the page."""
        from wandb_workspaces.reports import v2 as wr

        yield wr.H2("Fig. 4: error against step on ImageNet")
        yield from self._live(IMAGENET)


def relinked(text: str, files: str, pages: Mapping[str, str]) -> str:
    """Markdown whose links all lead somewhere.

    Args:
        text: REPORT.md, without its title.
        files: The address of the run that has the files beside it.
        pages: Where anchors of the page lead; those that are not among them become text.
    """

    def page(link: re.Match[str]) -> str:
        return f"[{link[1]}]({pages[link[2]]})" if link[2] in pages else link[1]

    anchored = re.sub(r"\[((?:\\.|[^\]\\])*)\]\(#([^)]*)\)", page, re.sub(r'<a id="[^"]*"></a>', "", text))
    return re.sub(r"(?<!!)(\[(?:\\.|[^\]\\])*\])\((?!https?://)([^)]*)\)", rf"\1({files}/files/\2)", anchored)
