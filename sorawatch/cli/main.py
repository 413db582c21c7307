"""The command line: parses arguments, calls the commands, and sets the exit status.

Each command imports its modules when it is called, because the database, HTTP and the simulator load slowly.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from sorawatch import __version__
from sorawatch.cli.terminal import FAILED, INTERRUPTED, err, explain, out
from sorawatch.core.job import State
from sorawatch.core.naming import terminal_text
from sorawatch.errors import ConfigError, Rejected, UsageError

if TYPE_CHECKING:
    from sorawatch.cli.check import Finding
    from sorawatch.cli.service import InstallPlan
    from sorawatch.config import Config
    from sorawatch.core.command import Command


class _Commands(TyperGroup):
    """Prints errors as one line and sets the exit status. ``--debug`` at any place shows the traceback instead."""

    def main(self, args: Any = None, *rest: Any, **options: Any) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in words
        try:
            return super().main([word for word in words if word != "--debug"], *rest, **options)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except Exception as error:
            if debug:
                raise
            sys.exit(explain(error))


cli = typer.Typer(
    cls=_Commands,
    help="Drop a picture and a prompt into a folder; find a video in another.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="OpenAI's own video service ended in September 2026; `sorawatch servers` lists what can be used instead. "
    "--debug, anywhere, shows the traceback behind an error.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration; else $SORAWATCH_CONFIG, ./config.yaml, /etc/sorawatch/config.yaml."
    ),
]
NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="The service's name.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]
JobArguments = Annotated[list[str], typer.Argument(metavar="JOB…", help="Job ids, or the paths of files of theirs.")]
JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job id, or the path of its picture, sidecar, error text or clip.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"sorawatch {__version__}")
        raise typer.Exit


@cli.callback()
def _global(
    context: typer.Context,
    config_path: ConfigOption = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = config_path


def _load(context: typer.Context, path: Path | None) -> Config:
    from sorawatch import config

    return config.load(config.find(path or context.obj, os.environ), os.environ)


@cli.command("demo")
def _demo(
    folder: Annotated[Path, typer.Option("--dir", help="Where the demo's folders are made.")] = Path("sorawatch-demo"),
) -> None:
    """Show the whole product on sample photos: no key, no configuration, no costs."""
    from sorawatch.cli import demo

    if not demo.run(folder, out):
        raise typer.Exit(FAILED)


@cli.command("init")
def _init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder to write to.")] = Path(),
    server: Annotated[
        str | None, typer.Option("--server", metavar="NAME", help="One that `sorawatch servers` lists.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="The model's name there.")] = None,
    usd_per_second: Annotated[
        float | None, typer.Option("--usd-per-second", metavar="USD", help="What a second of it costs.", min=0.0)
    ] = None,
) -> None:
    """Write a commented configuration and make the folders."""
    from sorawatch import config
    from sorawatch.cli import screens
    from sorawatch.config import dialect_file, starters

    asks = sys.stdin.isatty() and out.is_terminal
    if server is None and asks:
        names = ", ".join(dialect_file.names())
        server = typer.prompt(f"Which server ({names})?", default=dialect_file.DEFAULT)
    choice = starters.Choice(dialect_file.shipped(server or dialect_file.DEFAULT), model, usd_per_second)
    if asks and choice.asks_model:
        choice = choice.named(typer.prompt("The name of the model at that server?"))
    if asks and choice.asks_price:
        given = typer.prompt(
            "What does a second of it cost in dollars? Empty: not known", default="", show_default=False
        )
        choice = choice.priced(given)
    path = config.create_starter(folder, starters.text(choice))
    out.print(f"Wrote {escape(str(path))} and made inbox, outbox, errors and processed beside it. Next:")
    option = "" if folder == Path() else f" -c {shlex.quote(str(path))}"
    for line in screens.first_steps(path, option, key=choice.dialect.key is not None):
        out.print(f"  {line}", markup=False, soft_wrap=True)
    for line in starters.remarks(choice):
        out.print(f"[yellow]![/] {escape(line)}", soft_wrap=True)


@cli.command("check")
def _check(
    context: typer.Context,
    service_too: Annotated[bool, typer.Option("--service", help="Check the installed service instead.")] = False,
    name: NameOption = "sorawatch",
    config_path: ConfigOption = None,
) -> None:
    """Report every problem with the setup, and how to solve it."""
    from sorawatch.cli.check import Finding, check
    from sorawatch.cli.service.verify import is_service_of, verify

    try:
        loaded = _load(context, config_path)
    except ConfigError as error:
        for problem in error.problems:
            _print_finding(Finding(f"{problem.where}: {problem.what}", problem.hint, grave=True))
        raise typer.Exit(FAILED) from error
    problems: list[Finding] = []
    if not service_too and is_service_of(loaded, name):
        option = "" if name == "sorawatch" else f" --name {shlex.quote(name)}"
        text = f"the service {name} uses this configuration with its own user and key; this checks with yours"
        _print_finding(Finding(text, f"For the service: sorawatch check --service{option}"))
    for finding in verify(loaded, name) if service_too else check(loaded, os.environ):
        _print_finding(finding)
        problems += [finding] if finding.grave else []
    if problems:
        out.print(f"[red]{len(problems)} {'thing' if len(problems) == 1 else 'things'} to fix[/]")
        raise typer.Exit(FAILED)
    out.print("[green]ready to run[/]")


def _print_finding(finding: Finding) -> None:
    mark = "[red]✗[/]" if finding.grave else "[yellow]![/]" if finding.hint else "[green]✓[/]"
    out.print(f"{mark} {escape(terminal_text(finding.what))}", soft_wrap=True)
    if finding.hint:
        out.print(f"    {escape(terminal_text(finding.hint))}", soft_wrap=True)


@cli.command("run")
def _run(
    context: typer.Context,
    config_path: ConfigOption = None,
    once: Annotated[bool, typer.Option("--once", help="Handle all pictures that are there, then exit.")] = False,
) -> None:
    """Watch the inbox until stopped."""
    from sorawatch.cli import run

    if not run.run(_load(context, config_path), os.environ, err, once=once):
        raise typer.Exit(FAILED)


@cli.command("status")
def _status(
    context: typer.Context,
    config_path: ConfigOption = None,
    states: Annotated[
        list[State] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help=f"Only jobs in this state; can be repeated. One of {', '.join(State)}.",
            case_sensitive=False,
        ),
    ] = None,
    folder: Annotated[
        str, typer.Option(metavar="FOLDER", help="Only jobs of this folder of the inbox and those below it.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="List all jobs, also those that ended long ago.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing it until Ctrl-C.")] = False,
) -> None:
    """Show what needs a person, the jobs, what each waits for, when it will be done, and what was spent."""
    from sorawatch.app import status
    from sorawatch.cli import status_screen

    loaded = _load(context, config_path)
    most = None if everything or as_json else status_screen.ROWS
    selection = status.Selection(frozenset(states or ()), folder, most, all_ended=everything)
    if follow and not as_json and out.is_terminal:
        from rich.live import Live

        def shown() -> status_screen.FittingStatus:
            return status_screen.FittingStatus(status.snapshot(loaded, selection))

        with Live(shown(), console=out, auto_refresh=False) as live:
            while True:
                time.sleep(1)
                live.update(shown(), refresh=True)
    while True:
        snapshot = status.snapshot(loaded, selection)
        if as_json:
            typer.echo(json.dumps(status.as_json(snapshot), indent=None if follow else 2))
        else:
            out.print(status_screen.status(snapshot))
        if not follow:
            return
        time.sleep(1)


@cli.command("plan")
def _plan(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Only this folder of the inbox; else all of it.")
    ] = None,
    config_path: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List what lies in the inbox, what it would cost, what would be refused, and when it would be done."""
    from sorawatch.app import plan

    found = plan.read(_load(context, config_path), folder)
    if as_json:
        typer.echo(json.dumps(plan.as_json(found), indent=2))
    else:
        from sorawatch.cli.plan import screen

        out.print(screen(found))


