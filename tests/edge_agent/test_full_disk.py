"""A disk that is full or that cannot be written: nothing is lost, records leave, and `status` says what is wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_IN_A_SMALL_DISK = """
import errno, os, subprocess, sys
from contextlib import closing
from pathlib import Path
place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], check=True)
from edge_agent import status
from edge_agent.outbox import Outbox
from edge_agent.credentials import Credentials
from protocol.errors import StorageError
from tests.support.signing_lock import SigningLock, applied, opened, PROVINCE_PUBLIC
lock, other = SigningLock(), SigningLock()
lock.journal(400); other.journal(40)
path = place / "outbox.sqlite3"
filler = place / "filler"

def fill(leave):
    filler.unlink(missing_ok=True)
    free = os.statvfs(place).f_bavail * 4096
    with filler.open("wb", buffering=0) as file:
        left = max(free - leave, 0)
        while left > 0:
            left -= file.write(bytes(min(left, 1 << 20)))

def tried(call):
    try:
        call()
        return "done"
    except StorageError as error:
        return error.code

box = Outbox(path, reserve_bytes=1_000_000)
for each in (lock, other):
    box.lock_seen(each.hello())
for item in lock.records:
    box.put(item)
stored, codes = [], set()
for pages in range(0, 60, 2):
    filler.unlink(missing_ok=True)
    box._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log gives its room back
    fill(pages * 4096)
    box._room._reserve = 0  # only the disk itself refuses
    item = other.records[len(stored)]
    for call in (
        lambda: box.lock_seen(other.hello()),
        lambda: box.keep_forged(other.lock_id, 1, bytes(900), "cose.signature"),
        lambda: box.dispute((lock.lock_id, 1), f"code-{pages}"),
        lambda: box.note_absent(other.lock_id, 1000 + pages, 1000 + pages),
        lambda: box.put(item),
    ):
        codes.add(outcome := tried(call))
    if outcome == "done":
        stored.append(item.counter)
assert codes <= {"done", "outbox.full", "outbox.io"} and len(codes) > 1, codes
fill(0)
box._room._reserve = 1_000_000
assert tried(lambda: box.put(other.records[39])) in ("outbox.reserve", "outbox.full", "outbox.io")
assert box.refusal is not None
status.write(place, {"a": 1})
assert tried(lambda: Credentials(place, PROVINCE_PUBLIC)) == "link.key"
signed = lock.receipt(400)
assert len(applied(box, opened(signed), signed)) == 400, "one receipt over all of it, on a full disk"
filler.unlink()
box.check()
assert box.refusal is None and (place / "outbox.ballast").exists()
held = [row.counter for row in box.batch(0, 10**9, 1000)]
assert held == stored, (held, stored)
assert box._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
box.close()
subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
assert tried(lambda: Outbox(path)) == "outbox.access"
assert tried(lambda: Credentials(place, PROVINCE_PUBLIC)) == "link.key"
status.write(place, {"a": 1})
print("all held")
"""


_ON_A_FAILING_DISK = """
import subprocess, sys
from pathlib import Path
place, image = Path(sys.argv[1]) / "disk", Path(sys.argv[1]) / "image"
place.mkdir()
image.write_bytes(b"")
with image.open("r+b") as file:
    file.truncate(16_000_000)
subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
mount = ["mount", "-o", "loop,errors=remount-ro", str(image), str(place)]
if subprocess.run(mount, capture_output=True).returncode:
    sys.exit("skip: no loop device here")
device = Path(subprocess.run(["findmnt", "-no", "SOURCE", str(place)], capture_output=True, text=True).stdout.strip())
from edge_agent import lock_statements, status
from edge_agent.credentials import Credentials
from edge_agent.outbox import Outbox
from protocol import statement
from protocol.errors import MooringError
from tests.support.building import passes
from tests.support.signing_lock import SigningLock, opened, PROVINCE_PUBLIC

def tried(call):
    try:
        call()
        return "done"
    except MooringError as error:
        return error.code

lock, path = SigningLock(), place / "outbox.sqlite3"
lock.journal(30)
box, keys = Outbox(path), Credentials(place, PROVINCE_PUBLIC)
box.lock_seen(lock.hello())
for item in lock.records[:20]:
    box.put(item)
keys.take(passes(keys.public, 50, locks=[lock.lock_id]))
signed, placed = lock.receipt(10), statement.parse(lock.placement())
trigger = Path("/sys/fs/ext4") / device.name / "trigger_fs_error"
try:
    trigger.write_text("1")  # the kernel makes the disk read-only, as it does after a fault of an SD card
except OSError:
    sys.exit("skip: this kernel does not let a test break a disk")
for call in (
    lambda: box.lock_seen(lock.hello()),
    lambda: box.put(lock.records[20]),
    lambda: box.keep_forged(lock.lock_id, 1, bytes(900), "cose.signature"),
    lambda: box.dispute((lock.lock_id, 1), "code"),
    lambda: box.note_absent(lock.lock_id, 100, 101),
    lambda: box.set_aside((lock.lock_id, 1), "code", authentic=True),
    lambda: box.apply_receipts([(opened(signed), signed)]),
    lambda: box.statements.add(lock.lock_id, lock_statements.read(placed, lock.lock_id, PROVINCE_PUBLIC, None)),
):
    assert (code := tried(call)) in ("outbox.io", "outbox.access"), code
assert box.refusal is not None and box.refusal.code in ("outbox.io", "outbox.access")
assert [row.counter for row in box.batch(0, 10**9, 100)] == list(range(1, 21)), "what is there still goes out"
box.check()
status.write(place, {"a": 1})
assert keys.take(passes(keys.public, 60, locks=[lock.lock_id])), "a pass that cannot be kept is used"
box.close()
subprocess.run(["umount", str(place)], check=True)
subprocess.run(["e2fsck", "-fy", str(image)], capture_output=True)
subprocess.run(mount, check=True)
box = Outbox(path)
assert [row.counter for row in box.batch(0, 10**9, 100)] == list(range(1, 21))
assert box.put(lock.records[20]) == "stored" and box.apply_receipts([(opened(signed), signed)])[1] == []
box.close()
subprocess.run(["umount", str(place)], check=True)
print("all held")
"""


def _namespace() -> list[str] | None:
    """Return the command that runs a program where it may mount a disk; None if this system does not allow it."""
    for command in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        try:
            subprocess.run([*command, "true"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return None


@pytest.mark.skipif(sys.platform != "linux" or _namespace() is None, reason="a small disk needs namespaces of Linux")
def test_at_a_full_or_read_only_disk_every_write_ends_in_an_error_with_a_code_and_records_still_leave(
    tmp_path: Path,
) -> None:
    command = [*(_namespace() or []), sys.executable, "-c", _IN_A_SMALL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "all held\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux" or _namespace() is None, reason="a small disk needs namespaces of Linux")
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mkfs.ext4") is None, reason="only root may break a disk")
def test_a_disk_that_becomes_read_only_at_work_loses_nothing_and_each_write_ends_in_an_error_with_a_code(
    tmp_path: Path,
) -> None:
    command = [*(_namespace() or []), sys.executable, "-c", _ON_A_FAILING_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr.startswith("skip: "):
        pytest.skip(done.stderr[6:].strip())
    assert done.stdout == "all held\n", done.stderr
