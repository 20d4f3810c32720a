#!/usr/bin/env python3
"""Small transformers with random weights, and what the reference makes of them: one folder each in transformers/.

    python3 make_transformers.py        needs torch, transformers 5.x, tokenizers; made with transformers 5.23 on a CPU

A folder is laid out as models are published: config.json, model.safetensors, tokenizer files; golden.safetensors beside them holds inputs and
outputs, computed in double precision and stored as float32. Norms get random weights too: with ones and zeros, a norm that is left out would
often go unnoticed.
"""
import json, pathlib, shutil, struct, tempfile
import safetensors.torch, torch
import transformers as T
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from make_nn_ops import save

torch.manual_seed(3)
FOLDER = pathlib.Path(__file__).with_name('transformers')
WORDS = 'red blue green dress shoe shirt hat sun sea sky ##s ##ing run walk the a of and 红 蓝 鞋 海 。 ! 1 2'.split()
SMALL = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)


def randomise(model):
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape) * (0.3 if parameter.dim() > 1 else 0.2) + (1 if parameter.dim() == 1 else 0) * 0.5
    return model.eval()


def published(model):
    """Names as in the files that are published, which are not always those in memory."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safetensors.safe_open(folder + '/model.safetensors', 'pt') as file:
            return {name: file.get_tensor(name) for name in file.keys()}


def publish(name, model, golden, config=None, names=lambda n: n, keep=lambda n: True):
    """The weights are float32 as they are stored; the reference then runs in double on exactly these."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    weights = {names(n): x.float().contiguous() for n, x in published(model).items() if keep(n) and x.dtype.is_floating_point}
    save(folder / 'model.safetensors', weights)
    if config is None:
        config = model.config.to_dict()
    if config:
        (folder / 'config.json').write_text(json.dumps({k: v for k, v in config.items() if v is not None}, indent=1, default=str) + '\n')
    with torch.no_grad():
        out = golden(model.double())
    save(folder / 'golden.safetensors', {n: (x.float() if x.dtype.is_floating_point else x.int()) for n, x in out.items()})
    return folder


def word_pieces(folder, special):
    (folder / 'vocab.txt').write_text('\n'.join(special + WORDS) + '\n')
    (folder / 'tokenizer_config.json').write_text(json.dumps({'do_lower_case': True}) + '\n')


def tokens(vocabulary, samples, length, begin, end):
    """Sequences of several lengths with their mask; padding is 0."""
    ids, mask = torch.zeros(samples, length, dtype=torch.long), torch.zeros(samples, length, dtype=torch.long)
    for i in range(samples):
        count = length - 2 * i
        ids[i, :count] = torch.randint(10, vocabulary, (count,))
        ids[i, 0], ids[i, count - 1], mask[i, :count] = begin, end, 1
    return ids, mask


def pooled(hidden, mask):
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=-1)


