#!/usr/bin/env python3
"""Small tokenizers of every kind with the reference's ids, offsets and decoded texts, into tests/golden/tokenizers/.

    tests/golden/make_tokenizers.py        needs `pip install tokenizers==0.23.3 sentencepiece==0.2.3 protobuf`

Trained on the sentences below. cases.json: {file: [{"text": bytes in hex, "ids", "offsets" in bytes or null, "decoded"}]}.
"""
import json, os, pathlib, random
os.environ['TOKENIZERS_PARALLELISM'] = 'false'
os.environ['PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION'] = 'python'
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders as D, models as M, normalizers as N, pre_tokenizers as P, processors, trainers as T

FOLDER = pathlib.Path(__file__).resolve().parent / 'tokenizers'
CORPUS = [
    'The quick brown fox jumps over the lazy dog, doesn\'t it?', 'A red dress with white dots, size 38, for 59.90 €!', 'Un café crème et deux éclairs, s\'il vous plaît.',
    '红色连衣裙，适合夏天穿。', '她在海边跑步，天气很好！', '我想买一双黑色的鞋子。', '青い海と白い砂浜が好きです。', 'Running, runner, runs; the runners ran over and over again.',
    'Größe 42: blaue Schuhe für Herren', 'Привет, мир! Это простой текст.', 'the dog and the fox and the dress and the shoes', 'I\'m sure they\'ll say we\'ve been there, she\'d know.',
] * 3
TEXTS = [
    '', ' ', 'a', 'The quick brown fox', '  two  spaces\tand\r\n\n lines ', "It's they'LL we've I'd don't", '红色连衣裙 dress 38号，好看！', 'Café CRÈME e\u0301clair Ǆ İ ß ﬁ ① ½ ＡＢＣ',
    '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽', 'x' * 30, '1234567 3.14 ٣٤', 'keep the~~fox keep', '[MASK] <s>the</s> [SEP]', 'a\u00a0b\u3000c\u200bd\u0085e\x0b', 'ｶﾞ 각 한국어 ﷺ', '\ufffd\ufeff\x00\x01\x7f',
    '_under_score (brackets) [x] {y} "quotes" — dash…', 'Привет мир', '▁▁mark ##ing Ġ',
]
BROKEN = [b'broken \xff\xfe bytes', b'cut \xe7\xba', b'\xf0\x9f\x98 \xed\xa0\x80 \xc0\xaf', b'mid\xe7\xba\xa2\xe8dle']
GPT2_AND_MORE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ['[UNK]', '[CLS]', '[SEP]', '[MASK]', '[PAD]']
ADDED = [AddedToken('keep', lstrip=True, rstrip=True), AddedToken('~~', single_word=False)]


def around(begin, end, ids):
    return processors.TemplateProcessing(single=f'{begin} $A {end}', pair=f'{begin} $A {end} $B:1 {end}:1', special_tokens=[(begin, ids[0]), (end, ids[1])])


def train(model, trainer, normalizer, pre, post=None, decoder=None, added=True):
    tokenizer = Tokenizer(model)
    if normalizer: tokenizer.normalizer = normalizer
    if pre: tokenizer.pre_tokenizer = pre
    tokenizer.train_from_iterator(CORPUS, trainer)
    if post: tokenizer.post_processor = post
    if decoder: tokenizer.decoder = decoder
    if added: tokenizer.add_tokens(ADDED)
    return tokenizer


def made():
    bert = around('[CLS]', '[SEP]', (1, 2))
    words = dict(special_tokens=SPECIAL, show_progress=False)
    yield 'wordpiece', train(M.WordPiece(unk_token='[UNK]'), T.WordPieceTrainer(vocab_size=400, **words), N.BertNormalizer(), P.BertPreTokenizer(), bert, D.WordPiece())
    yield 'wordpiece-steps', train(M.WordPiece(unk_token='[UNK]'), T.WordPieceTrainer(vocab_size=300, **words),
                                   N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase(), N.Strip(), N.Replace('—', '-')]),
                                   P.Sequence([P.Whitespace(), P.Digits(True), P.Punctuation('merged_with_previous')]),
                                   processors.BertProcessing(('[SEP]', 2), ('[CLS]', 1)), D.WordPiece(cleanup=False))
    bytes_trainer = lambda size: T.BpeTrainer(vocab_size=size, initial_alphabet=P.ByteLevel.alphabet(), special_tokens=['<s>', '</s>'], show_progress=False)
    yield 'bpe-gpt2', train(M.BPE(), bytes_trainer(500), None, P.ByteLevel(add_prefix_space=False), None, D.ByteLevel(), added=False)
    yield 'bpe-roberta', train(M.BPE(), bytes_trainer(400), N.NFC(), P.ByteLevel(add_prefix_space=True),
                               processors.RobertaProcessing(('</s>', 1), ('<s>', 0), trim_offsets=True, add_prefix_space=True), D.ByteLevel(), added=False)
    yield 'bpe-llama3', train(M.BPE(ignore_merges=True), bytes_trainer(450), None, P.Sequence([P.Split(Regex(GPT2_AND_MORE), 'isolated'), P.ByteLevel(False, use_regex=False)]),
                              processors.Sequence([processors.ByteLevel(trim_offsets=False), around('<s>', '</s>', (0, 1))]), D.ByteLevel())
    yield 'bpe-icu', train(M.BPE(), bytes_trainer(350), None, P.Sequence([P.Split(Regex(r'[A-Z]?[\p{Ll}\p{M}]+|\d{2}|\s+\S?'), 'merged_with_next'), P.ByteLevel(False, use_regex=False)]), None, D.ByteLevel())
    yield 'bpe-words', train(M.BPE(unk_token='[UNK]', end_of_word_suffix='</w>'), T.BpeTrainer(vocab_size=350, end_of_word_suffix='</w>', **words), N.NFKC(), P.WhitespaceSplit(), bert, D.BPEDecoder('</w>'))
    yield 'bpe-prefix', train(M.BPE(unk_token='[UNK]', continuing_subword_prefix='##', fuse_unk=True), T.BpeTrainer(vocab_size=300, continuing_subword_prefix='##', limit_alphabet=60, **words), N.NFKD(), P.Split(' ', 'removed'), bert, D.WordPiece())
    unigram = lambda: T.UnigramTrainer(vocab_size=200, unk_token='<unk>', special_tokens=['<unk>', '<s>', '</s>'], show_progress=False)
    yield 'unigram', train(M.Unigram(), unigram(), N.Sequence([N.Nmt(), N.NFKC(), N.Replace(Regex(' {2,}'), ' ')]), P.Metaspace(), around('<s>', '</s>', (1, 2)), D.Metaspace())
    first = train(M.Unigram(), unigram(), None, P.Metaspace(prepend_scheme='first', split=False), None, D.Metaspace(prepend_scheme='first'))
    yield 'unigram-first', first
    yield 'wordlevel', train(M.WordLevel(unk_token='[UNK]'), T.WordLevelTrainer(**words), N.Prepend('the '), P.Sequence([P.CharDelimiterSplit(' '), P.Punctuation('contiguous')]), bert, None)


