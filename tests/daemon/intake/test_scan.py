"""From what is in the inbox to orders, through real folders and real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sorawatch.core.order import Fit, Model, Order, Size
from sorawatch.core.settle import MAX_OPEN_SECONDS
from sorawatch.core.sidecar import OrderSettings
from sorawatch.daemon.intake.scan import WAITS_FOR_SIDECAR, InboxScanner, ScanResult, order_of
from sorawatch.edges.inbox import Inbox
from sorawatch.errors import Blocked, Deferred, Rejected

SIZE = Size(1280, 720)
CATALOGUE = {"sora-2": Model("sora-2", (SIZE, Size(720, 1280)), (4, 8, 12), 100_000)}
DEFAULTS = OrderSettings(model="sora-2", size=SIZE, seconds=8, fit=Fit.CROP, priority=0)
SETTLE = 3.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


class Scans:
    """A scanner and the time by its clock."""

    def __init__(
        self,
        root: Path,
        defaults: OrderSettings = DEFAULTS,
        check: Callable[[int], None] = lambda number: None,
        grace: float = 0.0,
    ) -> None:
        """``check`` is told how often the inbox has been checked."""
        self.root = root
        self.checks = 0
        self._check = check
        inbox = Inbox(root, ignore=(), settle_seconds=SETTLE)
        self.intake = InboxScanner(inbox, defaults, CATALOGUE, self._count, sidecar_grace_seconds=grace)
        self.now = 0.0

    def _count(self) -> None:
        self.checks += 1
        self._check(self.checks)

    def scan(self, *open_files: str) -> ScanResult:
        self.now += SETTLE
        return self.intake.scan({}, self.now, frozenset(open_files))

    def settled(self) -> ScanResult:
        self.scan()
        return self.scan()

    def orders(self) -> dict[str, Order | Rejected]:
        return {each.pair.path: each.order for each in self.settled().new}

    def accepted(self) -> dict[str, Order]:
        return {path: order for path, order in self.orders().items() if isinstance(order, Order)}

    def order(self) -> Order:
        (order,) = self.orders().values()
        assert isinstance(order, Order), order
        return order

    def refusal(self) -> str:
        (order,) = self.orders().values()
        assert isinstance(order, Rejected)
        return str(order)

    def waiting(self) -> dict[str, str]:
        return {each.path: each.why for each in self.settled().waiting}


def drop(folder: Path, **files: str) -> None:
    """Files named as the keywords, with ``_`` for the dot; pictures have any content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", "\0").replace("_", ".").replace("\0", "_")).write_text(text)


