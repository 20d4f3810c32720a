/* index/ivfpq_file.c: the model and its lists as sections of the index file (file.h), all little endian:
 *
 *   "ivf.head"      11 numbers of 64 bits: lists, bytes of a code (0: not trained), dimensions of a row, dimensions
 *                   quantised, rows when it was trained, entries, room for entries; and as asked for: lists, bytes of
 *                   a code, breadth, seed
 *   "ivf.rotation"  [dim] mean, then [quantised, dim] matrix, floats
 *   "ivf.centres"   [lists, quantised] floats
 *   "ivf.codebook"  [bytes of a code, quantised / bytes of a code, 256] floats
 *   "ivf.counts"    [lists] 32 bits: entries of each list; its room is that rounded up to a multiple of 16
 *   "ivf.slots"     [room] 32 bits, list after list, zeros in the room that is left
 *   "ivf.norms"     [room] floats
 *   "ivf.codes"     [room] codes, each list in groups of its own (math/code_sums.h)
 *
 * Without training there are head, counts and slots. Slots, norms and codes are used where they are mapped. Opening
 * reads the slots, because one that is named twice would be given back twice, and nothing else that grows with the
 * rows.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "index/file.h"
#include "index/ivfpq.h"
#include "math/code_sums.h"
#include "math/vector.h"

enum {
  HEAD_LISTS,
  HEAD_BYTES,
  HEAD_DIM,
  HEAD_KEPT,
  HEAD_TRAINED,
  HEAD_ENTRIES,
  HEAD_ROOM,
  HEAD_ASKED_LISTS,
  HEAD_ASKED_BYTES,
  HEAD_BREADTH,
  HEAD_SEED,
  HEAD_COUNT
};

static size_t room_for(size_t entries) { return (entries + IVF_ENTRIES - 1) / IVF_ENTRIES * IVF_ENTRIES; }

/* ---- writing ---- */

static const unsigned char zeros[IVF_ENTRIES * sizeof(uint32_t)];

/* An array of each list, 4 bytes an entry, filled up to its room. */
static medley_status write_entries(const ivf_model *m, index_file_writer *w, const char *name, bool norms,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(index_file_writer_begin_section(w, name, err));
  for (size_t l = 0; l < m->lists; l++) {
    const ivf_block *b = ivf_block_now(m, l);
    size_t count = ivf_block_count(b);
    TRY(index_file_writer_append(w, norms ? (const void *)b->norms : b->slots, count * sizeof(uint32_t), err));
    TRY(index_file_writer_append(w, zeros, (room_for(count) - count) * sizeof(uint32_t), err));
  }
  TRY(index_file_writer_end_section(w, err));
done:
  return status;
}

/* Groups that are whole in the file lie in memory as they are to be; the last one may be wider there. */
static medley_status write_list_codes(const ivf_model *m, const ivf_block *b, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = ivf_block_count(b), parts = m->code_bytes, whole = room_for(count) / CODE_GROUP * CODE_GROUP;
  size_t last = room_for(count) - whole;
  uint8_t group[CODE_GROUP * CODE_PARTS_MAX] = {0}, code[CODE_PARTS_MAX];
  TRY(index_file_writer_append(w, b->codes, whole * parts, err));
  for (size_t i = whole; i < count; i++) {
    code_get(b->codes, b->capacity, parts, i, code);
    code_put(group, last, parts, i - whole, code);
  }
  TRY(index_file_writer_append(w, group, last * parts, err));
done:
  return status;
}

static medley_status write_codes(const ivf_model *m, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(index_file_writer_begin_section(w, "ivf.codes", err));
  for (size_t l = 0; l < m->lists; l++) TRY(write_list_codes(m, ivf_block_now(m, l), w, err));
  TRY(index_file_writer_end_section(w, err));
done:
  return status;
}

static medley_status write_model(const ivf_model *m, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const rotation *r = &m->rotation;
  TRY(index_file_writer_begin_section(w, "ivf.rotation", err));
  TRY(index_file_writer_append(w, r->mean, r->dim * sizeof *r->mean, err));
  TRY(index_file_writer_append(w, r->matrix, r->out_dim * r->dim * sizeof *r->matrix, err));
  TRY(index_file_writer_end_section(w, err));
  TRY(index_file_writer_section(w, "ivf.centres", m->centres, m->lists * r->out_dim * sizeof *m->centres, err));
  TRY(index_file_writer_section(w, "ivf.codebook", m->product.codebook,
                                r->out_dim * PRODUCT_CODES * sizeof *m->product.codebook, err));
done:
  return status;
}

