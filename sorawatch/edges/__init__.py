"""Touches the world: one outside thing per module or package."""