@cli.command("report")
def _report(
    context: typer.Context,
    config_path: ConfigOption = None,
    month: Annotated[str | None, typer.Option(metavar="MONTH", help="Such as 2026-11; else this month.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets: a line for each order.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List what was spent in a month, and on what."""
    from sorawatch.cli import report

    if as_csv and as_json:
        raise UsageError("--csv and --json are two ways to print it. Choose one.")
    with report.opened(_load(context, config_path), month) as found:
        if as_csv:
            report.write_csv(found, sys.stdout)
        elif as_json:
            typer.echo(json.dumps(report.as_json(found), indent=2))
        else:
            out.print(report.tables(found))


@cli.command("show")
def _show(
    context: typer.Context,
    job: JobArgument,
    config_path: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show all details of one job, and its history."""
    from sorawatch.app import status
    from sorawatch.cli import screens

    loaded = _load(context, config_path)
    found, entries, now = status.history(loaded, job)
    if as_json:
        typer.echo(json.dumps(status.history_as_json(found, entries, loaded.folders), indent=2))
    else:
        out.print(screens.job_details(found, entries, now, loaded.folders))


def _ask(loaded: Config, commands: list[Command], done: str) -> None:
    from sorawatch.app import control

    running = control.execute(loaded, commands)
    out.print(f"{done}{'' if running else '; no daemon is running, so it takes effect with the next `sorawatch run`'}.")


@cli.command("retry")
def _retry(
    context: typer.Context,
    jobs: JobArguments,
    config_path: ConfigOption = None,
    another: Annotated[
        bool, typer.Option("--another", help="Order another take of a duplicate or of an ended job.")
    ] = False,
) -> None:
    """Try jobs again now: failed, cancelled, held or waiting ones."""
    from sorawatch.core.command import Command
    from sorawatch.daemon.upkeep.command_queue import ANOTHER

    names = ", ".join(jobs)
    done = f"Asked to order {names} once more" if another else f"Asked to try {names} again"
    _ask(_load(context, config_path), [Command("retry", job, ANOTHER if another else None) for job in jobs], done)


@cli.command("cancel")
def _cancel(context: typer.Context, jobs: JobArguments, config_path: ConfigOption = None) -> None:
    """Withdraw jobs that are not paid for yet, or give up held ones; their pairs go to the errors folder."""
    from sorawatch.core.command import Command

    _ask(_load(context, config_path), [Command("cancel", job) for job in jobs], f"Asked to cancel {', '.join(jobs)}")


@cli.command("approve")
def _approve(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Only what is in this folder of the inbox; else all.")
    ] = None,
    config_path: ConfigOption = None,
) -> None:
    """Order what waits because it costs more than limits.confirm_above_usd."""
    from sorawatch.app import control
    from sorawatch.core.batches import counted

    approved, left, running = control.approve(_load(context, config_path), folder)
    start = "" if running else " No daemon is running: `sorawatch run` orders them."
    rest = f" {counted(left)} in other folders still wait; `sorawatch approve` orders them too." if left.orders else ""
    out.print(f"Approved {counted(approved)}; the other limits still apply.{rest}{start}", soft_wrap=True)


@cli.command("adopt")
def _adopt(
    context: typer.Context,
    job: JobArgument,
    video_id: Annotated[str, typer.Argument(metavar="VIDEO_ID", help="The server's id of the video.")],
    config_path: ConfigOption = None,
) -> None:
    """Tell a held job which of the server's videos is its own."""
    from sorawatch.core.command import Command

    _ask(_load(context, config_path), [Command("adopt", job, video_id)], f"Asked to follow {video_id} for {job}")


@cli.command("recover")
def _recover(
    context: typer.Context,
    config_path: ConfigOption = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Instead, let the folders belong to this state, not to another one.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --take-over: do not ask.")] = False,
) -> None:
    """Make a new state from the work folder and the ledger, if the state file is lost or damaged."""
    from sorawatch.app import control, recovery
    from sorawatch.edges import logs

    loaded = _load(context, config_path)
    if take_over:
        from sorawatch.cli import take_over as folders

        folders.run(loaded, out, ask=not yes)
        return
    logs.set_up([logs.stderr_handler(os.environ)], "info", prompts=False)
    jobs, orders = control.recover(loaded)
    from_ledger = f" Restored from the ledger: {recovery.counted(orders)}." if orders else ""
    out.print(
        f"Made a new state and restored {len(jobs)} unfinished jobs.{from_ledger} `sorawatch run` continues with them."
    )


@cli.command("pause")
def _pause(context: typer.Context, config_path: ConfigOption = None) -> None:
    """Submit nothing more until `resume`; paid clips are still finished."""
    from sorawatch.core.command import Command

    _ask(_load(context, config_path), [Command("pause")], "Paused: nothing more is submitted until `sorawatch resume`")


@cli.command("resume")
def _resume(context: typer.Context, config_path: ConfigOption = None) -> None:
    """Submit again at once, whatever the reason of the pause."""
    from sorawatch.app import control
    from sorawatch.core.command import Command

    loaded = _load(context, config_path)
    pause_file = control.pause_file(loaded)
    _ask(loaded, [Command("resume")], "Any pause by command has ended" if pause_file else "Resumed")
    if pause_file:
        raise Rejected(f"nothing is submitted as long as {pause_file} is there", "Remove it to continue.")


@cli.command("preview")
def _preview(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(metavar="IMAGE")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")] = None,
    config_path: ConfigOption = None,
) -> None:
    """Write the exact reference that would be uploaded, and show the price of the clip."""
    from sorawatch.cli import preview

    previewed = preview.write(_load(context, config_path), image, output, preview.room(out))
    out.print(f"Wrote {escape(str(previewed.path))}", soft_wrap=True)
    out.print(preview.table(previewed))


@cli.command("simulate")
def _simulate(
    api: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose API: openai, litellm, new-api, vllm-omni, sglang, fastvideo, lightx2v or comfyui.",
        ),
    ] = "openai",
    port: Annotated[int, typer.Option(metavar="N", help="Where to listen.", min=0, max=65535)] = 8787,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    key: Annotated[
        str, typer.Option(help="The only API key that is accepted; empty for any. Servers on a GPU ask for none.")
    ] = "sk-simulated",
    generation_seconds: Annotated[float, typer.Option(help="How long a video takes to be made.", min=0.0)] = 6.0,
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="Allow requests from other machines.")] = False,
) -> None:
    """Serve a video API with simulated clips, for trying configurations or other clients."""
    from sorawatch.cli import demo
    from sorawatch.simulator import APIS, SimulatorSettings

    if api not in APIS:
        raise UsageError(f"--api {api}: there is no such API. Choose one of {', '.join(APIS)}.")
    settings = SimulatorSettings(api=api, key=key or None, generation_seconds=generation_seconds)
    demo.simulate(host, port, settings, allow_remote=allow_remote, console=out)


