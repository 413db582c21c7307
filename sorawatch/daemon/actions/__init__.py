"""Carry out one action for a job, and record what came of it."""