medley_status ivf_write(const index_structure *s, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ivf_index *x = (const ivf_index *)s;
  const ivf_model *m = ivf_model_now(x);
  uint64_t head[HEAD_COUNT] = {[HEAD_LISTS] = m->lists,
                               [HEAD_BYTES] = m->code_bytes,
                               [HEAD_DIM] = s->rows->dim,
                               [HEAD_KEPT] = m->rotation.out_dim,
                               [HEAD_TRAINED] = m->trained_rows,
                               [HEAD_ENTRIES] = m->entries,
                               [HEAD_ASKED_LISTS] = x->options.lists,
                               [HEAD_ASKED_BYTES] = x->options.code_bytes,
                               [HEAD_BREADTH] = s->breadth,
                               [HEAD_SEED] = x->options.seed};
  uint32_t *counts = NULL;
  TRY_NEW(counts, m->lists, "inverted lists");
  for (size_t l = 0; l < m->lists; l++) {
    counts[l] = ivf_block_count(ivf_block_now(m, l));
    head[HEAD_ROOM] += room_for(counts[l]);
  }
  TRY(index_file_writer_section(w, "ivf.head", head, sizeof head, err));
  TRY(index_file_writer_section(w, "ivf.counts", counts, m->lists * sizeof *counts, err));
  TRY(write_entries(m, w, "ivf.slots", false, err));
  if (!ivf_trained(m)) goto done;
  TRY(write_model(m, w, err));
  TRY(write_entries(m, w, "ivf.norms", true, err));
  TRY(write_codes(m, w, err));
done:
  mem_free(counts);
  return status;
}

/* ---- back ---- */

typedef struct opening {
  const index_opening *from;
  const rows *rows;
  const index_file *file;
  const char *path;
  uint64_t head[HEAD_COUNT];
  ivf_model *model;
} opening;

static medley_status head_read(opening *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes;
  uint64_t *head = o->head;
  TRY(index_file_array(o->file, "ivf.head", HEAD_COUNT, sizeof *head, &bytes, err));
  memcpy(head, bytes, sizeof o->head);
  if (head[HEAD_DIM] != o->rows->dim)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the lists are of vectors with %llu dimensions, the vectors have %zu", o->path,
         (unsigned long long)head[HEAD_DIM], o->rows->dim);
  bool trained = head[HEAD_BYTES] > 0;
  if (head[HEAD_LISTS] < 1 || head[HEAD_LISTS] > IVF_LISTS_MAX || (!trained && head[HEAD_LISTS] != 1) ||
      head[HEAD_BYTES] > IVF_CODE_BYTES_MAX || head[HEAD_BYTES] > head[HEAD_DIM] || head[HEAD_ENTRIES] > ROWS_MAX ||
      head[HEAD_ROOM] > ROWS_MAX + IVF_ENTRIES * IVF_LISTS_MAX || head[HEAD_TRAINED] > ROWS_MAX ||
      head[HEAD_KEPT] > IVF_DECODED_MAX || head[HEAD_ASKED_LISTS] > IVF_LISTS_MAX ||
      head[HEAD_ASKED_BYTES] > IVF_CODE_BYTES_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the head of the inverted lists contradicts itself", o->path);
  /* Before memory is asked for: the file must be as large as what it promises. */
  if (trained)
    TRY(index_file_array(o->file, "ivf.centres", head[HEAD_LISTS], head[HEAD_KEPT] * sizeof(float), &bytes, err));
done:
  return status;
}

static medley_status floats_read(const opening *o, const char *name, size_t count, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes;
  TRY(index_file_array(o->file, name, count, sizeof *out, &bytes, err));
  memcpy(out, bytes, count * sizeof *out);
  for (size_t i = 0; i < count; i++)
    if (!isfinite(out[i])) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: number %zu of '%s' is not finite", o->path, i, name);
done:
  return status;
}

static medley_status rotation_read(const opening *o, rotation *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *all = NULL;
  size_t count = r->dim + r->out_dim * r->dim;
  TRY_NEW(all, count, "rotation");
  TRY(floats_read(o, "ivf.rotation", count, all, err));
  memcpy(r->mean, all, r->dim * sizeof *all);
  memcpy(r->matrix, all + r->dim, r->out_dim * r->dim * sizeof *all);
  rotation_prepare(r);
done:
  mem_free(all);
  return status;
}

static medley_status model_read(opening *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_model *m = o->model;
  size_t kept = m->rotation.out_dim;
  if (o->head[HEAD_KEPT] != kept)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %llu dimensions are quantised, with %zu bytes a code it must be %zu", o->path,
         (unsigned long long)o->head[HEAD_KEPT], m->code_bytes, kept);
  TRY(rotation_read(o, &m->rotation, err));
  TRY(floats_read(o, "ivf.centres", m->lists * kept, m->centres, err));
  TRY(floats_read(o, "ivf.codebook", kept * PRODUCT_CODES, m->product.codebook, err));
  product_prepare(&m->product);
  for (size_t l = 0; l < m->lists; l++) m->half[l] = vector_dot(m->centres + l * kept, m->centres + l * kept, kept) / 2;
