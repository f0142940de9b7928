"""The acts behind the buttons of the page.

At each door, one person at a time does something at the reader or the keypad. Meanwhile the power may be cut, the phone
may be taken away, the door may be opened, and the network may fail.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.errors import MooringError
from sim.door import Door
from sim.live.guests import Guest
from sim.live.refusal import RequestRefusedError, defect
from sim.live.stage import Stage, now_ms, playable
from sim.live.texts import both
from sim.nfc.card import Card, Traits
from sim.words import Phrase, phrase

_TORN_AFTER = 8
"""Somebody takes the phone away in the middle of the handover, when the phone has answered this number of commands."""
_STICKER = Traits(sel_res=0x00, sens_res=b"\x00\x44")
"""Parameters of a sticker (NTAG 21x), which does not speak ISO/IEC 14443-4."""

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class _Action:
    """One action. `fields` has the name and the type of each field except `action`, `do` does the action, and `text`
    describes the action.

    `takes` is the thing that the action occupies, at one door or at the whole site. Until the action is over, no other
    act can take this thing. `needs` is what else must be free when the action begins.

    An action with two directions has a field that is true or false. `off` describes the action if this field is false.
    """

    fields: Mapping[str, type]
    do: Callable[["Acts", Fields], Awaitable[None]]
    text: Phrase
    off: Phrase | None = None
    takes: str = "reader"
    needs: tuple[str, ...] = ("power",)


class Acts:
    """Begins acts at the site of `stage` and tells how these acts end."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = 0
        self._stickers: dict[str, Card] = {}
        self._inside: dict[str, Guest] = {}
        """Maps a door to the guest who was let in last."""

    def begin(self, asked: Fields) -> int:
        """Begin an act and return its number.

        `asked` has `action` and the fields of that action. Raises RequestRefusedError: `live.action`, `live.door`,
        `live.person` or `live.story` for something that is not there, `live.request` for a wrong field, `live.busy` if
        another act is going on, and `live.nobody` if there is no phone at the reader to take away.
        """
        name = asked.get("action")
        action = _ACTIONS.get(name) if isinstance(name, str) else None
        if action is None:
            raise RequestRefusedError(
                400, "live.action", f"there is no such action. Choose one of {', '.join(_ACTIONS)}"
            )
        fields = {key: value for key, value in asked.items() if key != "action"}
        if fields.keys() != action.fields.keys() or any(
            type(fields[key]) is not kind for key, kind in action.fields.items()
        ):
            wanted = ", ".join(f"{key} ({kind.__name__})" for key, kind in action.fields.items())
            raise RequestRefusedError(400, "live.request", f"the fields are not those of {name}. Send {wanted}")
        self._check(fields)
        place = self._reserve(action, fields)
        self._begun += 1
        task = asyncio.create_task(self._run(self._begun, str(name), action, fields, place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return self._begun

    async def stop(self) -> None:
        """Cancel the acts that are going on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check(self, fields: Fields) -> None:
        """Check that the door, the person and the story in `fields` exist."""
        if "door" in fields and fields["door"] not in [door.name for door in self._stage.site.doors]:
            raise RequestRefusedError(400, "live.door", "there is no such door at this site. Name one of its doors")
        if "person" in fields and fields["person"] not in [guest.id for guest in self._stage.guests]:
            raise RequestRefusedError(
                400, "live.person", "there is no such person at this site. Name one of its people"
            )
        if "name" in fields and fields["name"] not in playable():
            raise RequestRefusedError(400, "live.story", "there is no such story. `python -m sim list` shows all")

    def _reserve(self, action: _Action, fields: Fields) -> str:
        """Reserve what the action takes. Returns its name in `_busy`."""
        at = f"{fields['door']} " if "door" in fields else ""
        place = at + action.takes
        taken = self._busy & {place, *(at + other for other in action.needs), "stage"}
        if taken or (place == "stage" and self._busy):
            raise RequestRefusedError(409, "live.busy", "another act is going on there. Wait until it is over")
        if action.takes == "hand" and not self._door(fields).reader.antenna.phones():
            raise RequestRefusedError(409, "live.nobody", "no phone is at this reader. Let somebody tap first")
        self._busy.add(place)
        return place

    async def _run(self, number: int, name: str, action: _Action, fields: Fields, place: str) -> None:
        text = action.off if action.off is not None and False in fields.values() else action.text
        since = now_ms()

        def tell(state: str, code: str | None = None) -> None:
            told = {"act": number, "action": name, "door": fields.get("door"), "state": state, "code": code}
            self._stage.tell_act({**told, "since": since, "text": both(text)})

        tell("began")
        state, code = "failed", None
        try:
            await action.do(self, fields)
            state = "done"
        except MooringError as error:
            code = error.code
        except asyncio.CancelledError:
            code = "live.ended"
            raise
        except Exception as error:  # noqa: BLE001  a defect ends this act, and nothing else
            code = defect(error)
        finally:
            self._stage.look()  # tell what the act has changed, and then that the act is over
            self._busy.discard(place)
            tell(state, code)

    def _door(self, fields: Fields) -> Door:
        return next(door for door in self._stage.site.doors if door.name == fields["door"])

    def _guest(self, wanted: str) -> Guest:
        return next(guest for guest in self._stage.guests if wanted in (guest.id, guest.kind))

    # --- what each action does ---------------------------------------------------------------------------------------

    async def tap(self, fields: Fields) -> None:
        """Hold the phone of a person to the reader."""
        await self._tap(self._door(fields), self._guest(fields["person"]))

    async def _tap(self, door: Door, guest: Guest) -> None:
        tap = await door.tap(guest.visitor)
        if tap.opened and guest.pin:
            self._inside[door.name] = guest

    async def tap_pin(self, fields: Fields) -> None:
        """Type the PIN of the guest who was let in last. Before the first check-in, type the PIN of the first guest."""
        guest = self._inside.get(fields["door"], self._stage.guests[0])
        await self._door(fields).enter(guest.pin + "#")

    async def stranger(self, fields: Fields) -> None:
        """Hold to the reader the phone of somebody without a stay."""
        await self._tap(self._door(fields), self._guest("stranger"))

    async def tampered(self, fields: Fields) -> None:
        """Hold to the reader the phone of a guest who altered the document."""
        await self._tap(self._door(fields), self._guest("tampered"))

    async def tear(self, fields: Fields) -> None:
        """Hold a phone to the reader, and take it away in the middle. The phone shows the ID, but no stay key."""
        visitor = self._guest(fields["person"]).visitor
        phone = replace(visitor.phone, stay_keys=None)
        await self._door(fields).tap(replace(visitor, phone=phone), tear_off_after=_TORN_AFTER)

    async def take_away(self, fields: Fields) -> None:
        """Take away the phone that is at the reader. If the phone has gone already, nothing happens."""
        await self._door(fields).reader.remove()

    async def tag(self, fields: Fields) -> None:
        """Stick a sticker on the reader, or take it off."""
        door = self._door(fields)
        antenna = door.reader.antenna
        if fields["on"] and door.name not in self._stickers:
            self._stickers[door.name] = Card(b"\x04MOORED", _STICKER)
            antenna.bring(self._stickers[door.name])
        elif not fields["on"] and door.name in self._stickers:
            antenna.take(self._stickers.pop(door.name))

    async def network(self, fields: Fields) -> None:
        """Kill the broker, or start it again."""
        broker = self._stage.site.broker
        await asyncio.to_thread(broker.start if fields["up"] else broker.stop)

    async def power(self, fields: Fields) -> None:
        """Cut the power of a lock, whatever it is doing, and boot it again."""
        lock = self._door(fields).lock
        await lock.kill()
        before = len(lock.console)
        await lock.start()
        await lock.wait_for("lock.ready", since=before)

    async def open_door(self, fields: Fields) -> None:
        """Open or shut the door itself. The door's contact moves, even if the lock does not look at the contact now."""
        self._door(fields).bus.set_input(pins.INPUTS["contact"], int(fields["on"]))

    async def story(self, fields: Fields) -> None:
        """Play a story on a site of its own."""
        await self._stage.play(fields["name"])


_AT_A_DOOR: Mapping[str, type] = {"door": str}
_BY_SOMEBODY: Mapping[str, type] = {"door": str, "person": str}
_TWO_WAYS: Mapping[str, type] = {"door": str, "on": bool}
_ACTIONS = {
    "tap": _Action(_BY_SOMEBODY, Acts.tap, phrase("somebody holds a phone to the reader")),
    "tap-pin": _Action(_AT_A_DOOR, Acts.tap_pin, phrase("somebody types a PIN")),
    "stranger": _Action(_AT_A_DOOR, Acts.stranger, phrase("somebody without a stay holds a phone to the reader")),
    "tampered": _Action(_AT_A_DOOR, Acts.tampered, phrase("a guest shows a document that was altered")),
    "tear": _Action(_BY_SOMEBODY, Acts.tear, phrase("a phone is taken away in the middle")),
    "tag": _Action(
        _TWO_WAYS, Acts.tag, phrase("a sticker is put on the reader"), phrase("the sticker is taken off the reader")
    ),
    "take-away": _Action(
        _AT_A_DOOR, Acts.take_away, phrase("the phone at the reader is taken away"), takes="hand", needs=()
    ),
    "network": _Action(
        {"up": bool},
        Acts.network,
        phrase("the network comes back"),
        phrase("the network fails"),
        takes="network",
        needs=(),
    ),
    "power": _Action(
        _AT_A_DOOR, Acts.power, phrase("the power of the lock is cut, and comes back"), takes="power", needs=()
    ),
    "open-door": _Action(
        _TWO_WAYS,
        Acts.open_door,
        phrase("the door is opened by hand"),
        phrase("the door is shut by hand"),
        takes="leaf",
        needs=(),
    ),
    "story": _Action({"name": str}, Acts.story, phrase("a story plays"), takes="stage", needs=()),
}
