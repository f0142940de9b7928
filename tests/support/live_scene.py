"""Messages of an invented site for the live page: two doors, some people, and a check-in moment by moment."""

from collections.abc import Iterator
from typing import Any

from sim.signs import signs

Message = tuple[str, dict[str, Any]]

_BYTES = "8453a20126106e6d6f6f72696e672f7265636f7264a05902178501509a7be640" * 19 + "14c36548b6b392ac"


def both(english: str, chinese: str) -> dict[str, str]:
    return {"en": english, "zh": chinese}


_LICENCE = both("driving licence", "驾驶证")
PEOPLE = [
    {"id": "p1", "name": "Gustav Bergström", "document": _LICENCE, "doors": ["door-1"], "kind": "guest"},
    {"id": "p2", "name": "郑志强", "document": both("e-ID", "身份证"), "doors": ["door-1", "door-2"], "kind": "guest"},
    {"id": "p3", "name": "Johannes Åkerlund", "document": _LICENCE, "doors": ["door-1"], "kind": "child"},
    {"id": "p4", "name": "Astrid Sandell", "document": _LICENCE, "doors": ["door-1"], "kind": "stranger"},
]
STORIES = [
    {"name": "first-checkin", "tells": both("a booked guest taps and the door opens", "有预订的住客刷手机，门打开")},
    {"name": "network-outage", "tells": both("the network fails and comes back", "网络中断，然后恢复")},
]


def site(lang: str = "en") -> Message:
    doors = [
        {
            "id": f"door-{n}",
            "name": both(f"door {n}", f"{n} 号门"),
            "listing": "330106-7K2M9Q",
            "room": f"West Lake Lane 12, room 30{n}",
            "edge": "edge-1",
        }
        | {"lock": f"{n}a7be64014c36548b6b392ac4c353927"}
        for n in (1, 2)
    ]
    return "site", {
        "doors": doors,
        "edges": ["edge-1"],
        "people": PEOPLE,
        "stories": STORIES,
        "network": True,
        "signals": {
            sign.name: {"lamp": [int(level) for level in sign.colour], "rhythm": sign.light} for sign in signs()
        },
        "lang": lang,
        "own": True,
        "version": "0",
    }


def board(door: str = "door-1", at: float = 0, **facts: Any) -> Message:
    rest = {"power": True, "lamp": [0, 0, 0], "tone": 0, "strike": False, "contact": False, "pattern": "idle"}
    return "board", {"door": door, "at": at, "tag": False, **rest, **facts}


def stores(door: str = "door-1", journal: int = 0, receipted: int = 0, outbox: int = 0) -> Message:
    rows = range(1, journal + 1)
    return "stores", {
        "door": door,
        "journal": [{"counter": n, "state": "receipted" if n <= receipted else "waiting", "bytes": 626} for n in rows],
        "outbox": [{"counter": n, "bytes": 626} for n in range(journal - outbox + 1, journal + 1)],
        "province": [
            {"counter": n, "kind": "check-in", "verdict": "ok", "receipt": n <= receipted}
            for n in range(1, journal - outbox + 1)
        ],
        "totals": {"journal": journal, "outbox": outbox, "province": journal - outbox},
    }


_MOMENTS: list[tuple[str, float, str, dict[str, str], float | None, list[str]]] = [
    ("phone.tap", 0, "phone", both("held to the lock", "靠近门锁"), None, []),
    ("nfc.engaged 1", 14, "lock", both("NFC engagement, 6 APDUs", "NFC 接触，6 条 APDU"), 5, ["phone.tap"]),
    (
        "mdoc.session 1",
        69,
        "lock",
        both("keys agreed, request signed, 941 bytes", "协商密钥，签名请求，941 字节"),
        54,
        ["nfc.engaged 1"],
    ),
    ("phone.asked 1", 73, "phone", both("verifies who asks", "核对是谁在要求"), None, ["mdoc.session 1", "phone.tap"]),
    (
        "phone.answered 1",
        73,
        "phone",
        both("agrees: 7 elements, no portrait", "同意：7 个字段，没有照片"),
        None,
        ["phone.asked 1"],
    ),
    (
        "mdoc.response 1",
        93,
        "lock",
        both("response decrypted, 2460 bytes", "应答已解密，2460 字节"),
        8,
        ["mdoc.session 1", "phone.answered 1"],
    ),
    (
        "mdoc.verified 1",
        230,
        "lock",
        both("verified: chain, signature, digests", "已验证：证书链、签名、摘要"),
        137,
        ["mdoc.response 1"],
    ),
    (
        "door.decided 1",
        242,
        "lock",
        both("decided: a grant names this guest", "已判定：授权写明了这位住客"),
        None,
        ["mdoc.verified 1"],
    ),
    ("record.sealed 1", 282, "lock", both("record sealed, 626 bytes", "登记已封装，626 字节"), 40, ["door.decided 1"]),
    ("durable", 284, "lock", both("record 1 durable in flash", "第 1 条登记已存入闪存"), 1, ["record.sealed 1"]),
    ("opened", 285, "lock", both("the strike opens", "电锁扣打开"), None, ["durable"]),
    ("edge.stored", 327, "edge", both("sealed record 1 in the outbox", "第 1 条登记存入发件箱"), None, ["durable"]),
    ("up", 329, "MQTT", both("batch on its way, 641 bytes", "一批登记在途，641 字节"), None, ["edge.stored"]),
    ("committed", 332, "province", both("verified, opened, committed", "已验证、打开并入库"), None, ["up"]),
    (
        "receipt",
        341,
        "MQTT",
        both("receipt on its way back, 160 bytes", "回执在回来的路上，160 字节"),
        None,
        ["committed"],
    ),
    (
        "edge.accepted",
        370,
        "edge",
        both("receipt verified: 1 record forgotten", "回执已核对：删除 1 条登记"),
        None,
        ["receipt"],
    ),
    ("journal.receipted 1", 397, "lock", both("journal trimmed", "登记流水区已清理"), None, ["edge.accepted"]),
]
MOMENTS: list[dict[str, Any]] = [
    {"id": name, "at": 5000.0 + at, "who": who, "name": name, "text": text, "took": took, "after": after}
    for name, at, who, text, took, after in _MOMENTS
]


