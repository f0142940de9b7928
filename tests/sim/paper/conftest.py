"""A province with one placed lock, and the card beside its door."""

from pathlib import Path

import pytest

from sim.platform import Platform
from sim.province import Province
from sim.province.__main__ import main
from tests.support.chain import NOW, Chain

LISTING, PLACE, PHONE = "HZ-WEST-0427", "西湖区灵隐路12号3幢2单元302室", "+86 571 8765 4321"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of a province. The file `key` in this folder has the province's public key in hex."""
    folder = tmp_path_factory.mktemp("province")
    province = Province(folder, "127.0.0.1", 1, clock=lambda: NOW)
    for listing, place in ((LISTING, PLACE), ("HZ-2", "West Lake Lane 12, room 302"), ("HZ-3", "路" * 64)):
        lock = Chain(province.keys.sealing_public)
        province.register_lock(
            lock.public, listing=listing, room=place, platform_key=Platform().public, reader_chain=[b"\x30\x00"]
        )
    (folder / "key").write_text(province.public.hex())
    province.stop()
    return folder


@pytest.fixture(scope="session")
def card(folder: Path) -> dict[str, bytes]:
    """Return the card that the command makes, as `svg` and as `pdf`."""
    files = {kind: folder / f"card.{kind}" for kind in ("svg", "pdf")}
    wanted = [part for kind, file in files.items() for part in (f"--{kind}", str(file))]
    assert main(["card", "--data", str(folder), "--listing", LISTING, "--phone", PHONE, *wanted]) == 0
    return {kind: file.read_bytes() for kind, file in files.items()}
