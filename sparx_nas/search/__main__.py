"""The command `python -m sparx_nas.search`."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparx_nas.command.options import Given
from sparx_nas.command.prompt import error_text, exit_code
from sparx_nas.ground.errors import RunError
from sparx_nas.search.asked.options import Options, asks_for_plan, command_line, read_options

if TYPE_CHECKING:
    from sparx_nas.space import SearchSpace

PROG = "python -m sparx_nas.search"


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Search, or say what a search would be; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    verbose = bool({"-v", "--verbose"} & set(args))
    if args and args[-1] == "--space":
        # Nobody knows all names: the option without one asks what there is.
        args = [*args[:-1], "--list-spaces"]
    return exit_code(lambda: _run(command_line(args, prog)), verbose=verbose)


def _run(given: Mapping[str, Given]) -> int:
    """Do what the options ask for."""
    asked = read_options(given)
    if asked.list_spaces:
        return _list_spaces(asked)
    if asked.resume:
        return _resume(asked.resume, given)
    if asked.config:
        from sparx_nas.search.asked.config_file import read_config_file
        from sparx_nas.search.asked.moved import overlaid

        given = overlaid(read_config_file(asked.config), given)
        asked = read_options(given)
    if asks_for_plan(asked, given) and not asked.explain:
        return _planned(asked, given)
    from sparx_nas.space import load_space

    space = load_space(asked.space)
    if asked.explain:
        return _explain(asked, space)
    from sparx_nas.search.asked.settings import resolve

    return _search(asked, resolve(asked, space), space, None)


def _planned(asked: Options, given: Mapping[str, Given]) -> int:
    """Choose what is left open so that it fills the time, say so, and search."""
    from sparx_nas.search.planning.planner import planned
    from sparx_nas.search.telling.planned import plan_lines

    sys.stderr.write("Timing a few training steps to plan by …\n")
    settings, space = planned(asked, given)
    if settings.plan and not asked.dry_run:
        # Lines of JSON are for machines alone, so people are told beside them.
        stream = sys.stderr if asked.format == "json" else sys.stdout
        stream.write("\n".join([*plan_lines(settings.plan, settings.constraints), "", ""]))
        stream.flush()
    return _search(asked, settings, space, None)


def _list_spaces(asked: Options) -> int:
    """Print the spaces that have a name."""
    from sparx_nas.search.telling.spaces_table import spaces_json, spaces_text
    from sparx_nas.space import list_spaces

    show = spaces_json if asked.format == "json" else spaces_text
    sys.stdout.write(show(list_spaces()))
    return 0


def _explain(asked: Options, space: "SearchSpace") -> int:
    """Print what a space holds within its limits and those asked for."""
    from sparx_nas.search.asked.limits import in_force
    from sparx_nas.search.telling.describe_json import space_json
    from sparx_nas.space.explain import explain, render

    limits = in_force(space.limits, asked.constraint)
    as_json = asked.format == "json"
    text = space_json(space, limits) if as_json else render(explain(space, limits=limits))
    sys.stdout.write(text)
    return 0


def _resume(path: Path, given: Mapping[str, Given]) -> int:
    """Go on with a run; its options hold unless they are given anew.

    Raises: RunError with a diff if the space, or what decides its candidates' values, changed.
    """
    from sparx_nas import run_store
    from sparx_nas.search.asked.moved import overlaid
    from sparx_nas.search.asked.settings import changes, from_config, given_in, resolve

    config = run_store.read_config(path)
    place = str(path / "config.yaml")
    asked = read_options(overlaid(given_in(config, place), given))
    space = _space_of_run(path, config, asked.space)
    if asked.explain:
        return _explain(asked, space)
    name = run_store.study_name(path)
    old = from_config(config, space, name=name, place=place)
    settings = resolve(asked, space, name=name)
    if differences := changes(old, settings):
        raise RunError(
            f"{path} cannot go on with other settings:\n" + "\n".join(differences),
            hint="leave these options out, or start a new run without --resume",
        )
    return _search(asked, settings, space, path)


def _space_of_run(path: Path, config: Mapping[str, Any], asked: str) -> "SearchSpace":
    """Load the space of a run, from the run's own copy if the file is gone.

    Raises: RunError with a diff if the file means something else now.
    """
    from sparx_nas import run_store
    from sparx_nas.space import list_spaces, load_space, parse_space

    copy = run_store.read_space_text(path)
    by_name = asked in [space.name for space in list_spaces()]
    if not by_name and not Path(asked).exists() and asked == config.get("space"):
        return parse_space(copy, str(path / "space.yaml"))
    space = load_space(asked)
    if space.fingerprint == config.get("space_id"):
        return space
    lines = difflib.unified_diff(
        copy.splitlines(), space.source_text.splitlines(), "the run", space.path, lineterm="", n=1
    )
    raise RunError(
        f"{path} was made with another space:\n" + "\n".join(lines),
        hint="undo the change, or start a new run without --resume",
    )


def _search(asked: Options, settings: Any, space: "SearchSpace", resume: Path | None) -> int:
    """Run the search, or say what it would be."""
    if asked.dry_run:
        from sparx_nas.search.telling.describe import dry_run_text

        text, problems = dry_run_text(settings, space, resume, asked.config)
        sys.stdout.write(text)
        for problem in problems:
            sys.stderr.write(error_text(problem))
        return problems[0].exit_code if problems else 0
    from sparx_nas.search.running.driver import run_search

    return run_search(settings, space, resume=resume)


if __name__ == "__main__":
    sys.exit(main())
