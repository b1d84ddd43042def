"""What the fields of a recipe alone may be: pairs, policies of timm's; see `checks`."""

import re

from sparx_nas.command.checks import Check, number, whole


def pair(low: float, high: float) -> Check:
    """Return a check for two ascending numbers in [low, high], with a comma between them."""
    one = number(low, high)

    def check(text: str) -> tuple[float, float]:
        parts = text.split(",")
        try:
            first, second = (one(part.strip()) for part in parts)
        except ValueError:
            first, second = 1, 0
        if first > second:
            expected = f"two ascending numbers from {low:g} to {high:g}, such as {low:g},{high:g}"
            raise ValueError(f"is {text!r}; it is {expected}.")
        return first, second

    return check


def whole_or_none(low: int) -> Check:
    """Return a check for a whole number from `low`, or `none`."""
    one = whole(low)
    return lambda text: None if text == "none" else one(text)


def policy(text: str) -> str:
    """Check for a policy of timm's, or `none`."""
    if not re.fullmatch(r"none|(rand|augmix|original|originalr|v0|v0r|3a)(-[A-Za-z0-9.]+)*", text):
        raise ValueError(f"is {text!r}; it is none or a policy of timm's, such as rand-m9-mstd0.5.")
    return text
