"""Runs the built command from outside, as a user would, and reports each test the way cmocka does, so that scripts/check
counts them one by one.

    MEDLEY_COMMAND=build/medley tests/e2e/test_usage.py [NAME...]     NAME: only these tests
"""
import json, os, pathlib, pty, re, select, shutil, subprocess, sys, tempfile, time, traceback

COMMAND = os.environ.get('MEDLEY_COMMAND', 'build/medley')
SOURCE = pathlib.Path(os.environ.get('MEDLEY_SOURCE', pathlib.Path(__file__).resolve().parents[2]))
TIMEOUT_S = 300


class Skip(Exception):
    """A test whose tool or data is not here."""


class Failed(Exception):
    pass


class Done:
    """What a run of the command left behind."""

    def __init__(self, words, status, out, err):
        self.words, self.status, self.out, self.err = words, status, out, err

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as reason:
            raise Failed(f'{self}: no JSON on standard output: {reason}') from None

    def __str__(self):
        return f'medley {" ".join(map(str, self.words))} -> {self.status}\nout: {self.out[:2000]}\nerr: {self.err[:2000]}'


def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if k not in ('MEDLEY_PASSPHRASE', 'NO_COLOR', 'COLUMNS')}
    env['TERM'] = 'xterm'
    env.update(extra or {})
    return env


def medley(*words, status=0, says=(), folder=None, env=None, stdin=subprocess.DEVNULL):
    """Runs it; the exit status must be `status` (or one of them), and what it prints must contain each of `says`."""
    done = subprocess.run([COMMAND, *map(str, words)], cwd=folder, env=environment(env), stdin=stdin, capture_output=True,
                          timeout=TIMEOUT_S)
    got = Done(words, done.returncode, done.stdout.decode(), done.stderr.decode())
    allowed = status if isinstance(status, (tuple, list)) else (status,)
    check(got.status in allowed, f'exit status {got.status}, expected {allowed}: {got}')
    for sanitizer in ('AddressSanitizer', 'LeakSanitizer', 'runtime error:'):
        check(sanitizer not in got.err, f'{got}')
    for piece in [says] if isinstance(says, str) else says:
        check(piece in got.out + got.err, f'does not say {piece!r}: {got}')
    return got


def terminal(*words, status=0, keys=b'', env=None, folder=None, start_new_session=True):
    """The same on a pseudo terminal; returns what was shown there. `keys` are typed once something was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([COMMAND, *map(str, words)], cwd=folder, env=environment(env), stdin=theirs, stdout=theirs,
                               stderr=theirs, start_new_session=start_new_session, preexec_fn=control_terminal)
    os.close(theirs)
    shown, typed, late = b'', 0, time.monotonic() + TIMEOUT_S
    while time.monotonic() < late:
        ready, _, _ = select.select([ours], [], [], 0.1)
        if ready:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        # One line of keys for every question.
        if typed < len(keys) and shown.count(b': ') > keys[:typed].count(b'\n'):
            line = keys[typed:keys.index(b'\n', typed) + 1]
            os.write(ours, line)
            typed += len(line)
    process.wait(timeout=30)
    os.close(ours)
    text = shown.decode(errors='replace')
    check(process.returncode == status, f'exit status {process.returncode}, expected {status}: {words}\n{text}')
    return text


def control_terminal():
    """The pseudo terminal becomes the one that /dev/tty means."""
    import fcntl, termios
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


def equal(got, wanted, what=''):
    check(got == wanted, f'{what}: got {got!r}, expected {wanted!r}')


def tool(name):
    """The path of a program, or the test is skipped."""
    found = shutil.which(name)
    if not found:
        raise Skip(f'{name} is not there')
    return found


def run_tests(tests):
    """Every function of the list in a fresh folder, which is the current one while it runs."""
    wanted = sys.argv[1:]
    failed = 0
    start = os.getcwd()
    global COMMAND
    COMMAND = os.environ['MEDLEY_COMMAND'] = os.path.abspath(COMMAND)
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        with tempfile.TemporaryDirectory(prefix='medley-e2e-') as folder:
            os.chdir(folder)
            begun = time.monotonic()
            try:
                test()
                print(f'[       OK ] {test.__name__}', flush=True)
            except Skip as reason:
                print(f'skipped: {reason}\n[  SKIPPED ] {test.__name__}', flush=True)
            except Exception as reason:
                failed += 1
                if not isinstance(reason, Failed):
                    traceback.print_exc(file=sys.stdout)
                print(f'{reason}\n[  FAILED  ] {test.__name__}', flush=True)
            finally:
                os.chdir(start)
            if time.monotonic() - begun > 20:
                print(f'({test.__name__} took {time.monotonic() - begun:.0f} s)')
    return 1 if failed else 0


def plain(text):
    """Without the terminal's codes."""
    return re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', text)
