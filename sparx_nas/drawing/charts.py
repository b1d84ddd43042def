"""The charts of a run: one objective against another, and accuracy over epochs."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sparx_nas.drawing import facts
from sparx_nas.drawing.axes import Axis, Frame, axis, frame_svg
from sparx_nas.drawing.labels import Box, Wish, around, place_labels
from sparx_nas.drawing.markup import Markup, join, tag, text
from sparx_nas.ground.quantities import percent
from sparx_nas.trial.measures import amount
from sparx_nas.trial.pareto import minimised, pareto_front
from sparx_nas.trial.values import Objective, TrialRecord, mark_of

SIZE = (680.0, 430.0)
LEFT, TOP, RIGHT, BOTTOM = 64.0, 36.0, 24.0, 56.0
CURVES_RIGHT = 96.0
NAME_ROW = 14.0
SHAPES = {"sparx": "star", "plain": "triangle", "dense": "diamond"}
OTHER_SHAPE = "pentagon"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A trial as a point; `y` is None for one that a limit kept from training.

    `kind` is front, dominated or infeasible; a baseline has its `name` besides. `bounds` is the
    interval that y lies in, `x_bounds` that of x.
    """

    number: int
    x: float
    y: float | None
    kind: str
    name: str
    words: str
    bounds: tuple[float, float] | None = None
    x_bounds: tuple[float, float] | None = None


def marks(
    trials: Sequence[TrialRecord],
    front: Collection[int],
    x: Objective,
    y: Objective,
    bounds: Mapping[int, tuple[float, float] | None] | None = None,
) -> list[Mark]:
    """Turn trials into points; those without a finite value for x are left out.

    An infeasible trial was not trained, so its x comes from its cost. Guests have no place in the
    order of trials. `bounds` holds intervals of y by trial number; front and baselines show them.
    """
    out = []
    for trial in trials:
        place = {} if trial.guest else {"trial": trial.number}
        values = {**place, **trial.cost, **trial.objectives}
        at, height = _finite(values, x.name), _finite(trial.objectives, y.name)
        infeasible = trial.state == "infeasible" or not trial.feasible
        if at is None or (height is None and not infeasible):
            continue
        kind = "infeasible" if infeasible else "front" if trial.number in front else "dominated"
        said = [facts.titled(trial) + (f", baseline {trial.baseline}" if trial.baseline else "")]
        said += [f"{n}: {amount(n, v)}" for n, v in trial.objectives.items()]
        if infeasible:
            said += [*trial.violations, *(["not trained"] if height is None else [])]
        out.append(
            Mark(
                number=trial.number,
                x=at,
                y=height,
                kind=kind,
                name=trial.baseline,
                words="\n".join(said),
                bounds=(bounds or {}).get(trial.number),
                x_bounds=facts.spread(trial, x.name),
            )
        )
    return out


def _finite(values: Mapping[str, float], name: str) -> float | None:
    """Return a value if it is there and a number."""
    value = values.get(name)
    return value if value is not None and math.isfinite(value) else None


def front_svg(
    points: Sequence[Mark],
    x: Objective,
    y: Objective,
    *,
    links: Mapping[int, str] | None = None,
    y_note: str = "",
) -> Markup:
    """Draw one objective against another, with the front's step line and the baselines named.

    `links` are the addresses that points lead to, by trial number. `y_note` stands in the title
    of the y axis, for the fidelity. Without a point to draw it is empty.
    """
    drawn = [(p, p.y) for p in points if p.y is not None]
    if not drawn:
        return Markup("")
    barred = [p for p, _ in drawn if p.bounds and (p.name or p.kind == "front")]
    widths = [v for p, _ in drawn for v in (p.x, *(p.x_bounds or ()))]
    heights = [value for _, value in drawn] + [b for p in barred for b in p.bounds or ()]
    frame = Frame(
        x=axis(x.name, widths, start=LEFT, end=SIZE[0] - RIGHT),
        y=axis(y.name, heights, start=SIZE[1] - BOTTOM, end=TOP),
        size=SIZE,
    )
    steps = _steps(points, frame, x, y)
    parts = [frame_svg(frame, y_note=y_note), _step_line(steps)]
    parts.append(_untrained([p for p in points if p.y is None], frame))
    parts.append(_bars(barred, drawn, frame))
    order = sorted(drawn, key=lambda mark: (bool(mark[0].name), mark[0].kind == "front"))
    for point, value in order:
        shape = point_shape(point, frame.x.at(point.x), frame.y.at(value))
        href = (links or {}).get(point.number)
        parts.append(tag("a", shape, href=href) if href else shape)
    parts.append(_labels(order, frame, steps))
    names = ", ".join(sorted({p.name for p, _ in drawn if p.name})) or "none"
    return _chart(parts, f"{y.name} against {x.name}: {len(drawn)} trials; baselines: {names}")


