#!/usr/bin/env python3
"""The main job on a small made-up catalogue: sample, import, train, evaluate, answer, export. One workspace is made once and
copied for the tests that change it."""
import atexit, json, os, pathlib, re, shutil, signal, struct, subprocess, sys, tempfile

from harness import *

BASE = pathlib.Path(tempfile.mkdtemp(prefix='medley-e2e-base-'))
atexit.register(shutil.rmtree, BASE, ignore_errors=True)
CATALOGUE, SHOP = BASE / 'catalogue', BASE / 'shop'
USER = 'u1'


def own_shop():
    """A copy that a test may change."""
    shutil.copytree(SHOP, 'shop')
    return 'shop'


def items_of(answer):
    return [r['item'] for r in answer['results']]


def sample_and_import():
    medley('sample', CATALOGUE, '--items', 80, '--users', 60, '--events', 30, '--clips', 2, '--seed', 3, says='80 items')
    medley('sample', CATALOGUE, status=1)  # not empty
    medley('init', SHOP)
    report = medley('import', SHOP, 'items', CATALOGUE / 'items.jsonl', '--json').json()
    equal((report['accepted'], report['rejected']), (80, 0), 'items')
    equal(medley('import', SHOP, 'users', CATALOGUE / 'users.csv', '--map', 'user=id', '--json').json()['accepted'], 60, 'users')
    events = len((CATALOGUE / 'events.csv').read_text().splitlines()) - 1
    equal(medley('import', SHOP, 'events', CATALOGUE / 'events.csv', '--json').json()['accepted'], events, 'events')
    medley('import', SHOP, 'links', CATALOGUE / 'links.csv', says='0 rejected')
    info = medley('info', SHOP, '--json').json()['counts']
    equal((info['items'], info['users'], info['events']), (80, 60, events), f'info: {info}')
    # The same again is refused, and changes nothing.
    medley('import', SHOP, 'events', CATALOGUE / 'events.csv', status=1, says='--again')
    equal(medley('info', SHOP, '--json').json()['counts']['events'], events, 'events after a second import')


def the_same_seed_gives_the_same_sample():
    for name in ('a', 'b'):
        medley('sample', name, '--items', 20, '--users', 5, '--clips', 0, '--seed', 9)
    for path in sorted(p for p in pathlib.Path('a').rglob('*') if p.is_file()):
        equal(path.read_bytes(), pathlib.Path('b', path.relative_to('a')).read_bytes(), str(path))


def evaluate_before_training():
    report = medley('evaluate', SHOP, '--split', 'global-time', '--metrics', 'recall@10,ndcg@10', '--models',
                    'popular,itemknn', '--ensemble', 'auto', '--report', 'out.html', '--json').json()
    tried = [t['ensemble'] for t in report['fit']['ensemble']['chosen_among']]
    check('weighted' in tried and 'rrf' in tried and report['fit']['ensemble']['kind'] in tried, str(tried))
    equal(report['split'], 'global-time', 'split')
    models = {m['model']: m for m in report['models']}
    equal(sorted(models), ['blend', 'itemknn', 'popular'], 'models')
    for name, model in models.items():
        for metric in ('recall@10', 'ndcg@10'):
            figure = model['metrics'][metric]
            check(0 <= figure['lo'] <= figure['mean'] <= figure['hi'] <= 1, f'{name} {metric}: {figure}')
        check(model['peak_memory_bytes'] > 0 and model['seconds']['score'] >= 0, f'{name}: {model}')
        check(name == 'blend' or 0 <= model['p_value']['recall@10'] <= 1, f'{name}: {model}')
    page = pathlib.Path('out.html').read_text()
    check('<svg' in page and 'recall@10' in page, 'the report has no plots')
    shown = medley('evaluate', SHOP, '--split', 'global-time', '--metrics', 'recall@10', '--models', 'popular',
                   '--ensemble', 'rrf').out
    for piece in ('split global-time', 'recall@10', 'blend (rrf)', 'popular', '±', 'peak memory', 's in all'):
        check(piece in shown, f'{piece!r} is not in:\n{shown}')
    medley('recommend', SHOP, '--user', USER, status=4, says='train')


