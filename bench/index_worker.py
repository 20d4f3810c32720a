"""bench/index_worker.py: one foreign index library, asked over a pipe; index_peers.py starts one of these a peer.

    PYTHON bench/index_worker.py PEER      PYTHON must be able to import the library; the peers are in PEERS below

One JSON object a line on stdin, one answer a line on stdout: the fields named here, or {"error": "a sentence"}.
`bench_index --worker ours` speaks the same (`ours-i8`: with rows of bytes and re-ranking; `ours-ivfpq`), so that the comparison knows no
difference between ours and theirs.

    {"do": "hello"}                                        version
    {"do": "data", "base", "query": .npy f32 [n, dim],     rows, dim
     "rows": 0 or the first so many, "metric": "cos"|"l2"}     cos: every row and query is scaled to unit length
    {"do": "build", "m", "efc", "threads", "save": path,   seconds, cpu_seconds, memory_bytes, file_bytes; save may be null
     "lists", "code_bytes"}                                 of inverted lists instead of m, efc
    {"do": "open", "path"}                                 seconds, memory_bytes
    {"do": "search", "k", "ef", "threads", "count",        seconds, cpu_seconds, of one pass
     "repeat", "ids": path, "mask": path, "batch",             batch: as many at a time
     "refine"}                                                 refine: k times so many are compared in full (faiss-ivfpq)
    {"do": "exact", "k", "batch", "threads", "count",      seconds, cpu_seconds, of one pass
     "repeat", "ids": path}

`count`: the first so many queries; one pass answers them once, `repeat` passes are timed together. `ids`, when given:
the answers are written there as int32 [count, k], -1 where there is none. `mask`, when given: .npy uint8 [rows], only
rows of 1 may be answered. memory_bytes is what the process' anonymous memory grew by (RssAnon of /proc/self/status,
after malloc_trim): vectors and links, without the base that the worker itself holds; file_bytes is the index saved.
"""
import ctypes, json, os, resource, subprocess, sys, tempfile, threading, time

import numpy as np

PIECE = 1 << 24   # numbers handled at once where a copy of the whole would not fit


def anonymous_bytes():
    ctypes.CDLL(None).malloc_trim(0)
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith('RssAnon'))


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(work, repeat=1):
    """(result of the last pass, seconds a pass, processor seconds a pass)"""
    start, cpu = time.perf_counter(), cpu_seconds()
    for _ in range(repeat):
        result = work()
    return result, (time.perf_counter() - start) / repeat, (cpu_seconds() - cpu) / repeat


