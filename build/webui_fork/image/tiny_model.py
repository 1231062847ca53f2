"""A language model that fits in a few kilobytes: a real architecture and tokenizer, and no weights.

vLLM fills the weights with random numbers (`--load-format dummy`), so what it says is gibberish;
tokens, streaming and usage are real. The same bytes every time.
"""

from __future__ import annotations

import json

_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ANSWER = 64  # tokens, where a request does not say how many


def _alphabet() -> list[str]:
    """Return the character for each byte, as byte-level BPE has it (Radford et al. 2019, `bytes_to_unicode`)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _tokenizer() -> dict[str, object]:
    words = [*_SPECIAL, *_alphabet()]
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": word, **special} for number, word in enumerate(_SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {word: number for number, word in enumerate(words)},
            "merges": [],
        },
    }


def files(context: int = 1024) -> dict[str, bytes]:
    """Return the files of the model by name: a Qwen2 of 2 layers, 64 wide, over single bytes.

    Args:
        context: how many tokens it takes.
    """
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": context,
        "vocab_size": len(_SPECIAL) + 256,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "pad_token": "<|endoftext|>",
        "chat_template": _CHAT,
    }
    # nothing ends an answer but its length: random tokens would now and then begin with the end
    generation: dict[str, object] = {"max_new_tokens": ANSWER}
    values = {"config.json": config, "tokenizer.json": _tokenizer(), "tokenizer_config.json": tokenizer_config}
    values["generation_config.json"] = generation
    return {name: (json.dumps(value, indent=1) + "\n").encode() for name, value in values.items()}
