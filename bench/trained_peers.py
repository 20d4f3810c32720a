#!/usr/bin/env python3
"""bench/trained_peers.py: our trained recommenders beside the usual implementations in PyTorch: the same data and settings, one run.

    PYTHON bench/trained_peers.py --events FILE --work lightgcn [--ours build-bench/bench/bench_trained] [--rounds 5] [--epochs 20]

PYTHON has numpy and torch. FILE has a line an event, `user item time label`, numbers from 0 on, label 0, 1 or 2 for train, valid and test.
A work is a line in WORKS; bench/bench_trained.c does the same in C.

How: each side is a process of its own. `epoch` timings go round, one after the other; ratios are taken inside a round, peer / ours, and
told as their median with the least and the most. With --epochs both are then trained for so many and asked for Recall@20 and NDCG@20 of
the test events, all items ranked but what the user had before. Memory is the most that a process held (VmHWM), with the libraries and without.
"""
import argparse, json, os, pathlib, resource, statistics, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent


# ---- data and measure ----

class Events:
    def __init__(self, path):
        import numpy
        rows = numpy.loadtxt(path, dtype=numpy.int64, ndmin=2)
        self.users, self.items = int(rows[:, 0].max()) + 1, int(rows[:, 1].max()) + 1
        rows = rows[numpy.lexsort((rows[:, 2], rows[:, 0]))]
        self.part = [rows[rows[:, 3] == label] for label in range(3)]

    def lists(self, labels):
        """Items of each user, in order of time."""
        import numpy
        rows = numpy.concatenate([self.part[label] for label in labels])
        out = [[] for _ in range(self.users)]
        for user, item, *_ in rows[numpy.lexsort((rows[:, 2], rows[:, 0]))]:
            out[user].append(int(item))
        return out


def ranked(score, wanted, known, at_once=256, k=20, by=None):
    """Recall@20 and NDCG@20, means over users with wanted items; score(users) → [users, items]."""
    import numpy, torch
    asked = sorted((u for u in range(len(wanted)) if wanted[u]), key=by) if by else [u for u in range(len(wanted)) if wanted[u]]
    discount = 1 / numpy.log2(numpy.arange(k) + 2)
    recall = ndcg = 0.0
    for at in range(0, len(asked), at_once):
        users = asked[at:at + at_once]
        scores = score(users)
        for row, u in enumerate(users):
            scores[row, list(set(known[u]) - set(wanted[u]))] = -1e30
        best = torch.topk(scores, k).indices.numpy()
        for row, u in enumerate(users):
            truth = set(wanted[u])
            hits = numpy.array([int(i) in truth for i in best[row]])
            recall += hits.sum() / len(truth)
            ndcg += (hits * discount).sum() / discount[:min(k, len(truth))].sum()
    return recall / len(asked), ndcg / len(asked)


# ---- the peers ----

class LightGCN:
    """He et al. 2020: dim 64, 3 layers, batch 2048, Adam 1e-3, decay 1e-4, one uniform negative; torch.sparse as in the authors' code."""
    def __init__(self, data, settings):
        import numpy, torch
        self.data, self.settings, self.torch, self.numpy = data, settings, torch, numpy
        torch.manual_seed(1)
        self.draw = numpy.random.default_rng(1)
        pairs = numpy.unique(data.part[0][:, :2], axis=0)
        self.user, self.item = pairs[:, 0], pairs[:, 1]
        self.known = set((self.user * data.items + self.item).tolist())
        self.sorted = numpy.sort(self.user * data.items + self.item)
        nodes = data.users + data.items
        rows = numpy.concatenate([self.user, self.item + data.users])
        columns = numpy.concatenate([self.item + data.users, self.user])
        degree = numpy.maximum(numpy.bincount(rows, minlength=nodes), 1).astype(numpy.float32)
        values = 1 / numpy.sqrt(degree[rows] * degree[columns])
        graph = torch.sparse_coo_tensor(numpy.stack([rows, columns]), torch.from_numpy(values).float(), (nodes, nodes)).coalesce()
        self.graph = graph.to_sparse_csr() if settings.get('csr') else graph
        self.users = torch.nn.Embedding(data.users, 64)
        self.items = torch.nn.Embedding(data.items, 64)
        torch.nn.init.normal_(self.users.weight, std=0.1)
        torch.nn.init.normal_(self.items.weight, std=0.1)
        self.optimiser = torch.optim.Adam([*self.users.parameters(), *self.items.parameters()], lr=settings.get('rate', 1e-3))

    def propagate(self):
        x = self.torch.cat([self.users.weight, self.items.weight])
        layers = [x]
        for _ in range(3):
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
        torch = self.torch
        order, batch, total = self.draw.permutation(len(self.user)), self.settings.get('batch', 2048), 0.0
        for at in range(0, len(order), batch):
            pick = order[at:at + batch]
            user, item = self.user[pick], self.item[pick]
            u, i, j = (torch.from_numpy(x) for x in (user, item, self.negatives(user)))
            users, items = self.propagate()
            x, p, n = users[u], items[i], items[j]
            loss = torch.nn.functional.softplus((x * n).sum(1) - (x * p).sum(1)).mean()
            own = self.users(u).square().sum() + self.items(i).square().sum() + self.items(j).square().sum()
            loss = loss + self.settings.get('decay', 1e-4) * own / 2 / len(pick)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total += loss.item()
        return total

    def evaluate(self, label):
        with self.torch.no_grad():
            users, items = self.propagate()
            return ranked(lambda u: users[u] @ items.T, self.data.lists([label]), self.data.lists([0]))


