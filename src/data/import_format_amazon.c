/* data/import_format_amazon.c: Amazon reviews of McAuley's laboratory (UCSD): 2014 (jmcauley.ucsd.edu/data/amazon),
 * 2018 (nijianmo.github.io/amazon) and 2023 (amazon-reviews-2023.github.io).
 *
 * Reviews are events of type "rate"; their texts are left out. Lists of related products are left out of the items. The
 * ratings of 2014 are user,item,rating,time and those of 2018 item,user,rating,time, both without a header: which it
 * is, the keys tell. */
#include <ctype.h>
#include <string.h>

#include "data/import_parts.h"

/* ---- tables of ratings ---- */

#define RATING_LINES 200 /* looked at to find out which column is the item */

/* ASINs are 10 characters, "B0..." or an ISBN; reviewer ids are longer and begin with "A". */
static bool is_asin(const char *text, size_t length) {
  if (length != 10 || (*text != 'B' && !isdigit((unsigned char)*text))) return false;
  for (size_t i = 0; i < length; i++)
    if (!isupper((unsigned char)text[i]) && !isdigit((unsigned char)text[i])) return false;
  return true;
}

static bool is_rating(const char *text, size_t length) {
  return (length == 1 || (length == 3 && memcmp(text + 1, ".0", 2) == 0)) && *text >= '0' && *text <= '5';
}

/* Cuts "a,b,c,d" at its commas; false when there are not exactly three. */
static bool line_cut(const char *line, size_t length, const char *cells[4], size_t sizes[4]) {
  size_t count = 0, start = 0;
  for (size_t i = 0; i <= length; i++) {
    if (i < length && line[i] != ',') continue;
    if (count == 4) return false;
    cells[count] = line + start;
    sizes[count++] = i - start;
    start = i + 1;
  }
  return count == 4;
}

/* 1 or 2: the column of the item; 0: these are no ratings of Amazon. */
static int item_column(const import_probe *p) {
  int votes[2] = {0}, lines = 0;
  for (const char *line = p->head; *line != '\0' && lines < RATING_LINES; lines++) {
    size_t length = strcspn(line, "\n"), sizes[4];
    const char *cells[4];
    bool whole = line[length] == '\n';
    if (!whole && lines > 0) break; /* the end of what was looked at, not of a line */
    size_t text = length > 0 && line[length - 1] == '\r' ? length - 1 : length;
    if (!line_cut(line, text, cells, sizes) || !is_rating(cells[2], sizes[2])) return 0;
    for (int i = 0; i < 2; i++) votes[i] += is_asin(cells[i], sizes[i]);
    line += length + whole;
  }
  if (lines == 0 || votes[0] == votes[1] || (votes[0] * 2 < lines && votes[1] * 2 < lines)) return 0;
  return votes[0] > votes[1] ? 1 : 2;
}

static medley_status ratings_plan(const import_probe *p, int wanted, import_plan *plan, medley_error *err) {
  import_part part = {
      .kind = IMPORT_EVENTS, .reading = READ_TABLE, .dialect = {.delimiter = ",", .quotes = true}, .type = "rate"};
  int item = p->head ? item_column(p) : 0;
  if (item == 0 || (item != wanted && !p->named)) return MEDLEY_OK;
  part.map = item == 1 ? "item=1,user=2,value=3,time=4" : "user=1,item=2,value=3,time=4";
  return plan_add(plan, p->path, &part, err);
}

/* ---- reviews and products ---- */

static const import_part reviews = {
    .kind = IMPORT_EVENTS,
    .reading = READ_JSON,
    .loose = true,
    .drop_rest = true,
    .map = "user=reviewerID,item=asin,value=overall,time=unixReviewTime",
    .type = "rate",
};
static const import_part products_2014 = {
    .kind = IMPORT_ITEMS,
    .reading = READ_JSON,
    .loose = true,
    .map = "item=asin,title=title,text=description,tags=categories,image=,skip=related,skip=salesRank",
};
static const import_part products_2018 = {
    .kind = IMPORT_ITEMS,
    .reading = READ_JSON,
    .map =
        "item=asin,title=title,text=description,text=feature,tags=category,category=main_cat,image=,time=,"
        "skip=also_buy,skip=also_view,skip=similar_item,skip=tech1,skip=tech2",
};

static bool is_review(const import_probe *p) {
  return probe_member(p, "reviewerID") != NULL && probe_member(p, "asin") != NULL && probe_member(p, "overall") != NULL;
}

static bool is_review_2018(const import_probe *p) {
  return probe_member(p, "verified") != NULL || probe_member(p, "style") != NULL || probe_member(p, "vote") != NULL;
}

