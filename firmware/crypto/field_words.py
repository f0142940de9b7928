"""Macros of the field machine in assembler, for numbers of 8 and of 12 words. `tools/macros.py` expands them.

A sum, a difference and a product have their words in the registers X. In a product, q is a word: adding q p to a number
makes the lowest word of the number 0. For the four primes with a faster reduction, q is this lowest word itself.
"""
# mypy: ignore-errors
# ruff: noqa: F821

X = (s1, s2, s3, s4, s5, s7, s8, s9, s10, s11, a6, a7)
"""The words of a result, the lowest first."""
Y = (s10, s11, a4, a5, a6, a7, a0, ra)
"""If a result has 8 words: the words of an operand, or the second result of `reduced`."""


def sum_words(n):
    """X = the number at a2 + the number at a3. t6 is the carry."""
    for j in range(n):
        lw(t0, (4 * j)(a2))
        lw(t1, (4 * j)(a3))
        add(X[j], t0, t1)
        if j:
            sltu(t2, X[j], t1)
            add(X[j], X[j], t6)
            sltu(t3, X[j], t6)
            add(t6, t2, t3)
        else:
            sltu(t6, X[j], t1)


def reduced(n):
    """Store X - p to a1, or X if X is below p. t6 is the word above X."""
    for j in range(n):
        lw(t0, (32 + 4 * j)(s0))
        sltu(t2, X[j], t0)
        if j:
            sub(t4, X[j], t0)
            sltu(t3, t4, t1)
            if n == 8:
                sub(Y[j], t4, t1)
            else:
                sub(t4, t4, t1)
            add(t1, t2, t3)
        else:
            mv(t1, t2)
            if n == 8:
                sub(Y[j], X[j], t0)
            else:
                sub(t4, X[j], t0)
        if n == 12:
            sw(t4, (4 * j)(a1))
    sub(t6, t6, t1)
    for j in range(n):
        if n == 8:
            xor(t0, X[j], Y[j])
            and_(t0, t0, t6)
            xor(t0, t0, Y[j])
        else:
            lw(t4, (4 * j)(a1))
            xor(t0, X[j], t4)
            and_(t0, t0, t6)
            xor(t0, t0, t4)
        sw(t0, (4 * j)(a1))
    jal(zero, LOADED)


def store_difference(n):
    """Store the number at a2 - the number at a3 to a1. If the difference is negative, add p. The same instructions run
    if the difference is not negative."""
    for j in range(n):
        lw(t0, (4 * j)(a2))
        lw(t1, (4 * j)(a3))
        sub(X[j], t0, t1)
        if j:
            sltu(t2, t0, t1)
            sltu(t3, X[j], t6)
            sub(X[j], X[j], t6)
            add(t6, t2, t3)
        else:
            sltu(t6, t0, t1)
    sub(t6, zero, t6)
    for j in range(n):
        lw(t0, (32 + 4 * j)(s0))
        and_(t0, t0, t6)
        add(X[j], X[j], t0)
        if j:
            sltu(t2, X[j], t0)
            add(X[j], X[j], t1)
            sltu(t3, X[j], t1)
            add(t1, t2, t3)
        else:
            sltu(t1, X[j], t0)
        sw(X[j], (4 * j)(a1))
    jal(zero, LOADED)


def begin(n):
    """Begin a product: X = 0. The words of the first operand are in Y if n is 8. a3 is the next word of the second
    operand, t5 is its end. t6 is the word above X. a2, or a4 and a5, are the carries that wait for the next row."""
    sw(a1, 68(sp))
    addi(t5, a3, 4 * n)
    li(t6, 0)
    for j in range(n):
        li(X[j], 0)
    if n == 8:
        for j in range(n):
            lw(Y[j], (4 * j)(a2))
        li(a2, 0)
    else:
        li(a4, 0)
        li(a5, 0)


def add_row(n):
    """Add one row of the product to X, and shift X down by a word. The word that leaves X is then in a1, and t3 is to
    be the highest word of X."""
    lw(t0, 0(a3))
    addi(a3, a3, 4)
    for j in range(n):
        if n == 8:
            mul(t1, Y[j], t0)
            mulhu(t2, Y[j], t0)
        else:
            lw(a0, (4 * j)(a2))
            mul(t1, a0, t0)
            mulhu(t2, a0, t0)
        if j:
            add(t1, t1, X[j])
            sltu(t4, t1, X[j])
            add(t2, t2, t4)
            add(X[j - 1], t1, t3)
            sltu(t4, X[j - 1], t3)
            add(t3, t2, t4)
        else:
            add(a1, t1, X[j])
            sltu(t4, a1, t1)
            add(t3, t2, t4)


def set_highest(word):
    """Set `word`, the highest word of X, to t3 + t6 + a1. The carry becomes the new t6."""
    add(word, t3, a1)
    sltu(t1, word, a1)
    add(word, word, t6)
    sltu(t2, word, t6)
    add(t6, t1, t2)


def add_q(word, waiting):
    """Add a1 and the carry `waiting` to `word`. The carry becomes the new `waiting`."""
    add(word, word, a1)
    sltu(t1, word, a1)
    add(word, word, waiting)
    sltu(t2, word, waiting)
    add(waiting, t1, t2)


def subtract_q(word, waiting):
    """Subtract a1 from `word`, and add the carry t1. This carry may be negative. The new carry is in `waiting`."""
    sltu(t2, word, a1)
    sub(word, word, a1)
    add(t4, word, t1)
    sltu(word, t4, word)
    srai(waiting, t1, 31)
    add(waiting, waiting, word)
    sub(waiting, waiting, t2)
    mv(word, t4)


def carry_up(first, n, carry):
    """Add `carry`, which may be negative, to X, beginning with word `first`."""
    for j in range(first, n):
        srai(t2, carry, 31)
        add(carry, carry, X[j])
        sltu(t4, carry, X[j])
        mv(X[j], carry)
        add(carry, t2, t4)
    add(t6, t6, carry)


def add_high_q(carry):
    """Add a1 (2^256 - 2^224) to X: a multiple of 2^224 to words 6 and 7. `carry` goes into word 7."""
    sub(t2, zero, a1)
    sltu(t4, zero, a1)
    sub(a1, a1, t4)
    add(a1, a1, carry)
    add(X[6], X[6], t2)
    sltu(t2, X[6], t2)
    add(a1, a1, t2)
    set_highest(X[7])


def add_any_multiple(n):
    """Add q p to X and to the word a1 below X, for any p. The result is only in X, because the word below X is 0."""
    add(X[n - 1], t3, t6)
    sltu(t6, X[n - 1], t6)
    lw(t0, 8(s0))
    mul(t0, t0, a1)
    lw(t1, 32(s0))
    mulhu(t3, t1, t0)
    sltu(t4, zero, a1)
    add(t3, t3, t4)
    for j in range(1, n):
        lw(a1, (32 + 4 * j)(s0))
        mul(t1, a1, t0)
        mulhu(t2, a1, t0)
        add(t1, t1, X[j - 1])
        sltu(t4, t1, X[j - 1])
        add(t2, t2, t4)
        add(X[j - 1], t1, t3)
        sltu(t4, X[j - 1], t3)
        add(t3, t2, t4)
    add(X[n - 1], X[n - 1], t3)
    sltu(t4, X[n - 1], t3)
    add(t6, t6, t4)
