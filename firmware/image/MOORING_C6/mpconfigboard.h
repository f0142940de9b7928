// Our own image for the ESP32-C6 (docs/image.md). MicroPython's build takes its identity from the name of this folder.

#define MICROPY_HW_BOARD_NAME "Mooring lock"
#define MICROPY_HW_MCU_NAME   "ESP32-C6"

// The lock's field machine is an assembler function. The port leaves the assembler out.
#define MICROPY_EMIT_INLINE_RV32 (1)

// No source of a prompt. Both must be off, because a board has the UART's unless it says otherwise.
#define MICROPY_HW_ESP_USB_SERIAL_JTAG (0)
#define MICROPY_HW_ENABLE_UART_REPL    (0)

// No network. Without these parts the image is smaller, and no Wi-Fi takes memory or air time from Bluetooth.
#define MICROPY_PY_NETWORK_WLAN   (0)
#define MICROPY_PY_NETWORK_LAN    (0)
#define MICROPY_PY_ESPNOW         (0)
#define MICROPY_PY_MACHINE_SDCARD (0)
#define MICROPY_PY_MACHINE_I2S    (0)

// The lock needs 140 KB. A heap of this size in one piece need not grow. A heap that grows takes what Bluetooth needs.
#define MICROPY_GC_INITIAL_HEAP_SIZE (160 * 1024)
