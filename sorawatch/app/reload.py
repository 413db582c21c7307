"""Reloads the configuration and the key while the daemon runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sorawatch import config
from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.core.yaml_lines import without_lines
from sorawatch.daemon.messages import ConfigReloaded, Parts
from sorawatch.errors import Blocked, ConfigError, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sorawatch.config import Config
    from sorawatch.daemon.upkeep.heartbeat import Heartbeat

logger = logging.getLogger("sorawatch")


class Reloader:
    """Called in a separate thread, one call at a time, because a folder may be on a share that hangs."""

    def __init__(
        self,
        loaded: Config,
        environ: Mapping[str, str],
        parts: Callable[[Config], Parts],
        apply: Callable[[Config], None],
        heartbeat: Heartbeat,
    ) -> None:
        """``parts`` builds the parts of the daemon. ``apply`` is called if the section ``logging`` has changed."""
        self._config = loaded
        self._environ = environ
        self._parts = parts
        self._apply = apply
        self._heartbeat = heartbeat

    def __call__(self) -> ConfigReloaded:
        """Reload the file. If it cannot be used, the former configuration stays in force."""
        self._heartbeat.reloading()
        try:
            return self._read()
        except ConfigError as error:
            return _refused("; ".join(without_lines(str(problem)) for problem in error.problems))
        except (Blocked, Deferred) as error:
            return _refused(f"{error}. {error.hint}" if isinstance(error, Blocked) else str(error))
        except Exception as error:
            # The service manager waits for the end of the reload, so it must be reported in any case.
            logger.exception("the configuration could not be reloaded")
            return _refused(f"a fault in sorawatch: {type(error).__name__}")

    def _read(self) -> ConfigReloaded:
        found = config.load(self._config.path, self._environ)
        if (source := config.find_key(found, self._environ)) is not None:
            source.read()
        usable = config.merged(self._config, found)
        parts = self._parts(usable)
        if usable.logging != self._config.logging:
            self._apply(usable)
        changed, fixed = config.changed(self._config, found)
        self._config = usable
        for key in fixed:
            logger.warning("%s cannot change while sorawatch runs: its new value takes effect with a restart", key)
        what = f"changed: {', '.join(changed)}" if changed else "no key that can change now has changed"
        extra = log_extra(LogFields(LogEvent.RELOADED))
        logger.info("the configuration and the key were reloaded; %s", what, extra=extra)
        return ConfigReloaded(parts)


def _refused(why: str) -> ConfigReloaded:
    extra = log_extra(LogFields(LogEvent.RELOAD_REFUSED, why=why))
    logger.error("the configuration stays as it was, because the new one cannot be used: %s", why, extra=extra)
    return ConfigReloaded(None, f"the new configuration was refused: {why}")
