"""What the state knows of money the ledger is told, at once or as soon as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.order import Order, Size
from sorawatch.core.purchase import Standing
from sorawatch.daemon.ledgered_store import LedgeredStore
from sorawatch.edges.ledger import Ledger
from sorawatch.edges.store import AGREEMENT, Store, Transaction
from sorawatch.errors import Blocked
from tests.support import texts

ORDER = Order("waves", "sora-2", Size(1280, 720), 8)
SENT = Job("a", State.SUBMITTING, Pair("", "a.jpg", Stamp(1, 1)), 1, 1, 1, ORDER, digest="d" * 64, token="t", price=5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.create_or_open(tmp_path / "state.db", "one")[0]) as store:
        yield store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db.ledger"


def fail(_done: None = None) -> None:
    raise Blocked("no disk", "find it")


def test_what_is_bought_and_settled_is_told(store: Store, path: Path) -> None:
    books = LedgeredStore(store, Ledger(path))
    with books.transaction() as tx:
        tx.purchases.add(SENT)
    with books.transaction() as tx:
        tx.purchases.close("t", Standing.SPENT, "a.mp4")
        known = tx.purchases.all()
    assert Ledger(path).read() == known


def test_what_is_not_on_disk_is_not_told(store: Store, path: Path) -> None:
    books = LedgeredStore(store, Ledger(path))

    def buy_and_fail(tx: Transaction) -> None:
        tx.purchases.add(SENT)
        fail()

    with pytest.raises(Blocked), books.transaction() as tx:
        buy_and_fail(tx)
    assert Ledger(path).read() == {}


def test_what_came_to_be_on_disk_against_all_signs_is_told_with_the_next_turn(store: Store, path: Path) -> None:
    """A disk may fail in the very moment after the commit."""
    books = LedgeredStore(store, Ledger(path))
    with pytest.raises(Blocked), books.transaction():
        fail()
    with store.transaction() as tx:
        tx.purchases.add(SENT)
        known = tx.purchases.all()
    with books.transaction():
        pass
    assert Ledger(path).read() == known


def test_without_the_ledger_nothing_is_bought_and_all_else_goes_on(store: Store, path: Path) -> None:
    books = LedgeredStore(store, Ledger(path))
    path.mkdir()
    with pytest.raises(Blocked, match=texts.LEDGER_UNWRITABLE), books.transaction() as tx:
        tx.purchases.add(SENT)
    assert books.pause_reason is not None
    with books.transaction() as tx:
        tx.purchases.close("t", Standing.RELEASED)
        known = tx.purchases.all()
    assert books.pause_reason is not None
    path.rmdir()
    with books.transaction():
        pass
    assert books.pause_reason is None
    assert Ledger(path).read() == known


def test_a_ledger_that_was_removed_is_written_anew(store: Store, path: Path) -> None:
    books = LedgeredStore(store, Ledger(path))
    with books.transaction() as tx:
        tx.purchases.add(SENT)
    path.unlink()
    with books.transaction() as tx:
        tx.purchases.close("t", Standing.SPENT, "a.mp4")
    with books.transaction() as tx:
        known = tx.purchases.all()
    assert Ledger(path).read() == known


class TestAgreement:
    """The fingerprint of the ledger that is in the state while both know the same."""

    @pytest.fixture
    def books(self, store: Store, path: Path) -> LedgeredStore:
        books = LedgeredStore(store, Ledger(path))
        with books.transaction() as tx:
            tx.purchases.add(SENT)
        books.note_agreement()
        return books

    def noted(self, store: Store) -> object:
        with store.transaction() as tx:
            return tx.key_values.read(AGREEMENT)

    def test_is_noted_when_the_state_is_closed(self, store: Store, path: Path, books: LedgeredStore) -> None:
        assert books.pause_reason is None
        assert self.noted(store) == Ledger(path).fingerprint() is not None

    @pytest.mark.usefixtures("books")
    def test_is_forgotten_by_whoever_has_something_to_tell(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.purchases.close("t", Standing.SPENT, "a.mp4")
        assert self.noted(store) is None

    def test_holds_while_nothing_is_bought(self, store: Store, path: Path, books: LedgeredStore) -> None:
        with books.transaction() as tx:
            tx.key_values.write("other", 1)
        assert self.noted(store) == Ledger(path).fingerprint()

    @pytest.mark.usefixtures("books")
    def test_ends_with_any_change_of_the_ledger(self, store: Store, path: Path) -> None:
        data = path.read_bytes()
        for changed in (data + b"\n", data[:-20], data[:-2] + b"]\n", b""):
            path.write_bytes(changed)
            assert self.noted(store) != Ledger(path).fingerprint()
        path.unlink()
        assert Ledger(path).fingerprint() is None

    def test_is_not_noted_if_the_ledger_could_not_be_written(self, store: Store, path: Path) -> None:
        books = LedgeredStore(store, Ledger(path / "missing" / "ledger"))
        path.write_text("a file where a folder should be")
        with pytest.raises(Blocked), books.transaction() as tx:
            tx.purchases.add(SENT)
        books.note_agreement()
        assert self.noted(store) is None
