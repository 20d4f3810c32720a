/* cli/cmd_search.c: medley search: words, pictures, sounds, clips and items find items. */
#include <medley/answer.h>

#include "cli/show.h"

static const char *const modalities[] = {"text", "image", "audio", "video", NULL};
static const char *const distances[] = {"cosine", "dot", "l2", NULL};

static medley_status query_check(const arguments *a, medley_error *err) {
  static const char *const parts[] = {"text", "image", "audio", "video", "like", "not"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (arguments_has(a, parts[i])) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "say what to look for: --text, --image, --audio, --video, --like or --not");
}

/* For people 0 means no words; in the library 0 means the default and a negative number means none. */
static double words_weight_of(const arguments *a) {
  if (!arguments_has(a, "words")) return 0;
  double weight = arguments_number(a, "words", 0);
  return weight > 0 ? weight : -1;
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  medley_answer *answer = NULL;
  const medley_search_query query = {.text = arguments_text(a, "text"),
                                     .image = arguments_text(a, "image"),
                                     .audio = arguments_text(a, "audio"),
                                     .video = arguments_text(a, "video"),
                                     .like = arguments_list(a, "like"),
                                     .unlike = arguments_list(a, "not"),
                                     .answer_with = arguments_text(a, "side"),
                                     .count = (size_t)arguments_integer(a, "count", 0),
                                     .after = arguments_text(a, "after"),
                                     .categories = arguments_list(a, "category"),
                                     .distance = arguments_text(a, "distance"),
                                     .words_weight = words_weight_of(a),
                                     .why = arguments_has(a, "why"),
                                     .exact = arguments_has(a, "exact")};
  TRY(query_check(a, err));
  TRY(workspace_of(a, &w, err));
  TRY(medley_search(w, &query, &answer, err));
  TRY(show_answer(c, answer, query.why, err));
done:
  medley_answer_free(answer);
  medley_workspace_close(w);
  return status;
}

const command cmd_search = {
    .name = "search",
    .group = "Answers",
    .summary = "finds items by words, a picture, a sound, a clip or other items, together or alone",
    .about =
        "Everything lies in one space, so that words find pictures and pictures find words, also of items that lack "
        "one of them. Several "
        "parts of a query count together. Words in any language are matched as words too (BM25); --words says how much "
        "that counts.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"}, {0}},
    .options =
        (const option_spec[]){
            {"text", 't', VALUE_TEXT, "WORDS", "words in any language"},
            {"image", 'i', VALUE_FILE, "FILE", "a picture"},
            {"audio", 'a', VALUE_FILE, "FILE", "a sound"},
            {"video", 0, VALUE_FILE, "FILE", "a clip"},
            {"like", 'l', VALUE_TEXT, "ITEM", "like this item", .many = true},
            {"not", 0, VALUE_TEXT, "ITEM", "unlike this item", .many = true},
            {"side", 0, VALUE_CHOICE, "MODALITY", "look only at this side of the items", .choices = modalities},
            {"count", 'n', VALUE_INTEGER, "N", "how many (10)", 1, 1000},
            {"after", 0, VALUE_TEXT, "TOKEN", "the next page: the token that the answer before ended with"},
            {"category", 'c', VALUE_TEXT, "NAME", "only items of this category or tag", .many = true, .commas = true},
            {"words", 0, VALUE_NUMBER, "SHARE", "share of the words beside the vectors (0.5); 0: none", 0, 1},
            {"distance", 0, VALUE_CHOICE, "NAME", "how vectors are compared (cosine)", .choices = distances},
            {"exact", 0, VALUE_FLAG, NULL, "compare with every item, also in a catalogue so large that graphs answer"},
            {"why", 'w', VALUE_FLAG, NULL, "with reasons"},
            {0}},
    .examples =
        (const command_example[]){{"medley search films --text \"space adventure with robots\"", "By words"},
                                  {"medley search shop --text \"红色连衣裙\" --image sketch.png --like i7 --not i12",
                                   "Words, a picture and two items together"},
                                  {"medley search shop --audio humming.wav --side text",
                                   "A sound, looking at what is written about the items"},
                                  {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
