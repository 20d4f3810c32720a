/* data/import.c: the options, the plan, the loop over rows, and the report. See data/import_parts.h for the other
 * rooms. */
#include "data/import.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/import_parts.h"

#define HEAD_BYTES 65536 /* of a file, that formats look at */

/* In the order in which they are asked: the particular before the general. */
static const importer_kind *const formats[] = {
    &importer_movielens_100k,
    &importer_movielens_1m,
    &importer_movielens_latest,
    &importer_recbole,
    &importer_mmrec,
    &importer_gorse,
    &importer_amazon_2023,
    &importer_amazon_2018,
    &importer_amazon_2014,
    &importer_npy,
    &importer_jsonl,
    &importer_tsv,
    &importer_csv,
    &importer_catalogue,
    &importer_folder,
};
#define FORMAT_COUNT (sizeof formats / sizeof *formats)

/* ---- names ---- */

static const char *const kind_names[IMPORT_KIND_COUNT] = {"auto", "items", "users", "events", "links", "vectors"};

const char *import_kind_name(import_kind kind) { return kind < IMPORT_KIND_COUNT ? kind_names[kind] : "unknown"; }

import_kind import_kind_from_name(const char *name) {
  int kind = 0;
  while (kind < IMPORT_KIND_COUNT && strcmp(kind_names[kind], name) != 0) kind++;
  return (import_kind)kind;
}

const char *import_reason_name(import_reason reason) {
  static const char *const names[IMPORT_REASON_COUNT] = {"bad row",  "bad encoding", "missing field", "bad key",
                                                         "bad time", "bad value",    "too large",     "unknown key"};
  return reason < IMPORT_REASON_COUNT ? names[reason] : "unknown";
}

const char *import_format_name(size_t index, const char **summary) {
  if (index >= FORMAT_COUNT) return NULL;
  if (summary != NULL) *summary = formats[index]->summary;
  return formats[index]->name;
}

/* ---- plan ---- */

medley_status plan_add(import_plan *p, const char *path, const import_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(p->parts, p->capacity, p->count + 1, "a plan");
  char *copy = mem_strdup(path);
  if (copy == NULL) {
    status = error_memory(err, "a plan");
    goto done;
  }
  p->parts[p->count] = *part;
  p->parts[p->count++].path = copy;
done:
  return status;
}

/* "ratings.csv" also as "ratings.csv.gz" and ".zst". */
bool probe_has_file(const import_probe *p, const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < p->file_count; i++)
    if (strncmp(p->files[i], name, length) == 0 &&
        (p->files[i][length] == '\0' || strcmp(p->files[i] + length, ".gz") == 0 ||
         strcmp(p->files[i] + length, ".zst") == 0))
      return true;
  return false;
}

medley_status plan_add_named(import_plan *p, const import_probe *probe, const char *name, const import_part *part,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = strlen(name);
  if (!probe->folder) return strcasecmp(probe->name, name) == 0 ? plan_add(p, probe->path, part, err) : MEDLEY_OK;
  for (size_t i = 0; i < probe->file_count; i++) {
    const char *rest = probe->files[i] + length;
    if (strncmp(probe->files[i], name, length) != 0) continue;
    if (*rest != '\0' && strcmp(rest, ".gz") != 0 && strcmp(rest, ".zst") != 0) continue;
    char *path = path_join(probe->path, probe->files[i]);
    status = path ? plan_add(p, path, part, err) : error_memory(err, "a plan");
    mem_free(path);
    goto done;
  }
done:
  return status;
}

void plan_deinit(import_plan *p) {
  for (size_t i = 0; i < p->count; i++) mem_free(p->parts[i].path);
  mem_free(p->parts);
  *p = (import_plan){0};
}

/* ---- probe ---- */

static void probe_deinit(import_probe *p) {
  folder_list_free(p->files, p->file_count);
  mem_free(p->head);
  json_decref(p->object);
}

