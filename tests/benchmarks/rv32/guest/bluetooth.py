"""`bluetooth` on the virtual board. The radio's stack is the simulator's stack. It runs in the process of the host."""

import select

import hosted

FLAG_READ, FLAG_WRITE_NO_RESPONSE, FLAG_WRITE, FLAG_NOTIFY, FLAG_INDICATE = 2, 4, 8, 0x10, 0x20


class UUID:
    letter = "U"

    def __init__(self, value):
        if isinstance(value, int):
            value = value.to_bytes(2, "little")
        elif isinstance(value, str):
            raw = bytes.fromhex(value.replace("-", ""))
            value = bytes(raw[15 - i] for i in range(16))
        self._raw = bytes(value)

    def __iter__(self):
        return iter(self._raw)

    def __eq__(self, other):
        return isinstance(other, UUID) and self._raw == other._raw

    def __hash__(self):
        return hash(self._raw)


hosted.register("U", UUID)


class _Call:
    def __init__(self, method):
        self._method = method

    def __call__(self, *arguments, **options):
        value = hosted.call("BLE", self._method, arguments, options)
        return bytes(value) if isinstance(value, memoryview) else value


class BLE:
    _written = None

    def irq(self, handler):
        def run(event, data, value=None):
            # A peer has written this value. It is valid only while the handler runs.
            self._written = value
            select.as_firmware(handler, event, data)
            self._written = None

        select.on_event("ble", None if handler is None else run)

    def gatts_read(self, value_handle):
        if self._written is not None:
            return self._written
        return bytes(hosted.call("BLE", "gatts_read", (value_handle,), {}))

    def __getattr__(self, name):
        return _Call(name)