class TestSidecars:
    def test_a_sidecar_over_the_configuration(self, root: Path) -> None:
        drop(root, beach_jpg="x", beach_yaml="prompt: waves\nseconds: 4\n")
        assert Scans(root).order() == Order("waves", "sora-2", SIZE, 4, Fit.CROP, 0)

    def test_a_text_is_the_prompt(self, root: Path) -> None:
        drop(root, beach_jpg="x", beach_txt="Gentle: waves\n")
        assert Scans(root).order().prompt == "Gentle: waves"

    def test_every_fault_is_told(self, root: Path) -> None:
        drop(root, beach_jpg="x", beach_yaml="prompt: waves\nseconds: 5\nsise: 1x1\n")
        told = Scans(root).refusal()
        assert "beach.yaml line 2, seconds: is 5" in told
        assert "sise" in told

    def test_a_conflict_is_told(self, root: Path) -> None:
        drop(root, a_jpg="x", a_png="x", a_yaml="prompt: waves\n")
        orders = Scans(root).orders()
        assert {*orders} == {"a.jpg", "a.png"}
        assert all("Give each its own sidecar: a.jpg.yaml, a.png.yaml" in str(order) for order in orders.values())

    @pytest.mark.parametrize("name", ["beach.yaml.txt", "Beach.YML.TXT", "beach.jpg.yaml.txt"])
    def test_yaml_may_be_called_txt_as_well(self, root: Path, name: str) -> None:
        drop(root, beach_jpg="x")
        (root / name).write_text("Prompt: waves\nseconds: 4\n")
        assert Scans(root).order() == Order("waves", "sora-2", SIZE, 4, Fit.CROP, 0)

    def test_a_text_may_be_called_txt_twice(self, root: Path) -> None:
        drop(root, beach_jpg="x", beach_txt_txt="Gentle: waves #calm\n")
        assert Scans(root).order().prompt == "Gentle: waves #calm"

    def test_one_of_another_picture_is_not_taken(self, root: Path) -> None:
        drop(root, beach_jpg="x", beach_png="x", beach_jpg_yaml_txt="prompt: waves\n")
        scans = Scans(root)
        assert {path: order.prompt for path, order in scans.accepted().items()} == {"beach.jpg": "waves"}
        assert scans.waiting() == {"beach.png": "no sidecar yet, and no default prompt"}

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("name", ["beach.yaml", "beach.yaml.txt", "beach.txt"])
    def test_notepad_saves_them(self, root: Path, name: str, encoding: str) -> None:
        drop(root, beach_jpg="x")
        key = "" if name == "beach.txt" else "prompt:\t"
        (root / name).write_bytes(f"{key}Wellen \N{WATER WAVE}\r\n".encode(encoding))
        assert Scans(root).order().prompt == "Wellen \N{WATER WAVE}"

    @pytest.mark.parametrize("name", ["beach.yaml", "beach.yml.txt", "_defaults.yaml"])
    def test_a_prompt_that_a_hashtag_cuts_off_is_not_ordered(self, root: Path, name: str) -> None:
        drop(root, beach_jpg="x")
        (root / name).write_text("seconds: 8 # short\nprompt: cat plays piano #funny #cat\n")
        told = Scans(root).refusal()
        assert told.startswith(f'{name} line 2, prompt: is cut off at " #"')
        assert told.endswith("\n    prompt: 'cat plays piano #funny #cat'")

    def test_two_for_one_picture_are_told(self, root: Path) -> None:
        drop(root, a_jpg="x", a_yaml="prompt: waves\n", a_yaml_txt="prompt: hills\n")
        assert Scans(root).refusal() == "a.jpg has 2 sidecars, a.yaml and a.yaml.txt. Keep one of them"

    def test_one_that_is_not_used_waits(self, root: Path) -> None:
        drop(root, a_jpg="x", a_jpg_yaml="prompt: waves\n", a_txt="hills\n")
        scans = Scans(root)
        assert scans.order().prompt == "waves"
        assert scans.waiting() == {"a.txt": "has no effect: a.jpg already has the sidecar a.jpg.yaml"}

    def test_an_image_without_one_waits(self, root: Path) -> None:
        drop(root, beach_jpg="x")
        scans = Scans(root)
        assert scans.waiting() == {"beach.jpg": "no sidecar yet, and no default prompt"}
        drop(root, beach_yaml="prompt: waves\n")
        assert scans.order().prompt == "waves"

    def test_an_image_without_one_does_not_wait_where_the_configuration_has_a_prompt(self, root: Path) -> None:
        drop(root, beach_jpg="x")
        assert Scans(root, OrderSettings("hills", "sora-2", SIZE, 8, Fit.PAD)).order().prompt == "hills"

    def test_an_image_without_one_waits_for_it_where_there_is_a_default_prompt(self, root: Path) -> None:
        drop(root, beach_jpg="x")
        scans = Scans(root, OrderSettings("hills", "sora-2", SIZE, 8, Fit.PAD), grace=3 * SETTLE)
        first = scans.settled()
        assert first.new == ()
        assert [(each.path, each.why) for each in first.waiting] == [("beach.jpg", WAITS_FOR_SIDECAR)]
        assert first.listing.settling == 1
        assert first.listing.settles_in == pytest.approx(2 * SETTLE)
        drop(root, beach_yaml="prompt: waves\n")
        assert scans.order().prompt == "waves"

    def test_an_image_without_one_is_ordered_with_the_default_prompt_in_the_end(self, root: Path) -> None:
        drop(root, beach_jpg="x")
        scans = Scans(root, OrderSettings("hills", "sora-2", SIZE, 8, Fit.PAD), grace=3 * SETTLE)
        assert [len(scans.scan().new) for _ in range(4)] == [0, 0, 0, 1]

    def test_one_that_may_not_be_read_waits_and_holds_nobody_up(self, unprivileged: Path) -> None:
        drop(unprivileged, a_jpg="x", a_yaml="prompt: waves\n", b_jpg="x", b_yaml="prompt: hills\n")
        (unprivileged / "a.yaml").chmod(0)
        look = Scans(unprivileged).settled()
        assert [each.pair.path for each in look.new] == ["b.jpg"]
        (waiting,) = look.waiting
        assert waiting.path == "a.jpg"
        assert "a.yaml may not be read" in waiting.why
        (unprivileged / "a.yaml").chmod(0o644)
        assert {*Scans(unprivileged).orders()} == {"a.jpg", "b.jpg"}

    def test_one_that_vanishes_after_it_was_listed_waits(self, root: Path) -> None:
        drop(root, beach_jpg="x", beach_yaml="prompt: waves\n")
        last_check = 4
        scans = Scans(root, check=lambda number: (root / "beach.yaml").unlink() if number == last_check else None)
        assert scans.waiting() == {"beach.jpg": "beach.yaml: No such file or directory"}
        assert scans.waiting() == {"beach.jpg": "no sidecar yet, and no default prompt"}

    def test_one_that_is_a_link_is_none(self, root: Path) -> None:
        drop(root, beach_jpg="x", elsewhere_md="prompt: waves\n")
        (root / "beach.yaml").symlink_to(root / "elsewhere.md")
        assert "beach.yaml" in Scans(root).waiting()
        assert Scans(root).orders() == {}


