/* Importers: each format's rows arrive as they should, each refusal says its sentence, and every bad row is told. */
#include "import_fixture.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

/* ---- formats ---- */

typedef struct format_row {
  const char *file; /* its name, from which a folder is made where it has a slash */
  const char *text;
  import_kind kind;
  const char *map;      /* NULL: none */
  const char *format;   /* that must be recognised */
  const char *expected; /* the store afterwards */
} format_row;

#define NL "\n"
static const format_row format_rows[] = {
    {"a.csv", "item_id,title,genres,year\n1,\"A, \"\"quoted\"\"\",x|y,1999\n2,\"two\r\nlines\",,\n", IMPORT_ITEMS, NULL,
     "csv", "item 1 title=A, \"quoted\" tag=x tag=y attributes={\"year\":\"1999\"}" NL "item 2 title=two\nlines" NL},
    {"bom.csv", "\xEF\xBB\xBFid;name;tags\n1;A;x, y\n", IMPORT_ITEMS, NULL, "csv", "item 1 title=A tag=x tag=y" NL},
    {"a.tsv", "movie_id\ttitle\tdescription\n1\t\"Toy\" Story\t\"Toy Story\" is \n", IMPORT_ITEMS, "text=description",
     "tsv", "item 1 title=\"Toy\" Story text=\"Toy Story\" is " NL},
    {"twice.csv", "id,a,a,\n1,x,y,z\n", IMPORT_ITEMS, NULL, "csv",
     "item 1 attributes={\"a\":\"x\",\"a_3\":\"y\",\"column_4\":\"z\"}" NL},
    {"joined.csv", "id,a,b\n1,one,two\n", IMPORT_ITEMS, "text=a,text=b", "csv", "item 1 text=one\ntwo" NL},
    {"users.csv", "user_id,age\nu1,25\nu2,\n", IMPORT_USERS, NULL, "csv",
     "user u1 attributes={\"age\":\"25\"}" NL "user u2" NL},
    {"pairs.tsv", "7\t3\n7\t4\n", IMPORT_EVENTS, NULL, "tsv",
     "item 3" NL "item 4" NL "user 7" NL "event 7 3 interaction 1" NL "event 7 4 interaction 1" NL},
    {"pairs.txt", "7 3\n7 4\n", IMPORT_EVENTS, NULL, "csv",
     "item 3" NL "item 4" NL "user 7" NL "event 7 3 interaction 1" NL "event 7 4 interaction 1" NL},
    {"events.csv",
     "user,item,event,timestamp,split,value\nu,i,like,1700000000000,train,2\nu,j,view,2023-11-14T22:13:21Z,val,\n",
     IMPORT_EVENTS, NULL, "csv",
     "item i" NL "item j" NL "user u" NL "event u i like 2 train time=1700000000" NL
     "event u j view 1 valid time=1700000001" NL},
    {"links.csv", "follower,followee,weight\na,b,0.5\n", IMPORT_LINKS, NULL, "csv",
     "user a" NL "user b" NL "link a related b 0.5" NL},
    {"vectors.csv", "id,vector\na,1 2.5\n", IMPORT_VECTORS, NULL, "csv", "item a" NL},
    {"a.jsonl",
     "{\"id\":1,\"name\":{\"en\":\"Bulbasaur\",\"zh\":\"妙蛙\"},\"tags\":[\"a, "
     "b\",\"c\"],\"stats\":{\"HP\":45},\"n\":null}\n"
     "\n{\"id\":2,\"name\":\"x\",\"hidden\":true,\"timestamp\":\"1995-01-01\"}\n",
     IMPORT_ITEMS, "title=name.zh,title=name", "jsonl",
     "item 1 title=妙蛙\nBulbasaur\n妙蛙 tag=a, b tag=c attributes={\"stats\":{\"HP\":45}}" NL
     "item 2 title=x time=788918400 hidden=1" NL},
    {"deep.jsonl", "{\"id\":\"a\",\"x\":[{\"y\":\"1\"},{\"y\":\"2\"}]}\n", IMPORT_ITEMS, "tags=x.y", "jsonl",
     "item a tag=1 tag=2 attributes={\"x\":[{\"y\":\"1\"},{\"y\":\"2\"}]}" NL},
    {"gorse.jsonl",
     "{\"ItemId\":\"i\",\"IsHidden\":true,\"Categories\":[\"c\",\"d\"],\"Timestamp\":\"2020-01-01T00:00:00Z\","
     "\"Labels\":[\"l\"],"
     "\"Comment\":\"Title\"}\n",
     IMPORT_AUTO, NULL, "gorse", "item i title=Title category=c tag=l time=1577836800 hidden=1" NL},
    {"feedback.jsonl",
     "{\"FeedbackType\":\"star\",\"UserId\":\"u\",\"ItemId\":\"i\",\"Timestamp\":\"2020-01-01 "
     "00:00:00\",\"Comment\":\"c\"}\n",
     IMPORT_AUTO, NULL, "gorse",
     "item i" NL "user u" NL "event u i star 1 time=1577836800 context={\"Comment\":\"c\"}" NL},
    {"ml.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t978300760\n", IMPORT_AUTO, NULL,
     "recbole", "item 2" NL "user 1" NL "event 1 2 interaction 3 time=978300760" NL},
    {"ml.item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\n2\tToy Story\tA B\n", IMPORT_AUTO, NULL,
     "recbole", "item 2 title=Toy Story tag=A tag=B" NL},
    {"ml.net", "source_id:token\ttarget_id:token\n1\t2\n", IMPORT_AUTO, NULL, "recbole",
     "user 1" NL "user 2" NL "link 1 follows 2 1" NL},
    {"baby.inter", "userID\titemID\trating\ttimestamp\tx_label\n0\t0\t5.0\t1369699200\t0\n0\t1\t4.0\t1369699201\t2\n",
     IMPORT_AUTO, NULL, "mmrec",
     "item 0" NL "item 1" NL "user 0" NL "event 0 0 interaction 5 train time=1369699200" NL
     "event 0 1 interaction 4 test time=1369699201" NL},
    {"u.item", "1|Caf\xe9 (1995)|01-Jan-1995||http://x|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n", IMPORT_AUTO, NULL,
     "movielens-100k",
     "item 1 title=Café (1995) tag=Animation tag=Children's tag=Comedy time=788918400 "
     "attributes={\"imdb_url\":\"http://x\"}" NL},
    {"u.data", "196\t242\t3\t881250949\n", IMPORT_AUTO, NULL, "movielens-100k",
     "item 242" NL "user 196" NL "event 196 242 rate 3 time=881250949" NL},
    {"movies.dat", "1::Mis\xe9rables, Les (1995)::Drama|Musical\n", IMPORT_AUTO, NULL, "movielens-1m",
     "item 1 title=Misérables, Les (1995) tag=Drama tag=Musical" NL},
    {"ratings.dat", "1::1193::5::978300760\n", IMPORT_AUTO, NULL, "movielens-1m",
     "item 1193" NL "user 1" NL "event 1 1193 rate 5 time=978300760" NL},
    {"movies.csv", "movieId,title,genres\n1,\"American President, The (1995)\",(no genres listed)\n", IMPORT_AUTO, NULL,
     "movielens-latest", "item 1 title=American President, The (1995)" NL},
    {"tags.csv", "userId,movieId,tag,timestamp\n2,60756,funny,1445714994\n", IMPORT_AUTO, NULL, "movielens-latest",
     "item 60756" NL "user 2" NL "event 2 60756 tag 1 time=1445714994 context={\"tag\":\"funny\"}" NL},
    {"ratings_only.csv", "A1YJEY40YUW4SE,0132793040,5.0,1398556800\nA60XNB876KYML,B00004TJ7O,3.0,1397865600\n",
     IMPORT_AUTO, NULL, "amazon-2014",
     "item 0132793040" NL "item B00004TJ7O" NL "user A1YJEY40YUW4SE" NL "user A60XNB876KYML" NL
     "event A1YJEY40YUW4SE 0132793040 rate 5 time=1398556800" NL
     "event A60XNB876KYML B00004TJ7O rate 3 time=1397865600" NL},
    {"Software.csv", "0077613252,A3BBNK2R5TUYGV,5.0,1288656000\nB00ABCDEFG,A1111111111111,1.0,1288656001\n",
     IMPORT_AUTO, NULL, "amazon-2018",
     "item 0077613252" NL "item B00ABCDEFG" NL "user A3BBNK2R5TUYGV" NL "user A1111111111111" NL
     "event A3BBNK2R5TUYGV 0077613252 rate 5 time=1288656000" NL
     "event A1111111111111 B00ABCDEFG rate 1 time=1288656001" NL},
    {"reviews.json",
     "{\"reviewerID\":\"A1\",\"asin\":\"B1\",\"helpful\":[0,0],\"reviewText\":\"good\",\"overall\":5.0,"
     "\"unixReviewTime\":1252800000,"
     "\"reviewTime\":\"09 13, 2009\"}\n",
     IMPORT_AUTO, NULL, "amazon-2014", "item B1" NL "user A1" NL "event A1 B1 rate 5 time=1252800000" NL},
    {"meta.json",
     "{'asin': 'B1', 'title': \"It's\", 'categories': [['Toys', 'Games']], 'price': 9.5, 'related': {'also': ['x']}}\n",
     IMPORT_AUTO, NULL, "amazon-2014", "item B1 title=It's tag=Toys tag=Games attributes={\"price\":9.5}" NL},
    {"meta_2018.json",
     "{\"category\":[\"A\",\"B\"],\"description\":[\"d\",\"e\"],\"title\":\"T\",\"main_cat\":\"M\",\"asin\":\"B2\","
     "\"also_buy\":[]}\n",
     IMPORT_AUTO, NULL, "amazon-2018", "item B2 title=T text=d\ne category=M tag=A tag=B" NL},
    {"r2023.jsonl",
     "{\"rating\":4.0,\"title\":\"t\",\"asin\":\"X\",\"parent_asin\":\"P\",\"user_id\":\"U\",\"timestamp\":"
     "1588687728923}\n",
     IMPORT_AUTO, NULL, "amazon-2023", "item P" NL "user U" NL "event U P rate 4 time=1588687728" NL},
    {"Toys.test.csv", "user_id,parent_asin,rating,timestamp,history\nU,P,5.0,1588687728923,A B\n", IMPORT_AUTO, NULL,
     "amazon-2023", "item P" NL "user U" NL "event U P rate 5 test time=1588687728" NL},
};

