"""Starts OGX's command line with the probe of probe.ts in its event loop: a timer that is due every 10 ms, and how late it was called.

SIGUSR2 writes what was measured since the last one to $FAIRNESS_PROBE and begins anew.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import time

import uvicorn

PERIOD = 0.01
FILE = os.environ["FAIRNESS_PROBE"]
state = {"written": 0, "lags": [], "due": 0.0, "cpu": 0.0}


def cpu_time() -> float:
    return time.process_time() * 1000


def rss() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def tick(loop: asyncio.AbstractEventLoop) -> None:
    now = time.monotonic()
    cpu = cpu_time()
    while state["due"] <= now:
        state["lags"].append(min((now - state["due"]) * 1000, cpu - state["cpu"]))
        state["due"] += PERIOD
    state["cpu"] = cpu
    loop.call_later(max(0.0, state["due"] - now), tick, loop)


def begin() -> None:
    state["lags"] = []
    state["due"] = time.monotonic() + PERIOD
    state["cpu"] = cpu_time()


def report() -> None:
    state["written"] += 1
    snapshot = {"written": state["written"], "lags": state["lags"], "cpu": cpu_time(), "rss": rss()}
    with open(FILE + ".new", "w") as file:
        json.dump(snapshot, file)
    os.replace(FILE + ".new", FILE)
    begin()


serve = uvicorn.Server.serve


async def serve_with_probe(self, *args, **kwargs):
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, report)
    begin()
    loop.call_later(PERIOD, tick, loop)
    return await serve(self, *args, **kwargs)


uvicorn.Server.serve = serve_with_probe

from ogx.cli.ogx import main  # noqa: E402

sys.exit(main())
