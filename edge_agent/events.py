"""The log events of the edge agent: one table of names, levels and meanings. docs/edge-agent.md shows the same table.

A name is stable across releases: alarms and dashboards may depend on it. A meaning says what happened and, for a
warning or an error, what the agent does about it or what a person should do.
"""

from typing import Final, Literal

Level = Literal["debug", "info", "warning", "error"]
"""The level debug is for finding a fault, and the level info is for normal work. A warning is a problem that mends
itself. An error is a problem that a person must look at."""

EVENTS: Final[dict[str, tuple[Level, str]]] = {
    "agent.started": ("info", "The agent has opened its state directory and starts to work."),
    "agent.stopped": ("info", "The agent has stopped and closed its outbox."),
    "agent.experiment": (
        "warning",
        (
            "province_public_key is empty, so no statement is verified: anyone who reaches the broker is believed. "
            "Set the key, unless this is an experiment."
        ),
    ),
    "agent.fault": (
        "error",
        (
            "An error that nobody foresaw has ended one link, connection or message. The agent goes on. "
            "Please report type and place."
        ),
    ),
    "agent.loop": ("error", "A library has reported a problem to the event loop. Please report the reason."),
    "pass.none": (
        "warning",
        "There is no edge pass yet, so no lock is connected. Ask the province to admit the key in this line.",
    ),
    "pass.accepted": ("info", "New edge passes are in use. They list the locks that are this edge's own."),
    "pass.refused": ("error", "A message with edge passes was not accepted. Ask the province why."),
    "pass.not_stored": (
        "warning",
        "The new edge passes could not be written to disk. They work until the agent stops; check the disk.",
    ),
    "pass.unusable": ("warning", "The stored edge passes cannot be used. The province is asked for new ones."),
    "province.other_key": (
        "error",
        (
            "province_public_key has verified nothing, and statements are refused. It is probably the wrong key: set "
            "it to the key that your province publishes, and start again."
        ),
    ),
    "broker.connected": ("info", "The connection to the broker is up."),
    "broker.lost": ("warning", "The connection to the broker has ended or could not be made. It is tried again."),
    "certificate.ends": (
        "warning",
        "Our certificate for the broker ends within so many days, and the province has not renewed it. Do it by hand.",
    ),
    "certificate.requested": ("info", "The province was asked for the next certificate for the broker."),
    "certificate.received": ("info", "The next certificate is here. The agent connects with it now."),
    "certificate.renewed": (
        "info",
        "The broker has taken the next certificate, and the one before is not used any more.",
    ),
    "certificate.refused": (
        "error",
        "The answer to our request for a certificate was not accepted. Ask the province why.",
    ),
    "certificate.untaken": (
        "warning",
        (
            "The broker takes the present certificate and not the next one, which is tried again at each connection. "
            "Ask whoever runs the broker."
        ),
    ),
    "certificate.not_stored": (
        "error",
        "A key or certificate could not be written, so the present one stays in use. Do what the reason says.",
    ),
    "radio.unavailable": ("warning", "Bluetooth cannot scan. It is tried again; check that bluetoothd runs."),
    "radio.forgotten": ("info", "BlueZ has forgotten a device, because it remembered old services of it."),
    "radio.mended": ("warning", "No lock had answered and BlueZ was stuck, so the adapter was switched off and on."),
    "radio.not_mended": ("warning", "BlueZ could not be mended. It is tried again later; do what the reason says."),
    "locks.unlisted": ("info", "The number of locks in reach that no pass lists has changed. They are not connected."),
    "stranger.unproven": ("debug", "An address that claims to be an own lock did not prove it. It is tried again."),
    "lock.proven": ("info", "A lock has proven its identity at this address and is served there from now on."),
    "lock.seen": ("info", "A lock has said HELLO, and the province was not told of it yet."),
    "lock.dropped": (
        "info",
        "This address is not served any more: the lock has proven itself elsewhere, or no pass lists it.",
    ),
    "lock.regressed": (
        "error",
        (
            "The lock's next counter is already stored, so its journal went back. Records are fetched again "
            "from the last receipt. Find out what happened to the lock."
        ),
    ),
    "link.lost": ("warning", "The connection to a lock has ended or could not be made. It is tried again."),
    "record.stored": ("info", "A record is on disk."),
    "record.duplicate": ("debug", "A record came again, although it is already here or has a receipt."),
    "record.not_stored": (
        "error",
        "A record could not be stored, so the lock keeps it and sends it again. Do what the reason says.",
    ),
    "record.quarantined": (
        "error",
        "A record was set aside: the lock did not sign it, or another one has its counter. See `queue --quarantine`.",
    ),
    "record.missing": (
        "error",
        "The lock has skipped these counters twice, so it does not have these records. Report it to the province.",
    ),
    "record.refused": (
        "error",
        "The province will not commit this record, because it has another record with this counter. It was set aside.",
    ),
    "record.damaged": (
        "error",
        "This disk has changed a record. It was set aside, and the lock is asked for it again. Check the disk.",
    ),
    "record.rotten": (
        "error",
        "This disk has changed a queued record. It was dropped, and the lock is asked for it again. Check the disk.",
    ),
    "record.not_dropped": (
        "error",
        "This disk has changed a queued record, which cannot be deleted now. It is not sent. Do what the reason says.",
    ),
    "outbox.rebuilt": (
        "error",
        (
            "The outbox was damaged. Its records that are whole are in a new file, and the locks are asked for the "
            "others. The damaged file lies beside it. Check the disk."
        ),
    ),
    "refusal.disputed": (
        "error",
        "The province refuses a record that its lock did sign. The record is kept. Tell the province.",
    ),
    "batch.sent": ("info", "A batch of records was published."),
    "batch.acknowledged": ("debug", "The broker has taken a batch. Only a receipt ends custody."),
    "batch.rejected": ("warning", "The broker did not take a batch. It is sent again after the receipt timeout."),
    "batch.shrunk": (
        "warning",
        "The broker did not take a batch of this size. Smaller batches are sent. Its limit for messages may be low.",
    ),
    "record.unsendable": (
        "error",
        (
            "The broker does not take this record, even alone. It is kept and tried again later. "
            "Raise the broker's limit for messages to 128 KB."
        ),
    ),
    "batch.again": ("info", "The records of locks without receipts are sent again."),
    "receipt.late": ("warning", "Batches had no receipt in time. They are sent again, less and less often."),
    "receipt.accepted": ("info", "A receipt was verified. The records that it covers have left the outbox."),
    "downlink.unreadable": ("error", "A message from the broker could not be read. It was skipped."),
    "downlink.failed": (
        "error",
        (
            "A message from the broker could not be handled. The connection is closed, and the message comes again. "
            "Do what the reason says."
        ),
    ),
    "statement.queued": ("info", "A statement waits for its lock."),
    "statement.older": ("info", "A statement was not queued, because the queue already has one that is as new."),
    "statement.no_place": ("warning", "A statement was not queued, because there is no place for it."),
    "statement.outdated": (
        "warning",
        "A queued grant was dropped: the placement now names another platform, which did not sign it.",
    ),
    "statement.refused": ("error", "Statements were not accepted here: their form or their signature is wrong."),
    "statement.unknown_lock": (
        "warning",
        "Statements for a lock that was never seen here were dropped. The province sends them again when it comes.",
    ),
    "statement.not_queued": (
        "error",
        "A statement could not be written to disk. The province sends it again. Do what the reason says.",
    ),
    "statement.waits": ("info", "A delivery was interrupted. It continues after the lock's next HELLO."),
    "statement.resumed": ("info", "The lock already has a part of this statement. The rest is sent."),
    "statement.delivered": ("info", "The lock has accepted a statement."),
    "statement.not_accepted": ("warning", "The lock has refused a statement, with this code. It is not sent again."),
    "statement.not_settled": (
        "error",
        "The disk failed during a delivery, so a statement may be delivered twice. Do what the reason says.",
    ),
    "time.requested": ("info", "The province was asked for the time on behalf of a lock."),
    "time.stale": ("info", "An answer about the time came, but no lock waits for it any more."),
}

REPEATING: Final = frozenset(
    {
        "batch.rejected",
        "broker.lost",
        "certificate.refused",
        "certificate.untaken",
        "downlink.failed",
        "downlink.unreadable",
        "link.lost",
        "pass.refused",
        "radio.unavailable",
        "receipt.late",
        "record.not_stored",
        "statement.no_place",
        "statement.refused",
        "statement.unknown_lock",
    }
)
"""Events that come again at each attempt as long as their cause lasts. The log tells each of them once, then with a
count."""