static void assert_dump(store *s, const char *what, const char *expected) {
  char *dump = import_dump(s);
  if (strcmp(dump, expected) != 0) fail_msg("%s gave\n%sexpected\n%s", what, dump, expected);
  mem_free(dump);
}

static void run_format_row(const format_row *row, int packing) {
  medley_error error;
  import_fixture *f;
  import_report report;
  char path[512], name[64];
  import_setup((void **)&f);
  snprintf(name, sizeof name, "%s%s", row->file, packing == 1 ? ".gz" : packing == 2 ? ".zst" : "");
  if (packing == 1)
    import_file_gzip(f, name, row->text, path);
  else if (packing == 2)
    import_file_zstd(f, name, row->text, path);
  else
    import_file(f, name, row->text, strlen(row->text), path);
  import_options options = {.kind = row->kind, .path = path, .maps = &row->map, .map_count = row->map != NULL};
  medley_status status = import_run(&store_sqlite, f->s, &options, NULL, &report, &error);
  if (status != MEDLEY_OK) fail_msg("%s: %s", name, error.text);
  assert_string_equal(report.format, row->format);
  assert_int_equal(report.read, report.accepted);
  assert_dump(f->s, name, row->expected);
  import_teardown((void **)&f);
}

static void test_formats(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof format_rows / sizeof *format_rows; i++) run_format_row(&format_rows[i], (int)(i % 3));
}

