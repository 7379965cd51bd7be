"""The page as people meet it, in a real browser: committed results, the demo's eight runs, a study with every run."""

from __future__ import annotations

import gzip
import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from reports.gathering import snapshot
from reports.gathering.public import Public
from reports.judging.comparison import CIFAR, Comparison
from reports.page import render
from reports.page.curves import MOST_POINTS, curves
from reports.page.sections import report
from tests.support import RESULTS, ROOT, SNAPSHOT

NAMES = ("committed", "demo", "synthetic")
# Every table against its box, each visible text against 11 px, on a page of some width.
OVERFLOWS = """[...document.querySelectorAll('table')].filter(t => t.checkVisibility() &&
    t.scrollWidth > t.parentElement.clientWidth + 1).map(t => t.id)"""
SMALL = """[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && [...e.childNodes].some(
    n => n.nodeType === 3 && n.textContent.trim())).filter(e => parseFloat(getComputedStyle(e).fontSize) *
    (e.ownerSVGElement ? e.ownerSVGElement.getScreenCTM().a : 1) < 10.95).map(e => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages: the committed one, and two that are built here."""
    folder = tmp_path_factory.mktemp("pages")
    committed = snapshot.read(RESULTS)
    eight = committed.runs[(committed.runs["dataset"] == "digits") & (committed.runs["seed"] == 0)]
    demo = replace(committed, runs=eight, public=Public())
    for name, gathered in (("demo", demo), ("synthetic", snapshot.read(SNAPSHOT))):
        (folder / f"{name}.html").write_text(render.page(report(gathered)))
    return {name: folder / f"{name}.html" for name in NAMES[1:]} | {"committed": RESULTS / "report.html"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab of 1,400 x 900; a complaint of the browser or a request to elsewhere fails the test."""
    tab, problems = browser.new_page(viewport={"width": 1400, "height": 900}), []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else problems.append(r.url))
    yield tab
    tab.close()
    assert not problems


def opened(page: Page, path: Path, fragment: str = "") -> Page:
    page.goto("about:blank")
    page.goto(path.as_uri() + fragment)
    return page


@pytest.mark.parametrize("name", NAMES)
def test_the_first_screen_answers(page: Page, built: dict[str, Path], name: str) -> None:
    opened(page, built[name])
    answer, figure = page.locator(".answers li").first, page.locator("figure").first
    assert re.search(r": (yes|no|open)", answer.inner_text())
    for element in (answer, figure):
        box = element.bounding_box()
        assert box and box["y"] + box["height"] <= 620
    assert figure.locator("svg").count() in (2, 4), "training and test error of one protocol or two"


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_short_and_light(page: Page, built: dict[str, Path], name: str) -> None:
    content = built[name].read_bytes()
    assert len(content) <= 400_000 and len(gzip.compress(content)) <= 120_000
    opened(page, built[name])
    for width, most in ((1400, 6500), (390, 11_000)):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollHeight") <= most
    assert page.locator("table").filter(visible=True).count() <= 6 and "No run of" not in content.decode()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_nothing_overflows_and_no_text_is_small(page: Page, built: dict[str, Path], name: str) -> None:
    """At 1,400, 768 and 390 px with all parts open; tables scroll in boxes of their own, and fit from 1,280 px on."""
    opened(page, built[name])
    page.set_viewport_size({"width": 1280, "height": 900})
    assert not page.evaluate(OVERFLOWS), "folded"
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    for width in (1400, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not page.evaluate(SMALL)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 794, "height": 1123})
    assert page.evaluate("document.documentElement.scrollWidth") <= 794


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing(page: Page, built: dict[str, Path], name: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened(page, built[name])
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    found = Axe().run(page).response["violations"]
    assert not found, [(each["id"], each["impact"], each["nodes"][0]["html"][:200]) for each in found]


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_there_without_scripts(browser: Browser, built: dict[str, Path], name: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(built[name].as_uri())
    content = built[name].read_text()
    assert page.locator("figure svg").count() == content.count('role="img"') > 4
    assert page.locator("table").count() == content.count("<table")
    assert page.locator("#fig6-static").get_attribute("open") is not None
    assert not page.locator("#fig6-explorer").is_visible()
    tile = page.locator(".tile").first
    tile.locator("summary").click()
    assert tile.locator("dt").first.is_visible()
    context.close()


def test_the_script_is_short() -> None:
    assert len((ROOT / "reports" / "page" / "templates" / "page.js").read_text().splitlines()) <= 300


def test_ids_are_unique_and_every_link_leads_somewhere(page: Page, built: dict[str, Path]) -> None:
    opened(page, built["committed"])
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(e => e.getAttribute('href'))")
    inside, outside = ([link for link in links if link.startswith("#") == here] for here in (True, False))
    assert len(ids) == len(set(ids)) and len(inside) > 100 and {link[1:] for link in inside} <= set(ids)
    files = [link for link in outside if not link.startswith("https://")]
    assert len(files) > 50 and all((RESULTS / link).exists() for link in files)
    named = page.evaluate("[...document.querySelectorAll('.tile, figure, table[data-sort]')].map(e => e.id)")
    assert len(named) > 60 and all(named), "claims, figures and tables can be linked"


def test_a_number_opens_all_records_that_it_rests_on(page: Page, built: dict[str, Path]) -> None:
    opened(page, built["committed"], "#t-errors-digits-mini")
    page.locator("#t-errors-digits-mini a", has_text="(n = 6)").first.click()
    dialog = page.locator("dialog")
    assert dialog.locator("h3").all_inner_texts() == [f"digits-20-none-mini-s{seed}" for seed in range(6)]
    record = dialog.locator("section").first.inner_text()
    assert "of 360" in record and "python -m study train" in record and "CPU" in record and "commit" in record
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_every_number_with_n_names_n_runs(page: Page, built: dict[str, Path]) -> None:
    opened(page, built["committed"])
    pairs = page.evaluate(
        "[...document.querySelectorAll('td a[data-runs]')].map(a => [a.textContent, a.dataset.runs.split(' ').length])"
    )
    counted = [(int(match[1]), runs) for text, runs in pairs if (match := re.search(r"n = (\d+)", text))]
    assert len(counted) > 30 and all(n == runs for n, runs in counted)


def test_fig_6_is_explored_with_the_mouse(page: Page, built: dict[str, Path]) -> None:
    opened(page, built["committed"], "#fig6?protocol=cifar10-mini&depth=20,56&split=test")
    assert page.locator("select").first.input_value() == "cifar10-mini"
    plain = page.locator("#fig6-plain svg")
    mini = Comparison("cifar10", "mini").of(snapshot.read(RESULTS).results).query("shortcut == 'none'")
    of_20, of_56 = ((mini["depth"] == depth).sum() for depth in (20, 56))
    assert plain.locator("path").count() == of_20 + of_56 > 3, "a line for each seed of two depths"
    page.get_by_role("checkbox", name="training error").check()
    assert plain.locator("path").count() == 2 * (of_20 + of_56) and "split=test,train" in page.url
    page.get_by_role("checkbox", name="56 layers").uncheck()
    assert plain.locator("path").count() == 2 * of_20 and "depth=20" in page.url
    end = plain.locator("path").first.evaluate(
        "p => { const q = p.getPointAtLength(p.getTotalLength()), m = p.getScreenCTM();"
        " return [q.x * m.a + m.e, q.y * m.d + m.f] }"
    )
    page.mouse.move(*end)
    assert re.search(r"cifar10-20-none-mini-s\d, step 4,000: test error \d+\.\d+ %", page.locator("#tip").inner_text())
    page.mouse.click(*end)
    assert page.locator("dialog h3").inner_text().startswith("cifar10-20-none-mini-s")


def test_fig_6_is_explored_with_the_keyboard(page: Page, built: dict[str, Path]) -> None:
    opened(page, built["committed"], "#fig6?protocol=digits-mini&depth=56")
    page.locator("#fig6-residual svg").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert page.locator("#tip").inner_text().startswith("digits-56-A-mini-s0, step")
    assert "training error" in page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    assert page.locator("dialog h3").inner_text() == "digits-56-A-mini-s0"


def test_a_link_to_a_claim_opens_it(page: Page, built: dict[str, Path]) -> None:
    opened(page, built["committed"], "#C21")
    tile = page.locator("#C21")
    assert tile.get_attribute("open") is not None and "the paper's effect" in tile.inner_text()
    opened(page, built["committed"], "#run-cifar10-20-A-paper-s0")
    assert page.locator("#run-cifar10-20-A-paper-s0").is_visible(), "within the folded runs"


def test_runs_are_sorted_filtered_and_compared(page: Page, built: dict[str, Path]) -> None:
    opened(page, built["committed"], "#t-run-records")
    table = page.locator("#t-run-records")
    page.locator("#filter").fill("eighth")
    rows = table.locator("tbody tr").filter(visible=True)
    shown = rows.count()
    assert shown == sum("eighth" in run for run in snapshot.read(RESULTS).counting["run"])
    head = table.locator("thead th", has_text="test errors")
    for direction in ("ascending", "descending"):
        head.locator("button").click()
        errors = [int(text.split(" of ")[0]) for text in rows.locator("td:nth-child(2)").all_inner_texts()]
        assert errors == sorted(errors, reverse=direction == "descending")
        assert head.get_attribute("aria-sort") == direction
    for box in rows.locator("input").all()[:2]:
        box.check()
    page.get_by_role("button", name="compare").click()
    assert page.locator("dialog thead th").count() == 2 and page.locator("dialog tr.differs").count() > 2


def test_a_cell_without_runs_says_what_trains_it(page: Page, built: dict[str, Path]) -> None:
    opened(page, built["demo"])
    cell = page.locator(".coverage button", has_text="0 of 5").first
    command = "python -m study train --dataset=cifar10 --depth=20 --shortcut=none --recipe=paper --seed=0"
    assert cell.get_attribute("title") == command
    cell.click()
    expect(page.locator("#status")).to_contain_text(command)  # when the clipboard has answered


def test_any_study_has_a_page_that_holds(page: Page, tmp_path: Path) -> None:
    """No run, one run, a net that nobody planned, and names that would break a page."""
    whole = snapshot.read(SNAPSHOT)
    one = whole.runs.head(1)
    name = "</script><img src=x onerror=alert(1)>" + "x" * 300
    evil = one.assign(run=name, device='"><b>bold</b>', url="javascript:0")
    unplanned = one.assign(run="cifar10-26-B-paper-s0", depth=26, shortcut="B")
    for name, runs in {"none": one.head(0), "one": one, "unplanned": unplanned, "evil": evil}.items():
        path = tmp_path / f"{name}.html"
        path.write_text(render.page(report(replace(whole, runs=runs))))
        opened(page, path)
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        for width in (1400, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.locator("#fig6-plain svg").count() == 1 and page.locator("img").count() == 0
        assert page.locator(".answers li").first.inner_text()
    assert page.locator(".coverage button").first.get_attribute("title").startswith("python -m study train")  # type: ignore[union-attr]


def test_beyond_a_hundred_runs_curves_are_thinned_and_keep_their_ends() -> None:
    whole = snapshot.read(SNAPSHOT)
    found = json.loads(curves(whole, [CIFAR]))
    lengths = {len(found["steps"][run["steps"]]) for run in found["runs"] if "steps" in run and run["p"] == 0}
    every = math.ceil(2 * len(whole.history) / MOST_POINTS)
    assert every > 1 and lengths == {math.ceil(64 / every)}
    assert {found["steps"][run["steps"]][-1] for run in found["runs"] if run["p"] == 0} == {64_000}
    few = replace(whole, history=whole.history[whole.history["run"] == "cifar10-20-A-paper-s0"])
    assert len(json.loads(curves(few, [CIFAR]))["steps"][0]) == 64
