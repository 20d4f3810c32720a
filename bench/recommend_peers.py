#!/usr/bin/env python3
"""bench/recommend_peers.py: our ials and bpr beside implicit's: the same events, dimensions and threads, one run.

    PYTHON bench/recommend_peers.py --data FILE.inter [--ours build-bench/bench/bench_recommend] [--works ials,bpr]
                                    [--dim 64] [--rounds 7] [--sweeps 8] [--epochs 10] [--threads 2]

PYTHON has numpy, scipy and implicit (`pip install implicit` in an environment outside the project). FILE.inter has a line of
names and then lines "user item label", numbers from 0; label 0 is learned from, 2 is what must be found, 1 is left out (MMRec's
format; --valid takes 1 for what must be found, for choosing settings). Build ours with
`meson setup build-bench -Dtests=false -Dbench=true` and `ninja -C build-bench bench/bench_recommend`.

How: each side is a process of its own that has read the events and waits. Fits go round, one side after the other, beginning with
the other one each round; ratios are taken inside a round, theirs / ours, and their median stands in the table with the least and
the most. Seconds are of one sweep (ials) or one epoch (bpr: as many triples as there are events): those of a long fit less those of a
short one, so that what is done once (drawing the start, looking at the data, our fold-in) is not counted as theirs or ours. Memory is the
most the process held while it fitted, and in brackets how much more that is than right before. Recall@20 and NDCG@20 are of the long fit, all
items ranked but those learned from: ours answers from the history alone, implicit by the vectors of people that it trained.
--accuracy-sweeps and --accuracy-epochs say how long the fits are whose accuracy is told.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent


# ---- implicit, in a process of its own ----

def events(path, asked):
    import numpy as np
    import scipy.sparse as sp
    rows = np.loadtxt(path, dtype=int, skiprows=1)
    shape = tuple(rows[:, :2].max(0) + 1)

    def matrix(label):
        part = rows[rows[:, 2] == label]
        return sp.csr_matrix((np.ones(len(part), np.float32), (part[:, 0], part[:, 1])), shape)
    return matrix(0), matrix(asked)


def quality(model, train, asked, k=20):
    import numpy as np
    users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
    discount, recall, ndcg, count = 1 / np.log2(np.arange(2, k + 2)), 0, 0, 0
    for u in np.flatnonzero(np.diff(asked.indptr)):
        wanted = asked.indices[asked.indptr[u]:asked.indptr[u + 1]]
        scores = items @ users[u]
        scores[train.indices[train.indptr[u]:train.indptr[u + 1]]] = -np.inf
        top = np.argsort(-scores, kind='stable')[:k]
        hit = np.isin(top, wanted)
        recall += hit.sum() / len(wanted)
        ndcg += (hit * discount).sum() / discount[:min(k, len(wanted))].sum()
        count += 1
    return recall / count, ndcg / count


def peak():
    return int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]) * 1024


def peak_reset():
    with open('/proc/self/clear_refs', 'w') as out:
        out.write('5')


def worker(options):
    import implicit
    train, asked = events(options.data, 1 if options.valid else 2)
    print(json.dumps({'ready': implicit.__version__}), flush=True)
    for line in sys.stdin:
        count, measured = int(line.split()[1]), line.startswith('measure')
        if options.worker == 'ials':
            # The same objective: unobserved pairs weigh α₀ beside an event's 1, so an event weighs 1 + 1/α₀ beside their 1.
            model = implicit.als.AlternatingLeastSquares(factors=options.dim, regularization=options.als_ridge, iterations=count,
                                                         num_threads=options.threads, random_state=1, use_gpu=False)
            data = train.copy()
            data.data[:] = 1 + 1 / options.unobserved
        else:
            model = implicit.bpr.BayesianPersonalizedRanking(factors=options.dim, learning_rate=options.rate,
                                                             regularization=options.shrinkage, iterations=count,
                                                             num_threads=options.threads, random_state=1, use_gpu=False)
            data = train
        peak_reset()
        base, started = peak(), time.perf_counter()
        model.fit(data, show_progress=False)
        reply = {'seconds': time.perf_counter() - started, 'base_bytes': base, 'peak_bytes': peak()}
        if measured:
            reply['recall'], reply['ndcg'] = quality(model, train, asked)
        print(json.dumps(reply), flush=True)


# ---- both sides ----

class Side:
    """A process that fits when asked."""

    def __init__(self, options, work, ours, count):
        environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads), OPENBLAS_NUM_THREADS='1', OMP_WAIT_POLICY='passive')
        self.count = count
        if ours:
            environment['OPENBLAS_NUM_THREADS'] = str(options.threads)
            own = {'ials': f'ials:dim={options.dim},sweeps={count},unobserved={options.unobserved},regularisation={options.ridge}',
                   'bpr': f'bpr:dim={options.dim},epochs={count},draws=1,popular=0,rate={options.rate},regularisation={options.shrinkage}'}
            command = [str(options.ours), options.data, '--worker', '--ask', 'valid' if options.valid else 'test', own[work]]
        else:
            command = [sys.executable, __file__, '--worker', work, *options.arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        json.loads(self.process.stdout.readline())

    def fit(self, measure=False):
        print('measure' if measure else 'fit', self.count, file=self.process.stdin, flush=True)
        reply = json.loads(self.process.stdout.readline())
        if 'model' in reply:   # ours
            reply.update(seconds=reply['seconds'][0], recall=reply.get('recall@20'), ndcg=reply.get('ndcg@20'))
        return reply

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(options, work):
    short, long = (2, 2 + options.sweeps) if work == 'ials' else (2, 2 + options.epochs)
    sides = {(ours, count): Side(options, work, ours, count) for ours in (True, False) for count in (short, long)}
    for side in sides.values():
        side.fit()
    each, ratios, held, added = {True: [], False: []}, [], {True: 0, False: 0}, {True: 0, False: 0}
    for number in range(options.rounds):
        for ours in ((True, False), (False, True))[number % 2]:
            fits = [sides[ours, count].fit() for count in (short, long)]
            each[ours].append((fits[1]['seconds'] - fits[0]['seconds']) / (long - short))
            held[ours] = max(held[ours], fits[1]['peak_bytes'])
            added[ours] = max(added[ours], fits[1]['peak_bytes'] - fits[1]['base_bytes'])
        ratios.append(each[False][-1] / each[True][-1])
    for side in sides.values():
        side.close()
    for ours in (True, False):
        side = Side(options, work, ours, options.accuracy_sweeps if work == 'ials' else options.accuracy_epochs)
        found = side.fit(measure=True)
        side.close()
        print(f'{work:5} {"ours" if ours else "implicit":9} {statistics.median(each[ours]) * 1000:9.2f} ms each, '
              f'{held[ours] / 1e6:6.0f} MB ({added[ours] / 1e6:.1f} for the fit), R@20 {found["recall"]:.4f}, N@20 {found["ndcg"]:.4f} after {side.count}, '
              f'{found["seconds"]:.2f} s in all')
    print(f'{work:5} ratio     {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f} of {len(ratios)})', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', required=True)
    parser.add_argument('--ours', type=pathlib.Path, default=HERE.parent / 'build-bench/bench/bench_recommend')
    parser.add_argument('--works', default='ials,bpr')
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    parser.add_argument('--valid', action='store_true')
    for name, kind, value, what in (('dim', int, 64, 'dimensions of the factors'), ('threads', int, 2, 'of each side'),
                                    ('rounds', int, 7, ''), ('sweeps', int, 8, 'more in a long fit of ials than in a short one'),
                                    ('epochs', int, 10, 'the same for bpr'), ('accuracy-sweeps', int, 8, ''),
                                    ('accuracy-epochs', int, 50, ''), ('unobserved', float, 0.2, "ials: α₀"),
                                    ('ridge', float, 0.01, 'ials: λ of ours, by the size of a row'),
                                    ('als-ridge', float, 5, "ials: implicit's regularisation, the same for all rows"),
                                    ('rate', float, 0.05, 'bpr: learning rate'), ('shrinkage', float, 0.01, 'bpr: λ')):
        parser.add_argument('--' + name, type=kind, default=value, help=what or None)
    options = parser.parse_args()
    options.arguments = [a for a in sys.argv[1:] if not a.startswith('--worker')]
    if options.worker:
        return worker(options)
    for work in options.works.split(','):
        compare(options, work)


if __name__ == '__main__':
    main()
