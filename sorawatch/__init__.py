"""A watch-folder daemon that turns dropped pictures into videos."""

__version__ = "0.1.0"
