#!/usr/bin/env python3
"""bench/recommend_peers.py: our recommenders beside the usual implementations: the same events, settings and threads, one run.

    bench/recommend_peers.py --events FILE [--works ials,bpr,lightgcn,sasrec] [--python PYTHON | --python implicit=PYTHON,torch=PYTHON]
                             [--ours build-bench/bench/bench_recommend] [--rounds 5] [--accuracy WORK=N,...] [--set WORK.NAME=VALUE,...]

FILE has a line an event, "user item label" (MMRec's .inter) or "user item time label", numbers from 0; label 0 is learned from, 1 is
validation, 2 test. PYTHON has numpy and what a work's peers are made of (implicit with scipy, torch), in an environment outside the project; it
may be another one for each of them; a work whose peers cannot be imported is left out, with a line that says so. A work is a line in WORKS;
--set changes its settings, those of both sides, e.g. --set bpr.rate=0.1,sasrec.dropout=0.2. Build ours with `make bench-recommend`.

How: each side is a process of its own that has read the events and waits; a line "fit N" makes it fit N epochs or sweeps from the start, and
tell seconds and memory. Fits go round, one side after the other, another one first each round; ratios are taken inside a round, the best
peer / ours, and told as their median with the least and the most. Seconds are of one epoch or sweep: those of a long fit less those of
a short one, so that what is done once (drawing the start, looking at the data, our fold-in) is nobody's. Memory is the most that the process
held while it fitted, how much of that is not the libraries, and how much the fit added. With --accuracy, one longer fit of ours and of the
best peer follows, with Recall@20 and NDCG@20 of the test events (--valid: of the validation events), all items ranked but what is known of the
person: ours answers from the history alone, implicit and LightGCN by the vectors of people that they trained.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent


# ---- data and measure ----

class Events:
    def __init__(self, path):
        import numpy
        with open(path) as lines:
            skip = not lines.readline().split()[0].isdigit()
        rows = numpy.loadtxt(path, dtype=numpy.int64, skiprows=int(skip), ndmin=2)
        if rows.shape[1] == 3:
            rows = numpy.column_stack([rows[:, :2], numpy.zeros(len(rows), numpy.int64), rows[:, 2]])
        self.users, self.items = int(rows[:, 0].max()) + 1, int(rows[:, 1].max()) + 1
        rows = rows[numpy.lexsort((rows[:, 2], rows[:, 0]))]
        self.part = [rows[rows[:, 3] == label] for label in range(3)]

    def matrix(self):
        """What is learned from, [users, items]."""
        import numpy, scipy.sparse
        pairs = numpy.unique(self.part[0][:, :2], axis=0)
        return scipy.sparse.csr_matrix((numpy.ones(len(pairs), numpy.float32), (pairs[:, 0], pairs[:, 1])), (self.users, self.items))

    def lists(self, labels):
        """Items of each user, in order of time."""
        import numpy
        rows = numpy.concatenate([self.part[label] for label in labels])
        out = [[] for _ in range(self.users)]
        for user, item, *_ in rows[numpy.lexsort((rows[:, 2], rows[:, 0]))]:
            out[user].append(int(item))
        return out


def ranked(score, wanted, known, at_once=256, k=20):
    """Recall@20 and NDCG@20, means over users with wanted items; score(users) → [users, items], which is written to."""
    import numpy
    asked = [u for u in range(len(wanted)) if wanted[u]]
    discount = 1 / numpy.log2(numpy.arange(k) + 2)
    recall = ndcg = 0.0
    for at in range(0, len(asked), at_once):
        users = asked[at:at + at_once]
        scores = score(users)
        for row, u in zip(scores, users):
            truth = set(wanted[u])
            row[list(set(known[u]) - truth)] = -1e30
            best = numpy.argpartition(-row, k)[:k]
            hits = numpy.array([int(i) in truth for i in best[numpy.argsort(-row[best], kind='stable')]])
            recall += hits.sum() / len(truth)
            ndcg += (hits * discount).sum() / discount[:min(k, len(truth))].sum()
    return recall / len(asked), ndcg / len(asked)


# ---- the peers: made from events and settings; fit(N) begins anew, evaluate(label) measures the last fit ----

class Implicit:
    """Ben Frederickson's implicit."""
    def __init__(self, data, settings, threads):
        self.data, self.settings, self.train = data, settings, data.matrix()
        self.usual = {'num_threads': threads, 'random_state': 1, 'use_gpu': False, 'factors': settings['dim']}

    def fit(self, count):
        self.model = self.create(count)
        self.model.fit(self.train, show_progress=False)

    def evaluate(self, label):
        import numpy
        users, items = numpy.asarray(self.model.user_factors), numpy.asarray(self.model.item_factors)
        return ranked(lambda u: users[u] @ items.T, self.data.lists([label]), self.data.lists([0]))


