/* cli/cmd_index.c: medley index: an index of a user's own vectors, in a file: its actions and options.
 *
 * All actions share one row of options; which option goes with which action is a table below.
 */
#include <string.h>

#include "cli/index_actions.h"

enum {
  BUILD = 1,
  ADD = 2,
  REMOVE = 4,
  SEARCH = 8,
  SHOW = 16,
  CHECK = 32,
  REPAIR = 64,
  SAVE = 128,
  BENCH = 256,
};

static const char *const actions[] = {"build", "add",    "remove", "search", "show",
                                      "check", "repair", "save",   "bench",  NULL};

static medley_status (*const runs[])(const arguments *, console *, medley_error *) = {
    index_build_run, index_add_run,    index_remove_run, index_search_run, index_show_run,
    index_check_run, index_repair_run, index_save_run,   index_bench_run};

static const struct {
  const char *option;
  unsigned actions;
} goes_with[] = {
    {"output", BUILD | SAVE},
    {"kind", BUILD | BENCH},
    {"distance", BUILD | BENCH},
    {"storage", BUILD | BENCH},
    {"rerank", BUILD | BENCH},
    {"links", BUILD | BENCH},
    {"build-breadth", BUILD | BENCH},
    {"breadth", BUILD | SEARCH | SHOW},
    {"lists", BUILD | BENCH},
    {"code-bytes", BUILD | BENCH},
    {"memory-limit", BUILD | BENCH},
    {"seed", BUILD | BENCH},
    {"threads", BUILD | ADD | SEARCH | BENCH},
    {"ids", BUILD | ADD | REMOVE},
    {"first-id", BUILD | ADD},
    {"id", REMOVE},
    {"attributes", BUILD | ADD},
    {"vectors", ADD | SEARCH},
    {"row", SEARCH},
    {"like", SEARCH},
    {"nearest", SEARCH | SHOW | BENCH},
    {"filter", SEARCH},
    {"exact", SEARCH},
    {"measure", SHOW},
    {"queries", SHOW | BENCH},
    {"count", SHOW | BENCH},
    {"salvage", REPAIR},
    {"breadths", BENCH},
    {"filter-shares", BENCH},
    {"rounds", BENCH},
};

static size_t action_of(const arguments *a) {
  size_t action = 0;
  while (strcmp(arguments_text(a, "action"), actions[action]) != 0) action++;
  return action;
}

/* "build, search or show" */
static void actions_append(strbuf *b, unsigned set) {
  for (unsigned i = 0; actions[i] != NULL; i++) {
    if (!(set & 1u << i)) continue;
    set &= ~(1u << i);
    strbuf_printf(b, "%s%s", actions[i], set == 0 ? "" : set & (set - 1) ? ", " : " and ");
  }
}

static medley_status options_check(const arguments *a, size_t action, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  for (size_t i = 0; i < sizeof goes_with / sizeof *goes_with; i++) {
    if (!arguments_has(a, goes_with[i].option) || goes_with[i].actions & 1u << action) continue;
    actions_append(&text, goes_with[i].actions);
    FAIL(err, MEDLEY_ERR_USAGE, "--%s goes with %s, not with %s", goes_with[i].option, text.text ? text.text : "",
         actions[action]);
  }
done:
  strbuf_deinit(&text);
  return status;
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t action = action_of(a);
  TRY(options_check(a, action, err));
  TRY(runs[action](a, c, err));
done:
  return status;
}

static const char *const kinds[] = {"hnsw", "exact", "ivfpq", NULL};
static const char *const distances[] = {"cosine", "dot", "l2", NULL};
static const char *const storages[] = {"f32", "f16", "int8", NULL};
static const char *const reranks[] = {"f32", "f16", NULL};

#define ID_HELP "whole numbers, in an .npy file or one on each line"

