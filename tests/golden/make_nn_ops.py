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


def listed(*indices):
    return torch.tensor(indices, dtype=torch.int32)


def case(shapes, compute, low=-2.0, high=2.0):
    """shapes: a tuple a tensor of random numbers, or a tensor of indices as it is."""
    return shapes, compute, low, high


def batch_norm(x, weight, bias, training):
    channels = x.shape[1]
    mean, variance = 0.125 * torch.arange(channels).double(), 1 + 0.25 * torch.arange(channels).double()
    return F.batch_norm(x, mean, variance, weight, bias, training, 0.1, 1e-5)


def embedding(table, ids):
    """A negative index is a row of zeros."""
    padded = torch.cat([table, torch.zeros_like(table[:1])])
    return padded[torch.where(ids < 0, table.shape[0], ids).long()]


def bag(table, ids, mode, weights=None):
    """Bags as in the row: 2, 0, 1 and 4 members. A negative index is no member."""
    keep = ids >= 0
    starts = torch.tensor([0, 2, 2, 3, 7])
    kept = torch.cat([torch.zeros(1, dtype=torch.long), keep.long().cumsum(0)])[starts]
    return F.embedding_bag(ids[keep].long(), table, kept[:-1], mode=mode, per_sample_weights=weights)


def scatter(x, ids):
    keep = ids >= 0
    return torch.zeros(5, x.shape[1]).double().index_add(0, ids[keep].long(), x[keep])


def pick(x, ids):
    return torch.where(ids < 0, 0, x.gather(-1, ids.clamp(min=0).long().unsqueeze(-1)).squeeze(-1))


WEB = torch.tensor([[0, 0.5, 0, -1], [0, 0, 0, 0], [2, 0.25, 1, 0], [0.75, 0, 0, 0]]).double()
LINKS = torch.tensor([[0, 0.5, 0, -1], [0, 0, 0, 0], [2, 0.25, 1, 0]]).double()


def propagated(x, steps):
    layers = [x]
    for _ in range(steps):
        layers.append(WEB @ layers[-1])
    return torch.stack(layers).mean(0)


def cross_entropy(x, ids, smoothing):
    return F.cross_entropy(x.reshape(-1, x.shape[-1]), ids.reshape(-1).long(), ignore_index=-1, label_smoothing=smoothing)


def infonce(a, b, both):
    scores, own = a @ b.T / 0.5, torch.arange(len(a))
    loss = F.cross_entropy(scores, own)
    return (loss + F.cross_entropy(scores.T, own)) / 2 if both else loss


def sampled_softmax(x, positive, negative, target, sampled, positive_q=None, negative_q=None, mask=None):
    own, others = (x * positive).sum(1, keepdim=True), x @ negative.T
    if positive_q is not None:
        own, others = own - positive_q.detach()[:, None], others - negative_q.detach()
    if mask is not None:
        others = others + mask.detach()
    others = torch.where(target[:, None] == sampled[None], -torch.inf, others)
    return F.cross_entropy(torch.cat([own, others], 1), torch.zeros(len(x), dtype=torch.long))


def recurrent(module, x, weights, biases, state, lengths=None, reverse=False):
    """PyTorch's own module over each row by itself, cut to its length; reversed by hand. Returns outputs and cells."""
    cell = module is torch.nn.LSTM
    net = module(x.shape[-1], weights[1].shape[1], bias=bool(biases), batch_first=True).double()
    names = ['weight_ih_l0', 'weight_hh_l0'] + (['bias_ih_l0', 'bias_hh_l0'] if biases else [])
    values = dict(zip(names, [*weights, *biases]))
    rows = []
    for b in range(len(x)):
        length = x.shape[1] if lengths is None else int(lengths[b])
        row, h = x[b:b + 1, :length], [s[b:b + 1].unsqueeze(0) for s in state]
        if reverse:
            row = row.flip(1)
        steps, cells = [], []
        for i in range(length):  # a step at a time, for the cells
            out, h = torch.func.functional_call(net, values, (row[:, i:i + 1], tuple(h) if cell else h[0]) if h else (row[:, i:i + 1],))
            h = list(h) if cell else [h]
            steps.append(out[0, 0])
            cells.append(h[1][0, 0] if cell else out[0, 0])
        both = torch.stack([torch.cat([s, c]) for s, c in zip(steps, cells)]) if steps else x.new_zeros(0, 2 * weights[1].shape[1])
        if reverse:
            both = both.flip(0)
        rows.append(torch.cat([both, both.new_zeros(x.shape[1] - length, both.shape[1])]))
    return torch.stack(rows)


