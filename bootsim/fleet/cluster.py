"""Workers of a Dask cluster that is there already, by the library `distributed`.

They need bootsim of this version and none of this machine's files.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from bootsim import __version__
from bootsim.errors import BootsimError
from bootsim.fleet.deadline import within
from bootsim.fleet.job import Item, Job, Loaded, Lost, Result
from bootsim.fleet.processes import TIMEOUT

if TYPE_CHECKING:
    from distributed import Client

_CONNECT = 10.0  # seconds for a scheduler to answer, or to come back
_NO_WORKER = 60.0  # seconds that a cluster may be without any worker
_LOOK = 5.0  # seconds without a result, after which to see whether there are workers
_AHEAD = 4  # items for each of the cluster's threads that are with it at a time
_AHEAD_MIN = 64  # enough for a cluster to grow by, if it does that by itself
# Those that have levels of their own.
_LOGGERS = ("distributed", "distributed.client", "distributed.scheduler", "tornado.application")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The workers behind the scheduler at `address`, as tcp://host:8786.

    `timeout` in seconds an item, of a worker's time. What gets lost, as with a worker that dies,
    is done once more at the end, alone: so an item that kills its workers takes no other along.
    """

    address: str
    timeout: float = TIMEOUT

    def run(
        self, job: Job[Item, Loaded, Result], items: Sequence[Item]
    ) -> Generator[tuple[int, Result], None, None]:
        """As Pool.run(). Raises BootsimError if there are no workers, or none any more."""
        with _connected(self.address) as client:
            _check_workers(self.address, client)
            yield from _Run(self, client, job, items).results()


class _Run(Generic[Item, Loaded, Result]):
    """The items of one run, of which some are with the cluster."""

    def __init__(
        self,
        cluster: Cluster,
        client: Client,
        job: Job[Item, Loaded, Result],
        items: Sequence[Item],
    ) -> None:
        import cloudpickle  # noqa: PLC0415 - it comes with distributed

        self._cluster = cluster
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._job = job
        self._packed: bytes = cloudpickle.dumps(job)
        self._items = items
        self._pending: dict[Future[Result], int] = {}
        self._lost: dict[int, BaseException] = {}

    def results(self) -> Iterator[tuple[int, Result]]:
        try:
            ahead = max(_AHEAD_MIN, _AHEAD * sum(self._client.nthreads().values()))
            for number in range(len(self._items)):
                yield from self._submit(number)
                if len(self._pending) >= ahead:
                    yield from self._collect()
            while self._pending:
                yield from self._collect()
            for number in sorted(self._lost):
                yield from self._alone(number)
        except (OSError, RuntimeError) as error:  # of the connection: no one else raises here
            raise self._gone() from error
        finally:
            self._executor.shutdown(wait=False)

    def _submit(self, number: int) -> Iterator[tuple[int, Result]]:
        """Hand an item over; yields it if it can't be loaded."""
        item = self._items[number]
        try:
            loaded = self._job.load(item)
        except Exception as error:
            yield number, self._job.failed(item, error)
            return
        future = self._executor.submit(_perform, self._packed, item, loaded, self._cluster.timeout)
        self._pending[future] = number

    def _collect(self) -> Iterator[tuple[int, Result]]:
        """What has been done since the last time; waits until something is."""
        for future in self._done():
            number = self._pending.pop(future)
            try:
                result = future.result()
            except (Exception, CancelledError) as error:  # the cluster's: _perform() raises none
                self._lost[number] = error
            else:
                yield number, result

    def _alone(self, number: int) -> Iterator[tuple[int, Result]]:
        """Do an item that has got lost once more, when no other can be the reason."""
        self._lost.pop(number)
        yield from self._submit(number)
        while self._pending:
            yield from self._collect()
        if number in self._lost:
            why = _why_lost(self._lost.pop(number))
            yield number, self._job.failed(self._items[number], Lost(why))

    def _done(self) -> set[Future[Result]]:
        last = time.monotonic()
        while True:
            done, _ = wait(self._pending, timeout=_LOOK, return_when=FIRST_COMPLETED)
            if self._client.status != "running":
                raise self._gone()
            if done:
                return done
            if self._client.nthreads():
                last = time.monotonic()
            elif time.monotonic() - last > _NO_WORKER:
                raise BootsimError(f"--scheduler {self._cluster.address}: no worker is left")

    def _gone(self) -> BootsimError:
        return BootsimError(f"--scheduler {self._cluster.address}: it has gone away")


