"""The access list of docs/broker with a real Mosquitto: each role can do what it must. Nothing else reaches anybody.

Mosquitto 2.0 grants every subscription. It checks the list when a message goes out. So the tests look at what arrives.
"""

import contextlib
import os
import queue
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from protocol import uplink
from protocol.errors import ConfigError
from sim import pki
from sim.board.interpreter import ROOT
from sim.hang import HANG_SECONDS
from sim.ports import ReservedPort
from sim.province import Province
from tests.support import mosquitto
from tests.support.server_certificate import signed

FOLDER = ROOT / "docs/broker"
PROVINCE, DASHBOARD, EDGE, OTHER, REVOKED = "province.mooring", "dashboard.mooring", "edge-1", "edge-2", "edge-9"
EDGES = (EDGE, OTHER, REVOKED)
ROLES = (PROVINCE, DASHBOARD, *EDGES)
LAST = b"last"
needs_mosquitto = pytest.mark.skipif(mosquitto.MOSQUITTO is None, reason="Mosquitto is not installed")


def rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def named(root: pki.Identity, name: str) -> pki.Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.now(UTC) - timedelta(hours=1)
    builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    builder = builder.issuer_name(root.certificate.subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=1))
    return pki.Identity(builder.sign(root.key, hashes.SHA256()), key)


def write(folder: Path, name: str, one: pki.Identity) -> None:
    (folder / f"{name}.pem").write_bytes(one.certificate.public_bytes(Encoding.PEM))
    key = one.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.key").write_bytes(key)