class ALS(Implicit):
    """The same objective: unobserved pairs weigh α₀ beside an event's 1, so an event weighs 1 + 1/α₀ beside their 1."""
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.train.data[:] = 1 + 1 / self.settings['unobserved']

    def create(self, count):
        import implicit
        return implicit.als.AlternatingLeastSquares(regularization=self.settings['peer_ridge'], iterations=count, **self.usual)


class BPR(Implicit):
    def create(self, count):
        import implicit
        return implicit.bpr.BayesianPersonalizedRanking(learning_rate=self.settings['rate'], regularization=self.settings['shrinkage'],
                                                        iterations=count, **self.usual)


class Torch:
    def __init__(self, data, settings, threads):
        import numpy, torch
        torch.set_num_threads(threads)
        self.data, self.settings, self.torch, self.numpy = data, settings, torch, numpy
        self.prepare()

    def fit(self, count):
        self.torch.manual_seed(1)
        self.draw = self.numpy.random.default_rng(1)
        self.create()
        for _ in range(count):
            self.epoch()


class LightGCN(Torch):
    """He et al. 2020: dim 64, 3 layers, batch 2048, Adam 1e-3, decay 1e-4, one uniform negative; torch.sparse as in the authors' code."""
    csr = False

    def prepare(self):
        torch, numpy, data = self.torch, self.numpy, self.data
        pairs = numpy.unique(data.part[0][:, :2], axis=0)
        self.user, self.item = pairs[:, 0], pairs[:, 1]
        self.sorted = numpy.sort(self.user * data.items + self.item)
        nodes = data.users + data.items
        rows = numpy.concatenate([self.user, self.item + data.users])
        columns = numpy.concatenate([self.item + data.users, self.user])
        degree = numpy.maximum(numpy.bincount(rows, minlength=nodes), 1).astype(numpy.float32)
        values = 1 / numpy.sqrt(degree[rows] * degree[columns])
        graph = torch.sparse_coo_tensor(numpy.stack([rows, columns]), torch.from_numpy(values).float(), (nodes, nodes)).coalesce()
        self.graph = graph.to_sparse_csr() if self.csr else graph

    def create(self):
        torch = self.torch
        self.users = torch.nn.Embedding(self.data.users, self.settings['dim'])
        self.items = torch.nn.Embedding(self.data.items, self.settings['dim'])
        torch.nn.init.normal_(self.users.weight, std=0.1)
        torch.nn.init.normal_(self.items.weight, std=0.1)
        self.optimiser = torch.optim.Adam([*self.users.parameters(), *self.items.parameters()], lr=self.settings['rate'])

    def propagate(self):
        x = self.torch.cat([self.users.weight, self.items.weight])
        layers = [x]
        for _ in range(self.settings['layers']):
            layers.append(self.torch.sparse.mm(self.graph, layers[-1]))
        return self.torch.split(self.torch.stack(layers, 1).mean(1), [self.data.users, self.data.items])

    def negatives(self, users):
        items = self.draw.integers(self.data.items, size=len(users))
        while True:
            keys = users * self.data.items + items
            at = self.numpy.minimum(self.numpy.searchsorted(self.sorted, keys), len(self.sorted) - 1)
            bad = self.numpy.flatnonzero(self.sorted[at] == keys)
            if not len(bad):
                return items
            items[bad] = self.draw.integers(self.data.items, size=len(bad))

    def epoch(self):
        torch, batch = self.torch, self.settings['batch']
        order = self.draw.permutation(len(self.user))
        for at in range(0, len(order), batch):
            pick = order[at:at + batch]
            user, item = self.user[pick], self.item[pick]
            u, i, j = (torch.from_numpy(x) for x in (user, item, self.negatives(user)))
            users, items = self.propagate()
            x, p, n = users[u], items[i], items[j]
            loss = torch.nn.functional.softplus((x * n).sum(1) - (x * p).sum(1)).mean()
            own = self.users(u).square().sum() + self.items(i).square().sum() + self.items(j).square().sum()
            loss = loss + self.settings['decay'] * own / 2 / len(pick)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def evaluate(self, label):
        with self.torch.no_grad():
            users, items = self.propagate()
            return ranked(lambda u: (users[u] @ items.T).numpy(), self.data.lists([label]), self.data.lists([0]))