def evaluate_cold_items():
    keys = [json.loads(line)['id'] for line in (CATALOGUE / 'items.jsonl').read_text().splitlines()][3::10]
    pathlib.Path('cold').write_text('\n'.join(keys) + '\n')
    report = medley('evaluate', SHOP, '--cold-items', 'cold', '--metrics', 'recall@5', '--models', 'popular,content', '--json').json()
    equal(report['cold_items'], len(keys), 'cold items')


def bench_models():
    """Every model with two seeds, as a table for people, programs and papers."""
    words = ['bench', 'models', SHOP, '--models', 'popular,itemknn', '--split', 'random', '--seeds', '2']
    report = medley(*words, '-o', 'table.csv', '--json').json()
    rows = report['sets'][0]['models']
    equal({row['model'] for row in rows}, {'popular', 'itemknn', 'blend'})
    first = [row['metrics']['recall@20'] for row in rows]
    equal(first, sorted(first, key=lambda figure: -figure['mean']), 'best first')
    for figure in first:
        check(figure['lo'] <= figure['mean'] <= figure['hi'] and figure['least'] <= figure['mean'] <= figure['most'], str(figure))
    lines = open('table.csv').read().splitlines()
    equal(len(lines), 1 + sum(len(row['metrics']) for row in rows))
    equal({line.count(',') for line in lines}, {14})
    medley(*words[:-2], '-o', 'table.md', says=['recall@20', 'itemknn', 'fit s', 'fit MiB', 'peak MiB'])
    check('| `itemknn` |' in open('table.md').read(), 'a row of Markdown')
    medley(*words, '-o', 'table.xls', status=2, says=['.md, .csv or .json'])
    medley(*words, '--trials', '3', status=2, says=['--search'])


def the_same_seed_gives_the_same_table():
    """Whatever is drawn and however many threads share the work: all but seconds and memory is the same bit for bit."""
    def table():
        report = medley('bench', 'models', SHOP, '--models', 'popular,itemknn,ials,bpr', '--split', 'random', '--seed', 5, '--threads', 2, '--json').json()
        for row in report['sets'][0]['models']:
            del row['seconds'], row['fit_memory_bytes'], row['peak_memory_bytes']
        return report
    equal(table(), table())


def tune():
    """Searches settings, stops by Ctrl-C without losing a trial, and tells what is asked wrongly."""
    own = own_shop()
    report = medley('tune', own, '--models', 'itemknn,userknn', '--trials', '5', '--report', 'tune.html', '--json').json()
    models = {row['model']: row for row in report['models']}
    equal({name: len(row['trials']) for name, row in models.items()}, {'itemknn': 5, 'userknn': 5})
    check(all(row['validation'] >= row['trials'][0]['objective'] for row in models.values()), 'the best is not below the first')
    check(open('tune.html').read().rstrip().endswith('</html>'), 'a page')
    with open(f'{own}/search/trials.jsonl') as file:
        equal(len(file.readlines()), 10)
    medley('tune', own, '--models', 'itemknn', '--trials', '5', says=['itemknn', 'kept for later trainings'])
    with open(f'{own}/search/trials.jsonl') as file:
        equal(len(file.readlines()), 10, 'nothing is tried twice')
    trained = medley('train', own, '--models', 'popular,itemknn', '--json').json()
    known = {row['model']: row.get('known', False) for row in trained['fit']['models']}
    equal(known, {'popular': False, 'itemknn': True})
    medley('tune', own, '--budget', 'soon', status=2, says=['a length of time such as 90s'])
    medley('train', own, '--budget', '9s', status=2, says=['--auto'])


def train():
    done = medley('train', SHOP, '--json', '--verbose')
    report = done.json()
    equal(report['generation'], 1, 'generation')
    check(report['content'] and report['fit']['models'], str(report))
    stages = [json.loads(line) for line in done.err.splitlines()]
    check(len([s for s in stages if 'stage' in s]) > 2, f'--verbose tells no stages: {stages}')


def train_for_people():
    shop = own_shop()
    shown = medley('train', shop, '--models', 'popular,itemknn', '--verbose')
    check('generation 2 serves' in shown.out and 'itemknn' in shown.out, str(shown))
    check(len(shown.err.splitlines()) > 2, f'--verbose tells no stages: {shown}')
    equal(medley('train', shop, '--models', 'popular', '--quiet').err, '', '--quiet')


