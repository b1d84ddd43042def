"""The command `sparx-nas calibrate`."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparx_nas.command.options import Given
from sparx_nas.command.prompt import exit_code
from sparx_nas.ground.errors import OptionError
from sparx_nas.ground.record import write_text
from sparx_nas.search.calibrating.options import SHARED, Own, command_line, read
from sparx_nas.trial.measures import score_of

if TYPE_CHECKING:
    from sparx_nas.search.asked.places import Slots
    from sparx_nas.search.asked.settings import Settings
    from sparx_nas.search.calibrating.levels import Level
    from sparx_nas.space import SearchSpace

PROG = "python -m sparx_nas.search.calibrating"
FIRST_SHARE = 1 / 12
"""Share of the time that the first fidelity may take."""
LEAST_IMAGES = 10
"""Training images of a class at least."""
WRITTEN = tuple(name for names in SHARED.values() for name in names)
"""What a settings file holds besides the level: all that a calibration shares with a search."""
NOTHING = 3
"""Exit code where no fidelity can be proposed."""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Calibrate, say what came of it, and write the settings; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    verbose = bool({"-v", "--verbose"} & set(args))
    return exit_code(lambda: _run(command_line(args, prog)), verbose=verbose)


def _run(given: Mapping[str, Given]) -> int:
    """Do what the options ask for."""
    own, asked = read(given)
    from sparx_nas.search.asked.settings import resolve
    from sparx_nas.space import load_space
    from sparx_nas.space.spread import spread

    _check_place(own.write)
    space = load_space(asked.space)
    settings = replace(resolve(asked, space), seeds=1)
    designs = spread(space, own.designs, seed=settings.seed)
    if len(designs) < 3:
        raise OptionError(f"{space.name} has {len(designs)} designs; it takes 3 to compare")
    # torch takes seconds to import, and mistakes shall be told at once.
    from sparx_nas.search.calibrating.telling import screen

    levels, why = _levels(own, settings, space, designs)
    if not levels:
        sys.stderr.write("Not one fidelity was done.\n")
        return NOTHING
    sys.stdout.write(screen(levels, why))
    return _write(own.write, settings, levels)


def _check_place(path: Path) -> None:
    """Make sure that the settings can be written, before anything is trained.

    Raises: OptionError if there is no such folder, or a file is there already.
    """
    if not path.parent.is_dir():
        raise OptionError(f"--write {path}: there is no folder {path.parent}")
    if path.exists():
        raise OptionError(f"--write {path}: the file exists", hint="--write names another")


def _levels(
    own: Own, settings: "Settings", space: "SearchSpace", designs: Mapping[str, object]
) -> tuple[list["Level"], str]:
    """Train level after level within the time; return them and why it ended."""
    from sparx_nas.search.calibrating.levels import Level, next_epochs, predicted
    from sparx_nas.search.calibrating.measuring import answers, at_level, workers
    from sparx_nas.search.calibrating.telling import Line

    start, levels, line = time.monotonic(), list[Level](), Line()
    places, images = _ready(own, settings, space, len(designs))
    total = len(designs) * own.repeats
    try:
        with workers(places) as pool:
            while epochs := next_epochs(levels, own.most_epochs):
                left = 60 * own.minutes - (time.monotonic() - start)
                needed = predicted(levels, epochs, len(designs), own.repeats, places.concurrency)
                if needed > left:
                    return levels, (
                        f"Ended there: {epochs} epochs would take about {needed / 60:.1f} minutes, "
                        f"{max(left, 0.0) / 60:.1f} of {own.minutes:g} are left (--minutes)."
                    )
                said = f"{epochs} epoch{'s' if epochs > 1 else ''} of {images:,} images"

                def tell(done: int, said: str = said) -> None:
                    line.say(f"{said}: {done} of {total} trainings", ends=done == total)

                tell(0)
                level = at_level(settings, epochs, images)
                found = answers(pool, level, designs, own.repeats, places, tell)  # type: ignore[arg-type]
                of = {"measure": score_of(o.name for o in settings.objectives)}
                levels.append(Level(epochs=epochs, images=images, answers=found, **of))
    except KeyboardInterrupt:
        return levels, "Interrupted; what was begun is left out."
    return levels, f"Ended there: --most-epochs is {own.most_epochs}."


def _ready(
    own: Own, settings: "Settings", space: "SearchSpace", designs: int
) -> tuple["Slots", int]:
    """Share out this machine and say how many training images the first fidelity can afford.

    Raises: DataError if the data are not there; DeviceError for a device that is not.
    """
    import torch

    from sparx_nas.data import open_data
    from sparx_nas.search.asked.places import here, slots
    from sparx_nas.search.telling.pace import images_per_s

    folder = Path(settings.data_dir) if settings.data_dir else None
    data = open_data(
        settings.data, data_dir=folder, image_size=settings.image_size, seed=settings.seed
    )
    places = slots(settings, here(torch.cuda.device_count()))
    shape = (data.in_chans, data.num_classes)
    rate = images_per_s(settings, space, *shape, places) * places.concurrency
    affordable = rate * 60 * own.minutes * FIRST_SHARE / (designs * own.repeats)
    least = LEAST_IMAGES * data.num_classes
    return places, max(least, min(data.splits["train"], int(affordable)))


def _write(path: Path, settings: "Settings", levels: Sequence["Level"]) -> int:
    """Write the settings of the proposed level, if there is one; return the exit code."""
    from sparx_nas.search.asked.settings import written
    from sparx_nas.search.calibrating.levels import proposed, settings_text

    best = proposed(levels)
    if best is None:
        sys.stdout.write("No settings were written.\n")
        return NOTHING
    known = written(settings)
    kept = {name: known[name] for name in WRITTEN if known[name] is not None}
    write_text(path, settings_text(kept, best))
    sys.stdout.write(f"\nSettings   {path}\nSearch     sparx-nas search --config {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
