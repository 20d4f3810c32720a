/* data/import_fields.c: which column is which field. The user's maps come first, then what the format knows, then names
 * that many data sets share. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "data/import_parts.h"

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_NONE] = "attribute",    [FIELD_ITEM] = "item",       [FIELD_USER] = "user",
    [FIELD_TO_ITEM] = "to_item",   [FIELD_TO_USER] = "to_user", [FIELD_TITLE] = "title",
    [FIELD_TEXT] = "text",         [FIELD_TAGS] = "tags",       [FIELD_CATEGORY] = "category",
    [FIELD_LANGUAGE] = "language", [FIELD_TIME] = "time",       [FIELD_VALUE] = "value",
    [FIELD_TYPE] = "type",         [FIELD_SPLIT] = "split",     [FIELD_HIDDEN] = "hidden",
    [FIELD_IMAGE] = "image",       [FIELD_AUDIO] = "audio",     [FIELD_VIDEO] = "video",
    [FIELD_FLAG] = "flag",         [FIELD_VECTOR] = "vector",   [FIELD_SKIP] = "skip",
};

/* Names in order of preference, written without _, -, space, dot and upper case. */
typedef struct known_names {
  import_kind kind;
  import_field field;
  const char *names;
} known_names;

static const known_names well_known[] = {
    {IMPORT_ITEMS, FIELD_ITEM,
     "itemid item movieid productid parentasin asin sku newsid videoid songid trackid bookid isbn articleid businessid "
     "recipeid id key"},
    {IMPORT_ITEMS, FIELD_TITLE, "title name productdisplayname headline itemname movietitle"},
    {IMPORT_ITEMS, FIELD_TEXT, "text description caption abstract summary content body overview plot"},
    {IMPORT_ITEMS, FIELD_TAGS, "tags genres genre labels keywords categories class"},
    {IMPORT_ITEMS, FIELD_CATEGORY, "category maincategory mastercategory maincat"},
    {IMPORT_ITEMS, FIELD_LANGUAGE, "language lang locale"},
    {IMPORT_ITEMS, FIELD_TIME, "timestamp time datetime date createdat publishedat published releasedate"},
    {IMPORT_ITEMS, FIELD_HIDDEN, "hidden ishidden"},
    {IMPORT_ITEMS, FIELD_IMAGE, "image images imagepath picture photo poster"},
    {IMPORT_ITEMS, FIELD_AUDIO, "audio audiopath sound"},
    {IMPORT_ITEMS, FIELD_VIDEO, "video videopath"},
    {IMPORT_USERS, FIELD_USER, "userid user reviewerid uid customerid memberid visitorid id key"},
    {IMPORT_USERS, FIELD_TIME, "timestamp time datetime createdat"},
    {IMPORT_EVENTS, FIELD_USER, "userid user reviewerid uid customerid memberid visitorid sessionid"},
    {IMPORT_EVENTS, FIELD_ITEM,
     "itemid item movieid productid parentasin asin sku newsid videoid songid trackid bookid isbn articleid businessid "
     "recipeid"},
    {IMPORT_EVENTS, FIELD_VALUE, "rating value score stars overall weight count quantity"},
    {IMPORT_EVENTS, FIELD_TIME, "timestamp time unixreviewtime datetime date createdat reviewtime"},
    {IMPORT_EVENTS, FIELD_TYPE, "type event eventtype action behavior feedbacktype"},
    {IMPORT_EVENTS, FIELD_SPLIT, "split xlabel fold"},
    {IMPORT_LINKS, FIELD_ITEM, "item itemid fromitem sourceitem"},
    {IMPORT_LINKS, FIELD_TO_ITEM, "toitem targetitem relateditem"},
    {IMPORT_LINKS, FIELD_USER, "user userid fromuser follower truster trustor sourceid"},
    {IMPORT_LINKS, FIELD_TO_USER, "touser followee followed friend friendid trustee trusted targetid"},
    {IMPORT_LINKS, FIELD_VALUE, "weight value trust"},
    {IMPORT_LINKS, FIELD_TYPE, "type relation"},
    {IMPORT_VECTORS, FIELD_ITEM, "itemid item movieid productid asin sku id key"},
    {IMPORT_VECTORS, FIELD_VECTOR, "vector embedding values features"},
};

