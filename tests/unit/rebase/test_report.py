from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from webui_fork.core import charts
from webui_fork.rebase import report
from webui_fork.rebase.report import Check, PatchRow, RebaseReport
from webui_fork.sources.changelog import Note
from webui_fork.sources.interface import Difference

REPORT = RebaseReport(
    old="1.2.3",
    new="1.3.0",
    verdict="ready",
    between=2,
    rows=(
        PatchRow("one.patch", "unchanged", "nothing to do", (3, 1), (3, 1)),
        PatchRow("two.patch", "relocated", "syntax tree", (3, 1), (3, 1), "-a <b>\n+b", "its proof", "please review"),
        PatchRow("three.patch", "upstreamed", "nothing to do", (3, 1), None, why="its proof is green | on stock"),
    ),
    notes=(Note("1.3.0", "Changed", "**Back** up <now>", True),),
    checks=(Check("lint", True, 1.0), Check("build", False, 2.0, "it broke"), Check("proofs", None, 0.0)),
    times=(("carry", 1.25),),
    digest="sha256:" + "0" * 64,
    differences=(
        Difference("migration", "1_add_x.py", "", "Add x"),
        Difference("setting", "A", "'<a>'", "'`b` | @c'"),
        Difference("setting", "B", "", "None"),
    ),
    overdue=(("one.patch", 31), ("two.patch", 90)),
)


def test_what_should_have_been_sent_upstream_is_asked_for() -> None:
    text = report.markdown(REPORT)
    assert "## For upstream, and not sent yet\n\n`one.patch` (31 days), `two.patch` (90 days). " in text
    assert "one.patch (31 days), two.patch (90 days)" in report.page(REPORT)
    for shown in (report.markdown, report.page):
        assert "not sent yet" not in shown(replace(REPORT, overdue=()))


def test_json_gives_the_report_back() -> None:
    assert report.from_json(report.to_json(REPORT)) == REPORT
    older = {name: value for name, value in json.loads(report.to_json(REPORT)).items() if name != "differences"}
    assert report.from_json(json.dumps(older)) == replace(REPORT, differences=())  # of a rebase under way


def test_markdown_has_a_row_a_patch_and_what_to_know() -> None:
    text = report.markdown(REPORT)
    assert "1 unchanged, 1 relocated, 1 upstreamed" in text
    assert "| `two.patch` | relocated | syntax tree | +3 −1 | +3 −1 | please review; its proof |" in text
    assert "its proof is green \\| on stock" in text
    assert "- 1.3.0: **Back** up <\u200bnow>" in text
    assert "| build | **failed** | 2 | it broke |" in text
    assert "| proofs | not run | 0 |" in text


def test_markdown_shows_first_what_needs_attention() -> None:
    text = report.markdown(REPORT)
    first, rest = text.partition("## What changes for operators")[2].split("<details>", 1)
    assert "1 migration, 2 settings. Read from upstream's code; packages are from the locks." in first
    assert "| migration | `1_add_x.py` |  | `Add x` |" in first
    assert "| setting | `A` | `'<\u200ba>'` | `''b' \\| @\u200bc'` |" in first
    assert "| setting | `B` |  | `None` |" not in first
    assert "<summary>The rest</summary>" in rest
    assert "| setting | `B` |  | `None` |" in rest.partition("</details>")[0]
    only_new = report.markdown(replace(REPORT, differences=REPORT.differences[2:]))
    assert "<summary>All of it</summary>" in only_new
    assert "<summary>" not in report.markdown(replace(REPORT, differences=REPORT.differences[:1])).partition("Gate")[0]
    assert "What changes" not in report.markdown(replace(REPORT, differences=()))
    measured = replace(REPORT, differences=(Difference("measure", "list, p50, ms", "3.0", "4.0"),))
    first = report.markdown(measured).partition("## What changes for operators")[2].partition("## ")[0]
    assert (
        "1 measure. Read from upstream's code; packages are from the locks. Licences, native wheels and measures"
        in first
    )
    assert "| measure | `list, p50, ms` | `3.0` | `4.0` |" in first


def test_the_page_has_all_of_it() -> None:
    page = report.page(REPORT)
    assert "<tr><td>setting<td>A<td>&#x27;&lt;a&gt;&#x27;<td>&#x27;`b` | @c&#x27;</tr>" in page
    assert "<td>B<td><td>None</tr>" in page
    reverse = report.page(replace(REPORT, differences=REPORT.differences[::-1]))
    assert reverse.index("<td>setting<td>A<") < reverse.index("<td>setting<td>B<")
    assert "What changes" not in report.page(replace(REPORT, differences=()))