static void test_format_names(void **state) {
  (void)state;
  const char *summary;
  size_t count = 0;
  for (; import_format_name(count, &summary) != NULL; count++) assert_true(strlen(summary) > 10);
  assert_int_equal(count, 15);
  for (import_kind k = IMPORT_AUTO; k < IMPORT_KIND_COUNT; k++)
    assert_int_equal(import_kind_from_name(import_kind_name(k)), k);
  assert_int_equal(import_kind_from_name("things"), IMPORT_KIND_COUNT);
}

/* ---- folders ---- */

static void test_folder_of_media(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512], folder[300];
  import_file(f, "pack/images/a.jpg", "\xFF\xD8\xFF", 3, path);
  import_file(f, "pack/images/b.png", "\x89PNG\r\n\x1A\n", 8, path);
  import_file(f, "pack/sounds/a.wav", "RIFF\0\0\0\0WAVE", 12, path);
  import_file(f, "pack/notes.md", "x", 1, path);
  const char captions[] = "image,caption\na.jpg,first\na.jpg,second\n";
  import_file(f, "pack/captions.csv", captions, strlen(captions), path);
  snprintf(folder, sizeof folder, "%s/pack", f->folder);
  import_options options = {.path = folder};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_string_equal(report.format, "folder");
  assert_int_equal(report.files, 2);
  assert_dump(f->s, "folder",
              "item a text=first\nsecond category=images image=a.jpg audio=a.wav" NL
              "item b category=images image=b.png" NL);
}

/* What medley sample writes is not taken for pictures with captions; items beside pictures alone are. */
static void test_folder_of_catalogue(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512], folder[300];
  const char items[] = "{\"id\":\"i1\",\"title\":\"A\",\"image\":\"images/a.jpg\"}\n";
  import_file(f, "all/images/a.jpg", "\xFF\xD8\xFF", 3, path);
  import_file(f, "all/items.jsonl", items, strlen(items), path);
  import_file_gzip(f, "all/events.tsv.gz", "user\titem\nu1\ti1\n", path);
  import_file(f, "all/users.csv", "id,age\nu1,7\n", 12, path);
  import_file(f, "all/links.csv", "user,to_user\nu1,u2\n", 19, path);
  snprintf(folder, sizeof folder, "%s/all", f->folder);
  import_options options = {.path = folder};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_string_equal(report.format, "catalogue");
  assert_int_equal(report.files, 4);
  assert_dump(f->s, "folder",
              "item i1 title=A image=a.jpg" NL "user u1 attributes={\"age\":\"7\"}" NL "user u2" NL
              "event u1 i1 interaction 1" NL "link u1 related u2 1" NL);
  import_file(f, "pictures/a.jpg", "\xFF\xD8\xFF", 3, path);
  import_file(f, "pictures/items.csv", "image,text\na.jpg,words\n", 23, path);
  snprintf(folder, sizeof folder, "%s/pictures", f->folder);
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_string_equal(report.format, "folder");
}

