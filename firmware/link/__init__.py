"""The link to the edge agent: whom the lock talks to over BLE, in which order, and for how long."""
