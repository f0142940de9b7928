"""The routines of `formulas.COMPLETE` as functions for `field`. Only the module `complete` needs them."""


def _double(slots: "list[int]", p: int, minus: int, times: int) -> None:
    x = slots[24]
    y = slots[25]
    z = slots[26]
    d = slots[4]
    for _ in range(times):
        a = x
        b = y
        c = z
        g = a * x % p
        h = b * y % p
        q = c * z % p
        t = x + y
        u = a + b
        t = t * u % p
        u = g + h
        t = t - u
        u = y + z
        v = b + c
        u = u * v % p
        v = h + q
        u = u - v
        v = x + z
        y = a + c
        v = v * y % p
        y = g + q
        y = v - y
        z = d * q % p
        v = y - z
        z = v + v
        v = v + z
        z = h - v
        v = h + v
        y = d * y % p
        h = q + q
        q = h + q
        y = y - q - g
        h = y + y
        y = h + y
        h = g + g
        g = h + g - q
        h = u * y % p
        q = g * y % p
        y = v * z % p + q
        v = t * v % p
        x = v - h
        z = u * z % p
        h = t * g % p
        z = z + h
    slots[25] = y
    slots[26] = z
    slots[24] = x


def _add(slots: "list[int]", p: int, minus: int, times: int) -> None:
    a = slots[1]
    x = slots[24]
    b = slots[2]
    y = slots[25]
    c = slots[3]
    z = slots[26]
    d = slots[4]
    g = a * x % p
    h = b * y % p
    q = c * z % p
    t = x + y
    u = a + b
    t = t * u % p
    u = g + h
    t = t - u
    u = y + z
    v = b + c
    u = u * v % p
    v = h + q
    u = u - v
    v = x + z
    y = a + c
    v = v * y % p
    y = g + q
    y = v - y
    z = d * q % p
    v = y - z
    z = v + v
    v = v + z
    z = h - v
    v = h + v
    y = d * y % p
    h = q + q
    q = h + q
    y = y - q - g
    h = y + y
    y = h + y
    h = g + g
    g = h + g - q
    h = u * y % p
    q = g * y % p
    y = v * z % p + q
    v = t * v % p
    x = v - h
    z = u * z % p
    h = t * g % p
    z = z + h
    slots[25] = y
    slots[26] = z
    slots[24] = x


def _finish(slots: "list[int]", p: int, minus: int, times: int) -> None:
    x = slots[24]
    z = slots[26]
    y = slots[25]
    x = x * z % p
    y = y * z % p * z % p
    slots[24] = x
    slots[25] = y


COMPLETE = (
    (_double, 0, 0),
    (_add, 27, 3),
    (_finish, 0, 0),
)
