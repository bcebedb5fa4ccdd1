"""Fills a store with results of steps, or opens it and looks some of them up.

Usage: look_up.py fill|ask STORE COUNT. So many results, a twentieth of them under each of twenty keys, as an
exploration leaves them that varies fields. `ask` prints the seconds of opening the store and of 200 look-ups,
each of another result, as JSON.
"""

import json
import sys
import time
from pathlib import Path

from finnmake.engine.files import FileDigests
from finnmake.engine.lookup import Lookup
from finnmake.engine.store import Store
from finnmake.hashing import digest_value

KEYS = [digest_value("key", number) for number in range(20)]
ASKED = 200

what, root, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])


def flags(number: int) -> dict[str, object]:
    return {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 5.0, "target_fps": 1000 + number}


def fill() -> None:
    store = Store(root).open()
    tree = store.put_tree({})
    for number in range(count):
        read = {name: [value] for name, value in flags(number).items() if name != "fpga_part"}
        reads = {"fields": read, "files": {}, "listings": {}, "presence": {}, "paths": []}
        output = {"model": store.put_bytes(b"%d" % (number % 100)), "tree": tree, "work": {}, "overrides": {}}
        info = {"seconds": 0.1, "peak_rss_kb": 1000}
        store.add_trace(
            KEYS[number % len(KEYS)], {"step": {}, "reads": reads, "output": output, "info": info}
        )


def ask() -> None:
    asked = [number * (count // ASKED - 1) for number in range(ASKED)]  # of all keys
    began = time.perf_counter()
    lookup = Lookup(Store(root).open(), root, FileDigests(), [])
    for number in asked:
        assert len(list(lookup.hits(KEYS[number % len(KEYS)], flags(number)))) == 1
    sys.stdout.write(json.dumps(time.perf_counter() - began))


{"fill": fill, "ask": ask}[what]()