def test_markdown_does_nothing_that_upstream_or_a_test_wrote() -> None:
    """Words of a changelog and of a test's output: a mention, a reference that closes, a fence that ends early."""
    words = "@everyone Fixes #1 <img src=x>"
    text = report.markdown(
        replace(
            REPORT,
            verdict="conflict",
            blocker=words,
            rows=(PatchRow("one.patch", "conflict", "none", (1, 1), None, " ```\n<b>", words, words),),
            notes=(Note("1.3.0", "Changed", words, True),),
            checks=(Check("build", False, 1.0, f"x\n```\n{words}"),),
        )
    )
    outside, code = [], ""
    for line in text.splitlines():
        if code:
            code = "" if line == code else code
        elif line.startswith("```"):
            code = line[: len(line) - len(line.lstrip("`"))]
        else:
            outside.append(line)
    assert not code
    shown = "\n".join(outside)
    assert "@everyone" not in shown
    assert "#1" not in shown
    assert "<img" not in shown
    assert shown.count("everyone") == 5


def test_markdown_fits_a_pull_request() -> None:
    long = replace(REPORT, rows=(PatchRow("x.patch", "merged", "3-way", (1, 1), (1, 1), "+x\n" * 50_000),))
    assert len(report.markdown(long)) < 65_536
    assert "(cut: report.html has all of it)" in report.markdown(long)


def test_the_page_needs_nothing_else_and_escapes() -> None:
    page = report.page(REPORT)
    assert "<li><b>1.3.0</b> <b>Back</b> up &lt;now&gt;" in page
    for needed in ("src=", "url(", "<script"):
        assert needed not in page
    HTMLParser().feed(page)


def test_the_page_links_patches_and_upstream_s_changes() -> None:
    page = report.page(REPORT)
    links = re.findall(r"href='([^']*)'", page)
    assert links[0] == "https://github.com/open-webui/open-webui/compare/v1.2.3...v1.3.0"
    assert links[1:] == [f"../../patches/{row.name}" for row in REPORT.rows]
    assert "1 releases" not in page
    assert "1 releases" not in report.markdown(REPORT)


def test_upstream_s_words_are_bold_and_code_and_nothing_else() -> None:
    words = "**a `b` <script>** `<img src=x>` **x\ny** [l](javascript:1)"
    notes = (Note("1.3.0", "Changed", words, True),)
    page = report.page(replace(REPORT, notes=notes, conflict="**C** `d`"))
    assert "<b>a <code>b</code> &lt;script&gt;</b> <code>&lt;img src=x&gt;</code> **x\ny** [l](javascript:1)" in page
    assert "<pre><b>C</b> <code>d</code></pre>" in page


def test_an_older_release_takes_back_what_the_newer_brought() -> None:
    back = replace(REPORT, old=REPORT.new, new=REPORT.old)
    assert "changes that are taken back" in report.markdown(back)
    assert "changes to know" in report.markdown(REPORT)
    assert back.compare == REPORT.compare


@pytest.mark.parametrize("verdict", ["ready", "not proved", "gate failed", "conflict", "blocked"])
def test_every_verdict_has_words(verdict: str) -> None:
    assert report.markdown(replace(REPORT, verdict=verdict))
    assert report.page(replace(REPORT, verdict=verdict))


def test_an_interdiff_leaves_out_what_only_moved() -> None:
    old = b"diff --git a/x b/x\nindex aaaa..bbbb 100644\n@@ -1,3 +1,4 @@\n a\n+b\n"
    moved = b"diff --git a/x b/x\nindex cccc..dddd 100644\n@@ -9,3 +9,4 @@ def f():\n a\n+b\n"
    assert report.interdiff(old, moved) == ""
    assert "+ z" in report.interdiff(old, moved.replace(b" a\n", b" z\n"))


def test_pictures_are_well_formed_and_say_what_is_pointed_at() -> None:
    cells = {("a & b", "1.0"): ("offset", "3-way"), ("c", "1.0"): ("conflict", "both <change>")}
    drawn = charts.heat_map("T", ["a & b", "c"], ["1.0", "1.1"], cells, report.COLORS)
    titles = [node.text for node in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}title")]
    assert "a & b on 1.0: 3-way" in titles
    assert "c on 1.1: not tried" in titles
    bars = charts.stacked_bars("T", {"x": {"right": 3, "wrong": 1}}, {"right": "#0f0", "wrong": "#f00"})
    titles = [node.text for node in ET.fromstring(bars).iter("{http://www.w3.org/2000/svg}title")]
    assert "x: right 3 of 4 (75.0%)" in titles