/* Columns of events do not make events of rows that tell more, or when the user says so. */
static void test_items_with_users(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512];
  import_file(f, "a.csv", "item,user,title\n1,seller,lamp\n", 30, path);
  import_options options = {.kind = IMPORT_ITEMS, .path = path};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  import_file(f, "b.csv", "item,user\n2,seller\n", 19, path);
  options.maps = (const char *const[]){"skip=user"};
  options.map_count = 1;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_dump(f->s, "items", "item 1 title=lamp attributes={\"user\":\"seller\"}" NL "item 2" NL);
}

static void test_folder_of_movielens(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512], folder[300];
  import_file(f, "ml/ratings.csv", "userId,movieId,rating,timestamp\n1,2,3.5,964982703\n", 50, path);
  import_file(f, "ml/movies.csv", "movieId,title,genres\n2,B,X\n", 27, path);
  import_file(f, "ml/links.csv", "movieId,imdbId,tmdbId\n2,0114709,862\n", 36, path);
  snprintf(folder, sizeof folder, "%s/ml", f->folder);
  import_options options = {.path = folder};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_string_equal(report.format, "movielens-latest");
  assert_dump(f->s, "folder",
              "item 2 title=B tag=X attributes={\"imdbId\":\"0114709\",\"tmdbId\":\"862\"}" NL "user 1" NL
              "event 1 2 rate 3.5 time=964982703" NL);
  /* One kind of a data set; and one that it has not. */
  options.kind = IMPORT_USERS;
  assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), MEDLEY_ERR_INPUT, "has no users");
}

/* ---- media ---- */

static void test_media(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512];
  static const char *const files[] = {"pictures/1.jpg", "shots/1_b.png", "shots/1_a.png",
                                      "shots/10_a.png", "shots/1.png",   "sounds/x.ogg"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) import_file(f, files[i], "x", 1, path);
  const char text[] = "id,audio\n1,sounds/x.ogg\n2,sounds/none.ogg\n../pictures/1,\n3,http://x/y.ogg\n";
  import_file(f, "items.csv", text, strlen(text), path);
  const char *patterns[] = {"pictures/{item}.jpg", "shots/{item}_*.png"};
  import_options options = {.kind = IMPORT_ITEMS, .path = path};
  options.patterns[MODALITY_IMAGE] = patterns;
  options.pattern_count[MODALITY_IMAGE] = 2;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_dump(f->s, "media",
              "item 1 image=1.jpg image=1_a.png image=1_b.png audio=x.ogg" NL "item 2" NL "item ../pictures/1" NL
              "item 3" NL);
  assert_int_equal(report.media_found[MODALITY_IMAGE], 3);
  assert_int_equal(report.media_missing[MODALITY_IMAGE], 3);
  assert_int_equal(report.media_found[MODALITY_AUDIO], 1);
  assert_int_equal(report.media_missing[MODALITY_AUDIO], 2);
  assert_int_equal(report.rejected, 0);
  /* Copied into the workspace, named by their content. */
  options.copy_to = f->folder;
  options.again = true;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  char **names, media[300];
  size_t count;
  snprintf(media, sizeof media, "%s/media", f->folder);
  assert_ok(folder_list(media, &names, &count, &error));
  assert_int_equal(count, 3); /* one content with three endings */
  folder_list_free(names, count);
}

/* ---- rows that repeat, append, create ---- */

static void test_append_and_repeat(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512];
  const char text[] = "id,text\na,one\na,two\nb,x\n";
  import_file(f, "t.csv", text, strlen(text), path);
  import_options options = {.kind = IMPORT_ITEMS, .path = path};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_dump(f->s, "replaced", "item a text=two" NL "item b text=x" NL);
  assert_int_equal(report.items_created, 2);
  assert_int_equal(report.items_updated, 1);
  options.append_text = true;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_dump(f->s, "appended", "item a text=two\none" NL "item b text=x" NL);
}

static void test_no_header(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512];
  const char *map = "user=2,item=1";
  import_file(f, "e.csv", "i,u\nj,u\n", 8, path);
  import_options options = {.kind = IMPORT_EVENTS, .path = path, .no_header = true, .maps = &map, .map_count = 1};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_dump(f->s, "no header",
              "item i" NL "item j" NL "user u" NL "event u i interaction 1" NL "event u j interaction 1" NL);
}

static void test_strict(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512];
  import_file(f, "i.csv", "id\ni\n", 5, path);
  import_options options = {.kind = IMPORT_ITEMS, .path = path};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  import_file(f, "e.csv", "user,item\nu,i\nu,j\n", 18, path);
  options.kind = IMPORT_EVENTS;
  options.strict = true;
  assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), MEDLEY_ERR_REJECTED,
                 "2 of 2 rows were rejected (2 unknown key); the first: e.csv line 2: there is no user 'u'");
  assert_dump(f->s, "strict", "item i" NL);
  options.strict = false;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_int_equal(report.users_created, 1);
  assert_int_equal(report.items_created, 1);
}

