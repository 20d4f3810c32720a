/* index/asked.h: the last queries that users asked, so that the recall is measured on what is really asked
 * (medley_index_measure).
 *
 * A ring of half floats, each query by a scale of its own: an eleventh bit of a query does not change which recall it
 * meets. It has as many places as two bytes for each vector of the index give (39 at 50,000 vectors of 1280 dimensions,
 * 256 from 32,768 of 128 on), so that what is remembered stays small beside the links; small indexes have ASKED_MIN.
 * Nothing is allocated before the first query.
 *
 * Threads: all from any; a query that meets the lock taken is not remembered.
 */
#ifndef INDEX_ASKED_H
#define INDEX_ASKED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define ASKED_MAX 256
#define ASKED_MIN 16
#define ASKED_EVERY 8 /* of so many searches one is remembered */
#define ASKED_BYTES_EACH 2

typedef struct asked {
  size_t dim;
  pthread_mutex_t lock;
  uint16_t *halves; /* [places, dim], divided by `scale`; NULL: none yet */
  float *scale;     /* [places] */
  size_t places, count, next;
  _Atomic uint64_t searches;
  _Atomic size_t bytes;
} asked;

void asked_init(asked *a, size_t dim);
void asked_deinit(asked *a);
/* A search for `vector` [dim], finite, was answered by an index of so many vectors. */
void asked_remember(asked *a, const float *vector, size_t vectors);
/* At most `most` of them into out [most, dim]; returns how many. */
size_t asked_take(asked *a, size_t most, float *out);

#endif
