"""The program ``sorawatch``, also as ``python -m sorawatch``."""

import atexit
import gc

from sorawatch.cli import standard_streams

_OBJECTS = 100_000
"""New objects after which garbage is looked for. Loading makes nearly as many, and all of them stay."""


def main() -> None:
    """The console script."""
    # The first thing, before a file is opened that stays open.
    standard_streams.open_closed()
    # At Python's own threshold, collections during the imports take a tenth of the start.
    gc.set_threshold(_OBJECTS)
    # Nor is it worth looking for what the system takes back in a moment.
    atexit.register(gc.freeze)
    from sorawatch.cli.main import cli  # noqa: PLC0415 -- only after the line above

    cli()


if __name__ == "__main__":
    main()
