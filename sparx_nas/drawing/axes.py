"""Axes of a chart: scales, round ticks, and what a tick and a title say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sparx_nas.drawing.markup import Markup, tag, text
from sparx_nas.ground.quantities import PREFIXES
from sparx_nas.trial.measures import BYTES, MEASURES, SCORES


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: the measure it shows, the values at its ends, and their places in px."""

    name: str
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def shows(self, value: float) -> bool:
        """Tell whether a value lies on the axis."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The plotting area between its two axes; `size` is that of the whole chart in px."""

    x: Axis
    y: Axis
    size: tuple[float, float]


def axis(name: str, values: Sequence[float], *, start: float, end: float) -> Axis:
    """Make an axis that holds the values with some air around them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    air = 0.07 * (high - low) or 0.05 * abs(high) or 0.5
    low, high = low - air, high + air
    if name == "top1":
        low, high = max(low, 0.0), min(high, 1.0 + air / 3)
    return Axis(name=name, low=low, high=high, start=start, end=end)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return about `about` round values, steps of 1, 2, 2.5 or 5, between two others."""
    rough = 0.8 * (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * i for i in range(first, last + 1)]


def tick_labels(name: str, ticks: Sequence[float]) -> list[str]:
    """Write ticks with one prefix and one number of decimals for all of them."""
    if name == "top1":
        scale, unit = 0.01, " %"
    elif name in ("latency_ms", "trial", "epoch", "val_loss"):
        scale, unit = 1.0, ""
    else:
        top = max((abs(tick) for tick in ticks), default=0.0)
        power = min(len(PREFIXES) - 1, int(math.log10(top) // 3)) if top >= 1 else 0
        scale, unit = 1000.0**power, f" {PREFIXES[power]}{'B' if name == BYTES else ''}".rstrip()
    shown = [tick / scale for tick in ticks]
    digits = next(
        (d for d in range(4) if all(abs(round(v, d) - v) < 1e-6 * max(1, abs(v)) for v in shown)), 4
    )
    return [f"{value:.{digits}f}{unit}" for value in shown]


def axis_title(name: str, note: str = "") -> str:
    """Return the measure, whose it is, and which way is better."""
    if name not in MEASURES:
        return name
    better = "more is better" if MEASURES[name].direction == "max" else "less is better"
    words = MEASURES[name]
    what = words.title.lower() if name in SCORES else f"{words.words} of the target"
    return ", ".join(part for part in (what, note, better) if part)


def frame_svg(frame: Frame, *, x_note: str = "", y_note: str = "") -> Markup:
    """Draw the grid, the ticks and the titles."""
    x, y = frame.x, frame.y
    x_ticks = nice_ticks(x.low, x.high)
    if x.name in ("trial", "epoch"):
        x_ticks = [tick for tick in x_ticks if tick == int(tick)]
    y_ticks = nice_ticks(y.low, y.high)
    parts = []
    for tick, label in zip(x_ticks, tick_labels(x.name, x_ticks), strict=True):
        at = x.at(tick)
        parts += [
            tag("path", d=f"M{at:.1f} {y.start:.1f}V{y.end:.1f}", class_="sx-grid"),
            tag("text", text(label), x=at, y=y.start + 18, class_="sx-tick sx-mid"),
        ]
    for tick, label in zip(y_ticks, tick_labels(y.name, y_ticks), strict=True):
        at = y.at(tick)
        parts += [
            tag("path", d=f"M{x.start:.1f} {at:.1f}H{x.end:.1f}", class_="sx-grid"),
            tag("text", text(label), x=x.start - 8, y=at + 4, class_="sx-tick sx-end"),
        ]
    parts += [
        tag("path", d=f"M{x.start:.1f} {y.start:.1f}H{x.end:.1f}", class_="sx-axis"),
        tag("text", text(axis_title(y.name, y_note)), x=4, y=16, class_="sx-axis-title"),
        tag(
            "text",
            text(axis_title(x.name, x_note)),
            x=x.end,
            y=frame.size[1] - 8,
            class_="sx-axis-title sx-end",
        ),
    ]
    return tag("g", *parts)
