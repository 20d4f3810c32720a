#!/usr/bin/env python3
"""Networks of published sizes with random weights, for bench_encoders: a folder each, laid out as they are published.

    python3 encoder_nets.py FOLDER      needs torch and transformers; MEDLEY_DATA: where CLIP's merges are

Speed does not ask what the weights are. How near int8 comes to float32 does: these are drawn as before training.
"""
import gzip, json, os, pathlib, sys
import torch, transformers as T

HERE = pathlib.Path(__file__).resolve().parent
TO = pathlib.Path(sys.argv[1])
NETS = {
    'vit': lambda: T.ViTModel(T.ViTConfig()),
    'resnet': lambda: T.ResNetModel(T.ResNetConfig()),
    'clip': lambda: T.CLIPModel(T.CLIPConfig()),
    'whisper': lambda: T.WhisperModel(T.WhisperConfig(d_model=512, encoder_layers=6, decoder_layers=6, encoder_attention_heads=8, decoder_attention_heads=8,
                                                      encoder_ffn_dim=2048, decoder_ffn_dim=2048)),
}


def clip_tokenizer(folder):
    """256 bytes, 256 bytes that end a word, what the merges make, two special tokens."""
    data = pathlib.Path(os.environ.get('MEDLEY_DATA', HERE.parent.parent / 'shared/data'))
    lines = gzip.open(data / 'models/tokenizers/clip_bpe_simple_vocab_16e6.txt.gz', 'rt', encoding='utf-8').read().split('\n')[1:48895]
    seen = [b for b in range(256) if chr(b).isprintable() and b not in (32, 160, 173)]
    letters = [chr(b) for b in seen] + [chr(256 + n) for n in range(256 - len(seen))]
    words = letters + [c + '</w>' for c in letters] + [line.replace(' ', '') for line in lines] + ['<|startoftext|>', '<|endoftext|>']
    (folder / 'vocab.json').write_text(json.dumps({word: n for n, word in enumerate(words)}, ensure_ascii=False))
    (folder / 'merges.txt').write_text('#version: 0.2\n' + '\n'.join(lines) + '\n')


if __name__ == '__main__':
    torch.manual_seed(1)
    for name, make in NETS.items():
        make().eval().save_pretrained(TO / name)
    clip_tokenizer(TO / 'clip')