class LightGCNRows(LightGCN):
    """The same with the graph in compressed rows."""
    csr = True


class SASRec(Torch):
    """Kang & McAuley 2018: length 50, two blocks, one head, Adam 1e-3 (0.9, 0.98), BCE with a uniform negative for each position."""
    def prepare(self):
        self.train = self.data.lists([0])
        self.able = [u for u in range(self.data.users) if len(self.train[u]) > 1]
        self.sets = [set(s) for s in self.train]

    def create(self):
        torch, nn, s = self.torch, self.torch.nn, self.settings
        dim, length, dropout = s['dim'], s['length'], s['dropout']

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = nn.MultiheadAttention(dim, 1, dropout, batch_first=True)
                self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-8), nn.LayerNorm(dim, eps=1e-8)
                self.forward1, self.forward2 = nn.Linear(dim, dim), nn.Linear(dim, dim)
                self.dropout = nn.Dropout(dropout)

            def forward(self, x, mask, keep):
                q = self.norm1(x)
                x = q + self.attention(q, x, x, attn_mask=mask, need_weights=False)[0]
                x = self.norm2(x)
                x = x + self.dropout(self.forward2(self.dropout(torch.relu(self.forward1(x)))))
                return x * keep

        class Net(nn.Module):
            def __init__(self, items):
                super().__init__()
                self.item, self.position = nn.Embedding(items + 1, dim, padding_idx=0), nn.Embedding(length, dim)
                self.blocks = nn.ModuleList(Block() for _ in range(s['blocks']))
                self.last, self.dropout = nn.LayerNorm(dim, eps=1e-8), nn.Dropout(dropout)
                for p in self.parameters():
                    if p.dim() > 1:
                        nn.init.xavier_uniform_(p)
                self.mask = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)

            def forward(self, ids):
                keep = (ids > 0).unsqueeze(-1)
                x = self.item(ids) * dim ** 0.5 + self.position.weight
                x = self.dropout(x) * keep
                for block in self.blocks:
                    x = block(x, self.mask, keep)
                return self.last(x)
        self.net = Net(self.data.items)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=s['rate'], betas=(0.9, 0.98))

    def negative(self, user):
        while True:
            item = int(self.draw.integers(self.data.items))
            if item not in self.sets[user]:
                return item

    def epoch(self):
        torch, numpy, batch, length = self.torch, self.numpy, self.settings['batch'], self.settings['length']
        self.net.train()
        order = self.draw.permutation(self.able)
        for at in range(0, len(order), batch):
            users = order[at:at + batch]
            ids, targets, negatives = (numpy.zeros((len(users), length), numpy.int64) for _ in range(3))
            drawn = self.draw.integers(self.data.items, size=ids.shape)
            for row, u in enumerate(users):
                s = self.train[u][-length - 1:]
                n = len(s) - 1
                ids[row, -n:], targets[row, -n:] = s[:-1], s[1:]
                ids[row, -n:] += 1
                targets[row, -n:] += 1
                own = drawn[row, -n:]
                for k in range(n):
                    if int(own[k]) in self.sets[u]:
                        own[k] = self.negative(u)
                negatives[row, -n:] = own + 1
            out, wanted = self.net(torch.from_numpy(ids)), torch.from_numpy(targets)
            there = wanted > 0
            positive = (out * self.net.item(wanted)).sum(-1)[there]
            negative = (out * self.net.item(torch.from_numpy(negatives))).sum(-1)[there]
            loss = torch.nn.functional.softplus(-positive).mean() + torch.nn.functional.softplus(negative).mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def evaluate(self, label):
        """All before what is asked is known, as in the authors' code."""
        torch, numpy, length = self.torch, self.numpy, self.settings['length']
        known = self.data.lists(range(label))
        self.net.eval()

        @torch.no_grad()
        def score(users):
            ids = numpy.zeros((len(users), length), numpy.int64)
            for row, u in enumerate(users):
                s = known[u][-length:]
                if s:
                    ids[row, -len(s):] = numpy.array(s) + 1
            return (self.net(torch.from_numpy(ids))[:, -1] @ self.net.item.weight[1:].T).numpy()
        return ranked(score, self.data.lists([label]), known)


