#!/usr/bin/env python3
"""Golden values and gradients of every op, by PyTorch: writes nn_ops.safetensors beside this file.

    python3 make_nn_ops.py        needs numpy and torch; made with torch 2.x on a CPU

A case has the name of its row in tests/unit/nn_rows.c. It holds the operands `<case>.x<i>`, the result `<case>.y`, the gradient
that arrives there `<case>.dy` and what goes back `<case>.d<i>`. All is computed in double precision and stored as float32, so the
numbers are those of the definition rather than of one library's rounding.
"""
import json, pathlib, struct
import torch
import torch.nn.functional as F

torch.manual_seed(7)


def index(bound, *shape, negative=False):
    return torch.randint(-1 if negative else 0, bound, shape, dtype=torch.int32)


def case(shapes, compute, low=-2.0, high=2.0):
    """shapes: a tuple a tensor of random numbers, or a tensor of indices as it is."""
    return shapes, compute, low, high


A = (3, 4, 5)
CASES = {
    'add': case([A, A], torch.add),
    'add/bias': case([A, (5,)], torch.add),
    'add/middle': case([(2, 3, 4, 5), (3, 1, 5)], torch.add),
    'add/scalar': case([(3, 4), ()], torch.add),
    'add/both': case([(3, 1, 5), (4, 5)], torch.add),
    'sub': case([(3, 4), (3, 4)], torch.sub),
    'sub/column': case([(3, 4), (3, 1)], torch.sub),
    'mul': case([(3, 40), (3, 40)], torch.mul),
    'mul/outer': case([(3, 1), (1, 4)], torch.mul),
    'mul/five': case([(2, 3, 2, 3, 4), (3, 1, 3, 1)], torch.mul),
    'div': case([(3, 40), (3, 40)], torch.div, 0.5, 2),
    'div/row': case([A, (5,)], torch.div, 0.5, 2),
    'maximum': case([(3, 40), (3, 40)], torch.maximum),
    'minimum': case([(3, 4), (4,)], torch.minimum),
    'neg': case([(3, 4)], torch.neg),
    'exp': case([(9, 41)], torch.exp, -10, 10),
    'log': case([(9, 41)], torch.log, 1e-3, 100),
    'sqrt': case([(3, 41)], torch.sqrt, 0.1, 4),
    'square': case([(3, 4)], torch.square),
    'abs': case([(3, 41)], torch.abs),
    'sin': case([(3, 41)], torch.sin),
    'cos': case([(3, 41)], torch.cos),
    'affine': case([(3, 41)], lambda x: 1.5 * x - 0.25),
    'relu': case([(3, 41)], F.relu),
    'leaky_relu': case([(3, 41)], lambda x: F.leaky_relu(x, 0.1)),
    'elu': case([(3, 41)], lambda x: F.elu(x, 0.7)),
    'gelu': case([(9, 41)], F.gelu, -6, 6),
    'gelu_tanh': case([(9, 41)], lambda x: F.gelu(x, approximate='tanh'), -6, 6),
    'silu': case([(9, 41)], F.silu, -10, 10),
    'sigmoid': case([(9, 41)], torch.sigmoid, -10, 10),
    'tanh': case([(9, 41)], torch.tanh, -5, 5),
    'softplus': case([(9, 41)], F.softplus, -15, 15),
    'contiguous': case([A], lambda x: x.transpose(-1, -2)),
    'contiguous/permute': case([(2, 3, 4, 5)], lambda x: x.permute(2, 0, 3, 1)),
    'contiguous/reshape': case([A], lambda x: x.reshape(-1, 5).square()),
    'mul/slice': case([(2, 3, 4)], lambda x: x[:, 1:3] * x[:, 0:2]),
    'concat': case([(2, 3, 4), (2, 1, 4), (2, 5, 4)], lambda *x: torch.cat(x, 1)),
    'matmul': case([(7, 33), (33, 18)], torch.matmul),
    'matmul/transposed': case([(33, 7), (18, 33)], lambda a, b: a.T @ b.T),
    'matmul/batch': case([(2, 3, 4, 5), (2, 3, 5, 6)], torch.matmul),
    'matmul/tall': case([A, (5, 6)], torch.matmul),
    'matmul/shared': case([(4, 5), (2, 3, 5, 6)], torch.matmul),
    'matmul/heads': case([(2, 3, 4, 5), (2, 6, 4, 5)], lambda a, b: a.permute(0, 2, 1, 3) @ b.permute(0, 2, 3, 1)),
    'linear': case([(2, 9, 20), (33, 20), (33,)], F.linear),
    'linear/plain': case([(9, 20), (33, 20)], F.linear),
}


def save(path, tensors):
    """A safetensors file: names in order, data without gaps."""
    kinds, header, data = {torch.float32: 'F32', torch.int32: 'I32'}, {}, b''
    for name, value in tensors.items():
        raw = value.contiguous().numpy().tobytes()
        header[name] = {'dtype': kinds[value.dtype], 'shape': list(value.shape), 'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + data)


def main():
    out = {}
    for name, (shapes, compute, low, high) in CASES.items():
        operands = [s if torch.is_tensor(s) else (torch.rand(s) * (high - low) + low).double().requires_grad_() for s in shapes]
        y = compute(*operands)
        dy = torch.randn(y.shape, dtype=torch.float32)
        y.backward(dy.double())
        out[name + '.y'], out[name + '.dy'] = y.detach().float(), dy
        for i, x in enumerate(operands):
            out[f'{name}.x{i}'] = x.detach() if x.dtype == torch.int32 else x.detach().float()
            if x.dtype != torch.int32:
                out[f'{name}.d{i}'] = (x.grad if x.grad is not None else torch.zeros_like(x)).float()
    save(pathlib.Path(__file__).with_name('nn_ops.safetensors'), out)


if __name__ == '__main__':
    main()
