"""Files made to do harm, built byte by byte or bent from honest ones."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from tests.support.colour_profiles import cmyk_profile, p3_profile


def segment(marker: int, content: bytes) -> bytes:
    """One segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def scans_without_end(width: int, height: int, scans: int) -> bytes:
    """A sound progressive JPEG in which every coefficient is sent again and again: little to read, much to do.

    Known as the decompression bomb of progressive JPEG; the format sets no limit to the number of scans (ITU T.81, G).
    """
    header = segment(0xDB, b"\0" + bytes([1]) * 64)
    header += segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0]))
    for table in (0x00, 0x10):
        header += segment(0xC4, bytes([table, 1]) + bytes(15) + b"\0")
    first = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(8)
    again = segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + bytes(8)
    return b"\xff\xd8" + header + first + again * scans + b"\xff\xd9"


def grey_jpeg(width: int, height: int) -> bytes:
    """A baseline JPEG of middle grey: both tables have one code of one bit, so that each block is two zero bits."""
    header = segment(0xDB, b"\0" + bytes([1]) * 64)
    header += segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0]))
    for table in (0x00, 0x10):
        header += segment(0xC4, bytes([table, 1]) + bytes(15) + b"\0")
    blocks = -(-width // 8) * -(-height // 8)
    return b"\xff\xd8" + header + segment(0xDA, bytes([1, 1, 0, 0, 63, 0])) + bytes(-(-blocks // 4)) + b"\xff\xd9"


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, pixels: bytes = b"", depth: int = 1, kind: int = 0, *extra: bytes) -> bytes:
    """A PNG of one grey bit a pixel, unless told otherwise; ``extra`` chunks stand before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", zlib.compress(pixels, 1)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def with_png_chunks(data: bytes, *chunks: bytes) -> bytes:
    """The PNG ``data`` with ``chunks`` after its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def tiff(width: int, height: int, *entries: tuple[int, int, int, int], next_ifd: int = 0, data: bytes = b"") -> bytes:
    """A little-endian TIFF of one IFD; ``entries`` are tag, type, count and value. ``data`` follows the IFD."""
    fields = [(256, 4, 1, width), (257, 4, 1, height), *entries]
    ifd = b"".join(struct.pack("<HHII", *entry) for entry in sorted(fields))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + ifd + struct.pack("<I", next_ifd) + data


def bmp(width: int, height: int, compression: int, bits: int, data: bytes) -> bytes:
    palette = bytes(4 * (1 << bits)) if bits <= 8 else b""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, 0, 0)
    start = 14 + 40 + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def gif(width: int, height: int, data: bytes) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02" + data + b"\0;"


def webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I", len(content) + 8) + kind + content


def heif(brand: bytes, codec: bytes, width: int, height: int, references: int = 0) -> bytes:
    """A HEIF of one item and its size; with ``references``, a grid of that many tiles, all of them the grid itself."""
    item = b"grid" if references else codec
    entry = box(b"infe", struct.pack(">IHH", 2 << 24, 1, 0), item, b"\0")
    sizes = box(b"ispe", struct.pack(">III", 0, width, height))
    properties = box(b"iprp", box(b"ipco", sizes), box(b"ipma", struct.pack(">IIHBB", 0, 1, 1, 1, 1)))
    parts = [
        struct.pack(">I", 0),
        box(b"hdlr", bytes(8), b"pict", bytes(13)),
        box(b"pitm", struct.pack(">IH", 0, 1)),
        box(b"iinf", struct.pack(">IH", 0, 1), entry),
        properties,
        box(b"iloc", struct.pack(">IHHHHHII", 0, 0x4400, 1, 1, 0, 1, 8, 64)),
    ]
    if references:
        tiles = struct.pack(">HH", 1, references) + struct.pack(">H", 1) * references
        parts.append(box(b"iref", struct.pack(">I", 0), box(b"dimg", tiles)))
    return box(b"ftyp", brand, bytes(4), b"mif1", brand) + box(b"meta", *parts) + box(b"mdat", bytes(64))


def exif_block(*entries: tuple[int, int, int, int], next_ifd: int = 0) -> bytes:
    """EXIF of one IFD with these tags, types, counts and values."""
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + ifd + struct.pack("<I", next_ifd)


def with_exif(jpeg: bytes, block: bytes) -> bytes:
    return jpeg[:2] + segment(0xE1, block) + jpeg[2:]


def honest(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or Image.new("RGB", (48, 32), (90, 120, 30))).save(buffer, kind, **options)
    return buffer.getvalue()


def samples() -> dict[str, bytes]:
    """Bombs, loops, lies and halves of every format, by what is wrong with them."""
    jpeg = honest("JPEG")
    zeros = zlib.compress(bytes(80 << 20), 9)
    return {
        "jpeg: many scans": scans_without_end(4000, 4000, 40),
        "jpeg: 65500 pixels square": jpeg.replace(b"\0\x20\0\x30", b"\xff\xdc\xff\xdc"),
        "jpeg: no pixels": jpeg.replace(b"\0\x20\0\x30", b"\0\x20\0\0"),
        "jpeg: only a header": jpeg[: jpeg.index(b"\xff\xda")],
        "jpeg: without its tables": jpeg.replace(b"\xff\xc4", b"\xff\xfe"),
        "jpeg: twelve bits": jpeg.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
        "jpeg: arithmetic": jpeg.replace(b"\xff\xc0\0\x11", b"\xff\xc9\0\x11"),
        "jpeg: thousands of segments": jpeg[:2] + segment(0xE1, b"") * 20_000 + jpeg[2:],
        "exif: points at itself": with_exif(jpeg, exif_block((0x0112, 3, 1, 6), next_ifd=8)),
        "exif: an IFD in itself": with_exif(jpeg, exif_block((0x0112, 3, 1, 6), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8))),
        "exif: four billion numbers": with_exif(jpeg, exif_block((0x0112, 3, 0xFFFFFFFF, 6), (0x010E, 2, 1 << 31, 9))),
        "exif: an unknown type": with_exif(jpeg, exif_block((0x0112, 99, 1, 6))),
        "exif: orientation as text": with_exif(jpeg, exif_block((0x0112, 2, 4, 0x36363636))),
        "exif: 65535 entries announced": with_exif(jpeg, b"Exif\0\0II*\0\x08\0\0\0\xff\xff"),
        "png: a bomb below the limit": png(30_000, 4_000, (b"\0" + bytes(3750)) * 4_000),
        "png: a bomb": png(60_000, 60_000, (b"\0" + bytes(7500)) * 6_000),
        "png: two billion wide": png(0x7FFFFFFF, 1),
        "png: no width": png(0, 100),
        "png: too few pixels": png(2_000, 2_000, bytes(100)),
        "png: a text bomb": png(64, 36, bytes(9 * 36), 1, 0, png_chunk(b"zTXt", b"a\0\0" + zeros)),
        "png: a profile bomb": png(64, 36, bytes(9 * 36), 1, 0, png_chunk(b"iCCP", b"a\0\0" + zeros)),
        "png: an EXIF loop": png(
            64, 36, bytes(9 * 36), 1, 0, png_chunk(b"eXIf", exif_block((274, 3, 1, 6), next_ifd=8)[6:])
        ),
        "png: a wrong checksum": png(64, 36, bytes(9 * 36)).replace(b"IDAT", b"IDAU", 1),
        "png: a palette without colours": png(64, 36, bytes(65 * 36), 8, 3),
        "tiff: points at itself": tiff(64, 64, (262, 3, 1, 1), next_ifd=8),
        "tiff: huge": tiff(0xFFFFFFF, 0xFFFFFFF, (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 100)),
        "tiff: strips outside": tiff(64, 64, (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 1 << 30), (279, 4, 1, 4096)),
        "tiff: four billion strips": tiff(64, 64, (262, 3, 1, 1), (273, 4, 0xFFFFFFFF, 8), (279, 4, 0xFFFFFFFF, 8)),
        "tiff: one-pixel tiles": tiff(
            4000,
            4000,
            (258, 3, 1, 8),
            (259, 3, 1, 5),
            (262, 3, 1, 1),
            (322, 4, 1, 1),
            (323, 4, 1, 1),
            (324, 4, 1, 8),
            (325, 4, 1, 8),
        ),
        "tiff: nonsense for LZW": tiff(
            64,
            64,
            (258, 3, 1, 8),
            (259, 3, 1, 5),
            (262, 3, 1, 1),
            (273, 4, 1, 110),
            (278, 4, 1, 64),
            (279, 4, 1, 200),
            data=bytes(range(250)),
        ),
        "tiff: 4096 samples a pixel": tiff(64, 64, (262, 3, 1, 2), (277, 3, 1, 4096), (273, 4, 1, 8), (279, 4, 1, 64)),
        "gif: a bomb": gif(65535, 65535, b"\x02\x4c\x01"),
        "gif: no end": gif(600, 600, b"\xff" + b"\x84" * 255),
        "gif: codes beyond the table": gif(60, 60, b"\x08" + b"\xff" * 8),
        "bmp: a run-length bomb": bmp(11_000, 11_000, 1, 8, b"\xff\x00" * 200),
        "bmp: two billion high": bmp(1, 0x7FFFFFFF, 0, 24, b""),
        "bmp: upside down beyond measure": bmp(10, -0x80000000, 0, 24, b""),
        "bmp: run-length leaps": bmp(100, 100, 1, 8, b"\x00\x02\xff\xff" * 2000),
        "webp: 16383 pixels square": webp(b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + bytes(64)),
        "webp: lossless nonsense": webp(b"VP8L", b"\x2f" + struct.pack("<I", 3999 | 3999 << 14) + b"\x88" * 4096),
        "webp: lossy nonsense": webp(
            b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 4000, 4000) + b"\x5a" * 4096
        ),
        "webp: a canvas without a picture": webp(b"VP8X", b"\x12\0\0\0" + b"\xff" * 6),
        "heif: huge": heif(b"heic", b"hvc1", 0xFFFFFF, 0xFFFFFF),
        "heif: without its codec": heif(b"heic", b"hvc1", 64, 64),
        "heif: a grid of itself": heif(b"heic", b"hvc1", 640, 640, 4096),
        "avif: huge": heif(b"avif", b"av01", 0xFFFFFF, 0xFFFFFF),
        "avif: without its codec": heif(b"avif", b"av01", 64, 64),
        "boxes within boxes": b"".join(
            [box(b"ftyp", b"heic", bytes(4), b"mif1"), struct.pack(">I4s", 1 << 20, b"meta") * 9000]
        ),
    }


