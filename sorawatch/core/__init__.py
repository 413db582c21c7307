"""Decides: pure functions on values, without I/O, clock, randomness or logging."""
