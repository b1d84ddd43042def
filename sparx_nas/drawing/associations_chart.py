"""The forest plot of associations: for each feature its change of top-1 and the interval of it."""

from collections.abc import Sequence
from statistics import median

from sparx_nas.drawing.associations import Association
from sparx_nas.drawing.axes import Axis, nice_ticks
from sparx_nas.drawing.markup import Markup, join, tag, text

WIDTH, LEFT, RIGHT = 520.0, 150.0, 18.0
TOP, ROW, BOTTOM = 38.0, 42.0, 58.0
LINE = 14
"""Characters of a feature's name that fit in one line of its column."""
REACH = 4.0
"""The axis ends at this many times the usual reach of an interval; wider ones get arrows."""
ASSOCIATIONS_CSS = """
.sx-associations{width:100%;max-width:700px;display:block}
.sx-associations .sx-zero{stroke:var(--sx-muted);stroke-width:1.4;stroke-dasharray:4 3}
.sx-associations .sx-interval{fill:none;stroke:var(--sx-grey);stroke-width:1.8;
stroke-linecap:round;stroke-linejoin:round}
.sx-associations .sx-estimate{fill:var(--sx-paper);stroke:var(--sx-grey);stroke-width:2}
.sx-associations .sx-clear .sx-interval{stroke:var(--sx-blue);stroke-width:2.6}
.sx-associations .sx-clear .sx-estimate{fill:var(--sx-blue);stroke:var(--sx-blue)}
.sx-associations .sx-clear .sx-feature{font-weight:600}
.sx-associations .sx-feature{text-anchor:end}
@media (max-width:600px){.sx-associations .sx-feature,.sx-associations .sx-tick,
.sx-associations .sx-axis-title{font-size:17px}}
"""


def associations_svg(found: Sequence[Association], *, limit: int = 12) -> Markup:
    """Draw up to `limit` features, clear ones first; empty if there are none.

    An interval that leaves the axis ends in an arrow. Hovering a row says its numbers.
    """
    order = sorted(found, key=lambda one: not one.clear)
    shown = order[:limit]
    if not shown:
        return Markup("")
    bottom = TOP + ROW * len(shown)
    axis = _axis(shown)
    parts = [_grid(axis, bottom), _key(axis)]
    parts += [_row(one, axis, TOP + ROW * (i + 0.5)) for i, one in enumerate(shown)]
    size = (WIDTH, bottom + BOTTOM)
    return tag(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {size[0]:.0f} {size[1]:.0f}",
        width=round(size[0]),
        height=round(size[1]),
        class_="sx sx-chart sx-associations",
        role="img",
        aria_label=_summary(found, len(shown)),
    )


def _axis(shown: Sequence[Association]) -> Axis:
    """Make an axis in points that holds 0, every estimate and every clear interval."""
    ends = [100 * end for one in shown for end in (one.low, one.high)]
    must = [100 * one.slope for one in shown] + [0.0]
    must += [100 * end for one in shown if one.clear for end in (one.low, one.high)]
    reach = REACH * median(map(abs, ends))
    low = min(*must, max(min(ends), -reach))
    high = max(*must, min(max(ends), reach))
    air = 0.04 * (high - low) or 0.5
    return Axis(name="points", low=low - air, high=high + air, start=LEFT, end=WIDTH - RIGHT)


def _grid(axis: Axis, bottom: float) -> Markup:
    """Draw the ticks, the line at no change and the title."""
    parts = []
    for tick in nice_ticks(axis.low, axis.high, about=4):
        at = axis.at(tick)
        zero = abs(tick) < 1e-9
        label = "0" if zero else f"{tick:+.3g}"
        grid = "sx-zero" if zero else "sx-grid"
        parts += [
            tag("path", d=f"M{at:.1f} {TOP:.1f}V{bottom:.1f}", class_=grid),
            tag("text", text(label), x=at, y=bottom + 18, class_="sx-tick sx-mid"),
        ]
    title = text("points of top-1 at equal cost")
    place = {"x": axis.end, "y": bottom + 46}
    parts.append(tag("path", d=f"M{axis.start:.1f} {bottom:.1f}H{axis.end:.1f}", class_="sx-axis"))
    parts.append(tag("text", title, **place, class_="sx-axis-title sx-end"))
    return tag("g", *parts)


def _key(axis: Axis) -> Markup:
    """Explain the two kinds of rows."""
    kinds = ((axis.start, "sx-clear", "clear"), (axis.start + 90, "sx-unclear", "not clear"))
    return join(
        tag(
            "g",
            _estimate(x + 7, 16.0),
            tag("text", text(words), x=x + 18, y=20.0, class_="sx-tick"),
            class_=kind,
        )
        for x, kind, words in kinds
    )


def _row(one: Association, axis: Axis, y: float) -> Markup:
    """Draw a feature's name, interval and estimate."""
    lines = _lines(one.feature)
    first = y + 5 - 9 * (len(lines) - 1)
    name = [tag("tspan", text(line), x=LEFT - 12, y=first + 18 * i) for i, line in enumerate(lines)]
    return tag(
        "g",
        tag("title", text(_numbers(one))),
        tag("text", *name, class_="sx-feature"),
        _interval(one, axis, y),
        _estimate(axis.at(100 * one.slope), y),
        class_="sx-clear" if one.clear else "sx-unclear",
    )


def _interval(one: Association, axis: Axis, y: float) -> Markup:
    """Draw an interval's line, closed by a bar on the axis and by an arrow beyond it."""
    path = ""
    for end, place, inward in ((one.low, axis.start, 6), (one.high, axis.end, -6)):
        if axis.shows(100 * end):
            place = axis.at(100 * end)
            path += f"M{place:.1f} {y - 5:.1f}v10"
        else:
            path += f"M{place + inward:.1f} {y - 5:.1f}L{place:.1f} {y:.1f}l{inward} 5"
        path += f"M{place:.1f} {y:.1f}H{axis.at(100 * one.slope):.1f}"
    return tag("path", d=path, class_="sx-interval")


def _estimate(x: float, y: float) -> Markup:
    """Draw a point."""
    return tag("circle", cx=x, cy=y, r=5.5, class_="sx-estimate")


def _lines(name: str) -> list[str]:
    """Break a name between words into lines of the column's width."""
    lines = [""]
    for word in name.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if len(longer) <= LINE or not lines[-1] else [*lines, word]
    return lines


def _numbers(one: Association) -> str:
    """Say what a row shows."""
    change, low, high = (f"{100 * value:+.2f}" for value in (one.slope, one.low, one.high))
    return (
        f"{one.feature} from {one.low_value:.3g} to {one.high_value:.3g}: {change} points of "
        f"top-1 at equal cost, 95 % interval {low} to {high}, {one.n} wirings"
    )


def _summary(found: Sequence[Association], shown: int) -> str:
    """Say what the chart comes to."""
    clear = [f"{one.feature} {100 * one.slope:+.1f}" for one in found if one.clear]
    said = f"Change of top-1 in points at equal cost with {shown} of {len(found)} features: "
    return said + ("clear for " + ", ".join(clear) if clear else "none of them clear")