/* The fields that a row of the kind can have. */
static bool field_fits(import_kind kind, import_field field) {
#define BIT(f) (1u << FIELD_##f)
  static const unsigned fits[IMPORT_KIND_COUNT] = {
      [IMPORT_ITEMS] = BIT(ITEM) | BIT(TITLE) | BIT(TEXT) | BIT(TAGS) | BIT(CATEGORY) | BIT(LANGUAGE) | BIT(TIME) |
                       BIT(HIDDEN) | BIT(IMAGE) | BIT(AUDIO) | BIT(VIDEO) | BIT(FLAG) | BIT(SKIP),
      [IMPORT_USERS] = BIT(USER) | BIT(TIME) | BIT(SKIP),
      [IMPORT_EVENTS] = BIT(USER) | BIT(ITEM) | BIT(TYPE) | BIT(VALUE) | BIT(TIME) | BIT(SPLIT) | BIT(SKIP),
      [IMPORT_LINKS] = BIT(USER) | BIT(ITEM) | BIT(TO_USER) | BIT(TO_ITEM) | BIT(TYPE) | BIT(VALUE) | BIT(SKIP),
      [IMPORT_VECTORS] = BIT(ITEM) | BIT(VECTOR) | BIT(SKIP),
  };
#undef BIT
  return fits[kind] >> field & 1;
}

const char *import_field_name(import_field field) { return field < FIELD_COUNT ? field_names[field] : "unknown"; }

modality import_field_modality(import_field field) {
  if (field == FIELD_IMAGE) return MODALITY_IMAGE;
  if (field == FIELD_AUDIO) return MODALITY_AUDIO;
  return field == FIELD_VIDEO ? MODALITY_VIDEO : MODALITY_COUNT;
}

static import_field field_from_name(const char *name) {
  for (import_field f = FIELD_ITEM; f < FIELD_COUNT; f++)
    if (strcmp(field_names[f], name) == 0) return f;
  if (strcmp(name, "id") == 0) return FIELD_ITEM;
  if (strcmp(name, "weight") == 0) return FIELD_VALUE;
  return FIELD_NONE;
}

/* "Item_ID" → "itemid"; the result is cut at 63 bytes, longer than any known name. */
static void name_normalise(const char *name, char out[64]) {
  size_t length = 0;
  for (; *name != '\0' && *name != ':' && length < 63; name++)
    if (strchr("_- .", *name) == NULL) out[length++] = (char)tolower((unsigned char)*name);
  out[length] = '\0';
}

/* The place of the word in a space-separated list, from 1; 0 when it is not in it. */
static int list_place(const char *list, const char *word) {
  size_t length = strlen(word);
  int place = 1;
  for (const char *p = list; length > 0 && *p != '\0'; place++) {
    size_t size = strcspn(p, " ");
    if (size == length && memcmp(p, word, length) == 0) return place;
    p += size;
    p += strspn(p, " ");
  }
  return 0;
}

import_field mapping_rank(const import_mapping *m, const char *name, int *rank) {
  char normal[64];
  name_normalise(name, normal);
  *rank = 0;
  for (size_t i = 0; i < sizeof well_known / sizeof *well_known; i++) {
    const known_names *k = &well_known[i];
    if (k->kind != m->kind || m->mapped[k->field]) continue;
    *rank = list_place(k->names, normal);
    if (*rank > 0) return k->field;
  }
  return FIELD_NONE;
}

bool mapping_has(const import_mapping *m, import_field field) {
  for (size_t i = 0; i < m->count; i++)
    if (m->entries[i].field == field && *m->entries[i].column != '\0') return true;
  return false;
}

/* ---- maps ---- */

static medley_status map_entry_add(import_mapping *m, const char *text, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *entry = arena_strndup(m->texts, text, length);
  if (entry == NULL) {
    status = error_memory(err, "a map");
    goto done;
  }
  char *equals = strchr(entry, '=');
  if (equals == NULL) FAIL(err, MEDLEY_ERR_USAGE, "map '%s': expected field=column, as in item=movie_id", entry);
  *equals = '\0';
  const char *name = string_trim(entry);
  import_field field = field_from_name(name);
  if (field == FIELD_NONE)
    FAIL(err, MEDLEY_ERR_USAGE,
         "map '%s=%s': there is no field '%s'; the fields are item, user, title, text, tags, category, language, time, "
         "value, type, split, image, audio, video, hidden, flag, to_item, to_user, vector and skip",
         name, equals + 1, name);
  if (!field_fits(m->kind, field))
    FAIL(err, MEDLEY_ERR_USAGE, "map '%s=%s': %s have no field '%s'", name, equals + 1, import_kind_name(m->kind),
         name);
  TRY_GROW(m->entries, m->capacity, m->count + 1, "a map");
  m->entries[m->count++] = (import_map_entry){.field = field, .column = string_trim(equals + 1)};
done:
  return status;
}