class TestFolderDefaults:
    def test_the_nearest_decides(self, root: Path) -> None:
        drop(root, __defaults_yaml="prompt: top\nseconds: 4\nfit: pad\n")
        drop(root / "a", __defaults_yml="prompt: middle\nseconds: 12\n")
        drop(root / "a" / "b", __defaults_yaml="prompt: near\n", x_jpg="x")
        drop(root / "a" / "c", x_jpg="x", x_yaml="size: portrait\n")
        drop(root / "d", x_jpg="x")
        orders = Scans(root).accepted()
        found = {path: (order.prompt, order.seconds, order.fit) for path, order in orders.items()}
        assert found == {
            "a/b/x.jpg": ("near", 12, Fit.PAD),
            "a/c/x.jpg": ("middle", 12, Fit.PAD),
            "d/x.jpg": ("top", 4, Fit.PAD),
        }

    @pytest.mark.parametrize("name", ["_defaults.yaml", "_defaults.yml", "_Defaults.YAML"])
    def test_their_names(self, root: Path, name: str) -> None:
        drop(root, x_jpg="x")
        (root / name).write_text("prompt: waves\n")
        assert Scans(root).order().prompt == "waves"

    @pytest.mark.parametrize("name", ["_default.yaml", "_defaults.txt", "_default.yml", "_defaults.yaml.txt"])
    def test_what_looks_like_them_waits_and_is_told_their_name(self, root: Path, name: str) -> None:
        drop(root / "sub", x_jpg="x")
        (root / "sub" / name).write_text("prompt: waves\n")
        scans = Scans(root)
        waiting = scans.waiting()
        assert {*waiting} == {"sub/x.jpg", f"sub/{name}"}
        assert "the defaults of a folder are called _defaults.yaml" in waiting[f"sub/{name}"]
        (root / "sub" / name).rename(root / "sub" / "_defaults.yaml")
        assert scans.order().prompt == "waves"
        assert scans.waiting() == {}

    def test_a_prompt_without_a_picture_is_told_what_to_be_called(self, root: Path) -> None:
        drop(root, x_jpg="x", prompt_txt="waves\n")
        scans = Scans(root)
        assert "rename it, such as to x.txt for x.jpg" in scans.waiting()["prompt.txt"]
        (root / "prompt.txt").rename(root / "x.txt")
        assert scans.order().prompt == "waves"

    def test_broken_ones_are_named_to_every_pair_below(self, root: Path) -> None:
        drop(root / "sub", __defaults_yaml="prompt: a\nseconds: 5\n", x_jpg="x")
        drop(root / "sub" / "deep", y_jpg="x", y_yaml="prompt: waves\n")
        orders = Scans(root).orders()
        assert {*orders} == {"sub/x.jpg", "sub/deep/y.jpg"}
        assert all("sub/_defaults.yaml line 2, seconds: is 5" in str(order) for order in orders.values())

    def test_unreadable_text_is_named_too(self, root: Path) -> None:
        drop(root, __defaults_yaml="prompt: [\n", x_jpg="x")
        assert "_defaults.yaml line 2, column 1: is not valid YAML" in Scans(root).refusal()

    def test_what_blocks_their_folder_does_not_quote_the_prompt(self, root: Path) -> None:
        drop(root, __defaults_yaml="prompt: secret: waves\n", x_jpg="x")
        scans = Scans(root)
        assert "secret" in scans.refusal()
        (scope,) = scans.scan().folder_limits
        assert scope.blocked is not None
        assert "_defaults.yaml line 1, column 15: has a second" in scope.blocked.pause.reason
        assert "secret" not in scope.blocked.pause.reason

    def test_a_link_is_refused_by_name(self, root: Path) -> None:
        drop(root, x_jpg="x", elsewhere_md="prompt: waves\n")
        (root / "_defaults.yaml").symlink_to(root / "elsewhere.md")
        assert "_defaults.yaml: is a symbolic link" in Scans(root).refusal()

    def test_those_that_may_not_be_read_keep_their_pairs_waiting(self, unprivileged: Path) -> None:
        drop(unprivileged, __defaults_yaml="prompt: top\n", x_jpg="x", y_jpg="x", y_yaml="prompt: own\n")
        (unprivileged / "_defaults.yaml").chmod(0)
        scans = Scans(unprivileged)
        assert {*scans.waiting()} == {"x.jpg", "y.jpg"}
        (unprivileged / "_defaults.yaml").chmod(0o644)
        assert {path: order.prompt for path, order in scans.accepted().items()} == {"x.jpg": "top", "y.jpg": "own"}

    def test_half_written_ones_are_not_ordered_by(self, root: Path) -> None:
        drop(root, __defaults_yaml="prompt: gentle wa", x_jpg="x")
        scans = Scans(root)
        scans.scan()
        drop(root, __defaults_yaml="prompt: gentle waves\n")
        assert scans.scan().new == ()
        assert scans.order().prompt == "gentle waves"

    def test_their_limits_hold_until_a_program_that_changes_them_has_closed_the_file(self, root: Path) -> None:
        drop(root, __defaults_yaml="limits: {usd_per_day: 5}\n")
        scans = Scans(root)
        scans.settled()
        drop(root, __defaults_yaml="seconds: 4\n")
        for _ in range(3):
            found = scans.scan("_defaults.yaml")
            assert [scope.limits.micros_per_day for scope in found.folder_limits] == [5_000_000]
        assert found.listing.settles_in == MAX_OPEN_SECONDS - 2 * SETTLE
        drop(root, __defaults_yaml="seconds: 4\nlimits: {usd_per_day: 6}\n")
        scans.scan()
        assert [scope.limits.micros_per_day for scope in scans.scan().folder_limits] == [6_000_000]


