#!/usr/bin/env python3
"""medley encoder: encoders that are added to a workspace, sound and broken; a service that behaves and one that does not."""
import hashlib, http.server, json, os, pathlib, shutil, socket, socketserver, struct, sys, threading, time

from harness import *
from test_model import safetensors

DIM = 8


def vector_of(text, dim=DIM):
    """The same text, the same vector; texts that share a word point the same way."""
    out = [0.01] * dim
    for word in text.lower().split():
        out[int(hashlib.sha256(word.encode()).hexdigest(), 16) % dim] += 1.0
    return out


class Service(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """An embeddings service on this machine. `plan` holds what the next requests get instead of an answer."""
    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.plan, self.requests, self.keys = [], [], []
        self.dim = DIM
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_port}/v1'

    def texts(self):
        return sum(len(request['input']) for request in self.requests)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, code, body, headers=(), length=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        s = self.server
        request = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        s.requests.append(request)
        s.keys.append(self.headers.get('Authorization'))
        rows = [{'index': i, 'embedding': vector_of(text, s.dim)} for i, text in enumerate(request['input'])]
        act = s.plan.pop(0) if s.plan else None
        if self.path != '/v1/embeddings':
            return self.answer(404, {'error': {'message': f'no such path {self.path}'}})
        if act is not None:
            return act(self, rows)
        self.answer(200, {'object': 'list', 'data': rows[::-1], 'model': request.get('model')})


def catalogue(count=12):
    medley('init', 'shop')
    words = ['red dress', 'blue shoes', 'green hat', 'black bag']
    items = ''.join(json.dumps({'id': f'i{n}', 'title': f'{words[n % 4]} {n}'}) + '\n' for n in range(count))
    events = 'user,item,time\n' + ''.join(f'u{u},i{(u * 5 + k) % count},{1735689600 + 600 * k + u}\n' for u in range(8) for k in range(5))
    pathlib.Path('items.jsonl').write_text(items)
    pathlib.Path('events.csv').write_text(events)
    medley('import', 'shop', 'items', 'items.jsonl')
    medley('import', 'shop', 'events', 'events.csv')


ENV = {'no_proxy': '*', 'NO_PROXY': '*'}


def add(service, *words, **more):
    return medley('encoder', 'add', 'shop', 'text', 'external', service.url, *words, env=ENV, **more)


def row_of(modality):
    rows = medley('encoder', 'list', 'shop', '--json').json()['encoders']
    return next(row for row in rows if row['modality'] == modality)


def service_from_catalogue_to_answer():
    catalogue()
    equal((row_of('text')['encoder'], row_of('text')['from']), ('text.lsa', 'default'), 'before')
    with Service() as service:
        add(service, '--model', 'words-1', '--batch', '5')
        equal(service.requests.pop(0), {'input': ['medley'], 'encoding_format': 'float', 'model': 'words-1'}, 'the first question')
        row = row_of('text')
        equal((row['encoder'], row['from'], row['source'], row['ok'], row['serving']), ('external', 'added', service.url, True, None), 'added')
        medley('train', 'shop', env=ENV)
        equal([len(request['input']) for request in service.requests], [5, 5, 2], 'batches')
        equal(row_of('text')['serving']['encoder'], 'external', 'what serves')
        asked = len(service.requests)
        found = medley('search', 'shop', '--text', 'green', '--json', env=ENV).json()['results']
        equal(len(service.requests), asked + 1, 'one request for one query')
        check(found[0]['item'] in ('i2', 'i6', 'i10'), str(found[:3]))
        medley('recommend', 'shop', '--user', 'u1', env=ENV)
        equal(len(service.requests), asked + 1, 'a recommendation asks nobody')
        # Nothing changed, so nothing is asked; one item changed, so one is.
        medley('train', 'shop', env=ENV)
        equal(len(service.requests), asked + 1, 'unchanged')
        medley('item', 'shop', 'put', 'i3', '--title', 'white bag')
        medley('train', 'shop', env=ENV)
        equal(service.requests[asked + 1:][0]['input'], ['white bag'], 'the changed one')
        # Other batches are the same model.
        add(service, '--model', 'words-1', '--batch', '7')
        before = len(service.requests)
        medley('train', 'shop', env=ENV)
        equal(len(service.requests), before, 'the same model')
    # It is gone: the generation says so when a text is asked for, and serves the rest.
    medley('search', 'shop', '--text', 'green', status=1, says=['cannot be asked', '/v1/embeddings'], env=ENV)
    medley('recommend', 'shop', '--user', 'u1', env=ENV)
    medley('encoder', 'remove', 'shop', 'text', says='text.lsa')
    medley('train', 'shop', env=ENV)
    medley('search', 'shop', '--text', 'green', env=ENV)
    equal(row_of('text')['serving']['encoder'], 'text.lsa', 'what serves')


