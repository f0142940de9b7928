"""Computes the blocks of SHA-512 in viper code for MicroPython. Unlike the Python code in `sha512`, it leaves no
garbage.

A word of 64 bits is stored as two words of 32 bits, and the upper word comes first. `mask` is 2^32 - 1. On 64-bit
machines, the mask cuts sums and shifts to 32 bits, so the code is correct on these machines too. Only a MicroPython
with a native emitter can compile this module.
"""
# Viper's types (ptr8, uint, ...) are not Python names, so neither mypy nor ruff knows them.
# mypy: ignore-errors
# The function is long, because a call from viper code would create objects.
# ruff: noqa: C901, F821

import micropython


@micropython.viper
def absorb(state: ptr32, schedule: ptr32, rounds: ptr32, data: ptr8, blocks: int, mask: uint):
    """See `sha512.absorb`."""
    start = 0
    while blocks:
        for i in range(32):
            at = start + (i << 2)
            schedule[i] = int(data[at]) << 24 | int(data[at + 1]) << 16 | int(data[at + 2]) << 8 | int(data[at + 3])
        ah = uint(state[0])
        al = uint(state[1])
        bh = uint(state[2])
        bl = uint(state[3])
        ch = uint(state[4])
        cl = uint(state[5])
        dh = uint(state[6])
        dl = uint(state[7])
        eh = uint(state[8])
        el = uint(state[9])
        fh = uint(state[10])
        fl = uint(state[11])
        gh = uint(state[12])
        gl = uint(state[13])
        hh = uint(state[14])
        hl = uint(state[15])
        for t in range(80):
            i = (t & 15) << 1
            wh = uint(schedule[i])
            wl = uint(schedule[i + 1])
            if t >= 16:
                xh = uint(schedule[(i + 2) & 31])
                xl = uint(schedule[(i + 3) & 31])
                yl = (
                    (xl >> uint(1) | xh << uint(31))
                    ^ (xl >> uint(8) | xh << uint(24))
                    ^ (xl >> uint(7) | xh << uint(25))
                ) & mask
                yh = ((xh >> uint(1) | xl << uint(31)) ^ (xh >> uint(8) | xl << uint(24)) ^ (xh >> uint(7))) & mask
                wl = (wl + yl) & mask
                wh += yh
                if wl < yl:
                    wh += uint(1)
                xh = uint(schedule[(i + 28) & 31])
                xl = uint(schedule[(i + 29) & 31])
                yl = (
                    (xl >> uint(19) | xh << uint(13))
                    ^ (xh >> uint(29) | xl << uint(3))
                    ^ (xl >> uint(6) | xh << uint(26))
                ) & mask
                yh = ((xh >> uint(19) | xl << uint(13)) ^ (xl >> uint(29) | xh << uint(3)) ^ (xh >> uint(6))) & mask
                wl = (wl + yl) & mask
                wh += yh
                if wl < yl:
                    wh += uint(1)
                yl = uint(schedule[(i + 19) & 31])
                wl = (wl + yl) & mask
                wh = wh + uint(schedule[(i + 18) & 31])
                if wl < yl:
                    wh += uint(1)
                wh = wh & mask
                schedule[i] = int(wh)
                schedule[i + 1] = int(wl)
            # The first sum of the round: h, the rotations of e, the choice, the constant and the word of the schedule.
            yl = hl
            wl = (wl + yl) & mask
            wh += hh
            if wl < yl:
                wh += uint(1)
            yl = (
                (el >> uint(14) | eh << uint(18)) ^ (el >> uint(18) | eh << uint(14)) ^ (eh >> uint(9) | el << uint(23))
            ) & mask
            wl = (wl + yl) & mask
            wh += (
                (eh >> uint(14) | el << uint(18)) ^ (eh >> uint(18) | el << uint(14)) ^ (el >> uint(9) | eh << uint(23))
            ) & mask
            if wl < yl:
                wh += uint(1)
            yl = gl ^ (el & (fl ^ gl))
            wl = (wl + yl) & mask
            wh += gh ^ (eh & (fh ^ gh))
            if wl < yl:
                wh += uint(1)
            yl = uint(rounds[(t << 1) + 1])
            wl = (wl + yl) & mask
            wh += uint(rounds[t << 1])
            if wl < yl:
                wh += uint(1)
            wh = wh & mask
            hh = gh
            hl = gl
            gh = fh
            gl = fl
            fh = eh
            fl = el
            el = (dl + wl) & mask
            eh = dh + wh
            if el < wl:
                eh += uint(1)
            eh = eh & mask
            # The second sum: the rotations of a, and the majority.
            yl = (
                (al >> uint(28) | ah << uint(4)) ^ (ah >> uint(2) | al << uint(30)) ^ (ah >> uint(7) | al << uint(25))
            ) & mask
            wl = (wl + yl) & mask
            wh += (
                (ah >> uint(28) | al << uint(4)) ^ (al >> uint(2) | ah << uint(30)) ^ (al >> uint(7) | ah << uint(25))
            ) & mask
            if wl < yl:
                wh += uint(1)
            yl = (al & bl) | (cl & (al | bl))
            wl = (wl + yl) & mask
            wh += (ah & bh) | (ch & (ah | bh))
            if wl < yl:
                wh += uint(1)
            dh = ch
            dl = cl
            ch = bh
            cl = bl
            bh = ah
            bl = al
            ah = wh & mask
            al = wl
        # schedule is free now: put the working variables there, and add them to the state in a loop
        schedule[0] = int(ah)
        schedule[1] = int(al)
        schedule[2] = int(bh)
        schedule[3] = int(bl)
        schedule[4] = int(ch)
        schedule[5] = int(cl)
        schedule[6] = int(dh)
        schedule[7] = int(dl)
        schedule[8] = int(eh)
        schedule[9] = int(el)
        schedule[10] = int(fh)
        schedule[11] = int(fl)
        schedule[12] = int(gh)
        schedule[13] = int(gl)
        schedule[14] = int(hh)
        schedule[15] = int(hl)
        for i in range(0, 16, 2):
            yl = uint(schedule[i + 1])
            wl = (uint(state[i + 1]) + yl) & mask
            wh = uint(state[i]) + uint(schedule[i])
            if wl < yl:
                wh += uint(1)
            state[i] = int(wh)
            state[i + 1] = int(wl)
        start += 128
        blocks -= 1
