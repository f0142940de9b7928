"""Reads the configuration file, and says in an error where a setting stands and what its value is."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from protocol.errors import ConfigError

LONGEST_VALUE: Final = 60
"""Maximum number of characters of a value in an error message."""
LONGEST: Final = 1_000_000
"""Maximum number of characters of a configuration file. A longer file is the wrong file, or a device without an end."""
LONGEST_TEXT: Final = 100_000
"""In a longer file, settings are not searched for their lines, because the search would take too long."""


@dataclass(frozen=True)
class File:
    """A configuration file: its path, its text, and the values that it sets, by dotted key."""

    path: Path
    text: str
    values: dict[str, Any]

    def place(self, key: str) -> str:
        """Say where `key` stands: the path, and the line if it can be found."""
        line = line_of(self.text, key)
        return str(self.path) if line is None else f"{self.path}, line {line}"


def read(path: Path) -> File | None:
    """Return the file at `path`, or None if it does not exist.

    Raises ConfigError: `config.unreadable` if it cannot be read, `config.syntax` if it is not TOML.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise ConfigError("config.syntax", f"{path} is longer than any configuration. Name the right file.")
        return File(path, text, dict(flatten(tomllib.loads(text))))
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise ConfigError("config.unreadable", f"{path} is a directory. Name the file in it.") from None
    except OSError as error:
        raise ConfigError(
            "config.unreadable", f"cannot read {path}: {error.strerror}. Check its permissions."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError("config.syntax", f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except ValueError as error:  # this comes from tomllib, or from int() for a number with thousands of digits
        raise ConfigError("config.syntax", f"{path} is not TOML: {error}. Correct this place.") from None
    except RecursionError:
        raise ConfigError("config.syntax", f"{path} is nested too deeply. Compare it with the default file.") from None


def flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of a TOML table with its dotted key. An empty table is a value too."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def line_of(text: str, key: str) -> int | None:
    """Return the line on which the TOML text `text` sets the dotted key `key`, or None if it cannot be found.

    tomllib does not tell lines. So this function parses the text up to the end of each line that has the last part of
    the key in it. The first such line after which the key is set is the line of the key.
    """
    if len(text) > LONGEST_TEXT:
        return None
    lines, word = text.split("\n"), key.rpartition(".")[2]
    for number in (number for number, line in enumerate(lines, 1) if word in line):
        # The value may go on over several lines. Until its last line, the text is not TOML.
        for end in range(number, len(lines) + 1):
            try:
                found = tomllib.loads("\n".join(lines[:end]))
            except ValueError:
                continue
            if any(name == key for name, _ in flatten(found)):
                return number
            break
    return None


def shown(value: object) -> str:
    """Return a value as a person would write it in TOML. A long value is cut, and no control character gets through."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 200:
        return "a very long number"
    if isinstance(value, list):
        text = "[" + ", ".join(shown(item) for item in value[:LONGEST_VALUE]) + "]"
    else:
        text = f'"{value}"' if isinstance(value, str) else str(value)
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"