def bert():
    special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    model = randomise(T.BertModel(T.BertConfig(vocab_size=40, max_position_embeddings=24, **SMALL), add_pooling_layer=False))

    def golden(model):
        ids, mask = tokens(40, 4, 9, 2, 3)
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state * mask[..., None]
        return {'input_ids': ids, 'attention_mask': mask, 'last_hidden_state': hidden, 'sentence_embedding': pooled(hidden, mask)}
    folder = publish('bert', model, golden)
    word_pieces(folder, special)
    modules = [{'idx': i, 'name': str(i), 'path': p, 'type': 'sentence_transformers.models.' + t} for i, (p, t) in enumerate([('', 'Transformer'), ('1_Pooling', 'Pooling'), ('2_Normalize', 'Normalize')])]
    (folder / 'modules.json').write_text(json.dumps(modules, indent=1) + '\n')
    (folder / '1_Pooling').mkdir()
    (folder / '1_Pooling/config.json').write_text(json.dumps({'word_embedding_dimension': 16, 'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True}) + '\n')
    (folder / 'sentence_bert_config.json').write_text(json.dumps({'max_seq_length': 12, 'do_lower_case': True}) + '\n')
    bert_gguf(special)


def save_gguf(path, values, tensors):
    """Version 3: values are texts, whole numbers, floats and lists of texts."""
    text = lambda t: struct.pack('<Q', len(t.encode())) + t.encode()

    def value(v):
        if isinstance(v, str): return struct.pack('<I', 8) + text(v)
        if isinstance(v, list): return struct.pack('<IIQ', 9, 8, len(v)) + b''.join(map(text, v))
        return struct.pack('<If', 6, v) if isinstance(v, float) else struct.pack('<II', 4, v)
    head = b'GGUF' + struct.pack('<IQQ', 3, len(tensors), len(values)) + b''.join(text(k) + value(v) for k, v in values.items())
    data = b''
    for name, x in tensors.items():
        head += text(name) + struct.pack('<I', x.dim()) + b''.join(struct.pack('<Q', n) for n in reversed(x.shape)) + struct.pack('<IQ', 0, len(data))
        raw = x.float().contiguous().numpy().tobytes()
        data += raw + bytes(-len(raw) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + data)


GGUF_NAMES = [('embeddings.word_embeddings', 'token_embd'), ('embeddings.position_embeddings', 'position_embd'), ('embeddings.token_type_embeddings', 'token_types'),
              ('embeddings.LayerNorm', 'token_embd_norm'), ('encoder.layer', 'blk'), ('attention.self.query', 'attn_q'), ('attention.self.key', 'attn_k'),
              ('attention.self.value', 'attn_v'), ('attention.output.dense', 'attn_output'), ('attention.output.LayerNorm', 'attn_output_norm'),
              ('intermediate.dense', 'ffn_up'), ('output.dense', 'ffn_down'), ('output.LayerNorm', 'layer_output_norm')]


def bert_gguf(special):
    """The same weights as bert as llama.cpp keeps them, pooled by the first token."""
    folder = FOLDER / 'bert_gguf'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    weights, tensors = safetensors.torch.load_file(FOLDER / 'bert/model.safetensors'), {}
    for name, x in weights.items():
        for old, new in GGUF_NAMES:
            name = name.replace(old, new)
        tensors[name] = x
    values = {'general.architecture': 'bert', 'bert.block_count': 2, 'bert.embedding_length': 16, 'bert.feed_forward_length': 24, 'bert.attention.head_count': 2,
              'bert.context_length': 24, 'bert.attention.layer_norm_epsilon': 1e-12, 'bert.pooling_type': 2, 'tokenizer.ggml.model': 'bert',
              'tokenizer.ggml.tokens': special + [w[2:] if w.startswith('##') else '\u2581' + w for w in WORDS] + [f'[unused{i}]' for i in range(40 - len(special) - len(WORDS))],
              'tokenizer.ggml.unknown_token_id': 1, 'tokenizer.ggml.seperator_token_id': 3, 'tokenizer.ggml.padding_token_id': 0, 'tokenizer.ggml.cls_token_id': 2,
              'tokenizer.ggml.bos_token_id': 2, 'tokenizer.ggml.eos_token_id': 3, 'tokenizer.ggml.mask_token_id': 4}
    save_gguf(folder / 'model.gguf', values, tensors)
    golden = safetensors.torch.load_file(FOLDER / 'bert/golden.safetensors')
    first = torch.nn.functional.normalize(golden['last_hidden_state'][:, 0])
    save(folder / 'golden.safetensors', {**golden, 'sentence_embedding': first})


def xlm_roberta():
    model = randomise(T.XLMRobertaModel(T.XLMRobertaConfig(vocab_size=40, max_position_embeddings=26, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, **SMALL), add_pooling_layer=False))

    def golden(model):
        ids, mask = tokens(40, 4, 9, 0, 2)
        ids = torch.where(mask == 1, ids, 1)
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state * mask[..., None]
        return {'input_ids': ids, 'attention_mask': mask, 'last_hidden_state': hidden, 'sentence_embedding': (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)}
    folder = publish('xlm_roberta', model, golden)
    vocabulary = {w: i for i, w in enumerate(['<s>', '<pad>', '</s>', '<unk>'] + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token='<unk>'))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.post_processor = processors.TemplateProcessing(single='<s> $A </s>', pair='<s> $A </s> </s> $B </s>', special_tokens=[('<s>', 0), ('</s>', 2)])
    tokenizer.save(str(folder / 'tokenizer.json'))


PIXELS = dict(image_size=16, patch_size=8)


def vit():
    model = randomise(T.ViTModel(T.ViTConfig(**PIXELS, **SMALL), add_pooling_layer=False))

    def golden(model):
        pixels = torch.randn(3, 3, 16, 16).float()
        hidden = model(pixel_values=pixels.double()).last_hidden_state
        return {'pixel_values': pixels, 'last_hidden_state': hidden, 'pooler_output': hidden[:, 0]}
    weights, out = published(model), publish('vit', model, golden)
    (out / 'preprocessor_config.json').write_text(json.dumps({'size': {'height': 16, 'width': 16}, 'resample': 2, 'image_mean': [.5] * 3, 'image_std': [.5] * 3}) + '\n')
    # The same in timm's names, which join q, k and v.
    names = [('embeddings.cls_token', 'cls_token'), ('embeddings.patch_embeddings.projection', 'patch_embed.proj'), ('embeddings.position_embeddings', 'pos_embed'),
             ('encoder.layer', 'blocks'), ('attention.output.dense', 'attn.proj'), ('intermediate.dense', 'mlp.fc1'), ('output.dense', 'mlp.fc2'),
             ('layernorm_before', 'norm1'), ('layernorm_after', 'norm2'), ('layernorm', 'norm')]
    timm = join_qkv(weights, names, 'attention.attention.query', 'attention.attention.key', 'attention.attention.value', 'attn.qkv.')
    shutil.rmtree(FOLDER / 'vit_timm', ignore_errors=True)
    shutil.copytree(out, FOLDER / 'vit_timm')
    save(FOLDER / 'vit_timm/model.safetensors', timm)
    (FOLDER / 'vit_timm/config.json').write_text(json.dumps({'model_type': 'vit', 'num_attention_heads': 2, 'image_size': 16, 'layer_norm_eps': 1e-12}) + '\n')


def join_qkv(weights, names, q, k, v, joined):
    out = {}
    for name, value in weights.items():
        if f'.{q}.' in name:
            value = torch.cat([weights[name.replace(q, part)] for part in (q, k, v)])
            name = name.replace(q + '.', joined)
        elif f'.{k}.' in name or f'.{v}.' in name:
            continue
        for old, new in names:
            name = name.replace(old, new)
        out[name] = value.float().contiguous()
    return out


def two_towers(name, model, ids, mask, tokenizer_files):
    def golden(model):
        pixels = torch.randn(2, 3, 16, 16).float()
        image = model.get_image_features(pixel_values=pixels.double())
        text = model.get_text_features(input_ids=ids, **({} if mask is None else {'attention_mask': mask}))
        image, text = (x if torch.is_tensor(x) else x.pooler_output for x in (image, text))
        out = {'pixel_values': pixels, 'image_embeds': torch.nn.functional.normalize(image), 'input_ids': ids, 'text_embeds': torch.nn.functional.normalize(text)}
        return out if mask is None else {**out, 'attention_mask': mask}
    weights = published(model)
    folder = publish(name, model, golden)
    save(folder / 'model.safetensors', {n: x.float().contiguous() for n, x in weights.items() if x.dim() > 0})
    tokenizer_files(folder)
    return weights, folder


def clip_tokenizer(folder):
    letters = list('abcdefghijklmnopqrst')
    vocabulary = {t: i for i, t in enumerate(letters + [c + '</w>' for c in letters[:16]] + ['th', 'the</w>', '<|startoftext|>', '<|endoftext|>'])}
    (folder / 'vocab.json').write_text(json.dumps(vocabulary) + '\n')
    (folder / 'merges.txt').write_text('#version: 0.2\nt h\nth e</w>\n')


def clip():
    torch.manual_seed(11)
    text = dict(vocab_size=40, max_position_embeddings=12, bos_token_id=38, eos_token_id=39, pad_token_id=39, projection_dim=8, **SMALL)
    config = T.CLIPConfig(text_config=text, vision_config=dict(PIXELS, projection_dim=8, **SMALL), projection_dim=8)
    ids, mask = tokens(38, 4, 9, 38, 39)
    ids = torch.where(mask == 1, ids, 39)
    weights, folder = two_towers('clip', randomise(T.CLIPModel(config)), ids, mask, clip_tokenizer)
    # The same in OpenCLIP's names, with its projections turned.
    names = [('text_model.embeddings.token_embedding', 'token_embedding'), ('text_model.embeddings.position_embedding.weight', 'positional_embedding'),
             ('text_model.encoder.layers', 'transformer.resblocks'), ('text_model.final_layer_norm', 'ln_final'), ('text_projection.weight', 'text_projection'),
             ('vision_model.embeddings.class_embedding', 'visual.class_embedding'), ('vision_model.embeddings.patch_embedding', 'visual.conv1'),
             ('vision_model.embeddings.position_embedding.weight', 'visual.positional_embedding'), ('vision_model.pre_layrnorm', 'visual.ln_pre'),
             ('vision_model.encoder.layers', 'visual.transformer.resblocks'), ('vision_model.post_layernorm', 'visual.ln_post'), ('visual_projection.weight', 'visual.proj'),
             ('self_attn.out_proj', 'attn.out_proj'), ('layer_norm1', 'ln_1'), ('layer_norm2', 'ln_2'), ('mlp.fc1', 'mlp.c_fc'), ('mlp.fc2', 'mlp.c_proj')]
    torch.manual_seed(12)
    gelu = T.CLIPConfig(text_config=dict(text, hidden_act='gelu'), vision_config=dict(PIXELS, projection_dim=8, hidden_act='gelu', **SMALL), projection_dim=8)
    weights, folder = two_towers('openclip', randomise(T.CLIPModel(gelu)), ids, mask, clip_tokenizer)
    turned = {n: x.T if n in ('text_projection.weight', 'visual_projection.weight') else x for n, x in weights.items() if x.dim() > 0}
    save(folder / 'model.safetensors', join_qkv(turned, names, 'self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'attn.in_proj_'))
    (folder / 'config.json').write_text(json.dumps({'model_type': 'clip', 'vision_config': {'num_attention_heads': 2}, 'text_config': {'num_attention_heads': 2}}) + '\n')


def chinese_clip():
    torch.manual_seed(13)
    config = T.ChineseCLIPConfig(text_config=dict(vocab_size=40, max_position_embeddings=12, **SMALL), vision_config=dict(PIXELS, projection_dim=8, **SMALL), projection_dim=8)
    model = randomise(T.ChineseCLIPModel(config))
    ids, mask = tokens(40, 4, 9, 2, 3)
    two_towers('chinese_clip', model, ids, mask, lambda folder: word_pieces(folder, ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']))


def siglip():
    torch.manual_seed(14)
    config = T.SiglipConfig(text_config=dict(vocab_size=40, max_position_embeddings=8, projection_size=16, **SMALL), vision_config=dict(PIXELS, **SMALL))
    ids = torch.randint(0, 40, (3, 8))

    def tokenizer(folder):
        vocabulary = {w: i for i, w in enumerate(['<unk>', '</s>'] + WORDS)}
        made = Tokenizer(models.WordLevel(vocabulary, unk_token='<unk>'))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.post_processor = processors.TemplateProcessing(single='$A </s>', special_tokens=[('</s>', 1)])
        made.save(str(folder / 'tokenizer.json'))
    two_towers('siglip', randomise(T.SiglipModel(config)), ids, None, tokenizer)


def whisper():
    torch.manual_seed(15)
    sizes = dict(encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=24, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=24, d_model=16)
    config = T.WhisperConfig(vocab_size=40, num_mel_bins=8, max_source_positions=50, max_target_positions=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                             decoder_start_token_id=1, **sizes)
    time = torch.arange(12000) / 16000
    waveform = (0.3 * torch.sin(2 * torch.pi * (200 + 900 * time) * time) + 0.05 * torch.randn(12000)).float()
    features = T.WhisperFeatureExtractor(feature_size=8, chunk_length=1)(waveform.numpy(), sampling_rate=16000, return_tensors='pt').input_features

    def golden(model):
        hidden = model.encoder(features.double()).last_hidden_state
        return {'waveform': waveform, 'input_features': features, 'last_hidden_state': hidden}
    publish('whisper', randomise(T.WhisperModel(config)), golden, keep=lambda n: not n.startswith('decoder.'))


def layers():
    """PyTorch's blocks: nn_transformer.safetensors, for tests/unit/test_layer_transformer.c."""
    out = {}
    for name, kind, norm_first, activation, heads, wide, epsilon, causal in [
            ('encoder_post', 'Encoder', False, 'gelu', 3, 20, 1e-5, False), ('encoder_pre', 'Encoder', True, 'gelu', 2, 48, 1e-6, False),
            ('encoder_relu', 'Encoder', False, 'relu', 3, 20, 1e-5, True), ('decoder_post', 'Decoder', False, 'gelu', 3, 20, 1e-5, True),
            ('decoder_pre', 'Decoder', True, 'gelu', 3, 20, 1e-5, True)]:
        block = getattr(torch.nn, f'Transformer{kind}Layer')(12, heads, wide, 0.0, activation, epsilon, True, norm_first)
        weights = {n: x.detach().float() for n, x in randomise(block).state_dict().items()}
        block = block.double().train()
        x, memory, dy = torch.randn(2, 7, 12), torch.randn(2, 5, 12), torch.randn(2, 7, 12)
        operands = [x.double().requires_grad_()] + ([memory.double().requires_grad_()] if kind == 'Decoder' else [])
        mask = torch.full((7, 7), -torch.inf).triu(1).double() if causal else None
        y = block(*operands, **{'src_mask' if kind == 'Encoder' else 'tgt_mask': mask})
        y.backward(dy.double())
        out.update({f'{name}.{n}': w for n, w in weights.items()})
        out.update({f'{name}.d.{n}': w.grad.float() for n, w in block.named_parameters()})
        out.update({f'{name}.x': x, f'{name}.y': y.detach().float(), f'{name}.dy': dy, f'{name}.dx': operands[0].grad.float()})
        if kind == 'Decoder':
            out.update({f'{name}.memory': memory, f'{name}.dmemory': operands[1].grad.float()})
    save(FOLDER.with_name('nn_transformer.safetensors'), out)


def main():
    layers()
    bert()
    xlm_roberta()
    vit()
    clip()
    chinese_clip()
    siglip()
    whisper()


if __name__ == '__main__':
    main()
