"""The configurations that ``sorawatch init`` writes, one for each kind of server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.config import dialect_file
from sorawatch.config.files import starter
from sorawatch.core.dialect import Needs
from sorawatch.errors import UsageError

if TYPE_CHECKING:
    from sorawatch.core.dialect import Dialect


_ENDED = (
    "OpenAI's own video service ended in September 2026. This configuration is for a reseller of its contract; "
    "`sorawatch servers` lists the other kinds of servers, also for your own GPU."
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person has chosen: the server, and its model and price if they said them."""

    dialect: Dialect
    model: str | None = None
    usd_per_second: float | None = None

    @property
    def name(self) -> str:
        """The model of the configuration; a name to replace if nobody said one."""
        return self.model or next(iter(self.dialect.catalogue), "") or "YOUR-MODEL"

    @property
    def asks_model(self) -> bool:
        return self.model is None and not self.dialect.catalogue

    @property
    def has_price(self) -> bool:
        """Whether the price of the model is known."""
        known = self.dialect.catalogue.get(self.name)
        by_catalogue = known is not None and (known.micros_per_second is not None or known.micros_per_video is not None)
        by_size = known is not None and bool(known.micros_per_second_by_size or known.micros_per_video_by_size)
        return self.usd_per_second is not None or by_catalogue or by_size

    @property
    def asks_price(self) -> bool:
        return not self.has_price

    def named(self, model: str) -> Choice:
        """With the name of the model."""
        return replace(self, model=model.strip() or None)

    def priced(self, written: str) -> Choice:
        """With the price of a second in dollars; unknown if nothing was written.

        Raises:
            UsageError: if it is not an amount.
        """
        try:
            amount = float(written) if written.strip() else None
        except ValueError as error:
            raise UsageError(f"{written} is not an amount in dollars, such as 0.10.") from error
        return replace(self, usd_per_second=amount)


def text(choice: Choice) -> str:
    """The configuration: for the reference contract every key with its default, for others what differs."""
    dialect = choice.dialect
    if dialect.name == dialect_file.DEFAULT and choice.model is None and choice.usd_per_second is None:
        return starter()
    lines = [
        f"# sorawatch with {dialect.about}.",
        "# Every key that is not here has the default that config.example.yaml shows.",
        "api:",
        f"  dialect: {dialect.name}",
        f"  base_url: {dialect.base_url}",
    ]
    if dialect.key is not None:
        lines.append("  # key_file: api.key          # a file with the API key; else $SORAWATCH_API_KEY")
    if dialect_file.needs_graph(dialect):
        lines.append("  graph: workflow.json         # your workflow, exported for the API, with <upload> and <prompt>")
    lines += ["state: state.db"]
    if choice.model or not dialect.catalogue or choice.usd_per_second is not None:
        price = "null" if choice.usd_per_second is None else f"{choice.usd_per_second:.6f}".rstrip("0").rstrip(".")
        lines += ["models:", f"  {choice.name}:", f"    usd_per_second: {price}"]
        lines += ["video:", f"  model: {choice.name}"]
    if not choice.has_price:
        lines += ["limits:", "  usd_per_day: null            # no cap, because the price of the model is not known"]
    return "\n".join(lines) + "\n"


def remarks(choice: Choice) -> tuple[str, ...]:
    """What a person should know or do before the first order."""
    dialect = choice.dialect
    told = [_ENDED] if dialect.name == dialect_file.DEFAULT else [*dialect.notes]
    if choice.name == "YOUR-MODEL":
        told.append("Replace YOUR-MODEL in the configuration by the name that your server gives the model.")
    if not choice.has_price and dialect.needs is Needs.KEY:
        told.append(
            "The price of the model is not known, so nothing limits what is spent in a day. "
            "Write usd_per_second below the model and usd_per_day: 20 below limits."
        )
    return tuple(told)
