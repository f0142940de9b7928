"""Makes pictures of what was printed, and reads QR codes from them as a phone does."""

import io

import pypdfium2
import resvg_py
import zxingcpp
from PIL import Image, ImageEnhance, ImageFilter

_POINTS = 72


def of_svg(svg: str, dpi: float) -> Image.Image:
    """Return a picture of an SVG whose size is in millimetres. No font of this machine is used."""
    picture = resvg_py.svg_to_bytes(svg_string=svg, dpi=96, zoom=dpi / 96, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(picture))).convert("RGB")


def of_pdf(pdf: bytes, dpi: float) -> Image.Image:
    """Return a picture of the first page of a PDF."""
    with pypdfium2.PdfDocument(pdf) as document:
        picture: Image.Image = document[0].render(scale=dpi / _POINTS).to_pil()
        return picture.convert("RGB")


def photographed(picture: Image.Image, degrees: float, light: float, blur: float) -> Image.Image:
    """Return `picture` as a camera gives it: turned by `degrees`, darker, and blurred by `blur` pixels. `light` is the
    part of the brightness that remains.
    """
    wall = Image.new("RGB", (picture.width + 200, picture.height + 200), (150, 140, 130))
    wall.paste(picture, (100, 100))
    turned = wall.rotate(degrees, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=(150, 140, 130))
    dimmed = ImageEnhance.Brightness(turned).enhance(light)
    return dimmed.filter(ImageFilter.GaussianBlur(blur))


def codes(picture: Image.Image) -> list[str]:
    """Return the texts of all QR codes that an independent reader finds."""
    formats = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    return [found.text for found in zxingcpp.read_barcodes(picture, formats=formats)]
