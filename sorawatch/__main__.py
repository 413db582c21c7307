"""The program ``sorawatch``, also as ``python -m sorawatch``."""

import gc


def main() -> None:
    """The console script."""
    # What is loaded now stays for good. Looking through it for garbage again and again takes a seventh of the start.
    gc.disable()
    from sorawatch.cli.main import cli  # noqa: PLC0415 -- only here is it loaded in this way

    gc.freeze()
    gc.enable()
    cli()


if __name__ == "__main__":
    main()