class SASRec:
    """Kang & McAuley 2018: length 50, two blocks, one head, Adam 1e-3 (0.9, 0.98), BCE with a uniform negative for each position."""
    def __init__(self, data, settings):
        import numpy, torch
        from torch import nn
        self.data, self.torch, self.numpy = data, torch, numpy
        self.length, self.dim, self.batch = settings.get('length', 50), settings.get('dim', 64), settings.get('batch', 128)
        self.packed = settings.get('packed', False)   # batches of like length, without what is padding in all: not what the authors do, but cheap
        dropout = settings.get('dropout', 0.5)
        torch.manual_seed(1)
        self.draw = numpy.random.default_rng(1)
        self.train = data.lists([0])
        self.able = [u for u in range(data.users) if len(self.train[u]) > 1]
        self.sets = [set(s) for s in self.train]

        class Block(nn.Module):
            def __init__(self, dim):
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
            def __init__(self, items, length, dim):
                super().__init__()
                self.item, self.position = nn.Embedding(items + 1, dim, padding_idx=0), nn.Embedding(length, dim)
                self.blocks = nn.ModuleList(Block(dim) for _ in range(2))
                self.last, self.dropout = nn.LayerNorm(dim, eps=1e-8), nn.Dropout(dropout)
                for p in self.parameters():
                    if p.dim() > 1:
                        nn.init.xavier_uniform_(p)
                self.mask = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)

            def forward(self, ids):
                keep = (ids > 0).unsqueeze(-1)
                length = ids.shape[1]
                x = self.item(ids) * self.item.embedding_dim ** 0.5 + self.position.weight[-length:]
                x = self.dropout(x) * keep
                for block in self.blocks:
                    x = block(x, self.mask[:length, :length], keep)
                return self.last(x)
        self.net = Net(data.items, self.length, self.dim)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=settings.get('rate', 1e-3), betas=(0.9, 0.98))

    def negative(self, user):
        while True:
            item = int(self.draw.integers(self.data.items))
            if item not in self.sets[user]:
                return item

    def epoch(self):
        torch, numpy = self.torch, self.numpy
        self.net.train()
        order, total = self.draw.permutation(self.able), 0.0
        starts = list(range(0, len(order), self.batch))
        if self.packed:
            order = order[numpy.argsort([len(self.train[u]) for u in order], kind='stable')]
            self.draw.shuffle(starts)
        for at in starts:
            users = order[at:at + self.batch]
            length = min(self.length, max(len(self.train[u]) for u in users) - 1) if self.packed else self.length
            ids, targets, negatives = (numpy.zeros((len(users), length), numpy.int64) for _ in range(3))
            drawn = self.draw.integers(self.data.items, size=ids.shape)
            for row, u in enumerate(users):
                s = self.train[u][-self.length - 1:]
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
            total += loss.item()
        return total

    def evaluate(self, label):
        """Of the last item, the one before it is known, as in the authors' code."""
        torch, numpy = self.torch, self.numpy
        known = self.data.lists(range(label))
        self.net.eval()

        @torch.no_grad()
        def score(users):
            length = max(1, min(self.length, max(len(known[u]) for u in users))) if self.packed else self.length
            ids = numpy.zeros((len(users), length), numpy.int64)
            for row, u in enumerate(users):
                s = known[u][-length:]
                if s:
                    ids[row, -len(s):] = numpy.array(s) + 1
            return self.net(torch.from_numpy(ids))[:, -1] @ self.net.item.weight[1:].T
        return ranked(score, self.data.lists([label]), known, by=(lambda u: len(known[u])) if self.packed else None)


