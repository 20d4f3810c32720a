/* cli/cmd_import.c: medley import: files of items, users, events, links and vectors into a workspace. */
#include <medley/content.h>
#include <string.h>

#include "base/file.h"
#include "cli/show.h"

static const char *const kinds[] = {"items", "users", "events", "links", "vectors", NULL};
static const char *const encodings[] = {"utf-8", "latin-1", NULL};
static const char *const splits[] = {"train", "valid", "test", NULL};

static medley_import_kind kind_of(const char *name) {
  static const medley_import_kind of[] = {MEDLEY_IMPORT_ITEMS, MEDLEY_IMPORT_USERS, MEDLEY_IMPORT_EVENTS,
                                          MEDLEY_IMPORT_LINKS, MEDLEY_IMPORT_VECTORS};
  for (size_t i = 0; name != NULL && kinds[i] != NULL; i++)
    if (strcmp(kinds[i], name) == 0) return of[i];
  return MEDLEY_IMPORT_AUTO;
}

static medley_import_options options_of(const arguments *a) {
  return (medley_import_options){
      .kind = kind_of(arguments_text(a, "kind")),
      .format = arguments_text(a, "format"),
      .map = arguments_list(a, "map"),
      .image = arguments_list(a, "image"),
      .audio = arguments_list(a, "audio"),
      .video = arguments_list(a, "video"),
      .media_root = arguments_text(a, "media"),
      .event_type = arguments_text(a, "type"),
      .split = arguments_text(a, "split"),
      .space = arguments_text(a, "space"),
      .keys = arguments_text(a, "keys"),
      .encoding = arguments_text(a, "encoding"),
      .errors = arguments_text(a, "errors"),
      .allow_rejects = (uint64_t)arguments_integer(a, "allow-rejects", 0),
      .dry_run = arguments_has(a, "dry-run"),
      .strict = arguments_has(a, "strict"),
      .copy_media = arguments_has(a, "copy-media"),
      .again = arguments_has(a, "again"),
      .append_text = arguments_has(a, "append-text"),
  };
}

/* `medley import shop items` is an import of a file called items, unless there is none: then the file was forgotten. */
static medley_status kind_alone_check(const arguments *a, medley_error *err) {
  const char *path = arguments_text(a, "file");
  if (arguments_text(a, "kind") != NULL || kind_of(path) == MEDLEY_IMPORT_AUTO || file_exists(path)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "FILE is missing: medley import %s %s FILE", arguments_text(a, "workspace"),
                   path);
}