def load_rows(path, rows, metric):
    """The first `rows` (0: all) as float32, scaled to unit length for cos; in pieces, so that nothing is held twice."""
    source = np.load(path, mmap_mode='r')[:rows or None]
    out = np.empty(source.shape, np.float32)
    step = max(1, PIECE // source.shape[1])
    for start in range(0, len(source), step):
        piece = np.asarray(source[start:start + step], np.float32)
        if metric == 'cos':
            piece = piece / np.maximum(np.linalg.norm(piece, axis=1, keepdims=True), 1e-30)
        out[start:start + step] = piece
    return out


def unsupported(what):
    raise ValueError(f'{what} is not among what this library offers')


# hnswlib's filter is a callback; from Python each call costs more than the distance it may save, which would say nothing
# about the library. With its headers ($HNSWLIB_INCLUDE) the filtered search is compiled as its C++ users have it.
HNSWLIB_FILTERED = r'''
#include <hnswlib/hnswlib.h>
struct Mask : hnswlib::BaseFilterFunctor {
  const unsigned char *passes;
  bool operator()(hnswlib::labeltype row) override { return passes[row] != 0; }
};
extern "C" void *filtered_open(const char *path, size_t dim, int cosine) {
  hnswlib::SpaceInterface<float> *space = new hnswlib::L2Space(dim);
  if (cosine) space = new hnswlib::InnerProductSpace(dim);
  return new hnswlib::HierarchicalNSW<float>(space, path);
}
extern "C" void filtered_search(void *index, const float *queries, size_t count, size_t dim, size_t k, size_t ef,
                                const unsigned char *passes, long long *out) {
  auto *graph = static_cast<hnswlib::HierarchicalNSW<float> *>(index);
  Mask mask;
  mask.passes = passes;
  graph->setEf(ef);
  for (size_t i = 0; i < count; i++) {
    auto found = graph->searchKnn(queries + i * dim, k, &mask);
    for (; !found.empty(); found.pop()) out[i * k + found.size() - 1] = (long long)found.top().second;
  }
}
'''


def compile_filtered(include):
    with tempfile.TemporaryDirectory() as folder:
        command = ['c++', '-O3', '-march=native', '-shared', '-fPIC', '-I', include, '-x', 'c++', '-', '-o', folder + '/filtered.so']
        subprocess.run(command, input=HNSWLIB_FILTERED, text=True, check=True)
        library = ctypes.CDLL(folder + '/filtered.so')
    library.filtered_open.restype = ctypes.c_void_p
    return library


# ---- the libraries: build, save, open, search, exact; what one lacks says so ----

class Hnswlib:
    def __init__(self, metric, dim):
        import hnswlib
        self.library, self.dim, self.space, self.index = hnswlib, dim, {'cos': 'ip', 'l2': 'l2'}[metric], None

    @staticmethod
    def version():
        from importlib import metadata
        import hnswlib
        return getattr(hnswlib, '__version__', None) or metadata.version('hnswlib')

    def build(self, base, m, efc, threads):
        self.index = self.library.Index(space=self.space, dim=self.dim)
        self.index.init_index(max_elements=len(base), M=m, ef_construction=efc)
        self.index.add_items(base, num_threads=threads)

    def save(self, path):
        self.index.save_index(path)

    def open(self, path):
        self.path, self.compiled = path, None
        self.index = self.library.Index(space=self.space, dim=self.dim)
        self.index.load_index(path)

    def search(self, queries, k, ef, threads, mask):
        if mask is not None:
            return self.filtered(queries, k, ef, mask)
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k=k, num_threads=threads)[0]

    def filtered(self, queries, k, ef, mask):
        if not os.environ.get('HNSWLIB_INCLUDE'):
            unsupported('a filter without $HNSWLIB_INCLUDE')
        if self.compiled is None:
            self.index, self.compiled = None, compile_filtered(os.environ['HNSWLIB_INCLUDE'])
            self.opened = ctypes.c_void_p(self.compiled.filtered_open(self.path.encode(), ctypes.c_size_t(self.dim), self.space == 'ip'))
        out = np.full((len(queries), k), -1, np.int64)
        sizes = [ctypes.c_size_t(size) for size in (len(queries), self.dim, k, ef)]
        self.compiled.filtered_search(self.opened, queries.ctypes.data_as(ctypes.c_void_p), *sizes,
                                      mask.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p))
        return out

    def exact(self, base, queries, k, threads):
        if self.index is None:
            self.index = self.library.BFIndex(space=self.space, dim=self.dim)
            self.index.init_index(max_elements=len(base))
            self.index.add_items(base)
        return self.index.knn_query(queries, k=k)[0]


class Faiss:
    def __init__(self, metric, dim):
        import faiss
        self.library, self.dim, self.index = faiss, dim, None
        self.metric = {'cos': faiss.METRIC_INNER_PRODUCT, 'l2': faiss.METRIC_L2}[metric]

    @staticmethod
    def version():
        import faiss
        return faiss.__version__

    def create(self, m):
        return self.library.IndexHNSWFlat(self.dim, m, self.metric)

    def build(self, base, m, efc, threads):
        self.library.omp_set_num_threads(threads)
        self.index = self.create(m)
        self.index.hnsw.efConstruction = efc
        if not self.index.is_trained:
            self.index.train(base[:100000])
        self.index.add(base)

    def save(self, path):
        self.library.write_index(self.index, path)

    def open(self, path):
        self.index = self.library.read_index(path)

    def selector(self, mask):
        bits = np.packbits(mask, bitorder='little')
        return self.library.IDSelectorBitmap(len(bits), self.library.swig_ptr(bits)), bits

    def search(self, queries, k, ef, threads, mask):
        self.library.omp_set_num_threads(threads)
        if mask is None:
            self.index.hnsw.efSearch = ef
            return self.index.search(queries, k)[1]
        selector, bits = self.selector(mask)   # bits stay alive until the search has ended
        return self.index.search(queries, k, params=self.library.SearchParametersHNSW(efSearch=ef, sel=selector))[1]

    def exact(self, base, queries, k, threads):
        self.library.omp_set_num_threads(threads)
        # 1.7.3 asks BLAS from 20 queries on; 1.15.1 does not for 256 rows of 128, and is seven times slower for it, and
        # its threshold of 20 sends single queries there too, four times slower. Each is measured at its best.
        self.library.cvar.distance_compute_blas_threshold = 1 if len(queries) >= 20 else 1 << 30
        if self.index is None:
            self.index = self.library.IndexFlat(self.dim, self.metric)
            self.index.add(base)
        return self.index.search(queries, k)[1]


