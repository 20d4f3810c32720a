#!/usr/bin/env python3
"""bench/index_peers.py: our index beside hnswlib, FAISS and usearch: same vectors, same machine, one run.

    PYTHON bench/index_peers.py --vectors FOLDER [--ours build-bench/bench/bench_index] [--sets patches128,mixture128]
    PYTHON bench/index_peers.py --table FILE.jsonl          the tables of an earlier run

PYTHON has numpy and, unless --python names another that has them, hnswlib, faiss-cpu and usearch. FOLDER holds for each
set NAME_base.npy and NAME_query.npy, f32 [n, dim], and NAME_truth_cos.npy, int32 [queries, 100] (made when it is
missing). Everything this program makes goes to FOLDER/cache: built indices with what their building cost, truths of
smaller sets (--rows), masks. --debian PYTHON[:FOLDER] adds the distribution's packages, hnswlib-debian and
faiss-debian, imported by that interpreter with FOLDER on its path. --hnswlib-include FOLDER is where hnswlib/hnswlib.h
lies (0.7 or newer): its filtered search is measured when it is there.

What is measured (--measures, all of them when nothing is said):
  build   seconds and bytes beside the vectors for the first --build-rows of a set, for each of --threads; bytes of small
          sets are those of a third build in one process
  hnsw    queries/s at recall@10 of 0.95 and 0.99: recall over a grid of ef first, then the two grid points around each
          target are timed, and queries/s read off between them (log q/s over log of what is missing to 1)
  filter  recall and queries/s where 10 %, 1 %, 0.1 % and 0.01 % of the rows may be answered, drawn at random and as the
          rows nearest to one row ("near": the queries are elsewhere, so what passes lies off every path)
  ivfpq   inverted lists of product codes, ours and FAISS's of as many lists (the root of the rows) and bytes a code (an eighth of
          the dimensions), the best compared again in full: build seconds, and queries/s of the fastest setting that
          reaches a recall@10 of 0.90, 0.95 and 0.99, one query at a time and all in one call
  exact   queries/s looking at everything, one query and 256 at a time; `roof` is what
          memory gives (one query: the rows are read, no more) and BLAS (256: the bare matrix product)

How: each peer is a process of its own that holds its index and waits (index_worker.py has the protocol, which
bench_index --worker speaks too). Timings go round: one peer after the other, --reps rounds, beginning with another one
each round, so that what else the machine does falls on all; said are the median and the least and most. Ratios are
taken inside a round, ours / the best peer, and their median is what the table shows. Recall counts an answer as right
when it scores no less than the tenth of the truth (blank patches are many and equal). Build seconds of whole sets
stand in the cache with the load that the machine had and are measured again with --rebuild. Processor time is kept
beside the clock's: where others work on the machine, its ratio still says something.

A million rows of 128 take a quarter of an hour to build with each library on two cores; with the indices in the cache,
one set is through in ten to fifteen minutes.
"""
import argparse, collections, datetime, hashlib, json, math, os, pathlib, statistics, subprocess, sys, tempfile, time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
K = 10
TARGETS = (0.95, 0.99)
BREADTHS = (*range(1, K), 10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 68, 80, 96, 112, 136, 160, 192, 224, 272, 320, 448, 640, 896, 1280)
FILTER_BREADTHS = (10, 32, 64, 128, 512)
SELECTIVITIES = (0.1, 0.01, 0.001, 0.0001)
PASS_SECONDS = 0.3   # a timed pass shorter than this is repeated until it is as long
SMALL = 1 << 24      # numbers in a set; below it memory is that of a third build in the same process
PROBE_QUERIES, FILTER_SECONDS = 10, 1.0
LIST_TARGETS = (0.90, 0.95, 0.99)
LISTS_LOOKED_AT, LIST_REFINES = (2, 4, 8, 16, 32, 64, 128), (4, 8, 12, 16, 32, 64)
OURS = ('ours', 'ours-i8', 'ours-ivfpq')
MEASURES = ('build', 'hnsw', 'filter', 'ivfpq', 'exact')
GRAPHS = ['ours', 'ours-i8', 'hnswlib', 'faiss', 'usearch', 'usearch-i8', 'faiss-sq8', 'hnswlib-debian', 'faiss-debian']
TAKES_PART = {'build': GRAPHS, 'hnsw': GRAPHS,
              'filter': ['ours', 'hnswlib', 'faiss', 'faiss-flat'],
              'ivfpq': ['ours-ivfpq', 'faiss-ivfpq'],
              'exact': ['ours', 'faiss', 'faiss-debian', 'roof']}   # usearch has exact search too, ten times slower than FAISS