def _chart(parts: Sequence[Markup], said: str) -> Markup:
    """Wrap the parts of a chart."""
    return tag(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {SIZE[0]:.0f} {SIZE[1]:.0f}",
        width=round(SIZE[0]),
        height=round(SIZE[1]),
        class_="sx sx-chart",
        role="group",
        aria_label=said,
    )


def _steps(
    points: Sequence[Mark], frame: Frame, x: Objective, y: Objective
) -> list[tuple[float, float]]:
    """Return the corners, in px, of the border of what the feasible trials reach."""
    feasible = [(p.x, p.y) for p in points if p.y is not None and p.kind != "infeasible"]
    chosen = pareto_front([minimised(point, (x, y)) for point in feasible])
    spots = [(frame.x.at(px), frame.y.at(py)) for px, py in sorted({feasible[i] for i in chosen})]
    corners = spots[:1]
    for (x1, y1), (x2, y2) in pairwise(spots):
        corners += [(x2, y1) if x.direction == "min" else (x1, y2), (x2, y2)]
    return corners


def _step_line(corners: Sequence[tuple[float, float]]) -> Markup:
    """Draw the border."""
    if not corners:
        return Markup("")
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)
    return tag("path", d=path, class_="sx-step")


def _bars(up: Sequence[Mark], points: Sequence[tuple[Mark, float]], frame: Frame) -> Markup:
    """Draw how far values can be off: y of `up`, and x of every point where that was measured."""
    ends = [(frame.x.at(p.x), *map(frame.y.at, p.bounds)) for p in up if p.bounds]
    wide = [(frame.y.at(y), *map(frame.x.at, p.x_bounds)) for p, y in points if p.x_bounds]
    paths = [f"M{x:.1f} {a:.1f}V{b:.1f}" for x, a, b in ends]
    paths += [f"M{a:.1f} {y:.1f}H{b:.1f}" for y, a, b in wide]
    return join(tag("path", d=path, class_="sx-bar") for path in paths)


def _untrained(points: Sequence[Mark], frame: Frame) -> Markup:
    """Mark infeasible trials that have a cost but no accuracy as crosses on the x axis."""
    shown = [p for p in points if frame.x.shows(p.x)]
    parts = [point_shape(p, frame.x.at(p.x), frame.y.start - 7) for p in shown]
    beyond = len(points) - len(shown)
    if beyond:
        words = text(f"{beyond} more infeasible beyond the axis")
        place = {"x": frame.x.end, "y": frame.y.start - 14}
        parts.append(tag("text", words, **place, class_="sx-end sx-tick"))
    return tag("g", *parts)


def point_shape(point: Mark, x: float, y: float, *, sample: bool = False) -> Markup:
    """Draw one trial; a sample for a key carries no number."""
    if point.name:
        path = _polygon(SHAPES.get(point.name, OTHER_SHAPE), x, y)
    elif point.kind == "infeasible":
        path = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
    else:
        r = 5.5 if point.kind == "front" else 4.0
        path = f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
    role = " sx-baseline" if point.name else ""
    return tag(
        "path",
        tag("title", text(point.words)),
        d=path,
        class_=f"sx-point sx-{point.kind}{role}",
        data_trial=None if sample else point.number,
    )