# One line a work: the library that its peers want, the peers, ours with the settings, the settings of both sides, epochs or sweeps of a short and
# a long fit, the bar (peer / ours).
WORKS = {
    'ials': ('implicit', {'implicit': ALS}, 'dim={dim},unobserved={unobserved},regularisation={ridge},restarts=1',
             {'dim': 64, 'unobserved': 0.2, 'ridge': 0.01, 'peer_ridge': 5}, (2, 10), 1.2),   # ridge by the size of a row, peer_ridge the same for all
    'bpr': ('implicit', {'implicit': BPR}, 'dim={dim},draws=1,popular=0,rate={rate},regularisation={shrinkage}',
            {'dim': 64, 'rate': 0.05, 'shrinkage': 0.01}, (2, 12), 1.2),
    'lightgcn': ('torch', {'torch': LightGCN, 'torch-csr': LightGCNRows}, 'dim={dim},layers={layers},batch={batch},rate={rate},decay={decay}',
                 {'dim': 64, 'layers': 3, 'batch': 2048, 'rate': 1e-3, 'decay': 1e-4}, (1, 5), 5.0),
    'sasrec': ('torch', {'torch': SASRec}, 'dim={dim},layers={blocks},heads=1,batch={batch},length={length},dropout={dropout},rate={rate},loss={loss}',
               {'dim': 64, 'blocks': 2, 'batch': 128, 'length': 50, 'dropout': 0.5, 'rate': 1e-3, 'loss': 0}, (1, 2), 1.0),
}


# ---- processes ----

def status_bytes(field):
    for line in open('/proc/self/status'):
        if line.startswith(field + ':'):
            return int(line.split()[1]) * 1024
    return 0


def worker(options):
    """A peer's side of the pipe; bench_recommend --worker speaks the same: "fit N" or "measure N"."""
    work, peer = options.worker.split(':')
    library, peers = WORKS[work][:2]
    module = __import__(library)
    if library == 'torch':
        module.randn(64, 64, requires_grad=True).matmul(module.randn(64, 64)).sum().backward()
    hello = {'version': f'{library} {module.__version__}', 'before_bytes': status_bytes('VmRSS')}
    model = peers[peer](Events(options.events), json.loads(options.settings), options.threads)
    print(json.dumps(hello), flush=True)
    for line in sys.stdin:
        word, count = line.split()
        with open('/proc/self/clear_refs', 'w') as out:
            out.write('5')
        base, begin = status_bytes('VmHWM'), time.perf_counter()
        model.fit(int(count))
        reply = {'seconds': [time.perf_counter() - begin], 'base_bytes': base, 'peak_bytes': status_bytes('VmHWM')}
        if word == 'measure':
            reply.update(zip(('recall', 'ndcg'), map(float, model.evaluate(1 if options.valid else 2))))
        print(json.dumps(reply), flush=True)


