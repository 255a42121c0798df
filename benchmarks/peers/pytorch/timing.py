"""Times calls: on a GPU by events around a CUDA graph that goes through operands larger than its cache, on a CPU by the clock."""
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
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run_all()
        torch.cuda.current_stream().wait_stream(side)
        if graph:
            recorded = torch.cuda.CUDAGraph()
            with torch.cuda.graph(recorded):
                run_all()
            run = recorded.replay
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
            times.append(1e-3 * begin.elapsed_time(end) / len(calls))
        else:
            before = time.perf_counter()
            run()
            times.append((time.perf_counter() - before) / len(calls))
    times.sort()
    return statistics.median(times), times[int(0.95 * (len(times) - 1))]
