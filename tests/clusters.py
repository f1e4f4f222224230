"""A Ray cluster on this machine's loopback, whose computers a test may take away."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

SMALL = 80 * 2**20
"""Bytes of an object store."""


class Cluster:
    """Computers of a CPU each, of which the first can't be taken away."""

    def __init__(self, environment: dict[str, str]) -> None:
        from ray.cluster_utils import Cluster

        self._environment = environment
        with self._as_started():
            self._cluster = Cluster()
            # A computer that is gone is missed after three seconds instead of a minute.
            self._add(no_monitor=True, _system_config={
                "health_check_initial_delay_ms": 0, "health_check_period_ms": 1000,
                "health_check_timeout_ms": 5000, "health_check_failure_threshold": 3,
            })  # fmt: skip

    @property
    def address(self) -> str:
        return self._cluster.address

    def add(self, home: Path | None = None) -> object:
        """A computer; one with a home of its own doesn't see the coordinator's."""
        with self._as_started():
            if home is not None:
                os.environ["GENECANVAS_HOME"] = str(home)
            return self._add()

    def _add(self, **looks: object) -> object:
        return self._cluster.add_node(
            num_cpus=1, object_store_memory=SMALL, include_dashboard=False,
            include_log_monitor=False, node_ip_address="127.0.0.1", wait=False, **looks,
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
def cluster() -> Iterator[Cluster]:
    """A cluster whose token is in the environment meanwhile."""
    environment = {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789" * 4,
        "RAY_USAGE_STATS_ENABLED": "0",
    }  # fmt: skip
    with mock.patch.dict(os.environ, environment):
        started = Cluster(environment)
        try:
            yield started
        finally:
            started.shut_down()
