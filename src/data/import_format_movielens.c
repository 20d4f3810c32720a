/* data/import_format_movielens.c: the data sets of GroupLens, each after its README: 100K (bars and tabs, Latin-1), 1M
 * ("::", Latin-1), and latest, 20M, 25M, 32M (CSV with header, UTF-8). */
#include <string.h>

#include "data/import_parts.h"

/* A file of a data set: its name, how it is read, and how its first line begins (NULL: the name is enough). */
typedef struct movielens_file {
  const char *name, *header;
  import_part part;
} movielens_file;

/* A folder is of the data set when it has `sign`, a file when it has one of the names. */
static medley_status movielens_plan(const import_probe *p, const char *sign, const movielens_file *files, size_t count,
                                    import_plan *plan, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (p->folder && !probe_has_file(p, sign)) goto done;
  for (size_t i = 0; i < count; i++) {
    const movielens_file *f = &files[i];
    if (!p->folder && f->header != NULL && !probe_begins(p, f->header)) continue;
    TRY(plan_add_named(plan, p, f->name, &f->part, err));
  }
done:
  return status;
}

/* ---- 100K ---- */

#define BARS .reading = READ_TABLE, .dialect = {.delimiter = "|"}, .latin1 = true
static const movielens_file files_100k[] = {
    {"u.item",
     NULL,
     {.kind = IMPORT_ITEMS,
      BARS,
      .columns =
          "movie_id,title,release_date,video_release_date,imdb_url,unknown,Action,Adventure,Animation,Children's,"
          "Comedy,Crime,Documentary,Drama,Fantasy,Film-Noir,Horror,Musical,Mystery,Romance,Sci-Fi,Thriller,War,"
          "Western",
      .map = "item=movie_id,title=title,time=release_date,skip=video_release_date,skip=unknown,flag=Action,"
             "flag=Adventure,flag=Animation,flag=Children's,flag=Comedy,flag=Crime,flag=Documentary,flag=Drama,"
             "flag=Fantasy,flag=Film-Noir,flag=Horror,flag=Musical,flag=Mystery,flag=Romance,flag=Sci-Fi,flag=Thriller,"
             "flag=War,flag=Western"}},
    {"u.user", NULL, {.kind = IMPORT_USERS, BARS, .columns = "user_id,age,gender,occupation,zip"}},
    {"u.data",
     NULL,
     {.kind = IMPORT_EVENTS,
      .reading = READ_TABLE,
      .dialect = {.delimiter = "\t"},
      .columns = "user_id,item_id,rating,timestamp",
      .type = "rate"}},
};

static medley_status plan_100k(const import_probe *p, import_plan *plan, medley_error *err) {
  return movielens_plan(p, "u.data", files_100k, sizeof files_100k / sizeof *files_100k, plan, err);
}

const importer_kind importer_movielens_100k = {
    .name = "movielens-100k",
    .summary = "MovieLens 100K: u.data, u.item and u.user, one of them or their folder",
    .plan = plan_100k,
};

/* ---- 1M and 10M ---- */

#define COLONS .reading = READ_TABLE, .dialect = {.delimiter = "::"}, .latin1 = true
static const movielens_file files_1m[] = {
    {"movies.dat", NULL, {.kind = IMPORT_ITEMS, COLONS, .columns = "movie_id,title,genres"}},
    {"users.dat", NULL, {.kind = IMPORT_USERS, COLONS, .columns = "user_id,gender,age,occupation,zip"}},
    {"ratings.dat",
     NULL,
     {.kind = IMPORT_EVENTS, COLONS, .columns = "user_id,movie_id,rating,timestamp", .type = "rate"}},
};

static medley_status plan_1m(const import_probe *p, import_plan *plan, medley_error *err) {
  return movielens_plan(p, "ratings.dat", files_1m, sizeof files_1m / sizeof *files_1m, plan, err);
}

const importer_kind importer_movielens_1m = {
    .name = "movielens-1m",
    .summary = "MovieLens 1M and 10M: movies.dat, users.dat and ratings.dat with :: between columns, or their folder",
    .plan = plan_1m,
};

/* ---- latest ---- */

#define COMMAS .reading = READ_TABLE, .dialect = {.delimiter = ",", .quotes = true, .header = true}
static const movielens_file files_latest[] = {
    {"movies.csv",
     "movieId,title,genres",
     {.kind = IMPORT_ITEMS, COMMAS, .map = "item=movieId,title=title,tags=genres"}},
    {"links.csv", "movieId,imdbId,tmdbId", {.kind = IMPORT_ITEMS, COMMAS, .map = "item=movieId"}},
    {"ratings.csv",
     "userId,movieId,rating,timestamp",
     {.kind = IMPORT_EVENTS, COMMAS, .map = "user=userId,item=movieId,value=rating,time=timestamp", .type = "rate"}},
    {"tags.csv",
     "userId,movieId,tag,timestamp",
     {.kind = IMPORT_EVENTS, COMMAS, .map = "user=userId,item=movieId,time=timestamp", .type = "tag"}},
};

static medley_status plan_latest(const import_probe *p, import_plan *plan, medley_error *err) {
  if (p->folder && !probe_has_file(p, "movies.csv")) return MEDLEY_OK;
  return movielens_plan(p, "ratings.csv", files_latest, sizeof files_latest / sizeof *files_latest, plan, err);
}

const importer_kind importer_movielens_latest = {
    .name = "movielens-latest",
    .summary = "MovieLens latest, 20M, 25M, 32M: movies.csv, ratings.csv, tags.csv and links.csv, or their folder",
    .plan = plan_latest,
};
