"""Calls the host from the virtual board, and counts instructions. The other modules in this folder use this module.

A call is a message in a pipe. Semihosting writes the message and reads the answer (RISC-V Semihosting specification).
While the host works, no instruction runs in the machine, so the host takes none of the machine's time. The buffers lie
outside the heap.

Every instruction is counted in one of two accounts: the account of the firmware, or the account of these modules.
`enter` and `leave` change the account. Each message begins with the number of instructions in the firmware's account,
and the number of collections that the firmware began. So the host knows these numbers at every call.

The modules in this folder make more garbage than the modules of the chip. This garbage must not make the collector run
earlier. So each account has its own count of what was allocated since the latest collection. And `leave` collects this
garbage before it fills the heap. Each collection is counted for the account that is charged while the collection
begins.
"""

import gc

import micropython
import uctypes

_BOX = 0x84000000
"""Address of the memory for counters and buffers. The interpreter and the heap are below this memory."""
_SIZE = 1 << 17
_STOPPED = 0x20026
"""The reason with which the machine ends if its host has gone (ADP_Stopped_ApplicationExit)."""
_FIRMWARE, _OURS = 16, 24
"""Places of the two accounts in the box. Each account is a number of 64 bits. 24 bytes after its account is a number of
32 bits: the collections that this account began."""
_CODE = 1024
"""Offset of the instructions that count collections."""
_PATCHED = 8
"""Bytes at the start of `gc_collect_start` that `count_collections` replaces."""

_MOST_BLOCKS = 512
"""`leave` collects garbage if more blocks of 16 bytes than this were allocated."""

_amount = None
_counters = uctypes.bytearray_at(_BOX, 64)
_request = uctypes.bytearray_at(_BOX + 256, 16)
_out = uctypes.bytearray_at(_BOX + 4096, _SIZE)
_back = uctypes.bytearray_at(_BOX + 4096 + _SIZE, _SIZE)
_account = uctypes.bytearray_at(_BOX + _FIRMWARE, 8)
_collections = uctypes.bytearray_at(_BOX + _FIRMWARE + 24, 4)


@micropython.asm_rv32
def _semihost(a0, a1):
    align(16)
    data(4, 0x01F01013, 0x00100073, 0x40705013)  # slli zero, zero, 31; ebreak; srai zero, zero, 7: one trap


@micropython.asm_rv32
def _account_for(a0, a1):
    # Count the instructions that have run since the last call. They belong to the account that the last call named.
    # a0 holds the address of the box, and a1 holds the address of the account for the coming instructions. Layout of
    # the box: the count at the last call (low word at offset 0, high word at offset 4), then the address of the present
    # account (offset 8). At offset 32: what the firmware had allocated when its account was left. At offset 36: the
    # address of MicroPython's gc_alloc_amount.
    label(again)
    data(4, 0xC82026F3)  # rdinstreth a3
    data(4, 0xC0202673)  # rdinstret a2
    data(4, 0xC8202773)  # rdinstreth a4
    bne(a3, a4, again)
    lw(a4, 0(a0))
    lw(a5, 4(a0))
    sw(a2, 0(a0))
    sw(a3, 4(a0))
    sltu(t1, a2, a4)
    sub(a2, a2, a4)
    sub(a3, a3, a5)
    sub(a3, a3, t1)
    lw(t0, 8(a0))
    sw(a1, 8(a0))
    mv(a1, t0)
    add(t0, t0, a0)
    lw(a4, 0(t0))
    lw(a5, 4(t0))
    add(a4, a4, a2)
    sltu(t1, a4, a2)
    add(a5, a5, a3)
    add(a5, a5, t1)
    sw(a4, 0(t0))
    sw(a5, 4(t0))
    lw(a4, 8(a0))
    beq(a1, a4, same)
    lw(a3, 36(a0))
    beq(a3, zero, same)
    lw(a5, 32(a0))
    lw(a2, 0(a3))
    sw(a2, 32(a0))
    sw(a5, 0(a3))
    label(same)
    mv(a0, a1)


