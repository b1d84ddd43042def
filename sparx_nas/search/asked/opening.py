"""The images of a search, opened in this process as its trials will open them."""

from pathlib import Path
from typing import TYPE_CHECKING

from sparx_nas import run_store
from sparx_nas.ground.errors import RunError
from sparx_nas.search.asked.prepared import data_request
from sparx_nas.search.asked.settings import Settings

if TYPE_CHECKING:
    from sparx_nas.data import DataSet


def open_here(settings: Settings) -> "DataSet":
    """Open the data of a search here, the test split left out; decodes what fits into memory.

    Raises: DataError exactly as the search itself would.
    """
    from sparx_nas.data import open_data

    request = data_request(settings)
    folder = request.pop("data_dir")
    return open_data(**request, data_dir=Path(folder) if folder else None)


def check_same_images(path: Path, data_id: str) -> None:
    """Make sure that a run which goes on has the images it began with, wherever they are.

    Raises: RunError with both hashes.
    """
    before = run_store.read_env(path).get("data", {}).get("data_id")
    if before != data_id:
        raise RunError(
            f"{path}: the data changed since the run began (hash {before}, now {data_id})",
            hint="bring the old data back, or start a new run",
        )
