"""Claims about the inflater of status lists, compared with zlib, on both runtimes."""

import hashlib
import random
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import FormatError
from protocol.inflate import RECORD, Sparse
from tests.support.on_lock import run_on_lock

LONGEST = 1 << 20


def whole(sparse: Sparse) -> bytes:
    """Return the bytes that the sparse records stand for."""
    content = bytearray(sparse.size)
    records = b"".join(sparse.pages)
    assert len(records) == RECORD * sparse.count
    for place in range(0, len(records), RECORD):
        content[int.from_bytes(records[place : place + 3], "big")] = records[place + 3]
    return bytes(content)


def inflated(data: bytes, longest: int = LONGEST, most: int = LONGEST) -> bytes | str:
    """Return the inflated `data`, or the error code of the refusal."""
    try:
        return whole(Sparse(data, longest, most))
    except FormatError as error:
        return error.code


def judged(data: bytes) -> bytes | str:
    """Let zlib inflate `data`. Returns the inflated bytes, or the error code that `inflated` must return."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, LONGEST + 1)
    except zlib.error:
        return "status-list.zlib"
    return content if stream.eof and not stream.unused_data else "status-list.zlib"


def compressed(content: bytes, level: int = 9, window: int = 15, strategy: int = 0) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, window, 9, strategy)
    return stream.compress(content) + stream.flush()


CONTENTS = st.binary(max_size=300) | st.builds(
    lambda size, marks: bytes(marks.get(place, 0) for place in range(size)),
    st.integers(0, 3000),
    st.dictionaries(st.integers(0, 2999), st.integers(1, 255), max_size=60),
)


@given(
    CONTENTS,
    st.sampled_from([0, 1, 6, 9]),
    st.sampled_from([9, 12, 15]),
    st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]),
)
def test_whatever_zlib_compresses_inflates_to_itself(content: bytes, level: int, window: int, strategy: int) -> None:
    assert inflated(compressed(content, level, window, strategy)) == content


@given(CONTENTS, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4), st.floats(0, 2))
def test_a_damaged_stream_is_judged_as_zlib_judges_it(
    content: bytes, damages: list[tuple[float, int]], end: float
) -> None:
    data = bytearray(compressed(content))
    for where, value in damages:
        data[int(where * (len(data) - 1))] = value
    if end < 1:
        del data[int(end * len(data)) :]
    assert inflated(bytes(data)) == judged(bytes(data))


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_bytes_that_nobody_compressed_are_judged_as_zlib_judges_them(data: bytes) -> None:
    for stream in (data, b"\x78\x9c" + data):
        assert inflated(stream) == judged(stream)


def test_what_would_be_too_long_or_too_dense_is_refused_in_time() -> None:
    assert inflated(compressed(bytes(1000)), longest=1000) == bytes(1000)
    assert inflated(compressed(bytes(1001)), longest=1000) == "status-list.too_long"
    assert inflated(compressed(bytes(50_000_000)), longest=1000) == "status-list.too_long"
    assert inflated(compressed(b"\x01" * 70), most=70) == b"\x01" * 70
    assert inflated(compressed(b"\x01" * 71), most=70) == "status-list.too_dense"


def sparse_list() -> bytes:
    content = bytearray(125_000)
    chance = random.Random(1)
    for index in chance.sample(range(1_000_000), 1500):
        content[index >> 3] |= 1 << (index & 7)
    return compressed(bytes(content))


STREAMS: dict[str, Any] = {
    "a million documents": sparse_list,
    "zeros": lambda: compressed(bytes(10_000)),
    "text": lambda: compressed(b"mooring " * 40),
    "stored": lambda: compressed(bytes(range(256)) * 2, level=0),
    "fixed codes": lambda: compressed(b"abcabcabd", strategy=zlib.Z_FIXED),
    "nothing": lambda: compressed(b""),
    "cut": lambda: compressed(bytes(10_000))[:-5],
    "a wrong sum": lambda: compressed(b"abc")[:-1] + b"\x00",
    "bytes after it": lambda: compressed(b"abc") + b"\x00",
    "no stream": lambda: b"not a zlib stream",
    "no bytes": lambda: b"",
    "a dictionary": lambda: b"\x78\xbb" + bytes(20),
}


def test_the_lock_inflates_and_refuses_as_cpython_does() -> None:
    answers = run_on_lock(
        """
from hashlib import sha256
from protocol.errors import FormatError
from protocol.inflate import Sparse
def judge(data):
    try:
        sparse = Sparse(data, 1048576, 4096)
    except FormatError as error:
        return error.code
    return [sparse.size, sha256(b"".join(sparse.pages)).digest().hex()]
answer([judge(bytes.fromhex(data)) for data in given])
""",
        [build().hex() for build in STREAMS.values()],
    )
    expected: list[Any] = []
    for build in STREAMS.values():
        try:
            sparse = Sparse(build(), LONGEST, 4096)
        except FormatError as error:
            expected.append(error.code)
            continue
        expected.append([sparse.size, _sha256(b"".join(sparse.pages))])
    assert dict(zip(STREAMS, answers, strict=True)) == dict(zip(STREAMS, expected, strict=True))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["cut", "a wrong sum", "bytes after it", "no stream", "no bytes", "a dictionary"])
def test_no_broken_stream_passes(name: str) -> None:
    assert inflated(STREAMS[name]()) == "status-list.zlib"
