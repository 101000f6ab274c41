"""Devices of torch that networks are trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from envs.errors import quoted


def require_device(name: str) -> None:
    """Raise ValueError unless torch finds the device that --device names."""
    import torch

    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,2})?", name):
        raise ValueError(f"unknown device {quoted(name)}; expected auto, cpu or cuda")
    number, found = name.partition("cuda:")[2] or 0, torch.cuda.device_count()
    if name.startswith("cuda") and int(number) >= found:
        raise ValueError(
            f"--device {name}: torch finds {found or 'no'} GPU here, numbered from 0; "
            "use cpu or auto"
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise ValueError("--device mps: torch finds no such GPU here; use cpu or auto")


def find_device(name: str) -> str:
    """Return the device itself; for auto a GPU if there is one, else cpu.

    Raises:
        ValueError: as `require_device`.
    """
    import torch

    require_device(name)
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def has_bf16(device: str) -> bool:
    """True if the hardware multiplies matrices in bfloat16; emulated, it is slower.

    Args:
        device: one that is there, not auto.
    """
    import torch

    if device.startswith("cuda"):
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return True
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


@contextmanager
def whole_float32() -> Iterator[None]:
    """Multiply in float32 as on a CPU; a GPU's LSTM would drop 13 of 23 bits (TF32) by default."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
