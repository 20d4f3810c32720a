#!/usr/bin/env python3
"""medley model: what a user sees of published models, sound and broken."""
import json, os, pathlib, struct, sys

from harness import *


def safetensors(path, tensors, metadata=None, pad=True):
    """tensors: name → (dtype, shape, bytes)"""
    header, data = {}, b''
    if metadata:
        header['__metadata__'] = metadata
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack('<Q', len(text)) + text + data)
    return path


def bert(folder, width=4, weight=0.5):
    floats = lambda n: struct.pack(f'<{n}f', *[weight] * n)
    return safetensors(f'{folder}/model.safetensors', {
        'embeddings.word_embeddings.weight': ('F32', [5, width], floats(5 * width)),
        'embeddings.token_type_embeddings.weight': ('F32', [2, width], floats(2 * width)),
        'encoder.layer.0.attention.self.query.weight': ('F32', [width, width], floats(width * width))}, {'format': 'pt'}).parent


def list_names_every_architecture():
    shown = medley('model', 'list', says=['bert', 'clip', 'chinese_clip', 'siglip', 'vit', 'whisper', 'resnet', 'mobilenet_v2', 'yamnet',
                                           'llama', 'qwen2', 'xlm_roberta']).out
    rows = medley('model', 'list', '--json').json()['architectures']
    equal(len(rows), 12, 'architectures')
    check(all(row['name'] in shown and row['modality'] and row['summary'] for row in rows), str(rows))


def list_of_a_workspace():
    medley('init', 'shop')
    medley('model', 'list', 'shop', says='nothing was trained yet')
    items = ''.join(json.dumps({'id': f'i{n}', 'title': f'thing {n} of kind {n % 3}'}) + '\n' for n in range(20))
    events = 'user,item,time\n' + ''.join(f'u{u},i{(u * 7 + k) % 20},{1735689600 + 600 * k + u}\n' for u in range(10) for k in range(6))
    pathlib.Path('items.jsonl').write_text(items)
    pathlib.Path('events.csv').write_text(events)
    medley('import', 'shop', 'items', 'items.jsonl')
    medley('import', 'shop', 'events', 'events.csv')
    medley('train', 'shop')
    rows = medley('model', 'list', 'shop', '--json').json()['generations']
    equal([(row['generation'], row['serves'], row['items']) for row in rows], [(1, True, 20)], 'generations')
    check(rows[0]['recommenders'] and rows[0]['encoders'] and rows[0]['parameters'] > 0 and rows[0]['size_bytes'] > 0, str(rows))
    medley('model', 'list', 'shop', says=['generation', 'serves', rows[0]['recommenders'][0]])
    medley('model', 'list', 'nowhere', status=4, says='nowhere')


def tokens_of_a_text():
    pathlib.Path('tok').mkdir(exist_ok=True)
    pathlib.Path('tok/vocab.txt').write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\nred\ndress\n##es\n红\n')
    medley('model', 'tokens', 'tok', says=['wordpiece, 8 tokens', '[CLS], id 2'])
    medley('model', 'tokens', 'tok', '--text', 'Red dresses', says=['red', '##es', '9 to 11', 'red dresses'])
    report = medley('model', 'tokens', 'tok/vocab.txt', '--text', '红 x', '--json').json()
    equal([(row['id'], row['begin'], row['end'], row['special']) for row in report['ids']],
          [(2, 0, 0, True), (7, 0, 3, False), (1, 4, 5, False), (3, 0, 0, True)], 'ids')
    medley('model', 'tokens', status=2, says='name the tokenizer')
    medley('model', 'tokens', 'tok', '--check', status=2, says='--check goes with show')
    medley('model', 'tokens', 'nowhere/tokenizer.json', status=4, says='nowhere')
    pathlib.Path('tok/tokenizer.json').write_text('{"model": {"type": "Neural"}}')
    medley('model', 'tokens', 'tok', status=(1, 3, 5), says="'Neural' is not known")


def show_of_a_folder():
    folder = bert('minilm')
    pathlib.Path(folder, 'config.json').write_text(json.dumps({'model_type': 'bert', 'hidden_size': 4, 'num_attention_heads': 2}))
    pathlib.Path(folder, 'vocab.txt').write_text('a\nb\nc\nd\ne\n')
    done = medley('model', 'show', folder, '--tensors', '--check', says=['bert', 'WordPiece', '5 tokens', 'width 4', 'heads 2', 'F32',
                                                                         'encoder.layer.0.attention.self.query.weight', '4 × 4', 'finite'])
    check('\x1b' not in done.out, 'colours without a terminal')
    report = medley('model', 'show', folder, '--json').json()
    equal(report['architecture']['dimensions'], {'width': 4, 'layers': 1, 'heads': 2, 'vocabulary': 5}, 'dimensions')
    equal(report['parameters'], 44, 'parameters')
    check('tensors' not in report and 'bad_values' not in report, 'more than was asked for')
    bert('minilm', weight=float('nan'))
    done = medley('model', 'show', folder, '--check', '--json', status=1)
    equal(done.json()['bad_values'], 44, 'values that are no numbers')
    medley('model', 'show', folder, '--check', status=1, says='embeddings.word_embeddings.weight: 20 values are infinite or no numbers')


