"""The report page: whole, closed in itself, escaped, small, and the same every time."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from schedc.measure.stats import Interval, interval
from schedc.sim import plot
from schedc.sim.html import MOST_CPUS, page
from schedc.sim.run import Report
from schedc.workload.histogram import Histogram
from tests.sim.made_report import made_report, renamed

HOSTILE = "</script><img src=x onerror=alert(1)>\"'`&{{7*7}}<!--\u2028"

_VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """The page as a browser's tokenizer sees it: elements, attributes, text by element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.all_text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)
        self.all_text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def made(report: Report, command: str = "schedc sim interactive") -> str:
    return page(report, command=command, version="1.2.3")


@pytest.fixture(scope="module")
def report() -> Report:
    return made_report()


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return made(report, "schedc sim interactive --workload wakeup --against eevdf,fair")


def test_every_element_is_closed_and_ids_are_unique(text: str) -> None:
    parsed = Page(text)
    assert parsed.open == []
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_drawings_are_well_formed_xml(text: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) > 20
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_it_loads_nothing(text: str) -> None:
    """No address of any kind, no element that could have one, a policy that forbids the rest."""
    parsed = Page(text)
    for tag, attributes in parsed.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "use", "a"}
        assert not {"src", "href", "action", "data", "style", "srcset"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in text and "@import" not in text
    assert not [one for one in re.findall(r"[a-z]+://[^\s\"'<)]+", text)
                if one != "http://www.w3.org/2000/svg"]  # fmt: skip
    policy = next(one["content"] for one in parsed.of("meta") if "http-equiv" in one) or ""
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_the_policy_allows_the_style_and_the_script_in_it_and_nothing_else(text: str) -> None:
    parsed = Page(text)
    policy = next(one["content"] for one in parsed.of("meta") if "http-equiv" in one) or ""
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    for name, inside in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert len(parsed.of("script")) == 2  # the other is data


def test_the_headline_says_who_is_better_at_what_and_by_how_much(
    report: Report, text: str
) -> None:
    parsed = Page(text)
    against = report.comparisons[0]
    better = against.named("better")
    assert len(better) >= 5
    sentence = f"Better at {len(better)} of "
    assert any(one.startswith(sentence) for one in parsed.texts["p"])
    row = next(row for row in better if row.metric.name == "wakeup_p99")
    ratio = row.comparison.ratio
    assert ratio is not None
    shown = f"{ratio.median:#.3g} [{ratio.low:#.3g} .. {ratio.high:#.3g}]"
    assert shown in parsed.all_text
    assert f"{100 * (1 - ratio.median):,.0f}% lower" in parsed.all_text
    assert f"{100 * ratio.coverage:.1f}%" in parsed.all_text
    assert {"interactive against eevdf", "interactive against fair"} <= set(parsed.texts["h2"])


def test_every_metric_of_the_report_is_in_the_page(report: Report, text: str) -> None:
    parsed = Page(text)
    for against in report.comparisons:
        for row in against.rows:
            assert row.metric.name.replace("_", " ") in parsed.texts["th"]


def test_bounds_stand_beside_the_longest_waits(text: str) -> None:
    parsed = Page(text)
    seen = [one for one in parsed.texts["td"] if one.endswith("N = 8")]
    assert seen == ["12 ms, N = 8", "28 ms, N = 8"]
    assert "exceeded" not in parsed.all_text


def test_an_exceeded_bound_is_said_so(report: Report) -> None:
    arms = (dataclasses.replace(report.arms[0], contenders=0), *report.arms[1:])
    runs = []
    for run in report.runs:
        result = run.result
        assert result is not None
        classes = tuple(dataclasses.replace(one, wait_max_ns=10**9) for one in result.classes)
        runs.append(dataclasses.replace(run, result=dataclasses.replace(result, classes=classes)))
    text = made(dataclasses.replace(report, arms=arms, runs=tuple(runs)))
    assert text.count("<b>exceeded</b>") == 2
    for drawing in re.findall(r'class="fill" width="([0-9.]+)"', text):
        assert float(drawing) <= 104


def test_how_to_repeat_it(text: str) -> None:
    parsed = Page(text)
    assert parsed.texts["code"] == [
        "schedc sim interactive --workload wakeup --against eevdf,fair"
    ]
    facts = dict(zip(parsed.texts["dt"], parsed.texts["dd"], strict=True))
    assert facts["Version"] == "schedc 1.2.3"
    assert "seeds 1..6" in facts["Runs"]
    assert facts["Machine"].startswith("8 cpus, ")
    assert "context switch" in facts["Costs"]


@pytest.mark.parametrize("where", ["arms", "groups", "workload", "void", "command"])
def test_hostile_names_stay_text(where: str) -> None:
    names = ("interactive", HOSTILE) if where == "arms" else ("interactive", "eevdf")
    groups = (HOSTILE, "worker") if where == "groups" else ("messenger", "worker")
    report = made_report(names, runs=2, groups=groups, void=HOSTILE if where == "void" else "",
                         steps=300)  # fmt: skip
    if where == "workload":
        report = renamed(report, HOSTILE)
    text = made(report, HOSTILE if where == "command" else "schedc sim")
    parsed = Page(text)
    assert HOSTILE in parsed.all_text, "shown as it is"
    assert not parsed.of("img") and "49" not in parsed.texts["h1"][0]
    assert text.count("<script") == text.count("</script") == 2
    for _, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on")]
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)
    data = json.loads(next(one for one in parsed.texts["script"] if one.startswith("{")))
    if where == "groups":
        assert HOSTILE in {group for _, _, group in data["tasks"]}


