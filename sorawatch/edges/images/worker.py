"""The program of a worker: decodes one picture after the other for the ``Pool`` that started it."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

from PIL import Image, ImageCms

from sorawatch.core.order import Fit, Focus, Model, Size
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.edges.confined.serving import serve
from sorawatch.edges.images import pipeline, source, wire
from sorawatch.edges.images.reference import ReferenceRequest
from sorawatch.errors import Deferred, Rejected

if TYPE_CHECKING:
    from sorawatch.edges.confined.messages import Reply
    from sorawatch.edges.confined.serving import Begin


def handle(request: wire.Request, picture: IO[bytes], begin: Begin) -> Reply:
    """Make the reference of an open picture."""
    try:
        data = source.read(picture, request.name)
        with begin():
            return wire.to_reply(pipeline.make(request.name, data, request.reference_request))
    except (Rejected, Deferred) as refusal:
        return wire.to_reply(refusal)


def load() -> None:
    """Make references of a small picture in every way: Pillow and OpenSSL load some parts at their first use."""
    picture = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGBA", (16, 16)).save(picture, "PNG", icc_profile=profile)
    for fit, image_format in ((Fit.CROP, Format.JPEG), (Fit.BLUR, Format.PNG), (Fit.PAD, Format.WEBP)):
        request = ReferenceRequest(
            Model("any", None, None), Size(16, 8), fit, Focus.EDGES, ReferenceOptions(image_format), Size(8, 4)
        )
        pipeline.make("", picture.getvalue(), request)


if __name__ == "__main__":
    serve(handle, load)
