#!/usr/bin/env python3
"""Makes blocks.gguf and blocks.safetensors beside it: one tensor [2, 256] in every dtype that Medley reads from GGUF, and its values
in float32 as the reference (the Python package `gguf`, NumPy) reads them back from the file.

    python3 -m venv v && v/bin/pip install gguf==0.19.0 numpy safetensors && v/bin/python tests/golden/gguf/make.py
"""
import pathlib

import gguf
import numpy as np
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
ROWS, COLUMNS = 2, 256
random = np.random.default_rng(20261122)
values = (random.standard_normal((ROWS, COLUMNS)) * 0.05).astype(np.float32)
Type = gguf.GGMLQuantizationType


def with_scale(block, at, half):
    """Random bytes are any nibbles; the half-precision scales among them must be numbers."""
    block[..., at:at + 2] = np.array(half, '<f2').reshape(-1, 1).view(np.uint8)


def k_blocks(size, scales):
    """One block of 256 values a row: the package cannot quantise these kinds, so the bytes are random."""
    block = random.integers(0, 256, (ROWS, size), dtype=np.uint8)
    for at in scales:
        with_scale(block, at, random.uniform(-0.01, 0.01, ROWS))
    return block


raw = {
    'f32': (Type.F32, values),
    'f16': (Type.F16, values.astype(np.float16)),
    'bf16': (Type.BF16, quantize(values, Type.BF16)),
    'q4_0': (Type.Q4_0, quantize(values, Type.Q4_0)),
    'q4_1': (Type.Q4_1, quantize(values, Type.Q4_1)),
    'q5_0': (Type.Q5_0, quantize(values, Type.Q5_0)),
    'q5_1': (Type.Q5_1, quantize(values, Type.Q5_1)),
    'q8_0': (Type.Q8_0, quantize(values, Type.Q8_0)),
    'q4_k': (Type.Q4_K, k_blocks(144, (0, 2))),
    'q5_k': (Type.Q5_K, k_blocks(176, (0, 2))),
    'q6_k': (Type.Q6_K, k_blocks(210, (208,))),
}
writer = gguf.GGUFWriter(HERE / 'blocks.gguf', 'llama')
writer.add_block_count(3)
writer.add_uint64('test.large', 2**63 + 5)
writer.add_int8('test.small', -7)
writer.add_float64('test.half', 0.5)
writer.add_bool('test.yes', True)
writer.add_array('test.numbers', [3, 1, 4, 1, 5])
writer.add_tokenizer_model('llama')
writer.add_token_list([b'<unk>', b'<s>', b'</s>', '▁名'.encode(), b'a', b'ab'])
writer.add_token_scores([0.0, 0.0, 0.0, -1.5, -2.0, -2.5])
writer.add_token_types([2, 3, 3, 1, 1, 1])
writer.add_token_merges(['a b', '▁ 名'])
writer.add_bos_token_id(1)
writer.add_eos_token_id(2)
writer.add_unk_token_id(0)
writer.add_add_bos_token(True)
for name, (kind, data) in raw.items():
    writer.add_tensor(name, data, raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

read = {t.name: t for t in gguf.GGUFReader(HERE / 'blocks.gguf').tensors}
save_file({name: np.ascontiguousarray(dequantize(read[name].data, read[name].tensor_type).reshape(ROWS, COLUMNS).astype(np.float32))
           for name in raw}, HERE / 'blocks.safetensors', {'made by': f'gguf {__import__("importlib.metadata").metadata.version("gguf")}'})
