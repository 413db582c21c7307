"""Kinds of files that are not read, by their first bytes or their names: what they are called, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

_EXPORT = "Export it as JPEG or PNG."
_DEVELOP = "Export it as a JPEG from a raw converter, such as darktable, or from the program of the camera."
_STILL = "Save one of its frames as JPEG or PNG."
_PAGE = "A web page was saved in place of the picture. Open the picture itself in the browser, and save that."
_UNPACK = "Unpack it, and put the picture itself here."


@dataclass(frozen=True, slots=True)
class Kind:
    """``what`` follows "is": ``a PDF document``. ``begins`` is an expression for the first bytes of such a file."""

    what: str
    hint: str
    suffixes: tuple[str, ...] = ()
    begins: bytes | None = None


_RAW = "a raw photo"
_SVG = rb"(?>\s|<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>]*>)*+<svg"
_HTML = rb"\s*+(?>(?:<!--.*?-->\s*)?)<(?i:!doctype html|html|head|body)"
_MP4 = rb"....ftyp(?:isom|iso[2-9]|mp4|avc1|M4V|qt  |3gp|dash|MSNV|XAVC)|....(?:moov|mdat|wide)"

KINDS = (
    Kind("a JPEG XL picture", _EXPORT, (".jxl",), rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    Kind("a JPEG XR picture", _EXPORT, (".jxr", ".wdp", ".hdp"), rb"II\xbc"),
    Kind(f"{_RAW} of a Canon camera (CR2)", _DEVELOP, (".cr2",), rb"II\*\0....CR"),
    Kind(f"{_RAW} of a Canon camera (CR3)", _DEVELOP, (".cr3",), rb"....ftypcrx "),
    Kind(f"{_RAW} of a Canon camera (CRW)", _DEVELOP, (".crw",), rb"II....HEAPCCDR"),
    Kind(f"{_RAW} of a Fujifilm camera (RAF)", _DEVELOP, (".raf",), rb"FUJIFILMCCD-RAW"),
    Kind(f"{_RAW} of an Olympus camera (ORF)", _DEVELOP, (".orf",), rb"IIR[OS]\x08\0|MMOR"),
    Kind(f"{_RAW} of a Panasonic camera (RW2)", _DEVELOP, (".rw2",), rb"IIU\0"),
    Kind(f"{_RAW} of a Sigma camera (X3F)", _DEVELOP, (".x3f",), rb"FOVb"),
    Kind(f"{_RAW} of a Minolta camera (MRW)", _DEVELOP, (".mrw",), rb"\0MRM"),
    Kind(f"{_RAW} of a Nikon camera (NEF)", _DEVELOP, (".nef", ".nrw")),
    Kind(f"{_RAW} of a Sony camera (ARW)", _DEVELOP, (".arw", ".srf", ".sr2")),
    Kind(f"{_RAW} of a Pentax camera (PEF)", _DEVELOP, (".pef",)),
    Kind(f"{_RAW} of a Samsung camera (SRW)", _DEVELOP, (".srw",)),
    Kind(f"{_RAW} of a Hasselblad camera (3FR)", _DEVELOP, (".3fr", ".fff")),
    Kind(f"{_RAW} (DNG)", _DEVELOP, (".dng",)),
    Kind("a Photoshop document", _EXPORT, (".psd", ".psb"), rb"8BPS"),
    Kind("a GIMP document", _EXPORT, (".xcf",), rb"gimp xcf"),
    Kind("a Krita document", _EXPORT, (".kra",), rb"PK\x03\x04.{26}mimetypeapplication/x-krita"),
    Kind("a document with layers (OpenRaster)", _EXPORT, (".ora",), rb"PK\x03\x04.{26}mimetypeimage/openraster"),
    Kind("a vector drawing (SVG)", _EXPORT, (".svg", ".svgz"), _SVG),
    Kind("a vector drawing (WMF or EMF)", _EXPORT, (".wmf", ".emf"), rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF"),
    Kind("a PDF document", "Export the page as JPEG or PNG.", (".pdf", ".ai"), rb"%PDF-"),
    Kind("a PostScript document", _EXPORT, (".eps", ".ps"), rb"%!PS|\xc5\xd0\xd3\xc6"),
    Kind("a DjVu document", _EXPORT, (".djvu",), rb"AT&TFORM"),
    Kind("a web page (HTML)", _PAGE, (".html", ".htm", ".mhtml"), _HTML),
    Kind("a video", _STILL, (".mp4", ".m4v", ".mov", ".3gp"), _MP4),
    Kind("a video", _STILL, (".webm", ".mkv"), rb"\x1aE\xdf\xa3"),
    Kind("a video", _STILL, (".avi",), rb"RIFF....AVI "),
    Kind("a video", _STILL, (".mpg", ".mpeg", ".mts", ".m2ts", ".wmv"), rb"\0\0\x01[\xba\xb3]|0&\xb2u\x8ef\xcf\x11"),
    Kind("a picture for HDR (OpenEXR)", _EXPORT, (".exr",), rb"v/1\x01"),
    Kind("a picture for HDR (Radiance)", _EXPORT, (".hdr",), rb"#\?R"),
    Kind("a texture (DDS)", _EXPORT, (".dds",), rb"DDS "),
    Kind("a QOI picture", _EXPORT, (".qoi",), rb"qoif"),
    Kind("a picture of the PNM family", _EXPORT, (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), rb"P[1-7Ff][\s#]"),
    Kind("an animation (MNG or JNG)", _STILL, (".mng", ".jng"), rb"[\x8a\x8b][MJ]NG\r\n\x1a\n"),
    Kind("an icon of macOS", _EXPORT, (".icns",), rb"icns"),
    Kind("a cursor of Windows", _EXPORT, (".cur", ".ani"), rb"\0\0\x02\0[\1-\x20]\0"),
    Kind("a TGA picture", _EXPORT, (".tga",)),
    Kind("a PCX picture", _EXPORT, (".pcx",), rb"\n[\0-\x05]\x01[\x01\x02\x04\x08]"),
    Kind("a shortcut of Windows", "Put the picture itself here.", (".lnk",), rb"L\0\0\0\x01\x14\x02\0"),
    Kind("the metadata of macOS about a file", "Copy the picture itself.", (), rb"\0\x05\x16[\0\x07]"),
    Kind("a ZIP archive or an office document", _UNPACK, (".zip",), rb"PK\x03\x04"),
    Kind("an archive", _UNPACK, (".gz", ".7z", ".rar", ".xz", ".tar"), rb"\x1f\x8b|7z\xbc\xaf|Rar!|\xfd7zXZ"),
)  # fmt: skip
"""The first that matches counts."""

_LOOKED_AT = 2048
"""Bytes at the beginning of a file: an SVG or a web page may begin with comments."""

_RAW_MAKERS = {
    "NIKON": ".nef", "SONY": ".arw", "PENTAX": ".pef", "RICOH": ".pef", "SAMSUNG": ".srw", "HASSELBLAD": ".3fr",
}  # fmt: skip


def kind_by_bytes(data: bytes) -> Kind | None:
    """The kind of the file that begins with ``data``; None for pictures that are read, and for the unknown."""
    beginning = data[:_LOOKED_AT]
    return next((kind for kind in KINDS if kind.begins and re.match(kind.begins, beginning, re.DOTALL)), None)


def kind_by_name(name: str) -> Kind | None:
    """The kind of a file by the extension of its name."""
    folded = name.lower()
    return next((kind for kind in KINDS if kind.suffixes and folded.endswith(kind.suffixes)), None)


def raw_kind(maker: str) -> Kind:
    """The kind of a raw photo that is stored as a TIFF, by the ``maker`` of the camera."""
    suffix = next((suffix for start, suffix in _RAW_MAKERS.items() if maker.upper().startswith(start)), "")
    return kind_by_name(suffix) or Kind(_RAW, _DEVELOP)
