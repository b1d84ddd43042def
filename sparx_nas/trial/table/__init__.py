"""Tables of trainings: what the designs of a space are worth, trained beforehand."""

from sparx_nas.trial.table.front import Membership as Membership
from sparx_nas.trial.table.front import front as front
from sparx_nas.trial.table.shelf import open_table as open_table
from sparx_nas.trial.table.shelf import read_table as read_table
from sparx_nas.trial.table.shelf import shipped as shipped
from sparx_nas.trial.table.shelf import write_table as write_table
from sparx_nas.trial.table.table import MEASURES as MEASURES
from sparx_nas.trial.table.table import Table as Table
from sparx_nas.trial.table.table import TableError as TableError
from sparx_nas.trial.table.truth import Truth as Truth
from sparx_nas.trial.table.truth import Truths as Truths
