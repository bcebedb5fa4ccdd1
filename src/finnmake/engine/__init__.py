"""The engine: a store of results, traces of what made them, and warm workers that make more."""
