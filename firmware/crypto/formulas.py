"""Point formulas for curves with a = -3, as programs of the field machine (docs/field-machine.md).

The assembler of our own image runs them (`field_rv32`). `field` and `field_complete` have the same programs as Python
functions, and a test compares each function with its program. Other images do not have this module.

An instruction has four characters: `TX+Y` means T = X + Y. Each letter is a slot, which holds a number modulo p. The
letter `t` is the same slot as `T`. A routine hands on only what it writes to slots in capital letters.

    *  product     .  product that a later `%` reduces
    +  sum         -  difference         %  difference that is reduced at once
    ?  the second operand if the step has its sign bit, otherwise the first
    !  note in slot F whether the operand, the difference of two reduced numbers, is 0
    3  three times the first operand; the second operand is a slot that may be overwritten

For the assembler `.` is the same as `*`, and `%` the same as `-`. They save reductions of big integers.

A, B, C, D and E are the entry of a table that the step chose: a point in affine coordinates (A, B), or in Jacobian
coordinates (A, B, C) with D = C^2 and E = C^3. X, Y and Z are the accumulator, in Jacobian coordinates. O is 0, I is 1
and R is a random number. Doubling and addition are Algorithms 3.21 and 3.22 of Guide to Elliptic Curve Cryptography.
An addition of two points with the same x notes a zero, and its result and all later results are wrong.

All entries are affine for Python integers, so `add`, `start` and `entry` are for the assembler alone. There, the
inversion that makes entries affine takes longer than the products that it saves.
"""

_SIGNED = b"wO-BwB?w"  # w is B, or -B if the step has its sign bit.
_START = b"gR*RXA*ggg*RYB*g"  # The same point with another Z. Who needs no blinding sets R to 1.
_JOINED = b"uu!ugu*uhg*uqX*ggq+qgg+hXt.tXX%gYY.hqq-Xqq.tYq%Y"  # u and t are the differences of x and of y.
_MIXED = _SIGNED + b"gZ*ZuA*gtw*Ztt*guu-Xtt-YZZ*u" + _JOINED

_DOUBLE = ("double", b"gZ*ZhX-guX+ghh3quu*hgY+YZg*Zhg*Ygh+hqX*ggg.hhu.utq+qXh%tqq-Xqq.uYq%g", 0, 0)

FAST = (
    _DOUBLE,
    ("add_affine", _MIXED, 72, 2),
    ("add", _SIGNED + b"gZ*ZuA*gtw*Ztt*gXX*DYY*Euu-Xtt-YZZ*CZZ*u" + _JOINED, 27, 5),
    ("start_affine", _START + b"ZR?R", 72, 2),
    ("start", _START + b"ZC*R", 27, 5),
    ("add_affine", _MIXED, 104, 2),
    ("start_affine", _START + b"ZR?R", 104, 2),
)
"""Each routine with its name, the first slot of its table, and the number of slots of an entry.

A step is 32 times the index of its routine, plus the index of an entry (below 16), plus 16 for the sign bit. The step
255 does nothing.
"""

# Algorithm 4 of Renes, Costello and Batina, "Complete addition formulas for prime order elliptic curves" (2015), in
# homogeneous coordinates. D is b.
_SUM = (
    b"gA*XhB*YqC*ZtX+YuA+Btt*uug+htt-uuY+ZvB+Cuu*vvh+quu-vvX+ZYA+Cvv*YYg+qYv-YZD*qvY-ZZv+vvv+Z"
    b"Zh-vvh+vYD*Yhq+qqh+qYY-qYY-ghY+YYh+Yhg+ggh+ggg-qhu*Yqg*YYv*ZYY+qvt*vXv-hZu*Zht*gZZ+h"
)

COMPLETE = (
    ("double", b"aX?XbY?YcZ?Z" + _SUM, 0, 0),
    ("add", _SUM, 27, 3),
    ("finish", b"XX*ZYY*ZYY*Z", 0, 0),
)
"""The additions of these routines are right for any two points. `finish` changes to Jacobian coordinates."""

# The odd multiples of a point. (M, N) is twice the point, and always has the same Z as the latest multiple, so an
# addition takes seven products (Meloni, "New point addition formulae for ECC applications", 2007). The order is a prime
# far above 2^6, so equal or opposite points are never added here.
TABLE = (
    _DOUBLE,
    ("pair", b"MX?XNY?YgZ*ZXA*ggg*ZYB*g", 0, 0),
    ("next", b"uM-XtN-Ygu*uhM*gqX*ggh-qNN*ggh+qXt.tXX%ggh-Xgg.tYg%NMh?hZZ*u", 0, 0),
    ("entry", b"AX?XBY?YCZ?ZDZ*ZED*Z", 0, 0),
)
"""`double` and `pair` make twice the point, and the point itself with the same Z. Each `next` makes the next odd
multiple. `entry` makes an entry of the accumulator."""