class Client:
    """A client with the certificate `name`. `came` has what arrived: topic and payload."""

    def __init__(self, folder: Path, port: int, name: str) -> None:
        self.came: queue.Queue[tuple[str, bytes]] = queue.Queue()
        ready: queue.Queue[object] = queue.Queue()
        self._told: queue.Queue[tuple[int, bool]] = queue.Queue()
        self._subscribed: queue.Queue[object] = queue.Queue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self._client.tls_set(str(folder / "edges.ca.pem"), str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
        self._client.on_connect = lambda *_: ready.put(None)
        self._client.on_message = lambda _c, _u, message: self.came.put((message.topic, bytes(message.payload)))
        self._client.on_publish = lambda _c, _u, mid, code, _p: self._told.put((mid, not code.is_failure))
        self._client.on_subscribe = lambda *_: self._subscribed.put(None)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        ready.get(timeout=HANG_SECONDS)

    def subscribe(self, *filters: str) -> None:
        self._client.subscribe([(one, 1) for one in filters])
        self._subscribed.get(timeout=HANG_SECONDS)

    def publish(self, topic: str, payload: bytes = b"x") -> bool:
        """Publish, and return whether the broker took it."""
        info = self._client.publish(topic, payload, qos=1)
        mid, taken = self._told.get(timeout=HANG_SECONDS)
        assert mid == info.mid
        return taken

    def _until(self, last: tuple[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the places of all messages that come before the last one, which comes to `last`."""
        while True:
            topic, payload = self.came.get(timeout=HANG_SECONDS)
            place = uplink.edge_of(topic)
            if payload != LAST:
                yield place
            elif place == last:
                return

    def read_until(self, last: tuple[str, str]) -> set[tuple[str, str]]:
        return set(self._until(last))

    def count_until(self, last: tuple[str, str]) -> int:
        return len(list(self._until(last)))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Site:
    """Mosquitto with both files of docs/broker. Only folder, port and user are changed."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._clients: list[Client] = []
        root = pki.authority("MQTT CA")
        (folder / "edges.ca.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
        now = datetime.now(UTC)
        revoked = x509.CertificateRevocationListBuilder().issuer_name(root.certificate.subject)
        revoked = revoked.last_update(now - timedelta(hours=1)).next_update(now + timedelta(days=1))
        (folder / "edges.crl.pem").write_bytes(revoked.sign(root.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        write(folder, "server", signed(root, "127.0.0.1"))
        for name in ROLES:
            write(folder, name, named(root, name))
        (folder / "mosquitto.acl").write_text((FOLDER / "mosquitto.acl").read_text())
        (folder / "mosquitto.acl").chmod(0o600)
        text = (FOLDER / "mosquitto.conf").read_text()
        assert text.count("/etc/mosquitto/") == 5 and "\nlistener 8883\n" in text
        text = text.replace("/etc/mosquitto/", f"{folder}/").replace("listener 8883", f"listener {port} 127.0.0.1")
        (folder / "mosquitto.conf").write_text(("user root\n" if os.geteuid() == 0 else "") + text)
        with (folder / "log").open("wb") as output:
            command = [str(mosquitto.MOSQUITTO), "-c", str(folder / "mosquitto.conf")]
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + HANG_SECONDS
        while not self._listens():
            assert self._process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=0.5):
            return True
        return False

    def client(self, name: str) -> Client:
        self._clients.append(Client(self._folder, self._port, name))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._process.kill()
        self._process.wait()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with contextlib.closing(ReservedPort()) as reserved, contextlib.closing(Site(tmp_path, reserved.port)) as made:
        yield made


MAY_WRITE = {
    PROVINCE: {(edge, leaf) for edge in EDGES for leaf in (uplink.RECEIPT, uplink.CMD, uplink.PASS)},
    DASHBOARD: set(),
    REVOKED: set(),
    **{edge: {(edge, uplink.UP), (edge, uplink.STATE)} for edge in (EDGE, OTHER)},
}
MAY_READ = {
    PROVINCE: {(edge, leaf) for edge in EDGES for leaf in (uplink.UP, uplink.STATE)},
    DASHBOARD: {(edge, uplink.STATE) for edge in EDGES},
    REVOKED: set(),
    **{edge: {(edge, leaf) for leaf in (uplink.RECEIPT, uplink.CMD, uplink.PASS)} for edge in (EDGE, OTHER)},
}


@needs_mosquitto
def test_each_role_may_do_exactly_what_it_must(site: Site) -> None:
    clients = {name: site.client(name) for name in ROLES}
    for client in clients.values():
        client.subscribe("#", "mooring/1/+/+")
    taken: dict[str, set[tuple[str, str]]] = {name: set() for name in ROLES}
    for name, client in clients.items():
        for edge in EDGES:
            for leaf in uplink.LEAVES:
                if client.publish(uplink.topic(edge, leaf)):
                    taken[name].add((edge, leaf))
        assert not client.publish("mooring/1") and not client.publish("mooring/2/edge-1/up")
    assert taken == MAY_WRITE
    for edge in (EDGE, OTHER):
        assert clients[PROVINCE].publish(uplink.topic(edge, uplink.RECEIPT), LAST)
        assert clients[edge].publish(uplink.topic(edge, uplink.UP), LAST)
        assert clients[edge].publish(uplink.topic(edge, uplink.STATE), LAST)
    written = set().union(*MAY_WRITE.values())
    for name in (PROVINCE, DASHBOARD, EDGE, OTHER):
        last = (OTHER, uplink.STATE) if name in (PROVINCE, DASHBOARD) else (name, uplink.RECEIPT)
        assert clients[name].read_until(last) == MAY_READ[name] & written
    assert clients[REVOKED].came.empty()


@needs_mosquitto
def test_an_edge_that_guesses_the_name_of_the_provinces_group_reads_nothing_but_takes_messages_away(site: Site) -> None:
    """So the province chooses a name that nobody guesses. Records that are taken away come again: no receipt came."""
    province, edge, thief = site.client(PROVINCE), site.client(EDGE), site.client(OTHER)
    province.subscribe("$share/nobody-guesses-this/mooring/1/+/up", "mooring/1/+/state")
    thief.subscribe("$share/province/mooring/1/+/up")
    heard = []
    for guessed in (False, True):
        if guessed:
            thief.subscribe("$share/nobody-guesses-this/mooring/1/+/up")
        for _ in range(10):
            assert edge.publish(uplink.topic(EDGE, uplink.UP))
        assert edge.publish(uplink.topic(EDGE, uplink.STATE), LAST)
        heard.append(province.count_until((EDGE, uplink.STATE)))
    assert heard[0] == 10 and heard[1] < 10 and thief.came.empty()


def test_the_province_writes_the_same_list_and_no_edge_can_have_its_name(tmp_path: Path) -> None:
    province = Province(tmp_path / "province", "127.0.0.1", 1)
    try:
        certificates = province.registry.certificates
        province.admit_edge(REVOKED)
        province.revoke_edge(REVOKED)
        certificates.write_broker_files(tmp_path, PROVINCE)
        made = set(rules((tmp_path / "edges.acl").read_text()))
        page = rules((FOLDER / "mosquitto.acl").read_text())
        assert made == set(page) - {f"user {DASHBOARD}"}
        with pytest.raises(ConfigError) as caught:
            certificates.write_broker_files(tmp_path, EDGE)
        assert caught.value.code == "province.user"
    finally:
        province.stop()
