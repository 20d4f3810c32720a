#!/usr/bin/env python3
"""Small MobileNetV2s with random weights and running figures, and what the references make of them: folders in transformers/.

    python3 make_mobilenets.py        needs torch, torchvision, transformers 5.x, timm; made with transformers 5.23 and timm 1.0.31 on a CPU

Laid out as in make_transformers.py. Batch norm is beside the convolutions, as both publish it. transformers pads as TensorFlow does, timm
as PyTorch; the picture of timm's is no multiple of 32.
"""
import functools, json
import timm, torch, transformers as T
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from make_resnets import randomised
from make_transformers import FOLDER, publish
from make_nn_ops import save

SMALL = .1


def transformers():
    torch.manual_seed(31)
    config = T.MobileNetV2Config(depth_multiplier=SMALL, depth_divisible_by=4, min_depth=4, finegrained_output=False, image_size=64, num_labels=6)
    model = randomised(T.MobileNetV2ForImageClassification(config))

    def golden(model):
        pixels = torch.randn(3, 3, 64, 64).float()
        return {'pixel_values': pixels, 'pooler_output': model.mobilenet_v2(pixels.double()).pooler_output, 'logits': model(pixels.double()).logits}
    folder = publish('mobilenet_v2', model, golden)
    (folder / 'preprocessor_config.json').write_text(json.dumps({'do_center_crop': True, 'crop_size': {'height': 64, 'width': 64}, 'size': {'shortest_edge': 72},
                                                                 'resample': 2, 'image_mean': [.5] * 3, 'image_std': [.5] * 3}) + '\n')


def published_by_timm():
    torch.manual_seed(32)
    definition = [['ds_r1_k3_s1_c16'], ['ir_r2_k3_s2_e6_c24'], ['ir_r3_k3_s2_e6_c32'], ['ir_r4_k3_s2_e6_c64'], ['ir_r3_k3_s1_e6_c96'], ['ir_r3_k3_s2_e6_c160'],
                  ['ir_r1_k3_s1_e6_c320']]
    model = timm.models.efficientnet.EfficientNet(
        block_args=decode_arch_def(definition), num_classes=6, num_features=64, stem_size=80, act_layer=torch.nn.ReLU6,
        round_chs_fn=functools.partial(round_channels, multiplier=SMALL, divisor=4))
    model = randomised(model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data = 1 + .3 * torch.randn(module.weight.shape)
    folder = FOLDER / 'mobilenet_v2_timm'
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / 'model.safetensors', {n: x.float().contiguous() for n, x in model.state_dict().items() if x.dtype.is_floating_point})
    config = {'architecture': 'mobilenetv2_100', 'num_classes': 6, 'num_features': 64,
              'pretrained_cfg': {'input_size': [3, 40, 40], 'crop_pct': 0.875, 'crop_mode': 'center', 'interpolation': 'bicubic', 'mean': [0.485, 0.456, 0.406],
                                 'std': [0.229, 0.224, 0.225]}}
    (folder / 'config.json').write_text(json.dumps(config, indent=1) + '\n')
    with torch.no_grad():
        pixels = torch.randn(3, 3, 40, 40).float()
        model.double()
        out = {'pixel_values': pixels, 'pooler_output': model.forward_head(model.forward_features(pixels.double()), pre_logits=True), 'logits': model(pixels.double())}
    save(folder / 'golden.safetensors', {n: x.float() for n, x in out.items()})


if __name__ == '__main__':
    transformers()
    published_by_timm()
