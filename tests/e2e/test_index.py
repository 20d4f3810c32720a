#!/usr/bin/env python3
"""medley index: built, asked, changed, killed, damaged, measured, as a user would do it."""
import gzip, json, math, os, pathlib, random, signal, struct, subprocess, sys, time

from harness import *

DIM = 16


def npy(path, rows, kind='<f4', order='False', shape=None):
    """rows: lists of numbers, or a list of integers."""
    wide = isinstance(rows[0], list)
    values = [x for row in rows for x in row] if wide else rows
    shape = shape or (f'({len(rows)}, {len(rows[0])})' if wide else f'({len(rows)},)')
    head = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + '\n'
    letter = {'<f4': 'f', '<f2': 'e', '<f8': 'd', '<i8': 'q', '<i4': 'i', '<u4': 'I', '<u8': 'Q'}.get(kind, 'f')
    data = b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + struct.pack(f'<{len(values)}{letter}', *values)
    pathlib.Path(path).write_bytes(data)
    return data


def cloud(count, seed=1, dim=DIM):
    """Vectors around a few centres, as real ones are."""
    draw = random.Random(seed)
    centres = [[random.Random(f'{c} {d}').gauss(0, 1) for d in range(dim)] for c in range(12)]
    return [[x + draw.gauss(0, 0.5) for x in draw.choice(centres)] for _ in range(count)]


def nearest(rows, query, k, distance='cosine', allowed=None):
    """The slow twin: ids of the k nearest."""
    def score(v):
        dot = sum(a * b for a, b in zip(query, v))
        if distance == 'dot':
            return dot
        if distance == 'l2':
            return -sum((a - b) ** 2 for a, b in zip(query, v))
        return dot / math.sqrt(sum(b * b for b in v))
    order = sorted((i for i in range(len(rows)) if allowed is None or allowed(i)), key=lambda i: -score(rows[i]))
    return order[:k]


def ids_of(report):
    return [[hit['id'] for hit in query['hits']] for query in report['queries']]


def small(name='shop.index', count=300, *more):
    npy('v.npy', cloud(count))
    medley('index', 'build', 'v.npy', '-o', name, *more)
    return name


def search_finds_what_a_scan_finds():
    rows, queries = cloud(700), cloud(15, seed=2)
    npy('v.npy', rows)
    npy('q.npy', queries)
    for kind, distance, storage, floor in (('hnsw', 'cosine', 'f32', 0.97), ('hnsw', 'l2', 'f16', 0.95), ('exact', 'dot', 'f32', 1.0),
                                           ('hnsw', 'dot', 'int8', 0.8)):
        name = f'{kind}-{distance}-{storage}.index'
        said = medley('index', 'build', 'v.npy', '-o', name, '--kind', kind, '--distance', distance, '--storage', storage).out
        check('700 vectors of 16 dimensions' in said and 'vectors/s' in said, said)
        check(('exact' if kind == 'exact' else 'recall@10') in said, said)
        truth = [nearest(rows, q, 10, distance) for q in queries]
        report = medley('index', 'search', name, '--vectors', 'q.npy', '--json').json()
        got = ids_of(report)
        recall = sum(len(set(t) & set(g)) for t, g in zip(truth, got)) / (10 * len(truth))
        check(recall >= floor, f'{name}: recall {recall}')
        equal(report['exact'], kind == 'exact', name)
        check(report['recall'] is not None and report['compared'] > 0, f'{name}: {report["recall"]}')
        exact = medley('index', 'search', name, '--vectors', 'q.npy', '--json', '--exact').json()
        equal(exact['exact'], True, f'{name} --exact')
        if storage == 'f32':
            equal(ids_of(exact), truth, f'{name} --exact')
        one = medley('index', 'search', name, '--vectors', 'q.npy', '--row', 3, '-k', 4, '--json', '--exact').json()
        equal(ids_of(one), [ids_of(exact)[3][:4]], 'one row')
    shown = medley('index', 'search', 'hnsw-cosine-f32.index', '--vectors', 'q.npy', '--row', 0).out
    check('approximate, recall ≈ ' in shown and 'vectors compared' in shown, shown)
    check('recall not measured' in medley('index', 'search', 'hnsw-cosine-f32.index', '--vectors', 'q.npy', '--breadth', 17).out, 'a breadth')
    medley('index', 'check', 'hnsw-l2-f16.index', says=['700 vectors, 700 reachable', 'sound'])