def test_a_command_that_is_no_text() -> None:
    report = made_report(("interactive",), runs=1, steps=100)
    assert "<code>schedc sim ?.sched</code>" in made(report, "schedc sim \udcff.sched")


def test_the_timelines_data_and_paths_are_the_same_spans(report: Report, text: str) -> None:
    """What the script answers from is what is drawn."""
    data = json.loads(next(one for one in Page(text).texts["script"] if one.startswith("{")))
    lanes = re.findall(r'<svg class="lane".*?</svg>', text, re.DOTALL)
    assert len(lanes) == len(data["arms"]) == len(report.arms)
    for flat, lane in zip(data["arms"], lanes, strict=True):
        spans = {(cpu, x, width) for cpu, x, width, _ in zip(*[iter(flat)] * 4, strict=True)}
        drawn = {
            (int(y) // (plot.ROW + plot.GAP), int(x), int(width))
            for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v10h-\d+z", lane)
        }
        assert spans == drawn and len(spans) > 100
        assert all(x >= 0 and x + width <= plot.UNITS + 1 for _, x, width in spans)
        assert all(0 <= index < len(data["tasks"]) for index in flat[3::4])


@pytest.mark.parametrize("cpus", [1, 8, 100])
def test_sizes(cpus: int) -> None:
    """Well below a megabyte for four schedulers and many cpus."""
    names = ("interactive", "eevdf", "fair", "batch")
    text = made(made_report(names, runs=3, cpus=cpus, steps=12_000))
    assert len(text.encode()) < 700_000
    rows = min(cpus, MOST_CPUS)
    assert f'viewBox="0 0 100000 {(rows + 1) * 12}"' in text
    assert ("the first 64 of 100" in text) == (cpus == 100)


def test_same_report_same_bytes() -> None:
    assert made(made_report(runs=2, steps=500)) == made(made_report(runs=2, steps=500))


def test_one_arm_alone_and_no_trace() -> None:
    report = made_report(("interactive",), runs=1, steps=200)
    bare = dataclasses.replace(
        report, runs=tuple(dataclasses.replace(run, trace=b"") for run in report.runs)
    )
    for one in (report, bare):
        parsed = Page(made(one))
        assert parsed.texts["h2"][0] == "interactive"
        assert "verdict" not in parsed.texts["th"]
    assert "Who ran where" not in made(bare)


def test_void_runs_come_first_with_their_reason() -> None:
    text = made(made_report(runs=6, void="runnable task stall"))
    assert "fair, seed 1: runnable task stall (E0906)" in text
    assert text.index("Runs that do not count") < text.index("interactive against eevdf</h2>")


def test_an_arm_whose_runs_are_all_void() -> None:
    report = made_report(("interactive", "eevdf"), runs=1, void="runnable task stall", steps=200)
    text = made(report)
    assert "runnable task stall" in text
    Page(text)


def test_nothing_to_compare_is_one_sentence() -> None:
    report = made_report(("interactive", "eevdf"), runs=1, void="runnable task stall", steps=200)
    text = made(report)
    assert "No pair of runs counts" in text
    assert '<table class="metrics">' not in text


def test_few_runs_give_no_verdict() -> None:
    text = made(made_report(("interactive", "eevdf"), runs=3, steps=200))
    assert "Too few runs for a verdict" in text


def test_percentiles_are_medians_over_runs_not_of_all_samples() -> None:
    """Two calm runs and one wild one: the line is a calm one's."""
    calm, wild = Histogram.of([1000] * 100), Histogram.of([10**9] * 100)
    figure = plot.percentiles("t", "", [("a", [calm, calm, wild])])
    assert figure is not None
    (curve,) = figure.curves
    assert curve.figures == ("1 us",) * len(plot.TABLE)
    heights = {float(point.split()[1]) for point in curve.line[1:].split("L")}
    assert len(heights) == 1
    assert curve.band  # the interval covers the wild one


def test_a_higher_latency_is_drawn_higher_and_a_rarer_one_further_right() -> None:
    low = Histogram.of(range(1000, 2000))
    high = Histogram.of(range(10_000, 20_000, 10))
    figure = plot.percentiles("t", "", [("low", [low]), ("high", [high])])
    assert figure is not None
    points = [[tuple(map(float, point.split())) for point in curve.line[1:].split("L")]
              for curve in figure.curves]  # fmt: skip
    assert all(below[1] > above[1] for below, above in zip(*points, strict=True))
    assert [x for x, _ in points[0]] == sorted(x for x, _ in points[0])
    assert [tick.at for tick in figure.x] == sorted(tick.at for tick in figure.x)
    assert [tick.label for tick in figure.x] == ["50%", "90%", "99%", "99.9%"]


def test_no_samples_no_drawing() -> None:
    assert plot.percentiles("t", "", [("a", [Histogram()]), ("b", [])]) is None


def test_zero_latencies_lie_on_the_lower_edge() -> None:
    figure = plot.percentiles("t", "", [("a", [Histogram.of([0] * 50 + [10**6] * 50)])])
    assert figure is not None
    (curve,) = figure.curves
    heights = [float(point.split()[1]) for point in curve.line[1:].split("L")]
    assert figure.y[0].label == "100 ns" and heights[0] == figure.y[0].at
    assert heights[-1] == figure.y[-1].at and figure.y[-1].label == "1 ms"


def test_the_forest_is_symmetric_and_cut() -> None:
    middle = plot.forest(Interval(1.0, 0.5, 2.0, 0.97, 6))
    assert middle is not None
    assert middle.dot == middle.one == 66
    assert middle.one - middle.low == pytest.approx(middle.high - middle.one, abs=0.2)
    far = plot.forest(Interval(100.0, 0.0, 1e9, 0.97, 6))
    assert far is not None and (far.low, far.dot, far.high) == (6, 126, 126)
    assert plot.forest(interval([])) is None


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (0, 10**9, "0.0 s", "1.0 s"),
        (133_400_000, 233_400_000, "140 ms", "220 ms"),
        (1_000_000_000, 1_000_050_000, "1000000 us", "1000050 us"),
        (0, 3, "0.000 us", "0.003 us"),
    ],
)
def test_ticks_are_round_and_inside(start: int, end: int, first: str, last: str) -> None:
    ticks = plot.time_ticks(start, end)
    assert 3 <= len(ticks) <= 6
    assert all(0 <= tick.at <= 100 for tick in ticks)
    assert (ticks[0].label, ticks[-1].label) == (first, last)


def test_a_browser_runs_the_script_under_the_policy(text: str, tmp_path: Path) -> None:
    """The script marks the page; were its hash wrong, the browser would not run it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on PATH")
    path = tmp_path / "report.html"
    path.write_text(text)
    ran = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
         path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert '<html lang="en" class="js">' in ran.stdout
    assert "Content Security Policy" not in ran.stderr
    assert "Uncaught" not in ran.stderr
