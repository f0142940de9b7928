"""Says in plain words why there is no connection to the broker, and what to do about it."""

import contextlib
import socket
import ssl
import time
from typing import Final

from edge_agent.broker_address import Address
from protocol.errors import TransportError

PROBE_SECONDS: Final = 3.0
"""Time limit for a TLS handshake that only finds out what is wrong."""
SILENCE_SECONDS: Final = 0.5
"""How long to wait for a TLS alert after the handshake."""

# Numbers of OpenSSL (x509_vfy.h), which Python passes on as `verify_code`.
_NOT_YET_VALID, _EXPIRED = 9, 10
_HOSTNAME, _IP_ADDRESS = 62, 64


def unreachable(error: Exception, address: Address, with_tls: bool) -> TransportError:
    """Explain an exception from the attempt to make a TCP, TLS or WebSocket connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, address)
    if isinstance(error, socket.gaierror):
        return TransportError(
            "broker.unreachable", f"nobody knows the name {address.host}. Check mqtt.hosts and the name server."
        )
    if isinstance(error, ConnectionRefusedError):
        return TransportError(
            "broker.unreachable", f"nothing listens on {address}. Check that the broker runs, and its port."
        )
    if isinstance(error, TimeoutError):
        return TransportError(
            "broker.unreachable", f"{address} does not answer. Check the network, the firewall and mqtt.hosts."
        )
    if with_tls and isinstance(error, ssl.SSLError | ConnectionResetError):
        told = alert(error, address)
        return told or TransportError(
            "broker.no_tls",
            f"{address} does not speak TLS. Name its port for TLS (usually 8883), or empty mqtt.ca if the broker "
            "has none.",
        )
    if type(error).__name__ == "WebsocketConnectionError":
        return TransportError(
            "broker.no_websocket",
            f"{address} does not speak WebSocket there. Check mqtt.websocket_path and the port, or empty the path.",
        )
    reason = getattr(error, "strerror", None) or type(error).__name__
    return TransportError("broker.unreachable", f"{address}: {reason}. Check mqtt.hosts and mqtt.port.")


def alert(error: Exception | None, address: Address) -> TransportError | None:
    """Explain a TLS alert, with which the broker ended a handshake. Return None if the error is no such alert."""
    reason = str(getattr(error, "reason", "") or "")
    if "ALERT" not in reason:
        return None
    if "EXPIRED" in reason:
        advice = "says that mqtt.cert has ended. Renew the certificate, and check the clock (timedatectl)."
    elif "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        advice = "does not accept our certificate. Set mqtt.cert and mqtt.key to one that its authority has signed."
    else:
        advice = f"ends the TLS handshake ({reason.lower().replace('_', ' ')}). Ask whoever runs the broker."
    return TransportError("broker.certificate", f"{address} {advice}")


def _certificate(error: ssl.SSLCertVerificationError, address: Address) -> TransportError:
    """Explain why we do not accept the broker's certificate."""
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    if error.verify_code == _NOT_YET_VALID:
        text = f"the certificate of {address} is not valid yet, and the clock here says {now}. If that is wrong, set "
        text += "the clock (timedatectl)."
    elif error.verify_code == _EXPIRED:
        text = f"the certificate of {address} has ended, and the clock here says {now}. If that is wrong, set the "
        text += "clock (timedatectl); else whoever runs the broker must renew its certificate."
    elif error.verify_code in (_HOSTNAME, _IP_ADDRESS):
        text = f"the certificate of {address} is for another name. Write into mqtt.hosts the name in the certificate."
    else:
        text = f"the certificate of {address} is not from an authority in mqtt.ca. Name the right authority there."
    return TransportError("broker.certificate", text)


def before_answer(address: Address, context: ssl.SSLContext | None) -> TransportError:
    """Explain why a broker ended the connection before it answered our CONNECT. `context` is what the connection used,
    or None without TLS.

    This function makes a connection and only listens on it, for up to PROBE_SECONDS. So call it in a thread.
    """
    if context is not None:
        # TLS 1.3 lets a client go on before the server has judged its certificate. If the client has sent something
        # by then, the system throws the server's alert away together with the connection.
        return alert(_listen(address, context), address) or TransportError(
            "broker.unreachable",
            f"{address} ended the connection before it answered. If it wants a certificate, check mqtt.cert.",
        )
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE
    error = _listen(address, anyone)
    if error is None or alert(error, address) is not None:
        return TransportError(
            "broker.needs_tls", f"{address} speaks TLS, and mqtt.ca is empty. Set mqtt.ca, or name its other port."
        )
    return TransportError(
        "broker.unreachable", f"{address} ended the connection before it answered. Check that it speaks MQTT 5."
    )


def _listen(address: Address, context: ssl.SSLContext) -> OSError | None:
    """Do a TLS handshake, then wait for anything. Return the error that ended this. Nothing is sent or believed."""
    try:
        with socket.create_connection(address, PROBE_SECONDS) as channel:
            with context.wrap_socket(channel, server_hostname=address.host) as inside:
                inside.settimeout(SILENCE_SECONDS)
                with contextlib.suppress(TimeoutError):
                    inside.recv(1)
            return None
    except OSError as error:
        return error


def refused(reason: str, edge: str) -> TransportError:
    """Explain a CONNACK that says no. `reason` is the name of the MQTT 5 reason code."""
    if reason in ("Bad user name or password", "Not authorized"):
        text = f"{reason}. Check mqtt.username and its password, the certificate, and the broker's access list."
        return TransportError("broker.login", text)
    return TransportError("broker.refused", f"{reason}. Ask whoever runs the broker about the client {edge}.")


def ended(reason: str, edge: str) -> TransportError:
    """Explain a DISCONNECT of the broker. `reason` is the name of the MQTT 5 reason code."""
    if reason == "Session taken over":
        return TransportError(
            "broker.name_taken",
            f"another agent has connected with the name {edge}. Give each agent a `name` of its own.",
        )
    if reason == "Unspecified error":
        # Mosquitto 2.0.11 and rumqttd 0.20 do not say why when a second client takes the name.
        return TransportError(
            "broker.lost",
            f"the broker closed the connection and gave no reason. If this happens again and again, another agent uses "
            f"the name {edge}: give each agent a `name` of its own.",
        )
    return TransportError("broker.lost", reason)


def unfit(maximum_qos: int, retains: bool) -> TransportError | None:
    """Explain what the broker lacks, or return None if it has what we need."""
    if maximum_qos < 1:
        return TransportError(
            "broker.unfit", "the broker does not offer QoS 1, so messages would get lost. Turn QoS 1 on there."
        )
    if not retains:
        return TransportError(
            "broker.unfit",
            "the broker keeps no retained messages, so the province cannot see whether this agent is there. Turn them "
            "on there.",
        )
    return None