def sentencepieces():
    rules = FOLDER / 'rules.tsv'
    rows = {'ﬁ': 'fi', '①': '1', '½': '1/2', '\u3000': ' ', '\t': ' ', '\n': ' ', '\r': ' ', 'Ａ': 'a', 'e\u0301': 'é', 'Ǆ': 'dž', '\ufffd': ' ', '\u200b': ''}
    rules.write_text(''.join(f"{' '.join(f'{ord(c):X}' for c in a)}\t{' '.join(f'{ord(c):X}' for c in b)}\n" for a, b in rows.items()))
    common = dict(minloglevel=2, num_threads=1, hard_vocab_limit=False, character_coverage=1.0)
    for name, settings in {
        'sp-unigram': dict(model_type='unigram', vocab_size=200, normalization_rule_tsv=str(rules)),
        'sp-unigram-suffix': dict(model_type='unigram', vocab_size=200, normalization_rule_name='identity', treat_whitespace_as_suffix=True, remove_extra_whitespaces=False),
        'sp-bpe': dict(model_type='bpe', vocab_size=300, normalization_rule_tsv=str(rules), user_defined_symbols=['keep', '~~', 'fox jumps']),
        'sp-bpe-bytes': dict(model_type='bpe', vocab_size=560, normalization_rule_name='identity', byte_fallback=True, remove_extra_whitespaces=False),
    }.items():
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_prefix=str(FOLDER / name), **common, **settings)
        (FOLDER / f'{name}.vocab').unlink()
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString((FOLDER / f'{name}.model').read_bytes())
        model.trainer_spec.ClearField('model_prefix') # where it was made is nobody's business
        model.normalizer_spec.ClearField('normalization_rule_tsv')
        (FOLDER / f'{name}.model').write_bytes(model.SerializeToString())
        yield name, sentencepiece.SentencePieceProcessor(model_file=str(FOLDER / f'{name}.model'))
    rules.unlink()


def in_bytes(text, offsets):
    at = [len(text[:i].encode()) for i in range(len(text) + 1)]
    return [[at[a], at[b]] for a, b in offsets]


def main():
    random.seed(1)
    cases = {}
    for name, tokenizer in made():
        tokenizer.save(str(FOLDER / f'{name}.json'), pretty=False)
        rows = cases[f'{name}.json'] = []
        for data in [text.encode() for text in TEXTS] + BROKEN:
            text = data.decode(errors='replace')
            encoding = tokenizer.encode(text)
            composes = isinstance(tokenizer.normalizer, (N.NFC, N.NFKC, N.Sequence)) # there the reference names a part of a character
            rows.append({'text': data.hex(), 'ids': encoding.ids, 'offsets': in_bytes(text, encoding.offsets) if data not in BROKEN and not composes else None,
                         # the library writes added tokens as the normalizer would, "the keep"
                         'decoded': tokenizer.decode(encoding.ids, skip_special_tokens=True) if name != 'wordlevel' else None})
    for name, processor in sentencepieces():
        rows = cases[f'{name}.model'] = []
        for data in [text.encode() for text in TEXTS] + BROKEN:
            rows.append({'text': data.hex(), 'ids': processor.encode(data), 'offsets': None, 'decoded': None})
    (FOLDER / 'cases.json').write_text('{\n' + ',\n'.join(f'{json.dumps(name)}: [\n' + ',\n'.join(json.dumps(row, ensure_ascii=False) for row in rows) + ']' for name, rows in cases.items()) + '}\n')


main()
