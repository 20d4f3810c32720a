#!/usr/bin/env python3
"""Golden courses of optimisers and learning rates, by PyTorch: writes nn_training.safetensors beside this file.

    python3 make_nn_training.py

`<optimiser>.x` [steps, 37] is the parameter after each step from `x` by the gradients `g` [steps, 37]: rate 0.05, decay 0.01, momentum 0.9.
`clipped.x` is sgd with all gradients cut to length 2. `<schedule>.rate` [40] is the rate of each step, 0.1 at most.
"""
import pathlib
import torch
from make_nn_ops import save

torch.manual_seed(5)
STEPS, SIZE = 6, 37
START, GRADIENTS = torch.randn(SIZE), torch.randn(STEPS, SIZE)
MAKE = {
    'sgd': lambda x: torch.optim.SGD(x, 0.05, weight_decay=0.01),
    'momentum': lambda x: torch.optim.SGD(x, 0.05, momentum=0.9, weight_decay=0.01),
    'nesterov': lambda x: torch.optim.SGD(x, 0.05, momentum=0.9, weight_decay=0.01, nesterov=True),
    'adagrad': lambda x: torch.optim.Adagrad(x, 0.05, weight_decay=0.01),
    'adam': lambda x: torch.optim.Adam(x, 0.05, weight_decay=0.01),
    'adamw': lambda x: torch.optim.AdamW(x, 0.05, weight_decay=0.01),
}


def course(make, clip=None):
    x = START.clone().double().requires_grad_()
    optimiser, rows = make([x]), []
    for g in GRADIENTS:
        x.grad = g.clone().double()
        if clip:
            torch.nn.utils.clip_grad_norm_([x], clip)
        optimiser.step()
        rows.append(x.detach().float().clone())
    return torch.stack(rows)


def rates(make):
    x = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([x], 0.1)
    schedule, out = make(optimiser), []
    for _ in range(40):
        out.append(optimiser.param_groups[0]['lr'])
        optimiser.step()
        schedule.step()
    return torch.tensor(out, dtype=torch.float32)


def main():
    out = {'x': START, 'g': GRADIENTS}
    for name, make in MAKE.items():
        out[name + '.x'] = course(make)
    out['clipped.x'] = course(lambda x: torch.optim.SGD(x, 0.05), 2.0)
    S = torch.optim.lr_scheduler
    out['constant.rate'] = rates(lambda o: S.LambdaLR(o, lambda step: 1))
    out['step.rate'] = rates(lambda o: S.StepLR(o, 10, 0.5))
    out['cosine.rate'] = rates(lambda o: S.CosineAnnealingLR(o, 40, 0.01))
    out['warmup.rate'] = rates(lambda o: S.LambdaLR(o, lambda step: min(1, (step + 1) / 8)))
    out['one_cycle.rate'] = rates(lambda o: S.OneCycleLR(o, 0.1, 41))
    save(pathlib.Path(__file__).with_name('nn_training.safetensors'), out)


if __name__ == '__main__':
    main()