const command cmd_index = {
    .name = "index",
    .group = "Care",
    .summary = "an index of your own vectors: build, search, change, check, measure",
    .about =
        "Works on vectors alone, without a workspace: rows of an .npy file (float16, 32 or 64) under ids, which are "
        "their row numbers unless --ids or --first-id says otherwise. The index is one file and, after changes, a "
        "journal beside it named FILE.journal, which add and remove fold into the file when it grows long; what they "
        "report as done is on disk.\n\n"
        "build VECTORS.npy -o FILE makes an index, measures its recall against the exact search and saves it. add and "
        "remove change it; an id that is there gets the new vector. search looks for the nearest of each row of "
        "--vectors, or of the vector with the id --like, and says whether the answer is exact or how much of the exact "
        "answer it finds. show tells size, memory and recall. check reads every link and checksum and ends with 1 when "
        "something is broken. repair unlinks removed vectors now and saves; save folds the journal into the file, or "
        "with --output writes a copy.\n\n"
        "When the vectors do not fit in memory, --kind ivfpq keeps a short code of each there and leaves the vectors "
        "in the "
        "file; of those only the likeliest few hundred are read for a search. --lists and --code-bytes say how, "
        "--breadth "
        "how many lists a search looks through.\n\n"
        "bench VECTORS.npy measures on your own vectors: it holds some out as queries (or takes --queries), finds the "
        "truth by exact search, builds, and tells recall, queries a second and latency for each breadth, and for "
        "filters that let a share of the vectors pass.",
    .arguments = (const argument_spec[]){{"action", VALUE_CHOICE,
                                          "build, add, remove, search, show, check, repair, save or bench", actions},
                                         {"file", VALUE_FILE, "the index; build and bench: the vectors (.npy)"},
                                         {0}},
    .options =
        (const option_spec[]){
            {"output", 'o', VALUE_FILE, "FILE", "build: the new index; save: a copy, the index stays as it is"},
            {"kind", 0, VALUE_CHOICE, "KIND", "a graph (the default), a scan, or lists of product codes",
             .choices = kinds},
            {"distance", 0, VALUE_CHOICE, "NAME", "what nearness is; cosine unless given", .choices = distances},
            {"storage", 0, VALUE_CHOICE, "TYPE", "how vectors are held in memory; f32 unless given",
             .choices = storages},
            {"rerank", 0, VALUE_CHOICE, "TYPE", "full vectors besides, to rank the best of int8 or f16 again",
             .choices = reranks},
            {"links", 0, VALUE_INTEGER, "N", "hnsw: links of a vector in each layer (16; short int8 vectors: fewer)", 2,
             128},
            {"build-breadth", 0, VALUE_INTEGER, "N", "hnsw: more makes a better graph, more slowly (128)", 1, 100000},
            {"breadth", 0, VALUE_INTEGER, "N",
             "more finds more, more slowly: hnsw: candidates followed (64); ivfpq: lists looked at (16); search: for "
             "this once, and of hnsw fewer than --nearest will do",
             1, 1000000},
            {"lists", 0, VALUE_INTEGER, "N", "ivfpq: inverted lists (the root of the number of vectors)", 1, 1 << 20},
            {"code-bytes", 0, VALUE_INTEGER, "N",
             "ivfpq: bytes of a vector's code (an eighth of its dimensions, 8 to 64)", 1, 256},
            {"memory-limit", 0, VALUE_TEXT, "SIZE",
             "such as 500M or 2G: own memory the index may take, now and later; adding beyond is refused; of ivfpq the "
             "vectors "
             "lie in a file and do not count"},
            {"seed", 0, VALUE_INTEGER, "N", "of everything drawn by chance (0)", 0, 9007199254740992.0},
            {"threads", 0, VALUE_INTEGER, "N", "for building and searching (as many as there are cores)", 1, 1024},
            {"ids", 0, VALUE_FILE, "FILE", "build, add: ids of the vectors; remove: which go; " ID_HELP},
            {"first-id", 0, VALUE_TEXT, "N", "build, add: the vectors get N, N + 1, and so on; build: 0 unless given"},
            {"id", 0, VALUE_TEXT, "ID", "remove: which go", .many = true, .commas = true},
            {"attributes", 0, VALUE_FILE, "FILE",
             "a JSON object on each line, of numbers, true, false, words and lists of words, for filters; in the order "
             "of "
             "the vectors, or with an \"id\" each"},
            {"vectors", 0, VALUE_FILE, "FILE", "add: vectors to add; search: vectors to look for (.npy)"},
            {"row", 0, VALUE_INTEGER, "N", "search: this row of --vectors only, the first is 0", 0, 4294967295.0},
            {"like", 0, VALUE_TEXT, "ID", "search: what is near the vector with this id"},
            {"nearest", 'k', VALUE_INTEGER, "N", "how many are looked for (10)", 1, MEDLEY_INDEX_K_MAX - 1},
            {"filter", 0, VALUE_TEXT, "EXPR",
             "search: only among vectors whose attributes pass, as in \"price < 50 and category = 'shoes'\""},
            {"exact", 0, VALUE_FLAG, NULL, "search: compare with every vector, whatever the kind"},
            {"measure", 0, VALUE_FLAG, NULL, "show: measure the recall now, with --queries or its own vectors"},
            {"queries", 0, VALUE_FILE, "FILE", "show --measure, bench: real queries (.npy)"},
            {"count", 'n', VALUE_INTEGER, "N", "show --measure: queries to ask (200); bench: (1000)", 1, 100000},
            {"salvage", 0, VALUE_FLAG, NULL, "repair: use a damaged journal up to the damage instead of refusing it"},
            {"breadths", 0, VALUE_INTEGER, "N", "bench: breadths to measure", 1, 1000000, .many = true, .commas = true},
            {"filter-shares", 0, VALUE_NUMBER, "SHARE",
             "bench: also with filters that let such a share of the vectors pass, as in 0.1,0.01", 1e-9, 1,
             .many = true, .commas = true},
            {"rounds", 0, VALUE_INTEGER, "N", "bench: times every measurement is repeated (3); the median counts", 1,
             1000},
            {0}},
    .examples =
        (const command_example[]){
            {"medley index build shop.npy -o shop.index", "An index of the rows of a matrix"},
            {"medley index build shop.npy -o shop.index --ids shop.ids --attributes shop.jsonl --storage int8 --rerank "
             "f32",
             "With ids and attributes of your own, in a quarter of the memory"},
            {"medley index build shop.npy -o shop.index --kind ivfpq --memory-limit 500M",
             "Vectors that need not fit in memory"},
            {"medley index search shop.index --vectors shop-queries.npy --row 0 -k 5 --filter \"price < 50\"",
             "The five nearest of the first query that cost less than 50"},
            {"medley index search shop.index --like 17 --exact --json", "Exactly what is nearest to 17, as JSON"},
            {"medley index add shop.index --vectors shop-new.npy --first-id 5000",
             "More vectors; on disk when it returns"},
            {"medley index remove shop.index --id 17,18", "Two less"},
            {"medley index show shop.index --measure", "Size, memory, and the recall as it is now"},
            {"medley index check shop.index", "Read every link and checksum"},
            {"medley index save shop.index", "Fold the journal into the file"},
            {"medley index bench shop.npy --filter-shares 0.1,0.01,0.001",
             "How fast and how good an index of these vectors would be"},
            {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