static medley_status probe_head(import_probe *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  stream *in = NULL;
  TRY(stream_open(p->path, &in, err));
  p->head = mem_zalloc(HEAD_BYTES + 1, 1);
  if (p->head == NULL) {
    status = error_memory(err, "a file's beginning");
    goto done;
  }
  while (p->head_length < HEAD_BYTES) {
    size_t got;
    TRY(stream_read(in, p->head + p->head_length, HEAD_BYTES - p->head_length, &got, err));
    if (got == 0) break;
    p->head_length += got;
  }
  const char *line = p->head + strspn(p->head, "\xEF\xBB\xBF \t\r\n");
  size_t length = strcspn(line, "\n");
  strbuf loose = {0};
  if (*line == '{' && json_parse(line, length, "", &p->object, NULL) != MEDLEY_OK &&
      python_to_json(line, length, &loose))
    (void)!json_parse(loose.text, loose.length, "", &p->object, NULL);
  strbuf_deinit(&loose);
done:
  stream_close(in);
  return status;
}

static medley_status probe_init(import_probe *p, const char *path, import_kind kind, bool named, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *p = (import_probe){.path = path, .kind = kind, .named = named};
  if (!file_exists(p->path)) FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no '%s'", p->path);
  snprintf(p->name_text, sizeof p->name_text, "%s", path_name(p->path));
  if (string_ends(p->name_text, ".gz"))
    p->name_text[strlen(p->name_text) - 3] = '\0';
  else if (string_ends(p->name_text, ".zst"))
    p->name_text[strlen(p->name_text) - 4] = '\0';
  p->name = p->name_text;
  p->folder = file_is_folder(p->path);
  if (p->folder)
    TRY(folder_list(p->path, &p->files, &p->file_count, err));
  else
    TRY(probe_head(p, err));
done:
  if (status != MEDLEY_OK) probe_deinit(p);
  return status;
}

const json_t *probe_member(const import_probe *p, const char *name) { return json_object_get(p->object, name); }

bool probe_begins(const import_probe *p, const char *words) {
  if (p->head == NULL) return false;
  const char *head = string_starts(p->head, "\xEF\xBB\xBF") ? p->head + 3 : p->head;
  return string_starts(head, words);
}

static bool name_is_rows(const char *name) {
  const char *const endings[] = {".json", ".jsonl", ".csv", ".tsv"};
  size_t length = strlen(name);
  if (string_ends(name, ".gz"))
    length -= 3;
  else if (string_ends(name, ".zst"))
    length -= 4;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t size = strlen(endings[i]);
    if (length > size && memcmp(name + length - size, endings[i], size) == 0) return true;
  }
  return false;
}

medley_status plan_each_file(const import_probe *folder, import_plan *plan,
                             medley_status (*plan_file)(const import_probe *, import_plan *, medley_error *),
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < folder->file_count; i++) {
    import_probe inner = {0};
    if (!name_is_rows(folder->files[i])) continue;
    char *path = path_join(folder->path, folder->files[i]);
    if (path == NULL) return error_memory(err, "a plan");
    if (!file_is_folder(path)) status = probe_init(&inner, path, folder->kind, false, err);
    if (status == MEDLEY_OK && inner.path != NULL) {
      status = plan_file(&inner, plan, err);
      probe_deinit(&inner);
    }
    mem_free(path);
    TRY(status);
  }
done:
  return status;
}

/* ---- from options to parts ---- */

static const importer_kind *format_find(const char *name) {
  for (size_t i = 0; i < FORMAT_COUNT; i++)
    if (strcmp(formats[i]->name, name) == 0) return formats[i];
  return NULL;
}

static medley_status format_unknown(const char *name, medley_error *err) {
  strbuf names = {0};
  for (size_t i = 0; i < FORMAT_COUNT; i++) strbuf_printf(&names, "%s%s", i ? ", " : "", formats[i]->name);
  medley_status status = error_set(err, MEDLEY_ERR_USAGE, "there is no format '%s'; the formats are %s", name,
                                   names.text ? names.text : "");
  strbuf_deinit(&names);
  return status;
}

static medley_status plan_by_format(const import_probe *probe, const importer_kind *format, import_plan *plan,
                                    medley_error *err) {
  plan->format = format->name;
  return format->plan(probe, plan, err);
}

static bool is_empty(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0;
}