static medley_status map_check(const arguments *a, medley_error *err) {
  for (const char *const *pair = arguments_list(a, "map"); pair != NULL && *pair != NULL; pair++) {
    const char *equals = strchr(*pair, '=');
    if (equals == NULL || equals == *pair || equals[1] == '\0')
      return error_set(err, MEDLEY_ERR_USAGE, "--map wants FIELD=COLUMN such as item=movie_id, not '%.100s'", *pair);
  }
  return MEDLEY_OK;
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char *report = NULL;
  medley_progress progress = console_progress(c);
  medley_import_options options = options_of(a);
  TRY(kind_alone_check(a, err));
  TRY(map_check(a, err));
  TRY(workspace_of(a, &w, err));
  status = medley_import(w, arguments_text(a, "file"), &options, &progress, &report, err);
  /* The report also comes when too many rows were rejected: it says why. */
  if (report != NULL) {
    medley_status shown = show_report(c, report, show_import, status == MEDLEY_OK ? err : NULL);
    if (status == MEDLEY_OK) status = shown;
  }
  if (status == MEDLEY_OK && options.dry_run) console_note(c, "a dry run: nothing was written");
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_import = {
    .name = "import",
    .group = "Content",
    .summary = "reads items, users, events, links or vectors from a file or folder",
    .about =
        "CSV, TSV, JSONL (plain, gzip, zstd), Gorse, RecBole, MMRec, MovieLens, Amazon reviews, .npy vectors and "
        "folders of media; "
        "the format is recognised. KIND says what the rows are and may be left out where the format says it.\n\n"
        "Columns with well-known names are found by themselves; --map names the others. Media come from columns named "
        "image, audio and "
        "video, or by pattern: {item} stands for the item's key. A missing media file is counted, not rejected.\n\n"
        "Every rejected row has a reason; --errors writes them with their line numbers. Accepted rows are kept batch "
        "by batch: after "
        "Ctrl-C or a crash the same command goes on where it stopped.\n\n"
        "A file that was imported completely is not taken a second time unless it has changed since, or with --again. "
        "Either way its events do not count twice: one that is there already, with the same user, item, type, value, "
        "time, split and context, is left out, and only what is new is added. What no longer stands in the file stays "
        "in the workspace. A file that was moved is a new file: say --again.\n\n"
        "Links have user, to_user, type and weight, or item and to_item. Links between users say who follows or trusts "
        "whom: the recommenders trust and community read them, and answer people by them who have chosen nothing yet. "
        "A "
        "weight below 0, or a type that says block, mute, ignore or distrust, takes a link out of that. A user who is "
        "forgotten leaves no link behind.\n\n"
        "Columns of users that are no field (age group, country, plan …) are kept as attributes: what many people "
        "share "
        "of them is read by the recommender demographic, which answers people by it who have chosen nothing yet, and, "
        "where they are named, by deepfm and its kin. --map skip=COLUMN leaves one out.\n\n"
        "A file or folder in which there are no rows is an error with status 1, so that a script notices that nothing "
        "came.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"},
                                         {"kind", VALUE_CHOICE, "items, users, events, links or vectors", kinds, true},
                                         {"file", VALUE_FILE, "a file, or a folder of a known layout"},
                                         {0}},
    .options =
        (const option_spec[]){
            {"map", 'm', VALUE_TEXT, "FIELD=COLUMN",
             "which column holds a field: item, user, type, value, time, split, title, text, "
             "tags, category, language, hidden, image, audio, video, to_user, to_item",
             .many = true, .commas = true},
            {"image", 0, VALUE_TEXT, "PATTERN", "pictures of an item, such as 'posters/{item}.jpg'", .many = true},
            {"audio", 0, VALUE_TEXT, "PATTERN", "sounds of an item", .many = true},
            {"video", 0, VALUE_TEXT, "PATTERN", "clips of an item", .many = true},
            {"media", 0, VALUE_FOLDER, "FOLDER", "where media paths begin (the folder of FILE)"},
            {"copy-media", 0, VALUE_FLAG, NULL, "copy media into the workspace instead of remembering where they lie"},
            {"type", 't', VALUE_TEXT, "TYPE",
             "type of events or links that name none (as the format says, else interaction, or related)"},
            {"split", 0, VALUE_CHOICE, "PART", "part that all rows belong to", .choices = splits},
            {"format", 'f', VALUE_TEXT, "NAME",
             "format of the file, when recognising it fails; 'medley list importer' names them"},
            {"encoding", 0, VALUE_CHOICE, "NAME", "of text files (utf-8, where the format is not known for another)",
             .choices = encodings},
            {"space", 0, VALUE_TEXT, "NAME", "name of the space of imported vectors (from the file's name)"},
            {"keys", 0, VALUE_FILE, "FILE", "one item key a line, for vectors by row"},
            {"errors", 'e', VALUE_FILE, "FILE", "write rejected rows there, as JSONL with line and reason"},
            {"allow-rejects", 0, VALUE_INTEGER, "N", "how many rejected rows are fine (0)", 0, 9007199254740992.0},
            {"strict", 0, VALUE_FLAG, NULL, "reject events of unknown users or items instead of creating these"},
            {"append-text", 0, VALUE_FLAG, NULL, "rows that repeat an item add their text instead of replacing it"},
            {"again", 0, VALUE_FLAG, NULL,
             "import a file again that was imported completely: items are updated, events that are there already stay"},
            {"dry-run", 'n', VALUE_FLAG, NULL, "read and check everything, write nothing"},
            {0}},
    .examples =
        (const command_example[]){
            {"medley import shop items catalogue.jsonl --media photos/",
             "Items with media paths inside, relative to photos/"},
            {"medley import films items movies.tsv --map item=movie_id,title=title,text=description,tags=genres "
             "--image 'posters/{item}.jpg'",
             "Columns with names of their own, one picture an item by pattern"},
            {"medley import films events interactions.tsv.gz --map user=user_id,item=movie_id,split=split --type watch",
             "Events that carry their own split"},
            {"medley import shop ml-100k/", "A known layout needs no KIND"},
            {"medley import shop catalogue/", "Items, users, events and links of a folder that medley sample wrote"},
            {"medley import shop links follows.csv --map user=follower,to_user=followee --type follows",
             "Who follows whom"},
            {"medley import shop events clicks.csv --dry-run --errors rejects.jsonl", "Look first"},
            {0}},
    .ends = ENDS_REJECTED | ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