static bool is_product(const import_probe *p) {
  return probe_member(p, "asin") != NULL && probe_member(p, "reviewerID") == NULL &&
         probe_member(p, "parent_asin") == NULL;
}

static bool is_product_2018(const import_probe *p) {
  static const char *const signs[] = {"category", "also_buy", "also_view", "main_cat", "feature", "rank", "tech1"};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
    if (probe_member(p, signs[i]) != NULL) return true;
  return false;
}

static bool is_product_2014(const import_probe *p) {
  return probe_member(p, "categories") != NULL || probe_member(p, "imUrl") != NULL ||
         probe_member(p, "salesRank") != NULL;
}

static medley_status plan_2014_file(const import_probe *p, import_plan *plan, medley_error *err) {
  if (is_review(p) && (p->named || !is_review_2018(p))) return plan_add(plan, p->path, &reviews, err);
  if (is_product(p) && (p->named || is_product_2014(p))) return plan_add(plan, p->path, &products_2014, err);
  return ratings_plan(p, 2, plan, err);
}

static medley_status plan_2018_file(const import_probe *p, import_plan *plan, medley_error *err) {
  if (is_review(p) && (p->named || is_review_2018(p))) return plan_add(plan, p->path, &reviews, err);
  if (is_product(p) && (p->named || is_product_2018(p))) return plan_add(plan, p->path, &products_2018, err);
  return ratings_plan(p, 1, plan, err);
}

static medley_status plan_2014(const import_probe *p, import_plan *plan, medley_error *err) {
  return p->folder ? plan_each_file(p, plan, plan_2014_file, err) : plan_2014_file(p, plan, err);
}

static medley_status plan_2018(const import_probe *p, import_plan *plan, medley_error *err) {
  return p->folder ? plan_each_file(p, plan, plan_2018_file, err) : plan_2018_file(p, plan, err);
}

const importer_kind importer_amazon_2014 = {
    .name = "amazon-2014",
    .summary = "Amazon reviews 2014: reviews or products as JSON or Python literals, ratings user,item,rating,time",
    .plan = plan_2014,
};

const importer_kind importer_amazon_2018 = {
    .name = "amazon-2018",
    .summary = "Amazon reviews 2018: reviews or products as JSON, ratings item,user,rating,time",
    .plan = plan_2018,
};

/* ---- 2023 ---- */

static const import_part reviews_2023 = {
    .kind = IMPORT_EVENTS,
    .reading = READ_JSON,
    .drop_rest = true,
    .map = "user=user_id,item=parent_asin,value=rating,time=timestamp",
    .type = "rate",
};
static const import_part products_2023 = {
    .kind = IMPORT_ITEMS,
    .reading = READ_JSON,
    .map =
        "item=parent_asin,title=title,text=description,text=features,tags=categories,category=main_category,image=,"
        "video=,skip=images,skip=videos,skip=bought_together",
};
static const import_part table_2023 = {
    .kind = IMPORT_EVENTS,
    .reading = READ_TABLE,
    .dialect = {.delimiter = ",", .quotes = true, .header = true},
    .drop_rest = true,
    .map = "user=user_id,item=parent_asin,value=rating,time=timestamp",
    .type = "rate",
};

/* "Baby_Products.train.csv": the split is in the name. */
static store_split split_of_name(const char *name) {
  if (strstr(name, ".train.") != NULL) return STORE_SPLIT_TRAIN;
  if (strstr(name, ".valid.") != NULL) return STORE_SPLIT_VALID;
  return strstr(name, ".test.") != NULL ? STORE_SPLIT_TEST : STORE_SPLIT_NONE;
}

static medley_status plan_2023_file(const import_probe *p, import_plan *plan, medley_error *err) {
  if (probe_member(p, "parent_asin") != NULL)
    return plan_add(plan, p->path, probe_member(p, "user_id") != NULL ? &reviews_2023 : &products_2023, err);
  if (!probe_begins(p, "user_id,parent_asin,rating,timestamp")) return MEDLEY_OK;
  import_part part = table_2023;
  part.split = split_of_name(p->name);
  return plan_add(plan, p->path, &part, err);
}

static medley_status plan_2023(const import_probe *p, import_plan *plan, medley_error *err) {
  return p->folder ? plan_each_file(p, plan, plan_2023_file, err) : plan_2023_file(p, plan, err);
}

const importer_kind importer_amazon_2023 = {
    .name = "amazon-2023",
    .summary = "Amazon reviews 2023: reviews or products as JSON Lines, ratings as CSV with user_id,parent_asin,...",
    .plan = plan_2023,
};