class FaissByte(Faiss):
    def create(self, m):
        return self.library.IndexHNSWSQ(self.dim, self.library.ScalarQuantizer.QT_8bit, m, self.metric)


class FaissFlat(Faiss):
    """No graph: what a filter costs when everything that passes is looked at."""

    def build(self, base, m, efc, threads):
        self.index = self.library.IndexFlat(self.dim, self.metric)
        self.index.add(base)

    def search(self, queries, k, ef, threads, mask):
        self.library.omp_set_num_threads(threads)
        if mask is None:
            return self.index.search(queries, k)[1]
        selector, bits = self.selector(mask)
        return self.index.search(queries, k, params=self.library.SearchParameters(sel=selector))[1]


class FaissLists(Faiss):
    """Product codes in inverted lists, the best compared again in full. As L2 of unit vectors for the cosine: as inner products a
    decoded row is too short, and recall is far worse."""

    def build_lists(self, base, lists, code_bytes, threads):
        self.library.omp_set_num_threads(threads)
        self.centres = self.library.IndexFlatL2(self.dim)   # stays alive as long as the lists
        self.lists = self.library.IndexIVFPQ(self.centres, self.dim, lists, code_bytes, 8)
        self.index = self.library.IndexRefineFlat(self.lists)
        self.index.train(base)
        self.index.add(base)

    def search(self, queries, k, ef, threads, mask, refine):
        self.library.omp_set_num_threads(threads)
        self.lists.nprobe, self.index.k_factor = ef, refine
        return self.index.search(queries, k)[1]


class Usearch:
    element = 'f32'

    def __init__(self, metric, dim):
        import usearch.index
        self.library, self.dim, self.metric = usearch.index, dim, {'cos': 'ip', 'l2': 'l2sq'}[metric]

    @staticmethod
    def version():
        import usearch
        return usearch.__version__

    def create(self, m, efc):
        # Looking rows up by key is not asked for here: without its table the library shows its best memory.
        return self.library.Index(ndim=self.dim, metric=self.metric, dtype=self.element, connectivity=m,
                                  expansion_add=efc, enable_key_lookups=False)

    def build(self, base, m, efc, threads):
        self.index = self.create(m, efc)
        self.index.add(np.arange(len(base), dtype=np.uint64), base, threads=threads)

    def save(self, path):
        self.index.save(path)

    def open(self, path):
        self.index = self.create(16, 128)
        self.index.load(path)

    def search(self, queries, k, ef, threads, mask):
        if mask is not None:
            unsupported('a filter')
        self.index.expansion_search = ef
        return self.index.search(queries, k, threads=threads).keys

    def exact(self, base, queries, k, threads):
        return self.library.search(base, queries, k, self.metric, exact=True, threads=threads).keys


class UsearchByte(Usearch):
    element = 'i8'


class Roof:
    """No index: what the machine gives. exact() of one query reads the rows and does nothing with them, of several it is
    the matrix product alone, without choosing the best."""

    def __init__(self, metric, dim):
        pass

    @staticmethod
    def version():
        return 'numpy ' + np.__version__

    def exact(self, base, queries, k, threads):
        if len(queries) > 1:
            end = (base @ queries.T)[-1, -1]
        else:   # the greatest of floats: nothing else in numpy comes nearer to what memory gives
            parts = np.array_split(base.reshape(-1), threads)
            helpers = [threading.Thread(target=part.max) for part in parts[1:]]
            for helper in helpers:
                helper.start()
            end = parts[0].max()
            for helper in helpers:
                helper.join()
        return np.full((len(queries), k), int(end == np.inf), np.int64)


