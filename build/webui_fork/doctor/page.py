"""The doctor's report as one page of HTML to hand on: it needs nothing else, and holds no secret. Pure."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence

from webui_fork.core.text import printable, without_parts, without_secrets
from webui_fork.doctor.facts import Connection, Facts
from webui_fork.doctor.findings import Finding, Severity

_STYLE = """
:root{--ink:#1f2328;--paper:#fff;--soft:#59636e;--line:#d1d9e0;--code:#f6f8fa;--bad:#cf222e;--warn:#9a6700;--good:#1a7f37}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9198a1;--line:#3d444d;--code:#151b23;
--bad:#ff7b72;--warn:#d29922;--good:#3fb950}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:56rem;
margin:0 auto;padding:1.5rem 1rem}h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p,ul{margin:.5rem 0}.soft{color:var(--soft)}body{overflow-wrap:anywhere}
.way{display:flex;align-items:center;gap:.5rem;margin:.5rem 0}.box{border:1px solid var(--line);border-radius:.5rem;
padding:.4rem .7rem;min-width:6rem}.box:last-child{flex:1}.arrow{text-align:center;white-space:nowrap;font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.bad.box{border-color:var(--bad);border-width:2px}
article{border:1px solid var(--line);border-left:.4rem solid currentColor;border-radius:.5rem;padding:.6rem 1rem;
margin:.8rem 0}article>*{color:var(--ink)}article h3{margin:0;font-size:1.05rem}
pre{background:var(--code);padding:.6rem;
border-radius:.4rem;white-space:pre-wrap;margin:.4rem 0}
code{background:var(--code);padding:0 .25rem;border-radius:.25rem}
@media(max-width:40rem){.way{flex-direction:column;align-items:stretch;margin:1.5rem 0}.across{display:none}}
@media(min-width:40.01rem){.down{display:none}}
@media print{body{max-width:none;padding:0}article,.way{break-inside:avoid}}
"""
_TONE = {Severity.CRITICAL: "bad", Severity.WARNING: "warn", Severity.INFO: "soft"}


def write(facts: Facts, about: str, findings: Sequence[Finding], when: str, tool: str) -> str:
    """Return the page.

    Args:
        facts: what was seen.
        about: version and list in a line.
        findings: worst first, without secrets.
        when: the time of looking.
        tool: what looked, with its version.
    """

    def safe(text: str) -> str:
        return html.escape(printable(without_parts(text, facts.secrets)))

    head = findings[0].what if findings else "No problem could be seen."
    out = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{safe(head)}</title><style>{_STYLE}</style><main>",
        f"<h1>{safe(head)}</h1><p class=soft>{safe(facts.url)} · {safe(about)} · {safe(when)}</p>",
        "<h2>The path of a model list</h2>",
        *(_way(facts, item, findings, safe) for item in facts.connections),
    ]
    if not facts.connections:
        out.append(
            f"<div class=way>{_front(facts, findings, safe)}</div><p class=soft>No connection could be seen.</p>"
        )
    out.append("<h2>Findings</h2>")
    for finding in findings:
        out += _article(finding, safe)
    if not findings:
        out.append("<p class=good>None.</p>")
    if facts.unchecked:
        out += ["<h2>Not checked</h2><ul>", *(f"<li>{safe(item)}" for item in facts.unchecked), "</ul>"]
    out.append(f"<p class=soft>Written by {safe(tool)}. Tokens and keys are left out.</p></main></html>")
    return "\n".join(out) + "\n"


def _front(facts: Facts, findings: Sequence[Finding], safe: Callable[[str], str]) -> str:
    """Return the browser, and Open WebUI behind it."""
    causes = {finding.cause for finding in findings if finding.severity is Severity.CRITICAL}
    broken = causes & {"webui-unreachable", "not-open-webui", "webui-not-up", "list-fails", "list-empty"}
    version = str(facts.config.get("version") or "")
    return (
        f"<span class=box>Browser</span>{_arrow(broken=bool(broken), words=', '.join(sorted(broken)))}"
        f"<span class=box>Open WebUI {safe(version)}</span>"
    )


def _way(facts: Facts, item: Connection, findings: Sequence[Finding], safe: Callable[[str], str]) -> str:
    """Return the row of a connection; its arrow is broken where a finding is about it."""
    url = without_secrets(item.url)
    own = [finding for finding in findings if finding.severity is Severity.CRITICAL and url and url in finding.what]
    proxied = next((finding for finding in own if finding.cause == "proxy"), None)
    proxy = item.base.proxy if item.base and item.base.proxy else "proxy"
    between = f"{_arrow(broken=False)}<span class='box bad'>{safe(proxy)}</span>" if proxied else ""
    end = "box bad" if own and not proxied else "box"
    words = ", ".join(finding.cause for finding in own)
    return (
        f"<div class=way>{_front(facts, findings, safe)}{between}{_arrow(broken=bool(own), words=words)}"
        f"<span class='{end}'>{safe(item.slot)} connection {item.index + 1}<br><code>{safe(url)}</code></span></div>"
    )


def _arrow(*, broken: bool, words: str = "") -> str:
    tone, sign = ("bad", "✕") if broken else ("good", "")
    label = f"<br><small>{html.escape(words)}</small>" if words else ""
    return (
        f"<span class='arrow {tone}'><span class=across>{'─ ' * broken}{sign}{' ' * broken}─▶</span>"
        f"<span class=down>{sign} ▼</span>{label}</span>"
    )


def _article(finding: Finding, safe: Callable[[str], str]) -> Iterator[str]:
    yield f"<article class={_TONE[finding.severity]}><h3>{safe(finding.what)}</h3>"
    yield f"<p class=soft>{finding.severity.name.lower()} · <code>{safe(finding.cause)}</code></p>"
    if finding.evidence:
        yield f"<p>What shows it:</p><ul>{''.join(f'<li>{safe(item)}' for item in finding.evidence)}</ul>"
    lines = "\n".join(safe(line) for line in finding.fix.splitlines())
    yield f"<p>What to do:</p><pre>{lines}</pre></article>"