static medley_status plan_find(const import_probe *probe, const import_options *options, import_plan *plan,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (options->format != NULL) {
    const importer_kind *format = format_find(options->format);
    if (format == NULL) return format_unknown(options->format, err);
    TRY(plan_by_format(probe, format, plan, err));
    if (plan->count == 0)
      FAIL(err, MEDLEY_ERR_INPUT, "'%s' is not what the format %s expects: %s", options->path, format->name,
           format->summary);
    goto done;
  }
  for (size_t i = 0; i < FORMAT_COUNT && plan->count == 0; i++) TRY(plan_by_format(probe, formats[i], plan, err));
  if (plan->count == 0 && is_empty(options->path)) FAIL(err, MEDLEY_ERR_INPUT, "'%s' is empty", options->path);
  if (plan->count == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "the format of '%s' is not recognised: say it with --format", options->path);
done:
  return status;
}

/* Items and users before what names them. */
static int part_compare(const void *a, const void *b) {
  const import_part *x = a, *y = b;
  if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
  return x->place < y->place ? -1 : 1;
}

/* Keeps the parts of the kind that was asked for. */
static medley_status plan_select(import_plan *plan, const import_options *options, medley_error *err) {
  size_t kept = 0;
  for (size_t i = 0; i < plan->count; i++)
    if (plan->parts[i].kind == IMPORT_AUTO)
      return error_set(
          err, MEDLEY_ERR_USAGE,
          "the format %s does not say what the rows of '%s' are: say items, users, events, links or vectors",
          plan->format, plan->parts[i].path);
  for (size_t i = 0; i < plan->count; i++) {
    import_part *part = &plan->parts[i];
    part->place = i;
    if (options->kind == IMPORT_AUTO || options->kind == part->kind)
      plan->parts[kept++] = *part;
    else
      mem_free(part->path);
  }
  plan->count = kept;
  if (kept == 0)
    return error_set(err, MEDLEY_ERR_INPUT, "'%s' (%s) has no %s", options->path, plan->format,
                     import_kind_name(options->kind));
  qsort(plan->parts, kept, sizeof *plan->parts, part_compare);
  return MEDLEY_OK;
}

static medley_status options_check(const import_options *o, medley_error *err) {
  if (o->path == NULL || *o->path == '\0') return error_set(err, MEDLEY_ERR_USAGE, "no file was named");
  if (o->kind >= IMPORT_KIND_COUNT) return error_set(err, MEDLEY_ERR_USAGE, "there is no kind of row %d", (int)o->kind);
  static const char *const encodings[] = {"auto", "utf-8", "utf8", "latin-1", "latin1", "iso-8859-1"};
  bool known = o->encoding == NULL;
  for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
    known |= o->encoding != NULL && strcasecmp(o->encoding, encodings[i]) == 0;
  if (!known) return error_set(err, MEDLEY_ERR_USAGE, "encoding '%s': expected auto, utf-8 or latin-1", o->encoding);
  return MEDLEY_OK;
}

/* Only where the format does not know it. */
static void plan_behead(import_plan *plan) {
  for (size_t i = 0; i < plan->count; i++)
    if (plan->parts[i].map == NULL && !plan->parts[i].typed) plan->parts[i].dialect.header = false;
}

static void plan_encode(import_plan *plan, const char *encoding) {
  if (encoding == NULL || strcasecmp(encoding, "auto") == 0) return;
  bool latin1 = strncasecmp(encoding, "latin", 5) == 0 || strncasecmp(encoding, "iso", 3) == 0;
  for (size_t i = 0; i < plan->count; i++) plan->parts[i].latin1 = latin1;
}

/* ---- readers ---- */

/* A compressed file is read through once before its first row is taken: one that is cut off or damaged leaves nothing
 * behind, and costs a fraction of the import. */
static medley_status stream_verify(const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  stream *in = NULL;
  char *block = NULL;
  size_t got = 1;
  TRY(stream_open(path, &in, err));
  if (!stream_compressed(in)) goto done;
  TRY_NEW(block, 1 << 18, "a file's bytes");
  while (got > 0) TRY(stream_read(in, block, 1 << 18, &got, err));
done:
  mem_free(block);
  stream_close(in);
  return status;
}

