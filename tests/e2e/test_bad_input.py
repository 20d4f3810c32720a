#!/usr/bin/env python3
"""Bad input of each kind: the sentence names what and where, the status is the right one, nothing half-written stays."""
import gzip, json, os, pathlib, shutil, struct, sys

from harness import *

ITEMS = '\n'.join(json.dumps({'id': f'i{n}', 'title': f'thing {n}'}) for n in range(20)) + '\n'
EVENTS = 'user,item,time\n' + ''.join(f'u{u},i{(u * 7 + k) % 20},{1735689600 + 600 * k + u}\n' for u in range(10) for k in range(6))


def write(name, data):
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def new_shop(items=True):
    medley('init', 'shop')
    if items:
        medley('import', 'shop', 'items', write('items.jsonl', ITEMS))
    return 'shop'


def counts(shop='shop'):
    info = medley('info', shop, '--json').json()['counts']
    return info['items'], info['users'], info['events']


def workspaces():
    medley('init', 'shop')
    medley('init', 'shop', status=1, says='shop')
    medley('init', 'no/such/parent', status=(1, 4), says='no/such')
    check(not os.path.exists('no'), 'a parent was made')
    write('file', 'x')
    medley('init', 'file', status=1, says='file')
    for words in (['info', 'nowhere'], ['train', 'nowhere'], ['recommend', 'nowhere'], ['import', 'nowhere', 'items', 'file'],
                  ['event', 'nowhere', 'u', 'click', 'i'], ['search', 'nowhere', '--text', 'x']):
        done = medley(*words, status=4, says='nowhere')
        equal(json.loads(medley(*words, '--json', status=4).err.splitlines()[-1])['error']['status'], 'not_found', str(words))
        equal(done.out, '', str(words))
    check(not os.path.exists('nowhere'), 'a workspace was made by the way')
    os.mkdir('empty')
    medley('info', 'empty', status=(1, 4), says='empty')
    equal(os.listdir('empty'), [], 'left in a folder that is no workspace')


def a_damaged_database():
    new_shop()
    write('shop/medley.db', b'this is not a database' * 100)
    for extra in ('medley.db-wal', 'medley.db-shm'):
        pathlib.Path('shop', extra).unlink(missing_ok=True)
    medley('info', 'shop', status=1, says='medley.db')
    equal(medley('doctor', 'shop', '--json', status=1).json()['ok'], False, 'doctor')


def bad_settings():
    new_shop()
    write('shop/medley.conf', '[train\nseed = 1\n')
    medley('info', 'shop', status=(1, 2), says='medley.conf')


def files_that_cannot_be_read():
    new_shop()
    before = counts()
    rows = [
        (['items', 'missing.csv'], (4,), 'missing.csv'),
        (['items', write('empty.csv', '')], (1,), "empty.csv' is empty"),
        (['items', write('head.csv', 'item,title\n')], (1,), "head.csv' has no rows below its header"),
        (['items', write('clicks.csv', 'user,item,time\nu,i,5\n')], (1,), 'import them as events'),
        (['links', write('links.csv', 'a,b\nu,v\n')], (1,), 'the columns are a, b'),
        (['items', write('cut.csv.gz', gzip.compress(b'item,title\n' + b'a,b\n' * 9999)[:60])], (1,), 'cut.csv.gz'),
        (['items', write('other.csv', 'foo,bar\n1,2\n')], (1, 2), 'other.csv'),
        (['items', write('x.csv', 'item,title\n1,2\n'), '--map', 'item=nothing'], (1, 2, 4), 'nothing'),
        (['items', write('y.csv', 'item,title\n1,2\n'), '--map', 'nonsense=title'], (1, 2), 'nonsense'),
        (['items', write('z.csv', 'item,title\n1,2\n'), '--format', 'parquet'], (1, 2, 4), 'parquet'),
        (['vectors', write('short.npy', npy('<f4', '(5, 3)')[:-4])], (1,), 'short.npy'),
        (['vectors', write('fortran.npy', npy('<f4', '(5, 3)', 'True'))], (1,), 'fortran'),
        (['vectors', write('pickle.npy', npy('|O', '(5,)'))], (1,), 'pickle.npy'),
        (['vectors', write('huge.npy', npy('<f4', '(99999999999, 99999999999)'))], (1,), 'huge.npy'),
        (['vectors', write('junk.npy', b'\x93NUMPY\x09\x09junk')], (1,), 'junk.npy'),
    ]
    for words, status, sentence in rows:
        done = medley('import', 'shop', *words, status=status, says=sentence)
        check(done.err.count('\n') == 1 and len(done.err) < 1200, f'not one sentence: {done}')
        equal(counts(), before, f'{words}: the workspace changed')


def npy(kind, shape, fortran='False'):
    head = f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}".ljust(117) + '\n'
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + b'\0' * 60


def rejected_rows():
    new_shop()
    lines = ['user,item,type,value,time',
             'u1,i1,click,1,1735689600',
             'u1,,click,1,1735689600',
             'u1,i2,rate,many,1735689600',
             'u1,i3,click,1,yesterday',
             'u2,' + 'x' * 600 + ',click,1,1735689600',
             'u2,i4,click,1,2025-01-01T00:00:00Z']
    write('events.csv', '\n'.join(lines) + '\n')
    done = medley('import', 'shop', 'events', 'events.csv', '--errors', 'rejects.jsonl', '--json', '--dry-run', status=3)
    equal(counts()[2], 0, 'events after a dry run')
    done = medley('import', 'shop', 'events', 'events.csv', '--errors', 'rejects.jsonl', '--json', status=3)
    report = done.json()
    equal((report['accepted'], report['rejected'], sum(report['reasons'].values())), (2, 4, 4), f'report: {report}')
    equal(json.loads(done.err.splitlines()[-1])['error']['status'], 'rejected', 'status')
    rejects = [json.loads(line) for line in pathlib.Path('rejects.jsonl').read_text().splitlines()]
    equal([r['line'] for r in rejects], [3, 4, 5, 6], 'lines')
    check(all(r['reason'] for r in rejects), str(rejects))
    equal(counts()[2], 2, 'events')
    medley('import', 'shop', 'events', 'events.csv', '--again', '--allow-rejects', 4, says='4 rejected')
    medley('import', 'shop', 'events', 'events.csv', '--again', '--allow-rejects', 3, status=3)


