"""Each reason why there is no connection to the broker has a code of its own, and says what to do."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge_agent import broker_address, broker_trouble, config
from edge_agent.broker import BrokerConnection
from edge_agent.broker_address import Address, Brokers
from protocol import VERSION
from protocol.errors import ConfigError, TransportError
from sim import pki
from sim.ports import ReservedPort
from tests.support import mosquitto
from tests.support.hostile_broker import HostileBroker, Session, packet
from tests.support.server_certificate import signed
from tests.support.signing_lock import PROVINCE_PUBLIC, SigningLock
from tests.support.uplink_edge import running

needs_mosquitto = pytest.mark.skipif(mosquitto.MOSQUITTO is None, reason="Mosquitto is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two authorities, and a server's certificate from the first."""
    made = tmp_path_factory.mktemp("broker")
    authority, other = pki.authority("MQTT CA"), pki.authority("Other CA")
    server = signed(authority, "127.0.0.1")
    (made / "ca").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (made / "other-ca").write_bytes(other.certificate.public_bytes(Encoding.PEM))
    (made / "server").write_bytes(server.certificate.public_bytes(Encoding.PEM))
    key = server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (made / "server-key").write_bytes(key)
    return made


@pytest.fixture(scope="module")
def ports(folder: Path) -> Iterator[mosquitto.Ports]:
    with mosquitto.running(folder) as ports:
        yield ports


def settings(port: int, **variables: str) -> config.Mqtt:
    environment = {"PROVINCE_PUBLIC_KEY": PROVINCE_PUBLIC.hex(), "MQTT_HOSTS": f"127.0.0.1:{port}", **variables}
    return config.load(None, {f"MOORING_EDGE_{name}": value for name, value in environment.items()}).mqtt


def connection(named: config.Mqtt) -> BrokerConnection:
    return BrokerConnection(named, named.brokers[0], "pi-1", VERSION, lambda _mid, _refusal: None)


async def outcome(named: config.Mqtt) -> TransportError | None:
    """Connect and hang up. Return the error, if there was one."""
    one = connection(named)
    try:
        await one.open()
    except TransportError as error:
        return error
    finally:
        await one.close()
    return None


def trouble(named: config.Mqtt) -> TransportError:
    error = asyncio.run(outcome(named))
    assert error is not None
    return error


@needs_mosquitto
def test_plain_to_a_tls_port_and_tls_to_a_plain_port_are_told_as_that(ports: mosquitto.Ports, folder: Path) -> None:
    error = trouble(settings(ports.tls))
    assert error.code == "broker.needs_tls" and "Set mqtt.ca" in error.message
    error = trouble(settings(ports.secret, MQTT_CA=str(folder / "ca")))
    assert error.code == "broker.no_tls" and "does not speak TLS" in error.message
    assert asyncio.run(outcome(settings(ports.tls, MQTT_CA=str(folder / "ca")))) is None


@needs_mosquitto
def test_a_broker_of_another_authority_is_told_as_that(ports: mosquitto.Ports, folder: Path) -> None:
    error = trouble(settings(ports.tls, MQTT_CA=str(folder / "other-ca")))
    assert error.code == "broker.certificate" and "not from an authority in mqtt.ca" in error.message


@needs_mosquitto
def test_a_broker_that_wants_a_certificate_and_gets_none_is_told_as_that(ports: mosquitto.Ports, folder: Path) -> None:
    error = trouble(settings(ports.strict, MQTT_CA=str(folder / "ca")))
    assert error.code == "broker.certificate" and "Set mqtt.cert and mqtt.key" in error.message


@needs_mosquitto
def test_a_password_lets_the_agent_in_and_a_wrong_one_is_told_as_that(ports: mosquitto.Ports, tmp_path: Path) -> None:
    right = settings(ports.secret, MQTT_USERNAME=mosquitto.USER, MQTT_PASSWORD=mosquitto.PASSWORD)
    assert asyncio.run(outcome(right)) is None
    (tmp_path / "password").write_text(mosquitto.PASSWORD + "\n")
    from_file = settings(ports.secret, MQTT_USERNAME=mosquitto.USER, MQTT_PASSWORD_FILE=str(tmp_path / "password"))
    assert from_file.password == right.password
    for wrong in (settings(ports.secret), replace(right, password="battery staple")):
        error = trouble(wrong)
        assert error.code == "broker.login" and "mqtt.username" in error.message
        assert "battery" not in str(error) and "battery" not in repr(wrong)


@needs_mosquitto
def test_mqtt_goes_over_websocket_and_a_port_without_it_is_told_as_that(ports: mosquitto.Ports) -> None:
    assert asyncio.run(outcome(settings(ports.websocket, MQTT_WEBSOCKET_PATH="/mqtt"))) is None
    error = trouble(settings(ports.secret, MQTT_WEBSOCKET_PATH="/mqtt"))
    assert error.code == "broker.no_websocket" and "mqtt.websocket_path" in error.message


@needs_mosquitto
def test_an_agent_whose_name_another_one_uses_is_told_so(ports: mosquitto.Ports) -> None:
    named = settings(ports.secret, MQTT_USERNAME=mosquitto.USER, MQTT_PASSWORD=mosquitto.PASSWORD)

    async def story() -> TransportError:
        first, second = connection(named), connection(named)
        await first.open()
        try:
            await second.open()
            return await first.ended()
        finally:
            await second.close()
            await first.close()

    error = asyncio.run(story())
    assert error.code in ("broker.lost", "broker.name_taken"), "not every broker says why"
    assert "another agent" in error.message and "the name pi-1" in error.message