static void test_dry_run(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512];
  const char text[] = "user,item,time\nu,i,1\nu,j,x\nv,k,2\n";
  import_file(f, "e.csv", text, strlen(text), path);
  import_options options = {.kind = IMPORT_EVENTS, .path = path, .dry_run = true, .batch_rows = 1};
  assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), MEDLEY_ERR_REJECTED, "1 bad time");
  assert_int_equal(report.accepted, 2);
  assert_int_equal(report.users_created, 2);
  assert_dump(f->s, "dry run", "");
  options.dry_run = false;
  options.allow_rejects = 1;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_int_equal(report.events, 2);
}

/* ---- vectors ---- */

static size_t npy_bytes(char *out, const char *descr, const char *rest, const void *values, size_t length) {
  int header = snprintf(out + 10, 200, "{'descr': '%s', %s, }\n", descr, rest);
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (char)(header & 0xff);
  out[9] = (char)(header >> 8);
  memcpy(out + 10 + header, values, length);
  return 10 + (size_t)header + length;
}

static void test_npy(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512], keys[512], bytes[512];
  static const uint16_t halves[] = {0x3C00, 0xC000, 0x0001, 0x3555};
  static const double doubles[] = {1.5, -2, 3, 4};
  size_t length = npy_bytes(bytes, "<f2", "'fortran_order': False, 'shape': (2, 2)", halves, sizeof halves);
  import_options options = {.path = import_file(f, "image_feat.npy", bytes, length, path)};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_dump(f->s, "npy", "item 0" NL "item 1" NL "vector 0 1 -2" NL "vector 1 5.96046e-08 0.333252" NL);
  assert_int_equal(report.vectors, 2);
  length = npy_bytes(bytes, "<f8", "'fortran_order': False, 'shape': (2, 2)", doubles, sizeof doubles);
  options.path = import_file(f, "v.npy", bytes, length, path);
  options.keys = import_file(f, "keys.txt", "1\nz\n", 4, keys);
  options.space = "mine";
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_dump(f->s, "npy with keys",
              "item 0" NL "item 1" NL "item z" NL "vector 0 1 -2" NL "vector 1 5.96046e-08 0.333252" NL
              "vector 1 1.5 -2" NL "vector z 3 4" NL);
  static const struct {
    const char *descr, *rest, *words;
  } refused[] = {
      {"<f4", "'fortran_order': True, 'shape': (2, 2)", "is in Fortran order: save it with numpy.ascontiguousarray"},
      {"|O", "'fortran_order': False, 'shape': (2, 2)", "holds pickled Python objects, which Medley never opens"},
      {">f4", "'fortran_order': False, 'shape': (2, 2)", "has numbers of type '>f4'"},
      {"<i8", "'fortran_order': False, 'shape': (2, 2)", "expected '<f2', '<f4' or '<f8'"},
      {"<f4", "'fortran_order': False, 'shape': (4,)", "has 1 dimensions, expected 2"},
      {"<f4", "'fortran_order': False, 'shape': (2, 2, 1)", "has 3 dimensions, expected 2"},
      {"<f4", "'fortran_order': False, 'shape': (2, 99999999999999999999)", "has a shape that is none"},
      {"<f4", "'fortran_order': False, 'shape': (2, 70000)", "has 70000 columns, expected 1 to 65536"},
      {"<f4", "'shape': (2, 2)", "has no descr, fortran_order or shape"},
      {"<f8", "'fortran_order': False, 'shape': (2, 2)", "has 1 keys"},
      {"<f8", "'fortran_order': False, 'shape': (3, 2)", "ends in row 3 of 3"},
  };
  options.keys = NULL;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    length = npy_bytes(bytes, refused[i].descr, refused[i].rest, doubles, sizeof doubles);
    options.path = import_file(f, "bad.npy", bytes, length, path);
    options.keys = strstr(refused[i].words, "keys") ? import_file(f, "keys1.txt", "1\n", 2, keys) : NULL;
    options.again = true;
    medley_status expected = strstr(refused[i].words, "70000") ? MEDLEY_ERR_LIMIT : MEDLEY_ERR_INPUT;
    assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), expected, refused[i].words);
  }
}

/* ---- rows that are rejected ---- */

