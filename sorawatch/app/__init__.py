"""Builds a daemon from a configuration, and gives commands access to its state."""
