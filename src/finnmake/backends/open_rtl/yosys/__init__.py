"""Yosys: its scripts run in a process of their own, and what it counts."""
