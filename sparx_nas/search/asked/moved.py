"""Images that lie elsewhere by now: a new place is taken where the content is the old one."""

from collections.abc import Mapping

from sparx_nas.command.checks import anywhere
from sparx_nas.command.options import Given
from sparx_nas.search.asked.settings import is_image_folder


def overlaid(before: Mapping[str, Given], given: Mapping[str, Given]) -> dict[str, Given]:
    """Return the options of a run or a file with those given anew, which win.

    Data named anew are not where the old ones were; a place given anew for an image folder, which
    has no other name than its place, is the folder itself.
    """
    merged = {**before, **given}
    named = str(before["data"].raw) if "data" in before else ""
    if "data" in given and "data_dir" not in given:
        if anywhere(str(given["data"].raw)) != anywhere(named):
            merged.pop("data_dir", None)
    elif "data_dir" in given and "data" not in given and named and is_image_folder(named):
        merged["data"] = merged.pop("data_dir")
    return merged
