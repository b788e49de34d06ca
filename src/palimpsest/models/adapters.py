"""Names of adapters, as PEFT gives them to a network and to the files that it saves."""

import re

# PEFT's files lack the adapter's own name and the copies that it makes of modules, which its networks have.
_ADAPTER = re.compile(
    r"(?<=\.)((?:lora|ia3|hada|lokr|oft|vera)_\w+)\.(?!weight$|bias$)[^.]+(?=\.weight$|\.bias$|$)"
)
_SAVED = re.compile(r"\.modules_to_save\.[^.]+(?=\.)")


def without_adapters(name: str) -> str:
    """Return a parameter's name as PEFT's `save_pretrained` writes it.

    Args:
        name: A name of a network or of a file.

    Example:
        >>> without_adapters("base_model.model.q.lora_A.default.weight")
        'base_model.model.q.lora_A.weight'
        >>> without_adapters("base_model.model.q.lora_A.weight")
        'base_model.model.q.lora_A.weight'
        >>> without_adapters("base_model.model.head.modules_to_save.default.bias")
        'base_model.model.head.bias'
    """
    return _SAVED.sub("", _ADAPTER.sub(r"\1", name))
