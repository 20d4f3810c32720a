#!/usr/bin/env python3
"""Small transformers with random weights, and what the reference makes of them: one folder each in transformers/.

    python3 make_transformers.py        needs torch, transformers 5.x, tokenizers; made with transformers 5.23 on a CPU

A folder is laid out as models are published: config.json, model.safetensors, tokenizer files; golden.safetensors beside them holds inputs and
outputs, computed in double precision and stored as float32. Norms get random weights too: with ones and zeros, a norm that is left out would
often go unnoticed.
"""
import json, pathlib, shutil
import torch
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


def publish(name, model, golden, config=None, names=lambda n: n, keep=lambda n: True):
    """The weights are float32 as they are stored; the reference then runs in double on exactly these."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    weights = {names(n): x.float().contiguous() for n, x in model.state_dict().items() if keep(n) and x.dtype.is_floating_point}
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


if __name__ == '__main__':
    main()