def rejected_lines_of_json():
    new_shop(items=False)
    rows = [b'{"id": "a", "title": "fine"}', b'{"id": "b", "title":', b'["c"]', b'{"title": "no key"}', b'{"id": "d", "title": "\xff\xfe"}',
            b'{"id": ' + b'[' * 200 + b']' * 200 + b'}', b'{"id": "e", "title": "fine too"}']
    write('items.jsonl', b'\n'.join(rows) + b'\n')
    report = medley('import', 'shop', 'items', 'items.jsonl', '--errors', 'rejects.jsonl', '--json', status=3).json()
    check(report['accepted'] >= 2 and report['rejected'] >= 4, str(report))
    rejects = [json.loads(line) for line in pathlib.Path('rejects.jsonl').read_text().splitlines()]
    lines = [r['line'] for r in rejects]
    equal([r['row'] for r in rejects if r['line'] in (2, 4)], ['{"id": "b", "title":', {'title': 'no key'}], 'rejected rows')
    check({2, 3, 4, 6} <= set(lines) and not {1, 7} & set(lines), f'rejected lines {lines}')


def strangers_in_events():
    new_shop()
    write('events.csv', 'user,item\nu1,i1\nu1,unknown\n')
    medley('import', 'shop', 'events', 'events.csv', '--strict', status=3)
    equal(counts()[0], 20, 'items')


def missing_media_are_counted():
    new_shop(items=False)
    write('pictures/i1.jpg', b'not read before training')
    write('items.jsonl', ITEMS)
    report = medley('import', 'shop', 'items', 'items.jsonl', '--image', 'pictures/{item}.jpg', '--json').json()
    equal((report['rejected'], report['media']['image']['found'], report['media']['image']['missing']), (0, 1, 19), f'report: {report}')


def a_broken_picture_costs_one_item():
    """Training goes on without it, and says so."""
    new_shop(items=False)
    write('pictures/i1.jpg', b'\xff\xd8\xff\xe0 broken')
    write('items.jsonl', ITEMS)
    medley('import', 'shop', 'items', 'items.jsonl', '--image', 'pictures/{item}.jpg')
    write('events.csv', EVENTS)
    medley('import', 'shop', 'events', 'events.csv')
    done = medley('train', 'shop')
    check('i1' in done.err or '1' in done.out, str(done))
    medley('recommend', 'shop', '--user', 'u1', says='score')


def answers_without_what_they_need():
    new_shop()
    for words in (['recommend', 'shop', '--user', 'u1'], ['search', 'shop', '--text', 'x'], ['similar', 'shop', 'i1'],
                  ['explain', 'shop', 'u1', 'i1']):
        medley(*words, status=4, says='train')
    medley('evaluate', 'shop', status=2, says='events')
    medley('evaluate', 'shop', '--cold-items', 'missing', status=(2, 4))
    medley('search', 'shop', '--image', 'missing.jpg', status=4)
    medley('event', 'shop', 'u1', 'click', 'unknown', status=4, says='unknown')
    medley('event', 'shop', 'u1', 'click', 'i1', '--value', 'much', status=2, says='much')
    medley('event', 'shop', 'u' * 600, 'click', 'i1', status=(1, 2))
    equal(counts()[1:], (0, 0), 'users and events')
    medley('export', 'shop', 'no/such/folder/x', status=(1, 4), env={'MEDLEY_PASSPHRASE': 'x'})
    medley('export', 'shop', 'x', status=2, env={'MEDLEY_PASSPHRASE': ''}, says='empty')
    medley('restore', write('junk', b'junk' * 1000), 'back', status=1, env={'MEDLEY_PASSPHRASE': 'x'}, says='junk')
    check(not os.path.exists('back') and not os.path.exists('x'), 'something was left')


def evaluation_asked_wrongly():
    new_shop()
    write('events.csv', EVENTS)
    medley('import', 'shop', 'events', 'events.csv')
    medley('evaluate', 'shop', '--metrics', 'recal@20', status=2, says='recal')
    medley('evaluate', 'shop', '--ensemble', 'oracle', status=2, says=['oracle', 'medley list ensemble'])
    medley('evaluate', 'shop', '--models', 'eaze', status=(2, 4), says='eaze')
    medley('evaluate', 'shop', '--cold-items', write('cold', 'i1\nunknown\n'), status=1, says=['cold line 2', 'unknown'])
    medley('evaluate', 'shop', '--cold-items', write('none', '\n'), status=1, says='none')
    medley('train', 'shop', '--models', 'eaze', status=(2, 4), says='eaze')
    equal(medley('info', 'shop', '--json').json().get('generation') or 0, 0, 'generation')


if __name__ == '__main__':
    sys.exit(run_tests([workspaces, a_damaged_database, bad_settings, files_that_cannot_be_read, rejected_rows, rejected_lines_of_json,
                        strangers_in_events, missing_media_are_counted, a_broken_picture_costs_one_item, answers_without_what_they_need,
                        evaluation_asked_wrongly]))