servers = typer.Typer(help="List the kinds of servers that can be used, and what is known of each.")
cli.add_typer(servers, name="servers")


@servers.callback(invoke_without_command=True)
def _servers(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        from sorawatch.cli import servers

        out.print(servers.listing())
        out.print("`sorawatch init --server NAME` writes a configuration for one; `servers show NAME` prints its file.")


@servers.command("show")
def _show_server(name: Annotated[str, typer.Argument(metavar="NAME", help="One that is listed.")]) -> None:
    """Print the file of a dialect, to read or to copy."""
    from sorawatch.config import dialect_file

    typer.echo(dialect_file.source(name), nl=False)


@servers.command("schema")
def _server_schema() -> None:
    """Print the JSON Schema of dialect files, for editors."""
    from sorawatch.config.dialect_keys import schema

    typer.echo(json.dumps(schema(), indent=2))


@servers.command("check")
def _check_server(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A dialect of your own, or a name that is listed.")],
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Else that of the dialect.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Else the first of the dialect.")
    ] = None,
    graph: Annotated[Path | None, typer.Option("--graph", metavar="FILE", help="The workflow, for comfyui.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing; only print the request.")] = False,
) -> None:
    """Print the request that a dialect would send, and ask the server what costs nothing, with $SORAWATCH_API_KEY."""
    from sorawatch.cli import servers

    dialect = servers.opened(file, Path(), graph)
    address = (url or dialect.base_url).rstrip("/")
    shown = servers.request(dialect, address, model or next(iter(dialect.catalogue), "MODEL"))
    for line in (shown.line, *shown.headers, "", shown.body, ""):
        typer.echo(line)
    findings = [] if offline else [*servers.free_requests(dialect, address, os.environ)]
    for finding in findings:
        _print_finding(finding)
    if any(finding.grave for finding in findings):
        raise typer.Exit(FAILED)


