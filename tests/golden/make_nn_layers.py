#!/usr/bin/env python3
"""Golden values and gradients of layers, by PyTorch: writes nn_layers.safetensors beside this file.

    python3 make_nn_layers.py        needs numpy and torch; made with torch 2.x on a CPU

A case holds a layer's parameters `<case>.<name>`, its input `<case>.x`, perhaps `<case>.lengths`, the result `<case>.y`, the gradient
that arrives there `<case>.dy`, and those that go back: `<case>.dx`, `<case>.d.<name>`. Double precision, stored as float32.
"""
import pathlib
import torch
from make_nn_ops import save

torch.manual_seed(11)
LENGTHS = [5, 2, 7, 7, 1]


def recurrent(module, **options):
    net = module(6, 9, batch_first=True, **options).double()
    x = torch.randn(5, 7, 6).double().requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    y, last = net(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=7)
    last = last[0] if isinstance(last, tuple) else last   # [layers * directions, batch, hidden]
    directions = 2 if options.get('bidirectional') else 1
    last = torch.cat(list(last[-directions:]), 1)
    return net, x, y, {'lengths': torch.tensor(LENGTHS, dtype=torch.int32), 'last': last.detach().float()}


CASES = {
    'gru': lambda: recurrent(torch.nn.GRU, num_layers=2, bidirectional=True),
    'lstm': lambda: recurrent(torch.nn.LSTM, num_layers=2, bidirectional=True),
    'gru_plain': lambda: recurrent(torch.nn.GRU, num_layers=1),
}


def main():
    out = {}
    for name, make in CASES.items():
        net, x, y, more = make()
        dy = torch.randn(y.shape, dtype=torch.float32)
        y.backward(dy.double())
        out |= {f'{name}.{key}': value for key, value in more.items()}
        out |= {f'{name}.x': x.detach().float(), f'{name}.y': y.detach().float(), f'{name}.dy': dy, f'{name}.dx': x.grad.float()}
        for key, value in net.named_parameters():
            out[f'{name}.{key}'], out[f'{name}.d.{key}'] = value.detach().float(), value.grad.float()
    save(pathlib.Path(__file__).with_name('nn_layers.safetensors'), out)


if __name__ == '__main__':
    main()
