/* explain/why.c: see explain/why.h. */
#include "explain/why.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_TOLD 3
#define PART_WORTH 0.05 /* of the largest part: smaller ones are noise to a reader */

typedef struct phrase {
  const char *name, *good, *bad;
} phrase;

/* What a positive and a negative part mean in words, by subject. */
static const phrase history_phrases[] = {
    {"taste", "people with your history choose it", "people with your history rarely choose it"},
    {"sequence", "it tends to follow what you chose last", "it rarely follows what you chose last"},
    {"goals", "people who look at, like and buy what you do take it",
     "people who look at, like and buy what you do rarely take it"},
    {"trust", "people near those you follow chose it", "those you follow rarely choose it"},
    {"people", "people like you choose it", "people like you rarely choose it"},
    {"community", "it is chosen in your circles more than elsewhere", "your circles choose it less than others do"},
    {"text", "its words are close to what you chose", "its words are unlike what you chose"},
    {"image", "it looks like what you chose", "it looks unlike what you chose"},
    {"audio", "it sounds like what you chose", "it sounds unlike what you chose"},
    {"video", "its clip is like those you chose", "its clip is unlike those you chose"},
    {"tags", "it shares tags and category with your history", "it shares few tags with your history"},
    {"year", "it is from the years you like", "it is from other years"},
    {"pairs", "it joins properties that you like together", "it joins properties that you do not like together"},
    {"content", "its content fits your history", "its content fits your history less"},
    {"popularity", "many people choose it", "few people choose it"},
    {"freshness", "it is new", "it is not new"},
    {"new", "it is new here and gets a chance", "nobody has chosen it yet"},
    {"context", "readers like you choose such items", "readers like you rarely choose such items"},
    {"rule", "a rule of this catalogue lifts it", "a rule of this catalogue lowers it"},
    {NULL, NULL, NULL}};

static const phrase query_phrases[] = {
    {"text", "its text is about what you ask for", "its text is about something else"},
    {"image", "it looks like what you ask for", "it looks unlike what you ask for"},
    {"audio", "it sounds like what you ask for", "it sounds unlike what you ask for"},
    {"video", "its clip is like what you ask for", "its clip is unlike what you ask for"},
    {"tags", "its tags and category fit", "its tags and category fit less"},
    {"year", "it is from those years", "it is from other years"},
    {"words", "your words stand in it", "your words do not stand in it"},
    {NULL, NULL, NULL}};

static const phrase item_phrases[] = {{"taste", "the same people choose it", "other people choose it"},
                                      {"text", "its text is about the same", "its text is about something else"},
                                      {"image", "it looks alike", "it looks different"},
                                      {"audio", "it sounds alike", "it sounds different"},
                                      {"video", "its clip is alike", "its clip is different"},
                                      {"tags", "it has the same tags and category", "it has other tags"},
                                      {"year", "it is from the same years", "it is from other years"},
                                      {NULL, NULL, NULL}};

static const phrase *const phrases[] = {
    [WHY_HISTORY] = history_phrases, [WHY_QUERY] = query_phrases, [WHY_ITEM] = item_phrases};

static int part_compare(const void *a, const void *b) {
  double x = fabs(((const why_part *)a)->value), y = fabs(((const why_part *)b)->value);
  return x < y ? 1 : x > y ? -1 : 0;
}

static void why_evidence(const why_item *evidence, size_t count, strbuf *out) {
  if (count == 0) return;
  strbuf_append(out, "Because of ");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) strbuf_append(out, i + 1 == count ? " and " : ", ");
    strbuf_printf(out, "“%s” (%.0f %% of the evidence from the history)", evidence[i].title, 100 * evidence[i].share);
  }
  strbuf_append(out, ".");
}

static void why_part_phrase(why_subject subject, const why_part *part, strbuf *out) {
  for (const phrase *p = phrases[subject]; p->name != NULL; p++) {
    if (strcmp(p->name, part->name) != 0) continue;
    if (part->friends > 0 && part->value >= 0)
      strbuf_printf(out, "%zu %s you follow chose it (%s %+.2f)", part->friends,
                    part->friends == 1 ? "person" : "people", part->name, part->value);
    else
      strbuf_printf(out, "%s (%s %+.2f)", part->value >= 0 ? p->good : p->bad, part->name, part->value);
    return;
  }
  strbuf_printf(out, "%s (%+.2f)", part->name, part->value);
}

void why_sentences(why_subject subject, why_telling telling, const why_part *parts, size_t part_count,
                   const why_item *evidence, size_t evidence_count, strbuf *out) {
  why_part sorted[64];
  size_t count = 0, told = 0;
  why_evidence(evidence, evidence_count, out);
  for (size_t p = 0; p < part_count && count < sizeof sorted / sizeof *sorted; p++)
    if (telling == WHY_FOR_AND_AGAINST || parts[p].value > 0) sorted[count++] = parts[p];
  if (count == 0) return;
  qsort(sorted, count, sizeof *sorted, part_compare);
  for (size_t i = 0; i < count && told < PARTS_TOLD; i++) {
    if (fabs(sorted[i].value) < PART_WORTH * fabs(sorted[0].value)) break;
    if (told > 0)
      strbuf_append(out, "; ");
    else if (out->length > 0)
      strbuf_append(out, " ");
    size_t before = out->length;
    why_part_phrase(subject, &sorted[i], out);
    if (told++ == 0 && !out->failed && out->text[before] >= 'a' && out->text[before] <= 'z')
      out->text[before] -= 'a' - 'A';
  }
  strbuf_append(out, ".");
}