medley_status import_reader_open(import_reader *r, const import_part *part, const import_options *options,
                                 medley_error *err) {
  static const import_reader_kind *const kinds[] = {[READ_TABLE] = &import_rows_table,
                                                    [READ_JSON] = &import_rows_json,
                                                    [READ_NPY] = &import_rows_npy,
                                                    [READ_FOLDER] = &import_rows_folder};
  medley_status status = MEDLEY_OK;
  *r = (import_reader){.kind = kinds[part->reading], .part = part, .options = options};
  TRY(mapping_init(&r->mapping, part->kind, options->maps, options->map_count, part->map, err));
  r->mapping.drop_rest = part->drop_rest;
  if (part->reading != READ_FOLDER) {
    TRY(stream_verify(part->path, err));
    TRY(stream_open(part->path, &r->in, err));
  }
  status = r->kind->open(r, err);
  if (status != MEDLEY_OK && status != MEDLEY_ERR_MEMORY) error_prefix(err, status, "%s", path_name(part->path));
done:
  if (status != MEDLEY_OK) import_reader_close(r);
  return status;
}

void import_reader_close(import_reader *r) {
  if (r->kind != NULL) r->kind->close(r);
  mapping_deinit(&r->mapping);
  stream_close(r->in);
  *r = (import_reader){0};
}

/* ---- the run ---- */

typedef struct import_job {
  const store_kind *kind;
  store *s;
  const import_options *options;
  const medley_progress *progress;
  import_report *report;
  import_sink sink;
  import_draft draft;
  import_rejects rejects;
  bool rejects_opened;
  uint64_t rejects_bytes;
  size_t parts_finished; /* by earlier runs */
  char first_reject[512];
} import_job;

/* One part under way. */
typedef struct part_run {
  import_job *job;
  import_reader reader;
  import_media *media;
  import_report report;
  store_import state;
  uint64_t batch_rows; /* since the last commit */
  progress_stage stage;
} part_run;

/* Whether the file is taken once more: it was asked for, or the file has changed since it was imported. */
static medley_status again_find(part_run *p, const char *edition, const char *source, medley_error *err) {
  bool before = false;
  medley_status status = p->job->kind->import_before(p->job->s, edition, source, &before, err);
  p->report.again |= p->job->options->again || before;
  return status;
}

static medley_status state_read(part_run *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  import_job *job = p->job;
  char source[1024], edition[512];
  TRY(import_source(&p->reader, source, edition, err));
  if (job->options->dry_run) {
    TRY(again_find(p, edition, source, err));
    goto done;
  }
  TRY(job->kind->begin(job->s, err));
  status = job->kind->import_get(job->s, source, &p->state, err);
  if (status != MEDLEY_OK) {
    job->kind->rollback(job->s);
    goto done;
  }
  TRY(job->kind->commit(job->s, err));
  if (p->state.finished && job->options->again) {
    p->state.finished = false;
    p->state.rows_done = p->state.rows_accepted = p->state.rows_rejected = 0;
    p->state.report[0] = '\0';
  }
  uint64_t bytes = 0;
  if (p->state.rows_done > 0 || p->state.finished) import_state_load(&p->state, &p->report, &bytes);
  if (bytes > job->rejects_bytes) job->rejects_bytes = bytes;
  if (p->state.finished) goto done;
  p->report.resumed_from = p->state.rows_done;
  if (p->state.rows_done == 0 || job->options->again) TRY(again_find(p, edition, source, err));
done:
  return status;
}

static medley_status batch_begin(part_run *p, medley_error *err) {
  p->batch_rows = 0;
  return p->job->kind->begin(p->job->s, err);
}

/* Rows, counts and the length of the rejects file go to the disk as one. */
static medley_status batch_end(part_run *p, bool finished, medley_error *err) {
  medley_status status = MEDLEY_OK;
  import_job *job = p->job;
  TRY(sink_flush(&job->sink, err));
  TRY(rejects_sync(&job->rejects, &job->rejects_bytes, err));
  if (job->options->dry_run) {
    job->kind->rollback(job->s);
    goto done;
  }
  p->state.finished = finished && p->report.read > 0; /* of a file without rows there is nothing to remember */
  TRY(import_state_save(&p->report, job->rejects_bytes, &p->state, err));
  TRY(job->kind->import_put(job->s, &p->state, err));
  TRY(job->kind->commit(job->s, err));
done:
  return status;
}

