#!/usr/bin/env python3
"""The command line itself: help, mistakes, statuses, manual pages, completions, colours. Needs no workspace."""
import json, os, pathlib, re, subprocess, sys

from harness import *


def command_names():
    """From the files, so that one that is missing in the table is noticed."""
    return sorted(p.stem.removeprefix('cmd_') for p in (SOURCE / 'src' / 'cli').glob('cmd_*.c'))


def overview_names_every_command():
    shown = medley('help').out
    for name in command_names():
        check(re.search(rf'^  {name} ', shown, re.M), f'medley help does not name {name}')
    equal(medley('--help').out, shown, 'medley --help')
    alone = medley(status=2)
    equal(alone.out, '', 'medley alone on standard output')
    check('Usage:' in alone.err, str(alone))


def every_help_has_usage_examples_and_statuses():
    for name in command_names():
        shown = medley(name, '--help', says=['Usage: medley ' + name, 'Examples', 'Exit status', '--json']).out
        equal(medley('help', name).out, shown, f'medley help {name}')
        equal(medley(name, '--bogus', '-h').out, shown, f'{name} --bogus -h')
        check(not shown.startswith(' ') and '\x1b' not in shown, f'{name}: colours without a terminal')


def everything_comes_as_json_too():
    table = medley('help', '--json').json()
    equal(sorted(c['name'] for c in table['commands']), command_names(), 'the names of the commands')
    check(any(o['name'] == 'json' for o in table['common_options']), 'options of every command')
    for c in table['commands']:
        check(c['usage'].startswith('medley ' + c['name']) and c['examples'] and c['exits'], str(c))
        equal(medley('help', c['name'], '--json').json(), c, f'medley help {c["name"]} --json')
        equal(medley(c['name'], '--help', '--json').json(), c, f'medley {c["name"]} --help --json')
    equal(medley('completions', 'bash', '--json').json()['script'], medley('completions', 'bash').out, 'completions')
    equal(medley('man', 'train', '--json').json()['page'], medley('man', 'train').out, 'a page')
    equal(medley('man', '--write', 'pages', '--json').json(), {'written': 'pages'}, 'pages')


def examples_in_help_parse():
    """Each example gets past the parser: its mistake, if any, is not one of usage. None of them touches anything here."""
    for name in command_names():
        text = medley(name, '--help').out.split('Examples\n')[1].split('\nExit status')[0]
        for line in re.findall(r'^    medley (\S+.*)$', text, re.M):
            if name in ('man', 'completions', 'sample', 'init', 'help', 'version', 'list', 'doctor', 'model'):
                continue
            words = subprocess.run(['bash', '-c', f'printf "%s\\n" {line}'], capture_output=True, text=True).stdout.split('\n')[:-1]
            done = medley(*words, status=(1, 4), env={'MEDLEY_PASSPHRASE': 'x'})
            check('workspace' in done.err or 'shop' in done.err or 'films' in done.err, str(done))


def mistakes():
    rows = [
        (['recomend', 'shop'], "there is no command 'recomend': did you mean recommend?"),
        (['zzzzzz'], "there is no command 'zzzzzz'; 'medley help' lists them"),
        (['help', 'tarin'], 'did you mean train?'),
        (['recommend'], 'WORKSPACE is missing: medley recommend WORKSPACE'),
        (['recommend', 'shop', '--usr', 'u1'], 'there is no option --usr: did you mean --user?'),
        (['recommend', 'shop', '--user'], '--user needs a value: --user USER'),
        (['recommend', 'shop', '--count', 'ten'], "--count wants a whole number from 1 to 1000, not 'ten'"),
        (['recommend', 'shop', '--diversity', '2'], "--diversity wants a number from 0 to 1, not '2'"),
        (['recommend', 'shop', 'extra'], "'extra' is one argument too many"),
        (['evaluate', 'shop', '--split', 'globaltime'], 'did you mean global-time?'),
        (['import', 'shop', 'items'], 'FILE is missing: medley import shop items FILE'),
        (['import', 'shop', 'items', 'x', '--map', 'title'], '--map wants FIELD=COLUMN'),
        (['search', 'shop'], 'say what to look for'),
        (['event', 'shop', 'u1', 'click', 'i1', '--time', 'yesterday'], '--time wants'),
        (['item', 'shop', 'show', 'i1', '--title', 'x'], '--title goes with put, not with show'),
        (['card', 'shop', 'i1'], '--output FILE is missing'),
        (['list', 'recommenders'], 'did you mean recommender?'),
        (['sample', 'x', '--items', '5'], '--items wants a whole number from 20'),
        (['export', 'shop', 'x', '--passphrase', 'secret'], 'there is no option --passphrase: did you mean --passphrase-file?'),
    ]
    for words, sentence in rows:
        done = medley(*words, status=2, says=sentence)
        equal(done.out, '', f'{words} on standard output')
        equal(done.err.count('\n'), 1, f'{words}: lines on standard error')
        done = medley(*words, '--json', status=2)
        error = json.loads(done.err)['error']
        equal(error['status'], 'usage', f'{words} --json')
        check(sentence in error['text'], f'{words} --json: {error}')
    equal(os.listdir('.'), [], 'left behind by mistakes')


