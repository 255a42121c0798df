"""Times calls: on a GPU by events around a CUDA graph that goes through operands larger than its cache, on a CPU by the clock."""
import contextlib
import statistics
import subprocess
import time

import torch


def clocks():
    """The multiprocessors' clock in MHz, by nvidia-smi; None where there is none."""
    try:
        text = subprocess.run(["nvidia-smi", "--query-gpu=clocks.sm", "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=10).stdout
        return float(text.split()[0])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None


_streams = {}


def on_stream(device):
    """Work in this block goes to the stream that is captured later: autograd runs a backward pass on the stream of its forward pass."""
    if device != "cuda":
        return contextlib.nullcontext()
    if device not in _streams:
        _streams[device] = torch.cuda.Stream()
    return torch.cuda.stream(_streams[device])


def sets_for(device, nbytes, most=64):
    """How many sets of operands are larger than twice the cache."""
    cache = torch.cuda.get_device_properties(device).L2_cache_size if device == "cuda" else 0
    return max(1, min(most, -(-2 * cache // max(1, int(nbytes)))))


def measure(calls, device, seconds, graph):
    """Median and 95 % quantile of the seconds of one call."""
    def run_all():
        for call in calls:
            call()

    run = run_all
    if device == "cuda":
        torch.cuda.synchronize()
        with on_stream(device):
            for _ in range(3):
                run_all()
        torch.cuda.synchronize()
        if graph:
            recorded = torch.cuda.CUDAGraph()
            with torch.cuda.graph(recorded, stream=_streams[device]):
                run_all()
            run = recorded.replay
    with on_stream(device):
        return sample(run, len(calls), device, seconds)


def sample(run, count, device, seconds):
    """Median and 95 % quantile of the seconds of one of `count` calls."""
    start, times = time.perf_counter(), []
    while time.perf_counter() - start < seconds / 2:
        run()  # warm
    start = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < seconds:
        if device == "cuda":
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            run()
            end.record()
            end.synchronize()
            times.append(1e-3 * begin.elapsed_time(end) / count)
        else:
            before = time.perf_counter()
            run()
            times.append((time.perf_counter() - before) / count)
    times.sort()
    return statistics.median(times), times[int(0.95 * (len(times) - 1))]