static const struct {
  const char *name, *text;
  import_kind kind;
  int64_t line;
  import_reason reason;
  const char *message;
} bad_rows[] = {
    {"a.csv", "id,title\n1\n", IMPORT_ITEMS, 2, IMPORT_BAD_ROW, "has 1 columns where the header has 2"},
    {"b.csv", "id,title\n1,a,b\n", IMPORT_ITEMS, 2, IMPORT_BAD_ROW, "has 3 columns where the header has 2"},
    {"c.csv", "id,title\n\n1,\"a\nb\n", IMPORT_ITEMS, 3, IMPORT_BAD_ROW, "opens a quote that is not closed"},
    {"d.csv", "id,title\n1,\"a\"b\n", IMPORT_ITEMS, 2, IMPORT_BAD_ROW, "has text behind a closing quote"},
    {"e.csv", "id,title\n,a\n", IMPORT_ITEMS, 2, IMPORT_MISSING_FIELD, "the row has no item"},
    {"f.csv", "id,title\n1,a\xFF\n", IMPORT_ITEMS, 2, IMPORT_BAD_ENCODING, "column 'title' is not UTF-8"},
    {"g.csv", "id,timestamp\n1,yesterday\n", IMPORT_ITEMS, 2, IMPORT_BAD_TIME, "time 'yesterday' is neither"},
    {"h.csv", "id,hidden\n1,maybe\n", IMPORT_ITEMS, 2, IMPORT_BAD_VALUE, "hidden 'maybe' is neither true nor false"},
    {"i.csv", "user,item,rating\nu,i,five\n", IMPORT_EVENTS, 2, IMPORT_BAD_VALUE, "value 'five' is no number"},
    {"j.csv", "user,item,split\nu,i,some\n", IMPORT_EVENTS, 2, IMPORT_BAD_VALUE, "split 'some' is neither"},
    {"k.jsonl", "{\"id\":1}\n{\"id\":\n", IMPORT_ITEMS, 2, IMPORT_BAD_ROW, "the line: not valid JSON"},
    {"l.jsonl", "{\"id\":1}\n[1]\n", IMPORT_ITEMS, 2, IMPORT_BAD_ROW, "JSON, but not an object"},
    {"m.jsonl", "{\"id\":1}\n{\"title\":\"x\"}\n", IMPORT_ITEMS, 2, IMPORT_MISSING_FIELD, "the row has no item"},
    {"n.jsonl", "{\"id\":1}\n{\"id\":\"a\\tb\"}\n", IMPORT_ITEMS, 2, IMPORT_BAD_KEY, "control character at byte 2"},
    {"o.jsonl", "{\"id\":1,\"vector\":[1]}\n{\"id\":2,\"vector\":[1,\"x\"]}\n", IMPORT_VECTORS, 2, IMPORT_BAD_VALUE,
     "element 2 of the vector"},
    {"p.jsonl", "{\"id\":1,\"vector\":[1]}\n{\"id\":2}\n", IMPORT_VECTORS, 2, IMPORT_MISSING_FIELD,
     "the row has no vector"},
    {"q.jsonl", "{\"id\":1,\"vector\":[1]}\n{\"id\":2,\"vector\":[1e39]}\n", IMPORT_VECTORS, 2, IMPORT_BAD_VALUE,
     "number 1 of the vector is not finite"},
    {"s.csv", "user,item,time\nu,i,-1\n", IMPORT_EVENTS, 2, IMPORT_BAD_TIME, "time -1 is before 1970"},
    {"t.csv", "user,item,time\nu,i,2999-12-31\n", IMPORT_EVENTS, 2, IMPORT_BAD_TIME,
     "(2999-12-31T00:00:00Z) lies more than a day ahead of this machine's clock"},
    {"u.csv", "user,item,time\nu,i,99999999999\n", IMPORT_EVENTS, 2, IMPORT_BAD_TIME, "(5138-11-16T09:46:39Z)"},
    {"r.csv", "user,to_user\na,\n", IMPORT_LINKS, 2, IMPORT_MISSING_FIELD, "the row has no to_item"},
};

static void test_rejects(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
    import_fixture *f;
    medley_error error;
    import_report report;
    char path[512], errors[512];
    json_t *told;
    import_setup((void **)&f);
    import_file(f, bad_rows[i].name, bad_rows[i].text, strlen(bad_rows[i].text), path);
    import_file(f, "rejects.jsonl", "what was here before\n", 21, errors);
    import_options options = {.kind = bad_rows[i].kind, .path = path, .errors = errors};
    assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), MEDLEY_ERR_REJECTED,
                   bad_rows[i].message);
    assert_int_equal(report.rejected, 1);
    assert_int_equal(report.reasons[bad_rows[i].reason], 1);
    assert_int_equal(report.read, report.accepted + 1);
    assert_ok(json_parse_file(errors, 100000, &told, &error));
    assert_int_equal(json_member_integer(told, "line", 0), bad_rows[i].line);
    assert_string_equal(json_member_string(told, "file", ""), bad_rows[i].name);
    assert_string_equal(json_member_string(told, "reason", ""), import_reason_name(bad_rows[i].reason));
    assert_non_null(strstr(json_member_string(told, "message", ""), bad_rows[i].message));
    assert_non_null(json_object_get(told, "row"));
    json_decref(told);
    import_teardown((void **)&f);
  }
}

/* ---- imports that are refused as a whole ---- */

