"""Claims about reading a document over BLE, in both modes, through faults at each part."""
