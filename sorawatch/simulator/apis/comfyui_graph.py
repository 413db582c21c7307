"""Checks the graph of a prompt as ComfyUI does, for the nodes of its image-to-video templates.

Source: ``validate_prompt`` and ``validate_inputs`` in ``execution.py`` of Comfy-Org/ComfyUI, autumn 2026.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

Graph = Mapping[str, Mapping[str, object]]
_MODEL = "MODEL"
"""An input whose value is one of the files of the server."""
_PICTURE = "PICTURE"
"""An input whose value is the name of an uploaded picture."""

_NODES: Mapping[str, Mapping[str, str]] = {
    "LoadImage": {"image": _PICTURE},
    "CLIPTextEncode": {"clip": "CLIP", "text": "STRING"},
    "UNETLoader": {"unet_name": _MODEL, "weight_dtype": "STRING"},
    "CheckpointLoaderSimple": {"ckpt_name": _MODEL},
    "CLIPLoader": {"clip_name": "STRING", "type": "STRING"},
    "VAELoader": {"vae_name": "STRING"},
    "CLIPVisionLoader": {"clip_name": "STRING"},
    "CLIPVisionEncode": {"clip_vision": "CLIP_VISION", "image": "IMAGE", "crop": "STRING"},
    "ModelSamplingSD3": {"model": "MODEL_", "shift": "FLOAT"},
    "LoraLoaderModelOnly": {"model": "MODEL_", "lora_name": "STRING", "strength_model": "FLOAT"},
    "ImageScale": {
        "image": "IMAGE",
        "upscale_method": "STRING",
        "width": "INT",
        "height": "INT",
        "crop": "STRING",
    },
    "WanImageToVideo": {
        "positive": "CONDITIONING",
        "negative": "CONDITIONING",
        "vae": "VAE",
        "width": "INT",
        "height": "INT",
        "length": "INT",
        "batch_size": "INT",
    },
    "Wan22ImageToVideoLatent": {"vae": "VAE", "width": "INT", "height": "INT", "length": "INT", "batch_size": "INT"},
    "LTXVImgToVideo": {
        "positive": "CONDITIONING",
        "negative": "CONDITIONING",
        "vae": "VAE",
        "image": "IMAGE",
        "width": "INT",
        "height": "INT",
        "length": "INT",
        "batch_size": "INT",
        "strength": "FLOAT",
    },
    "KSampler": {
        "model": "MODEL_",
        "seed": "INT",
        "steps": "INT",
        "cfg": "FLOAT",
        "sampler_name": "STRING",
        "scheduler": "STRING",
        "positive": "CONDITIONING",
        "negative": "CONDITIONING",
        "latent_image": "LATENT",
        "denoise": "FLOAT",
    },
    "KSamplerAdvanced": {
        "model": "MODEL_",
        "add_noise": "STRING",
        "noise_seed": "INT",
        "steps": "INT",
        "cfg": "FLOAT",
        "sampler_name": "STRING",
        "scheduler": "STRING",
        "positive": "CONDITIONING",
        "negative": "CONDITIONING",
        "latent_image": "LATENT",
        "start_at_step": "INT",
        "end_at_step": "INT",
        "return_with_leftover_noise": "STRING",
    },
    "VAEDecode": {"samples": "LATENT", "vae": "VAE"},
    "CreateVideo": {"images": "IMAGE", "fps": "FLOAT"},
    "SaveVideo": {"video": "VIDEO", "filename_prefix": "STRING", "format": "STRING", "codec": "STRING"},
    "VHS_VideoCombine": {
        "images": "IMAGE",
        "frame_rate": "FLOAT",
        "loop_count": "INT",
        "filename_prefix": "STRING",
        "format": "STRING",
        "pingpong": "BOOLEAN",
        "save_output": "BOOLEAN",
    },
    "PreviewAny": {"source": "STRING"},
}
"""The nodes that are installed, each with its required inputs."""
_OUTPUTS = {"SaveVideo": "images", "VHS_VideoCombine": "gifs"}
"""The nodes that save a clip, each with the key of its clips in the history."""
_TYPES = {"INT": int, "FLOAT": float}


@dataclass(slots=True)
class Checked:
    """What a graph asks for; with an ``error`` it is refused as a whole."""

    error: dict[str, object] | None = None
    node_errors: dict[str, object] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    picture: str | None = None
    model: str | None = None
    size: str | None = None
    seconds: int = 5
    prefix: str = "ComfyUI"
    output_key: str = "images"


def is_graph(value: object) -> TypeGuard[Graph]:
    """Whether ``value`` maps the id of each node to an object with its inputs."""
    return isinstance(value, dict) and all(
        isinstance(node, dict) and isinstance(node.get("inputs", {}), dict) for node in value.values()
    )


def prompt_of(graph: Graph) -> str | None:
    """The text that describes the video: that of the node which an input ``positive`` leads to, else the first."""
    texts = {key: text for key, node in graph.items() if isinstance(text := _inputs(node).get("text"), str)}
    for node in graph.values():
        link = _inputs(node).get("positive")
        if isinstance(link, list) and link and link[0] in texts:
            return texts[link[0]]
    return next(iter(texts.values()), None)


def check(graph: Graph, models: Sequence[str], pictures: set[str]) -> Checked:
    """What ``graph`` asks for, on a server with these models and uploaded pictures."""
    for key, node in graph.items():
        if (error := _unknown(key, node)) is not None:
            return Checked(error)
    outputs = [key for key, node in graph.items() if node["class_type"] in _OUTPUTS]
    if not outputs:
        return Checked(_error("prompt_no_outputs", "Prompt has no outputs", ""))
    wrong = {key: errors for key in _reached(graph, outputs) if (errors := list(_wrong(graph[key], models, pictures)))}
    node_errors: dict[str, object] = {
        key: {"errors": errors, "dependent_outputs": outputs, "class_type": graph[key]["class_type"]}
        for key, errors in wrong.items()
    }
    if wrong:
        # Only the errors of the output itself are repeated in the details.
        details = "\n".join(f"{each['message']}: {each['details']}" for key in outputs for each in wrong.get(key, ()))
        message = "Prompt outputs failed validation"
        return Checked(_error("prompt_outputs_failed_validation", message, details), node_errors)
    return _asked(graph, outputs)


def descriptions(models: Sequence[str]) -> dict[str, object]:
    """What ``/object_info`` says of each node."""
    return {
        name: {
            "input": {"required": {key: [models if kind == _MODEL else kind] for key, kind in inputs.items()}},
            "name": name,
            "output_node": name in _OUTPUTS,
        }
        for name, inputs in _NODES.items()
    }


def _inputs(node: Mapping[str, object]) -> Mapping[str, object]:
    inputs = node.get("inputs", {})
    assert isinstance(inputs, dict)
    return inputs


def _error(kind: str, message: str, details: str, extra_info: object = None) -> dict[str, object]:
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info or {}}


def _unknown(key: str, node: Mapping[str, object]) -> dict[str, object] | None:
    """The error about a node without a class, or of a class that is not installed."""
    kind = node.get("class_type")
    meta = node.get("_meta")
    title = meta.get("title", kind) if isinstance(meta, dict) else kind
    info = {"node_id": key, "class_type": kind, "node_title": title}
    if "class_type" not in node:
        named = title or f"ID #{key}"
        text = f"Node '{named}' has no class_type. The workflow may be corrupted or a custom node is missing."
        return _error("missing_node_type", text, f"Node ID '#{key}'", info)
    if kind not in _NODES:
        text = f"Node '{title}' not found. The custom node may not be installed."
        return _error("missing_node_type", text, f"Node ID '#{key}'", info)
    return None


def _reached(graph: Graph, outputs: Sequence[str]) -> list[str]:
    """The outputs and all nodes that they depend on."""
    found: list[str] = []
    waiting = list(outputs)
    while waiting:
        key = waiting.pop()
        if key not in found and key in graph:
            found.append(key)
            links = [value[0] for value in _inputs(graph[key]).values() if isinstance(value, list) and value]
            waiting += [str(link) for link in links]
    return found


def _wrong(node: Mapping[str, object], models: Sequence[str], pictures: set[str]) -> Iterator[dict[str, object]]:
    inputs = _inputs(node)
    for name, kind in _NODES[str(node["class_type"])].items():
        value = inputs.get(name)
        info = {"input_name": name, "received_value": value}
        if name not in inputs:
            yield _error("required_input_missing", "Required input is missing", name, {"input_name": name})
        elif isinstance(value, list):
            if len(value) != 2:
                text = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
                yield _error("bad_linked_input", text, name, info)
        elif kind in _TYPES:
            try:
                _TYPES[kind](str(value))
            except ValueError as error:
                text = f"Failed to convert an input value to a {kind} value"
                yield _error("invalid_input_type", text, f"{name}, {value}, {error}", info)
        elif kind == _MODEL and value not in models:
            yield _error("value_not_in_list", "Value not in list", f"{name}: {value!r} not in {list(models)}", info)
        elif kind == _PICTURE and value not in pictures:
            text = f"{name} - Invalid image file: {value}"
            yield _error("custom_validation_failed", "Custom validation failed for node", text, {"input_name": name})


def _asked(graph: Graph, outputs: list[str]) -> Checked:
    """What a graph without errors asks for."""
    checked = Checked(outputs=outputs)
    frames, rate = 81, 16.0
    for node in (graph[key] for key in _reached(graph, outputs)):
        kind, inputs = str(node["class_type"]), _inputs(node)
        if kind == "LoadImage":
            checked.picture = str(inputs["image"])
        model = inputs.get("unet_name", inputs.get("ckpt_name"))
        checked.model = str(model) if isinstance(model, str) else checked.model
        width, height, length = inputs.get("width"), inputs.get("height"), inputs.get("length")
        if isinstance(length, int):
            frames = length
            if isinstance(width, int) and isinstance(height, int):
                checked.size = f"{width // 2 * 2}x{height // 2 * 2}"
        given = inputs.get("fps", inputs.get("frame_rate"))
        rate = float(given) if isinstance(given, int | float) else rate
    saving = graph[outputs[0]]
    checked.prefix = str(_inputs(saving)["filename_prefix"])
    checked.output_key = _OUTPUTS[str(saving["class_type"])]
    checked.seconds = max(1, round(frames / rate))
    return checked
