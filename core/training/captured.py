"""A computation that a GPU records once, as a CUDA graph, and then repeats."""

import sys
from collections import Counter, deque
from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 2
"""Plain calls before a recording, in which libraries set themselves up."""
AHEAD = 2
"""Calls that may wait in a GPU's queue: enough to keep it busy, few enough to stop at once."""

Graph = tuple["torch.cuda.CUDAGraph", tuple[Tensor, ...], Tensor]
"""A recording, the tensors that it reads and the one that it writes."""


class Captured:
    """A function of tensors that a GPU replays as a CUDA graph, one for each shape of its inputs.

    A processor takes longer to launch a network's thousands of small kernels than a GPU to compute
    them; a graph is launched as one. It is recorded as
    https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture says: the first calls
    are plain ones on a side stream, which also records. They are calls like all others, so that
    nothing is computed twice. Numbers are those of plain calls, random ones too: a replay takes
    them from the device's own generator and moves that on.

    On a CPU each call is a plain one, and so it is on a GPU or with a torch where recording fails,
    which the log says once.

    Args:
        compute: tensors -> a tensor, all on `device`. It may change tensors that it keeps, but
            must not wait for the device, decide anything by a tensor's values, or draw random
            numbers elsewhere than from the device's own generator.
        device: where it computes.
    """

    def __init__(self, compute: Callable[..., Tensor], device: torch.device) -> None:
        self.compute, self.device = compute, device
        self.records = device.type == "cuda"
        """Whether calls are recorded."""
        self._calls: Counter[tuple[torch.Size, ...]] = Counter()
        self._graphs: dict[tuple[torch.Size, ...], Graph] = {}
        if self.records:
            self._stream = torch.cuda.Stream(device)
            self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, *inputs: Tensor) -> Tensor:
        """What `compute` gives for these inputs."""
        if not self.records:
            return self.compute(*inputs)
        shapes = tuple(tensor.shape for tensor in inputs)
        with torch.cuda.device(self.device):
            if shapes not in self._graphs:
                self._calls[shapes] += 1
                if self._calls[shapes] <= WARM_UP:
                    return self._compute_beside(inputs)
                self._record(shapes, inputs)
                if not self.records:
                    return self.compute(*inputs)
            graph, held, result = self._graphs[shapes]
            for old, new in zip(held, inputs, strict=True):
                old.copy_(new)
            graph.replay()
            return result.clone()

    def _compute_beside(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """A plain call on the side stream, which waits for all before it as all after it wait."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = self.compute(*inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def _record(self, shapes: tuple[torch.Size, ...], inputs: tuple[Tensor, ...]) -> None:
        """Record a call without computing it."""
        held, graph = tuple(tensor.clone() for tensor in inputs), torch.cuda.CUDAGraph()
        here = torch.cuda.current_stream()
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        before = generator.clone_state()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                result = self.compute(*held)
            self._graphs[shapes] = graph, held, result
        except RuntimeError as error:
            # torch 2.11 leaves its side stream in use and the generator waiting for a recording
            torch.cuda.set_stream(here)
            generator.graphsafe_set_state(before)
            self.records = False
            self._graphs.clear()
            reason = str(error).partition("\n")[0]
            print(
                f"No CUDA graph could be recorded ({reason}): each kernel is launched by itself.",
                file=sys.stderr,
            )


class Pace:
    """Keeps a program at most `AHEAD` calls ahead of a GPU, which computes while it goes on.

    So progress is what was computed, a stop is obeyed at once, and the GPU never waits. On a CPU,
    which is never behind, it does nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._queue: deque[torch.cuda.Event] = deque()

    def mark(self) -> None:
        """Called after each call; waits for an earlier one."""
        if self.device.type == "cuda":
            event = torch.cuda.Event(blocking=True)
            event.record(torch.cuda.current_stream(self.device))
            self._queue.append(event)
            self._wait(AHEAD)

    def finish(self) -> None:
        """Wait for all calls: before a clock is read."""
        self._wait(0)

    def _wait(self, ahead: int) -> None:
        while len(self._queue) > ahead:
            self._queue.popleft().synchronize()