def version():
    shown = medley('version').out
    check(re.fullmatch(r'medley \d+\.\d+\.\d+\n', shown), shown)
    equal(medley('--version').out, shown, '--version')
    equal('medley ' + medley('version', '--json').json()['version'] + '\n', shown, 'version --json')


def full_disk_is_noticed():
    with open('/dev/full', 'w') as full:
        done = subprocess.run([os.environ['MEDLEY_COMMAND'], 'help'], stdout=full, stderr=subprocess.PIPE, text=True)
    equal(done.returncode, 1, 'exit status')
    check('standard output' in done.stderr, done.stderr)


def colours_on_terminals_only():
    check('\x1b[1m' in terminal('help'), 'no colours on a terminal')
    for env, words in (({'NO_COLOR': '1'}, []), ({'TERM': 'dumb'}, []), ({}, ['--no-color'])):
        check('\x1b' not in terminal('help', *words, env=env), f'colours in spite of {env} {words}')


def manual_pages():
    medley('man', '--write', 'pages')
    names = sorted(p.name for p in pathlib.Path('pages').glob('*.1'))
    equal(names, sorted(['medley.1'] + [f'medley-{n}.1' for n in command_names()]), 'manual pages')
    equal(medley('man', 'recommend').out, pathlib.Path('pages/medley-recommend.1').read_text(), 'medley man recommend')
    checkers = [[c, *o] for c, *o in (['mandoc', '-Tlint', '-Wwarning'], ['groff', '-man', '-Kutf8', '-Tutf8', '-ww', '-z']) if shutil.which(c)]
    if not checkers:
        raise Skip('neither mandoc nor groff is there')
    for name in names:
        for checker in checkers:
            done = subprocess.run([*checker, f'pages/{name}'], capture_output=True, text=True)
            # The date is empty on purpose: a page built twice is the same.
            said = [line for line in (done.stdout + done.stderr).splitlines() if 'date' not in line]
            check(not said, f'{checker[0]}: {said[:5]}')


def man_shows_them():
    medley('man', '--write', 'pages')
    done = subprocess.run([tool('man'), '-l', 'pages/medley-import.1'], capture_output=True, text=True,
                          env=environment({'MANPAGER': 'cat', 'PAGER': 'cat', 'MANWIDTH': '80', 'LC_ALL': 'C.UTF-8'}))
    if done.returncode != 0:
        raise Skip('man cannot show pages here: ' + done.stderr.strip())
    shown = re.sub(r'.\x08', '', plain(done.stdout))
    for piece in ('NAME', 'medley-import', 'EXIT STATUS', '--allow-rejects', "posters/{item}.jpg"):
        check(piece in shown, f'{piece} is not in the page:\n{shown}')


def completions_parse():
    for shell in ('bash', 'zsh'):
        pathlib.Path(shell).write_text(medley('completions', shell).out)
    for shell in ('bash', 'zsh'):
        done = subprocess.run([tool(shell), '-n', shell], capture_output=True, text=True)
        equal((done.returncode, done.stderr), (0, ''), f'{shell} -n')


def bash_completes():
    rows = [
        (['medley', 'rec'], ['recommend']),
        (['medley', 'recommend', 'shop', '--div'], ['--diversity']),
        (['medley', 'evaluate', 'shop', '--split', 'c'], ['cold-item', 'cold-user']),
        (['medley', 'import', 'shop', 'ev'], ['events']),
        (['medley', 'import', '-f', 'csv', 'shop', 'u'], ['users']),
        (['medley', 'help', 'ev'], ['evaluate', 'event']),
        (['medley', 'completions', ''], ['bash', 'zsh']),
        (['medley', 'card', 'shop', 'i1', '-o', 'ca'], ['card.png']),
    ]
    pathlib.Path('medley.bash').write_text(medley('completions', 'bash').out)
    pathlib.Path('card.png').touch()
    for words, wanted in rows:
        script = 'source ./medley.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _medley; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(['bash', '-c', script, 'bash', *words], capture_output=True, text=True)
        equal(sorted(done.stdout.split()), wanted, f'{words} {done.stderr}')


def document_is_current():
    document = SOURCE / 'docs' / 'cli.md'
    check(document.read_text() == medley('man', '--markdown').out,
          'docs/cli.md differs from the table: build/medley man --markdown > docs/cli.md')


def list_names_what_can_be_chosen():
    for family in medley('list', '--json').json():
        rows = medley('list', family, '--json').json()
        check(rows and all(row['name'] and row['summary'] for row in rows), f'{family}: {rows}')
        medley('list', family, says=[row['name'] for row in rows])
    names = [row['name'] for row in medley('list', 'recommender', '--json').json()]
    check({'popular', 'ease', 'itemknn', 'ials', 'content'} <= set(names), str(names))


def doctor_without_a_workspace():
    report = medley('doctor', '--json', status=(0, 1)).json()
    check(report['findings'] and all(f['check'] and f['text'] for f in report['findings']), str(report))
    medley('doctor', status=0 if report['ok'] else 1)


if __name__ == '__main__':
    sys.exit(run_tests([overview_names_every_command, every_help_has_usage_examples_and_statuses, everything_comes_as_json_too, examples_in_help_parse, mistakes, version,
                        full_disk_is_noticed, colours_on_terminals_only, manual_pages, man_shows_them, completions_parse, bash_completes,
                        document_is_current, list_names_what_can_be_chosen, doctor_without_a_workspace]))
