"""One job on many things, by this machine's processes or a cluster's, none of which takes others
down.
"""

from bootsim.fleet.job import Job, Lost, Pool
from bootsim.fleet.processes import TIMEOUT, Processes
from bootsim.fleet.results import Results, run_each

__all__ = ["TIMEOUT", "Job", "Lost", "Pool", "Processes", "Results", "run_each"]
