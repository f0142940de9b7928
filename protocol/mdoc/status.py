"""The revocation reference in an MSO: `status` (ISO/IEC 18013-5 second edition, clause 12.3.6).

The first edition reserves `status`, so unknown members in it are ignored. A known member must have the form that the
second edition gives it.
"""

from protocol.mdoc.response import invalid, member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class StatusReference:
    """The places where a revocation would be listed: entry `index` of the status list at `list_uri`, and `identifier`
    in the identifier list at `identifier_uri`. A URI is None if the MSO does not refer to such a list."""

    def __init__(self, item: "Any") -> None:
        """`item` is the decoded member `status`, or None if the MSO does not have this member. Raises FormatError
        `mdoc.form`."""
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
