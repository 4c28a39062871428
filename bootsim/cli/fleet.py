"""Many trees at once: who works on them, and what is kept of a run that is broken off."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from bootsim.cli.options import refuse
from bootsim.cli.printing import Bar
from bootsim.errors import BootsimError

if TYPE_CHECKING:
    from bootsim.fleet import Job, Pool

Result = TypeVar("Result")


def run_fleet(
    files: list[str],
    job: Job[str, Any, Result],
    options: dict[str, Any],
    take: Callable[[Result], None],
    bar: Bar,
) -> BaseException | None:
    """Have `job` done to all of `files`; `take` is given each result, in order.

    What breaks the run off, Ctrl-C or the loss of a cluster, is returned, for the caller to raise
    once it has printed what there is. Raises BootsimError for a cluster that there is not.
    """
    from bootsim.fleet import run_each

    results = run_each(files, job, _pool(options), progress=bar)
    try:
        for result in results:
            take(result)
    except KeyboardInterrupt as error:
        broken_off: BaseException = error
    except BootsimError as error:
        if not results.done:
            raise
        broken_off = error
    else:
        return None
    finally:
        results.close()
        bar.clear()
    for result in results.untaken():
        take(result)
    return broken_off


def _pool(options: dict[str, Any]) -> Pool:
    if options["scheduler"] is not None:
        refuse("a cluster has its own processes", "jobs")
        from bootsim.fleet.cluster import Cluster

        return Cluster(options["scheduler"], options["timeout"])
    from bootsim.fleet import Processes

    return Processes(options["jobs"], options["timeout"])
