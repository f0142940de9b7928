"""The edge makes its key once, and only the key file's owner can read the key. A pass for another key is refused."""

from pathlib import Path

import pytest

from edge_agent.credentials import KEY_FILE, PASS_FILE, Credentials
from protocol import crypto_cpython as crypto
from protocol import statement, uplink
from protocol.edge_pass import KIND, EdgePass
from protocol.errors import FormatError, MooringError, StorageError, VerificationError
from tests.support.link_keys import NOW, LinkKeys

KEYS = LinkKeys(crypto)


def edge(folder: Path, province: bytes | None = KEYS.province[1]) -> Credentials:
    (folder / KEY_FILE).write_bytes(KEYS.edge[0])
    return Credentials(folder, province)


def test_the_key_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    first, second = Credentials(tmp_path, None), Credentials(tmp_path, None)
    assert first.static == second.static and first.public == crypto.public("P-256", first.static[0])
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("content", [b"", bytes(32), b"x" * 31, b"\xff" * 32])
def test_a_key_file_that_holds_no_key_is_named_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(StorageError, match=r"link\.key"):
        Credentials(tmp_path, None)
    assert (tmp_path / KEY_FILE).read_bytes() == content


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"link\.key"):
        Credentials(tmp_path / "missing", None)


def test_a_pass_survives_a_restart(tmp_path: Path) -> None:
    known = edge(tmp_path)
    assert not known.available.is_set() and not known.admits(KEYS.lock_id)
    known.take(KEYS.passes())
    again = Credentials(tmp_path, KEYS.province[1])
    assert again.available.is_set() and again.issued_at == NOW
    assert again.pass_for(KEYS.lock_id) is not None
    assert again.pass_for(KEYS.lock_id) == known.pass_for(KEYS.lock_id)


def test_a_newer_pass_replaces_an_older_and_not_the_other_way_round(tmp_path: Path) -> None:
    known = edge(tmp_path)
    known.take(KEYS.passes(issued_at=NOW + 1))
    known.note_refusal()
    taken = [(known.take(KEYS.passes(issued_at=NOW + later)), known.refused) for later in (0, 2)]
    assert taken == [(False, True), (True, False)]
    assert known.issued_at == NOW + 2


def test_a_pass_for_another_edges_key_is_refused(tmp_path: Path) -> None:
    known = edge(tmp_path)
    with pytest.raises(MooringError, match=r"edge-pass\.key"):
        known.take(KEYS.passes(public=KEYS.lock[1]))
    assert not known.available.is_set()


def test_a_pass_that_the_province_did_not_sign_is_refused_where_its_key_is_known(tmp_path: Path) -> None:
    forged = KEYS.passes(signer=KEYS.edge[0])
    with pytest.raises(MooringError, match=r"cose\.signature"):
        edge(tmp_path).take(forged)
    assert not (tmp_path / PASS_FILE).exists()


def test_in_an_experiment_without_the_provinces_key_a_pass_by_anybody_serves_and_is_not_kept(tmp_path: Path) -> None:
    known = edge(tmp_path, province=None)
    assert known.take(KEYS.passes(signer=KEYS.edge[0], issued_at=2**53 - 2, not_after=2**53 - 1))
    assert known.available.is_set() and not (tmp_path / PASS_FILE).exists()
    again = edge(tmp_path, province=None)
    assert not again.available.is_set() and again.take(KEYS.passes()), "so a genuine one is accepted after a restart"


def test_a_pass_on_disk_that_the_province_did_not_sign_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / PASS_FILE).write_bytes(KEYS.passes(signer=KEYS.edge[0], issued_at=2**53 - 2, not_after=2**53 - 1))
    known = edge(tmp_path)
    assert not known.available.is_set() and known.take(KEYS.passes())


def test_what_is_no_pass_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"\xff" * 100, KEYS.passes() + b"\0"):
        with pytest.raises(FormatError):
            edge(tmp_path).take(data)


def test_a_damaged_pass_on_disk_is_passed_over_and_another_is_taken(tmp_path: Path) -> None:
    (tmp_path / PASS_FILE).write_bytes(b"torn")
    known = edge(tmp_path)
    assert not known.available.is_set()
    assert known.take(KEYS.passes())


