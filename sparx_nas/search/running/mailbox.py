"""The way of weights from workers to the driver; it imports nothing, to start quickly."""


class Mailbox:
    """Carries weights from workers to the driver, which alone writes the run."""

    def __init__(self) -> None:
        self.letters: dict[int, list[bytes]] = {}

    def put(self, number: int, weights: list[bytes]) -> None:
        """Leave the weights of a trial, one of each training."""
        self.letters[number] = weights

    def take(self, number: int) -> list[bytes] | None:
        """Fetch the weights of a trial, once."""
        return self.letters.pop(number, None)
