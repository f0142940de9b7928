"""The jurisdiction profiles in the repository. Each file is checked separately. A bad file does not affect others."""

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
"""Maximum size of a profile's file, in bytes. The statement that is made from the profile is limited to
`statement.MAX_BYTES`.
"""


def read(path: Path) -> dict[str, Any]:
    """Return the profile in the file `path`, as a statement's body.

    Raises ConfigError with a message that begins with the file's name. The error's code is `profile.unreadable` if the
    file cannot be read, `profile.file` if the content is not a JSON object, and `profile.id` if the id is not the
    file's name in capitals. Otherwise the error has the code of the error that `Profile.parse` or `statement.sign`
    raises.
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
        # Sign the profile as a statement, to find out if it breaks a rule for statements, such as the maximum length.
        statement.sign(crypto, crypto.generate("P-256")[0], protocol_profile.KIND, body)
    except MooringError as error:
        raise ConfigError(error.code, f"{name}: {error.message}") from None
    wanted = path.stem.upper()
    if parsed.id != wanted:
        raise ConfigError("profile.id", f"{name}: its id is {parsed.id!r}, not the file's name in capitals, {wanted!r}")
    return body


def load(folder: Path | None = None) -> tuple[dict[str, dict[str, Any]], list[ConfigError]]:
    """Return the good profiles of a folder by id, and an error for each bad file. By default, read the repository's."""
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
    """Return the repository's profile with the id `profile_id`.

    Raises ConfigError `profile.unknown` if there is no such profile, or the error of `read` if its file is bad.
    """
    for path in FOLDER.glob("*.json"):
        if path.stem.upper() == profile_id:
            return read(path)
    known = ", ".join(sorted(load()[0])) or "none"
    raise ConfigError("profile.unknown", f"there is no profile {profile_id!r}. Choose one of: {known}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the JSON object with these members. Raises ValueError if a name occurs twice."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} comes twice")
    return dict(pairs)
