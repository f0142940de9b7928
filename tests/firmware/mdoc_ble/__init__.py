"""Claims about reading a document over BLE, in both modes, with faults at each part."""
