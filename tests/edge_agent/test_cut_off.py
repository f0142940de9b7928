"""Renewal and revocation with Mosquitto: one certificate for each edge, an access list, and a list of revoked ones."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge_agent.agent import Agent
from edge_agent.broker import BrokerConnection, Refusal
from edge_agent.broker_identity import CURRENT, Pair
from edge_agent.discovery import Heard
from edge_agent.notify import Notifier
from protocol import VERSION, uplink
from protocol.errors import TransportError
from sim import pki
from sim.ports import ReservedPort
from sim.province.certificates import CERTIFICATE_SECONDS
from tests.support import mosquitto
from tests.support.building import eventually
from tests.support.certified_edge import CertifiedEdge
from tests.support.server_certificate import signed

pytestmark = pytest.mark.skipif(mosquitto.MOSQUITTO is None, reason="Mosquitto is not installed")

SETTINGS = """\
{user}
per_listener_settings true
persistence false
listener {plain} 127.0.0.1
allow_anonymous true
listener {tls} 127.0.0.1
certfile {folder}/server
keyfile {folder}/server-key
cafile {folder}/broker/edges.ca.pem
crlfile {folder}/broker/edges.crl.pem
require_certificate true
use_identity_as_username true
acl_file {folder}/broker/edges.acl
"""


class Site:
    """Mosquitto, a province, and an edge whose certificate is due. `reload` lets Mosquitto read its files again."""

    def __init__(self, folder: Path, tls: int, plain: int) -> None:
        self.folder = folder
        self.edge = CertifiedEdge(folder, time.time() - CERTIFICATE_SECONDS * 0.8, port=tls, plain=plain)
        self.edge.now = time.time()
        authority = pki.authority("MQTT CA")
        server = signed(authority, "127.0.0.1")
        (folder / "ca").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
        (folder / "server").write_bytes(server.certificate.public_bytes(Encoding.PEM))
        key = server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "server-key").write_bytes(key)
        self.write()
        user = "user root" if os.geteuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(SETTINGS.format(folder=folder, user=user, tls=tls, plain=plain))
        with (folder / "log").open("wb") as output:
            command = [str(mosquitto.MOSQUITTO), "-v", "-c", str(folder / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        self.edge.province.start()

    def write(self) -> None:
        self.edge.certificates.write_broker_files(self.folder / "broker", "province.mooring")

    def reload(self) -> None:
        self.write()
        self.process.send_signal(signal.SIGHUP)

    def connection(self, name: str, pair: Pair) -> tuple[BrokerConnection, list[Refusal | None]]:
        """Return a connection for the edge `name` with `pair`, and the list that gets the outcome of each PUBACK."""
        outcomes: list[Refusal | None] = []
        named = replace(self.edge.settings.mqtt, cert=pair.cert, key=pair.key)
        made = BrokerConnection(named, named.brokers[0], name, VERSION, lambda _mid, refusal: outcomes.append(refusal))
        return made, outcomes

    async def published(self, name: str, pair: Pair) -> Refusal | None:
        """Connect, and publish as the edge `name`. Return the broker's refusal of the message `online`."""
        connection, outcomes = self.connection(name, pair)
        try:
            await connection.open()
            await eventually(lambda: bool(outcomes))
            return outcomes[0]
        finally:
            await connection.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with contextlib.closing(ReservedPort()) as tls, contextlib.closing(ReservedPort()) as plain:
        made = Site(tmp_path, tls.port, plain.port)
        try:
            yield made
        finally:
            made.edge.province.stop()
            made.process.kill()
            made.process.wait()


async def nothing_near(_seconds: float) -> list[Heard]:
    return []


def test_an_edge_renews_its_certificate_over_the_broker_and_a_revoked_edge_is_cut_off_there(site: Site) -> None:
    async def story() -> None:
        edge, first = site.edge, site.edge.identity.proven
        stop = asyncio.Event()
        with Agent.open(edge.settings, Notifier({}), search=nothing_near) as agent:
            running = asyncio.create_task(agent.run(stop))
            await eventually(lambda: (edge.settings.state_dir / CURRENT).exists() and agent.uplink.online)
            stop.set()
            await running
        renewed = edge.restarted().proven
        assert Path(renewed.cert).name == CURRENT and await site.published("pi-1", renewed) is None
        assert await site.published("pi-2", renewed) is not None, "not in another edge's name"

        connection, outcomes = site.connection("pi-1", renewed)
        await connection.open()
        edge.province.revoke_edge("pi-1")
        told = edge.province.store.tally().get("messages of revoked edges", 0)
        connection.publish(uplink.UP, uplink.PassRequest(b"\x04" + bytes(64), 0).encode())
        name = "messages of revoked edges"
        await asyncio.to_thread(edge.province.wait_for, lambda store: store.tally().get(name, 0) > told)
        site.reload()
        while not any(outcomes):  # the connection that stands is cut off as soon as the broker has read its files
            before = len(outcomes)
            connection.publish(uplink.UP, b"\x80")
            await eventually(lambda before=before: len(outcomes) > before)  # type: ignore[misc]
        await connection.close()
        for pair in (renewed, first):
            with pytest.raises(TransportError, match=r"broker\.certificate"):
                await site.published("pi-1", pair)

    asyncio.run(story())
