"""A file is replaced as a whole, so a reader never sees half a file."""

from pathlib import Path

import pytest

from edge_agent import files


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_for_its_owner_alone_and_nothing_else_stays(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "link.key"
    # A power cut ended an earlier attempt, which has left this file.
    (tmp_path / "link.key.new").write_bytes(b"torn, and longer than what comes")
    for content in (b"first", b"second"):
        files.replace(path, content, durable=durable)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_replaced_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "link.key"
    files.replace(path, b"first", durable=True)
    (tmp_path / "link.key.new").mkdir()
    with pytest.raises(OSError, match=r"link\.key\.new"):
        files.replace(path, b"second", durable=True)
    assert path.read_bytes() == b"first"
