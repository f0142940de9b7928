"""The revocation reference in an MSO: `status` (ISO/IEC 18013-5 second edition, clause 12.3.6).

The first edition reserves the member, so members with unknown names are ignored. A member with a known name must have
its form.
"""

from protocol.mdoc.response import invalid, member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class StatusReference:
    """Where revocation is listed: `index` in the status list at `list_uri`, `identifier` in the identifier list at
    `identifier_uri`. None where the MSO has no such reference."""

    def __init__(self, item: "Any") -> None:
        """`item` is the member as decoded, None if there is none. Raises FormatError `mdoc.form`."""
        self.list_uri: "str | None" = None
        self.index = 0
        self.identifier_uri: "str | None" = None
        self.identifier = b""
        if not isinstance(item, dict):
            return
        if "status_list" in item:
            self.list_uri = member(item["status_list"], "uri", str, "status_list")
            self.index = member(item["status_list"], "idx", int, "status_list")
            if self.index < 0:
                raise invalid("status_list")
        if "identifier_list" in item:
            self.identifier_uri = member(item["identifier_list"], "uri", str, "identifier_list")
            self.identifier = member(item["identifier_list"], "id", bytes, "identifier_list")
