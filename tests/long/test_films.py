#!/usr/bin/env python3
"""The main job on the real films, with the lines that the documentation gives, held against its bars.

Imports films, posters, users and events, trains, evaluates on the given split and on cold items, asks and searches, and prints
what was reached beside the bar. Exit status 1 when a bar is missed, 77 when the data are not there. Environment: MEDLEY_COMMAND,
MEDLEY_DATA, ANSWER_SPEED (the program of answer_speed.c). FILMS_WORKSPACE: a folder to keep the workspace in."""
import gzip, json, os, pathlib, subprocess, sys, tempfile, time

MEDLEY = os.environ['MEDLEY_COMMAND']
MOVIES = pathlib.Path(os.environ['MEDLEY_DATA']) / 'movies'
SPEED = os.environ['ANSWER_SPEED']
USERS, EVENTS = 6040, 998539

# Of a plain-Python reference on the same split: no model of ours may be worse than the same model there.
REFERENCE = {'popular': (.1142, .1900), 'itemknn': (.2265, .3495), 'ials': (.2702, .3929), 'ease': (.2748, .4129),
             'blend': (.2800, .4190)}
COLD = (.4300, .2420)
IMPORT_S, TRAIN_S, MEDIAN_MS, P99_MS = 60, 60, 1, 5
EVENTS_A_SECOND = 100_000  # half of the bar

missed = []


class Failed(Exception):
    pass


def row(what, reached, bar, fine):
    """One line of the table; remembers what fell short."""
    print(f'{what:<44}{reached:>18}{bar:>18}  {"ok" if fine else "MISSED"}', flush=True)
    if not fine:
        missed.append(what)


def medley(*words):
    """Runs the command, which must succeed; returns (standard output, seconds)."""
    start = time.monotonic()
    done = subprocess.run([MEDLEY, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(f'medley {" ".join(map(str, words))}: exit {done.returncode}: {done.stderr[-1000:].strip()}')
    return done.stdout, time.monotonic() - start


def pair(report):
    metrics = report['metrics']
    return round(metrics['recall@20']['mean'], 4), round(metrics['ndcg@20']['mean'], 4)


def show(numbers):
    return ' / '.join(f'{n:.4f}' for n in numbers)


def import_all(films):
    medley('init', films)
    took = [medley('import', films, 'items', MOVIES / 'movies.tsv', '--map', 'item=movie_id,title=title,text=description,tags=genres',
                   '--image', 'posters/{item}.jpg')[1],
            medley('import', films, 'users', MOVIES / 'users.tsv', '--map', 'user=user_id')[1],
            medley('import', films, 'events', MOVIES / 'interactions.tsv.gz', '--map', 'user=user_id,item=movie_id,split=split',
                   '--type', 'watch')[1]]
    # A million rows with the start of the command and the creating of users; bench_import tells the bare rate. The bound is generous because
    # the machine may be busy.
    rate = EVENTS / took[2]
    row('import of events, a second', f'{rate:,.0f}', f'> {EVENTS_A_SECOND:,}', rate > EVENTS_A_SECOND)
    row('import, seconds', f'{sum(took):.1f}', f'< {IMPORT_S}', sum(took) < IMPORT_S)


def train(films):
    _, seconds = medley('train', films)
    row('train with encoders, seconds', f'{seconds:.1f}', f'< {TRAIN_S}', seconds < TRAIN_S)


def answers_in_time(films):
    done = subprocess.run([SPEED, films, str(USERS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(f'answer_speed: {done.stderr.strip()}')
    speed = json.loads(done.stdout)
    row('recommend in a process, median ms', f'{speed["median_ms"]:.3f}', f'< {MEDIAN_MS}', speed['median_ms'] < MEDIAN_MS)
    row('recommend in a process, p99 ms', f'{speed["p99_ms"]:.3f}', f'< {P99_MS}', speed['p99_ms'] < P99_MS)


def ask(films):
    answer, _ = medley('recommend', films, '--user', 1, '--count', 10, '--why')
    row('recommend --user 1 --count 10 --why', f'{len(answer.splitlines())} lines', '> 10', len(answer.splitlines()) > 10)


def search(films):
    hits = json.loads(medley('search', films, '--text', 'space adventure with robots', '--json')[0])['results']
    row('search --text "space adventure with robots"', f'{len(hits)} results', '10', len(hits) == 10)


def evaluate(films):
    report = json.loads(medley('evaluate', films, '--split', 'given', '--json')[0])
    reached = {model['model']: pair(model) for model in report['models']}
    for model, bar in REFERENCE.items():
        mine = reached.get(model)
        row(f'given split, {model}: recall@20 / ndcg@20', show(mine) if mine else 'not measured', show(bar),
            mine is not None and mine[0] >= bar[0] and mine[1] >= bar[1])
    for model in reached.keys() - REFERENCE.keys():
        print(f'{"  beside them, " + model:<44}{show(reached[model]):>18}')


def evaluate_cold(films, folder):
    cold = folder / 'cold.txt'
    # Films without any event are no candidates: the reference ranks the 325 that people have seen.
    with gzip.open(MOVIES / 'interactions.tsv.gz', 'rt', encoding='utf-8') as lines:
        ids = {int(line.split('\t')[1]) for line in lines if line[0].isdigit()}
    cold.write_text(''.join(f'{i}\n' for i in sorted(ids) if i % 10 == 3))
    report = json.loads(medley('evaluate', films, '--cold-items', cold, '--json')[0])
    mine = pair(report)
    row('cold items, blend: recall@20 / ndcg@20', show(mine), show(COLD), mine[0] >= COLD[0] and mine[1] >= COLD[1])
    row('cold items: items / users', f'{report["cold_items"]} / {report["users"]}', '325 / 4691',
        (report['cold_items'], report['users']) == (325, 4691))


def main():
    if not (MOVIES / 'movies.tsv').exists():
        print(f'skipped: {MOVIES} is not there', file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix='medley-films-') as temporary:
        folder = pathlib.Path(os.environ.get('FILMS_WORKSPACE', temporary))
        folder.mkdir(parents=True, exist_ok=True)
        films = folder / 'films'
        print(f'{"":<44}{"reached":>18}{"bar":>18}')
        steps = [lambda: train(films), lambda: answers_in_time(films), lambda: ask(films), lambda: search(films),
                 lambda: evaluate(films), lambda: evaluate_cold(films, folder)]
        if not films.exists():
            steps.insert(0, lambda: import_all(films))
        for step in steps:
            try:
                step()
            except Failed as failure:
                print(failure, flush=True)
                missed.append(str(failure).split(':')[0])
    print(f'{len(missed)} bars missed' + ''.join(f'\n    {what}' for what in missed))
    return 1 if missed else 0


sys.exit(main())
