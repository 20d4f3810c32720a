/* index/filter.c: the text of a filter → its tree, by recursive descent with one token of foresight.
 *
 * Lengths, depth and counts are bounded before anything is built, so the worst text costs no more than a large one.
 */
#include "index/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/strbuf.h"
#include "index/filter_parts.h"

#define NUMBER_BYTES_MAX 63
#define QUOTED_IN_ERROR 40 /* bytes of the text that a sentence repeats */

/* ---- tokens ---- */

typedef enum token_kind {
  TOKEN_END,
  TOKEN_NAME,
  TOKEN_WORD,
  TOKEN_NUMBER,
  TOKEN_TRUE,
  TOKEN_FALSE,
  TOKEN_AND,
  TOKEN_OR,
  TOKEN_NOT,
  TOKEN_IN,
  TOKEN_HAS,
  TOKEN_BETWEEN,
  TOKEN_OPEN,
  TOKEN_CLOSE,
  TOKEN_COMMA,
  TOKEN_EQUAL,
  TOKEN_NOT_EQUAL,
  TOKEN_LESS,
  TOKEN_LESS_EQUAL,
  TOKEN_GREATER,
  TOKEN_GREATER_EQUAL
} token_kind;

/* Longer signs before those they begin with. */
static const struct {
  const char *text;
  token_kind kind;
} signs[] = {{"==", TOKEN_EQUAL}, {"!=", TOKEN_NOT_EQUAL}, {"<=", TOKEN_LESS_EQUAL}, {">=", TOKEN_GREATER_EQUAL},
             {"=", TOKEN_EQUAL},  {"<", TOKEN_LESS},       {">", TOKEN_GREATER},     {"(", TOKEN_OPEN},
             {")", TOKEN_CLOSE},  {",", TOKEN_COMMA}};

static const struct {
  const char *text;
  token_kind kind;
} keywords[] = {{"and", TOKEN_AND}, {"or", TOKEN_OR},           {"not", TOKEN_NOT},   {"in", TOKEN_IN},
                {"has", TOKEN_HAS}, {"between", TOKEN_BETWEEN}, {"true", TOKEN_TRUE}, {"false", TOKEN_FALSE}};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

typedef struct parser {
  filter *filter;
  const char *text, *next; /* next: behind the token */
  token_kind kind;
  const char *start;   /* of the token */
  filter_value value;  /* of a word or number; of a name: text and length */
  const char *counted; /* characters up to here are counted: positions are asked for in order, mostly */
  size_t counted_characters;
  size_t tests, values;
  filter_value *list; /* the values of the test at hand */
  size_t list_count, list_capacity;
} parser;

/* Characters, not bytes: that is what an editor counts. */
static size_t position_of(parser *p, const char *at) {
  if (p->counted == NULL || at < p->counted) {
    p->counted = p->text;
    p->counted_characters = 0;
  }
  for (; p->counted < at; p->counted++) p->counted_characters += (*p->counted & 0xC0) != 0x80;
  return p->counted_characters + 1;
}

