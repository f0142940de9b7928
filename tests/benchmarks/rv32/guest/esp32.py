"""Replaces `esp32` on the virtual board. The partitions are in the simulator's flash image.

The machine's memory has a copy of this image, so that reading needs no call. The host writes into the image, and then
this module brings the copy up to date.
"""

import hosted
import uctypes

_BLOCK = 4096
_FLASH = 0x86000000


class Partition:
    TYPE_APP, TYPE_DATA = 0, 1

    def __init__(self, label):
        self._place = "Partition-" + label
        offset, size = hosted.call("make", self._place, "Partition", (label,), {})
        self._copy = memoryview(uctypes.bytearray_at(_FLASH + offset, size))

    @classmethod
    def find(cls, type=0, subtype=0xFF, label=None, block_size=_BLOCK):
        return [cls(label)]

    def readblocks(self, block_num, buf, offset=0):
        before = hosted.enter()
        at = block_num * _BLOCK + offset
        buf[:] = self._copy[at : at + len(buf)]
        hosted.leave(before)

    def writeblocks(self, block_num, buf, offset=None):
        at, size = block_num * _BLOCK + (offset or 0), len(buf)
        hosted.call(self._place, "writeblocks", (block_num, buf, offset), {})
        self._copy[at : at + size][:] = hosted.call(self._place, "readblocks", (block_num, size, offset or 0), {})

    def ioctl(self, op, arg):
        answer = hosted.call(self._place, "ioctl", (op, arg), {})
        if op == 6:
            at = arg * _BLOCK
            self._copy[at : at + _BLOCK][:] = hosted.call(self._place, "readblocks", (arg, _BLOCK, 0), {})
        return answer
