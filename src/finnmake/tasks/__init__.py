"""doit's side: task generators, what is fresh, and what the screen shows. dodo.py imports `generators`."""
