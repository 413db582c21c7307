"""Composition: from a configuration to a running daemon, and what commands read and change in its state."""