/* One list of entries; those of fields in `but` are passed over. */
static medley_status map_parse(import_mapping *m, const char *map, const bool but[FIELD_COUNT], medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (const char *p = map; *p != '\0';) {
    size_t length = strcspn(p, ",");
    size_t before = m->count;
    if (length > 0) TRY(map_entry_add(m, p, length, err));
    if (but != NULL && m->count > before && but[m->entries[before].field]) m->count = before;
    p += length + (p[length] == ',');
  }
done:
  return status;
}

medley_status mapping_init(import_mapping *m, import_kind kind, const char *const *maps, size_t map_count,
                           const char *part_map, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool by_user[FIELD_COUNT] = {false};
  *m = (import_mapping){.kind = kind};
  m->texts = arena_create(1024);
  if (m->texts == NULL) {
    status = error_memory(err, "a map");
    goto done;
  }
  for (size_t i = 0; i < map_count; i++) TRY(map_parse(m, maps[i], NULL, err));
  for (size_t i = 0; i < m->count; i++) {
    m->entries[i].by_user = true;
    if (m->entries[i].field != FIELD_SKIP) by_user[m->entries[i].field] = true;
  }
  if (part_map != NULL) TRY(map_parse(m, part_map, by_user, err));
  for (size_t i = 0; i < m->count; i++) m->mapped[m->entries[i].field] = true;
done:
  if (status != MEDLEY_OK) mapping_deinit(m);
  return status;
}

void mapping_deinit(import_mapping *m) {
  mem_free(m->entries);
  arena_free(m->texts);
  strmap_deinit(&m->names);
  *m = (import_mapping){0};
}

/* ---- tables ---- */

/* By name, without RecBole's ":type", or by number from 1; count when there is none. */
static size_t column_find(char *const *columns, size_t count, const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < count; i++)
    if (strncmp(columns[i], name, length) == 0 && (columns[i][length] == '\0' || columns[i][length] == ':')) return i;
  long long number;
  if (string_to_int64(name, &number) && number >= 1 && (unsigned long long)number <= count) return (size_t)number - 1;
  return count;
}

static medley_status column_absent(const import_map_entry *e, char *const *columns, size_t count, medley_error *err) {
  strbuf names = {.limit = 600};
  for (size_t i = 0; i < count && !names.failed; i++) strbuf_printf(&names, "%s%s", i ? ", " : "", columns[i]);
  medley_status status = error_set(err, MEDLEY_ERR_INPUT, "map '%s=%s': there is no column '%s'; the columns are %s",
                                   import_field_name(e->field), e->column, e->column, names.text ? names.text : "none");
  strbuf_deinit(&names);
  return status;
}

/* Each unmapped field gets the best-known of the columns that are still free. */
static void columns_recognise(const import_mapping *m, char *const *columns, size_t count, import_field *fields) {
  int best_rank[FIELD_COUNT] = {0};
  size_t best[FIELD_COUNT] = {0};
  for (size_t i = 0; i < count; i++) {
    int rank;
    import_field field = fields[i] == FIELD_NONE ? mapping_rank(m, columns[i], &rank) : FIELD_NONE;
    if (field == FIELD_NONE || (best_rank[field] != 0 && best_rank[field] <= rank)) continue;
    best_rank[field] = rank;
    best[field] = i;
  }
  for (import_field f = FIELD_ITEM; f < FIELD_COUNT; f++)
    if (best_rank[f] != 0) fields[best[f]] = f;
}