def interrupted_encoding_goes_on():
    catalogue(700)
    with Service() as service:
        add(service, '--batch', '50', '--attempts', '1')
        service.plan = [None] * 8 + [lambda h, rows: h.answer(500, {'error': 'out of order'})]
        medley('train', 'shop', status=1, says=['answers 500: out of order (1 attempt)'], env=ENV)
        before = service.texts()
        medley('train', 'shop', env=ENV)
        # 256 texts were finished and kept; what came after them is asked again.
        equal(service.texts() - before, 700 - 256, 'texts asked again')


def service_that_recovers():
    catalogue()
    with Service() as service:
        add(service, '--attempts', '4')
        begun = time.monotonic()
        service.plan = [lambda h, rows: h.answer(429, {'error': {'message': 'slow down'}}, [('Retry-After', '2')]),
                        lambda h, rows: h.answer(503, b'<html>busy</html>'),
                        hang_up]
        medley('train', 'shop', env=ENV)
        check(time.monotonic() - begun > 2, 'Retry-After was not waited for')
        equal(len(service.requests), 1 + 4, 'requests')
        # A slow answer is given up after --timeout, and asked for again.
        add(service, '--timeout', '0.5', '--attempts', '2', '--model', 'other')
        service.plan = [lambda h, rows: time.sleep(2)]
        medley('train', 'shop', env=ENV)


def hang_up(h, _rows):
    h.close_connection = True
    h.connection.shutdown(socket.SHUT_RDWR)