def every_kind_of_number_is_read():
    rows = [[round(x * 8) / 8 for x in row] for row in cloud(60)]  # float16 holds them exactly
    answers = []
    for kind in ('<f4', '<f2', '<f8'):
        npy('v.npy', rows, kind)
        pathlib.Path('ids.txt').write_text(''.join(f'{1000 + i}\n' for i in range(60)))
        npy('ids.npy', [1000 + i for i in range(60)], '<i8')
        pathlib.Path('v.npy.gz').write_bytes(gzip.compress(pathlib.Path('v.npy').read_bytes()))
        for source, ids in (('v.npy', 'ids.txt'), ('v.npy.gz', 'ids.npy')):
            pathlib.Path('a.index').unlink(missing_ok=True)
            pathlib.Path('a.index.journal').unlink(missing_ok=True)
            medley('index', 'build', source, '-o', 'a.index', '--ids', ids, '--kind', 'exact')
            answers.append(ids_of(medley('index', 'search', 'a.index', '--like', 1007, '--json').json()))
    check(all(answer == answers[0] for answer in answers), str(answers))
    check(len(answers[0][0]) == 10 and 1007 not in answers[0][0], str(answers[0]))
    medley('index', 'build', 'v.npy', '-o', 'b.index', '--first-id', 2**64 - 60)
    hits = medley('index', 'search', 'b.index', '--like', 2**64 - 1, '--json').json()['queries'][0]
    equal((hits['like'], len(hits['hits'])), (str(2**64 - 1), 10), 'the greatest id')


