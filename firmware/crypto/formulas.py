"""Point formulas for curves with a = -3, as programs of the field machine (docs/field-machine.md).

The assembler of our own image runs these programs (`field_rv32`). The modules `field` and `field_complete` have Python
functions for the routines that they need, and a test compares each function with its routine. Other images do not have
this module.

An instruction has four characters: `TX+Y` means T = X + Y. Each letter is a slot, which holds a number modulo p. The
letter `t` is the same slot as `T`. If an instruction writes to a small letter, only the same routine uses the result.

    *  product     .  product that a later `%` reduces
    +  sum         -  difference         %  difference that is reduced at once
    ?  the second operand if the step has its sign bit, otherwise the first
    !  note in slot F whether the operand, the difference of two reduced numbers, is 0
    3  three times the first operand; the second operand is a slot that may be overwritten
    =  store the slots of an entry, beginning with A, in the entry that the step chooses

The assembler treats `.` like `*`, and `%` like `-`. With Python integers, `.` and `%` save reductions.

The step chooses an entry of a table, and A, B, C, D and E hold this entry. The entry is a point in affine coordinates
(A, B), or in Jacobian coordinates (A, B, C) with D = C^2 and E = C^3. X, Y and Z are the accumulator, in Jacobian
coordinates. O is 0, I is 1 and R is a random number. The doubling is Algorithm 3.21, and the addition is Algorithm
3.22, of Guide to Elliptic Curve Cryptography. If two points with the same x are added, the routine notes a zero. Then
its result and all later results are wrong.

With Python integers, all entries are affine, so only the assembler uses `add`, `start` and `entry`. For the assembler,
affine entries would save products, but the inversion that makes the entries affine would take longer than these
products.
"""

_SIGNED = b"wO-BwB?w"  # w is B, or -B if the step has its sign bit.
_START = b"gR*RXA*ggg*RYB*g"  # Multiplies the Z of the entry by R. Without blinding, R is 1.
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
"""Each routine has its name, its instructions, the first slot of its table, and the number of slots of an entry.

A step is one number: 32 times the index of its routine, plus the index of an entry (below 16), plus 16 if the sign bit
is set. The step 255 does nothing.
"""

# This is Algorithm 4 of Renes, Costello and Batina, "Complete addition formulas for prime order elliptic curves"
# (2015), in homogeneous coordinates. D is the b of the curve.
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

# These routines compute the odd multiples of a point. (M, N) is twice the point. (M, N) always has the same Z as the
# latest multiple, so an addition takes only seven products (Meloni, "New point addition formulae for ECC applications",
# 2007). The order is a prime far above 2^6, so equal or opposite points are never added here.
TABLE = (
    _DOUBLE,
    ("pair", b"MX?XNY?YgZ*ZXA*ggg*ZYB*g", 0, 0),
    ("next", b"uM-XtN-Ygu*uhM*gqX*ggh-qNN*ggh+qXt.tXX%ggh-Xgg.tYg%NMh?hZZ*u", 0, 0),
    ("entry", b"AX?XBY?YCZ?ZDZ*ZED*ZAA=A", 27, 5),
    ("begin", b"AA*SBB*SXA?AYB?BZI?I", 0, 0),
)
"""`double` computes twice the point. `pair` gives the point itself the same Z. Each `next` computes the next odd
multiple. `entry` turns the accumulator into an entry, and stores it. `begin` takes a point whose coordinates are not in
Montgomery form. Only the assembler uses `entry` and `begin`."""