class Side:
    """A process that fits when asked."""

    def __init__(self, options, work, peer, settings):
        environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads), OMP_WAIT_POLICY='passive')
        library, _, ours, *_ = WORKS[work]
        # implicit asks for one thread of BLAS, since it has its own around it.
        environment['OPENBLAS_NUM_THREADS'] = '1' if library == 'implicit' and peer != 'ours' else str(options.threads)
        valid = ['--valid'] if options.valid else []
        command = [str(options.ours), options.events, '--worker', '--ask', 'valid' if options.valid else 'test',
                   f'{work}:{ours.format(**settings)}'] if peer == 'ours' else [
            options.python[library], __file__, '--worker', f'{work}:{peer}', '--events', options.events, '--threads', str(options.threads),
            '--settings', json.dumps(settings), *valid]
        self.name, self.seconds, self.held, self.added = peer, [], 0, 0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.hello = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f'{self.name} has ended')
        return json.loads(line)

    def fit(self, count, word='fit'):
        print(word, count, file=self.process.stdin, flush=True)
        reply = self.read()
        self.held = max(self.held, reply['peak_bytes'])
        self.added = max(self.added, reply['peak_bytes'] - reply['base_bytes'])
        return reply

    def once(self, short, long):
        """Seconds of one epoch or sweep."""
        seconds = [self.fit(count)['seconds'][0] for count in (short, long)]
        self.seconds.append((seconds[1] - seconds[0]) / (long - short))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def spread(values, form='{:.3f}'):
    return f'{form.format(statistics.median(values))} ({form.format(min(values))}–{form.format(max(values))})'


def compare(options, work):
    library, peers, _, usual, (short, long), bar = WORKS[work]
    if subprocess.run([options.python[library], '-c', f'import {library}'], stderr=subprocess.DEVNULL).returncode:
        print(f'{work}: left out, {options.python[library]} cannot import {library}')
        return
    settings = {**usual, **options.set.get(work, {})}
    sides = []
    try:
        for peer in ('ours', *peers):
            sides.append(Side(options, work, peer, settings))
        for side in sides:
            side.fit(short)   # warm
        for turn in range(options.rounds):
            for k in range(len(sides)):
                time.sleep(0.25)   # the threads of the one before stop turning
                sides[(turn + k) % len(sides)].once(short, long)
        best = min(sides[1:], key=lambda side: statistics.median(side.seconds))
        found = {side: side.fit(options.accuracy[work], 'measure') for side in ([sides[0], best] if work in options.accuracy else [])}
    except EOFError as why:
        print(f'{work}: left out, {why}')   # what it says itself stands above
        return
    finally:
        for side in sides:
            side.close()
    ratio = [theirs / ours for ours, theirs in zip(sides[0].seconds, best.seconds)]
    print(f"{work}, {pathlib.Path(options.events).name}, {options.threads} threads, {sides[1].hello['version']}")
    for side in sides:
        figures = found.get(side)
        print(f"  {side.name:10} {spread([1000 * s for s in side.seconds], '{:.1f}')} ms each, {side.held / 1e6:.0f} MB "
              f"({(side.held - side.hello['before_bytes']) / 1e6:.0f} without libraries, {side.added / 1e6:.1f} for the fit)"
              + (f", R@20 {figures['recall']:.4f} N@20 {figures['ndcg']:.4f} after {options.accuracy[work]}" if figures else ''))
    held = 'holds' if statistics.median(ratio) >= bar else 'is MISSED'
    print(f"  ratio {spread(ratio, '{:.2f}')} beside {best.name}: the bar {bar} {held}", flush=True)


def named(text, kind):
    """"a=1,b=2" → {'a': 1, 'b': 2}"""
    return {name: kind(value) for name, _, value in (pair.partition('=') for pair in text.split(',') if pair)}


def number(text):
    return int(text) if text.isdigit() else float(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ours', type=pathlib.Path, default=HERE.parent / 'build-bench/bench/bench_recommend')
    parser.add_argument('--python', default=sys.executable)
    parser.add_argument('--events', required=True)
    parser.add_argument('--works', default=','.join(WORKS))
    parser.add_argument('--set', default='', type=lambda text: named(text, number), help='settings of both sides')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--accuracy', default='', type=lambda text: named(text, int), help='epochs or sweeps of the fits that are measured')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--valid', action='store_true')
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    parser.add_argument('--settings', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options)
    options.python = {library: named(options.python, str).get(library, sys.executable) if '=' in options.python else options.python
                      for library in ('implicit', 'torch')}
    by_work = {}
    for name, value in options.set.items():
        work, _, setting = name.partition('.')
        by_work.setdefault(work, {})[setting] = value
    options.set = by_work
    for work in options.works.split(','):
        compare(options, work)


if __name__ == '__main__':
    main()
