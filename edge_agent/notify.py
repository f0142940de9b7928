"""Messages to systemd (Type=notify, WatchdogSec=). Without systemd, the agent sends nothing. Source: sd_notify(3)."""

import os
import socket
from collections.abc import Mapping
from typing import Final

MAX_STATUS: Final = 200


class Notifier:
    """Sends states to the socket in NOTIFY_SOCKET. Without that variable, every call does nothing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the abstract namespace. Names in that namespace begin with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds: float | None = int(limit) / 1e6 if ours and limit.isdigit() and int(limit) else None
        """systemd restarts the agent after this time without `alive`. None if the watchdog is off."""

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            try:
                channel.sendto(state.encode(), self._address)
            except OSError:
                # Go on, because systemd itself may be restarting. If messages fail for longer, the watchdog acts.
                return

    def ready(self) -> None:
        """Say that the outbox is open and the links are starting."""
        self._send("READY=1")

    def alive(self) -> None:
        """Say that the event loop has done its work once more."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send("STATUS=" + text[:MAX_STATUS])

    def stopping(self) -> None:
        """Say that a clean stop has begun."""
        self._send("STOPPING=1")