def cut_short(h, rows):
    body = json.dumps({'data': rows}).encode()
    h.answer(200, body[:len(body) // 2], length=len(body))
    h.close_connection = True


def service_that_lies():
    catalogue()
    good = lambda rows: {'data': rows}
    cases = {
        'no JSON at all': (lambda h, rows: h.answer(200, b'hello'), 'the answer'),
        'truncated JSON': (lambda h, rows: h.answer(200, json.dumps(good(rows)).encode()[:-9]), 'the answer'),
        'body cut short': (cut_short, 'cannot be asked'),
        'nothing in it': (lambda h, rows: h.answer(200, {}), "no list 'data'"),
        'one vector less': (lambda h, rows: h.answer(200, good(rows[1:])), '11 vectors for 12 texts'),
        'other dimensions': (lambda h, rows: h.answer(200, good([{'index': r['index'], 'embedding': [1, 2, 3]} for r in rows])),
                             'has 3 dimensions, expected 8'),
        'uneven': (lambda h, rows: h.answer(200, good(rows[:-1] + [{'index': 11, 'embedding': [1.0]}])), 'vector 11 has 1 dimensions'),
        'the same twice': (lambda h, rows: h.answer(200, good(rows[:-1] + rows[:1])), 'two vectors of index 0'),
        'index beyond': (lambda h, rows: h.answer(200, good(rows[:-1] + [{'index': 12, 'embedding': [1.0] * 8}])), 'whole number below 12'),
        'NaN': (lambda h, rows: h.answer(200, json.dumps(good(rows)).replace('0.01', 'NaN').encode()), 'the answer'),
        'null': (lambda h, rows: h.answer(200, json.dumps(good(rows)).replace('0.01', 'null', 1).encode()), 'is no finite number'),
        'beyond float': (lambda h, rows: h.answer(200, json.dumps(good(rows)).replace('0.01', '1e200', 1).encode()), 'is no finite number'),
        'far too much': (lambda h, rows: h.answer(200, b' ' * 4_000_000), 'answers with more than'),
        'a refusal': (lambda h, rows: h.answer(400, {'error': {'message': 'input is too long\nreally'}}), 'answers 400: input is too long really'),
        'no right': (lambda h, rows: h.answer(401, {'error': 'who are you'}), 'answers 401: who are you (is the key right?)'),
        'elsewhere': (lambda h, rows: h.answer(302, b'', [('Location', 'http://127.0.0.1:1/')]), 'answers 302'),
        'no HTTP': (lambda h, rows: (h.wfile.write(b'SSH-2.0-OpenSSH\r\n'), hang_up(h, rows)), 'cannot be asked'),
        'later': (lambda h, rows: h.answer(429, {}, [('Retry-After', '7200')]), 'asks to be left alone for 7200 s'),
    }
    with Service() as service:
        add(service, '--attempts', '1')
        for name, (act, says) in cases.items():
            service.plan = [act]
            got = medley('train', 'shop', status=1, env=ENV)
            check(says in got.err, f'{name}: does not say {says!r}: {got}')
        medley('train', 'shop', env=ENV)
        # The same lies when it is added: then nothing is added.
        medley('encoder', 'remove', 'shop', 'text')
        service.plan = [lambda h, rows: h.answer(200, {'data': []})]
        add(service, '--attempts', '1', status=1, says='0 vectors for 1 texts')
        add(service, '--dimensions', '16', status=1, says='has 8 dimensions, expected 16')
        equal(row_of('text')['from'], 'default', 'nothing added')


def key_from_the_environment():
    catalogue()
    with Service() as service:
        add(service, '--key-variable', 'SHOP_KEY', status=2, says='SHOP_KEY')
        medley('encoder', 'add', 'shop', 'text', 'external', service.url, '--key-variable', 'SHOP_KEY', env={**ENV, 'SHOP_KEY': 'geheim-1'})
        medley('train', 'shop', env={**ENV, 'SHOP_KEY': 'geheim-2'})
        equal(service.keys, ['Bearer geheim-1', 'Bearer geheim-2'], 'keys')
        medley('encoder', 'list', 'shop', '--json')
        for path in pathlib.Path('shop').rglob('*'):
            check(not path.is_file() or b'geheim' not in path.read_bytes(), f'{path} holds the key')
        medley('encoder', 'add', 'shop', 'text', 'external', service.url, '--key-variable', 'SHOP_KEY', status=2,
               env={**ENV, 'SHOP_KEY': 'a\nb'}, says='line break')


def settings_from_a_file():
    catalogue()
    with Service() as service:
        settings = pathlib.Path('service.json')
        settings.write_text(json.dumps({'url': service.url, 'model': 'from-file', 'batch': 3}))
        medley('encoder', 'add', 'shop', 'text', 'external', 'service.json', env=ENV)
        equal(service.requests[0]['model'], 'from-file', 'model')
        for value, says in (({'url': 'ftp://x/y'}, 'http:// or https://'), ({'url': service.url, 'modle': 'x'}, "no setting 'modle'"),
                            ({'url': service.url, 'batch': 0}, 'batch should be a number from 1 to 2048'),
                            ({'url': service.url, 'timeout_s': '60'}, 'timeout_s should be a number'), ([], 'a JSON object'),
                            ({'url': 'http://me:secret@host/'}, 'holds a name or password'), ({'url': 'http://'}, 'names no host'),
                            ({'model': 'x'}, 'url should begin')):
            settings.write_text(json.dumps(value))
            medley('encoder', 'add', 'shop', 'text', 'external', 'service.json', status=1, says=says, env=ENV)
        settings.write_text('{"url"')
        medley('encoder', 'add', 'shop', 'text', 'external', 'service.json', status=1, says='service.json', env=ENV)
        medley('encoder', 'add', 'shop', 'text', 'external', 'nowhere.json', status=4, says='nowhere.json', env=ENV)


def vectors_from_a_file():
    """Somebody else's vectors as a side of the items: they need no encoder, and words find them through the items that have both."""
    count, dim = 120, 4
    catalogue(count)
    kind = lambda n: [1.0 if n % 4 == d else 0.02 * ((n * 7 + d) % 5) for d in range(dim)]
    header = str({'descr': '<f4', 'fortran_order': False, 'shape': (count, dim)}).encode()
    header += b' ' * (63 - (len(header) + 10) % 64) + b'\n'
    rows = b''.join(struct.pack(f'<{dim}f', *kind(n)) for n in range(count))
    pathlib.Path('image_feat.npy').write_bytes(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header + rows)
    pathlib.Path('keys.txt').write_text(''.join(f'i{n}\n' for n in range(count)))
    medley('import', 'shop', 'vectors', 'image_feat.npy', '--keys', 'keys.txt')
    report = medley('train', 'shop', '--json').json()
    part = next((part for part in report['content'] if part['name'] == 'image.image_feat'), None)
    check(part and part['items'] == count and part['dim'] == dim, str(report['content']))
    found = medley('search', 'shop', '--like', 'i1', '--json').json()['results']
    check(all('image.image_feat' in str(row['parts']) for row in found[:5]), str(found[:5]))
    for name in ('image', 'tags', 'text/external'):
        medley('import', 'shop', 'vectors', 'image_feat.npy', '--keys', 'keys.txt', '--space', name, status=2, says='cannot be named')


def broken_files_are_refused():
    """Every encoder that opens a checkpoint refuses what is none of its own, with a sentence, and the workspace is as before."""
    catalogue()
    floats = lambda n, value=0.5: struct.pack(f'<{n}f', *[value] * n)
    good = safetensors('other.safetensors', {'some.weight': ('F32', [2, 3], floats(6))}).read_bytes()
    broken = {'empty': b'', 'text': b'no model at all\n' * 9, 'cut': good[:-3], 'header': good[:20], 'long': good + b'x' * 7,
              'lies': struct.pack('<Q', 1 << 62) + good[8:], 'other': good,
              'nan': safetensors('nan.st', {'some.weight': ('F32', [1], floats(1, float('nan')))}).read_bytes()}
    pathlib.Path('folder').mkdir()
    kinds = [row for row in medley('list', 'encoder', '--json').json() if row['needs_file'] and row['name'] != 'external']
    for kind in kinds:
        for name, raw in broken.items():
            path = pathlib.Path(f'{name}.safetensors')
            path.write_bytes(raw)
            got = medley('encoder', 'add', 'shop', kind['modality'], kind['name'], path, status=1, says=path.name)
            check(got.err.count('\n') == 1, f'more than a sentence: {got}')
        medley('encoder', 'add', 'shop', kind['modality'], kind['name'], 'folder', status=(1, 4), says='folder')
        medley('encoder', 'add', 'shop', kind['modality'], kind['name'], 'missing', status=4, says='missing')
        medley('encoder', 'add', 'shop', kind['modality'], kind['name'], 'other.safetensors', '--batch', '2', status=2, says='batch')
        equal(row_of(kind['modality'])['from'], 'default', kind['name'])
    left = [path for path in pathlib.Path('shop').rglob('*') if 'safetensors' in path.name or 'tmp' in path.name]
    equal(left, [], 'left behind')


def tuned_network():
    """A published network learns from the catalogue before it is kept; asked twice, it gives the same; what cannot be tuned says so."""
    catalogue(24)
    golden = SOURCE / 'tests/golden/transformers'
    model = lambda: row_of('text')['model']
    add = lambda *words, **more: medley('encoder', 'add', 'shop', 'text', 'bert', golden / 'bert', *words, **more)
    add()
    plain = model()
    add('--tune', 'lora=4')
    tuned = model()
    check(row_of('text')['source'].endswith('bert, tuned lora=4 on 24 items'), str(row_of('text')))
    check(tuned != plain, 'tuning changed nothing')
    check(not pathlib.Path('shop/tuning').exists(), 'what tuning needed is still there')
    other = pathlib.Path('shop/tuning/another/run.safetensors')
    other.parent.mkdir(parents=True)
    other.write_bytes(b'of a run that is going on')
    medley('train', 'shop')
    medley('search', 'shop', '--text', 'red dress', says='i0')
    equal(row_of('text')['serving']['model'], tuned, 'what serves')
    add('--tune', 'lora=4')
    equal(model(), tuned, 'the same again')
    check(other.exists(), 'another run lost what it keeps')
    past = time.time() - 7200
    os.utime(other, (past, past))   # stopped two hours ago, and of another catalogue than this one
    add('--tune', 'lora=4')
    check(not other.parent.exists(), 'a run that nobody can go on with is still there')
    add('--tune', 'last=1', '--tune-passes', '2', '--tune-rate', '1e-4')
    add('--tune', 'all', '--curves', 'curves.svg')
    check('<svg' in pathlib.Path('curves.svg').read_text(), 'no curves')
    add('--tune', 'all', '--curves', 'curves.txt', status=2, says='curves.txt')
    add('--curves', 'curves.svg', status=2, says='--curves goes with --tune')
    before = model()
    add('--tune', 'some', status=2, says=["'some'", 'all, last=LAYERS or lora=RANK'])
    add('--tune', 'last=9', status=2, says='last=9: the network has 2 layers')
    add('--tune', 'all', '--tune-passes', '0', status=2, says='--tune-passes')
    add('--tune', 'all', '--tune-rate', '2', status=2, says='--tune-rate')
    add('--tune-passes', '3', status=2, says='--tune-passes goes with --tune')
    medley('encoder', 'add', 'shop', 'text', 'bert', golden / 'bert_gguf/model.gguf', '--tune', 'all', status=1, says='GGUF is made for answering')
    medley('encoder', 'add', 'shop', 'audio', 'whisper', golden / 'whisper', '--tune', 'all', status=1, says='0 sounds are too few to learn from')
    medley('encoder', 'add', 'shop', 'text', 'external', 'http://localhost:1/v1', '--tune', 'all', status=2, says='cannot be tuned from here', env=ENV)
    equal(model(), before, 'what was refused changed nothing')
    check(not pathlib.Path('shop/tuning').exists(), 'what was refused left something behind')


def tuned_towers():
    """What has a tower for pictures and one for texts learns by both, whichever is named, and both are used from then on."""
    golden = SOURCE / 'tests/golden/transformers/clip'
    medley('sample', 'catalogue', '--items', 24, '--users', 8, '--clips', 0, '--seed', 3)
    medley('init', 'shop')
    medley('import', 'shop', 'items', 'catalogue/items.jsonl')
    medley('import', 'shop', 'events', 'catalogue/events.csv')
    medley('encoder', 'add', 'shop', 'image', 'clip', golden)
    equal(row_of('text')['from'], 'default', 'what was not asked for')
    models = []
    for modality in ('image', 'text'):
        medley('encoder', 'add', 'shop', modality, 'clip', golden, '--tune', 'last=1')
        rows = [row_of(m) for m in ('image', 'text')]
        equal([row['encoder'] for row in rows], ['clip', 'clip'], 'towers')
        equal(rows[0]['model'], rows[1]['model'], 'one network')
        check('tuned last=1 on ' in rows[0]['source'], str(rows[0]))
        models.append(rows[0]['model'])
    equal(models[0], models[1], 'whichever row is named')
    medley('train', 'shop')
    medley('search', 'shop', '--text', 'dress')
    medley('init', 'bare')
    pathlib.Path('items.jsonl').write_text('{"id": "a", "title": "one"}\n{"id": "b", "title": "two"}\n')
    medley('import', 'bare', 'items', 'items.jsonl')
    medley('encoder', 'add', 'bare', 'text', 'clip', golden, '--tune', 'all', status=1, says='0 pictures with words beside them are too few')


def training_curves():
    """What a training's networks lost on the way, drawn; a training without a network says that there is nothing to draw."""
    catalogue(60)
    got = medley('train', 'shop', '--curves', 'none.svg')
    check('no curves to draw' in got.err and not pathlib.Path('none.svg').exists(), got.err)
    medley('train', 'shop', '--curves', 'none.jpg', status=2, says='none.jpg')
    with open('shop/medley.conf', 'a') as conf:
        conf.write('\n[encode]\ntext = text.cnn\n')
    medley('train', 'shop', '--models', 'popular', '--curves', 'curves.png')
    equal(pathlib.Path('curves.png').read_bytes()[:4], b'\x89PNG', 'curves')
    check(not pathlib.Path('shop/fitting').exists(), 'what fitting kept is still there')


def trained_in_few_bits():
    """A trained network answers in int8: smaller in its generation, which opens again and finds; what cannot be is refused."""
    catalogue(60)
    conf = pathlib.Path('shop/medley.conf')
    before, sizes = conf.read_text(), {}
    for precision in ('f32', 'int8', 'bf16'):
        conf.write_text(before + f'\n[encode]\ntext = text.gru\nprecision = {precision}\n')
        shown = f'text.gru, {precision}'
        check((shown in medley('encoder', 'list', 'shop').out) == (precision != 'f32'), precision)
        trained = medley('train', 'shop', '--models', 'popular')
        check((shown in trained.out) == (precision != 'f32'), trained.out)
        medley('encoder', 'list', 'shop', says='the same')
        equal((row_of('text')['precision'], row_of('text')['serving']['precision'], row_of('image')['precision']),
              (precision, precision, None), 'precision')
        newest = max(pathlib.Path('shop/models').iterdir(), key=lambda folder: int(folder.name))
        sizes[precision] = (newest / 'content.safetensors').stat().st_size
        medley('search', 'shop', '--text', 'green hat', '--words', '0', says='green hat')
    check(sizes['int8'] < sizes['bf16'] < sizes['f32'], str(sizes))
    conf.write_text(before + '\n[encode]\ntext = text.gru\nprecision = int4\n')
    medley('train', 'shop', status=1, says="encode.precision is 'int4', expected f32, bf16 or int8")


def published_network():
    """Real weights, from the file to an answer; the original goes, the copy is changed."""
    data = pathlib.Path(os.environ.get('MEDLEY_DATA', SOURCE / '../shared/data')).resolve()
    if not (data / 'models/mobilenet_v2.safetensors').is_file():
        raise Skip(f'{data}/models is not there')
    golden = data / 'models/mobilenet_v2.golden.safetensors'
    report = medley('model', 'check', 'mobilenet_v2', data / 'models/mobilenet_v2.safetensors', '--golden', golden, '--json').json()
    check(report['agrees'] and report['largest'] < 1e-3, str(report))
    medley('model', 'check', 'mobilenet_v2', data / 'models/mobilenet_v2.safetensors', '--golden', golden, '--tolerance', '1e-12', status=1,
           says='does not agree within 1e-12')
    medley('model', 'check', 'mobilenet_v2', data / 'models/yamnet.safetensors', '--golden', golden, status=1, says='yamnet')
    pictures = sorted((data / 'shop/images').iterdir())[:40]
    os.mkdir('pictures')
    for picture in pictures:
        shutil.copy(picture, 'pictures')
    shutil.copy(data / 'models/mobilenet_v2.safetensors', 'mine.safetensors')
    medley('init', 'shop')
    medley('import', 'shop', 'items', 'pictures')
    medley('encoder', 'add', 'shop', 'image', 'mobilenet_v2', 'mine.safetensors', says=['mobilenet_v2', 'mine.safetensors'])
    os.remove('mine.safetensors')
    content = medley('train', 'shop', '--json').json()['content']
    equal([(part['encoder'], part['items']) for part in content if part['name'] == 'image'], [('mobilenet_v2', 40)], 'encoded')
    found = medley('search', 'shop', '--image', pictures[7], '--json').json()['results']
    equal(found[0]['item'], pictures[7].stem, 'a picture finds itself')
    medley('doctor', 'shop', status=(0, 1), says='1 added, unchanged')
    copy = next(pathlib.Path('shop/encoders').glob('*/mine.safetensors'))
    raw = bytearray(copy.read_bytes())
    raw[-1] ^= 1
    copy.write_bytes(raw)
    medley('search', 'shop', '--image', pictures[7], status=1, says=[copy.name, 'was changed after it was added'])
    medley('similar', 'shop', pictures[7].stem)
    medley('train', 'shop', status=1, says='was changed after it was added')
    medley('doctor', 'shop', status=1, says='was changed after it was added')
    equal([row['ok'] for row in medley('encoder', 'list', 'shop', '--json').json()['encoders']], [True, False, True, True], 'ok')
    copy.unlink()
    medley('search', 'shop', '--image', pictures[7], status=4, says=[copy.name, 'is gone'])
    medley('encoder', 'remove', 'shop', 'image')
    medley('train', 'shop')
    medley('search', 'shop', '--image', pictures[7], says=pictures[7].stem)


def usage():
    medley('init', 'shop')
    medley('encoder', 'add', 'shop', 'text', status=2, says='ENCODER SOURCE')
    medley('encoder', 'list', 'shop', 'text', status=2, says='medley encoder list WORKSPACE')
    medley('encoder', 'add', 'shop', 'text', 'none-such', 'x', status=2, says=["no encoder 'none-such' for text", 'external'])
    medley('encoder', 'add', 'shop', 'text', 'text.lsa', 'x', status=2, says='needs no file')
    medley('encoder', 'add', 'shop', 'image', 'external', 'x', status=2, says="no encoder 'external' for image")
    medley('encoder', 'remove', 'shop', 'audio', status=4, says='no encoder was added for audio')
    medley('encoder', 'remove', 'shop', 'audio', '--batch', '3', status=2, says='--batch goes with add')
    medley('encoder', 'list', 'nowhere', status=4, says='nowhere')
    medley('encoder', 'list', 'shop', says=['image.descriptor', 'default', 'nothing yet'])


if __name__ == '__main__':
    sys.exit(run_tests([service_from_catalogue_to_answer, interrupted_encoding_goes_on, service_that_recovers, service_that_lies,
                        key_from_the_environment, settings_from_a_file, vectors_from_a_file,
                        broken_files_are_refused, tuned_network, tuned_towers, training_curves, trained_in_few_bits, published_network, usage]))
