"""A Ray cluster on this machine's loopback, whose computers a test may take away."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

SMALL = 80 * 2**20
"""Bytes of an object store."""


class Cluster:
    """Computers of a CPU each, of which the first can't be taken away and may have none."""

    def __init__(self, environment: dict[str, str], first: int) -> None:
        from ray.cluster_utils import Cluster

        self._environment = environment
        with self._as_started():
            self._cluster = Cluster()
            # A computer that is gone takes no calls, and is missed after three seconds instead of a
            # minute; one that is only slow has a minute to answer each.
            self._add(num_cpus=first, no_monitor=True, _system_config={
                "health_check_initial_delay_ms": 0, "health_check_period_ms": 1000,
                "health_check_timeout_ms": 60_000, "health_check_failure_threshold": 3,
            })  # fmt: skip

    @property
    def address(self) -> str:
        return self._cluster.address

    def add(self, **environment: Path) -> object:
        """A computer on which Ray is started with more in the environment.

        With a GENECANVAS_HOME of its own it doesn't see the coordinator's home.
        """
        with self._as_started():
            os.environ.update({name: str(value) for name, value in environment.items()})
            return self._add()

    def _add(self, **looks: object) -> object:
        return self._cluster.add_node(
            object_store_memory=SMALL, include_dashboard=False, include_log_monitor=False,
            node_ip_address="127.0.0.1", wait=False, **{"num_cpus": 1} | looks,
        )  # fmt: skip

    def kill(self, computer: object) -> None:
        """Take a computer away as a power cut would."""
        self._cluster.remove_node(computer, allow_graceful=False)

    def shut_down(self) -> None:
        self._cluster.shutdown()

    @contextmanager
    def _as_started(self) -> Iterator[None]:
        """The environment of who starts Ray on a computer: not that of a test."""
        kept = {name: os.environ[name] for name in os.environ if name != "GENECANVAS_HOME"}
        with mock.patch.dict(os.environ, kept | self._environment, clear=True):
            yield


@contextmanager
def cluster(first: int = 1) -> Iterator[Cluster]:
    """A cluster whose token is in the environment meanwhile.

    Args:
        first: CPUs of the computer that can't be taken away, 0 or 1.
    """
    environment = {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789" * 4,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_memory_monitor_refresh_ms": "0",  # else it ends tasks where others fill the memory
    }  # fmt: skip
    with mock.patch.dict(os.environ, environment):
        started = Cluster(environment, first)
        try:
            yield started
        finally:
            started.shut_down()