static medley_status row_rejected(part_run *p, medley_error *err) {
  import_job *job = p->job;
  const import_draft *d = &job->draft;
  p->report.rejected++;
  p->report.reasons[d->reason]++;
  if (*job->first_reject == '\0')
    snprintf(job->first_reject, sizeof job->first_reject, "%.100s line %llu: %s", path_name(p->reader.part->path),
             (unsigned long long)d->line, d->message);
  return rejects_write(&job->rejects, &p->reader, d, err);
}

static medley_status row_take(part_run *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  import_job *job = p->job;
  TRY(sink_take(&job->sink, &job->draft, err));
  p->report.read++;
  if (job->draft.rejected) TRY(row_rejected(p, err));
  p->state.rows_done++;
  p->batch_rows++;
done:
  return status;
}

/* Rows so far, and how many it will be, going by the bytes. */
static medley_status rows_report(part_run *p, uint64_t rows, medley_error *err) {
  uint64_t position = p->reader.in ? stream_position(p->reader.in) : 0;
  uint64_t size = p->reader.in ? stream_size(p->reader.in) : 0;
  p->stage.total = position > 0 && size > 0 ? (uint64_t)((double)rows * (double)size / (double)position) : 0;
  if (p->stage.total > 0 && p->stage.total < rows) p->stage.total = rows;
  return progress_update(&p->stage, rows, err);
}

/* Reads on to the end, or to the first error that is not a row's own. Rows that an earlier run has done are read again,
 * but not taken. */
static medley_status rows_run(part_run *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  import_job *job = p->job;
  uint64_t batch = job->options->batch_rows ? job->options->batch_rows : IMPORT_BATCH_ROWS;
  uint64_t before = p->state.rows_done;
  for (uint64_t row = 0;; row++) {
    bool more;
    if (row % 256 == 0) TRY(rows_report(p, row, err));
    TRY(p->reader.kind->next(&p->reader, &job->draft, &more, err));
    if (!more) break;
    if (row < before) {
      TRY(sink_remember(&job->sink, &job->draft, err));
      continue;
    }
    TRY(row_take(p, err));
    if (p->batch_rows < batch) continue;
    TRY(batch_end(p, false, err));
    TRY(batch_begin(p, err));
  }
  p->stage.total = p->report.read;
  progress_end(&p->stage, p->report.read);
done:
  return status;
}

/* Errors of reading and a wish to stop keep what was taken before them; others lose the batch. */
static bool keeps_batch(medley_status status) {
  return status == MEDLEY_OK || status == MEDLEY_ERR_CANCELLED || status == MEDLEY_ERR_INPUT ||
         status == MEDLEY_ERR_LIMIT;
}

static medley_status rows_import(part_run *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  import_job *job = p->job;
  TRY(batch_begin(p, err));
  status = rows_run(p, err);
  if (keeps_batch(status)) {
    medley_error second;
    medley_status kept = batch_end(p, status == MEDLEY_OK, &second);
    if (kept != MEDLEY_OK && status == MEDLEY_OK) status = error_set(err, kept, "%s", second.text);
  }
  if (status != MEDLEY_OK) {
    job->kind->rollback(job->s);
    job->sink.event_count = 0;
  }
done:
  return status;
}

static void maps_note(const part_run *p) {
  const import_mapping *m = &p->reader.mapping;
  for (size_t i = 0; i < m->count; i++)
    if (p->report.read > 0 && m->entries[i].by_user && !m->entries[i].found && *m->entries[i].column != '\0')
      progress_note(p->job->progress, "no row of %s has '%s', which is mapped to %s", path_name(p->reader.part->path),
                    m->entries[i].column, import_field_name(m->entries[i].field));
}