# name: the peers by name, the bar (peer / ours). One line a work.
WORKS = {
    'lightgcn': ({'torch': lambda data, s: LightGCN(data, s), 'torch-csr': lambda data, s: LightGCN(data, {**s, 'csr': True})}, 5.0),
    'sasrec': ({'torch': lambda data, s: SASRec(data, s)}, 1.0),
}


# ---- processes ----

def status_bytes(field):
    for line in open('/proc/self/status'):
        if line.startswith(field + ':'):
            return int(line.split()[1]) * 1024
    return 0


def worker(options):
    """A peer's side of the pipe; bench_trained --worker speaks the same: `epoch`, `measure LABEL`, `peak`."""
    import torch
    torch.set_num_threads(options.threads)
    torch.set_num_interop_threads(1)
    torch.randn(64, 64, requires_grad=True).matmul(torch.randn(64, 64)).sum().backward()
    before = status_bytes('VmRSS')
    work, peer = options.worker.split(':')
    model = WORKS[work][0][peer](Events(options.events), json.loads(options.settings))
    print(json.dumps({'ready': True, 'version': 'torch ' + torch.__version__}), flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(' ')
        begin = time.perf_counter()
        if word == 'epoch':
            loss = model.epoch()
            answer = {'seconds': time.perf_counter() - begin, 'loss': loss}
        elif word == 'measure':
            answer = dict(zip(('recall', 'ndcg'), model.evaluate(int(rest))))
        else:
            answer = {'peak': status_bytes('VmHWM'), 'before': before}
        print(json.dumps(answer), flush=True)


class Side:
    def __init__(self, options, peer):
        environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads), OPENBLAS_NUM_THREADS=str(options.threads))
        command = [str(options.ours), '--worker', options.work, options.events, *options.ours_settings] if peer == 'ours' else [
            options.python, __file__, '--worker', f'{options.work}:{peer}', '--threads', str(options.threads), '--events', options.events,
            '--settings', options.settings]
        self.name = peer
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.hello = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f'{self.name}: the process has ended')
        return json.loads(line)

    def ask(self, text):
        print(text, file=self.process.stdin, flush=True)
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def spread(values, form='{:.3f}'):
    return f'{form.format(statistics.median(values))} ({form.format(min(values))}-{form.format(max(values))})'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ours', type=pathlib.Path, default=HERE.parent / 'build-bench/bench/bench_trained')
    parser.add_argument('--python', default=sys.executable)
    parser.add_argument('--events', required=True)
    parser.add_argument('--work', choices=list(WORKS), default='lightgcn')
    parser.add_argument('--settings', default='{}', help="of the peers, JSON: {\"dropout\": 0.2}")
    parser.add_argument('--ours-settings', nargs='*', default=[], help='of ours: name=value')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--epochs', type=int, default=0, help='train both for so many and measure the test events')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options)
    peers, bar = WORKS[options.work]
    sides = [Side(options, peer) for peer in ('ours', *peers)]
    times = {side.name: [] for side in sides}
    try:
        for side in sides:
            side.ask('epoch')   # warm
        for turn in range(options.rounds):
            for k in range(len(sides)):
                side = sides[(turn + k) % len(sides)]
                time.sleep(0.25)   # the threads of the one before stop spinning
                times[side.name].append(side.ask('epoch')['seconds'])
        memory = {side.name: side.ask('peak') for side in sides}
        figures = {}
        for side in sides[:2] if options.epochs else []:
            for _ in range(options.epochs - options.rounds - 1 if side.name != 'ours' else 0):
                side.ask('epoch')
            figures[side.name] = side.ask('measure 2')
        versions = sorted({side.hello['version'] for side in sides[1:]})
    finally:
        for side in sides:
            side.close()
    best = min(peers, key=lambda p: statistics.median(times[p]))
    ratio = [min(times[p][k] for p in peers) / ours for k, ours in enumerate(times['ours'])]
    print(f"{options.work}, {pathlib.Path(options.events).name}, {options.threads} threads; {', '.join(versions)}")
    for name, values in times.items():
        m = memory[name]
        print(f"  {name:10} {spread(values)} s an epoch, {(m['peak'] - m['before']) / 1e6:.0f} MB ({m['peak'] / 1e6:.0f} with libraries)"
              + (f", R@20 {figures[name]['recall']:.4f} N@20 {figures[name]['ndcg']:.4f}" if name in figures else ''))
    print(f"  ratio {spread(ratio, '{:.2f}')} beside {best}: the bar {bar} {'holds' if statistics.median(ratio) >= bar else 'is MISSED'}")


if __name__ == '__main__':
    main()
