#!/usr/bin/env python3
"""Small ResNets with random weights and running figures, and what the reference makes of them: folders in transformers/.

    python3 make_resnets.py        needs torch, transformers 5.x; made with transformers 5.23 on a CPU

Laid out as in make_transformers.py: blocks of two and of three convolutions in the names of transformers, the first also in torchvision's.
last_hidden_state stands with its channels last.
"""
import json, shutil
import torch, transformers as T
from make_nn_ops import save
from make_transformers import FOLDER, publish, published


def randomised(model):
    """Norms scale by about one, or nothing would be left of the picture behind some layers."""
    for name, x in list(model.named_parameters()) + list(model.named_buffers()):
        if not x.dtype.is_floating_point:
            continue
        away = torch.randn(x.shape)
        x.data = away * (2 / x[0].numel()) ** .5 if x.dim() > 1 else 1 + .3 * away if 'normalization.weight' in name else .2 * away
        if 'running_var' in name:
            x.data = .5 + torch.rand(x.shape)
    return model.eval()


def folder_of(name, seed, **more):
    torch.manual_seed(seed)
    model = randomised(T.ResNetModel(T.ResNetConfig(embedding_size=6, **more)))

    def golden(model):
        pixels = torch.randn(3, 3, 32, 32).float()
        out = model(pixel_values=pixels.double())
        return {'pixel_values': pixels, 'last_hidden_state': out.last_hidden_state.permute(0, 2, 3, 1).contiguous(), 'pooler_output': out.pooler_output.flatten(1)}
    weights, folder = published(model), publish(name, model, golden)
    (folder / 'preprocessor_config.json').write_text(json.dumps({'size': {'shortest_edge': 32}, 'crop_pct': 0.875, 'resample': 3, 'image_mean': [.5] * 3, 'image_std': [.25] * 3}) + '\n')
    return weights, folder


def torchvision_name(name):
    for old, new in [('embedder.embedder.convolution', 'conv1'), ('embedder.embedder.normalization', 'bn1'), ('shortcut.convolution', 'downsample.0'), ('shortcut.normalization', 'downsample.1')]:
        name = name.replace(old, new)
    parts = name.split('.')
    if parts[0] == 'encoder':
        parts = [f'layer{int(parts[2]) + 1}', parts[4]] + parts[5:]
        if parts[2] == 'layer':
            parts[2:5] = [('conv' if parts[4] == 'convolution' else 'bn') + str(int(parts[3]) + 1)]
    return '.'.join(parts)


def main():
    folder_of('resnet_bottleneck', 21, hidden_sizes=[8, 16], depths=[2, 2], layer_type='bottleneck')
    weights, folder = folder_of('resnet', 22, hidden_sizes=[6, 8, 12, 16], depths=[2, 1, 2, 1], layer_type='basic')
    shutil.rmtree(FOLDER / 'resnet_torchvision', ignore_errors=True)
    shutil.copytree(folder, FOLDER / 'resnet_torchvision')
    (FOLDER / 'resnet_torchvision/config.json').unlink()
    named = {torchvision_name(n): x.float().contiguous() for n, x in weights.items() if x.dtype.is_floating_point}
    save(FOLDER / 'resnet_torchvision/model.safetensors', {**named, 'fc.weight': torch.randn(5, 16), 'fc.bias': torch.zeros(5)})


if __name__ == '__main__':
    main()
