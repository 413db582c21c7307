"""Finds new files in the inbox and makes jobs of them."""