def recommend():
    answer = medley('recommend', SHOP, '--user', USER, '--count', 7, '--why', '--json').json()
    equal(len(answer['results']), 7, 'results')
    for r in answer['results']:
        parts = sum(p['value'] for p in r['parts']) if isinstance(r['parts'], list) else sum(r['parts'].values())
        check(abs(parts - r['score']) <= 1e-5 * max(1, abs(r['score'])), f'the parts do not add up: {r}')
        check(r['why'], f'no reasons: {r}')
    scores = [r['score'] for r in answer['results']]
    equal(scores, sorted(scores, reverse=True), 'order')
    shown = medley('recommend', SHOP, '--user', USER, '--count', 7, '--why').out
    for item in items_of(answer):
        check(item in shown, f'{item} is not in:\n{shown}')
    check('█' in shown or '▏' in shown, f'no bars:\n{shown}')
    check('note: ' in medley('recommend', SHOP, '--user', 'nobody').err, 'no note for a stranger')
    equal(medley('recommend', SHOP, '--user', 'nobody', '--quiet').err, '', '--quiet')


def friends_answer_a_stranger():
    """Whom somebody follows counts at once, before their first click, and no longer when they unfollow."""
    shop = own_shop()
    followed = ['u1', 'u2', 'u3', 'u4', 'u5']
    chose = {}
    for line in (CATALOGUE / 'events.csv').read_text().splitlines()[1:]:
        user, item, kind = line.split(',')[:3]
        if user in followed and kind not in ('dislike', 'skip', 'hide'):
            chose.setdefault(item, set()).add(user)
    medley('train', shop, '--models', 'trust')
    check('a stranger' in medley('recommend', shop, '--user', 'newcomer').err, 'no stranger')
    pathlib.Path('follows.csv').write_text('follower,followee,type\n' + ''.join(f'newcomer,{u},follows\n' for u in followed))
    medley('import', shop, 'links', 'follows.csv', says='0 rejected')
    shown = medley('recommend', shop, '--user', 'newcomer', '--count', 5, '--why', '--json').json()
    check('those whom this user follows' in shown['note'], str(shown))
    for r in shown['results']:
        told = re.search(r'(\d+) (?:people|person) you follow chose it', r['why'])
        check(told and 1 <= int(told[1]) <= len(chose[r['item']]), f'{chose.get(r["item"])}: {r}')
    for u in followed[1:]:
        medley('forget', shop, u)
    one = medley('recommend', shop, '--user', 'newcomer', '--count', 1, '--why', '--json').json()['results'][0]
    check('1 person you follow chose it' in one['why'] and 'u1' in chose[one['item']], str(one))
    pathlib.Path('unfollows.csv').write_text('follower,followee,type,weight\nnewcomer,u1,follows,-1\n')
    medley('import', shop, 'links', 'unfollows.csv')
    check('a stranger' in medley('recommend', shop, '--user', 'newcomer').err, 'still follows')


def people_alike_answer_a_stranger():
    """What is known of somebody counts before their first click, and no longer when it is another thing."""
    shop = own_shop()
    medley('train', shop, '--models', 'popular,demographic')
    header, *rows = (CATALOGUE / 'users.csv').read_text().splitlines()
    held = [row.split(',')[1] for row in rows]
    groups = sorted(group for group in set(held) if held.count(group) >= 10)
    answers = set()
    for group in groups:
        pathlib.Path('new.csv').write_text(f'{header}\nnewcomer,{group},en\n')
        medley('import', shop, 'users', 'new.csv', says='0 rejected')
        answer = medley('recommend', shop, '--user', 'newcomer', '--count', 20, '--why', '--json').json()
        check('people alike' in answer['note'], str(answer['note']))
        check(any('people' in str(r['parts']) for r in answer['results']), str(answer['results'][0]))
        answers.add(str([r['score'] for r in answer['results']]))
    check(len(answers) == len(groups) > 1, f'{len(answers)} answers for {groups}')
    pathlib.Path('new.csv').write_text(f'{header}\nnewcomer,never,heard\n')
    medley('import', shop, 'users', 'new.csv')
    check("a stranger's answer" in medley('recommend', shop, '--user', 'newcomer').err, 'still like somebody')


