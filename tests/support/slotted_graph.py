"""A workflow of ComfyUI with placeholders in place of what changes, as a person would write them."""

from __future__ import annotations

from typing import Any

from tests.support.simulated_apis import graph


def slotted_graph() -> dict[str, Any]:
    """The image-to-video template of Wan 2.2 with slots for the picture, the prompt, the size, the length, the seed."""
    nodes = graph("<prompt>", "<upload>")
    nodes["55"]["inputs"] |= {"width": "<width>", "height": "<height>", "length": "<frames>"}
    nodes["3"]["inputs"]["seed"] = "<seed>"
    return nodes