services = typer.Typer(help="Run this configuration as a service of systemd.", no_args_is_help=True)
cli.add_typer(services, name="service")


@services.command("install")
def _install(
    context: typer.Context,
    name: NameOption = "sorawatch",
    user: Annotated[
        str, typer.Option(metavar="USER", help="The user of the service; is created if needed.")
    ] = "sorawatch",
    dry_run: DryRunOption = False,
    config_path: ConfigOption = None,
) -> None:
    """Write the unit, its user, its folders and the file with the key, and start it now and at every boot."""
    from sorawatch import config
    from sorawatch.cli import service

    # The service does not see the environment variables of this shell.
    loaded = config.load(config.find(config_path or context.obj, os.environ), {})
    _do(service.install(loaded, os.environ, name, user), dry_run=dry_run)


@services.command("uninstall")
def _uninstall(name: NameOption = "sorawatch", dry_run: DryRunOption = False) -> None:
    """Stop and remove the service. The state, the key, the folders and the user are kept."""
    from sorawatch.cli import service

    _do(service.removal(name), dry_run=dry_run)


@services.command("status")
def _service_status(name: NameOption = "sorawatch") -> None:
    """Show the status of the service in systemd; exit 1 if it is not running."""
    from sorawatch.cli import service

    runs, lines = service.status(name)
    for label, value in lines:
        out.print(f"{label}: {value}", markup=False, soft_wrap=True)
    if not runs:
        raise typer.Exit(FAILED)


def _do(plan: InstallPlan, *, dry_run: bool) -> None:
    from sorawatch.cli import service

    if dry_run:
        typer.echo(service.described(plan))
    else:
        service.carry_out(plan, typer.echo)
