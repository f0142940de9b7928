"""Computes u1 * P + u2 * Q with a complete addition. Such an addition is right for any two points, even for equal
points, opposite points and infinity.

The additions in `formulas` that are faster can fail. They note a failure, and only then is this module loaded. Such a
failure does not happen by chance, but whoever knows a private key can choose a signature that causes it. The formula is
Algorithm 4 of Renes, Costello and Batina, "Complete addition formulas for prime order elliptic curves" (2015), in
homogeneous coordinates: (X, Y, Z) stands for (X / Z, Y / Z). The slots A, B and C have the point that is added, and the
slot D has the curve's b. The computing time depends on the scalars.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.crypto.curve import Affine, Curve
    from firmware.crypto.field import Field


def combine_completely(
    curve: "Curve", field: "Field", u1: int, point: "Affine", u2: int, other: "Affine"
) -> "tuple[int, int, int]":
    """Return `u1` * `point` + `u2` * `other` in Jacobian coordinates, for scalars in [0, n - 1]. The call overwrites
    the table of a point in `field`."""
    for index, (x, y) in enumerate((point, other)):
        for slot, number in ((1, x), (2, y), (3, 1)):
            field.put(slot, number)
        field.keep(27, index, 3)
    for slot, number in ((4, curve.b), (24, 0), (25, 1), (26, 0)):
        field.put(slot, number)
    script = bytearray()
    for place in range(8 * curve.size - 1, -1, -1):
        script.append(0)
        if u1 >> place & 1:
            script.append(0x20)
        if u2 >> place & 1:
            script.append(0x21)
    script.append(0x40)
    field.run(script, 1)
    return field.get(24), field.get(25), field.get(26)
