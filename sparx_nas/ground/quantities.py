"""Numbers as people read them: SI prefixes, percent, durations, and intervals of a proportion."""

import math

PREFIXES = ("", "k", "M", "G", "T", "P")
Z95 = 1.959964
"""The normal quantile of a two-sided 95 % interval."""


def si(value: float, unit: str = "") -> str:
    """Return three significant digits with an SI prefix: 5247196800 is `5.25 G`.

    Whole numbers below 1000 stay as they are.
    """
    size = abs(value)
    power = 0
    while size >= 999.5 and power < len(PREFIXES) - 1:
        size /= 1000
        power += 1
    if power == 0 and value == int(value):
        digits = 0
    else:
        digits = max(0, 2 - math.floor(math.log10(size))) if 0.001 <= size < 999.5 else 0
        if round(size, digits) >= 10 ** (3 - digits):
            digits -= 1
    sign = "-" if value < 0 else ""
    return f"{sign}{size:.{digits}f} {PREFIXES[power]}{unit}".rstrip()


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction as percent: 0.8351 is `83.5 %`."""
    return f"{100 * fraction:.{digits}f} %"


def counted(count: int, noun: str) -> str:
    """Return `1 epoch`, `2 epochs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return the two largest units that matter: 4512 is `1 h 15 m`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest:02d} m"
    days, rest = divmod(round(seconds / 3600), 24)
    return f"{days} d {rest} h"


def wilson(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return the Wilson interval of a proportion of `successes` in `n` independent draws, 95 %.

    Source: Wilson, JASA 22 (1927). Unlike the normal interval it stays in [0, 1] and holds near
    its ends. Without draws it is the whole of [0, 1].
    """
    if n < 1:
        return 0.0, 1.0
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
