"""The design space as configurations: enumeration, identity, execution tree, ranking, results and hooks."""