class TestShareGone:
    def test_nothing_is_listed_where_the_inbox_must_not_be_looked_at(self, root: Path) -> None:
        def refuse(number: int) -> None:
            raise Blocked("not mounted", "Mount it.")

        with pytest.raises(Blocked, match="not mounted"):
            Scans(root, check=refuse).scan()

    def test_a_listing_during_which_it_went_does_not_count(self, root: Path) -> None:
        def refuse_later(number: int) -> None:
            if number == 2:
                raise Blocked("not mounted", "Mount it.")

        scans = Scans(root, check=refuse_later)
        with pytest.raises(Blocked, match="not mounted"):
            scans.scan()
        assert scans.scan().new == ()

    def test_a_missing_inbox(self, root: Path) -> None:
        root.rmdir()
        with pytest.raises(Deferred):
            Scans(root).scan()


class TestOneOrder:
    def order(self, root: Path, image: str, folder: str = "") -> Order:
        return order_of(Inbox(root, ignore=(), settle_seconds=SETTLE), folder, image, DEFAULTS, CATALOGUE)

    def test_what_a_picture_would_order(self, root: Path) -> None:
        drop(root, __defaults_yaml="seconds: 12\n", beach_jpg="x", beach_jpg_yaml="prompt: waves\n", other_jpg="x")
        assert self.order(root, "beach.jpg") == Order("waves", "sora-2", SIZE, 12)
        assert self.order(root, "other.jpg").seconds == 12

    def test_the_nearest_defaults_come_first(self, root: Path) -> None:
        drop(root, __defaults_yaml="seconds: 12\nfit: pad\n")
        drop(root / "sub", __defaults_yaml="seconds: 4\n", beach_jpg="x")
        drop(root / "aside", __defaults_yaml="fit: blur\n")
        order = self.order(root, "beach.jpg", "sub")
        assert (order.seconds, order.fit) == (4, Fit.PAD)

    def test_its_faults(self, root: Path) -> None:
        drop(root, beach_jpg="x", beach_yaml="seconds: 5\n")
        with pytest.raises(Rejected, match="seconds: is 5"):
            self.order(root, "beach.jpg")

    def test_a_folder_that_is_gone(self, root: Path) -> None:
        with pytest.raises(Deferred, match="gone"):
            self.order(root, "beach.jpg", "gone")
