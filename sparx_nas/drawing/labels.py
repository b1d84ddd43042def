"""Put labels beside points so that none covers another label or another point."""

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTER = 6.8
HEIGHT = 14.0
GAPS = (11.0, 20.0, 32.0, 46.0)
DIRECTIONS = ((1, 0), (1, -0.7), (1, 0.7), (-1, -0.7), (-1, 0.7), (-1, 0), (0, -1), (0, 1))


@dataclass(frozen=True)
class Box:
    """A rectangle in px."""

    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: "Box") -> bool:
        """Tell whether two rectangles share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: "Box") -> bool:
        """Tell whether the other rectangle lies inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )


@dataclass(frozen=True)
class Wish:
    """A label that wants a place beside a point; one that `must` be shown takes a poor place."""

    words: str
    x: float
    y: float
    must: bool = False


def around(x: float, y: float, reach: float) -> Box:
    """Return the square around a point."""
    return Box(x - reach, y - reach, x + reach, y + reach)


def place_labels(
    wishes: Sequence[Wish], obstacles: Sequence[Box], area: Box
) -> list[tuple[Wish, Box]]:
    """Place labels in the order given; those that find no free place are left out.

    A label that must be shown and finds none goes to the first place inside the area, whatever
    it covers but labels placed before.
    """
    placed: list[tuple[Wish, Box]] = []
    for wish in wishes:
        boxes = [box for box in _candidates(wish) if area.holds(box)]
        apart = [box for box in boxes if not any(box.covers(other) for _, other in placed)]
        free = [box for box in apart if not any(box.covers(other) for other in obstacles)]
        if free:
            placed.append((wish, free[0]))
        elif wish.must and (apart or boxes):
            placed.append((wish, (apart or boxes)[0]))
    return placed


def _candidates(wish: Wish) -> list[Box]:
    """List the places a label may take, the nearest first."""
    width = CHARACTER * len(wish.words)
    out = []
    for gap in GAPS:
        for dx, dy in DIRECTIONS:
            x, y = wish.x + dx * gap, wish.y + dy * gap * 1.2
            left = x if dx > 0 else x - width if dx < 0 else x - width / 2
            out.append(Box(left, y - HEIGHT / 2, left + width, y + HEIGHT / 2))
    return out
