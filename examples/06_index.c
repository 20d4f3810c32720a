/* 06_index: nearest vectors without a workspace: an index in one file, filled, filtered, changed and asked.
 *
 *     06_index NEW_FILE
 *
 * The vectors are colours: red, green, blue.
 */
#include <medley/index.h>
#include <stdio.h>

enum { RED, ORANGE, YELLOW, GREEN, TEAL, BLUE, PINK, COLOURS };

static const char *const names[] = {"red", "orange", "yellow", "green", "teal", "blue", "pink"};
static const uint64_t ids[] = {RED, ORANGE, YELLOW, GREEN, TEAL, BLUE, PINK};
static const float colours[COLOURS][3] = {{1, 0, 0},       {1, 0.5f, 0}, {1, 1, 0},       {0, 0.6f, 0},
                                          {0, 0.5f, 0.5f}, {0, 0, 1},    {1, 0.7f, 0.75f}};
static const char *const attributes[] = {
    "{\"warm\": true, \"price\": 3}",  "{\"warm\": true, \"price\": 9}",  "{\"warm\": true, \"price\": 4}",
    "{\"warm\": false, \"price\": 2}", "{\"warm\": false, \"price\": 8}", "{\"warm\": false, \"price\": 5}",
    "{\"warm\": true, \"price\": 7}",
};

/* Every accepted change is on disk when the call returns; nothing needs to be saved. */
static int fill(medley_index *index, medley_error *error) {
  if (medley_index_add(index, ids, &colours[0][0], COLOURS, NULL, error) != MEDLEY_OK) return 0;
  for (size_t i = 0; i < COLOURS; i++)
    if (medley_index_set_attributes(index, ids[i], attributes[i], error) != MEDLEY_OK) return 0;
  return 1;
}

static int ask(const medley_index *index, const char *filter, medley_error *error) {
  static const float salmon[] = {0.98f, 0.5f, 0.45f};
  medley_index_query query = {.vector = salmon, .k = 3, .filter = filter}; /* zero is the default everywhere */
  medley_index_hit hits[3];
  medley_index_answer answer;
  size_t found;
  if (medley_index_search(index, &query, hits, &found, &answer, error) != MEDLEY_OK) return 0;
  printf("like salmon%s%s (%s):", filter ? ", " : "", filter ? filter : "", answer.exact ? "exact" : "approximate");
  for (size_t i = 0; i < found; i++) printf("  %s %.3f", names[hits[i].id], (double)hits[i].score);
  printf("\n");
  return 1;
}

int main(int argc, char **argv) {
  medley_index *index = NULL;
  medley_error error = {0};
  medley_index_options options = {.dim = 3, .distance = "l2"}; /* a graph of float32 vectors */
  medley_index_recall recall;
  static const uint64_t gone[] = {PINK};
  if (argc < 2) {
    fprintf(stderr, "usage: 06_index NEW_FILE\n");
    return 2;
  }
  int good = medley_index_create(argv[1], &options, &index, &error) == MEDLEY_OK && fill(index, &error);
  good = good && ask(index, NULL, &error) && ask(index, "price < 5 and warm = true", &error);
  good = good && medley_index_remove(index, gone, 1, NULL, &error) == MEDLEY_OK && ask(index, NULL, &error);
  /* How good are the answers? Measured against the exact search, on what was really asked. */
  good = good && medley_index_measure(index, NULL, 0, 3, 0, NULL, &recall, &error) == MEDLEY_OK;
  if (good) printf("recall@3: %.2f over %zu queries\n", recall.recall, recall.queries);
  medley_index_close(index);
  /* Opening maps the file and replays the journal: everything is there again. */
  index = NULL;
  good = good && medley_index_open(argv[1], MEDLEY_INDEX_READ_ONLY, &index, &error) == MEDLEY_OK;
  good = good && ask(index, NULL, &error);
  if (!good) fprintf(stderr, "06_index: %s\n", error.text);
  medley_index_close(index);
  return good ? 0 : 1;
}