def an_unknown_one_is_named():
    folder = bert('other')
    pathlib.Path(folder, 'config.json').write_text('{"model_type": "deberta-v2"}')
    done = medley('model', 'show', folder, '--json').json()
    equal(done['architecture'], None, 'architecture')
    check("'deberta-v2'" in done['remarks'][0] and 'known are' in done['remarks'][0], str(done['remarks']))


def broken_ones_are_refused():
    good = bert('good')
    whole = pathlib.Path(good, 'model.safetensors').read_bytes()
    u32, u64 = (lambda v: struct.pack('<I', v)), (lambda v: struct.pack('<Q', v))
    tensor = lambda shape, begin, end: ('{"a":{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}}' % (shape, begin, end)).encode()
    with_header = lambda text, data: u64(len(text)) + text + data
    rows = [
        ('empty.safetensors', b'', 'too short'),
        ('cut.safetensors', whole[:-1], 'lies outside'),
        ('cuthead.safetensors', whole[:50], 'cut off'),
        ('oversized.safetensors', u64(2**40) + b'{}', 'claims'),
        ('lying.safetensors', with_header(tensor('[3]', 0, 8), b'\0' * 8), 'need 12'),
        ('hole.safetensors', with_header(tensor('[1]', 4, 8), b'\0' * 8), 'gap'),
        ('rest.safetensors', with_header(tensor('[1]', 0, 4), b'\0' * 8), 'belong to no tensor'),
        ('junk.gguf', b'GGUF' + u32(3) + u64(2**60) + u64(2**60), 'claimed'),
        ('old.gguf', b'GGUF' + u32(1) + u64(0) + u64(0), 'version 1'),
        ('text.txt', b'hello, this is no model at all', 'text.txt'),
    ]
    for name, data, sentence in rows:
        pathlib.Path(name).write_bytes(data)
        done = medley('model', 'show', name, status=1, says=[name, sentence])
        equal(done.out, '', f'{name}: something on standard output')
        check(done.err.count('\n') == 1, f'not one sentence: {done}')
    medley('model', 'show', 'missing.safetensors', status=4, says='missing.safetensors')
    os.mkdir('nothing')
    medley('model', 'show', 'nothing', status=4, says='holds no model')
    pathlib.Path(good, 'config.json').write_text('{"model_type": "bert", "hidden_size": 768}')
    medley('model', 'show', good, status=1, says=["'width' is 768", 'and 4 by tensor'])
    pathlib.Path(good, 'config.json').write_text('{')
    medley('model', 'show', good, status=1, says='config.json')
    medley('model', 'show', status=2, says='medley model show FILE')
    medley('model', 'list', '--check', status=2, says='--check goes with show')


def check_refuses():
    medley('model', 'check', status=2, says='medley model check ENCODER FILE --golden FILE')
    medley('model', 'check', 'external', 'x.json', status=2, says='--golden FILE')
    medley('model', 'show', 'a', 'b', status=2, says="'b' is one too many")
    medley('model', 'show', 'a', '--golden', 'b', status=2, says='--golden goes with check')
    golden = safetensors('golden.safetensors', {'output': ('F32', [2], struct.pack('<2f', 1, 2))})
    medley('model', 'check', 'external', 'missing.json', '--golden', golden, status=4, says="no file or folder 'missing.json'")
    medley('model', 'check', 'external', golden, '--golden', 'missing.safetensors', status=4, says='missing.safetensors')
    medley('model', 'check', 'external', golden, '--golden', golden, status=1, says="nothing can be compared for the encoder 'external'")
    medley('model', 'check', 'none-such', golden, '--golden', golden, status=2, says="there is no encoder 'none-such'")
    golden.write_bytes(golden.read_bytes()[:-1])
    medley('model', 'check', 'external', golden, '--golden', golden, status=1, says='golden.safetensors')


def published_ones():
    data = pathlib.Path(os.environ.get('MEDLEY_DATA', SOURCE / '../shared/data')).resolve() / 'models'
    if not data.is_dir():
        raise Skip(f'{data} is not there')
    for name, architecture, parameters in (('mobilenet_v2', 'mobilenet_v2', 3489097), ('yamnet', 'yamnet', 3745929)):
        report = medley('model', 'show', data / f'{name}.safetensors', '--check', '--json').json()
        equal((report['architecture']['name'], report['parameters'], report['bad_values']), (architecture, parameters, 0), name)
    report = medley('model', 'show', data / 'tokenizers/ggml-vocab-bert-bge.gguf', '--json').json()
    equal((report['architecture']['name'], report['tokenizer']['kind']), ('bert', 'WordPiece'), 'a vocabulary')


if __name__ == '__main__':
    sys.exit(run_tests([list_names_every_architecture, list_of_a_workspace, tokens_of_a_text, show_of_a_folder, an_unknown_one_is_named,
                        broken_ones_are_refused, check_refuses, published_ones]))