def pages_are_stable():
    whole = items_of(medley('recommend', SHOP, '--user', USER, '--count', 12, '--json').json())
    pages, after = [], []
    for _ in range(3):
        answer = medley('recommend', SHOP, '--user', USER, '--count', 4, *after, '--json').json()
        pages += items_of(answer)
        after = ['--after', answer['next']]
    equal(pages, whole, 'three pages of four')
    medley('recommend', SHOP, '--user', USER, '--after', 'nonsense', status=(1, 2))


def rules():
    whole = items_of(medley('recommend', SHOP, '--user', USER, '--count', 20, '--json').json())
    last = whole[-1]
    equal(items_of(medley('recommend', SHOP, '--user', USER, '--pin', last, '--json').json())[0], last, 'pinned')
    equal(items_of(medley('recommend', SHOP, '--user', USER, '--boost', last + '=100', '--json').json())[0], last, 'boosted')
    check(whole[0] not in items_of(medley('recommend', SHOP, '--user', USER, '--bury', whole[0] + '=100', '--json').json()), 'buried')
    check(whole[0] not in items_of(medley('recommend', SHOP, '--user', USER, '--exclude', whole[0], '--json').json()), 'excluded')
    category = medley('item', SHOP, 'show', whole[0], '--json').json()['category']
    for item in items_of(medley('recommend', SHOP, '--user', USER, '--category', category, '--json').json()):
        described = medley('item', SHOP, 'show', item, '--json').json()
        check(category == described['category'] or category in described.get('tags', []), f'{item} is no {category}: {described}')
    medley('recommend', SHOP, '--category', 'no such category', status=4)
    medley('recommend', SHOP, '--pin', 'no such item', status=4)


def an_event_counts_at_once():
    shop = own_shop()
    before = medley('recommend', shop, '--user', USER, '--json').json()
    first = items_of(before)[0]
    medley('event', shop, USER, 'buy', first, says='counts it')
    after = medley('recommend', shop, '--user', USER, '--json').json()
    check(first not in items_of(after), 'what was bought is recommended again')
    check(first in items_of(medley('recommend', shop, '--user', USER, '--count', 80, '--include-seen', '--json').json()), '--include-seen')
    for item in items_of(before)[1:4]:
        medley('event', shop, 'newcomer', 'like', item)
    known = medley('recommend', shop, '--user', 'newcomer', '--json').json()
    check(items_of(known) != items_of(medley('recommend', shop, '--user', 'nobody', '--json').json()), 'a newcomer gets a stranger\'s list')
    medley('forget', shop, 'newcomer')
    medley('forget', shop, 'newcomer', status=4)
    medley('event', shop, USER, 'click', 'no such item', status=4, says='no such item')
    medley('event', shop, USER, 'click', first, '--context', 'page=home', '--context', 'device=phone')
    medley('event', shop, USER, 'click', first, '--context', 'page', status=2, says="--context wants NAME=VALUE such as page=home, not 'page'")
    medley('event', shop, USER, 'click', first, '--time', '2999-01-01T00:00:00Z', status=1, says='more than a day ahead')


def an_item_that_came_after_the_training():
    shop = own_shop()
    medley('item', shop, 'put', 'late', '--title', 'Latecomer')
    medley('event', shop, USER, 'click', 'late', says='item late is not in the trained generation yet: it counts after the next')
    equal(medley('event', shop, USER, 'click', 'late', '--json').json(), {'accepted': True, 'trained': False}, 'an event with it')
    answer = medley('recommend', shop, '--user', USER, '--pin', 'late', '--why', '--json').json()
    pinned = answer['results'][0]
    equal((pinned['item'], pinned['title'], pinned['score'], pinned['pinned']), ('late', 'Latecomer', 0, True), 'the pinned one')
    check('2 events of the history' in answer['note'], f'note: {answer["note"]}')
    answer = medley('recommend', shop, '--user', USER, '--boost', 'late=3', '--json').json()
    check("item 'late' is not in the trained generation yet: boosting" in answer['note'], f'note: {answer["note"]}')
    medley('explain', shop, USER, 'late', status=4, says='came after the last training')


