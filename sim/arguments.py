"""Arguments that several of the simulator's commands take."""

import argparse
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from protocol.errors import ConfigError
from sim.words import LANGUAGES, of_locale


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Declare `--runtime`."""
    parser.add_argument(
        "--runtime",
        choices=("micropython", "cpython"),
        default="micropython",
        help="what the firmware runs on (default: %(default)s, as on the lock)",
    )


def add_language(parser: argparse.ArgumentParser) -> None:
    """Declare `--lang`, the language of texts for people. The default is the language of the locale."""
    parser.add_argument(
        "--lang",
        choices=LANGUAGES,
        default=of_locale(os.environ),
        help="language of the output: English or Chinese (default: that of LC_ALL, LC_MESSAGES or LANG)",
    )


def whole_number(least: int, most: int = 1 << 53) -> Callable[[str], int]:
    """Return the type of an argument that is a whole number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            bounds = f"of {least} or more" if most == 1 << 53 else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {bounds}")
        return value

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Return the type of an argument that is a number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:g} to {most:g}")
        return value

    return read


def text(given: str) -> str:
    """Type of an argument that is text. If the terminal sent bytes that are not valid text, the argument is refused."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{given!r} is not UTF-8") from None
    return given


def host(given: str) -> str:
    """Type of an argument that is the name or the address of a host."""
    try:
        if given.encode("idna"):
            return given
    except UnicodeError:
        pass
    raise argparse.ArgumentTypeError(f"{given!r} is not the name of a host")


def make_folder(path: Path, argument: str, empty: bool = False) -> None:
    """Make the folder `path`, which the argument `argument` gave. Check that files can be written there.

    Commands check this before they begin hours of work. Raises ConfigError `file.folder` if the folder cannot be used,
    and `file.used` if it must be empty (`empty`) but is not.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
        if empty and any(path.iterdir()):
            raise ConfigError("file.used", f"{argument} {path} is not empty. Name a new or an empty folder")
    except OSError as error:
        raise ConfigError(
            "file.folder", f"{argument} {path} is not a folder that can be written: {error.strerror}. Name another"
        ) from None


def writable(path: Path, argument: str) -> None:
    """Check that a file can be made at `path`. `argument` names the command line argument with this path. Raises
    ConfigError `file.folder` if no file can be made."""
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
    except OSError as error:
        raise ConfigError(
            "file.folder", f"{argument} {path} cannot be written: {error.strerror}. Name another file"
        ) from None
