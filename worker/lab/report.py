"""Figures as one HTML page with pictures, that needs nothing beside it."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from worker.emotion import CLASSES
from worker.lab.metrics import FEW

SIZE, MARGIN = 260, 44
"""Of a picture, in pixels."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 66rem; padding: 0 1rem; color: #1c1c28 }
h2 { margin-top: 3rem } table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; font-variant-numeric: tabular-nums }
th { border-bottom: 1px solid #bbb } .pictures { display: flex; flex-wrap: wrap; gap: 1.5rem }
figure { margin: 0 } figcaption { font-weight: 600 } svg text { font-size: 10px; fill: #444 }
@media (prefers-color-scheme: dark) { body { background: #16161d; color: #ddd } svg text { fill: #bbb } }
"""
Points = Sequence[Sequence[float]]


def page(figures: Mapping[str, Any]) -> str:
    """A page from what `worker.lab.evaluate.evaluate` found."""
    judged = [(name, each) for name, each in figures["corpora"].items() if each["classes"]]
    notes = [figures["engine"].get("note"), f"Noise was {figures['noise']}." if "noise" in figures else None]
    body = ["<h1>An emotion engine, judged</h1>", *(f"<p>{escape(note)}</p>" for note in notes if note)]
    body += [_overview(judged), _not_speech(figures["not speech"])]
    body += [_corpus(name, each) for name, each in judged]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Emotion engine</title><style>{STYLE}</style>'
    return head + "\n".join(body) + "</html>\n"


def _overview(judged: Sequence[tuple[str, Any]]) -> str:
    rows = []
    for name, each in judged:
        few = "; few speakers" if each["speakers"] < FEW else ""
        spans = [
            f"{each[key]:.3f} ({each[f'{key} interval'][0]:.3f} to {each[f'{key} interval'][1]:.3f}{few})"
            if key in each
            else "–"
            for key in ("uar", "uar of four")
        ]
        measures = ("ece", "ece of four", "brier", "accuracy at 50 %", "shown")
        values = [f"{each[key]:.3f}" if key in each else "–" for key in measures]
        rows.append([name, each["clips"], each["speakers"], len(each["classes"]), *spans, *values])
    head = ["corpus", "clips", "speakers", "classes", "UAR (95 %)", "UAR of four (95 %)", "ECE", "ECE of four", "Brier"]
    return _table([*head, "right at 50 % coverage", "shown"], rows)


def _not_speech(found: Mapping[str, Any]) -> str:
    shares = ("false verdicts", "false verdicts without voice activity")
    rows = [
        [name, each["windows"], each["asked"], *("–" if each[key] is None else f"{each[key]:.2%}" for key in shares)]
        for name, each in found.items()
    ]
    head = ["corpus", "windows", "asked about", "of these would show an emotion", "of all would, without the VAD"]
    return "<h2>Not speech</h2>" + _table(head, rows) if rows else ""


def _corpus(name: str, each: Mapping[str, Any]) -> str:
    pictures = [
        _figure("Confusion (rows: the label)", _confusion(each["confusion"])),
        _figure("Reliability", _curve([point[:2] for point in each["reliability"]], "confidence", "right", True)),
        _figure("Right at coverage", _curve(each["risk-coverage"], "coverage", "right")),
    ]
    bars = {title: each[title] for title in ("recall", "precision", "windows", "conditions") if title in each}
    bars |= {f"UAR by {title}": values for title, values in each["slices"].items()}
    pictures += [_figure(title, _bars(values)) for title, values in bars.items()]
    return f'<h2>{escape(name)}</h2>{_shown(each["labels shown"])}<div class="pictures">{"".join(pictures)}</div>'


def _shown(labels: Mapping[str, Any]) -> str:
    rows = [
        [
            label,
            each["shown"],
            "–" if each["precision"] is None else f"{each['precision']:.3f}",
            f"{each['by chance']:.3f}",
        ]
        for label, each in labels.items()
    ]
    return _table(["label", "shown", "right", "by chance"], rows)


def _figure(title: str, picture: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{picture}</figure>"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    def line(tag: str, cells: Sequence[object]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line("th", head) + "".join(line("td", row) for row in rows) + "</table>"


def _svg(height: float, content: str, label: str) -> str:
    width = SIZE + 2 * MARGIN
    return f'<svg width="{width}" height="{height:.0f}" role="img" aria-label="{escape(label)}">{content}</svg>'


def _confusion(counts: Sequence[Sequence[int]]) -> str:
    step, parts = SIZE / len(CLASSES), []
    for row, line in enumerate(counts):
        y = MARGIN / 2 + row * step
        parts.append(f'<text x="0" y="{y + step / 2:.0f}">{CLASSES[row][:8]}</text>')
        parts.append(f'<text x="{MARGIN + row * step + 2:.0f}" y="12">{CLASSES[row][:7]}</text>')
        for column, count in enumerate(line):
            share, x = count / max(1, sum(line)), MARGIN + column * step
            box = f'x="{x:.0f}" y="{y:.0f}" width="{step:.0f}" height="{step:.0f}"'
            parts.append(f'<rect {box} fill="#3b5bdb" fill-opacity="{share:.2f}" stroke="#8884"/>')
            parts.append(f'<text x="{x + step / 2 - 8:.0f}" y="{y + step / 2 + 4:.0f}">{share:.0%}</text>')
    return _svg(SIZE + MARGIN, "".join(parts), "confusion matrix")


def _curve(points: Points, across: str, up: str, diagonal: bool = False) -> str:
    def x(value: float) -> float:
        return MARGIN + value * SIZE

    def y(value: float) -> float:
        return 10 + (1 - value) * SIZE

    parts = [f'<rect x="{MARGIN}" y="10" width="{SIZE}" height="{SIZE}" fill="none" stroke="#8888"/>']
    parts += _ticks(x, y)
    if diagonal:
        ends = f'x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"'
        parts.append(f'<line {ends} stroke="#8888" stroke-dasharray="4"/>')
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="#3b5bdb" stroke-width="2"/>')
    parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="#3b5bdb"/>' for a, b in points]
    parts.append(f'<text x="{x(0.4):.0f}" y="{y(0) + 32:.0f}">{across}</text><text x="0" y="{y(0.5):.0f}">{up}</text>')
    return _svg(SIZE + MARGIN, "".join(parts), f"{up} by {across}")


def _ticks(x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    marks = (0.0, 0.25, 0.5, 0.75, 1.0)
    down = [f'<text x="{MARGIN - 24}" y="{y(mark) + 4:.0f}">{mark:g}</text>' for mark in marks]
    return down + [f'<text x="{x(mark) - 6:.0f}" y="{y(0) + 16:.0f}">{mark:g}</text>' for mark in marks]


def _bars(values: Mapping[str, float | None]) -> str:
    parts, left = [], 130
    for row, (name, value) in enumerate(values.items()):
        y, wide = 6 + 20 * row, (SIZE + 2 * MARGIN - left - 40) * (value or 0.0)
        parts.append(f'<text x="0" y="{y + 12}">{escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{wide:.0f}" height="15" fill="#3b5bdb"/>')
        parts.append(f'<text x="{left + wide + 4:.0f}" y="{y + 12}">{"–" if value is None else f"{value:.3f}"}</text>')
    return _svg(12 + 20 * len(values), "".join(parts), ", ".join(values))
