"""Decides which orders may be submitted now."""
