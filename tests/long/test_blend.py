#!/usr/bin/env python3
"""The blend against its best member on the test part, on made-up catalogues of several seeds; strangers; reasons.

For every split the recall@20 of the blend, as a mean over the seeds, is held against the member with the best mean: at least
.95 of it, for all items and for new ones by themselves where enough people are asked about some. Single seeds are not: a
hundred people tell models apart by a tenth at best. Exit status 1 when something falls short. Environment: MEDLEY_COMMAND."""
import json, os, pathlib, re, statistics, subprocess, sys, tempfile

MEDLEY = os.environ['MEDLEY_COMMAND']
SEEDS = range(1, 4)
SPLITS = ('cold-item', 'global-time', 'leave-one-out', 'user-time', 'user-random', 'cold-user')
SHARE = .95
ASKED_MIN = 100  # people a seed, for a slice to be judged
CONTENT = ('text', 'image', 'audio', 'video')
missed = []


def medley(*words):
    done = subprocess.run([MEDLEY, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f'medley {" ".join(map(str, words))}: exit {done.returncode}: {done.stderr[-800:]}')
    return done.stdout


def row(what, reached, least):
    fine = reached >= least
    print(f'{what:<58}{reached:>9.4f}{least:>9.4f}  {"ok" if fine else "MISSED"}', flush=True)
    if not fine:
        missed.append(what)


def shop_make(folder, seed):
    catalogue, shop = folder / f'catalogue{seed}', folder / f'shop{seed}'
    medley('sample', catalogue, '--seed', seed)
    medley('init', shop)
    medley('import', shop, 'items', catalogue / 'items.jsonl')
    medley('import', shop, 'users', catalogue / 'users.csv', '--map', 'user=id')
    medley('import', shop, 'events', catalogue / 'events.csv')
    return shop


def figure(model, part):
    """recall@20 of a model, as (value, people), on the whole or on a slice; None when nobody is asked."""
    where = model if part == 'all' else model['slices'].get(part)
    found = where and where['metrics'].get('recall@20')
    return (found['mean'], where['users']) if found else None


def split_hold(shops, split):
    reports = [json.loads(medley('evaluate', shop, '--split', split, '--metrics', 'recall@20', '--json')) for shop in shops]
    for part in ('all', 'cold'):
        values = {}
        for report in reports:
            for model in report['models']:
                found = figure(model, part)
                if found and found[1] >= min(ASKED_MIN, report['users']):
                    values.setdefault(model['model'], []).append(found[0])
        means = {name: statistics.mean(v) for name, v in values.items() if len(v) == len(reports)}
        if 'blend' not in means:
            continue
        blend = means.pop('blend')
        best = max(means, key=means.get)
        row(f'{split}, {part} items: blend against {best}', blend, SHARE * means[best])


def answers_hold(shop):
    medley('train', shop)
    answers = [json.loads(medley('recommend', shop, '--user', f'u{u}', '--why', '--json')) for u in range(1, 21)]
    results = [r for a in answers for r in a['results']]
    for r in results:
        told = [float(n) for n in re.findall(r'\(\w+ ([+-][0-9.]+)\)', r['why'])]
        if any(n < 0 for n in told):
            missed.append(f'a reason against what is recommended: {r["why"]}')
    names = [{p['name'] for p in r['parts']} if isinstance(r['parts'], list) else set(r['parts']) for r in results]
    row('share of results with a part of some content', sum(bool(n & set(CONTENT)) for n in names) / len(names), .5)
    row('share of results whose reasons name words, looks or sound',
        sum(any(f'({c} ' in r['why'] for c in CONTENT) for r in results) / len(results), .25)
    stranger = json.loads(medley('recommend', shop, '--user', 'nobody', '--why', '--json'))
    parts = {p['name'] for r in stranger['results'] for p in r['parts']} if isinstance(stranger['results'][0]['parts'], list) \
        else {n for r in stranger['results'] for n in r['parts']}
    row('strangers are told what is popular', float('popularity' in parts), 1)


def main():
    with tempfile.TemporaryDirectory(prefix='medley-blend-') as temporary:
        folder = pathlib.Path(temporary)
        shops = [shop_make(folder, seed) for seed in SEEDS]
        print(f'{"":<58}{"reached":>9}{"least":>9}')
        for split in SPLITS:
            split_hold(shops, split)
        answers_hold(shops[0])
    print(f'{len(missed)} missed' + ''.join(f'\n    {what}' for what in missed))
    return 1 if missed else 0


sys.exit(main())
