#!/usr/bin/env python3
"""All recommenders on the real click and rating data: accuracy, seconds and peak memory, beside the bars that are to be reached.

    make bench-models [ARGS='--seeds 3 --sets tiktok,baby,video-games --models ease,graph_filter --output table.md']

Makes a workspace a data set in a scratch folder out of ../shared/data and runs `medley bench models` on it: fitted on the training part, tuned on
validation only (the events marked so for clicks, a part of the training events elsewhere), all items ranked, training items left out. Of
video-games, whose events come in order, each person's last one is asked for and all others are learned from. The closing lines hold the best single
model and the blend against the bars; that of video-games is a SASRec in PyTorch (PERFORMANCE.md, "Trained recommenders"), which the best sequence
model must reach.
"""
import argparse, gzip, json, os, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get('MEDLEY_DATA', ROOT / '..' / 'shared' / 'data')).resolve()
FIRST_S = 1_000_000_000   # of made-up times; small numbers would be taken for something else
SEQUENCE = ('sasrec', 'gru4rec')
# set: (options of `medley bench models`, bar of the best single model, bar of the ensemble), each recall@20 and ndcg@20; models the first bar is for
SETS = {
    'tiktok': (['--split', 'given', '--hold-valid'], (.1100, .0455), (.1135, .0462), None),
    'baby': (['--split', 'given', '--hold-valid'], (.0870, .0400), (.0890, .0410), None),
    'movies': (['--split', 'given'], (.2810, .4200), (.2870, .4250), None),
    'movies-cold': (['--split', 'given'], (.4400, .2450), (.4500, .2500), None),
    'ml-100k': (['--split', 'random'], None, None, None),
    'video-games': (['--split', 'leave-one-out'], (.0987, .0396), None, SEQUENCE),
}


def clicks_folder(name, folder):
    """A folder as MMRec has them: interactions with a column for the part, features beside."""
    source = DATA / 'clicks' / name
    with open(folder / f'{name}.inter', 'w') as out:
        out.write('userID\titemID\tx_label\n')
        for label, part in enumerate(('train', 'valid', 'test')):
            for line in open(source / f'{part}.tsv'):
                out.write('\t'.join(line.split()[:2]) + f'\t{label}\n')
    for features in source.glob('*_feat.npy'):
        (folder / features.name).symlink_to(features)
    return [folder]


def sequences(folder):
    """Lines "user item", a person's events in their order, with that order as time."""
    path = folder / 'events.csv'
    with gzip.open(DATA / 'clicks' / 'video-games' / 'sequences.txt.gz', 'rt') as lines, open(path, 'w') as out:
        out.write('user,item,time\n')
        for number, line in enumerate(lines):
            out.write(','.join(line.split()) + f',{FIRST_S + number}\n')
    return path


def imports_of(name, folder):
    """The words behind `medley import WORKSPACE`, a list a call."""
    movies, ratings = DATA / 'movies', DATA / 'clicks' / 'ml-100k'
    if name in ('tiktok', 'baby'):
        return [clicks_folder(name, folder)]
    if name == 'ml-100k':
        return [['items', ratings / 'items.csv', '--map', 'item=itemId,title=title,tags=genre'],
                ['events', ratings / 'ratings.csv', '--map', 'user=userId,item=itemId,value=rating', '--type', 'rate']]
    if name == 'video-games':
        return [['events', sequences(folder), '--type', 'click']]
    return [['items', movies / 'movies.tsv', '--map', 'item=movie_id,title=title,text=description,tags=genres', '--image', 'posters/{item}.jpg'],
            ['users', movies / 'users.tsv', '--map', 'user=user_id'],
            ['events', movies / 'interactions.tsv.gz', '--map', 'user=user_id,item=movie_id,split=split', '--type', 'watch']]


def cold_keys(folder):
    """Every tenth film, of those that somebody has seen."""
    with gzip.open(DATA / 'movies' / 'interactions.tsv.gz', 'rt', encoding='utf-8') as lines:
        ids = {int(line.split('\t')[1]) for line in lines if line[0].isdigit()}
    path = folder / 'cold.txt'
    path.write_text(''.join(f'{i}\n' for i in sorted(ids) if i % 10 == 3))
    return path


def medley(command, *words):
    return subprocess.run([command, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True).stdout


def bar_line(name, what, row, bar):
    reached = [row['metrics'][m]['mean'] for m in ('recall@20', 'ndcg@20')]
    held = all(r >= b for r, b in zip(reached, bar))
    print(f'{name:12} {what:9} {row["model"]:14} {reached[0]:.4f}/{reached[1]:.4f}  bar {bar[0]:.4f}/{bar[1]:.4f}  {"held" if held else "MISSED"}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--command', default=ROOT / 'build' / 'medley')
    parser.add_argument('--sets', default=','.join(SETS))
    parser.add_argument('--seeds', default='3')
    parser.add_argument('--models', help='all that accept the data')
    parser.add_argument('--threads', default='2')
    parser.add_argument('--output', help='the tables as Markdown')
    options = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f'skipped: no data in {DATA}')
    tables, lines = [], []
    with tempfile.TemporaryDirectory(prefix='medley-bench-') as scratch:
        for name in options.sets.split(','):
            wanted, single, ensemble, able = SETS[name]
            folder = pathlib.Path(scratch) / f'{name}-files'
            folder.mkdir()
            shop, table = pathlib.Path(scratch) / name, folder / 'table.md'
            medley(options.command, 'init', shop, '-q')
            for words in imports_of(name, folder):
                medley(options.command, 'import', shop, *words, '-q')
            if name == 'movies-cold':
                wanted = [*wanted, '--cold-items', cold_keys(folder)]
            if options.models:
                wanted = [*wanted, '--models', options.models]
            report = json.loads(medley(options.command, 'bench', 'models', shop, *wanted, '--seeds', options.seeds, '--threads', options.threads,
                                       '--output', table, '--json'))
            tables.append(table.read_text().replace(str(shop), name))
            print(tables[-1], flush=True)
            rows = report['sets'][0]['models']
            singles = [row for row in rows if row['model'] != 'blend' and (able is None or row['model'] in able)]
            if single and singles:
                lines.append((name, 'single', singles[0], single))
            for row in rows:
                if row['model'] == 'blend' and ensemble:
                    lines.append((name, 'ensemble', row, ensemble))
    for line in lines:
        bar_line(*line)
    if options.output:
        pathlib.Path(options.output).write_text('\n'.join(tables))


main()
