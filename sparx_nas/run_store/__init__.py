"""The folder of a run: its study, its curves, and the files derived from them."""

from sparx_nas.run_store.best import write_best
from sparx_nas.run_store.best_network import best_network
from sparx_nas.run_store.curves import (
    CURVES,
    Curve,
    End,
    log_end,
    log_epoch,
    log_start,
    log_test,
    read_curves,
)
from sparx_nas.run_store.derived import trials_table, write_derived
from sparx_nas.run_store.environment import environment, masked
from sparx_nas.run_store.folder import (
    create_folder,
    default_storage,
    read_config,
    read_env,
    read_space_text,
    storage_of,
    study_name,
    write_config,
)
from sparx_nas.run_store.guests import guest_of, guests_name, has_guests, open_guests, turned
from sparx_nas.run_store.importance import importance_path, read_importance, write_importance
from sparx_nas.run_store.load import Follower, load_run
from sparx_nas.run_store.queue import (
    Verdict,
    Waiting,
    enqueue,
    judge,
    limits_of,
    queued,
    read_run_space,
    waiting,
)
from sparx_nas.run_store.records import Unfinished, pareto_of, records, unfinished
from sparx_nas.run_store.status import is_alive, read_status, write_status
from sparx_nas.run_store.study import (
    StorageError,
    begin,
    complete,
    fail,
    has_study,
    open_study,
    prune,
)
from sparx_nas.run_store.weights import KeepWeights, prune_weights, weights_path

__all__ = [
    "CURVES",
    "Curve",
    "End",
    "Follower",
    "KeepWeights",
    "StorageError",
    "Unfinished",
    "Verdict",
    "Waiting",
    "begin",
    "best_network",
    "complete",
    "create_folder",
    "default_storage",
    "enqueue",
    "environment",
    "fail",
    "guest_of",
    "guests_name",
    "has_guests",
    "has_study",
    "importance_path",
    "is_alive",
    "judge",
    "limits_of",
    "load_run",
    "log_end",
    "log_epoch",
    "log_start",
    "log_test",
    "masked",
    "open_guests",
    "open_study",
    "pareto_of",
    "prune",
    "prune_weights",
    "queued",
    "read_config",
    "read_curves",
    "read_env",
    "read_importance",
    "read_run_space",
    "read_space_text",
    "read_status",
    "records",
    "storage_of",
    "study_name",
    "trials_table",
    "turned",
    "unfinished",
    "waiting",
    "weights_path",
    "write_best",
    "write_config",
    "write_derived",
    "write_importance",
    "write_status",
]