@micropython.asm_rv32
def _sleep(a0):
    # Move the clock of the machine by a0 tenths of a microsecond, without running instructions.
    li(a1, 0x0200BFF8)  # mtime
    lw(a2, 0(a1))
    lw(a3, 4(a1))
    add(a2, a2, a0)
    sltu(a4, a2, a0)
    add(a3, a3, a4)
    li(a1, 0x02004000)  # mtimecmp
    li(a4, -1)
    sw(a4, 4(a1))
    sw(a2, 0(a1))
    sw(a3, 4(a1))
    li(a0, 0x80)
    data(4, 0x30452073)  # csrs mie, a0: the timer ends the pause below; interrupts themselves stay off
    data(4, 0x10500073)  # wfi
    li(a4, -1)
    sw(a4, 4(a1))


def _number(at, value):
    _request[at : at + 4] = value.to_bytes(4, "little")


def _write(at, data):
    """Write `data` into the message. After storing a slice, MicroPython moves all bytes behind it. So this function
    stores into an object that ends with the data."""
    uctypes.bytearray_at(_BOX + 4096 + at, len(data))[:] = data


def _open(path, mode):
    name = path.encode() + b"\0"
    _write(0, name)
    _number(0, _BOX + 4096)
    _number(4, mode)
    _number(8, len(name) - 1)
    return _semihost(1, _request)


def enter():
    """Count the instructions from now on for these modules. Returns the previous account, which `leave` needs."""
    return _account_for(_counters, _OURS)


def leave(before):
    """Count the instructions from now on for the account `before`, which `enter` has returned."""
    if before == _FIRMWARE and _amount is not None and int.from_bytes(_amount, "little") > _MOST_BLOCKS:
        gc.collect()
    _account_for(_counters, before)


def count_allocations(address):
    """From now on, keep two counts of allocated memory. `address` is the address of `gc_alloc_amount`."""
    global _amount
    _amount = uctypes.bytearray_at(address, 4)
    _counters[32:40] = bytes(4) + address.to_bytes(4, "little")


def _far_jump(address):
    """Return the two instructions that jump to `address` and change only the register t0."""
    low = address & 0xFFF
    high = (address + 0x800) & 0xFFFFF000
    return (high | 0x2B7).to_bytes(4, "little") + (low << 20 | 0x28067).to_bytes(4, "little")


def count_collections(address):
    """From now on, count the collections. `address` is the address of MicroPython's `gc_collect_start`.

    The function's first instructions are copied into the box, behind instructions that count. A jump to the box takes
    their place. Raises RuntimeError if this MicroPython was compiled so that these instructions cannot be moved.
    """
    start = uctypes.bytearray_at(address, _PATCHED)
    at = 0
    while at < _PATCHED:
        first = start[at]
        # Instructions that begin with these bits may read the program counter: auipc, branches, jalr, jal; and of the
        # short ones, those of quadrant 1 from c.jal on, and c.jr and c.jalr.
        wide = first & 3 == 3
        moves = (
            first & 0x7F in (0x17, 0x63, 0x67, 0x6F) if wide else start[at + 1] >> 5 in (1, 5, 6, 7) and first & 3 == 1
        )
        if moves or (first & 3 == 2 and start[at + 1] >> 5 == 4):
            break
        at += 4 if wide else 2
    if at != _PATCHED:
        raise RuntimeError("the first instructions of gc_collect_start cannot be moved")
    counting = b"".join(
        word.to_bytes(4, "little")
        for word in (
            _BOX | 0x2B7,  # lui t0, _BOX
            0x0082A303,  # lw t1, 8(t0): the present account
            0x006282B3,  # add t0, t0, t1
            0x0182A303,  # lw t1, 24(t0)
            0x00130313,  # addi t1, t1, 1
            0x0062AC23,  # sw t1, 24(t0)
        )
    )
    code = counting + bytes(start) + _far_jump(address + _PATCHED)
    uctypes.bytearray_at(_BOX + _CODE, len(code))[:] = code
    start[:] = _far_jump(_BOX + _CODE)


