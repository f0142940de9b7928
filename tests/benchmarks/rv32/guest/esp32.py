"""`esp32` on the virtual board: the partitions of the simulator's flash image, through the host."""

import hosted

_BLOCK = 4096


class Partition:
    TYPE_APP, TYPE_DATA = 0, 1

    def __init__(self, label):
        self._place = "Partition-" + label
        hosted.call("make", self._place, "Partition", (label,), {})

    @classmethod
    def find(cls, type=0, subtype=0xFF, label=None, block_size=_BLOCK):
        return [cls(label)]

    def readblocks(self, block_num, buf, offset=0):
        buf[:] = hosted.call(self._place, "readblocks", (block_num, len(buf), offset), {})

    def writeblocks(self, block_num, buf, offset=None):
        hosted.call(self._place, "writeblocks", (block_num, buf, offset), {})

    def ioctl(self, op, arg):
        return hosted.call(self._place, "ioctl", (op, arg), {})