PEERS = {'hnswlib': Hnswlib, 'faiss': Faiss, 'faiss-sq8': FaissByte, 'faiss-flat': FaissFlat, 'faiss-ivfpq': FaissLists,
         'usearch': Usearch, 'usearch-i8': UsearchByte, 'roof': Roof}


# ---- the commands ----

class Worker:
    def __init__(self, peer):
        self.kind, self.data, self.cached = PEERS[peer], None, {}

    def hello(self, ask):
        return {'version': self.kind.version()}

    def set_data(self, ask):
        self.data, self.cached = ask, {}
        self.queries = load_rows(ask['query'], 0, ask['metric'])
        shape = np.load(ask['base'], mmap_mode='r').shape
        self.library = self.kind(ask['metric'], shape[1])
        return {'rows': min(ask['rows'] or shape[0], shape[0]), 'dim': shape[1]}

    def base(self):
        """Held once it is needed: who opens a saved index only answers queries."""
        if 'base' not in self.cached:
            self.cached['base'] = load_rows(self.data['base'], self.data['rows'], self.data['metric'])
        return self.cached['base']

    def mask(self, path):
        if path is not None and path not in self.cached:
            self.cached[path] = np.load(path)
        return self.cached.get(path)

    def build(self, ask):
        base = self.base()
        self.library.index = None   # one built before is not counted, and makes room
        before = anonymous_bytes()
        if 'lists' in ask:
            work = lambda: self.library.build_lists(base, ask['lists'], ask['code_bytes'], ask['threads'])
        else:
            work = lambda: self.library.build(base, ask['m'], ask['efc'], ask['threads'])
        _, seconds, cpu = timed(work)
        grown = anonymous_bytes() - before
        if ask['save']:
            self.library.save(ask['save'])
        return {'seconds': seconds, 'cpu_seconds': cpu, 'memory_bytes': grown,
                'file_bytes': os.path.getsize(ask['save']) if ask['save'] else 0}

    def open(self, ask):
        before = anonymous_bytes()
        _, seconds, _ = timed(lambda: self.library.open(ask['path']))
        return {'seconds': seconds, 'memory_bytes': anonymous_bytes() - before}

    def answer(self, ask, work):
        found, seconds, cpu = timed(work, ask.get('repeat', 1))
        if ask.get('ids'):
            found = np.asarray(found).astype(np.int64)
            found[(found < 0) | (found > 0x7fffffff)] = -1
            found.astype(np.int32).tofile(ask['ids'])
        return {'seconds': seconds, 'cpu_seconds': cpu}

    def search(self, ask):
        queries, mask = self.queries[:ask['count']], self.mask(ask.get('mask'))
        batch, more = ask.get('batch', len(queries)), {'refine': ask['refine']} if 'refine' in ask else {}
        search = lambda part: self.library.search(part, ask['k'], ask['ef'], ask['threads'], mask, **more)
        if batch >= len(queries):
            return self.answer(ask, lambda: search(queries))
        return self.answer(ask, lambda: np.concatenate([search(queries[i:i + batch]) for i in range(0, len(queries), batch)]))

    def exact(self, ask):
        base, queries, batch = self.base(), self.queries[:ask['count']], ask['batch']
        self.library.exact(base, queries[:1], ask['k'], ask['threads'])   # what is made once is made before the clock
        return self.answer(ask, lambda: np.concatenate([
            self.library.exact(base, queries[i:i + batch], ask['k'], ask['threads']) for i in range(0, len(queries), batch)]))


def main():
    worker = Worker(sys.argv[1])
    # Libraries that print would break the pipe: what they write to stdout goes to stderr.
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    commands = {'hello': worker.hello, 'data': worker.set_data, 'build': worker.build, 'open': worker.open,
                'search': worker.search, 'exact': worker.exact}
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            reply = commands[ask['do']](ask)
        except Exception as error:   # whatever a foreign library throws is an answer, not an end
            reply = {'error': f'{type(error).__name__}: {error}'}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == '__main__':
    main()
