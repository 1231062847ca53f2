"""Pictures as SVG that needs nothing else: a heat map, and stacked bars. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_FONT = "font-family='system-ui,sans-serif' font-size='12'"
_OUTLINED = "fill='#ffffff' stroke='#1f2328' stroke-width='2.5' paint-order='stroke'"
_CELL, _SIGNS = 22, "=omfruCs"


def _open(width: int, height: int, title: str) -> list[str]:
    return [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}' "
        f"role='img' {_FONT}>",
        f"<title>{escape(title)}</title><rect width='{width}' height='{height}' fill='#ffffff'/>",
        f"<text x='12' y='22' font-size='15' font-weight='600' fill='#1f2328'>{escape(title)}</text>",
    ]


def _legend(colors: Mapping[str, str], x: int, y: int, signs: Mapping[str, str]) -> list[str]:
    out = []
    for name, color in colors.items():
        out.append(f"<rect x='{x}' y='{y}' width='12' height='12' rx='2' fill='{color}'/>")
        words = f"{signs.get(name, '')} {name}".strip()
        out.append(f"<text x='{x + 17}' y='{y + 10}' fill='#1f2328'>{escape(words)}</text>")
        x += 32 + 7 * len(words)
    return out


def heat_map(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[str, str], tuple[str, str]],
    colors: Mapping[str, str],
) -> str:
    """Draw rows × columns.

    Args:
        cells: for a row and a column its kind (a key of ``colors``) and the words shown when pointed at.
    """
    left, top = 24 + 7 * max((len(row) for row in rows), default=0), 110
    out = _open(max(left + _CELL * len(columns) + 20, 700), top + _CELL * len(rows) + 20, title)
    signs = dict(zip(colors, _SIGNS, strict=False))  # for whoever does not see the colours
    used = {kind for kind, _ in cells.values()}
    out += _legend({name: color for name, color in colors.items() if name in used}, 12, 34, signs)
    for number, column in enumerate(columns):
        x = left + _CELL * number + 15
        out.append(f"<text transform='translate({x} {top - 6}) rotate(-60)' fill='#1f2328'>{escape(column)}</text>")
    for line, row in enumerate(rows):
        y = top + _CELL * line
        out.append(f"<text x='12' y='{y + 15}' fill='#1f2328'>{escape(row)}</text>")
        for number, column in enumerate(columns):
            kind, words = cells.get((row, column), ("", "not tried"))
            x, pointed = left + _CELL * number, escape(f"{row} on {column}: {words}")
            box = f"<rect x='{x}' y='{y}' width='{_CELL - 2}' height='{_CELL - 2}' rx='3'"
            out.append(f"<g><title>{pointed}</title>{box} fill='{colors.get(kind, '#eaeef2')}'/>")
            out.append(f"<text x='{x + 6}' y='{y + 14}' {_OUTLINED}>{signs.get(kind, '')}</text></g>")
    return "\n".join([*out, "</svg>"]) + "\n"


def stacked_bars(title: str, bars: Mapping[str, Mapping[str, int]], colors: Mapping[str, str]) -> str:
    """Draw one bar of shares for each name; every part says its count and share."""
    left, width, height = 24 + 7 * max((len(name) for name in bars), default=0), 900, 34
    out = _open(width, 70 + height * len(bars) + 10, title)
    out += _legend(colors, 12, 34, {})
    for line, (name, parts) in enumerate(bars.items()):
        y, x, total = 62 + height * line, float(left), sum(parts.values()) or 1
        out.append(f"<text x='12' y='{y + 18}' fill='#1f2328'>{escape(name)}</text>")
        for kind, color in colors.items():
            if not (share := parts.get(kind, 0) / total):
                continue
            size = share * (width - left - 20)
            words = f"{name}: {kind} {parts[kind]} of {total} ({share:.1%})"
            out.append(
                f"<rect x='{x:.1f}' y='{y}' width='{size:.1f}' height='{height - 8}' fill='{color}'>"
                f"<title>{escape(words)}</title></rect>"
            )
            if size > 34:
                out.append(f"<text x='{x + 5:.1f}' y='{y + 18}' fill='#ffffff'>{parts[kind]}</text>")
            x += size
    return "\n".join([*out, "</svg>"]) + "\n"
