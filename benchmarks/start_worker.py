"""Starts a worker and ends it again; prints seconds to start it, to load FINN in it, and to end it, as JSON.

In a project's folder; the runtime and the store are those of FINNMAKE_RUNTIME and FINNMAKE_STORE.
"""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from finnmake.engine.pool import PoolSettings, WorkerPool
from finnmake.engine.runtime import Environment, Places, WorkerProcess
from finnmake.engine.store import Store
from finnmake.tasks.workspace import workspace

ws = workspace()
runtime = ws.ground.runtime
Store(ws.places.store).open()


class Timed:
    """The runtime, with the time that it takes to start a worker."""

    name, described = runtime.name, runtime.described
    inside, probe = runtime.inside, runtime.probe
    seconds = 0.0

    def start(self, places: Places, settings: Mapping[str, Any], environment: Environment) -> WorkerProcess:
        began = time.monotonic()
        started = runtime.start(places, settings, environment)
        self.seconds = time.monotonic() - began
        return started


timed = Timed()
pool = WorkerPool(PoolSettings("finnmake.backends.finn", ws.places, ws.ground.environment), timed)
began = time.monotonic()
with pool.job():
    loaded = time.monotonic()
pool.close()
ended = time.monotonic()
sys.stdout.write(json.dumps([timed.seconds, loaded - began - timed.seconds, ended - loaded]))
