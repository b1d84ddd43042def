"""Metrics of a search for the Ray dashboard and Prometheus, tagged by trial."""

from ray.util.metrics import Gauge

STATES = ("running", "complete", "failed", "infeasible")


class Metrics:
    """Gauges, which Ray exports as ray_sparx_nas_*; tags are `run`, `trial` and `wiring`."""

    def __init__(self, run: str) -> None:
        tags = ("run", "trial", "wiring")
        self.run = run
        self.state = Gauge("sparx_nas_trial_state", "1 for the state it is in", (*tags, "state"))
        self.top1 = Gauge("sparx_nas_best_top1", "best validation top-1 of a trial, 0 to 1", tags)
        self.speed = Gauge("sparx_nas_images_per_s", "training images a second of a trial", tags)
        self.volume = Gauge("sparx_nas_hypervolume", "hypervolume of the front, 0 to 1", ("run",))
        self.best: dict[int, float] = {}

    def trial(self, number: int, label: str, *, state: str) -> None:
        """Say which state a trial is in."""
        for name in STATES:
            tags = self._tags(number, label) | {"state": name}
            self.state.set(float(name == state), tags=tags)

    def epoch(self, number: int, label: str, top1: float, images_per_s: float) -> None:
        """Say how a trial does."""
        self.best[number] = max(top1, self.best.get(number, 0.0))
        self.top1.set(self.best[number], tags=self._tags(number, label))
        self.speed.set(images_per_s, tags=self._tags(number, label))

    def hypervolume(self, volume: float) -> None:
        """Say how good the front is."""
        self.volume.set(volume, tags={"run": self.run})

    def _tags(self, number: int, label: str) -> dict[str, str]:
        """Return the tags of a trial."""
        return {"run": self.run, "trial": str(number), "wiring": label}
