"""Makes all configurations of a space, or their tree, or what they are compared with.

Usage: enumerate_space.py WHAT, in a project's folder, of its default blueprint. Prints JSON: `seconds` of the
making alone, `peak_mb` of the whole process, and the `count` of what was made.

    configurations   list(iter_configs(space))
    dictionaries     the peer: itertools.product of the same axes, a plain dictionary each
    tree             the execution tree of all configurations
    prefixes         the peer: networkx.prefix_tree of the same chains, which are at hand
"""

import itertools
import json
import os
import sys
import time

from measure import peak_mb

from finnmake.exploration.axes import space_axes
from finnmake.exploration.configs import iter_configs
from finnmake.exploration.tree import chain, space_tree
from finnmake.hashing import canonical_json
from finnmake.tasks.workspace import workspace

space = workspace().space


def configurations():
    return lambda: list(iter_configs(space))


def dictionaries():
    axes = space_axes(space)
    names = [axis.column for axis in axes]
    values = [axis.values for axis in axes]
    return lambda: [dict(zip(names, each, strict=True)) for each in itertools.product(*values)]


def tree():
    return lambda: space_tree(space, range(space.size)).leaves


def prefixes():
    import networkx

    keys = {}
    chains = [
        [keys.setdefault(canonical_json(entry), len(keys)) for entry in chain(config)]
        for config in iter_configs(space)
    ]

    def make():
        networkx.prefix_tree(chains)
        return chains

    return make


make = {each.__name__: each for each in (configurations, dictionaries, tree, prefixes)}[sys.argv[1]]()
started = time.monotonic()
made = make()
seconds = time.monotonic() - started
sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": peak_mb(os.getpid()), "count": len(made)}))
