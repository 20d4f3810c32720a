/* cli/passphrase.c: see cli/passphrase.h. */
#include "cli/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"

#define PASSPHRASE_FILE_MAX (64 * 1024)
#define KEY_INTERRUPT 3
#define KEY_END 4

void passphrase_wipe(char *passphrase) { explicit_bzero(passphrase, PASSPHRASE_MAX + 1); }

static medley_status passphrase_check(const char *text, size_t length, const char *source, char *out,
                                      medley_error *err) {
  if (length == 0) return error_set(err, MEDLEY_ERR_USAGE, "the passphrase from %s is empty", source);
  if (length > PASSPHRASE_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "the passphrase from %s has more than %d bytes", source, PASSPHRASE_MAX);
  if (memchr(text, '\0', length) != NULL)
    return error_set(err, MEDLEY_ERR_INPUT, "the passphrase from %s holds a zero byte", source);
  memcpy(out, text, length);
  out[length] = '\0';
  return MEDLEY_OK;
}

static medley_status from_file(const char *path, char *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *bytes = NULL;
  size_t length = 0;
  TRY(file_read(path, PASSPHRASE_FILE_MAX, &bytes, &length, err));
  size_t end = 0;
  while (end < length && bytes[end] != '\n' && bytes[end] != '\r') end++;
  status = passphrase_check(bytes, end, path, out, err);
  explicit_bzero(bytes, length);
done:
  mem_free(bytes);
  return status;
}

/* ---- asking ---- */

static bool tty_write(int tty, const char *text) {
  size_t length = strlen(text);
  return write(tty, text, length) == (ssize_t)length;
}

/* One line, read byte by byte with echo, line editing and signals of the terminal off: an interrupt key in the middle
 * must not leave a terminal that shows nothing. */
static medley_status line_read(int tty, char *out, medley_error *err) {
  size_t length = 0;
  for (;;) {
    unsigned char key;
    ssize_t got = read(tty, &key, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || key == KEY_INTERRUPT || (key == KEY_END && length == 0))
      return error_set(err, MEDLEY_ERR_CANCELLED, "no passphrase was given");
    if (key == '\n' || key == '\r' || key == KEY_END) break;
    if (key == 8 || key == 127) { /* back over one character, which may be several bytes */
      while (length > 0 && ((unsigned char)out[--length] & 0xC0) == 0x80) continue;
    } else if (length < PASSPHRASE_MAX) {
      out[length++] = (char)key;
    } else {
      return error_set(err, MEDLEY_ERR_LIMIT, "the passphrase has more than %d bytes", PASSPHRASE_MAX);
    }
  }
  out[length] = '\0';
  return length > 0 ? MEDLEY_OK : error_set(err, MEDLEY_ERR_USAGE, "the passphrase is empty");
}

static medley_status prompt(int tty, const char *question, char *out, medley_error *err) {
  struct termios before, silent;
  if (tcgetattr(tty, &before) != 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "the terminal");
  silent = before;
  silent.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
  if (tcsetattr(tty, TCSAFLUSH, &silent) != 0 || !tty_write(tty, question))
    return error_set_errno(err, MEDLEY_ERR_IO, errno, "the terminal");
  medley_status status = line_read(tty, out, err);
  /* The terminal gets its echo back whether or not the line end could be written. */
  bool good = tcsetattr(tty, TCSAFLUSH, &before) == 0;
  good = tty_write(tty, "\n") && good;
  if (status == MEDLEY_OK && !good) status = error_set_errno(err, MEDLEY_ERR_IO, errno, "the terminal");
  return status;
}

static medley_status from_terminal(bool new, char *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char again[PASSPHRASE_MAX + 1] = {0};
  int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (tty < 0)
    FAIL(err, MEDLEY_ERR_USAGE,
         "there is no terminal to ask for the passphrase: use --passphrase-file FILE or set "
         "MEDLEY_PASSPHRASE");
  TRY(prompt(tty, "Passphrase: ", out, err));
  if (!new) goto done;
  TRY(prompt(tty, "The same again: ", again, err));
  if (strcmp(out, again) != 0) FAIL(err, MEDLEY_ERR_USAGE, "the two passphrases differ");
done:
  passphrase_wipe(again);
  if (tty >= 0) close(tty);
  return status;
}

medley_status passphrase_get(const arguments *a, bool new, char *out, medley_error *err) {
  const char *path = arguments_text(a, "passphrase-file"), *variable = getenv("MEDLEY_PASSPHRASE");
  if (path != NULL) return from_file(path, out, err);
  if (variable != NULL) return passphrase_check(variable, strlen(variable), "MEDLEY_PASSPHRASE", out, err);
  return from_terminal(new, out, err);
}
