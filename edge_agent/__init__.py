"""The Raspberry Pi service: it fetches sealed records from locks over BLE, keeps them on disk, and sends them by MQTT.

It is a courier. The agent can delay or drop messages, but it cannot read a guest's data, forge a record or open a door.
This room may not contain byte formats (they are in `protocol`) or keys that open records. The only room that this room
imports is `protocol`.
"""