def seeds() -> dict[str, bytes]:
    """Small sound pictures, one or more of every format and of every way to store it."""
    rng = np.random.default_rng(7)
    noise = Image.fromarray(rng.integers(60, 200, (32, 48), np.uint8))
    colour = Image.merge("RGB", [noise, noise.rotate(180), noise])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    return {
        "jpeg": honest("JPEG", colour, exif=exif, icc_profile=p3_profile()),
        "jpeg, progressive": honest("JPEG", colour, progressive=True),
        "jpeg, cmyk": honest("JPEG", colour.convert("CMYK"), icc_profile=cmyk_profile({(0, 0, 0, 0): (96, 0, 0)})),
        "mpo": honest("MPO", colour, save_all=True, append_images=[colour]),
        "png": honest("PNG", colour, exif=exif, icc_profile=p3_profile()),
        "png, palette": honest("PNG", colour.quantize(16), transparency=3),
        "png, deep": honest("PNG", noise.convert("I;16")),
        "png, animated": honest("PNG", colour, save_all=True, append_images=[colour.rotate(90)]),
        "webp": honest("WEBP", colour, exif=exif),
        "webp, lossless": honest("WEBP", colour.convert("RGBA"), lossless=True),
        "webp, animated": honest("WEBP", colour, save_all=True, append_images=[colour.rotate(90)]),
        "tiff": honest("TIFF", colour, exif=exif),
        "tiff, lzw": honest("TIFF", colour, compression="tiff_lzw"),
        "tiff, deflate": honest("TIFF", colour.convert("CMYK"), compression="tiff_adobe_deflate"),
        "tiff, jpeg": honest("TIFF", colour, compression="jpeg"),
        "tiff, float": honest("TIFF", noise.convert("F")),
        "tiff, fax": honest("TIFF", noise.convert("1"), compression="group4"),
        "gif": honest("GIF", colour.quantize(16), save_all=True, append_images=[noise]),
        "bmp": honest("BMP", colour),
        "ico": honest("ICO", colour.convert("RGBA"), sizes=[(48, 32)]),
        "jpeg 2000": honest("JPEG2000", colour),
        "avif, alpha": honest("AVIF", colour.convert("RGBA")),
        "png, colours by numbers": with_png_chunks(
            honest("PNG", colour), png_chunk(b"cICP", b"\x09\x10\0\1"), png_chunk(b"gAMA", b"\0\0\xd9\x04")
        ),
        "avif": honest("AVIF", colour, exif=exif),
        "heic": honest("HEIF", colour, exif=exif.tobytes()),
    }


def mutants(data: bytes, random_: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(random_.choice((1, 1, 2, 8, 40))):
            # Headers decide more than pixels: half of the changes go there.
            at = random_.randrange(min(len(mutant), random_.choice((120, len(mutant)))))
            match random_.randrange(4):
                case 0:
                    mutant[at] ^= 1 << random_.randrange(8)
                case 1:
                    mutant[at] = random_.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2:
                    mutant[at : at + 4] = random_.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
                case _:
                    del mutant[at : at + random_.randrange(1, 9)]
            if not mutant:
                break
        yield bytes(mutant)