def _perform(packed: bytes, item: Any, loaded: Any, timeout: float) -> Any:
    """On a worker: the job's second step, as far as `timeout` allows."""
    job = pickle.loads(packed)
    try:
        return within(timeout, lambda: job.finish(item, loaded))
    except TimeoutError:
        return job.failed(item, Lost(f"given up after {timeout:g} s"))


def _why_lost(error: BaseException) -> str:
    from distributed.scheduler import KilledWorker  # noqa: PLC0415

    if isinstance(error, KilledWorker):
        return "the workers that had it died"
    return f"the cluster lost it: {_first_line(error)}"


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """A client of the scheduler at `address`. Raises BootsimError, also without `distributed`."""
    try:
        from distributed import Client  # noqa: PLC0415 - half a second, and an extra
    except ImportError as error:
        raise BootsimError("--scheduler takes Dask: pip install 'bootsim[cluster]'") from error
    with _silence():
        _greet(address)
        try:
            client = Client(address, timeout=_CONNECT, set_as_default=False, name="bootsim")
        except (OSError, ValueError, RuntimeError) as error:
            raise BootsimError(f"--scheduler {address}: {_first_line(error)}") from error
        try:
            yield client
        finally:
            with suppress(Exception):  # it may have lost its scheduler
                client.close(timeout=2)


def _greet(address: str) -> None:
    """See whether a scheduler answers at `address`: Client() may wait forever for one."""
    from distributed import Security  # noqa: PLC0415
    from distributed.comm import connect  # noqa: PLC0415
    from distributed.comm.addressing import parse_address, parse_host_port  # noqa: PLC0415
    from distributed.comm.registry import get_backend  # noqa: PLC0415

    async def greet() -> None:
        comm = await connect(address, timeout=_CONNECT, **Security().get_connection_args("client"))
        await comm.write({"op": "identity", "reply": True})
        answer = await comm.read()
        comm.abort()
        if not isinstance(answer, dict) or answer.get("type") != "Scheduler":
            raise OSError("who answers is no scheduler")

    try:
        scheme, place = parse_address(address)
        get_backend(scheme)
        host, port = parse_host_port(place)
    except ValueError as error:
        raise BootsimError(
            f"--scheduler {address}: expected an address as tcp://host:8786: {error}"
        ) from error
    try:
        socket.create_connection(
            (host, port), _CONNECT
        ).close()  # refused at once, unlike connect()
        asyncio.run(asyncio.wait_for(greet(), _CONNECT))
    except TimeoutError as error:
        raise BootsimError(f"--scheduler {address}: no scheduler answers") from error
    except OSError as error:
        raise BootsimError(f"--scheduler {address}: {error.strerror or error}") from error


def _check_workers(address: str, client: Client) -> None:
    """Raises BootsimError unless there are workers, with bootsim of this version."""
    try:
        versions = client.run(_version)
        if not versions:  # it may start some as there is work
            executor = client.get_executor(pure=False)
            versions = {"": executor.submit(_version).result(_NO_WORKER)}
    except (TimeoutError, CancelledError) as error:
        raise BootsimError(f"--scheduler {address}: it has no workers") from error
    except Exception as error:  # whatever the workers, or what they are told by, may raise
        raise BootsimError(
            f"--scheduler {address}: its workers cannot run bootsim: {_first_line(error)}"
        ) from error
    for worker, version in versions.items():
        if version != __version__:
            raise BootsimError(
                f"--scheduler {address}: its worker {worker} has bootsim {version},"
                f" this is {__version__}"
            )


def _version() -> str:
    return __version__


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing of what Dask remarks on its own: what matters of it is in the results."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
