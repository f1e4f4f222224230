"""`computers`: what trains, here or on a Ray cluster."""

import argparse
from typing import Any

from core.cli.output import give
from core.cli.parser import add_command
from core.devices import cluster, devices
from core.jobs.computers import Computer, last_seen
from core.jobs.launch import look_at_cluster


def add_commands(commands: Any) -> None:
    """Add `computers`."""
    add_command(commands, "computers", show, "list what trains: devices, or a cluster's computers")


def show(options: argparse.Namespace) -> int:
    """Say which devices train, or what the cluster's coordinator saw last; 1 where it can't be."""
    address = cluster()
    if address is None:
        give(options, {"devices": devices()}, "\n".join(devices()))
        return 0
    look_at_cluster()
    seen = last_seen()
    if seen is None:
        give(options, {"address": address}, f"looking for {address}; ask again in some seconds")
        return 0
    lines = [_say(computer) for computer in seen.computers]
    give(options, seen.model_dump(mode="json", exclude={"token"}), seen.problem or "\n".join(lines))
    return int(bool(seen.problem))


def _say(computer: Computer) -> str:
    runs = f"trains {', '.join(computer.jobs)}" if computer.jobs else "is free"
    return (
        f"{computer.name}: {computer.cpus} CPUs, {computer.gpus} GPUs, "
        f"{computer.why_unused or runs}"
    )