static medley_status part_import(import_job *job, const import_part *part, medley_error *err) {
  static const char *const stages[IMPORT_KIND_COUNT] = {"import",        "import items", "import users",
                                                        "import events", "import links", "import vectors"};
  medley_status status = MEDLEY_OK;
  part_run p = {.job = job};
  TRY(import_reader_open(&p.reader, part, job->options, err));
  TRY(import_media_create(job->options, part->path, part->reading == READ_FOLDER, &p.media, err));
  TRY(state_read(&p, err));
  if (p.state.finished) {
    job->parts_finished++;
    goto done;
  }
  if (!job->rejects_opened) TRY(rejects_open(&job->rejects, job->options->errors, job->rejects_bytes, err));
  job->rejects_opened = true;
  TRY(sink_begin_part(&job->sink, part, &p.reader.mapping, p.media, &p.report, err));
  progress_begin(&p.stage, job->progress, stages[part->kind], 0);
  status = rows_import(&p, err);
  if (status == MEDLEY_ERR_INPUT || status == MEDLEY_ERR_LIMIT) error_prefix(err, status, "%s", path_name(part->path));
  if (status == MEDLEY_OK) maps_note(&p);
done:
  if (p.reader.kind != NULL) job->report->files++;
  import_report_add(job->report, &p.report);
  import_media_free(p.media);
  import_reader_close(&p.reader);
  return status;
}

/* "3 of 9 rows were rejected (2 bad time, 1 bad key); the first: ..." */
static medley_status rejected_verdict(const import_job *job, medley_error *err) {
  const import_report *r = job->report;
  if (r->rejected <= job->options->allow_rejects) return MEDLEY_OK;
  strbuf reasons = {0};
  for (int i = 0; i < IMPORT_REASON_COUNT; i++)
    if (r->reasons[i] > 0)
      strbuf_printf(&reasons, "%s%llu %s", reasons.length ? ", " : "", (unsigned long long)r->reasons[i],
                    import_reason_name((import_reason)i));
  medley_status status =
      error_set(err, MEDLEY_ERR_REJECTED, "%llu of %llu rows were rejected (%s)%s%s", (unsigned long long)r->rejected,
                (unsigned long long)r->read, reasons.text ? reasons.text : "",
                *job->first_reject ? "; the first: " : "", job->first_reject);
  strbuf_deinit(&reasons);
  return status;
}

/* Nothing to read is told by the status too: who exports every night wants to know when nothing came. */
static medley_status no_rows(const import_job *job, const import_plan *plan, medley_error *err) {
  if (plan->parts[0].reading == READ_FOLDER)
    return error_set(err, MEDLEY_ERR_INPUT, "there are no pictures, sounds or clips in '%s'", job->options->path);
  return error_set(err, MEDLEY_ERR_INPUT, "'%s' has no rows%s", job->options->path,
                   plan->parts[0].dialect.header ? " below its header" : "");
}

static medley_status plan_run(import_job *job, const import_plan *plan, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(draft_init(&job->draft, err));
  TRY(sink_init(&job->sink, job->kind, job->s, job->options, err));
  for (size_t i = 0; i < plan->count; i++) TRY(part_import(job, &plan->parts[i], err));
  if (job->parts_finished == plan->count)
    FAIL(
        err, MEDLEY_ERR_EXISTS,
        "'%s' was imported already and has not changed since: --dry-run --errors FILE lists what was rejected, --again "
        "takes it once more (events that are there already stay as they are)",
        job->options->path);
  if (job->report->read == 0) TRY(no_rows(job, plan, err));
  TRY(rejected_verdict(job, err));
done:
  rejects_close(&job->rejects);
  draft_deinit(&job->draft);
  sink_deinit(&job->sink);
  return status;
}

medley_status import_run(const store_kind *kind, store *s, const import_options *options,
                         const medley_progress *progress, import_report *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double started_s = clock_now_s();
  import_job job = {.kind = kind, .s = s, .options = options, .progress = progress, .report = report};
  import_probe probe = {0};
  import_plan plan = {0};
  *report = (import_report){0};
  TRY(options_check(options, err));
  TRY(probe_init(&probe, options->path, options->kind, options->format != NULL, err));
  status = plan_find(&probe, options, &plan, err);
  probe_deinit(&probe);
  TRY(status);
  TRY(plan_select(&plan, options, err));
  plan_encode(&plan, options->encoding);
  if (options->no_header) plan_behead(&plan);
  snprintf(report->format, sizeof report->format, "%s", plan.format);
  TRY(plan_run(&job, &plan, err));
done:
  plan_deinit(&plan);
  report->seconds = clock_now_s() - started_s;
  return status;
}
