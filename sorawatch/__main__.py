"""``python -m sorawatch``."""

from sorawatch.cli import main

main()
