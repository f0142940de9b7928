"""Replaces MicroPython's `select` on the virtual board. A poll waits in the process of the host, so no instructions run
while it waits."""

import hosted

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
_FOREVER = 1 << 29
_handlers = {}


def on_event(key, handler):
    """From now on, call `handler` with each event whose line from the host begins with `key`. If `handler` is None,
    drop these events."""
    _handlers[key] = handler


class poll:
    """Works like `select.poll`, but only for objects with an `ioctl` of their own. Any other object is never ready."""

    def __init__(self):
        self._known = []

    def register(self, obj, eventmask=POLLIN | POLLOUT):
        self.unregister(obj)
        self._known.append([obj, eventmask])

    modify = register

    def unregister(self, obj):
        self._known = [each for each in self._known if each[0] is not obj]

    def poll(self, timeout=-1):
        return list(self.ipoll(timeout))

    def ipoll(self, timeout=-1, flags=0):
        before = hosted.enter()
        try:
            left = _FOREVER if timeout < 0 else timeout
            while True:
                ready = [(obj, obj.ioctl(3, mask)) for obj, mask in self._known if hasattr(obj, "ioctl")]
                ready = [(obj, mask) for obj, mask in ready if mask]
                waited, events = hosted.call("board", "wait", (0 if ready else left,), {})
                events = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in event) for event in events]
                hosted.sleep(waited)
                left -= waited
                for event in events:
                    handler = _handlers.get(event[0])
                    if handler is not None:
                        handler(*event[1:])
                if ready or events or left <= 0:
                    return iter(ready)
        finally:
            hosted.leave(before)


def as_firmware(handler, *values):
    """Call a handler of the firmware, and count its instructions for the firmware."""
    before = hosted.leave_for_firmware()
    try:
        handler(*values)
    finally:
        hosted.leave(before)