static const struct {
  const char *name, *text;
  import_options options;
  const char *map;
  medley_status status;
  const char *words;
} refusals[] = {
    {"a.csv",
     "id\n1\n",
     {.kind = IMPORT_ITEMS, .format = "xml"},
     NULL,
     MEDLEY_ERR_USAGE,
     "no format 'xml'; the formats are movielens-100k,"},
    {"a.csv", "id\n1\n", {.kind = IMPORT_AUTO}, NULL, MEDLEY_ERR_USAGE, "does not say what the rows"},
    {"a.csv", "id\n1\n", {.kind = IMPORT_ITEMS}, "item", MEDLEY_ERR_USAGE, "map 'item': expected field=column"},
    {"a.csv", "id\n1\n", {.kind = IMPORT_ITEMS}, "colour=id", MEDLEY_ERR_USAGE, "there is no field 'colour'"},
    {"a.csv", "id\n1\n", {.kind = IMPORT_USERS}, "title=id", MEDLEY_ERR_USAGE, "users have no field 'title'"},
    {"a.csv",
     "id,b\n1,2\n",
     {.kind = IMPORT_ITEMS},
     "title=c",
     MEDLEY_ERR_INPUT,
     "there is no column 'c'; the columns are id, b"},
    {"a.csv",
     "id,b\n1,2\n",
     {.kind = IMPORT_ITEMS},
     "title=b,text=b",
     MEDLEY_ERR_USAGE,
     "column 'b' is mapped to both title and text"},
    {"a.csv",
     "x,y\n1,2\n",
     {.kind = IMPORT_ITEMS},
     NULL,
     MEDLEY_ERR_INPUT,
     "none of the columns is known as the item: say --map item=COLUMN; the columns are x, y"},
    {"a.csv",
     "1,2,3\n1,2,3\n",
     {.kind = IMPORT_EVENTS},
     NULL,
     MEDLEY_ERR_INPUT,
     "none of the columns is known as the user"},
    {"a.csv",
     "id,\xFF\n1,x\n",
     {.kind = IMPORT_ITEMS},
     NULL,
     MEDLEY_ERR_INPUT,
     "the name of column 2 is longer than 256 bytes or not UTF-8"},
    {"a.csv",
     "id\n1\n",
     {.kind = IMPORT_ITEMS, .encoding = "big5"},
     NULL,
     MEDLEY_ERR_USAGE,
     "encoding 'big5': expected auto, utf-8 or latin-1"},
    {"a.csv", "id\n1\n", {.kind = IMPORT_AUTO, .format = "npy"}, NULL, MEDLEY_ERR_INPUT, "is no .npy file"},
    {"a.csv",
     "id\n1\n",
     {.kind = IMPORT_ITEMS, .format = "gorse"},
     NULL,
     MEDLEY_ERR_INPUT,
     "is not what the format gorse expects"},
    {"a.csv",
     "id\n1\n",
     {.kind = IMPORT_ITEMS, .media_root = "/nonexistent"},
     NULL,
     MEDLEY_ERR_NOT_FOUND,
     "no media folder '/nonexistent'"},
    {"a.csv",
     "id\n1\n",
     {.kind = IMPORT_ITEMS, .patterns = {NULL, (const char *const[]){"{it}.jpg"}}, .pattern_count = {0, 1}},
     NULL,
     MEDLEY_ERR_USAGE,
     "media pattern '{it}.jpg': after {"},
    {"a.csv",
     "id\n1\n",
     {.kind = IMPORT_ITEMS, .patterns = {NULL, (const char *const[]){"*/{item}.jpg"}}, .pattern_count = {0, 1}},
     NULL,
     MEDLEY_ERR_USAGE,
     "expected at most one *"},
    {"a.csv",
     "id\n1\n",
     {.kind = IMPORT_ITEMS, .patterns = {NULL, (const char *const[]){"one.jpg"}}, .pattern_count = {0, 1}},
     NULL,
     MEDLEY_ERR_USAGE,
     "is the same for all items"},
    {"a.json", "[{\"id\":1}]", {.kind = IMPORT_ITEMS}, NULL, MEDLEY_ERR_INPUT, "is one JSON array"},
    {"a.kg",
     "head_id:token\trelation_id:token\ttail_id:token\n",
     {.kind = IMPORT_AUTO},
     NULL,
     MEDLEY_ERR_UNSUPPORTED,
     "knowledge graph"},
    {"empty.csv", "", {.kind = IMPORT_ITEMS}, NULL, MEDLEY_ERR_INPUT, "is empty"},
    {"head.csv",
     "id,title\n",
     {.kind = IMPORT_ITEMS},
     NULL,
     MEDLEY_ERR_INPUT,
     "head.csv' has no rows below its header"},
    {"head.csv", "id,title\n\n\n", {.kind = IMPORT_ITEMS, .dry_run = true}, NULL, MEDLEY_ERR_INPUT, "has no rows"},
    {"empty/notes.txt", "x", {.path = "empty"}, NULL, MEDLEY_ERR_INPUT, "there are no pictures, sounds or clips in"},
    {"l.csv",
     "a,b\nx,y\n",
     {.kind = IMPORT_LINKS},
     NULL,
     MEDLEY_ERR_INPUT,
     "as where links start: say --map user=COLUMN or --map item=COLUMN; the columns are a, b"},
    {"l.csv",
     "user,b\nx,y\n",
     {.kind = IMPORT_LINKS},
     NULL,
     MEDLEY_ERR_INPUT,
     "as where links lead to: say --map to_user=COLUMN or --map to_item=COLUMN; the columns are user, b"},
    {"e.csv",
     "user,item,value\nu,i,1\n",
     {.kind = IMPORT_ITEMS},
     NULL,
     MEDLEY_ERR_INPUT,
     "look like events, with users in 'user': import them as events, or say --map skip=user when they are items; the"},
    {"e.jsonl",
     "{\"user_id\":1,\"item_id\":2,\"timestamp\":5}\n",
     {.kind = IMPORT_ITEMS},
     NULL,
     MEDLEY_ERR_INPUT,
     "look like events, with users in 'user_id': import them as events"},
    {"a.csv",
     "id\n1\n",
     {.kind = IMPORT_ITEMS, .errors = "/nonexistent/r.jsonl"},
     NULL,
     MEDLEY_ERR_IO,
     "cannot write the rejects file"},
};

