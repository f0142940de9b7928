"""The search at the end of every scenario finds planted data in every place and form, and nothing else."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from sim.exposure import Search
from sim.scenarios import perform
from sim.scenarios.story import Script, Story
from sim.wiretap import Overheard

TEXT = "Bergström-Åkesson"
KEY = bytes(range(100, 132))


@pytest.mark.parametrize(
    "form",
    [
        TEXT.encode(),
        TEXT.encode("utf-16-le"),
        TEXT.encode().hex().encode(),
        TEXT.encode().hex().upper().encode(),
        json.dumps({"name": TEXT}).encode(),
        *(base64.b64encode(b"x" * before + TEXT.encode() + b"after") for before in range(5)),
    ],
)
def test_a_text_is_found_in_every_form_a_program_would_leave_it_in(form: bytes) -> None:
    assert Search([TEXT]).hits(b"\xff" * 100 + form + b"\x00" * 100)
    assert not Search(["Somebody Else"]).hits(form)


def test_a_key_is_found_as_bytes_and_as_text() -> None:
    search = Search([], [KEY])
    encoded = [base64.b64encode(b"x" * before + KEY + b"xyz") for before in range(3)]
    assert all(search.hits(form) for form in (KEY, KEY.hex().encode(), *encoded))
    assert not search.hits(KEY[:-1])


def test_digits_are_found_on_their_own_and_not_inside_a_longer_number() -> None:
    search = Search([], (), ["482913"])
    assert search.hits(b"pin=482913 ok") and search.hits(b"\xff\xff482913\x00")
    assert not search.hits(b"1482913") and not search.hits(b"4829130") and not search.hits(b"482914")


@pytest.mark.parametrize("digits", ["12345", "", "12a456"])
def test_digits_that_chance_would_hit_are_no_needle(digits: str) -> None:
    with pytest.raises(ValueError, match="too short"):
        Search([], (), [digits])


def test_an_empty_search_finds_nothing() -> None:
    assert not Search([]).hits(b"anything")


PLACES = {
    # Each place is a file in the site's folder and an offset in this file. The offset None means the end of the file.
    "flash.img": ("door-1/flash.img", 700),
    "flash.img, the journal": ("door-1/flash.img", 512 * 1024 + 5000),
    "flash.img, the tally": ("door-1/flash.img", 512 * 1024 + 63 * 4096 + 900),
    "lock.log": ("door-1/lock.log", None),
    "edge-1.log": ("edge-1.log", None),
    "edge-1/anything": ("edge-1/anything", None),
}


def plant(folder: Path, place: str, content: bytes) -> None:
    """Write `content` where PLACES says, and nowhere else."""
    name, offset = PLACES[place]
    path = folder / name
    held = path.read_bytes() if path.exists() else b""
    at = len(held) if offset is None else offset
    path.write_bytes(held[:at] + content + held[at + len(content) :])


def test_leaks_planted_in_every_place_break_the_promise_of_every_scenario(tmp_path: Path) -> None:
    found: dict[str, list[str]] = {}

    async def play(script: Script) -> None:
        site, door, edge = script.site, script.door, script.edge
        person = site.visitor().person
        site.secret_digits.append("482913")
        site.secret_keys.append(KEY)
        await door.lock.kill()
        await edge.stop()
        script.promise("nothing is exposed before anything is planted", site.exposed() == [])
        secrets = {
            "a number": person.document_number.encode(),
            "a birth date": person.birth_date.encode(),
            "a name": person.name.encode().hex().encode(),
            "a PIN": b"pin=482913\n",
            "a key of a stay": KEY,
            "the province's sealing key": site.province.keys.sealing_private,
            "the platform's key": site.platform.private.hex().encode(),
        }
        for number, (what, content) in enumerate(secrets.items()):
            # The first secret is planted in every place, and each other secret in one place.
            places = list(PLACES)[number % len(PLACES) :][: 1 if number else None]
            for place in places:
                name = PLACES[place][0]
                before = (site.folder / name).read_bytes() if (site.folder / name).exists() else None
                plant(site.folder, place, content)
                found[f"{what} in {place}"] = site.exposed()
                if before is None:
                    (site.folder / name).unlink()
                else:
                    (site.folder / name).write_bytes(before)
            heard = len(site.wiretap.heard)
            site.wiretap.heard.append(Overheard(0.0, "mooring/1/edge-1/up", b"\x01" + content))
            found[f"{what} in MQTT"] = site.exposed()
            del site.wiretap.heard[heard:]
        site.wiretap.heard.append(Overheard(0.0, "mooring/1/edge-1/" + person.document_number, b""))

    story = Story("leaks", "everything leaks", play)
    result = asyncio.run(perform(story, folder=tmp_path))
    assert len(found) == len(PLACES) + 6 + 7
    for where, names in found.items():
        place = where.split(" in ")[1].split(",")[0]
        assert len(names) == 1 and place in names[0], (where, names)
    broken = [str(promise.claim) for promise in result.promises if not promise.held]
    assert len(broken) == 1 and "MQTT mooring/1/edge-1/" in broken[0], "a topic can leak as well"
