"""Carries out actions for jobs, and records their outcomes."""
