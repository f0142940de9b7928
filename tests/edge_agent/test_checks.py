"""check-config tries what the configuration names, and says what to do about each thing that does not work."""

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edge_agent import answers, checks, config
from edge_agent.checks import DAY, judged_dates
from edge_agent.outbox import Outbox
from tests.support.closed import closed
from tests.support.signing_lock import PROVINCE_PUBLIC, SigningLock


def settings(folder: Path, **variables: str) -> config.Config:
    environment = {"STATE_DIR": str(folder / "state"), "PROVINCE_PUBLIC_KEY": PROVINCE_PUBLIC.hex(), **variables}
    return config.load(None, {f"MOORING_EDGE_{name}": value for name, value in environment.items()})


def found(folder: Path, part: str, **variables: str) -> checks.Finding:
    (finding,) = [each for each in checks.of_configuration(settings(folder, **variables)) if each.part == part]
    return finding


def certificate(folder: Path, days: int) -> dict[str, str]:
    """Write a certificate that ends in so many days, with its key, and return the settings that name them."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days, minutes=5))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {f"MQTT_{part}": str(folder / name) for part, name in (("CA", "cert"), ("CERT", "cert"), ("KEY", "key"))}


def test_a_new_machine_is_good_and_nothing_is_made(tmp_path: Path) -> None:
    answer = answers.check_config(settings(tmp_path))
    assert (answer.code, answer.facts["ok"]) == (0, True)
    assert {finding["level"] for finding in answer.facts["checks"]} == {"good"}
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_this_user_may_not_write_is_named_with_its_owner(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    assert found(tmp_path, "state_dir").level == "warning", "others can look into it"
    with closed(tmp_path / "state"):
        finding = found(tmp_path, "state_dir")
        assert answers.check_config(settings(tmp_path)).code == 1
    assert finding.level == "bad" and "sudo -u" in finding.text and f"{tmp_path / 'state'}: " in finding.text
    assert found(tmp_path, "state_dir").level == "good"


def test_a_damaged_database_and_one_of_another_program_are_found_and_a_sound_one_is_good(tmp_path: Path) -> None:
    path = tmp_path / "state" / "outbox.sqlite3"
    with contextlib.closing(Outbox(path)) as outbox:
        for item in SigningLock().journal(20):
            outbox.put(item)
        assert found(tmp_path, "database").level == "good", "also while the agent runs"
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * 4096 + content[12288:])
    assert found(tmp_path, "database").level == "bad" and "damaged" in found(tmp_path, "database").text
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")
    assert "another program" in found(tmp_path, "database").text


@pytest.mark.parametrize(("days", "level"), [(90, "good"), (3, "warning"), (-1, "bad")])
def test_a_certificate_is_judged_by_its_end(tmp_path: Path, days: int, level: str) -> None:
    finding = found(tmp_path, "mqtt.cert", **certificate(tmp_path, days))
    assert finding.level == level
    assert level == "good" or "Renew it" in finding.text


def test_a_certificate_that_is_not_valid_yet_may_mean_that_the_clock_is_wrong() -> None:
    finding = judged_dates("mqtt.ca", "ca.pem", begin=10 * DAY, end=100 * DAY, now=0.0)
    assert finding.level == "bad"
    assert "valid only from 1970-01-11" in finding.text and "clock of this machine says 1970-01-01" in finding.text


def test_a_key_that_everyone_can_read_is_a_warning(tmp_path: Path) -> None:
    named = certificate(tmp_path, 90)
    (tmp_path / "key").chmod(0o644)
    assert found(tmp_path, "mqtt.key", **named).level == "warning"
    (tmp_path / "key").chmod(0o640)
    assert found(tmp_path, "mqtt.key", **named).level == "good"


def test_a_port_that_is_usual_for_the_other_kind_of_connection_is_a_warning(tmp_path: Path) -> None:
    assert found(tmp_path, "mqtt.port", MQTT_PORT="8883").level == "warning"
    assert found(tmp_path, "mqtt.port", MQTT_PORT="1883").level == "good"
    named = certificate(tmp_path, 90)
    assert found(tmp_path, "mqtt.port", MQTT_PORT="1883", **named).level == "warning"
    assert found(tmp_path, "mqtt.port", MQTT_PORT="8883", **named).level == "good"


def test_locks_lists_each_lock_that_was_ever_seen_and_what_waits_for_it(tmp_path: Path) -> None:
    lock = SigningLock()
    with contextlib.closing(Outbox(tmp_path / "state" / "outbox.sqlite3")) as outbox:
        outbox.lock_seen(lock.hello(), "AA:BB:CC:DD:EE:01")
        for item in lock.journal(2):
            outbox.put(item)
    answer = answers.locks(settings(tmp_path))
    (row,) = answer.facts["locks"]
    assert (row["lock"], row["address"], row["records"]) == (lock.lock_id.hex(), "AA:BB:CC:DD:EE:01", 2)
    assert answer.lines[0] == "1 lock; the agent does not run"
    assert f"  {lock.lock_id.hex()}  AA:BB:CC:DD:EE:01  seen " in answer.lines[1]
    assert answer.lines[1].endswith("2 records and 0 statements wait")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (121, "2 min"), (7200, "2 h"), (200_000, "2 days")]
)
def test_a_time_span_is_told_in_its_largest_fitting_unit(seconds: float, text: str) -> None:
    assert answers.age(seconds) == text