def sleep(milliseconds):
    """Move the clock of the machine. No instructions are counted for this."""
    while milliseconds > 0:
        _sleep(min(milliseconds, 10000) * 10000)
        milliseconds -= 10000


_files = None


def connect(folder):
    """Open the two pipes in `folder` of the host."""
    global _files
    _counters[:] = bytes(64)
    _counters[8] = _OURS
    _account_for(_counters, _OURS)
    _files = _open(folder + "/to-host", 5), _open(folder + "/from-host", 1)


# --- values in messages ----------------------------------------------------------------------------------------------

_made = {}
"""The host may send values of a type that MicroPython does not have. This dict maps the letter of each such type to the
function that makes the value."""


def register(letter, make):
    """From now on, `make` builds the values that the host sends with this `letter`."""
    _made[letter] = make


def _put(at, value):
    if value is None or value is True or value is False:
        _out[at] = ord("N" if value is None else "T" if value else "F")
        return at + 1
    if isinstance(value, int):
        _out[at] = ord("i")
        _write(at + 1, (value & 0xFFFFFFFF).to_bytes(4, "little"))
        return at + 5
    if isinstance(value, (tuple, list, dict)):
        if isinstance(value, dict):
            _out[at] = ord("d")
            value = [each for pair in value.items() for each in pair]
        else:
            _out[at] = ord("t")
        _write(at + 1, len(value).to_bytes(2, "little"))
        at += 3
        for each in value:
            at = _put(at, each)
        return at
    letter = "s" if isinstance(value, str) else getattr(value, "letter", "b")
    if letter == "s":
        value = value.encode()
    elif letter != "b":
        value = bytes(value)
    size = len(value)
    _out[at] = ord(letter)
    _write(at + 1, size.to_bytes(3, "little"))
    _write(at + 4, value)
    return at + 4 + size


def _get(at):
    letter = chr(_back[at])
    if letter in "NTF":
        return at + 1, {"N": None, "T": True, "F": False}[letter]
    if letter == "i":
        value = int.from_bytes(_back[at + 1 : at + 5], "little")
        return at + 5, value - (1 << 32) if value >= 1 << 31 else value
    if letter == "t":
        count, values = _back[at + 1] | _back[at + 2] << 8, []
        at += 3
        for _ in range(count):
            at, value = _get(at)
            values.append(value)
        return at, tuple(values)
    size = _back[at + 1] | _back[at + 2] << 8 | _back[at + 3] << 16
    view = memoryview(_back)[at + 4 : at + 4 + size]
    at += 4 + size
    if letter == "s":
        return at, str(view, "utf-8")
    return at, view if letter == "b" else _made[letter](bytes(view))


# --- calls -----------------------------------------------------------------------------------------------------------


def call(*message):
    """Send `message` to the host, and return the host's answer. Bytes in the answer are views. They are valid until the
    next call.

    If the host raises an error, this function raises an OSError, a ValueError or a TypeError.
    """
    before = enter()
    try:
        end = _put(16, message)
        _write(0, (end - 4).to_bytes(4, "little"))
        _write(4, _account)
        _write(12, _collections)
        _transfer(5, 0, _BOX + 4096, end)
        _transfer(6, 1, _BOX + 4096 + _SIZE, 4)
        _transfer(6, 1, _BOX + 4096 + _SIZE, int.from_bytes(_back[:4], "little"))
        _, (failed, value) = _get(0)
    finally:
        leave(before)
    if failed:
        raise {"OSError": OSError, "ValueError": ValueError}.get(failed, TypeError)(*value)
    return value


def _transfer(operation, which, address, size):
    tries = 0
    while size > 0:
        _number(0, _files[which])
        _number(4, address)
        _number(8, size)
        left = _semihost(operation, _request)
        if 0 <= left < size:
            address += size - left
            size = left
            tries = 0
        else:  # a signal came, or the host has ended
            tries += 1
            if tries > 100:
                _semihost(0x18, _STOPPED)


def leave_for_firmware():
    """Count the instructions from now on for the firmware, because one of its handlers will run. Returns the previous
    account, which `leave` needs."""
    return _account_for(_counters, _FIRMWARE)
