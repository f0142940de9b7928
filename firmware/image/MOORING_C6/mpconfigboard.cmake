# Our own image for the ESP32-C6 (docs/image.md). The build of MicroPython's esp32 port includes this file.
#
#   MOORING_FLASH   size of the flash: 4M (the default) or 8M
#   MOORING_SIGNED  ON: the boot loader accepts only signed images, and burns eFuses at its first start

include(boards/mpconfigboard_esp32c6_common.cmake)

if(NOT MOORING_FLASH)
    set(MOORING_FLASH 4M)
endif()
if(NOT MOORING_FLASH MATCHES "^[48]M$")
    message(FATAL_ERROR "MOORING_FLASH is 4M or 8M")
endif()

# ESP-IDF looks for the table from its project's folder, which is elsewhere. So the path must be written at each build.
# The port's settings choose 4 MB, and a choice must be taken back.
set(MOORING_SETTINGS "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/partitions-${MOORING_FLASH}.csv\"\n")
foreach(MOORING_SIZE 4M 8M)
    if(MOORING_SIZE STREQUAL MOORING_FLASH)
        string(APPEND MOORING_SETTINGS "CONFIG_ESPTOOLPY_FLASHSIZE_${MOORING_SIZE}B=y\n")
    else()
        string(APPEND MOORING_SETTINGS "CONFIG_ESPTOOLPY_FLASHSIZE_${MOORING_SIZE}B=n\n")
    endif()
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.flash "${MOORING_SETTINGS}")
list(APPEND SDKCONFIG_DEFAULTS
    ${MICROPY_BOARD_DIR}/sdkconfig.board
    ${CMAKE_BINARY_DIR}/sdkconfig.flash
)
if(MOORING_SIGNED)
    list(APPEND SDKCONFIG_DEFAULTS ${MICROPY_BOARD_DIR}/sdkconfig.signed)
endif()

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
