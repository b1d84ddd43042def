"""The command `sparx-nas calibrate`."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sparx_nas.command.options import Given
from sparx_nas.command.prompt import exit_code
from sparx_nas.command.typed import typed
from sparx_nas.ground.errors import OptionError
from sparx_nas.ground.quantities import counted
from sparx_nas.ground.record import write_text
from sparx_nas.search.calibrating.options import Own, command_line, read
from sparx_nas.trial.measures import score_of

if TYPE_CHECKING:
    from sparx_nas.architecture import Architecture
    from sparx_nas.search.asked.places import Slots
    from sparx_nas.search.asked.settings import Settings
    from sparx_nas.search.calibrating.levels import Level
    from sparx_nas.space import SearchSpace

PROG = "python -m sparx_nas.search.calibrating"
FIRST_SHARE = 1 / 12
"""Share of the time that the first fidelity may take."""
LEAST_IMAGES = 10
"""Training images of a class at least."""
NOTHING, INTERRUPTED = 3, 130
"""Exit codes where no fidelity can be proposed, and after Ctrl-C."""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Calibrate, say what came of it, and write the settings; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    verbose = bool({"-v", "--verbose"} & set(args))
    return exit_code(lambda: _run(command_line(args, prog)), verbose=verbose)


def _run(given: Mapping[str, Given]) -> int:
    """Do what the options ask for."""
    own, asked = read(given)
    from sparx_nas.search.asked.settings import resolve
    from sparx_nas.search.calibrating.writing import check_place
    from sparx_nas.space import load_space
    from sparx_nas.space.spread import spread

    check_place(own.write)
    space = load_space(asked.space)
    settings = replace(resolve(asked, space), seeds=1)
    designs = spread(space, own.designs, seed=settings.seed)
    if len(designs) < 3:
        raise OptionError(f"{space.name} has {len(designs)} designs; it takes 3 to compare")
    # torch takes seconds to import, and mistakes shall be told at once.
    from sparx_nas.search.calibrating.telling import screen

    done = _levels(own, settings, space, designs)
    if not done.levels:
        sys.stderr.write(f"Not one fidelity was done. {done.why}\n")
        return INTERRUPTED if done.interrupted else NOTHING
    sys.stdout.write(screen(done.levels, done.why, done.facts))
    code = _write(own.write, settings, space, done.levels)
    return INTERRUPTED if done.interrupted else code


class Done(NamedTuple):
    """The levels that were trained, why there are no more, and what the images are."""

    levels: list["Level"]
    why: str
    facts: Mapping[str, Any]
    interrupted: bool = False


def _levels(
    own: Own, settings: "Settings", space: "SearchSpace", designs: Mapping[str, "Architecture"]
) -> Done:
    """Train level after level within the time."""
    from sparx_nas.search.calibrating.levels import Level, next_epochs, predicted
    from sparx_nas.search.calibrating.measuring import answers, at_level, workers
    from sparx_nas.search.calibrating.telling import Line

    end, levels, line = time.monotonic() + 60 * own.minutes, list[Level](), Line()
    places, images, facts = _ready(own, settings, space, len(designs))
    total, given = len(designs) * own.repeats, f"{own.minutes:g} minutes (--minutes)"
    measure = score_of(objective.name for objective in settings.objectives)
    try:
        with workers(places) as pool:
            while epochs := next_epochs(levels, own.most_epochs):
                left = end - time.monotonic()
                needed = predicted(levels, epochs, len(designs), own.repeats, places.concurrency)
                if levels and needed > left:
                    return Done(levels, _too_long(epochs, needed, left, own.minutes), facts)
                said = f"{counted(epochs, 'epoch')} of {images:,} images"

                def tell(done: int, said: str = said) -> None:
                    line.say(f"{said}: {done} of {total} trainings", ends=done == total)

                tell(0)
                level = at_level(settings, epochs, images)
                found = answers(pool, level, designs, own.repeats, places, tell, end=end)
                done = Level(epochs=epochs, images=images, answers=found, measure=measure)
                levels.append(done)
    except KeyboardInterrupt:
        return Done(levels, "Interrupted; what was begun is left out.", facts, interrupted=True)
    except TimeoutError:
        fewer = f"more minutes, or fewer than {len(designs)} --designs or {own.repeats} --repeats"
        return Done(levels, f"{said} did not end within {given}: {fewer}.", facts)
    return Done(levels, f"Ended there: --most-epochs is {own.most_epochs}.", facts)


def _too_long(epochs: int, needed: float, left: float, minutes: float) -> str:
    """Say why a level was not begun."""
    return (
        f"Ended there: {counted(epochs, 'epoch')} would take about {needed / 60:.1f} minutes, "
        f"{max(left, 0.0) / 60:.1f} of {minutes:g} are left (--minutes)."
    )


def _ready(
    own: Own, settings: "Settings", space: "SearchSpace", designs: int
) -> tuple["Slots", int, dict[str, Any]]:
    """Share out this machine; say how many training images a first fidelity can afford, and facts.

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
    design = space.baselines["sparx"]
    rate = images_per_s(settings, design, *shape, places) * places.concurrency
    affordable = rate * 60 * own.minutes * FIRST_SHARE / (designs * own.repeats)
    least = LEAST_IMAGES * data.num_classes
    return places, min(data.splits["train"], max(least, int(affordable))), data.describe()


def _write(
    path: Path, settings: "Settings", space: "SearchSpace", levels: Sequence["Level"]
) -> int:
    """Write the settings of the proposed level, if there is one; return the exit code."""
    from sparx_nas.search.calibrating.levels import proposed
    from sparx_nas.search.calibrating.writing import settings_text

    best = proposed(levels)
    if best is None:
        sys.stdout.write("No settings were written.\n")
        return NOTHING
    write_text(path, settings_text(settings, space, best))
    search = typed("search", "--config", path)
    sys.stdout.write(f"\nSettings   {path}\nSearch     {search}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