static medley_status refuse(parser *p, const char *expected, medley_error *err) {
  char found[QUOTED_IN_ERROR + 4] = "";
  size_t length = (size_t)(p->next - p->start), kept = length;
  if (p->kind == TOKEN_END)
    return error_set(err, MEDLEY_ERR_INPUT, "filter, character %zu: expected %s, but the filter ends here",
                     position_of(p, p->start), expected);
  if (kept > QUOTED_IN_ERROR)
    for (kept = QUOTED_IN_ERROR; (p->start[kept] & 0xC0) == 0x80;) kept--;
  for (size_t i = 0; i < kept; i++) found[i] = (unsigned char)p->start[i] < ' ' ? ' ' : p->start[i];
  if (kept < length) strcpy(found + kept, "...");
  return error_set(err, MEDLEY_ERR_INPUT, "filter, character %zu: expected %s, found %s", position_of(p, p->start),
                   expected, found);
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80); }
static bool is_name_part(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-'; }

/* "word", 'word' or `name`: the closing sign ends it, a backslash makes a quote or a backslash plain. */
static medley_status read_quoted(parser *p, medley_error *err) {
  char quote = *p->next;
  const char *from = p->next + 1, *end = from;
  for (; *end != quote; end++) {
    if (*end == '\\' && (end[1] == '\0' || strchr("\\\"'`", end[1]) == NULL))
      return error_set(err, MEDLEY_ERR_INPUT,
                       "filter, character %zu: a \\ stands before \\, \", ' or ` only; write \\\\ for itself",
                       position_of(p, end));
    if (*end == '\\') end++;
    if (*end == '\0')
      return error_set(err, MEDLEY_ERR_INPUT, "filter, character %zu: the %c that opens here is not closed",
                       position_of(p, p->start), quote);
  }
  char *to = arena_alloc(p->filter->memory, (size_t)(end - from) + 1, 1);
  if (to == NULL) return error_memory(err, "a filter");
  p->value = (filter_value){.text = to, .quoted = true};
  p->kind = quote == '`' ? TOKEN_NAME : TOKEN_WORD;
  p->next = end + 1;
  for (; from < end; from++) {
    if (*from == '\\') from++;
    *to++ = *from;
  }
  p->value.length = (size_t)(to - p->value.text);
  return MEDLEY_OK;
}

/* Sign, digits, point and exponent, and nothing of a name right behind. */
static medley_status read_number(parser *p, medley_error *err) {
  const char *from = p->next, *end = from + 1;
  char text[NUMBER_BYTES_MAX + 1] = "";
  while (is_name_part(*end) || (*end == '+' && (end[-1] == 'e' || end[-1] == 'E'))) end++;
  size_t length = (size_t)(end - from);
  p->next = end;
  p->kind = TOKEN_NUMBER;
  if (length <= NUMBER_BYTES_MAX) memcpy(text, from, length);
  /* A lone point has no digits; strtod takes "5." and ".5", so may we. */
  if (!string_to_double(text, &p->value.number)) return refuse(p, "a number", err);
  p->value.whole = strspn(text, "0123456789") == length;
  if (p->value.whole) {
    errno = 0;
    p->value.id = strtoull(text, NULL, 10);
    p->value.whole = errno == 0;
  }
  p->value.length = length;
  p->value.text = arena_strndup(p->filter->memory, from, length);
  return p->value.text ? MEDLEY_OK : error_memory(err, "a filter");
}

static medley_status read_name(parser *p, medley_error *err) {
  const char *from = p->next;
  while (is_name_part(*p->next)) p->next++;
  p->value.length = (size_t)(p->next - from);
  p->kind = TOKEN_NAME;
  for (size_t i = 0; i < COUNT_OF(keywords); i++)
    if (strlen(keywords[i].text) == p->value.length && strncasecmp(keywords[i].text, from, p->value.length) == 0)
      p->kind = keywords[i].kind;
  p->value.text = arena_strndup(p->filter->memory, from, p->value.length);
  p->value.number = p->kind == TOKEN_TRUE;
  return p->value.text ? MEDLEY_OK : error_memory(err, "a filter");
}

static bool starts_number(const char *c) {
  if (*c == '-' || *c == '+') c++;
  return is_digit(*c) || (*c == '.' && is_digit(c[1]));
}

static medley_status token_next(parser *p, medley_error *err) {
  while (is_space(*p->next)) p->next++;
  p->start = p->next;
  p->value = (filter_value){.text = ""};
  char c = *p->next;
  if (c == '\0') {
    p->kind = TOKEN_END;
    return MEDLEY_OK;
  }
  if (c == '"' || c == '\'' || c == '`') return read_quoted(p, err);
  if (starts_number(p->next)) return read_number(p, err);
  if (is_letter(c)) return read_name(p, err);
  for (size_t i = 0; i < COUNT_OF(signs); i++)
    if (string_starts(p->next, signs[i].text)) {
      p->kind = signs[i].kind;
      p->next += strlen(signs[i].text);
      return MEDLEY_OK;
    }
  p->next++;
  p->kind = TOKEN_COMMA; /* none of ours; anything but the end says so */
  return refuse(p, "a name, a value or a sign of the filter language", err);
}

/* ---- the tree ---- */

static medley_status node_create(parser *p, filter_op op, size_t position, filter_node **out, medley_error *err) {
  *out = arena_alloc(p->filter->memory, 1, sizeof **out);
  if (*out == NULL) return error_memory(err, "a filter");
  (*out)->op = op;
  (*out)->position = position;
  return MEDLEY_OK;
}

/* The token at hand, which must be a value, goes to the list. */
static medley_status take_value(parser *p, const filter_node *test, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool number = p->kind == TOKEN_NUMBER || p->kind == TOKEN_TRUE || p->kind == TOKEN_FALSE;
  bool ordered = test->op != FILTER_IN;
  if (test->is_id && !p->value.whole) return refuse(p, "an id: digits alone, at most 18446744073709551615", err);
  if (!number && (ordered || p->kind != TOKEN_WORD))
    return refuse(p, ordered ? "a number" : "a number or a word in quotes", err);
  if (++p->values > FILTER_VALUES_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "filter, character %zu: more than the limit of %d values",
                     position_of(p, p->start), FILTER_VALUES_MAX);
  TRY_GROW(p->list, p->list_capacity, p->list_count + 1, "a filter");
  p->list[p->list_count++] = p->value;
  status = token_next(p, err);
done:
  return status;
}

static medley_status expect(parser *p, token_kind kind, const char *expected, medley_error *err) {
  return p->kind == kind ? token_next(p, err) : refuse(p, expected, err);
}

static medley_status take_list(parser *p, const filter_node *test, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(expect(p, TOKEN_OPEN, "( after in", err));
  TRY(take_value(p, test, err));
  while (p->kind == TOKEN_COMMA) {
    TRY(token_next(p, err));
    TRY(take_value(p, test, err));
  }
  TRY(expect(p, TOKEN_CLOSE, ", or ) in the list", err));
done:
  return status;
}

static medley_status take_range(parser *p, const filter_node *test, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(take_value(p, test, err));
  TRY(expect(p, TOKEN_AND, "and between the two ends", err));
  TRY(take_value(p, test, err));
done:
  return status;
}

static medley_status take_name(parser *p, filter_node *test, medley_error *err) {
  if (p->kind != TOKEN_NAME) return refuse(p, "the name of an attribute, id, has, not or (", err);
  if (p->value.length == 0 || p->value.length > ATTRIBUTES_NAME_BYTES_MAX)
    return refuse(p, "a name of 1 to 128 bytes", err);
  test->name = p->value.text;
  test->is_id = strcmp(test->name, "id") == 0;
  p->filter->uses_ids |= test->is_id;
  return token_next(p, err);
}

static medley_status take_comparison(parser *p, filter_node *test, medley_error *err) {
  static const struct {
    token_kind kind;
    filter_op op;
    bool negated;
  } comparisons[] = {{TOKEN_EQUAL, FILTER_IN, false},        {TOKEN_NOT_EQUAL, FILTER_IN, true},
                     {TOKEN_LESS, FILTER_LESS, false},       {TOKEN_LESS_EQUAL, FILTER_LESS_EQUAL, false},
                     {TOKEN_GREATER, FILTER_GREATER, false}, {TOKEN_GREATER_EQUAL, FILTER_GREATER_EQUAL, false},
                     {TOKEN_BETWEEN, FILTER_BETWEEN, false}};
  medley_status status = MEDLEY_OK;
  if (p->kind == TOKEN_NOT) {
    test->negated = true;
    TRY(token_next(p, err));
    if (p->kind != TOKEN_IN && p->kind != TOKEN_BETWEEN) return refuse(p, "in or between after not", err);
  }
  if (p->kind == TOKEN_IN) {
    test->op = FILTER_IN;
    TRY(token_next(p, err));
    return take_list(p, test, err);
  }
  for (size_t i = 0; i < COUNT_OF(comparisons); i++) {
    if (comparisons[i].kind != p->kind) continue;
    test->op = comparisons[i].op;
    test->negated |= comparisons[i].negated;
    if (test->is_id && test->op != FILTER_IN) return refuse(p, "=, !=, in or not in after id", err);
    TRY(token_next(p, err));
    return test->op == FILTER_BETWEEN ? take_range(p, test, err) : take_value(p, test, err);
  }
  return refuse(p, "=, !=, <, <=, >, >=, in, not in or between after the name", err);
done:
  return status;
}

static medley_status parse_test(parser *p, filter_node **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  filter_node *test;
  if (++p->tests > FILTER_TESTS_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "filter, character %zu: more than the limit of %d tests", position_of(p, p->start),
         FILTER_TESTS_MAX);
  TRY(node_create(p, FILTER_HAS, position_of(p, p->start), &test, err));
  if (p->kind == TOKEN_HAS) {
    TRY(token_next(p, err));
    const char *start = p->start;
    TRY(take_name(p, test, err));
    if (test->is_id)
      FAIL(err, MEDLEY_ERR_INPUT, "filter, character %zu: every row has an id: leave this out", position_of(p, start));
  } else {
    p->list_count = 0;
    TRY(take_name(p, test, err));
    TRY(take_comparison(p, test, err));
    test->count = p->list_count;
    test->values = arena_alloc(p->filter->memory, test->count, sizeof *test->values);
    if (test->values == NULL) {
      status = error_memory(err, "a filter");
      goto done;
    }
    memcpy(test->values, p->list, test->count * sizeof *test->values);
  }
  *out = test;
done:
  return status;
}

static medley_status parse_either(parser *p, size_t depth, filter_node **out, medley_error *err);

static medley_status parse_one(parser *p, size_t depth, filter_node **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (p->kind != TOKEN_NOT && p->kind != TOKEN_OPEN) return parse_test(p, out, err);
  if (depth == FILTER_DEPTH_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "filter, character %zu: nested deeper than the limit of %d", position_of(p, p->start),
         FILTER_DEPTH_MAX);
  if (p->kind == TOKEN_NOT) {
    TRY(node_create(p, FILTER_NOT, position_of(p, p->start), out, err));
    TRY(token_next(p, err));
    TRY(parse_one(p, depth + 1, &(*out)->child, err));
  } else {
    TRY(token_next(p, err));
    TRY(parse_either(p, depth + 1, out, err));
    TRY(expect(p, TOKEN_CLOSE, "and, or or )", err));
  }
done:
  return status;
}

/* One operand alone is itself, several are one node with all of them. An operand of the same kind, which stood in
 * parentheses, gives its children: (a and b) and c is a and b and c. */
static medley_status parse_chain(parser *p, size_t depth, filter_op op, filter_node **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  filter_node *chain = NULL, **tail = NULL, *operand;
  size_t position = position_of(p, p->start);
  token_kind joint = op == FILTER_AND ? TOKEN_AND : TOKEN_OR;
  for (;;) {
    TRY(op == FILTER_AND ? parse_one(p, depth, &operand, err) : parse_chain(p, depth, FILTER_AND, &operand, err));
    if (chain == NULL && p->kind != joint) {
      *out = operand;
      return MEDLEY_OK;
    }
    if (chain == NULL) {
      TRY(node_create(p, op, position, &chain, err));
      tail = &chain->child;
    }
    *tail = operand->op == op ? operand->child : operand;
    while (*tail != NULL) tail = &(*tail)->next;
    if (p->kind != joint) break;
    TRY(token_next(p, err));
  }
  *out = chain;
done:
  return status;
}

static medley_status parse_either(parser *p, size_t depth, filter_node **out, medley_error *err) {
  return parse_chain(p, depth, FILTER_OR, out, err);
}

/* ---- one spelling ---- */

static void print_quoted(strbuf *b, const char *text, char quote) {
  strbuf_append_char(b, quote);
  for (; *text != '\0'; text++) {
    if (*text == quote || *text == '\\') strbuf_append_char(b, '\\');
    strbuf_append_char(b, *text);
  }
  strbuf_append_char(b, quote);
}

static void print_name(strbuf *b, const char *name) {
  bool plain = is_letter(*name);
  for (const char *c = name; *c != '\0'; c++) plain = plain && is_name_part(*c);
  for (size_t i = 0; i < COUNT_OF(keywords); i++) plain = plain && strcasecmp(keywords[i].text, name) != 0;
  if (plain)
    strbuf_append(b, name);
  else
    print_quoted(b, name, '`');
}

static void print_value(strbuf *b, const filter_value *v) {
  if (v->quoted)
    print_quoted(b, v->text, '"');
  else
    strbuf_append(b, v->text);
}

static void print_test(strbuf *b, const filter_node *n) {
  static const char *const signs_of[] = {
      [FILTER_LESS] = " < ", [FILTER_LESS_EQUAL] = " <= ", [FILTER_GREATER] = " > ", [FILTER_GREATER_EQUAL] = " >= "};
  if (n->op == FILTER_HAS) strbuf_append(b, "has ");
  print_name(b, n->name);
  if (n->op == FILTER_HAS) return;
  if (n->op == FILTER_IN && n->count == 1) {
    strbuf_append(b, n->negated ? " != " : " = ");
    print_value(b, n->values);
  } else if (n->op == FILTER_IN || n->op == FILTER_BETWEEN) {
    bool list = n->op == FILTER_IN;
    strbuf_append(b, n->negated ? " not" : "");
    strbuf_append(b, list ? " in (" : " between ");
    for (size_t i = 0; i < n->count; i++) {
      if (i > 0) strbuf_append(b, list ? ", " : " and ");
      print_value(b, &n->values[i]);
    }
    strbuf_append(b, list ? ")" : "");
  } else {
    strbuf_append(b, signs_of[n->op]);
    print_value(b, n->values);
  }
}

/* Parentheses where the language needs them: around an or in an and, and around both after a not. */
static void print_node(strbuf *b, const filter_node *n, filter_op above) {
  bool join = n->op == FILTER_AND || n->op == FILTER_OR;
  bool wrapped = join && (above == FILTER_NOT || (above == FILTER_AND && n->op == FILTER_OR));
  if (wrapped) strbuf_append_char(b, '(');
  if (n->op == FILTER_NOT) {
    strbuf_append(b, "not ");
    print_node(b, n->child, FILTER_NOT);
  } else if (join) {
    for (const filter_node *c = n->child; c != NULL; c = c->next) {
      if (c != n->child) strbuf_append(b, n->op == FILTER_AND ? " and " : " or ");
      print_node(b, c, n->op);
    }
  } else {
    print_test(b, n);
  }
  if (wrapped) strbuf_append_char(b, ')');
}

static medley_status print_filter(filter *f, medley_error *err) {
  strbuf b = {0};
  print_node(&b, f->root, FILTER_OR);
  if (!b.failed) f->text = arena_strndup(f->memory, b.text, b.length);
  strbuf_deinit(&b);
  return f->text ? MEDLEY_OK : error_memory(err, "a filter");
}

/* ---- the whole ---- */

medley_status filter_parse(const char *text, filter **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = strnlen(text, FILTER_TEXT_MAX + 1);
  filter *f = NULL;
  parser p = {.text = text, .next = text};
  *out = NULL;
  if (length > FILTER_TEXT_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "the filter is longer than the limit of %zu bytes", FILTER_TEXT_MAX);
  if (!utf8_valid(text, length)) FAIL(err, MEDLEY_ERR_INPUT, "the filter is not UTF-8");
  if (text[strspn(text, " \t\r\n")] == '\0')
    FAIL(err, MEDLEY_ERR_INPUT, "the filter is empty: write for example category = \"shoes\" and price < 50");
  f = p.filter = mem_zalloc(1, sizeof *f);
  if (f == NULL || (f->memory = arena_create(4096)) == NULL) {
    status = error_memory(err, "a filter");
    goto done;
  }
  TRY(token_next(&p, err));
  TRY(parse_either(&p, 0, &f->root, err));
  if (p.kind != TOKEN_END) {
    status = refuse(&p, "and, or, or the end of the filter", err);
    goto done;
  }
  TRY(print_filter(f, err));
  *out = f;
  f = NULL;
done:
  mem_free(p.list);
  filter_free(f);
  return status;
}

void filter_free(filter *f) {
  if (f == NULL) return;
  arena_free(f->memory);
  mem_free(f);
}

const char *filter_text(const filter *f) { return f->text; }
bool filter_uses_ids(const filter *f) { return f->uses_ids; }
