/* index/set_file.c: an index as sections of its file (file.h):
 *
 *   "head"        JSON: dim, distance, storage, rerank, slots, seed, memory_limit, recall, recall_breadth
 *   "vectors"     [slots, stride] rows as row_kernels.h lays them out
 *   "full"        [slots, stride] the same of the vectors to rank again with; not there without
 *   "alive"       [(slots + 63) / 64] 64 bits: who can be answered
 *   "free"        [count] 32 bits: slots that nobody names
 *   "ids"         labels.h
 *   "attributes"  attributes.h
 *   and those of the kind
 */
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "index/set.h"

#define HEAD_BYTES_MAX 65536

static const char *const read_whole[] = {"alive", "free"};

static medley_status rows_write(const rows *r, const char *name, index_file_writer *w, progress_stage *stage,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = rows_count(r), per_chunk = (size_t)1 << r->chunk_shift;
  TRY(index_file_writer_begin_section(w, name, err));
  for (size_t done = 0; done < count; done += per_chunk) {
    size_t held = count - done < per_chunk ? count - done : per_chunk;
    TRY(index_file_writer_append(w, r->chunks[done >> r->chunk_shift].bytes, held * r->stride_bytes, err));
    TRY(progress_update(stage, done + held, err));
  }
  TRY(index_file_writer_end_section(w, err));
done:
  return status;
}

static medley_status alive_write(const rows *r, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t words = (rows_count(r) + 63) / 64, per_chunk = ((size_t)1 << r->chunk_shift) / 64;
  TRY(index_file_writer_begin_section(w, "alive", err));
  for (size_t done = 0; done < words; done += per_chunk) {
    size_t count = words - done < per_chunk ? words - done : per_chunk;
    TRY(index_file_writer_append(w, (const void *)r->chunks[done / per_chunk].alive, count * sizeof(uint64_t), err));
  }
  TRY(index_file_writer_end_section(w, err));
done:
  return status;
}

static medley_status free_write(const medley_index *set, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(index_file_writer_begin_section(w, "free", err));
  for (size_t i = set->limbo_at; i < set->limbo_count; i++)
    TRY(index_file_writer_append(w, &set->limbo[i].slot, sizeof set->limbo[i].slot, err));
  TRY(index_file_writer_end_section(w, err));
done:
  return status;
}

static medley_status head_write(const medley_index *set, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *head =
      json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:I}", "dim", (json_int_t)set->rows.dim, "distance",
                index_distance_name(set->rows.distance), "storage", row_storage_name(set->rows.storage), "rerank",
                set->full.dim ? row_storage_name(set->full.storage) : "", "slots", (json_int_t)rows_count(&set->rows),
                "seed", (json_int_t)set->options.seed, "memory_limit", (json_int_t)set->memory_limit_bytes, "recall",
                (double)set->recall, "recall_breadth", (json_int_t)set->recall_breadth);
  char *text = head ? json_to_text(head) : NULL;
  status = text ? index_file_writer_section(w, "head", text, strlen(text), err) : error_memory(err, "index file");
  mem_free(text);
  json_decref(head);
  return status;
}

static medley_status attributes_section(const medley_index *set, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes = NULL;
  size_t length;
  TRY(attributes_write(set->attributes, &bytes, &length, err));
  TRY(index_file_writer_section(w, ATTRIBUTES_SECTION, bytes, length, err));
done:
  mem_free(bytes);
  return status;
}

medley_status set_write(medley_index *set, const char *path, const journal_mark *mark, unsigned char *id,
                        const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  index_file_writer *w = NULL;
  progress_stage stage;
  progress_begin(&stage, progress, "write index", rows_count(&set->rows));
  TRY(index_file_writer_create(path, set->kind->name, mark, &w, err));
  TRY(head_write(set, w, err));
  TRY(rows_write(&set->rows, "vectors", w, &stage, err));
  if (set->full.dim > 0) TRY(rows_write(&set->full, "full", w, &stage, err));
  TRY(alive_write(&set->rows, w, err));
  TRY(free_write(set, w, err));
  TRY(labels_write(&set->labels, w, err));
  TRY(attributes_section(set, w, err));
  TRY(set->kind->write != NULL ? set->kind->write(set->structure, w, err) : MEDLEY_OK);
  status = index_file_writer_commit(w, id, err);
  w = NULL;
  progress_end(&stage, rows_count(&set->rows));
done:
  index_file_writer_abort(w);
  return status;
}

/* ---- back ---- */

