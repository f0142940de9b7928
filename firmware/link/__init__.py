"""The BLE link to the edge agent: which peers the lock talks to, in which order, and for how long."""
