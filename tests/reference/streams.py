"""The program's random numbers (facepoison/random.hpp), so that the reference attacks can start where the C++ ones do.

A stream belongs to a seed, a purpose, a person and a photo. Its generator is the 64-bit Mersenne twister (mt19937_64 of
the C++ standard), seeded with the first 64 bits of the SHA-256 of these four.
"""
import hashlib
import math

WORDS, MIDDLE = 312, 156
ALL = 2**64 - 1


class Twister:
    """mt19937_64, by its definition in the C++ standard ([rand.eng.mers], [rand.predef])."""

    def __init__(self, seed):
        self.state, self.position = [seed & ALL], WORDS
        for i in range(1, WORDS):
            before = self.state[-1]
            self.state.append((6364136223846793005 * (before ^ (before >> 62)) + i) & ALL)

    def twist(self):
        upper, lower = ALL << 31 & ALL, 2**31 - 1
        for i in range(WORDS):
            mixed = (self.state[i] & upper) | (self.state[(i + 1) % WORDS] & lower)
            odd = 0xB5026F5AA96619E9 if mixed & 1 else 0
            self.state[i] = self.state[(i + MIDDLE) % WORDS] ^ (mixed >> 1) ^ odd
        self.position = 0

    def bits(self):
        if self.position == WORDS:
            self.twist()
        x = self.state[self.position]
        self.position += 1
        x ^= (x >> 29) & 0x5555555555555555
        x ^= (x << 17) & 0x71D67FFFEDA60000
        x ^= (x << 37) & 0xFFF7EEE000000000
        return x ^ (x >> 43)


class Stream:
    def __init__(self, seed, purpose, person="", photo=""):
        parts = "".join(f"|{len(part.encode())}:{part}" for part in (purpose, person, photo))
        self.twister = Twister(int(hashlib.sha256(f"{seed}{parts}".encode()).hexdigest()[:16], 16))

    def uniform(self):
        """In [0, 1)."""
        return (self.twister.bits() >> 11) * 2.0**-53

    def below(self, n):
        limit = ALL - ALL % n
        while (value := self.twister.bits()) >= limit:
            pass
        return value % n

    def normal(self):
        """Box and Muller's."""
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())

    def shuffle(self, items):
        """In place; Fisher and Yates's."""
        for i in range(len(items), 1, -1):
            j = self.below(i)
            items[i - 1], items[j] = items[j], items[i - 1]