BYTES = {'ours-i8', 'usearch-i8', 'faiss-sq8'}   # one byte a number instead of four
NOT_RANKED = BYTES | {'ours', 'roof'}            # shown, but never "the best peer"


class Peer:
    """One process behind a pipe. Leaving a `with` ends it."""

    def __init__(self, name, options, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads),
                           HNSWLIB_INCLUDE=options.hnswlib_include)
        if name in OURS:
            command = [str(options.ours), '--worker', name]
        else:
            python, folder = options.python, None
            if name.endswith('-debian'):
                python, _, folder = options.debian.partition(':')
            if folder:
                environment['PYTHONPATH'] = folder
            command = [python, str(HERE / 'index_worker.py'), name.removesuffix('-debian')]
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        version = self.ask(do='hello')['version']
        # Ours changes from build to build without another number: its file says which one it is.
        self.version = version if name not in OURS else hashlib.sha1(options.ours.read_bytes()).hexdigest()[:8]

    def ask(self, **ask):
        print(json.dumps(ask), file=self.process.stdin, flush=True)
        reply = json.loads(self.process.stdout.readline() or '{"error": "the process has ended"}')
        if 'error' in reply:
            raise SystemExit(f'{self.name}: {ask["do"]}: {reply["error"]}')
        return reply

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Peers(list):
    """Several at once, all ended together."""

    def __init__(self, names, options, threads):
        super().__init__()
        try:
            self.extend(Peer(name, options, threads) for name in names)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in self:
            peer.__exit__()


# ---- vectors and truth ----

def unit(rows, metric):
    rows = np.asarray(rows, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30) if metric == 'cos' else rows


def score(queries, rows, metric):
    """[queries, rows], more is nearer."""
    products = queries @ rows.T
    return products if metric == 'cos' else 2 * products - (rows * rows).sum(1)