def _polygon(shape: str, x: float, y: float) -> str:
    """Return the outline of a baseline's shape around a point."""
    corners, radius, inner = {
        "star": (5, 9.0, 4.0),
        "triangle": (3, 8.0, 4.0),
        "diamond": (4, 7.5, 5.3),
        "pentagon": (5, 7.0, 5.7),
    }[shape]
    turns = [
        (math.pi * i / corners - math.pi / 2, inner if i % 2 else radius)
        for i in range(2 * corners)
    ]
    steps = (f"{x + r * math.cos(a):.1f} {y + r * math.sin(a):.1f}" for a, r in turns)
    return f"M{'L'.join(steps)}z"


def _labels(
    order: Sequence[tuple[Mark, float]], frame: Frame, steps: Sequence[tuple[float, float]]
) -> Markup:
    """Name the baselines, and number the front where there is room."""
    places = [(p, frame.x.at(p.x), frame.y.at(value)) for p, value in order]
    wishes = [Wish(p.name, x, y, must=True) for p, x, y in places if p.name]
    wishes += [
        Wish(mark_of(p.number), x, y) for p, x, y in places if p.kind == "front" and not p.name
    ]
    obstacles = [around(x, y, 4.5 if p.kind == "dominated" else 7.0) for p, x, y in places]
    obstacles += [
        Box(min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1)
        for (x1, y1), (x2, y2) in pairwise(steps)
    ]
    area = Box(frame.x.start, frame.y.end - 8, frame.x.end + RIGHT, frame.y.start)
    return join(
        tag(
            "text",
            text(wish.words),
            x=box.left,
            y=box.bottom - 3.5,
            class_="sx-name" if wish.must else "sx-label",
        )
        for wish, box in place_labels(wishes, obstacles, area)
    )


def curves_svg(
    trials: Sequence[TrialRecord], front: Collection[int] = (), *, y_note: str = ""
) -> Markup:
    """Draw validation top-1 by epoch for every trial that has epochs; empty if none has."""
    shown = [trial for trial in trials if trial.epochs]
    if not shown:
        return Markup("")
    epochs = [e.epoch for trial in shown for e in trial.epochs]
    reached = [e.top1 for trial in shown for e in trial.epochs]
    right = SIZE[0] - CURVES_RIGHT
    first, last = min(epochs), max(epochs)
    frame = Frame(
        x=Axis(name="epoch", low=first, high=max(last, first + 1), start=LEFT, end=right),
        y=axis("top1", reached, start=SIZE[1] - BOTTOM, end=TOP),
        size=SIZE,
    )
    order = sorted(shown, key=lambda t: (bool(t.baseline), t.number in front))
    parts = [frame_svg(frame, y_note=y_note)]
    parts += [_curve(trial, trial.number in front, frame) for trial in order]
    parts.append(_curve_names([t for t in order if t.baseline or t.number in front], frame))
    return _chart(parts, f"Validation top-1 by epoch of {len(shown)} trials")


def _curve(trial: TrialRecord, on_front: bool, frame: Frame) -> Markup:
    """Draw one trial's epochs; a single epoch is a dot."""
    spots = [(frame.x.at(e.epoch), frame.y.at(e.top1)) for e in trial.epochs]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
    if len(spots) == 1:
        path += "h0"
    kind = "baseline" if trial.baseline else "front" if on_front else "dominated"
    best = percent(max(e.top1 for e in trial.epochs))
    said = f"{facts.titled(trial)} {trial.baseline}".rstrip() + f": {best} at best"
    return tag(
        "path",
        tag("title", text(said)),
        d=path,
        class_=f"sx-curve sx-{kind}",
        data_trial=trial.number,
    )


def _curve_names(trials: Sequence[TrialRecord], frame: Frame) -> Markup:
    """Name curves at their right end: baselines moved apart, others where there is room."""
    ends = sorted((frame.y.at(t.epochs[-1].top1), t.baseline, t.number) for t in trials)
    places: list[tuple[float, str, str]] = []
    for y, name, _ in ends:
        if name:
            free = max(y, places[-1][0] + NAME_ROW) if places else y
            places.append((free, name, "sx-name"))
    for y, name, number in ends:
        if not name and all(abs(y - other) >= NAME_ROW for other, _, _ in places):
            places.append((y, mark_of(number), "sx-label"))
    x = frame.x.end + 10
    return join(tag("text", text(n), x=x, y=y + 4, class_=kind) for y, n, kind in places)
