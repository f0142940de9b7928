"""The Raspberry Pi service: fetches sealed records from locks over BLE, keeps them in a durable outbox, speaks MQTT.

A courier: it can delay or drop, and never read a guest's data, forge a record or open a door. What may not live here:
byte formats (they are in `protocol`), keys that open records, imports of any room but `protocol`.
"""
