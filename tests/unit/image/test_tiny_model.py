"""The model without weights."""

from __future__ import annotations

import json

from webui_fork.image import tiny_model


def test_it_is_the_same_every_time() -> None:
    assert tiny_model.files() == tiny_model.files()


def test_every_byte_is_a_token_and_fits_the_model() -> None:
    files = {name: json.loads(data) for name, data in tiny_model.files(context=77).items()}
    vocab = files["tokenizer.json"]["model"]["vocab"]
    assert sorted(vocab.values()) == list(range(files["config.json"]["vocab_size"]))
    assert len(vocab) == 3 + 256
    assert vocab["A"] == 3 + ord("A")
    assert vocab["Ġ"] == 3 + ord(" ")  # as GPT-2 writes a blank
    assert files["config.json"]["max_position_embeddings"] == files["tokenizer_config.json"]["model_max_length"] == 77
    assert not any("eos" in key for name in files for key in files[name])  # an answer never ends by chance
