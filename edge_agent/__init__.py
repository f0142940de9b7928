"""The Raspberry Pi service: it fetches sealed records from locks over BLE, keeps them on disk, and sends them by MQTT.

It is a courier. It can delay or drop messages, but it cannot read a guest's data, forge a record or open a door. What
may not live here: byte formats (they are in `protocol`), keys that open records, imports of any room but `protocol`.
"""