def test_the_lists_in_the_passes_say_which_locks_are_served(tmp_path: Path) -> None:
    known = edge(tmp_path)
    known.take(KEYS.passes())
    assert known.admits(KEYS.lock_id) and not known.admits(bytes(16))
    known.take(KEYS.passes(issued_at=NOW + 1, locks=[bytes(16)]))
    assert known.admits(bytes(16)) and not known.admits(KEYS.lock_id), "newer passes replace all the old ones"
    assert known.pass_for(KEYS.lock_id) is None


def test_of_what_is_advertised_only_the_beginning_of_an_own_locks_id_is_a_claim(tmp_path: Path) -> None:
    known = edge(tmp_path)
    assert known.claimed(KEYS.lock_id[:4] + b"hh") is None, "there are no passes yet"
    known.take(KEYS.passes())
    assert known.claimed(KEYS.lock_id[:4] + b"hh") == KEYS.lock_id == known.claimed(KEYS.lock_id[:4] + bytes(2))
    for other in (b"", KEYS.lock_id[:4], KEYS.lock_id[:5], KEYS.lock_id[:7], KEYS.lock_id, bytes(6)):
        assert known.claimed(other) is None


def test_of_two_own_locks_whose_ids_begin_alike_the_one_that_is_wanted_is_claimed(tmp_path: Path) -> None:
    known = edge(tmp_path)
    first, second = b"same" + bytes(12), b"same" + bytes(11) + b"\x01"
    known.take(KEYS.passes(locks=[first, second, KEYS.lock_id]))
    assert known.claimed(b"same\x00\x00") == first
    assert known.claimed(b"same\x00\x00", lambda lock_id: lock_id != first) == second
    assert known.claimed(b"same\x00\x00", lambda _lock_id: False) == first, "it is ours, and nobody searches for it"


LOCKS = [number.to_bytes(16, "big") for number in range(150)]
LISTS = [LOCKS[:64], LOCKS[64:128], LOCKS[128:]]


def test_an_edge_with_more_locks_than_a_pass_lists_holds_several(tmp_path: Path) -> None:
    known = edge(tmp_path)
    assert known.take(KEYS.passes(*LISTS))
    assert known.locks == frozenset(LOCKS)
    for lock_id in LOCKS:
        shown = known.pass_for(lock_id)
        assert shown is not None and EdgePass.parse(statement.parse(shown).read(KIND)).admits(lock_id)
    assert len({known.pass_for(lock_id) for lock_id in LOCKS}) == 3
    assert Credentials(tmp_path, KEYS.province[1]).locks == known.locks


def test_a_courier_that_leaves_passes_out_or_says_one_twice_changes_nothing(tmp_path: Path) -> None:
    known = edge(tmp_path)
    known.take(KEYS.passes(*LISTS[:2]))
    before = known.locks
    newer = [KEYS.edge_pass(locks=listed, issued_at=NOW + 1, parts=2) for listed in LISTS[:2]]
    signed_anew = KEYS.edge_pass(locks=LISTS[0], issued_at=NOW + 1, parts=2)
    for said in ([newer[0]], [newer[1]], [newer[0], newer[0]], [newer[0], signed_anew], [*newer, newer[0]]):
        with pytest.raises(VerificationError, match=r"edge-pass\.together"):
            known.take(uplink.Passes(said).encode())
        assert (known.locks, known.issued_at) == (before, NOW)
    assert known.take(uplink.Passes(newer[::-1]).encode()) and known.issued_at == NOW + 1


def test_passes_are_taken_together_or_not_at_all(tmp_path: Path) -> None:
    known = edge(tmp_path)
    first, second = (KEYS.edge_pass(locks=listed, parts=2) for listed in LISTS[:2])
    later = KEYS.edge_pass(locks=LISTS[1], issued_at=NOW + 1, parts=2)
    forged = KEYS.edge_pass(locks=LISTS[1], signer=KEYS.edge[0], parts=2)
    foreign = KEYS.edge_pass(locks=LISTS[1], public=KEYS.lock[1], parts=2)
    for other, code in ((later, "edge-pass.together"), (forged, "cose.signature"), (foreign, "edge-pass.key")):
        with pytest.raises(VerificationError) as refused:
            known.take(uplink.Passes([first, other]).encode())
        assert refused.value.code == code
        assert not known.locks and not known.available.is_set()
    assert known.take(uplink.Passes([first, second]).encode())
