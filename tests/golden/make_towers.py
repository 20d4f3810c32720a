#!/usr/bin/env python3
"""Towers as they are saved alone by transformers 5, and a ViT of timm's for pictures of another size: folders in transformers/.

    python3 make_towers.py        needs torch, torchvision, transformers 5.x, timm; made with transformers 5.23 and timm 1.0.31 on a CPU

Laid out as in make_transformers.py. A tower alone has no projection: its vector is the pooled one, of length 1 here as everywhere.
"""
import json
import timm, torch, transformers as T
from make_nn_ops import save
from make_transformers import FOLDER, PIXELS, SMALL, clip_tokenizer, publish, randomise, tokens

unit = torch.nn.functional.normalize


def vision(name, model):
    def golden(model):
        pixels = torch.randn(2, 3, 16, 16).float()
        return {'pixel_values': pixels, 'image_embeds': unit(model(pixel_values=pixels.double()).pooler_output)}
    publish(name, randomise(model), golden)


def text():
    config = T.CLIPTextConfig(vocab_size=40, max_position_embeddings=12, bos_token_id=38, eos_token_id=39, pad_token_id=39, **SMALL)
    ids, mask = tokens(38, 4, 9, 38, 39)
    ids = torch.where(mask == 1, ids, 39)
    folder = publish('clip_text', randomise(T.CLIPTextModel(config)),
                     lambda model: {'input_ids': ids, 'attention_mask': mask, 'text_embeds': unit(model(input_ids=ids, attention_mask=mask).pooler_output)})
    clip_tokenizer(folder)


def vit_timm():
    model = randomise(timm.models.vision_transformer.VisionTransformer(img_size=24, patch_size=8, embed_dim=16, depth=2, num_heads=2, mlp_ratio=1.5, num_classes=0))
    folder = FOLDER / 'vit_timm_24'
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / 'model.safetensors', {n: x.float().contiguous() for n, x in model.state_dict().items()})
    config = {'architecture': 'vit_tiny_patch16_384', 'num_attention_heads': 2,
              'pretrained_cfg': {'input_size': [3, 24, 24], 'crop_pct': 1.0, 'crop_mode': 'center', 'interpolation': 'bicubic', 'mean': [.5] * 3, 'std': [.5] * 3}}
    (folder / 'config.json').write_text(json.dumps(config, indent=1) + '\n')
    with torch.no_grad():
        pixels = torch.randn(3, 3, 24, 24).float()
        hidden = model.double().forward_features(pixels.double())
    save(folder / 'golden.safetensors', {'pixel_values': pixels, 'last_hidden_state': hidden.float(), 'pooler_output': hidden[:, 0].float().contiguous()})


if __name__ == '__main__':
    torch.manual_seed(41)
    vision('clip_vision', T.CLIPVisionModel(T.CLIPVisionConfig(**PIXELS, **SMALL)))
    vision('siglip_vision', T.SiglipVisionModel(T.SiglipVisionConfig(**PIXELS, **SMALL)))
    text()
    vit_timm()
