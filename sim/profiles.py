"""The jurisdiction profiles in the repository. Each file is checked by itself, so a bad one does not affect others."""

import json
from pathlib import Path
from typing import Any

from protocol import crypto_cpython as crypto
from protocol import profile as protocol_profile
from protocol import statement
from protocol.errors import ConfigError, MooringError
from protocol.profile import Profile

FOLDER = Path(protocol_profile.__file__).parent / "profiles"
MAX_FILE = 1024 * 1024
"""Longest file that is read, in bytes. A statement of a profile may have `statement.MAX_BYTES`."""


def read(path: Path) -> dict[str, Any]:
    """The profile in a file, as a statement's body.

    Raises ConfigError, whose message begins with the file's name: `profile.unreadable`, `profile.file` for anything but
    a JSON object, `profile.id` if the id is not the file's name in capitals, or the code of the error that
    `Profile.parse` or `statement.sign` raises.
    """
    name = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    try:
        with path.open("rb") as source:
            content = source.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise ConfigError("profile.file", f"{name}: longer than 1 MiB")
        body = json.loads(content, object_pairs_hook=_once)
    except OSError as error:
        raise ConfigError("profile.unreadable", f"{name}: {error.strerror}. Name a file that can be read") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError("profile.file", f"{name}: not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ConfigError("profile.file", f"{name}: not a JSON object")
    try:
        parsed = Profile.parse(body)
        # Making a statement of it shows whether it breaks any rule for statements, such as their length.
        statement.sign(crypto, crypto.generate("P-256")[0], protocol_profile.KIND, body)
    except MooringError as error:
        raise ConfigError(error.code, f"{name}: {error.message}") from None
    wanted = path.stem.upper()
    if parsed.id != wanted:
        raise ConfigError("profile.id", f"{name}: its id is {parsed.id!r}, not the file's name in capitals, {wanted!r}")
    return body


def load(folder: Path | None = None) -> tuple[dict[str, dict[str, Any]], list[ConfigError]]:
    """The good profiles of a folder by id, and an error for each bad file. The default folder is the repository's."""
    good: dict[str, dict[str, Any]] = {}
    bad: list[ConfigError] = []
    for path in sorted((folder or FOLDER).glob("*.json")):
        try:
            body = read(path)
        except ConfigError as error:
            bad.append(error)
            continue
        if body["id"] in good:
            bad.append(ConfigError("profile.id", f"{path}: there is another profile {body['id']!r}"))
        else:
            good[body["id"]] = body
    return good, bad


def named(profile_id: str) -> dict[str, Any]:
    """The repository's profile of that id. Raises ConfigError `profile.unknown`, or what `read` raises for its file."""
    for path in FOLDER.glob("*.json"):
        if path.stem.upper() == profile_id:
            return read(path)
    known = ", ".join(sorted(load()[0])) or "none"
    raise ConfigError("profile.unknown", f"there is no profile {profile_id!r}. Choose one of: {known}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError if it has a member twice."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} comes twice")
    return dict(pairs)