done:
  return status;
}

/* The lists as blocks over the mapped arrays. */
static medley_status blocks_read(opening *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_model *m = o->model;
  size_t room = o->head[HEAD_ROOM], at = 0, entries = 0;
  unsigned char *counts, *slots, *norms = NULL, *codes = NULL;
  TRY(index_file_array(o->file, "ivf.counts", m->lists, sizeof(uint32_t), &counts, err));
  TRY(index_file_array(o->file, "ivf.slots", room, sizeof(uint32_t), &slots, err));
  if (ivf_trained(m)) {
    TRY(index_file_array(o->file, "ivf.norms", room, sizeof(float), &norms, err));
    TRY(index_file_array(o->file, "ivf.codes", room, m->code_bytes, &codes, err));
  }
  TRY_NEW(m->block, m->lists, "inverted lists");
  TRY_NEW(m->mapped, m->lists, "inverted lists");
  m->bytes += m->lists * sizeof *m->mapped;
  for (size_t l = 0; l < m->lists; l++) {
    ivf_block *b = &m->mapped[l];
    uint32_t count;
    memcpy(&count, counts + l * sizeof count, sizeof count);
    if (count > o->head[HEAD_ENTRIES] - entries || room_for(count) > room - at)
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: list %zu has %u entries, there is room for %zu", o->path, l, count, room - at);
    b->mapped = true;
    b->capacity = (uint32_t)room_for(count);
    b->slots = (uint32_t *)(void *)slots + at;
    if (ivf_trained(m)) {
      b->norms = (float *)(void *)norms + at;
      b->codes = codes + at * m->code_bytes;
    }
    atomic_init(&b->count, count);
    atomic_init(&m->block[l], b);
    at += b->capacity;
    entries += count;
  }
  m->entries = entries;
  if (entries != o->head[HEAD_ENTRIES] || at != room)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the lists have %zu entries in all, the head says %llu", o->path, entries,
         (unsigned long long)o->head[HEAD_ENTRIES]);
done:
  return status;
}

/* Every slot is there, not free, and named once; every row that is alive is in a list. */
static medley_status slots_check(const opening *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ivf_model *m = o->model;
  size_t slots = rows_count(o->rows), alive = 0;
  uint64_t *named = NULL;
  TRY_NEW(named, slots / 64 + 1, "inverted lists");
  for (size_t l = 0; l < m->lists; l++) {
    const ivf_block *b = ivf_block_now(m, l);
    for (size_t i = 0, count = ivf_block_count(b); i < count; i++) {
      uint32_t slot = b->slots[i];
      if (slot >= slots)
        FAIL(err, MEDLEY_ERR_CORRUPT, "%s: list %zu names vector %u, there are %zu", o->path, l, slot, slots);
      if (named[slot / 64] >> slot % 64 & 1 || index_opening_free(o->from, slot))
        FAIL(err, MEDLEY_ERR_CORRUPT, "%s: list %zu names vector %u, which was named before or is free", o->path, l,
             slot);
      named[slot / 64] |= (uint64_t)1 << slot % 64;
      alive += rows_alive(o->rows, slot);
    }
  }
  if (alive != atomic_load(&o->rows->alive_count))
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %zu vectors that are there are in a list, of %u", o->path, alive,
         atomic_load(&o->rows->alive_count));
done:
  mem_free(named);
  return status;
}

medley_status ivf_open(const index_opening *from, index_structure **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  opening open = {.from = from, .rows = from->rows, .file = from->file, .path = index_file_path(from->file)};
  *out = NULL;
  TRY(head_read(&open, err));
  TRY(ivf_model_create(open.rows->dim, open.head[HEAD_LISTS], open.head[HEAD_BYTES], false, &open.model, err));
  open.model->trained_rows = open.head[HEAD_TRAINED];
  if (ivf_trained(open.model)) TRY(model_read(&open, err));
  TRY(blocks_read(&open, err));
  TRY(slots_check(&open, err));
  index_options options = *from->options;
  options.lists = open.head[HEAD_ASKED_LISTS];
  options.code_bytes = open.head[HEAD_ASKED_BYTES];
  options.seed = open.head[HEAD_SEED];
  if (options.search_breadth == 0) options.search_breadth = open.head[HEAD_BREADTH];
  TRY(ivf_index_create(open.rows, &options, open.model, out, err));
  open.model = NULL;
done:
  ivf_model_free(open.model);
  return status;
}
