"""The build runner: one configuration from its model to its result, on the engine."""