medley_status mapping_bind_columns(import_mapping *m, char *const *columns, size_t count, import_field *fields,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < count; i++) fields[i] = FIELD_NONE;
  for (size_t e = 0; e < m->count; e++) {
    import_map_entry *entry = &m->entries[e];
    if (*entry->column == '\0') continue;
    size_t column = column_find(columns, count, entry->column);
    if (column == count) {
      TRY(column_absent(entry, columns, count, err));
      continue;
    }
    if (fields[column] != FIELD_NONE && fields[column] != entry->field)
      FAIL(err, MEDLEY_ERR_USAGE, "column '%s' is mapped to both %s and %s", entry->column,
           import_field_name(fields[column]), import_field_name(entry->field));
    fields[column] = entry->field;
    entry->found = true;
  }
  columns_recognise(m, columns, count, fields);
done:
  return status;
}

/* ---- what rows must have ---- */

static void append_columns(strbuf *names, const char *const *columns, size_t count) {
  for (size_t i = 0; i < count && !names->failed; i++) strbuf_printf(names, "%s%s", i ? ", " : "", columns[i]);
}

static bool fields_have(const import_field *fields, size_t count, import_field field) {
  size_t i = 0;
  while (i < count && fields[i] != field) i++;
  return i < count;
}

/* Two ends, each a user or an item. */
static medley_status links_check(const import_field *fields, size_t count, const char *names, medley_error *err) {
  bool from = fields_have(fields, count, FIELD_USER) || fields_have(fields, count, FIELD_ITEM);
  bool to = fields_have(fields, count, FIELD_TO_USER) || fields_have(fields, count, FIELD_TO_ITEM);
  if (from && to) return MEDLEY_OK;
  return error_set(
      err, MEDLEY_ERR_INPUT,
      "none of the columns is known as where links %s: say --map %s=COLUMN or --map %s=COLUMN; the columns "
      "are %s",
      from ? "lead to" : "start", from ? "to_user" : "user", from ? "to_item" : "item", names);
}

static medley_status needed_check(import_kind kind, const import_field *fields, size_t count, const char *names,
                                  medley_error *err) {
  static const import_field needed[IMPORT_KIND_COUNT][2] = {
      [IMPORT_ITEMS] = {FIELD_ITEM},
      [IMPORT_USERS] = {FIELD_USER},
      [IMPORT_EVENTS] = {FIELD_USER, FIELD_ITEM},
      [IMPORT_VECTORS] = {FIELD_ITEM, FIELD_VECTOR},
  };
  if (kind == IMPORT_LINKS) return links_check(fields, count, names, err);
  for (size_t n = 0; n < 2; n++) {
    import_field field = needed[kind][n];
    if (field == FIELD_NONE || fields_have(fields, count, field)) continue;
    return error_set(err, MEDLEY_ERR_INPUT,
                     "none of the columns is known as the %s: say --map %s=COLUMN; the columns are %s",
                     field_names[field], field_names[field], names);
  }
  return MEDLEY_OK;
}

/* The column that names users in events and that the user did not map, among columns none of which tells anything of an
 * item but its key and a time; NULL: these are items. */
static const char *events_column(const import_mapping *m, const char *const *columns, size_t count) {
  const import_mapping events = {.kind = IMPORT_EVENTS};
  const char *user = NULL;
  for (import_field f = FIELD_ITEM; f < FIELD_COUNT; f++)
    if (m->mapped[f] && f != FIELD_ITEM && f != FIELD_TIME) return NULL;
  for (size_t i = 0; i < count; i++) {
    int rank;
    import_field field = mapping_rank(m, columns[i], &rank);
    if (field != FIELD_NONE && field != FIELD_ITEM && field != FIELD_TIME) return NULL;
    if (field == FIELD_NONE && mapping_rank(&events, columns[i], &rank) == FIELD_USER) user = columns[i];
  }
  return user;
}

medley_status mapping_check_columns(const import_mapping *m, const char *const *columns, const import_field *fields,
                                    size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf names = {.limit = 600};
  append_columns(&names, columns, count);
  const char *listed = names.text ? names.text : "";
  if (fields != NULL) TRY(needed_check(m->kind, fields, count, listed, err));
  const char *user = m->kind == IMPORT_ITEMS ? events_column(m, columns, count) : NULL;
  if (user != NULL)
    status = error_set(err, MEDLEY_ERR_INPUT,
                       "the rows look like events, with users in '%s': import them as events, or say --map skip=%s "
                       "when they are items; the columns are %s",
                       user, user, listed);
done:
  strbuf_deinit(&names);
  return status;
}