def filters():
    rows, query = cloud(400), cloud(1, seed=2)
    npy('v.npy', rows)
    npy('q.npy', query)
    known = [{'price': i % 50, 'category': ['shoes', 'hats', 'bags'][i % 3], 'tag': ['red'] if i % 7 == 0 else ['blue', 'new']}
             for i in range(400)]
    pathlib.Path('a.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in known))
    medley('index', 'build', 'v.npy', '-o', 'shop.index', '--attributes', 'a.jsonl')
    for expression, passes in (('price < 5', lambda r: r['price'] < 5), ("category = 'hats' and tag = 'red'",
                                lambda r: r['category'] == 'hats' and 'red' in r['tag']),
                               ('not (price >= 1) or tag = "new"', lambda r: r['price'] < 1 or 'new' in r['tag'])):
        report = medley('index', 'search', 'shop.index', '--vectors', 'q.npy', '--filter', expression, '--json').json()
        allowed = [i for i in range(400) if passes(known[i])]
        equal(report['passing'], len(allowed), expression)
        truth = nearest(rows, query[0], 10, allowed=set(allowed).__contains__)
        got = ids_of(report)[0]
        check(set(got) <= set(allowed) and len(set(got) & set(truth)) >= 0.9 * len(truth), f'{expression}: {got} {truth}')
        for hit in report['queries'][0]['hits']:
            equal(hit['attributes']['price'], known[hit['id']]['price'], f'{expression}: attributes')
    shown = medley('index', 'search', 'shop.index', '--vectors', 'q.npy', '--filter', 'price < 5').out
    check('pass the filter' in shown and 'category' in shown, shown)
    medley('index', 'search', 'shop.index', '--like', 3, '--filter', 'prize < 5', status=4, says='prize')
    medley('index', 'search', 'shop.index', '--like', 3, '--filter', 'price <', status=(1, 2), says='character')
    medley('index', 'search', 'shop.index', '--like', 3, '--filter', 'price < 0', says='nothing found')


def changes():
    name = small()
    rows, fresh = cloud(300), cloud(40, seed=5)
    npy('new.npy', fresh)
    medley('index', 'add', name, '--vectors', 'new.npy', '--first-id', 290, says='30 added, 10 updated; the index has 330 vectors')
    medley('index', 'add', name, '--vectors', 'new.npy', '--first-id', 290, says='40 updated')
    done = medley('index', 'remove', name, '--id', '0,1', '--id', 2, '--id', 7777, '--json').json()
    equal((done['removed'], done['unknown'], done['vectors']), (3, 1, 327), 'removed')
    medley('index', 'remove', name, '--id', 0, says='1 unknown; the index has 327 vectors')
    now = [None if i < 3 else rows[i] if i < 290 else fresh[i - 290] for i in range(330)]
    npy('q.npy', [fresh[0], rows[50]])
    report = medley('index', 'search', name, '--vectors', 'q.npy', '--exact', '--json').json()
    kept = [row or [0.001] * DIM for row in now]
    equal(ids_of(report), [nearest(kept, q, 10, allowed=lambda i: i > 2) for q in (fresh[0], rows[50])], 'after the changes')
    pathlib.Path('more.jsonl').write_text('{"id": 300, "price": 5}\n\n{"id": 301, "price": 6}\n')
    medley('index', 'add', name, '--attributes', 'more.jsonl', says='2 described')
    equal(sorted(ids_of(medley('index', 'search', name, '--like', 5, '--filter', 'price > 1', '--json').json())[0]), [300, 301], 'attributes')
    before = medley('index', 'show', name, '--json').json()
    check(before['index']['removed'] > 0 and before['journal_bytes'] > 1000, str(before))
    medley('index', 'save', name, '-o', 'copy.index', says='327 vectors')
    equal(medley('index', 'show', name, '--json').json(), before, 'a copy changed the original')
    medley('index', 'repair', name, says='unlinked')
    after = medley('index', 'show', name, '--json').json()
    equal((after['index']['removed'], after['index']['vectors'], after['journal_bytes'] < 1000), (0, 327, True), 'after repair')
    for each in (name, 'copy.index'):
        medley('index', 'check', each, says='sound')
        equal(ids_of(medley('index', 'search', each, '--vectors', 'q.npy', '--exact', '--json').json()), ids_of(report), each)
    medley('index', 'show', name, '--measure', '--count', 50, says=['327 of 16 dimensions', 'measured with 50 of its own vectors', 'cosine'])
    medley('index', 'show', name, '--measure', '--queries', 'q.npy', says='measured with 2 queries')


def a_long_journal_is_folded_into_the_file():
    name = small()
    npy('new.npy', cloud(1500, seed=4, dim=DIM))
    npy('wide.npy', cloud(1500, seed=4, dim=256))
    medley('index', 'build', 'wide.npy', '-o', 'wide.index', '--kind', 'exact')
    medley('index', 'add', 'wide.index', '--vectors', 'wide.npy', '--first-id', 1500, says='3,000 vectors')
    medley('index', 'add', name, '--vectors', 'new.npy', '--first-id', 300, says='1,800 vectors')
    for each, folded in (('wide.index', True), (name, False)):
        equal(medley('index', 'show', each, '--json').json()['journal_bytes'] < 1000, folded, each)
        medley('index', 'check', each, says='sound')


def a_kill_loses_nothing_that_was_acknowledged():
    for kind, count, turns in (('hnsw', 50, 12), ('ivfpq', 1010, 8)):
        kill_changes(small(f'{kind}.index', count, '--kind', kind), count, turns)


def kill_changes(name, count, turns):
    draw, acknowledged, killed = random.Random(3), list(range(count)), 0
    npy('new.npy', cloud(25, seed=9))
    begun = time.monotonic()
    medley('index', 'add', name, '--vectors', 'new.npy', '--first-id', count)
    usual = time.monotonic() - begun
    acknowledged += range(count, count + 25)
    for turn in range(turns):
        first = 2000 + 25 * turn
        process = subprocess.Popen([os.environ['MEDLEY_COMMAND'], 'index', 'add', name, '--vectors', 'new.npy', '--first-id', str(first)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        time.sleep(usual * draw.uniform(0.2, 1.2))
        process.kill()
        if process.wait() == 0:
            acknowledged += range(first, first + 25)
        else:
            killed += 1
    check(killed > 0, 'nothing was killed')
    medley('index', 'check', name, says='sound')
    pathlib.Path('ids.txt').write_text(''.join(f'{i}\n' for i in acknowledged))
    done = medley('index', 'remove', name, '--ids', 'ids.txt', '--json').json()
    equal((done['removed'], done['unknown']), (len(acknowledged), 0), f'after {killed} kills')


def a_stopped_build_leaves_nothing():
    npy('v.npy', cloud(6000))
    process = subprocess.Popen([os.environ['MEDLEY_COMMAND'], 'index', 'build', 'v.npy', '-o', 'shop.index', '--build-breadth', '2000',
                                '--links', '64'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    if process.returncode == 0:
        raise Skip('the build was over before it could be stopped')
    equal(process.returncode, 130, err.decode())
    equal(sorted(os.listdir('.')), ['v.npy'], 'left behind')


def damage_is_found():
    name = small()
    npy('new.npy', cloud(40, seed=5))
    medley('index', 'add', name, '--vectors', 'new.npy', '--first-id', 1000)
    whole, journal = pathlib.Path(name).read_bytes(), pathlib.Path(name + '.journal').read_bytes()

    def put(data, records=journal):
        pathlib.Path(name).write_bytes(data)
        pathlib.Path(name + '.journal').write_bytes(records)

    def turned(data, at):
        return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1:]

    for what, data in (('in the middle', turned(whole, len(whole) // 2)), ('near the start', turned(whole, 40)), ('cut', whole[:-100]),
                       ('empty', b''), ('foreign', b'hello, this is no index at all' * 200)):
        put(data)
        done = medley('index', 'check', name, '--json', status=1).json()
        check(done['ok'] is False and done['fault'], f'{what}: {done}')
        shown = medley('index', 'check', name, status=1)
        check(shown.out.count('\n') <= 3 and not shown.err, f'{what}: {shown}')
    put(whole, turned(journal, len(journal) // 2))
    medley('index', 'check', name, status=1, says='journal')
    medley('index', 'add', name, '--vectors', 'new.npy', '--first-id', 1000, status=1, says='journal')
    medley('index', 'repair', name, '--salvage')
    medley('index', 'check', name, says='sound')
    kept = medley('index', 'show', name, '--json').json()['index']['vectors']
    check(300 <= kept < 340, f'{kept} vectors after salvage')
    put(whole)
    equal(medley('index', 'show', name, '--json').json()['index']['vectors'], 340, 'the sound one')


def bench_measures():
    npy('v.npy', cloud(900))
    report = medley('index', 'bench', 'v.npy', '--count', 60, '--rounds', 2, '--threads', 2, '--breadths', '10,40', '--filter-shares',
                    '0.5,0.02', '--json').json()
    equal((report['vectors'], report['queries'], report['held_out'], report['k']), (840, 60, True, 10), 'what was measured')
    equal([run['breadth'] for run in report['runs']], [10, 40], 'breadths')
    for run in [*report['runs'], report['exact'], *report['filters']]:
        check(0 <= run['low'] <= run['recall'] <= run['high'] <= 1, str(run))
        check(0 < run['slowest'] <= run['queries_per_second'] <= run['fastest'] and 0 < run['p50_ms'] <= run['p99_ms'], str(run))
    check(report['runs'][1]['recall'] >= max(0.95, report['runs'][0]['recall']), str(report['runs']))
    check(report['runs'][0]['compared'] < 840 and report['exact']['compared'] == 840 and report['exact']['recall'] == 1, str(report))
    equal([row['passing'] for row in report['filters']], [420, 17], 'what passes')
    check(all(row['recall'] >= 0.9 for row in report['filters']), str(report['filters']))
    check(report['build']['vectors_per_second'] > 0 and report['index']['structure_bytes'] > 0, str(report))
    check(report['reached']['0.95']['breadth'] in (10, 40), str(report['reached']))
    npy('q.npy', cloud(5, seed=3))
    medley('index', 'bench', 'v.npy', '--queries', 'q.npy', '--storage', 'int8', '--rounds', 1, '--breadths', 100,
           says=['900 vectors', '5 queries', 'breadth', 'queries/s', 'p99 ms', 'exact f32', 'recall 0.99', 'beside it'])
    runs = medley('index', 'bench', 'v.npy', '--rounds', 1, '--count', 9, '-k', 4000, '--links', 4, '--json').json()['runs']
    equal([run['breadth'] for run in runs], [4000], 'one run for more answers than the last breadth')
    medley('index', 'bench', 'v.npy', '--kind', 'exact', '--rounds', 1, '--count', 9, '-k', 3, says=['all', '1.0000'])
    check(sorted(os.listdir('.')) == ['q.npy', 'v.npy'], 'bench left something behind')


def lists_of_codes():
    rows, queries = cloud(1500), cloud(15, seed=2)
    npy('v.npy', rows)
    npy('q.npy', queries)
    medley('index', 'build', 'v.npy', '-o', 'a.index', '--kind', 'ivfpq', '--lists', 25, '--code-bytes', 4, '--breadth', 12,
           says=['ivfpq', 'recall@10'])
    medley('index', 'show', 'a.index', says=['25 lists, 4 bytes a code', 'search breadth 12', 'recall ≈'])
    info = medley('index', 'show', 'a.index', '--json').json()['index']
    equal((info['lists'], info['code_bytes'], info['breadth']), (25, 4, 12), 'options')
    truth = [nearest(rows, q, 10, 'cosine') for q in queries]
    report = medley('index', 'search', 'a.index', '--vectors', 'q.npy', '--json').json()
    recall = sum(len(set(t) & set(g)) for t, g in zip(truth, ids_of(report))) / 150
    check(recall >= 0.9 and not report['exact'] and report['recall'] > 0.8, f'recall {recall}, {report["recall"]} said')
    npy('more.npy', cloud(200, seed=5))
    medley('index', 'add', 'a.index', '--vectors', 'more.npy', '--first-id', 9000)
    medley('index', 'remove', 'a.index', '--id', '0,1,2,3,4')
    medley('index', 'check', 'a.index', says=['1695 vectors, 1695 reachable', 'in a list on average', 'sound'])
    equal(ids_of(medley('index', 'search', 'a.index', '--vectors', 'more.npy', '--row', 7, '-k', 1, '--json').json()), [[9007]], 'a new one')
    equal(medley('index', 'check', 'a.index', '--json').json()['kind'], 'ivfpq', 'check')
    medley('index', 'build', 'q.npy', '-o', 'few.index', '--kind', 'ivfpq', says='recall@10 1.000')
    runs = medley('index', 'bench', 'v.npy', '--kind', 'ivfpq', '--rounds', 1, '--breadths', '1,30', '--count', 50, '--json').json()['runs']
    check(runs[0]['recall'] < runs[1]['recall'] and runs[1]['recall'] > 0.9, str(runs))


def bad_input_is_refused_with_a_sentence():
    name = small()
    good = npy('v.npy', cloud(300))
    npy('other.npy', cloud(5, dim=8))
    npy('fortran.npy', cloud(5), order='True')
    npy('flat.npy', cloud(5), shape='(80,)')
    npy('pickle.npy', cloud(5), kind='|O')
    npy('integers.npy', [[1, 2], [3, 4]], kind='<i8')
    npy('huge.npy', cloud(5), shape='(99999999999, 16)')
    npy('none.npy', cloud(1), shape='(0, 16)')
    npy('nan.npy', [[1.0] * DIM, [float('nan')] * DIM])
    npy('floats.npy', [0.5, 1.5], kind='<f4')
    npy('negative.npy', [3, -4], kind='<i8')
    pathlib.Path('cut.npy').write_bytes(good[:-10])
    pathlib.Path('cut.npy.gz').write_bytes(gzip.compress(good)[:900])
    pathlib.Path('text.npy').write_text('hello')
    for path, text in (('few.txt', '1\n2\n'), ('words.txt', '1\ntwo\n'), ('minus.txt', '-1\n'), ('twice.txt', '7\n' * 300),
                       ('nothing.txt', '\n\n'), ('few.jsonl', '{"a": 1}\n'), ('bad.jsonl', '{"a": 1}\n{"a": \n'), ('list.jsonl', '[1]\n'),
                       ('mixed.jsonl', '{"id": 1, "a": 1}\n{"a": 1}\n'), ('deep.jsonl', '{"id": 1, "a": {"b": 1}}\n'),
                       ('torn.jsonl', '{"id": 1, "a": 1}\n{"id": 2, "a": "x"}\n'),
                       ('nobody.jsonl', '{"id": 999, "a": 1}\n'), ('word-id.jsonl', '{"id": "x", "a": 1}\n')):
        pathlib.Path(path).write_text(text)
    build = ['build', 'v.npy', '-o', 'new.index']
    rows = [
        (['build', 'missing.npy', '-o', 'new.index'], 4, 'missing.npy'),
        (['build', 'v.npy'], 2, '--output FILE is missing'),
        (['build', 'v.npy', '-o', name], 1, 'is there already'),
        (['build', 'v.npy', '-o', 'no/such/new.index'], (1, 4), 'no/such'),
        (['build', 'fortran.npy', '-o', 'new.index'], 1, 'Fortran order'),
        (['build', 'flat.npy', '-o', 'new.index'], 1, 'expected 2'),
        (['build', 'pickle.npy', '-o', 'new.index'], 1, 'pickled'),
        (['build', 'integers.npy', '-o', 'new.index'], 1, "expected '<f2'"),
        (['build', 'huge.npy', '-o', 'new.index'], 1, 'it was cut off'),
        (['build', 'none.npy', '-o', 'new.index'], 1, 'holds no vectors'),
        (['build', 'nan.npy', '-o', 'new.index'], 1, 'not a finite number'),
        (['build', 'cut.npy', '-o', 'new.index'], 1, 'ends in row 300 of 300'),
        (['build', 'cut.npy.gz', '-o', 'new.index'], 1, 'cut.npy.gz'),
        (['build', 'text.npy', '-o', 'new.index'], 1, 'text.npy'),
        ([*build, '--ids', 'few.txt'], 1, "'few.txt' has 2 ids, 'v.npy' has 300 vectors"),
        ([*build, '--ids', 'words.txt'], 1, "'words.txt' line 2: 'two' is no whole number"),
        ([*build, '--ids', 'minus.txt'], 1, "line 1: '-1'"),
        ([*build, '--ids', 'nothing.txt'], 1, 'holds no ids'),
        ([*build, '--ids', 'twice.txt'], 1, 'has the id 7 twice'),
        ([*build, '--ids', 'floats.npy'], 1, "expected '<i4'"),
        ([*build, '--ids', 'negative.npy'], 1, 'value 1 is -4'),
        ([*build, '--ids', 'few.txt', '--first-id', 3], 2, 'give one of them'),
        ([*build, '--first-id', 2**64 - 10], 2, 'leaves no room for 300 ids'),
        ([*build, '--attributes', 'few.jsonl'], 1, "'few.jsonl' has 1 objects, 'v.npy' has 300 vectors"),
        ([*build, '--attributes', 'bad.jsonl'], 1, "'bad.jsonl' line 2"),
        ([*build, '--attributes', 'list.jsonl'], 1, 'is no JSON object'),
        ([*build, '--attributes', 'mixed.jsonl'], 1, 'has no "id", the lines before it have one'),
        ([*build, '--attributes', 'deep.jsonl'], 1, "'deep.jsonl', object 1"),
        ([*build, '--attributes', 'nobody.jsonl'], 1, 'no vector has the id 999'),
        ([*build, '--attributes', 'word-id.jsonl'], 1, '"id" is no whole number'),
        ([*build, '--memory-limit', 'lots'], 2, "such as 500M or 2G, not 'lots'"),
        ([*build, '--memory-limit', '1K'], 1, 'limit'),
        ([*build, '--storage', 'f32', '--rerank', 'f32'], 2, 'gains nothing'),
        ([*build, '--attributes', 'torn.jsonl'], 1, "'torn.jsonl', object 2"),
        ([*build, '--kind', 'ivfpq', '--links', 8], 2, '--links goes with --kind hnsw, not with ivfpq'),
        ([*build, '--kind', 'exact', '--build-breadth', 80], 2, '--build-breadth goes with --kind hnsw'),
        ([*build, '--lists', 8], 2, '--lists goes with --kind ivfpq, not with hnsw'),
        ([*build, '--code-bytes', 8], 2, '--code-bytes goes with --kind ivfpq'),
        ([*build, '--kind', 'tree'], 2, '--kind wants hnsw, exact or ivfpq'),
        (['bench', 'other.npy'], 2, '5 vectors are too few'),
        (['bench', 'v.npy', '--queries', 'other.npy'], 1, "'other.npy' has 8 dimensions, v.npy has 16"),
        (['bench', 'v.npy', '--filter-shares', '2'], 2, '--filter-shares wants'),
        (['search', name], 2, 'say what to look for'),
        (['search', name, '--like', 1, '--vectors', 'v.npy'], 2, 'not both'),
        (['search', name, '--like', 1, '--row', 0], 2, '--row goes with --vectors'),
        (['search', name, '--like', 'x'], 2, '--like wants a whole number'),
        (['search', name, '--like', 12345], 4, '12345'),
        (['search', name, '--vectors', 'other.npy'], 1, "'other.npy' has 8 dimensions, the index has 16"),
        (['search', name, '--vectors', 'v.npy', '--row', 300], 2, 'has rows 0 to 299'),
        (['search', 'v.npy', '--like', 1], 1, 'v.npy'),
        (['search', 'missing.index', '--like', 1], 4, 'missing.index'),
        (['add', name], 2, 'say what to add'),
        (['add', name, '--vectors', 'v.npy'], 2, 'say which ids the vectors get'),
        (['add', name, '--vectors', 'other.npy', '--first-id', 1], 1, "'other.npy' has 8 dimensions, the index has 16"),
        (['add', name, '--attributes', 'few.jsonl'], 1, 'has no "id" in its lines'),
        (['add', name, '--attributes', 'nobody.jsonl'], 4, '999'),
        (['remove', name], 2, 'say which to remove'),
        (['remove', name, '--id', 'x'], 2, '--id wants a whole number'),
        (['show', name, '--queries', 'v.npy'], 2, '--queries goes with show --measure'),
        (['show', name, '--links', 4], 2, '--links goes with build and bench, not with show'),
        (['check', 'missing.index'], 4, 'missing.index'),
        (['save', name, '-o', 'v.npy'], 1, 'is there already'),
        (['mend', name], 2, 'ACTION wants'),
    ]
    before = sorted(os.listdir('.'))
    for words, status, sentence in rows:
        done = medley('index', *words, status=status, says=sentence)
        equal((done.out, done.err.count('\n')), ('', 1), f'{done}')
        equal(sorted(os.listdir('.')), before, f'{words}: left behind')
    medley('index', 'check', name, says='sound')


if __name__ == '__main__':
    sys.exit(run_tests([search_finds_what_a_scan_finds, lists_of_codes, every_kind_of_number_is_read, filters, changes, a_long_journal_is_folded_into_the_file,
                        a_kill_loses_nothing_that_was_acknowledged, a_stopped_build_leaves_nothing, damage_is_found, bench_measures,
                        bad_input_is_refused_with_a_sentence]))
