"""How soon finished renders are noticed, and for how many polls, against the ways people poll: simulated, no network.

Run with: python -m tests.bench.polling [SEED]

Each row is a kind of render times, each column a way in which a server tells progress. Both figures are means a render:
the seconds from its end to the poll that finds it, and the polls, as multiples of those of a fixed 15 s.
"""

from __future__ import annotations

import math
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sorawatch.core.waits import PolledProgress, RenderHistory, Waits, next_poll
from sorawatch.daemon.actions.render_times import REMEMBERED, duration

RENDERS = 600
WAITS = Waits(poll_min=5, poll_max=30)

Progress = Callable[[float, float, random.Random], int | None]
"""What a server tells of a render at an age, in seconds, that takes so long in all."""


@dataclass(frozen=True)
class Result:
    """Means a render: seconds of lag, and polls."""

    lag: float
    polls: float

    def over(self, other: Result) -> tuple[float, float]:
        return self.lag / other.lag, self.polls / other.polls


def honest(age: float, total: float, _: random.Random) -> int:
    return int(100 * age / total)


def noisy(age: float, total: float, rng: random.Random) -> int:
    return min(99, max(0, int(100 * age / total + rng.gauss(0, 10))))


def missing(_age: float, _total: float, _: random.Random) -> None:
    return None


def stuck_at_0(_age: float, _total: float, _: random.Random) -> int:
    return 0


def stuck_at_50(age: float, total: float, _: random.Random) -> int:
    return min(50, int(100 * age / total))


def stuck_at_99(age: float, total: float, _: random.Random) -> int:
    return min(99, int(100 * age / (0.7 * total)))


def uneven(age: float, total: float, _: random.Random) -> int:
    return int(100 * (age / total) ** 2)


TOLD: Mapping[str, Progress] = {
    "honest": honest,
    "noisy": noisy,
    "missing": missing,
    "stuck at 0": stuck_at_0,
    "stuck at 50": stuck_at_50,
    "stuck at 99": stuck_at_99,
    "uneven": uneven,
}


def times(rng: random.Random) -> dict[str, list[float]]:
    """Render times in seconds."""

    def log_normal(count: int, median: float, sigma: float = 0.35) -> list[float]:
        return [median * math.exp(rng.gauss(0, sigma)) for _ in range(count)]

    half = RENDERS // 2
    two = log_normal(half, 40, 0.1) + log_normal(half, 180, 0.1)
    rng.shuffle(two)
    return {
        "log-normal": log_normal(RENDERS, 120),
        "bimodal": two,
        "twice as slow from the middle on": log_normal(half, 120) + log_normal(half, 240),
        "twice as fast from the middle on": log_normal(half, 120) + log_normal(half, 60),
    }


def fixed(totals: Sequence[float], seconds: float) -> Result:
    polls = [math.ceil(total / seconds) for total in totals]
    lags = [count * seconds - total for count, total in zip(polls, totals, strict=True)]
    return Result(sum(lags) / len(totals), sum(polls) / len(totals))


def learning(totals: Sequence[float], progress: Progress, seed: int, *, stamped: bool) -> Result:
    """Our own; ``stamped``: the server tells when a video was completed, in whole seconds."""
    rng = random.Random(seed)
    recent: deque[int] = deque(maxlen=REMEMBERED)
    lag, polls = 0.0, 0
    for total in totals:
        past = tuple(sorted(recent))
        age, before = 0, None
        wait = next_poll(WAITS, PolledProgress(0, None), RenderHistory(past))
        while True:
            age += wait
            polls += 1
            if age >= 1000 * total:
                break
            look = PolledProgress(age, progress(age / 1000, total, rng))
            wait = next_poll(WAITS, look, RenderHistory(past, before))
            before = look
        lag += age / 1000 - total
        recent.append(duration(age, before, int(1000 * round(total)) if stamped else None))
    return Result(lag / len(totals), polls / len(totals))


def compare(seed: int) -> Iterator[tuple[str, str, bool, Result, Result]]:
    """Kind of times, progress, whether completion is stamped, ours, and the fixed 15 s."""
    for kind, totals in times(random.Random(seed)).items():
        reference = fixed(totals, 15)
        for told, progress in TOLD.items():
            for stamped in (True, False):
                yield kind, told, stamped, learning(totals, progress, seed, stamped=stamped), reference


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for kind, totals in times(random.Random(seed)).items():
        mean = sum(totals) / len(totals)
        for name, result in (("fixed 15 s", fixed(totals, 15)), ("the SDK's 1 s", fixed(totals, 1))):
            print(f"{kind:34} {name:14} lag {result.lag:5.2f} s, {result.polls:6.2f} polls (mean render {mean:.0f} s)")
        print(f"{kind:34} {'an oracle':14} lag  0.00 s,   1.00 polls")
    print()
    for kind, told, stamped, ours, reference in compare(seed):
        lag, polls = ours.over(reference)
        end = "stamped" if stamped else "not stamped"
        print(
            f"{kind:34} {told:12} {end:12} lag {ours.lag:5.2f} s = {lag:4.2f} ×, polls {ours.polls:5.2f} = {polls:4.2f} ×"
        )


if __name__ == "__main__":
    main()