def search():
    for words in (['--text', 'striped lamp'], ['--text', '条纹台灯'], ['--image', CATALOGUE / 'queries' / 'blue-dotted-vase.jpg'],
                  ['--audio', CATALOGUE / 'queries' / 'quick-high-bell.wav']):
        answer = medley('search', SHOP, *words, '--count', 5, '--json').json()
        equal(len(answer['results']), 5, str(words))
    titles = [r['title'].lower() for r in medley('search', SHOP, '--text', 'lamp', '--count', 3, '--json').json()['results']]
    check(any('lamp' in t or '灯' in t for t in titles), f'words find {titles}')
    one = items_of(medley('search', SHOP, '--text', 'lamp', '--json').json())
    mixed = medley('search', SHOP, '--text', 'lamp', '--like', one[0], '--not', one[1], '--json').json()
    check(one[1] not in items_of(mixed)[:1], 'what was not wanted comes first')
    medley('search', SHOP, '--text', 'lamp', '--why', says=['lamp', one[0]])
    picture = next((CATALOGUE / 'images').iterdir())
    medley('search', SHOP, '--image', picture, '--side', 'image', says='score')
    medley('search', SHOP, '--image', 'nofile.png', status=4, says='there is no such file')


def similar_profile_explain():
    item = items_of(medley('recommend', SHOP, '--user', USER, '--json').json())[0]
    check(item not in items_of(medley('similar', SHOP, item, '--json').json()), 'an item is similar to itself')
    medley('similar', SHOP, item, '--modality', 'image', '--why', says='█')
    profile = medley('profile', SHOP, USER, '--json').json()
    check(profile, 'an empty profile')
    check(len(medley('profile', SHOP, USER).out.splitlines()) > 3, 'a short profile')
    explained = medley('explain', SHOP, USER, item, '--json').json()
    equal(explained['rank'], 1, f'the rank of the first: {explained}')
    check(len(medley('explain', SHOP, USER, item).out.splitlines()) > 3, 'a short explanation')
    for words in (['similar', SHOP, 'nothing'], ['explain', SHOP, USER, 'nothing'], ['profile', SHOP, 'nobody'], ['explain', SHOP, 'nobody', item]):
        medley(*words, status=4, says=words[-1] if words[-1] != item else 'nobody')


def card():
    item = items_of(medley('recommend', SHOP, '--user', USER, '--json').json())[0]
    medley('card', SHOP, item, '-o', 'card.png')
    medley('card', SHOP, item, '-o', 'grey.png', '--grey', '--width', 300, '--height', 200)
    for name, size in (('card.png', (600, 400)), ('grey.png', (300, 200))):
        data = pathlib.Path(name).read_bytes()
        equal(data[:8], b'\x89PNG\r\n\x1a\n', name)
        equal(struct.unpack('>II', data[16:24]), size, f'{name}: width and height')
    medley('card', SHOP, 'nothing', '-o', 'none.png', status=4, says='nothing')
    medley('card', SHOP, item, '-o', 'card.xyz', status=(1, 2))
    equal(sorted(os.listdir('.')), ['card.png', 'grey.png'], 'files')


def one_item():
    shop = own_shop()
    picture = next((CATALOGUE / 'images').iterdir())
    medley('item', shop, 'put', 'x1', '--title', 'Red dress 红色连衣裙', '--tags', 'dress,red', '--image', picture, '--attributes',
           '{"price": 2.5}', '--time', '2025-01-31')
    shown = medley('item', shop, 'show', 'x1', '--json').json()
    equal((shown['title'], sorted(shown['tags'])), ('Red dress 红色连衣裙', ['dress', 'red']), 'item')
    medley('item', shop, 'put', 'x1', '--category', 'clothes')  # the rest stays
    shown = medley('item', shop, 'show', 'x1', '--json').json()
    equal((shown['title'], shown['category']), ('Red dress 红色连衣裙', 'clothes'), 'item')
    medley('item', shop, 'show', 'x1', says='红色连衣裙')
    medley('item', shop, 'put', 'x2', '--attributes', '{"price"', status=(1, 2))
    medley('item', shop, 'show', 'x2', status=4)
    medley('item', shop, 'delete', 'x1')
    medley('item', shop, 'show', 'x1', status=4, says='x1')


