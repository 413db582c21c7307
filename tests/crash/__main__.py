"""``python -m tests.crash``: kill the daemon at every moment, or at one of them again."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial

from tests.crash.campaign import Moments, conduct, moments
from tests.crash.installation import Disk, Listing
from tests.crash.parts import PARTS, PLAIN_SCRIPT, Part, run, story, table
from tests.crash.trial import Kill, Trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--part", action="append", choices=[*PARTS, "script"], help="only this part")
    parser.add_argument("--sample", type=int, help="only so many of the part's trials, evenly chosen")
    parser.add_argument("--list", action="store_true", help="show the moments and their numbers")
    parser.add_argument("--point", help="die at this moment alone: its number or its name")
    parser.add_argument("--then", type=int, help="and again at so manyth moment of the next run")
    parser.add_argument(
        "--listing", type=Listing, choices=[*Listing], default=Listing.GOOD, help="what the server's list is worth"
    )
    parser.add_argument("--disk", type=Disk, choices=[*Disk], default=Disk.ONE, help="what the folders lie on")
    parser.add_argument("--another", action="store_true", help="all was delivered before, and is ordered once more")
    options = parser.parse_args()
    setting = Trial((), options.listing, options.disk, another=options.another)
    if options.list:
        for number, moment in enumerate(moments(setting).every, 1):
            print(f"{number:4} {moment}")
        return 0
    if options.point:
        kills: tuple[Kill, ...] = (_moment(options.point, setting), *([options.then] if options.then else []))
        return _repeat(replace(setting, kills=kills))
    return _prove([PLAIN_SCRIPT if name == "script" else PARTS[name] for name in options.part or PARTS], options.sample)


def _moment(text: str, setting: Trial) -> str:
    if not text.isdecimal():
        return text
    found: Moments = moments(setting)
    return found.every[int(text) - 1]


def _repeat(trial: Trial) -> int:
    (result,) = conduct([trial])
    if not result.met:
        print(f"the run ended before the moment came: {trial.kills}")
        return 1
    print(
        story(result, "single")
        if result.verdict.tally.complaints
        else f"nothing is wrong after {result.verdict.deaths}"
    )
    return bool(result.verdict.tally.complaints)


def _prove(parts: list[Part], sample: int | None) -> int:
    sums = [run(part, partial(print, flush=True), sample) for part in parts]
    print(*table(sums), sep="\n")
    return any(each.faulty for each in sums)


if __name__ == "__main__":
    sys.exit(main())