def gru(x, wi, wh, *rest, biases=True, lengths=None, reverse=False):
    bias, state = (rest[:2], rest[2:3]) if biases else ((), rest[:1])
    return recurrent(torch.nn.GRU, x, (wi, wh), bias, state, rest[3] if lengths else None, reverse)[..., :wh.shape[1]]


def lstm(x, wi, wh, *rest, biases=True, lengths=None, reverse=False, cells=False):
    bias, state = (rest[:2], rest[2:4]) if biases else ((), rest[:2])
    y = recurrent(torch.nn.LSTM, x, (wi, wh), bias, state, rest[4] if lengths else None, reverse)
    return y if cells else y[..., :wh.shape[1]]


def lstm_cell(x, wi, wh, bi, bh, state):
    half = state.shape[1] // 2
    return lstm(x[:, None], wi, wh, bi, bh, state[:, :half], state[:, half:], cells=True)[:, 0]


def gates(count, inputs, hidden, *more):
    """Shapes: input weight, hidden weight, both biases."""
    return [(count * hidden, inputs), (count * hidden, hidden), (count * hidden,), (count * hidden,), *more]


def attention(q, k, v, mask=None, causal=False, scale=None):
    """Heads in dimension 2; both ends of a causal mask at the same place."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if causal:
        mask = torch.ones(q.shape[2], k.shape[2]).tril(k.shape[2] - q.shape[2]).bool()
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
    return y.transpose(1, 2)


def attention_lengths(q, k, v, lengths):
    return torch.stack([attention(q[i:i + 1], k[i:i + 1, :n], v[i:i + 1, :n])[0] if n else torch.zeros_like(q[i]) for i, n in enumerate(lengths)])


def attention_packed(q, k, v):
    starts, keys = [0, 2, 2, 5], [0, 1, 2, 7]
    return torch.cat([attention(q[None, starts[i]:starts[i + 1]], k[None, keys[i]:keys[i + 1]], v[None, keys[i]:keys[i + 1]])[0] for i in range(3)])


def rotary(x, positions, base, dims, interleaved):
    """Pairs as complex numbers, turned."""
    angle = positions[..., None].double() * base ** (-2 * torch.arange(dims // 2).double() / dims)
    turn = torch.polar(torch.ones_like(angle), angle).unsqueeze(-2)
    head, rest = x[..., :dims], x[..., dims:]
    pairs = head.unflatten(-1, (-1, 2)) if interleaved else torch.stack(head.chunk(2, -1), -1)
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn)
    return torch.cat([turned.flatten(-2) if interleaved else torch.cat(turned.unbind(-1), -1), rest], -1)


A = (3, 4, 5)
QKV = [(2, 9, 3, 8), (2, 11, 3, 8), (2, 11, 3, 8)]
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
    'quick_gelu': case([(9, 41)], lambda x: x * torch.sigmoid(1.702 * x), -10, 10),
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
    'sum': case([A], torch.sum),
    'sum/first': case([A], lambda x: x.sum(0)),
    'sum/last': case([(3, 4, 37)], lambda x: x.sum(2)),
    'mean': case([(3, 4)], torch.mean),
    'mean/middle': case([(2, 3, 4, 5)], lambda x: x.mean(1)),
    'max': case([(3, 4)], torch.max),
    'max/middle': case([A], lambda x: x.max(1).values),
    'softmax': case([(3, 4, 37)], lambda x: x.softmax(-1), -9, 9),
    'log_softmax': case([(5, 37)], lambda x: x.log_softmax(-1), -9, 9),
    'layer_norm': case([(3, 4, 37), (37,), (37,)], lambda x, w, b: F.layer_norm(x, (37,), w, b)),
    'layer_norm/weight': case([(5, 19), (19,)], lambda x, w: F.layer_norm(x, (19,), w)),
    'layer_norm/plain': case([(5, 19)], lambda x: F.layer_norm(x, (19,))),
    'rms_norm': case([(3, 4, 37), (37,)], lambda x, w: F.rms_norm(x, (37,), w, 1e-6)),
    'group_norm': case([(3, 4, 5, 3), (4,), (4,)], lambda x, w, b: F.group_norm(x, 2, w, b)),
    'batch_norm': case([(4, 3, 5, 2), (3,), (3,)], lambda x, w, b: batch_norm(x, w, b, True)),
    'batch_norm/rows': case([(9, 7), (7,), (7,)], lambda x, w, b: batch_norm(x, w, b, True)),
    'batch_norm/frozen': case([A, (4,), (4,)], lambda x, w, b: batch_norm(x, w, b, False)),
    'unit': case([(3, 4, 37)], lambda x: F.normalize(x, dim=-1)),
    'conv/1d': case([(2, 3, 17), (5, 3, 4), (5,)], F.conv1d),
    'conv/1d_same': case([(2, 3, 17), (5, 3, 4)], lambda x, w: F.conv1d(x, w, padding='same', dilation=2)),
    'conv/1d_strided': case([(2, 3, 18), (5, 3, 3), (5,)], lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1)),
    'conv': case([(2, 5, 9, 21), (6, 5, 3, 4), (6,)], F.conv2d),
    'conv/padded': case([(3, 6, 9, 20), (8, 3, 3, 2), (8,)],
                        lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)),
    'conv/same_tf': case([(2, 3, 8, 19), (4, 3, 3, 3)], lambda x, w: F.conv2d(F.pad(x, (1, 1, 0, 1)), w, stride=(2, 3))),
    'conv/one': case([(3, 7, 5, 6), (9, 7, 1, 1), (9,)], F.conv2d),
    'conv/depthwise': case([(2, 5, 9, 19), (5, 1, 3, 3), (5,)], lambda x, w, b: F.conv2d(x, w, b, padding='same', groups=5)),
    'conv/depthwise_strided': case([(2, 3, 9, 20), (6, 1, 3, 3), (6,)],
                                   lambda x, w, b: F.conv2d(F.pad(x, (0, 1, 1, 1)), w, b, stride=2, groups=3)),
    'max_pool/1d': case([(2, 3, 18)], lambda x: F.max_pool1d(x, 3, 2, 1)),
    'max_pool': case([(2, 3, 9, 20)], lambda x: F.max_pool2d(x, (2, 3), (1, 2), (1, 0))),
    'max_pool/all': case([(2, 3, 9, 20)], lambda x: x.amax((2, 3))),
    'average_pool/1d': case([(2, 3, 17)], lambda x: F.avg_pool1d(x, 2)),
    'average_pool': case([(2, 3, 9, 20)], lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 1))),
    'average_pool/same': case([(2, 3, 9, 19)], lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    'average_pool/all': case([(2, 3, 9, 20)], lambda x: x.mean((2, 3))),
    'attention': case([(2, 9, 3, 8), (2, 11, 3, 8), (2, 11, 3, 5)], attention),
    'attention/causal': case(QKV, lambda q, k, v: attention(q, k, v, causal=True)),
    'attention/groups': case([(2, 9, 4, 8), (2, 11, 2, 8), (2, 11, 2, 8)], attention),
    'attention/mask': case(QKV + [(3, 1, 11)], lambda q, k, v, mask: attention(q, k, v, mask.detach(), scale=0.25)),
    'attention/lengths': case([(3, 9, 3, 8), (3, 11, 3, 8), (3, 11, 3, 8), torch.tensor([4, 0, 11], dtype=torch.int32)], attention_lengths),
    'attention/packed': case([(5, 2, 8), (7, 2, 8), (7, 2, 8)], attention_packed),
    'attention/slices': case([(2, 9, 3, 4, 6)], lambda x: attention(*x.unbind(2), causal=True)),
    'rotary': case([(2, 9, 3, 8)], lambda x: rotary(x, torch.arange(9).expand(2, 9), 10000.0, 8, False)),
    'rotary/positions': case([(2, 9, 3, 8), index(500, 2, 9)], lambda x, at: rotary(x, at, 100.0, 4, True)),
    'dropout/none': case([(3, 4)], lambda x: F.dropout(x, 0.0)),
    'embedding': case([(7, 5), index(7, 3, 4, negative=True)], embedding),
    'embedding/blocks': case([(7, 2, 3), index(7, 9)], embedding),
    'embedding_bag': case([(7, 5), index(7, 7, negative=True)], lambda x, i: bag(x, i, 'sum')),
    'embedding_bag/mean': case([(3, 5), index(3, 7, negative=True)], lambda x, i: bag(x, i, 'mean')),
    'embedding_bag/weights': case([(7, 5), index(7, 7), (7,)], lambda x, i, w: bag(x, i, 'sum', w)),
    'scatter': case([(9, 4), index(5, 9, negative=True)], scatter),
    'pick': case([(3, 4, 5), index(5, 3, 4, negative=True)], pick),
    'sparse_matmul': case([(4, 21)], lambda x: LINKS @ x),
    'gru': case([(3, 5, 7), *gates(3, 7, 17)], gru, -1, 1),
    'gru/plain': case([(3, 5, 7), *gates(3, 7, 4)[:2]], lambda *x: gru(*x, biases=False), -1, 1),
    'gru/lengths': case([(4, 5, 7), *gates(3, 7, 17, (4, 17)), torch.tensor([2, 5, 0, 3], dtype=torch.int32)],
                        lambda *x: gru(*x, lengths=True), -1, 1),
    'gru/reverse': case([(4, 5, 7), *gates(3, 7, 17, (4, 17)), torch.tensor([2, 5, 0, 3], dtype=torch.int32)],
                        lambda *x: gru(*x, lengths=True, reverse=True), -1, 1),
    'gru/cell': case([(6, 7), *gates(3, 7, 17, (6, 17))], lambda x, *rest: gru(x[:, None], *rest)[:, 0], -1, 1),
    'lstm': case([(3, 5, 7), *gates(4, 7, 17)], lstm, -1, 1),
    'lstm/plain': case([(3, 5, 7), *gates(4, 7, 4)[:2]], lambda *x: lstm(*x, biases=False, cells=True), -1, 1),
    'lstm/lengths': case([(4, 5, 7), *gates(4, 7, 17, (4, 17), (4, 17)), torch.tensor([2, 5, 0, 3], dtype=torch.int32)],
                         lambda *x: lstm(*x, lengths=True), -1, 1),
    'lstm/reverse': case([(4, 5, 7), *gates(4, 7, 17, (4, 17), (4, 17)), torch.tensor([2, 5, 0, 3], dtype=torch.int32)],
                         lambda *x: lstm(*x, lengths=True, reverse=True, cells=True), -1, 1),
    'lstm/cell': case([(6, 7), *gates(4, 7, 17, (6, 34))], lstm_cell, -1, 1),
    'mse': case([(3, 41), (3, 41)], F.mse_loss),
    'bce': case([(3, 41), (3, 41)], lambda x, y: F.binary_cross_entropy_with_logits(x, torch.sigmoid(y.detach()))),
    'hinge': case([(3, 41), (3, 41)], lambda x, y: F.relu(1 - x * y.detach()).mean()),
    'bpr': case([(41,), (41,)], lambda p, n: -F.logsigmoid(p - n).mean()),
    'cross_entropy': case([(8, 37), index(37, 8, negative=True)], lambda x, i: cross_entropy(x, i, 0.0), -6, 6),
    'cross_entropy/smooth': case([(3, 4, 9), index(9, 3, 4)], lambda x, i: cross_entropy(x, i, 0.1)),
    'infonce': case([(9, 12), (9, 12)], lambda a, b: infonce(a, b, False)),
    'infonce/both': case([(9, 12), (9, 12)], lambda a, b: infonce(a, b, True)),
    'sampled_softmax': case([(5, 6), (5, 6), (7, 6), index(9, 5), index(9, 7)], sampled_softmax),
    'sampled_softmax/q': case([(5, 6), (5, 6), (7, 6), index(9, 5), index(9, 7), (5,), (7,)], sampled_softmax),
    'triplet': case([(3, 4, 5)] * 3, lambda a, p, n: F.triplet_margin_loss(a.reshape(-1, 5), p.reshape(-1, 5), n.reshape(-1, 5), 0.5)),
    'propagate': case([(4, 21)], lambda x: propagated(x, 3)),
    'propagate/added': case([(4, 21)], lambda x: propagated(x, 2) + x.square()),
    'sampled_softmax/mask': case([(5, 6), (5, 6), (7, 6), listed(0, 3, 1, 7, 4), listed(4, 2, 8, 0, 5, 2, 1), (5, 7)],
                                 lambda x, p, n, t, s, mask: sampled_softmax(x, p, n, t, s, mask=mask)),
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
