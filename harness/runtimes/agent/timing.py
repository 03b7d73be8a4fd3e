"""How runs are timed and warmed up."""

import sys
import time

if sys.version_info >= (3, 7):
    wall_clock_ns, thread_clock_ns = time.perf_counter_ns, time.thread_time_ns
else:

    def wall_clock_ns():
        return int(time.perf_counter() * 1e9)

    def thread_clock_ns():
        return int(time.clock_gettime(3) * 1e9)  # CLOCK_THREAD_CPUTIME_ID


class CpuRuntime(object):
    """What runs at once in our own thread, and how it is timed."""

    device = "cpu"

    def __init__(self, request):
        self.one_thread = request["threads"] == 1

    def time(self, run, runs):
        walls, threads = [], []
        for _ in range(runs):
            wall, thread = wall_clock_ns(), thread_clock_ns()
            run()
            threads.append(thread_clock_ns() - thread)
            walls.append(wall_clock_ns() - wall)
        # With more threads the caller's CPU time is not that of the work.
        return {"wall": walls, "thread": threads} if self.one_thread else {"wall": walls}

    def wait(self):
        """Until all runs are done."""

    def forget(self):
        """Give back what was kept of networks that are no longer loaded."""

    def inputs(self, model):
        """[name, dtype, shape] of each that a model file takes; of those that can tell."""
        raise ValueError("this runtime does not tell what %s takes" % model)

    def profile(self, run, request, runs):  # noqa: ARG002 - for those that can
        """Times by type of operator, of `runs` runs."""
        raise ValueError("this runtime tells no times of operators")


def warm_up(run, wait, first_ns, longest_s=0.25, longest_first_s=60.0):
    """Run until three runs in a row are no faster or so long; the time of the fastest, the first
    included, which alone may have taken as long as a hundred others.

    Where it took a minute nobody waits for another: loading would be given up.
    """
    if first_ns > longest_first_s * 1e9:
        return first_ns
    fastest, stale, end = first_ns, 0, time.monotonic() + longest_s
    while True:
        start = wall_clock_ns()
        run()
        wait()
        took = wall_clock_ns() - start
        stale = 0 if took < 0.98 * fastest else stale + 1
        fastest = min(took, fastest)
        if stale == 3 or time.monotonic() > end:
            return fastest