def test_a_broker_that_says_that_the_name_is_taken_is_believed() -> None:
    async def take_over(session: Session) -> None:
        await session.send(packet(0xE0, b"\x8e"))

    async def story() -> TransportError:
        async with HostileBroker(take_over).open() as broker:
            one = connection(settings(broker.port))
            try:
                await one.open()
                return await one.ended()
            except TransportError as error:
                return error  # the broker may speak before `open` has published its first message
            finally:
                await one.close()

    error = asyncio.run(story())
    assert error.code == "broker.name_taken" and "Give each agent" in error.message


def connack(*properties: int) -> bytes:
    return packet(0x20, bytes((0, 0, len(properties), *properties)))


@pytest.mark.parametrize(
    ("answer", "says"),
    [(connack(0x24, 0), "does not offer QoS 1"), (connack(0x25, 0), "keeps no retained messages")],
    ids=["QoS 0 only", "no retained messages"],
)
def test_a_broker_that_lacks_what_we_need_is_told_what_it_lacks(answer: bytes, says: str) -> None:
    async def story() -> TransportError | None:
        async with HostileBroker(connacks=(answer,)).open() as broker:
            error = await outcome(settings(broker.port))
            assert await outcome(settings(broker.port)) is None, "the next CONNACK promises everything"
            return error

    error = asyncio.run(story())
    assert error is not None and error.code == "broker.unfit" and says in error.message


def test_a_port_where_nothing_listens_and_a_name_that_nobody_knows_are_told_as_that() -> None:
    with contextlib.closing(ReservedPort()) as nobody:
        assert "nothing listens on 127.0.0.1" in trouble(settings(nobody.port)).message
    unknown = broker_trouble.unreachable(socket.gaierror(), Address("broker.invalid", 1883), False)
    assert unknown.code == "broker.unreachable" and "nobody knows the name broker.invalid" in unknown.message


@pytest.mark.parametrize(("number", "says"), [(9, "not valid yet"), (10, "has ended"), (62, "for another name")])
def test_a_certificate_that_seems_wrong_by_date_names_the_clock(number: int, says: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code = number
    told = broker_trouble.unreachable(error, Address("b", 8883), True)
    assert told.code == "broker.certificate" and says in told.message
    today = time.strftime("%Y-", time.gmtime())
    assert (f"the clock here says {today}" in told.message) == (number != 62)


def test_records_reach_the_second_broker_if_the_first_is_down(tmp_path: Path) -> None:
    async def story() -> None:
        async with HostileBroker().open() as broker:
            with contextlib.closing(ReservedPort()) as down:
                async with running(tmp_path, down.port, broker.port) as edge:
                    edge.store(SigningLock(), 1)
                    await broker.until(lambda: any(session.published for session in broker.sessions))

    asyncio.run(story())


def test_after_a_failure_the_next_broker_is_tried_and_only_a_whole_round_waits() -> None:
    first, second = Address("a", 1), Address("b", 1)
    brokers = Brokers((first, second))
    assert (brokers.current, brokers.fails()) == (first, False)
    assert (brokers.current, brokers.fails()) == (second, True)
    assert (brokers.current, brokers.fails()) == (first, False)
    brokers.works()
    assert (brokers.current, brokers.fails(), brokers.current) == (second, False, first)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("broker.example", ("broker.example", 1883)),
        ("broker.example:8883", ("broker.example", 8883)),
        ("::1", ("::1", 1883)),
        ("[::1]", ("::1", 1883)),
        ("[::1]:8883", ("::1", 8883)),
        ("broker:", None),
        ("broker:0", None),
        ("broker:65536", None),
        ("broker:²", None),
        (":1883", None),
        ("[::1", None),
        ("[::1]8883", None),
        ("[broker]:1883", None),
        ("mqtt://broker", None),
        ("", None),
    ],
)
def test_a_broker_may_have_a_port_of_its_own(text: str, address: tuple[str, int] | None) -> None:
    assert broker_address.parse(text, 1883) == address
    assert address is None or broker_address.parse(str(Address(*address)), 1) == address


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"MQTT_PASSWORD": "secret"}, "mqtt.username is empty"),
        ({"MQTT_USERNAME": "a", "MQTT_PASSWORD": "secret", "MQTT_PASSWORD_FILE": "/dev/null"}, "are both set"),
        ({"MQTT_USERNAME": "a", "MQTT_PASSWORD_FILE": "/dev/null"}, "is empty. Write the password"),
        ({"MQTT_USERNAME": "a", "MQTT_PASSWORD_FILE": "/nowhere"}, "No such file"),
        ({"MQTT_USERNAME": "a", "MQTT_PASSWORD_FILE": "/dev/zero"}, "first line is no password"),
        ({"MQTT_WEBSOCKET_PATH": "mqtt"}, "Start it with /"),
    ],
)
def test_a_password_or_a_path_that_cannot_serve_is_refused_and_no_password_is_shown(
    variables: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(1883, **variables)
    assert says in refused.value.message and "secret" not in str(refused.value)