static medley_status head_read(const index_file *f, json_t **head, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes;
  size_t length;
  TRY(index_file_section(f, "head", &bytes, &length, err));
  if (length == 0 || length > HEAD_BYTES_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: a head of %zu bytes", index_file_path(f), length);
  TRY(json_parse((const char *)bytes, length, index_file_path(f), head, err));
done:
  return status;
}

static medley_status rows_read(rows *r, const char *name, size_t slots, const index_file *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes;
  TRY(index_file_array(f, name, slots, r->stride_bytes, &bytes, err));
  r->pages = index_file_pages(f);
  TRY(rows_borrow(r, bytes, slots, err));
done:
  return status;
}

static medley_status alive_read(medley_index *set, size_t slots, const index_file *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes;
  uint64_t word;
  TRY(index_file_array(f, "alive", (slots + 63) / 64, sizeof word, &bytes, err));
  for (size_t at = 0; at < slots; at += 64) {
    memcpy(&word, bytes + at / 8, sizeof word);
    if (slots - at < 64 && word >> (slots - at) != 0)
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: a vector beyond the last is alive", index_file_path(f));
    rows_set_alive_word(&set->rows, (uint32_t)at, word);
  }
done:
  return status;
}

/* named [(slots + 63) / 64]: a bit for each of them is set. */
static medley_status free_read(medley_index *set, size_t slots, const index_file *f, uint64_t *named,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes;
  size_t length;
  TRY(index_file_section(f, "free", &bytes, &length, err));
  size_t count = length / sizeof(uint32_t);
  if (length % sizeof(uint32_t) != 0 || count > slots)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %zu bytes of free slots for %zu slots", index_file_path(f), length, slots);
  TRY_GROW(set->limbo, set->limbo_capacity, count, "index slots");
  for (size_t i = 0; i < count; i++) {
    uint32_t slot;
    memcpy(&slot, bytes + i * sizeof slot, sizeof slot);
    if (slot >= slots || rows_alive(&set->rows, slot) || named[slot >> 6] >> (slot & 63) & 1)
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: slot %u is said to be free and is not, or is so twice", index_file_path(f),
           slot);
    named[slot >> 6] |= (uint64_t)1 << (slot & 63);
    set_release_slot(set, slot);
  }
done:
  return status;
}

static medley_status attributes_section_read(medley_index *set, const index_file *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  attributes *read = NULL;
  TRY(attributes_read_later(&read, f, err));
  attributes_free(set->attributes);
  set->attributes = read;
done:
  return status;
}

static medley_status set_from_head(const json_t *head, const index_file *f, medley_index **out, medley_error *err) {
  long long dim = json_member_integer(head, "dim", 0), limit = json_member_integer(head, "memory_limit", 0);
  medley_index_options o = {.dim = dim > 0 ? (size_t)dim : 0,
                            .kind = index_file_kind(f),
                            .distance = json_member_string(head, "distance", "?"),
                            .storage = json_member_string(head, "storage", "?"),
                            .rerank = json_member_string(head, "rerank", ""),
                            .seed = (uint64_t)json_member_integer(head, "seed", 0),
                            .memory_limit_bytes = limit > 0 ? (uint64_t)limit : 0};
  medley_status status = set_create(&o, out, err);
  if (status != MEDLEY_ERR_USAGE) return status;
  return error_prefix(err, MEDLEY_ERR_CORRUPT, "%s: its head asks for the impossible", index_file_path(f));
}

medley_status set_read(const index_file *f, medley_index **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *set = NULL;
  json_t *head = NULL;
  uint64_t *free_slots = NULL;
  *out = NULL;
  for (size_t i = 0; i < sizeof read_whole / sizeof *read_whole; i++) index_file_soon(f, read_whole[i]);
  TRY(head_read(f, &head, err));
  TRY(set_from_head(head, f, &set, err));
  long long slots = json_member_integer(head, "slots", -1);
  if (slots < 0 || slots > (long long)MEDLEY_INDEX_VECTORS_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %lld slots", index_file_path(f), slots);
  TRY(rows_read(&set->rows, "vectors", (size_t)slots, f, err));
  if (set->full.dim > 0) TRY(rows_read(&set->full, "full", (size_t)slots, f, err));
  TRY(alive_read(set, (size_t)slots, f, err));
  TRY_NEW(free_slots, ((size_t)slots + 63) / 64, "index slots");
  TRY(free_read(set, (size_t)slots, f, free_slots, err));
  TRY(labels_open(&set->labels, f, err));
  TRY(attributes_section_read(set, f, err));
  TRY(set->kind->open(&(index_opening){&set->rows, &set->options, f, free_slots}, &set->structure, err));
  double recall = json_member_number(head, "recall", -1);
  set->recall = recall >= 0 && recall <= 1 ? recall : -1;
  set->recall_breadth = (size_t)json_member_integer(head, "recall_breadth", 0);
  *out = set;
  set = NULL;
done:
  json_decref(head);
  mem_free(free_slots);
  medley_index_close(set);
  return status;
}