def export_and_restore():
    pathlib.Path('key').write_text('correct horse\nsecond line')
    medley('export', SHOP, 'shop.medley', '--passphrase-file', 'key')
    check(b'SQLite' not in pathlib.Path('shop.medley').read_bytes(), 'the export is readable')
    medley('restore', 'shop.medley', 'again', status=1, env={'MEDLEY_PASSPHRASE': 'wrong'})
    data = bytearray(pathlib.Path('shop.medley').read_bytes())
    data[len(data) // 2] ^= 1
    pathlib.Path('changed.medley').write_bytes(data)
    medley('restore', 'changed.medley', 'again', status=1, env={'MEDLEY_PASSPHRASE': 'correct horse'})
    equal(sorted(os.listdir('.')), ['changed.medley', 'key', 'shop.medley'], 'files')
    medley('restore', 'shop.medley', 'again', env={'MEDLEY_PASSPHRASE': 'correct horse'})
    equal(medley('recommend', 'again', '--user', USER, '--json').json()['results'],
          medley('recommend', SHOP, '--user', USER, '--json').json()['results'], 'answers of the restored workspace')
    medley('restore', 'shop.medley', 'again', status=1, env={'MEDLEY_PASSPHRASE': 'correct horse'})
    # Asked at a terminal, and not shown there.
    shown = terminal('export', SHOP, 'typed.medley', keys=b'abc\x7fd\nabd\n')
    check('abd' not in shown and 'abc' not in shown, f'the passphrase was shown: {shown!r}')
    shown = terminal('export', SHOP, 'other.medley', keys=b'abc\nabd\n', status=2)
    check('differ' in shown, shown)
    medley('restore', 'typed.medley', 'typed', env={'MEDLEY_PASSPHRASE': 'abd'})


def ctrl_c_ends_cleanly():
    shop = own_shop()
    for words in (['train', shop, '--fresh', '--verbose'], ['evaluate', shop, '--verbose']):
        process = subprocess.Popen([os.environ['MEDLEY_COMMAND'], *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
        process.stderr.readline()  # the first stage is over
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        equal(process.returncode, 130, f'{words}: {err}')
        equal(out, '', f'{words}: standard output')
        check('stopped' in err, err)
    equal(medley('info', shop, '--json').json()['generation'], medley('info', SHOP, '--json').json()['generation'], 'generation')
    medley('recommend', shop, '--user', USER)
    findings = medley('doctor', shop, '--json', status=(0, 1)).json()['findings']
    kept = [f for f in findings if f['check'] in ('folder', 'generations', 'settings', 'database', 'media')]
    check(len(kept) == 5 and all(f['ok'] for f in kept), f'after Ctrl-C: {findings}')


def a_bar_on_a_terminal():
    shown = terminal('sample', 'drawn', '--items', 60, '--users', 20)
    check('░' in shown and ' %' in shown and '\r\x1b[K' in shown, f'no bar: {shown[:500]!r}')
    check('░' not in plain(shown.split('\r\x1b[K')[-1]), 'the bar stays')


def doctor():
    report = medley('doctor', SHOP, '--json', status=(0, 1)).json()
    for finding in report['findings']:
        check(finding['ok'] or finding['text'], str(finding))
    medley('doctor', SHOP, status=0 if report['ok'] else 1, says=[f['check'] for f in report['findings']])


if __name__ == '__main__':
    sys.exit(run_tests([the_same_seed_gives_the_same_sample, sample_and_import, evaluate_before_training, evaluate_cold_items, train, train_for_people, tune, bench_models, the_same_seed_gives_the_same_table, recommend,
                        friends_answer_a_stranger, people_alike_answer_a_stranger, pages_are_stable, rules, an_event_counts_at_once, an_item_that_came_after_the_training, search, similar_profile_explain, card, one_item, export_and_restore,
                        ctrl_c_ends_cleanly, a_bar_on_a_terminal, doctor]))