static void test_refusals(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    import_fixture *f;
    medley_error error;
    import_report report;
    char path[512];
    import_setup((void **)&f);
    import_options options = refusals[i].options;
    import_file(f, refusals[i].name, refusals[i].text, strlen(refusals[i].text), path);
    if (options.path != NULL) *strrchr(path, '/') = '\0'; /* the folder */
    options.path = path;
    options.maps = &refusals[i].map;
    options.map_count = refusals[i].map != NULL;
    assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), refusals[i].status,
                   refusals[i].words);
    assert_dump(f->s, "a refused import", "");
    import_teardown((void **)&f);
  }
}

static void test_damaged_files(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512], *bytes;
  size_t length;
  strbuf text = {0};
  strbuf_append(&text, "id,title\n");
  for (int i = 0; i < 20000; i++) strbuf_printf(&text, "%d,title %d\n", i, i * 7919 % 10007);
  for (int packing = 0; packing < 2; packing++) {
    if (packing == 0)
      import_file_gzip(f, "a.csv.gz", text.text, path);
    else
      import_file_zstd(f, "a.csv.zst", text.text, path);
    assert_ok(file_read(path, 1 << 24, &bytes, &length, &error));
    import_options options = {.kind = IMPORT_ITEMS, .path = path};
    assert_ok(file_write(path, bytes, length - 20, &error));
    assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), MEDLEY_ERR_INPUT,
                   "it was cut off");
    memset(bytes + length / 2, 0x55, 40);
    assert_ok(file_write(path, bytes, length, &error));
    assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), MEDLEY_ERR_INPUT, "is damaged");
    mem_free(bytes);
  }
  assert_dump(f->s, "damaged files", "");
  strbuf_deinit(&text);
  snprintf(path, sizeof path, "%s/none.csv", f->folder);
  import_options options = {.kind = IMPORT_ITEMS, .path = path};
  assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), MEDLEY_ERR_NOT_FOUND,
                 "there is no '");
  /* A line without an end: what stood before it is kept. */
  bytes = mem_zalloc(IMPORT_LINE_MAX + 100, 1);
  memset(bytes, 'x', IMPORT_LINE_MAX + 99);
  memcpy(bytes, "id,t\n1,a\n2,", 11);
  import_file(f, "long.csv", bytes, IMPORT_LINE_MAX + 99, path);
  assert_refused(import_run(&store_sqlite, f->s, &options, NULL, &report, &error), MEDLEY_ERR_LIMIT,
                 "long.csv: line 3 is longer than 16777216 bytes");
  assert_int_equal(report.accepted, 1);
  mem_free(bytes);
}

/* ---- the n-th allocation fails ---- */

static void test_faults(void **state) {
#ifdef MEDLEY_FAULTS
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512], errors[512];
  const char text[] =
      "{\"id\":1,\"title\":\"x\",\"tags\":[\"a\"],\"image\":\"a.jsonl\",\"more\":1}\n{\"id\":\n{\"id\":2}\n";
  import_file(f, "a.jsonl", text, strlen(text), path);
  import_file(f, "r.jsonl", "", 0, errors);
  import_options options = {.kind = IMPORT_ITEMS, .path = path, .errors = errors, .allow_rejects = 1, .again = true};
  long n = 1;
  for (;; n++) {
    memory_fault_after(n);
    medley_status status = import_run(&store_sqlite, f->s, &options, NULL, &report, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (!struck) {
      assert_ok(status);
      break;
    }
    /* A cache of names may go without; everything else says so. */
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  assert_true(n > 30);
  strbuf findings = {0};
  assert_ok(store_sqlite.check(f->s, &findings, &error));
  assert_int_equal(findings.length, 0);
  strbuf_deinit(&findings);
#else
  (void)state;
  skip();
#endif
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, import_setup, import_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_formats),
      cmocka_unit_test(test_format_names),
      TEST(test_folder_of_media),
      TEST(test_folder_of_catalogue),
      TEST(test_items_with_users),
      TEST(test_folder_of_movielens),
      TEST(test_media),
      TEST(test_append_and_repeat),
      TEST(test_no_header),
      TEST(test_strict),
      TEST(test_dry_run),
      TEST(test_npy),
      cmocka_unit_test(test_rejects),
      cmocka_unit_test(test_refusals),
      TEST(test_damaged_files),
      TEST(test_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
