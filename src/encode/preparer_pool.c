/* encode/preparer_pool.c: see encode/preparer_pool.h. */
#include "encode/preparer_pool.h"

#include "base/memory.h"

void preparer_pool_init(preparer_pool *pool) {
  *pool = (preparer_pool){0};
  pthread_mutex_init(&pool->lock, NULL);
}

void preparer_pool_deinit(preparer_pool *pool) {
  for (size_t i = 0; i < pool->count; i++) text_preparer_free(pool->resting[i]);
  mem_free(pool->resting);
  pthread_mutex_destroy(&pool->lock);
}

static text_preparer *resting_take(preparer_pool *pool) {
  text_preparer *p = NULL;
  pthread_mutex_lock(&pool->lock);
  if (pool->count > 0) p = pool->resting[--pool->count];
  pthread_mutex_unlock(&pool->lock);
  return p;
}

void preparer_pool_put(preparer_pool *pool, text_preparer *p) {
  void *grown = NULL;
  pthread_mutex_lock(&pool->lock);
  grown = pool->resting;
  bool room = mem_grow(&grown, &pool->capacity, pool->count + 1, sizeof *pool->resting);
  pool->resting = grown;
  if (room) pool->resting[pool->count++] = p;
  pthread_mutex_unlock(&pool->lock);
  if (!room) text_preparer_free(p);
}

medley_status preparer_pool_take(preparer_pool *pool, text_preparer **out, medley_error *err) {
  text_options options = preparation_text(&pool->prepare);
  *out = resting_take(pool);
  return *out != NULL ? MEDLEY_OK : text_preparer_create(&options, out, err);
}
