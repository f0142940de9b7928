"""Invented guests. After every scenario, the simulator searches all places where the guests' data must not be."""

import random
from dataclasses import dataclass
from typing import Any

from sim import issuer
from sim.province.quality import check_digit

MALE, FEMALE = 1, 2
"""Codes of ISO/IEC 5218 for a person's sex."""
FAMILIES = ("Lindqvist", "Bergström", "Håkansson", "Wallenius", "Åkerlund", "Sandell", "Nyqvist", "Ekström")
# Each name is long, so that the search for it finds nothing by chance.
GIVEN = {
    MALE: ("Anders", "Gustav", "Henrik", "Oskar", "Fredrik", "Mattias", "Johannes", "Torbjörn"),
    FEMALE: ("Astrid", "Ingrid", "Sigrid", "Linnéa", "Kristina", "Matilda", "Johanna", "Cecilia"),
}
RESIDENT_FAMILIES = ("林", "周", "陈", "吴", "赵", "孙", "郑", "冯")
RESIDENT_GIVEN = {
    MALE: ("志强", "建国", "伟明", "国栋", "大勇", "海涛", "振华", "文斌"),
    FEMALE: ("晓梅", "雅琴", "秀英", "丽娟", "玉兰", "淑芬", "美玲", "婷婷"),
}
_NO_REGION = "990101"  # this region does not exist, so no real number begins with it


@dataclass(frozen=True)
class Person:
    """An invented person with a document of `doc_type`. Dates are YYYY-MM-DD."""

    doc_type: str
    family_name: str
    given_name: str
    country: str
    birth_date: str
    document_number: str
    sex: int

    @property
    def name(self) -> str:
        """Full name, in the order in which it is spoken."""
        return f"{self.given_name} {self.family_name}" if self.given_name else self.family_name

    @staticmethod
    def invent(chance: random.Random, doc_type: str, child: bool = False) -> "Person":
        """Invent a person with a new document number: an adult, or a minor if `child` is true."""
        born = chance.randint(2012, 2020) if child else chance.randint(1955, 2004)
        birth_date = f"{born}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        sex = chance.choice((MALE, FEMALE))
        if doc_type == issuer.RESIDENT_ID:
            serial = f"{chance.randint(0, 99):02d}" + chance.choice("13579" if sex == MALE else "02468")
            stem = _NO_REGION + birth_date.replace("-", "") + serial
            name = chance.choice(RESIDENT_FAMILIES) + chance.choice(RESIDENT_GIVEN[sex])
            return Person(doc_type, name, "", "CN", birth_date, stem + check_digit(stem), sex)
        family, given = chance.choice(FAMILIES), chance.choice(GIVEN[sex])
        number = f"SE{chance.randint(10**7, 10**8 - 1)}"
        return Person(doc_type, family, given, "SE", birth_date, number, sex)

    def document(self) -> dict[str, dict[str, Any]]:
        """Data of the person's document, as an issuer would sign it."""
        if self.doc_type == issuer.RESIDENT_ID:
            return issuer.specimen(
                self.doc_type,
                name=self.family_name,
                birth_date=self.birth_date,
                document_number=self.document_number,
                sex=self.sex,
            )
        return issuer.specimen(
            self.doc_type,
            family_name=self.family_name,
            given_name=self.given_name,
            birth_date=self.birth_date,
            document_number=self.document_number,
            sex=self.sex,
        )

    def secrets(self) -> list[str]:
        """Data of the person that only the phone and the province may be able to read."""
        words = [self.family_name, self.given_name, self.name, self.document_number, self.birth_date]
        addresses = [
            value
            for elements in self.document().values()
            for name, value in elements.items()
            if "address" in name and isinstance(value, str)
        ]
        return [word for word in words + addresses if word]