class Set:
    """One NAME of the folder, cut to the first `rows`: paths, queries, truth."""

    def __init__(self, name, rows, options):
        self.name, self.options, self.metric = name, options, options.metric
        self.base_path, self.query_path = (options.vectors / f'{name}_{part}.npy' for part in ('base', 'query'))
        for path in (self.base_path, self.query_path):
            if not path.exists():
                raise SystemExit(f'{path}: there is no such file: --vectors and --sets name what is there')
        self.base = np.load(self.base_path, mmap_mode='r')
        self.whole = not rows or rows >= len(self.base)
        self.rows, self.dim = len(self.base) if self.whole else rows, self.base.shape[1]
        self.queries = unit(np.load(self.query_path), self.metric)
        # Wide rows cost more; two thousand queries still give the recall to within about 0.002.
        self.count = min(len(self.queries), options.queries or (5000 if self.dim <= 256 else 2000))
        self.label = f'{name}-{self.rows}-{self.metric}'
        self.cache = options.vectors / 'cache'
        self.cache.mkdir(exist_ok=True)

    def data(self):
        return dict(do='data', base=str(self.base_path), query=str(self.query_path), rows=0 if self.whole else self.rows,
                    metric=self.metric)

    def least_scores(self, queries, allowed=None):
        """The score of each query's tenth best (or last, where fewer pass) by looking at everything."""
        best = np.full((len(queries), 0), 0, np.float32)
        chosen = np.arange(self.rows) if allowed is None else np.flatnonzero(allowed)
        step = max(1, (1 << 25) // max(self.dim, len(queries)))
        for start in range(0, len(chosen), step):
            piece = unit(self.base[chosen[start:start + step]], self.metric)
            best = np.concatenate([best, score(queries, piece, self.metric)], axis=1)
            if best.shape[1] > K:
                best = -np.partition(-best, K - 1, axis=1)[:, :K]
        return best.min(axis=1)

    def truth(self):
        """As least_scores, for the first `count` queries; from the folder or the cache where it stands there."""
        if hasattr(self, 'kept_truth'):
            return self.kept_truth
        given, cached = self.options.vectors / f'{self.name}_truth_{self.metric}.npy', self.cache / f'{self.label}-truth.npy'
        queries = self.queries[:self.count]
        if self.whole and given.exists():
            ids = np.load(given)[:self.count, K - 1]
            self.kept_truth = self.score_of(queries, ids[:, None])[:, 0]
        else:
            if not cached.exists() or len(np.load(cached)) < self.count:
                np.save(cached, self.least_scores(queries))
            self.kept_truth = np.load(cached)[:self.count]
        return self.kept_truth

    def score_of(self, queries, ids):
        """[queries, k] of the rows named; -inf where an id is -1."""
        out = np.full(ids.shape, -np.inf, np.float32)
        for start in range(0, len(ids), 500):
            part = ids[start:start + 500]
            flat = unit(self.base[np.clip(part, 0, self.rows - 1).ravel()], self.metric).reshape(*part.shape, self.dim)
            products = np.einsum('qkd,qd->qk', flat, queries[start:start + 500])
            if self.metric == 'l2':
                products = 2 * products - (flat * flat).sum(2)
            out[start:start + 500] = np.where((part >= 0) & (part < self.rows), products, -np.inf)
        return out

    def recall(self, ids, least, possible=K, allowed=None):
        """Share of the `possible` answers found; an id twice, or one that may not be answered, is an error of the peer."""
        for row in ids:
            kept = row[row >= 0]
            if len(set(kept.tolist())) < len(kept):
                raise SystemExit('an answer names a row twice')
            if allowed is not None and not allowed[kept].all():
                raise SystemExit('an answer names a row that the filter forbids')
        near = self.score_of(self.queries[:len(ids)], ids) >= (least - 1e-5 * np.maximum(1, np.abs(least)))[:, None]
        return float(np.minimum(near.sum(1), possible).mean() / possible)

    def mask(self, kind, selectivity):
        """(path, bool [rows]) of the rows that pass: so many at random, or the nearest to one row."""
        wanted = max(1, round(self.rows * selectivity))
        draw = np.random.default_rng(round(1 / selectivity))
        if kind == 'random':
            chosen = draw.choice(self.rows, wanted, replace=False)
        else:
            middle, scores = unit(self.base[draw.integers(self.rows)][None], self.metric), []
            for start in range(0, self.rows, 65536):
                scores.append(score(middle, unit(self.base[start:min(start + 65536, self.rows)], self.metric), self.metric)[0])
            chosen = np.argpartition(-np.concatenate(scores), wanted - 1)[:wanted]
        path = self.cache / f'{self.label}-{kind}-{selectivity}.npy'
        allowed = np.zeros(self.rows, np.uint8)
        allowed[chosen] = 1
        np.save(path, allowed)
        return path, allowed.astype(bool)


# ---- output: a JSON line for each figure, kept for the tables ----

class Record:
    def __init__(self, options):
        self.lines, self.file = [], open(options.out, 'a') if options.out else None

    def say(self, measure, set_, **fields):
        line = dict(measure=measure, set=set_.name, rows=set_.rows, dim=set_.dim, metric=set_.metric, **fields,
                    load=round(os.getloadavg()[0], 2))
        self.lines.append(line)
        text = json.dumps({key: float(f'{value:.6g}') if isinstance(value, float) else value for key, value in line.items()})
        print(text, file=self.file or sys.stdout, flush=True)

    def note(self, text):
        print(f'{datetime.datetime.now():%H:%M:%S} {text}', file=sys.stderr, flush=True)


def spread(values):
    return dict(median=statistics.median(values), low=min(values), high=max(values))


def ratios(rounds):
    """rounds {peer: [a figure a round]}, more is better: ours / the best peer, inside each round; {} without ours."""
    rivals = [name for name in rounds if name not in NOT_RANKED]
    if 'ours' not in rounds or not rivals:
        return {}
    return spread([mine / max(rounds[name][i] for name in rivals) for i, mine in enumerate(rounds['ours'])])


# ---- builds, kept in the cache ----

def build(name, set_, threads, options, record, m, efc, keep=True):
    """Builds in a process of its own, alone; returns what it cost. keep: the index stays in the cache."""
    with Peer(name, options, threads) as peer:
        key = f'{set_.label}-{name}-{peer.version}-m{m}-efc{efc}'
        path, told = set_.cache / f'{key}.index', set_.cache / f'{key}.json'
        if keep and path.exists() and told.exists() and not options.rebuild:
            return path, json.loads(told.read_text())
        if keep:   # of ours each compilation is another version; only the newest is kept
            for old in set_.cache.glob(f'{set_.label}-{name}-*-m{m}-efc{efc}.*'):
                old.unlink()
        record.note(f'{name} builds {set_.label}, M {m}, efConstruction {efc}, {threads} threads')
        peer.ask(**set_.data())
        load = os.getloadavg()[0]
        cost = peer.ask(do='build', m=m, efc=efc, threads=threads, save=str(path))
        if set_.rows * set_.dim < SMALL:   # what a process takes once, whoever's, is no small part of a small index
            for _ in range(2):
                cost['memory_bytes'] = peer.ask(do='build', m=m, efc=efc, threads=threads, save=None)['memory_bytes']
    element = 1 if name in BYTES else 4
    vectors = set_.rows * set_.dim * element
    cost.update(peer=name, version=peer.version, m=m, efc=efc, threads=threads, element=element, load_before=round(load, 2),
                memory_beside=(cost['memory_bytes'] - vectors) / set_.rows, file_beside=(cost['file_bytes'] - vectors) / set_.rows,
                date=f'{datetime.datetime.now():%Y-%m-%d %H:%M}')
    if keep:
        told.write_text(json.dumps(cost))
    else:
        path.unlink()
    return path, cost


def efc_of(name, options):
    return options.ours_efc if name in OURS and options.ours_efc else options.efc


def taking_part(measure, options):
    names = [name for name in options.peers if name in TAKES_PART[measure]]
    if measure == 'filter' and not options.hnswlib_include and 'hnswlib' in names:
        names.remove('hnswlib')   # see index_worker.py: from Python its filter measures Python
    return names


def measure_build(set_, options, record):
    """A part of the set, so that every run builds afresh."""
    part = Set(set_.name, min(options.build_rows, set_.rows), options)
    for threads in options.threads:
        costs = collections.defaultdict(list)
        for turn in range(options.build_reps):
            for name in turned(taking_part('build', options), turn):
                cost = build(name, part, threads, options, record, options.m, efc_of(name, options), keep=False)[1]
                costs[name].append(cost)
        ratio = ratios({name: [1 / cost['seconds'] for cost in list_] for name, list_ in costs.items()})
        for name, list_ in costs.items():
            record.say('build', part, **{**list_[-1], 'threads': threads}, **spread([cost['seconds'] for cost in list_]),
                       cpu=statistics.median(cost['cpu_seconds'] for cost in list_), ratio=ratio if name == 'ours' else {})


def turned(names, turn):
    """Another one begins each round."""
    return names[turn % len(names):] + names[:turn % len(names)]


# ---- searching ----

def open_all(peers, set_, paths):
    for peer in peers:
        peer.ask(**set_.data())
        if peer.name == 'faiss-flat':   # nothing to save: the file would be the vectors once more
            peer.ask(do='build', m=0, efc=0, threads=1, save=None)
        elif peer.name in paths:
            peer.ask(do='open', path=str(paths[peer.name]))


def ensure_memory(names, set_, times=1.4):
    """All hold their index at once: refused here rather than swapped there."""
    needed = sum(set_.rows * set_.dim * (1 if name in BYTES else 4) * times for name in names)
    with open('/proc/meminfo') as lines:
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable'))
    if needed > free:
        raise SystemExit(f'{set_.name}: {len(names)} peers need about {needed / 2**30:.0f} GiB at once, {free / 2**30:.0f} '
                         'are free: name fewer in --peers')


def searched(peer, ids, **ask):
    """(int32 [count, K], the reply)"""
    reply = peer.ask(do='search', k=K, ids=ids, **ask)
    return np.fromfile(ids, np.int32).reshape(ask['count'], K), reply


def curve(peer, set_, threads, ids):
    """[(ef, recall, q/s)] along the grid until nothing more is to be learnt. The first pass warms up."""
    points = []
    peer.ask(do='search', k=K, ef=BREADTHS[0], threads=threads, count=set_.count)
    for ef in BREADTHS:
        found, reply = searched(peer, ids, ef=ef, threads=threads, count=set_.count)
        points.append((ef, set_.recall(found, set_.truth()), set_.count / reply['seconds']))
        wide = [point[1] for point in points if point[0] >= K]   # some follow ten at least
        if points[-1][1] >= max(TARGETS) or (len(wide) > 4 and wide[-1] < wide[-5] + 0.01 < min(TARGETS)):
            break   # there, or hardly rising while far from it (bytes have a ceiling)
    return points


def around(points, target):
    """The grid points between which the target lies: a pair, the same one twice when the first is beyond, or None."""
    for i, (_, recall, _) in enumerate(points):
        if recall >= target:
            return points[max(0, i - 1)], points[i]
    return None


def between(low, high, target, low_rate, high_rate):
    """q/s at the target: log q/s, straight over log(1 - recall)."""
    missing = [math.log(max(1e-6, 1 - recall)) for recall in (low[1], high[1], target)]
    if low[0] == high[0] or low[1] >= high[1]:
        return high_rate
    share = (missing[2] - missing[0]) / (missing[1] - missing[0])
    return math.exp(math.log(low_rate) * (1 - share) + math.log(high_rate) * share)


def rates(peers, curves, set_, threads, options):
    """{peer: {ef: [q/s a round]}} for the points around the targets, all peers in each round."""
    wanted = {name: sorted({point[0] for target in TARGETS for point in around(points, target) or ()})
              for name, points in curves.items()}
    out = {name: collections.defaultdict(list) for name in wanted}
    cpu = {name: collections.defaultdict(list) for name in wanted}
    speeds = {name: {point[0]: point[2] for point in points} for name, points in curves.items()}
    for turn in range(options.reps):
        for peer in turned(list(peers), turn):
            for ef in wanted[peer.name]:
                repeat = max(1, round(PASS_SECONDS * speeds[peer.name][ef] / set_.count))
                reply = peer.ask(do='search', k=K, ef=ef, threads=threads, count=set_.count, repeat=repeat)
                out[peer.name][ef].append(set_.count / reply['seconds'])
                cpu[peer.name][ef].append(threads * set_.count / max(1e-9, reply['cpu_seconds']))
    return out, cpu


def measure_hnsw(set_, options, record):
    names = taking_part('hnsw', options)
    ensure_memory(names, set_)
    for m in options.links:
        built = {name: build(name, set_, max(options.threads), options, record, m, efc_of(name, options)) for name in names}
        for name, (_, cost) in built.items():
            record.say('index', set_, **cost)
        for threads in options.threads:
            hnsw_round(set_, threads, m, {name: path for name, (path, _) in built.items()}, options, record)


def hnsw_round(set_, threads, m, paths, options, record):
    with Peers(paths, options, threads) as peers, tempfile.NamedTemporaryFile() as ids:
        open_all(peers, set_, paths)
        curves = {}
        for peer in peers:
            curves[peer.name] = curve(peer, set_, threads, ids.name)
            record.note(f'{peer.name} {set_.label} M {m}, {threads} threads: ' +
                        ' '.join(f'{ef}:{recall:.4f}:{rate:.0f}' for ef, recall, rate in curves[peer.name]))
        timed, cpu = rates(peers, curves, set_, threads, options)
    for target in TARGETS:
        walls, processors, points = {}, {}, {}
        for name, points_ in curves.items():
            pair = around(points_, target)
            if pair is None:
                record.say('hnsw', set_, peer=name, threads=threads, m=m, target=target, recall_most=max(p[1] for p in points_))
                continue
            points[name] = pair
            for kind, source in ((walls, timed), (processors, cpu)):
                kind[name] = [between(*pair, target, a, b) for a, b in zip(source[name][pair[0][0]], source[name][pair[1][0]])]
        ratio, cpu_ratio = ratios(walls), ratios(processors)
        for name, values in walls.items():
            (low, high) = points[name]
            record.say('hnsw', set_, peer=name, threads=threads, m=m, target=target, ef=[low[0], high[0]],
                       recall=[low[1], high[1]], **spread(values), cpu_median=statistics.median(processors[name]),
                       ratio=ratio if name == 'ours' else {}, cpu_ratio=cpu_ratio if name == 'ours' else {})


def measure_filter(set_, options, record):
    """On one thread: a filter is one request's own."""
    names = taking_part('filter', options)
    ensure_memory(names, set_)
    paths = {name: build(name, set_, max(options.threads), options, record, options.m, efc_of(name, options))[0]
             for name in names if name != 'faiss-flat'}
    count = min(options.filter_queries, set_.count)
    with Peers(names, options, 1) as peers, tempfile.NamedTemporaryFile() as ids:
        open_all(peers, set_, paths)
        for kind in ('random', 'near'):
            for selectivity in SELECTIVITIES:
                filter_round(set_, peers, kind, selectivity, count, ids.name, options, record)


def filter_round(set_, peers, kind, selectivity, count, ids, options, record):
    path, allowed = set_.mask(kind, selectivity)
    least = set_.least_scores(set_.queries[:count], allowed)
    recalls, figures, counts, repeats = {}, collections.defaultdict(list), {}, {}
    for turn in range(min(3, options.reps)):
        for peer in turned(list(peers), turn):
            for ef in (FILTER_BREADTHS[0],) if peer.name == 'faiss-flat' else FILTER_BREADTHS:
                key, ask = (peer.name, ef), dict(ef=ef, threads=1, mask=str(path))
                if turn == 0:   # Some walk the whole graph when little passes: they are asked as much as their time allows.
                    reply = peer.ask(do='search', k=K, count=PROBE_QUERIES, **ask)
                    fitting = round(FILTER_SECONDS / reply['seconds'] * PROBE_QUERIES)
                    counts[key] = min(count, max(PROBE_QUERIES, fitting))
                    repeats[key] = max(1, min(100, round(PASS_SECONDS / FILTER_SECONDS * fitting / counts[key])))
                found, reply = searched(peer, ids, count=counts[key], repeat=repeats[key], **ask)
                figures[key].append(counts[key] / reply['seconds'])
                if turn == 0:
                    recalls[key] = set_.recall(found, least[:counts[key]], min(K, int(allowed.sum())), allowed)
    for (name, ef), rates_ in figures.items():
        record.say('filter', set_, peer=name, kind=kind, selectivity=selectivity, passing=int(allowed.sum()), ef=ef,
                   queries=counts[name, ef], recall=recalls[name, ef], **spread(rates_))


def list_settings(name):
    """Ours compares so many in full as the lists looked at suggest; FAISS leaves it to the user."""
    refines = [None] if name in OURS else LIST_REFINES
    return [dict(ef=ef, **({'refine': refine} if refine else {})) for ef in LISTS_LOOKED_AT for refine in refines]


def measure_ivfpq(set_, options, record):
    names = taking_part('ivfpq', options)
    ensure_memory(names, set_, times=2.4)   # the base, and the vectors once more in the index
    lists, code_bytes = round(math.sqrt(set_.rows)), max(1, set_.dim // 8)
    for threads in options.threads:
        with Peers(names, options, threads) as peers, tempfile.NamedTemporaryFile() as ids:
            for peer in peers:
                peer.ask(**set_.data())
                cost = peer.ask(do='build', lists=lists, code_bytes=code_bytes, threads=threads, save=None)
                record.say('lists', set_, peer=label_of(peer), threads=threads, lists=lists, code_bytes=code_bytes, **cost,
                           memory_beside=cost['memory_bytes'] / set_.rows - 4 * set_.dim)
            for batch in (1, set_.count) if threads == 1 else (set_.count,):
                lists_round(set_, peers, threads, batch, ids.name, options, record)


def label_of(peer):
    return peer.name.removesuffix('-ivfpq')


def lists_round(set_, peers, threads, batch, ids, options, record):
    found = {}   # peer → [(setting, recall, q/s)]
    for peer in peers:
        points = found[label_of(peer)] = []
        for setting in list_settings(peer.name):
            ids_, reply = searched(peer, ids, threads=threads, count=set_.count, batch=batch, **setting)
            points.append((setting, set_.recall(ids_, set_.truth()), set_.count / reply['seconds']))
    for target in LIST_TARGETS:
        chosen, rounds = {}, collections.defaultdict(list)
        for name, points in found.items():
            enough = [point for point in points if point[1] >= target]
            if enough:
                chosen[name] = max(enough, key=lambda point: point[2])
            else:
                record.say('ivfpq', set_, peer=name, threads=threads, batch=batch, target=target, recall_most=max(p[1] for p in points))
        for turn in range(options.reps):
            for peer in turned([peer for peer in peers if label_of(peer) in chosen], turn):
                setting, _, rate = chosen[label_of(peer)]
                reply = peer.ask(do='search', k=K, threads=threads, count=set_.count, batch=batch,
                                 repeat=max(1, round(PASS_SECONDS * rate / set_.count)), **setting)
                rounds[label_of(peer)].append(set_.count / reply['seconds'])
        ratio = ratios(rounds) if len(rounds) > 1 else {}
        for name, rates_ in rounds.items():
            record.say('ivfpq', set_, peer=name, threads=threads, batch=batch, target=target, setting=chosen[name][0],
                       recall=chosen[name][1], **spread(rates_), ratio=ratio if name == 'ours' else {})


def measure_exact(set_, options, record):
    names = taking_part('exact', options)
    ensure_memory(names, set_, times=2.2)   # FAISS copies what it is given
    for threads in options.threads:
        with Peers(names, options, threads) as peers, tempfile.NamedTemporaryFile() as ids:
            open_all(peers, set_, {})
            for batch in (1, 256):
                exact_round(set_, peers, threads, batch, ids.name, options, record)


def exact_round(set_, peers, threads, batch, ids, options, record):
    count = min(set_.count, 16 if batch == 1 else 256)
    walls, repeats = collections.defaultdict(list), {}
    for turn in range(options.reps):
        for peer in turned(list(peers), turn):
            ask = dict(do='exact', k=K, batch=batch, threads=threads, count=count, ids=ids)
            if turn == 0:
                repeats[peer.name] = max(1, round(PASS_SECONDS / peer.ask(**ask)['seconds']))
            reply = peer.ask(repeat=repeats[peer.name], **ask)
            if turn == 0 and peer.name != 'roof':
                recall = set_.recall(np.fromfile(ids, np.int32).reshape(count, K), set_.truth()[:count])
                if recall < 0.999:
                    raise SystemExit(f'{peer.name}: exact search has recall {recall}')
            walls[peer.name].append(count / reply['seconds'])
    ratio = ratios(walls)
    for name, values in walls.items():
        record.say('exact', set_, peer=name, threads=threads, batch=batch, **spread(values), ratio=ratio if name == 'ours' else {},
                   gigabytes_s=statistics.median(values) * set_.rows * set_.dim * 4 / 1e9 if batch == 1 else None,
                   gigaflops=statistics.median(values) * set_.rows * set_.dim * 2 / 1e9,
                   of_roof=statistics.median(values) / statistics.median(walls['roof']) if 'roof' in walls else None)


# ---- tables ----

def figure(line):
    if 'median' not in line:
        return f'recall ≤ {line["recall_most"]:.3f}'
    digits = 0 if line['median'] >= 100 else 1 if line['median'] >= 1 else 3
    return f'{line["median"]:,.{digits}f} ({line["low"]:,.{digits}f}–{line["high"]:,.{digits}f})'


def rows_of(lines, measure, title, key, show):
    """One table: a row for each key, a column for each peer, and ours / best where ours took part."""
    lines = [line for line in lines if line['measure'] == measure]
    if not lines:
        return
    peers = sorted({line['peer'] for line in lines}, key=lambda name: (name != 'ours', name))
    print(f'\n{title}\n\n| set | {" | ".join(peers)} | ours / best |\n|---|{"---|" * (len(peers) + 1)}')
    grouped = collections.defaultdict(dict)
    for line in lines:
        grouped[f'{line["set"]} {line["rows"]:,} × {line["dim"]}, {key(line)}'][line['peer']] = line
    for label, row in grouped.items():
        ratio, cpu = (row.get('ours', {}).get(kind) for kind in ('ratio', 'cpu_ratio'))
        said = '%.2f× (%.2f–%.2f)' % (ratio['median'], ratio['low'], ratio['high']) if ratio else '–'
        said += ', of processor time %.2f×' % cpu['median'] if cpu else ''
        print(f'| {label} | {" | ".join(show(row[name]) if name in row else "–" for name in peers)} | {said} |')


def print_tables(lines):
    rows_of(lines, 'hnsw', 'Queries/s at a recall@10: median (least–most)',
            lambda line: f'M {line["m"]}, recall {line["target"]}, threads {line["threads"]}', figure)
    rows_of(lines, 'build', 'Build seconds (ratio: best / ours, more is faster)',
            lambda line: f'M {line["m"]}, efc {line["efc"]}, threads {line["threads"]}', figure)
    rows_of(lines, 'index', 'Whole set: build seconds [load then]; bytes a row beside the vector in memory / in the file',
            lambda line: f'M {line["m"]}, efc {line["efc"]}, threads {line["threads"]}',
            lambda line: f'{line["seconds"]:.0f} s [{line["load_before"]}]; {line["memory_beside"]:.0f} / {line["file_beside"]:.0f}')
    rows_of(lines, 'filter', 'Filtered: queries/s, recall@10 behind it',
            lambda line: f'{line["kind"]} {line["selectivity"]:.2%} ({line["passing"]}), ef {line["ef"]}',
            lambda line: f'{line["median"]:,.0f} @ {line["recall"]:.3f}')
    rows_of(lines, 'lists', 'Lists of product codes: build seconds, of processor time; bytes a row beside the vector in memory',
            lambda line: f'{line["lists"]} lists, {line["code_bytes"]} bytes, threads {line["threads"]}',
            lambda line: f'{line["seconds"]:.1f} s, {line["cpu_seconds"]:.1f}; {line["memory_beside"]:.0f}')
    rows_of(lines, 'ivfpq', 'Lists of product codes: queries/s of the fastest setting with a recall@10, and its recall',
            lambda line: f'recall {line["target"]}, threads {line["threads"]}, {"one by one" if line["batch"] == 1 else "in one call"}',
            lambda line: figure(line) + (f' @ {line["recall"]:.3f}' if 'recall' in line else ''))
    rows_of(lines, 'exact', 'Exact: queries/s, share of the roof',
            lambda line: f'batch {line["batch"]}, threads {line["threads"]}',
            lambda line: figure(line) + (f', {line["of_roof"]:.2f}' if line['of_roof'] else ''))


# ---- the command line ----

def parse():
    parser = argparse.ArgumentParser(description='Our index beside hnswlib, FAISS and usearch; see the top of this file.')
    words = lambda text: [word for word in text.split(',') if word]
    numbers = lambda text: [int(word) for word in words(text)]
    parser.add_argument('--vectors', type=pathlib.Path, help='the folder of .npy files')
    parser.add_argument('--ours', type=pathlib.Path, help='bench_index; without it only the peers are measured')
    parser.add_argument('--sets', type=words, default=['patches128'])
    parser.add_argument('--measures', type=words, default=list(MEASURES))
    parser.add_argument('--peers', type=words, 
                        default=['ours', 'hnswlib', 'faiss', 'usearch', 'usearch-i8', 'faiss-flat', 'ours-ivfpq', 'faiss-ivfpq', 'roof'])
    parser.add_argument('--python', default=sys.executable, help='has hnswlib, faiss-cpu, usearch')
    parser.add_argument('--hnswlib-include', default='', help='its headers: filtered search is compiled, not called back')
    parser.add_argument('--debian', help='PYTHON[:FOLDER] of the distribution\'s packages')
    parser.add_argument('--metric', choices=['cos', 'l2'], default='cos')
    parser.add_argument('--rows', type=int, default=0, help='only the first so many rows of each set')
    parser.add_argument('--queries', type=int, default=0, help='only the first so many; 5000, or 2000 of wide rows')
    parser.add_argument('--filter-queries', type=int, default=300)
    parser.add_argument('--build-rows', type=int, default=100000)
    parser.add_argument('--build-reps', type=int, default=1)
    parser.add_argument('--threads', type=numbers, default=[1, 2])
    parser.add_argument('--reps', type=int, default=7)
    parser.add_argument('--m', type=int, default=16)
    parser.add_argument('--efc', type=int, default=200)
    parser.add_argument('--ours-efc', type=int, default=0, help='another efConstruction for ours: the one that finds as much')
    parser.add_argument('--sweep', action='store_true', help='hnsw with M of 12, 16, 24 and 32, efConstruction 128')
    parser.add_argument('--rebuild', action='store_true', help='whole sets are built again, and timed')
    parser.add_argument('--out', help='JSON lines are added to this file rather than printed; tables are printed then')
    parser.add_argument('--table', type=pathlib.Path, help='only print the tables of these JSON lines')
    options = parser.parse_args()
    if options.table is None and options.vectors is None:
        parser.error('--vectors FOLDER or --table FILE is needed')
    if set(options.measures) - set(MEASURES):
        parser.error(f'--measures are {", ".join(MEASURES)}')
    if options.debian:
        options.peers += [name for name in ('hnswlib-debian', 'faiss-debian') if name not in options.peers]
    if options.ours is None:
        options.peers = [name for name in options.peers if name not in OURS]
    options.links = [12, 16, 24, 32] if options.sweep else [options.m]
    options.efc = 128 if options.sweep else options.efc
    return options


def main():
    options = parse()
    if options.table:
        return print_tables([json.loads(line) for line in options.table.read_text().splitlines()])
    record, start = Record(options), time.time()
    measures = {'build': measure_build, 'hnsw': measure_hnsw, 'filter': measure_filter, 'ivfpq': measure_ivfpq,
                'exact': measure_exact}
    for name in options.sets:
        for measure in options.measures:
            measures[measure](Set(name, options.rows, options), options, record)
            record.note(f'{name}: {measure} done, {time.time() - start:.0f} s since the start')
    if options.out:
        print_tables(record.lines)


if __name__ == '__main__':
    main()
