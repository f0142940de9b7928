#!/bin/sh
# Builds our own image for the ESP32-C6 (docs/image.md). ESP-IDF must be active.
#
#   firmware/image/build.sh MICROPYTHON FOLDER [4M|8M] [SIGNED]
#
# MICROPYTHON is a git checkout of MicroPython with the tag in versions.env. FOLDER gets the files of the image and
# SHA256SUMS. 4M or 8M is the size of the flash. With the word SIGNED, the boot loader accepts only signed images.
# Exit codes: 0 built, 1 the build failed, 2 something is missing or of another version.
set -eu

stop() {
  echo "image.$1: $2" >&2
  exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.env"
[ $# -ge 2 ] || stop arguments "two arguments are needed. Call it as build.sh MICROPYTHON FOLDER [4M|8M] [SIGNED]"
flash=${3:-4M} signed=OFF
case $flash in 4M | 8M) ;; *) stop arguments "$flash is no size of flash. Write 4M or 8M" ;; esac
case ${4:-} in
  SIGNED) signed=ON ;;
  "") ;;
  *) stop arguments "$4 is not known here. Write SIGNED or nothing" ;;
esac
[ -e "$1/ports/esp32/Makefile" ] || stop micropython "$1 is no checkout of MicroPython. Clone it with the tag $MICROPYTHON"
micropython=$(cd "$1" && pwd)
have=$(git -C "$micropython" describe --tags --exact-match 2>/dev/null || echo unknown)
[ "$have" = "$MICROPYTHON" ] || stop micropython "$1 has $have. Check out $MICROPYTHON"
command -v idf.py >/dev/null || stop idf "ESP-IDF is not active. Run . export.sh in its folder"
# In a container, file modes may differ from those in git. Then the version ends with -dirty.
have=$(idf.py --version | sed 's/.* //; s/-dirty$//')
[ "$have" = "$ESP_IDF" ] || stop idf "the active ESP-IDF is $have. Activate $ESP_IDF"

# The date in the image is that of our commit. Without it, each build would have another date.
SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct)
export SOURCE_DATE_EPOCH PYTHONDONTWRITEBYTECODE=1

mkdir -p "$2"
folder=$(cd "$2" && pwd)
board=$(dirname "$here"/*/mpconfigboard.cmake)
port() {
  make -C "$micropython/ports/esp32" BOARD_DIR="$board" BUILD="$folder/build" \
    CMAKE_ARGS="-D MOORING_FLASH=$flash -D MOORING_SIGNED=$signed" "$@"
}
make -C "$micropython/mpy-cross" || exit 1
port submodules || exit 1
port || exit 1

cd "$folder"
cp build/bootloader/bootloader.bin build/partition_table/partition-table.bin build/micropython.bin build/sdkconfig .
made="bootloader.bin partition-table.bin micropython.bin sdkconfig"
if [ $signed = OFF ]; then
  cp build/firmware.bin .
  made="$made firmware.bin"
fi
# shellcheck disable=SC2086  # these are several names
sha256sum $made >SHA256SUMS
cat SHA256SUMS