def tap(moments: int = len(MOMENTS), number: int = 1, who: str = "Gustav Bergström", **facts: Any) -> Message:
    """Return a check-in of which the first `moments` are known."""
    known = MOMENTS[:moments]
    names = {one["id"] for one in known}
    return "tap", {
        "tap": number,
        "door": "door-1",
        "number": number,
        "who": both(who, who),
        "person": None,
        "began": 5000.0,
        "over": "journal.receipted 1" in names,
        "outcome": "opened" if "opened" in names else None,
        "code": None,
        "reason": None,
        "counter": 1 if "durable" in names else None,
        "moments": known,
        **facts,
    }


def refused(number: int = 2, code: str = "grant.none", who: str = "Astrid Sandell") -> Message:
    why = both("no stay here names this document", "这里没有这份证件的预订")
    return tap(6, number, who, over=True, counter=None, outcome="refused", code=code, reason=why)


def act(action: str, door: str | None = "door-1", number: int = 1, state: str = "began", **facts: Any) -> Message:
    """Return the message about an act: that the act began, or how the act ended."""
    text = both("somebody does something", "有人做了什么")
    return "act", {
        "act": number,
        "action": action,
        "door": door,
        "state": state,
        "since": 0,
        "code": None,
        "text": text,
        **facts,
    }


def story(state: str, step: dict[str, str] | None = None, since: int = 0, **facts: Any) -> Message:
    """Return the message about the story that is played."""
    told: dict[str, Any] = {
        "name": "first-checkin",
        "state": state,
        "step": step,
        "since": since,
        "ok": None,
        "promises": [],
    }
    return "story", {**told, **facts}


def record() -> dict[str, Any]:
    """Return what each party could read of the check-in."""
    guest = [{"name": "family_name", "value": "Bergström"}, {"name": "given_name", "value": "Gustav"}]
    sealed = [{"name": both("counter", "序号"), "value": "1"}, {"name": both("sealed", "密封内容"), "value": "478 B"}]
    parties: list[tuple[str, list[dict[str, Any]], list[Any], str | None, str]] = [
        ("phone", guest, [], "a1" * 700, "mdoc"),
        ("air", [], ["family_name", "given_name"], "0c" * 300, "NFC"),
        ("lock-ram", guest, ["portrait"], None, "RAM"),
        ("lock-flash", sealed, ["family_name", "given_name"], _BYTES, "journal"),
        ("edge", sealed, ["family_name", "given_name"], _BYTES, "outbox.sqlite3"),
        ("broker", sealed, ["family_name", "given_name"], _BYTES, "mooring/1/edge-1/up"),
        ("platform", [], ["family_name"], None, "grant"),
        ("province", guest, [], _BYTES, "province.sqlite3"),
    ]
    return {
        "parties": [
            {"party": party, "reads": reads, "hidden": hidden, "bytes": held, "where": where}
            for party, reads, hidden, held, where in parties
        ]
    }


def lights(moments: int) -> Iterator[Message]:
    """Yield what the board shows after the first `moments` moments of the check-in."""
    if moments >= 11:
        yield board(lamp=[0, 1, 0], pattern="allowed", strike=True, tone=1760)
        yield board(lamp=[0, 1, 0], pattern="allowed", strike=True)
    elif moments:
        yield board(lamp=[0, 0, 1], pattern="reading")


def check_in(moments: int = len(MOMENTS)) -> list[Message]:
    """Return all messages up to the first `moments` moments of a check-in."""
    journal = 1 if moments >= 10 else 0
    return [
        site(),
        board(),
        board("door-2"),
        *lights(moments),
        tap(moments),
        stores(journal=journal, receipted=1 if moments == len(MOMENTS) else 0, outbox=1 if 12 <= moments < 16 else 0),
        stores("door-2"),
    ]
