/* engine/sample.c: writes the made-up world of engine/sample_world.h into a folder (medley/sample.h).
 *
 * Everything goes into `<folder>.tmp-<pid>` beside the wanted name, which is renamed at the end: nobody ever sees half
 * a catalogue. Pictures, sounds and clips are rendered by all threads; each depends on its item alone, so that the
 * number of threads changes nothing.
 */
#include <medley/sample.h>

#include <errno.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/progress.h"
#include "engine/sample_canvas.h"
#include "engine/sample_world.h"
#include "media/image.h"
#include "media/sound.h"
#include "media/video.h"

#define NAME_MAX_BYTES 64 /* of a file inside the folder */

/* ---- tables ---- */

/* Words worth a tag: the theme always, the rest where the text tells it. */
static const sample_attribute tagged[] = {ATTRIBUTE_THEME, ATTRIBUTE_COLOUR, ATTRIBUTE_PATTERN, ATTRIBUTE_TIMBRE};

static json_t *tags_of(const sample_item *item) {
  json_t *tags = json_array();
  for (size_t k = 0; k < sizeof tagged / sizeof *tagged; k++)
    if (item->told[tagged[k]])
      json_array_append_new(tags, json_string(sample_attributes[tagged[k]].values[item->value[tagged[k]]].tag));
  return tags;
}

static void member_path(json_t *row, const char *key, const char *folder, uint32_t number, const char *extension) {
  char path[NAME_MAX_BYTES];
  snprintf(path, sizeof path, "%s/i%u.%s", folder, number, extension);
  json_object_set_new(row, key, json_string(path));
}

/* One line of items.jsonl; what is missing is absent. NULL when memory runs out. */
static char *item_to_json(const sample_item *item, uint32_t number) {
  strbuf title = {0}, text = {0};
  char id[16], when[32];
  json_t *row = json_object();
  snprintf(id, sizeof id, "i%u", number);
  clock_format_utc(item->time_s, when);
  json_object_set_new(row, "id", json_string(id));
  sample_text_write(item, &title, &text);
  if (item->words != WORDS_NONE) {
    json_object_set_new(row, "title", json_string(title.text));
    json_object_set_new(row, "text", json_string(text.text));
    json_object_set_new(row, "language", json_string(sample_text_language(item)));
    json_object_set_new(row, "tags", tags_of(item));
  }
  json_object_set_new(row, "category",
                      json_string(sample_attributes[ATTRIBUTE_KIND].values[item->value[ATTRIBUTE_KIND]].tag));
  json_object_set_new(row, "price", json_real(item->price));
  json_object_set_new(row, "time", json_string(when));
  if (item->has_image) member_path(row, "image", "images", number, "jpg");
  if (item->has_sound) member_path(row, "audio", "sounds", number, "wav");
  if (item->has_clip) member_path(row, "video", "clips", number, "mp4");
  char *line = title.failed || text.failed ? NULL : json_to_text(row);
  json_decref(row);
  strbuf_deinit(&title);
  strbuf_deinit(&text);
  return line;
}

static medley_status table_open(file_writer *w, const char *folder, const char *name, medley_error *err) {
  char *path = path_join(folder, name);
  medley_status status = path ? file_writer_open(w, path, err) : error_memory(err, "a file name");
  mem_free(path);
  return status;
}

static medley_status items_write(const sample_world *w, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer out = {0};
  TRY(table_open(&out, folder, "items.jsonl", err));
  for (uint32_t i = 0; i < w->options.items; i++) {
    char *line = item_to_json(&w->items[i], i + 1);
    if (line == NULL) {
      status = error_memory(err, "a sample item");
      goto done;
    }
    fprintf(out.stream, "%s\n", line);
    mem_free(line);
  }
  TRY(file_writer_commit(&out, err));
done:
  file_writer_abort(&out);
  return status;
}

static medley_status users_write(const sample_world *w, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer out = {0};
  TRY(table_open(&out, folder, "users.csv", err));
  fprintf(out.stream, "id,age_group,language\n");
  for (uint32_t u = 0; u < w->options.users; u++)
    fprintf(out.stream, "u%u,%s,%s\n", u + 1, sample_age_groups[w->users[u].age_group],
            w->users[u].language == LANGUAGE_EN ? "en" : "zh");
  TRY(file_writer_commit(&out, err));
done:
  return status;
}

static medley_status events_write(const sample_world *w, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer out = {0};
  char when[32];
  TRY(table_open(&out, folder, "events.csv", err));
  fprintf(out.stream, "user,item,type,value,time\n");
  for (size_t k = 0; k < w->event_count; k++) {
    const sample_event *e = &w->events[k];
    clock_format_utc(e->time_s, when);
    fprintf(out.stream, "u%u,i%u,%s,%g,%s\n", e->user + 1, e->item + 1, sample_event_names[e->type], e->value, when);
  }
  TRY(file_writer_commit(&out, err));
done:
  return status;
}

static medley_status links_write(const sample_world *w, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer out = {0};
  TRY(table_open(&out, folder, "links.csv", err));
  fprintf(out.stream, "user,to_user,type,weight\n");
  for (size_t k = 0; k < w->link_count; k++)
    fprintf(out.stream, "u%u,u%u,follows,%g\n", w->links[k].from + 1, w->links[k].to + 1, w->links[k].weight);
  TRY(file_writer_commit(&out, err));
done:
  return status;
}

/* ---- media ---- */

static medley_status image_write(const sample_item *item, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image picture = {0};
  TRY(sample_picture_draw(item, SAMPLE_PICTURE_SIDE, 0, &picture, err));
  TRY(image_save(&picture, path, err));
done:
  image_deinit(&picture);
  return status;
}

static medley_status sound_write(const sample_item *item, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound jingle = {0};
  TRY(sample_sound_play(item, 0, &jingle, err));
  TRY(sound_save_wav(&jingle, path, err));
done:
  sound_deinit(&jingle);
  return status;
}

static medley_status clip_write(const sample_item *item, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  video clip = {0};
  TRY_NEW(clip.frames, SAMPLE_CLIP_FRAMES, "a clip");
  for (; clip.frame_count < SAMPLE_CLIP_FRAMES; clip.frame_count++)
    TRY(sample_picture_draw(item, SAMPLE_CLIP_SIDE, (float)clip.frame_count / SAMPLE_CLIP_FRAMES,
                            &clip.frames[clip.frame_count], err));
  TRY(sample_sound_play(item, (float)SAMPLE_CLIP_FRAMES / SAMPLE_CLIP_FRAMES_PER_S, &clip.sound, err));
  TRY(video_save_mp4(clip.frames, clip.frame_count, SAMPLE_CLIP_FRAMES_PER_S, &clip.sound, path, err));
done:
  video_deinit(&clip);
  return status;
}

typedef medley_status (*media_writer)(const sample_item *item, const char *path, medley_error *err);

static medley_status media_write_one(media_writer write, const sample_item *item, const char *folder, const char *kind,
                                     uint32_t number, const char *extension, medley_error *err) {
  char name[NAME_MAX_BYTES];
  snprintf(name, sizeof name, "%s/i%u.%s", kind, number, extension);
  char *path = path_join(folder, name);
  medley_status status = path ? write(item, path, err) : error_memory(err, "a file name");
  mem_free(path);
  return status;
}

static medley_status item_render(const sample_item *item, uint32_t number, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (item->has_image) TRY(media_write_one(image_write, item, folder, "images", number, "jpg", err));
  if (item->has_sound) TRY(media_write_one(sound_write, item, folder, "sounds", number, "wav", err));
  if (item->has_clip) TRY(media_write_one(clip_write, item, folder, "clips", number, "mp4", err));
done:
  return status;
}

/* All threads render; the calling one also reports. The first failure stops the rest. */
static medley_status media_write(const sample_world *w, const char *folder, const medley_progress *progress,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  atomic_uint done = 0;
  atomic_bool failed = false;
  progress_begin(&stage, progress, "draw and play", w->options.items);
#pragma omp parallel for schedule(dynamic, 4)
  for (uint32_t i = 0; i < w->options.items; i++) {
    if (failed) continue;
    medley_error mine = {0};
    medley_status got = item_render(&w->items[i], i + 1, folder, &mine);
    unsigned so_far = ++done;
    if (got == MEDLEY_OK && omp_get_thread_num() == 0) got = progress_update(&stage, so_far, &mine);
    if (got == MEDLEY_OK) continue;
#pragma omp critical(sample_media)
    if (!failed) {
      failed = true;
      status = error_set(err, got, "%s", mine.text);
    }
  }
  progress_end(&stage, done);
  return status;
}

/* ---- queries and the README ---- */

/* Two things that are not in the catalogue, to search with, and words. */
static medley_status queries_write(const sample_world *w, const char *folder, medley_error *err) {
  static const char texts[] =
      "a striped blue lamp\nsomething that smells of pine and rain\nquick high bell tune\nred ship on the waves\n"
      "蓝色条纹台灯\n像大海一样的东西\n轻快的铃声\n";
  medley_status status = MEDLEY_OK;
  sample_item thing;
  rng r;
  char *picture = path_join(folder, "queries/blue-dotted-vase.jpg");
  char *jingle = path_join(folder, "queries/quick-high-bell.wav");
  char *words = path_join(folder, "queries/texts.txt");
  if (picture == NULL || jingle == NULL || words == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  rng_seed(&r, w->options.seed ^ 0x9e72);
  sample_item_draw(&r, &thing);
  thing.value[ATTRIBUTE_KIND] = KIND_VASE;
  thing.value[ATTRIBUTE_COLOUR] = COLOUR_BLUE;
  thing.value[ATTRIBUTE_PATTERN] = PATTERN_DOTS;
  thing.value[ATTRIBUTE_LIGHT] = LIGHT_DAY;
  thing.value[ATTRIBUTE_TIMBRE] = TIMBRE_BELL;
  thing.value[ATTRIBUTE_TEMPO] = TEMPO_QUICK;
  thing.value[ATTRIBUTE_REGISTER] = REGISTER_HIGH;
  TRY(image_write(&thing, picture, err));
  TRY(sound_write(&thing, jingle, err));
  TRY(file_write(words, texts, strlen(texts), err));
done:
  mem_free(picture);
  mem_free(jingle);
  mem_free(words);
  return status;
}

static medley_status readme_write(const sample_world *w, const medley_sample_report *report, const char *folder,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf b = {0};
  char *path = path_join(folder, "README.txt");
  strbuf_printf(&b,
                "A SYNTHETIC CATALOGUE\n\n"
                "Everything in this folder was made up by `medley sample` (seed %llu): the things, the pictures, the\n"
                "sounds, the words and the people. No real person, product or work is in it. Use it freely (CC0).\n\n",
                (unsigned long long)w->options.seed);
  strbuf_printf(
      &b,
      "items.jsonl   %u things: id, title, text, language, tags, category, price, time, image, audio, video.\n"
      "              English, Chinese or both; what a thing does not have is absent.\n"
      "images/       %u drawings, sounds/ %u jingles, clips/ %u moving pictures with sound\n"
      "users.csv     %u people: id, age group, language\n"
      "events.csv    %llu events in order of time: user, item, type, value, time\n"
      "links.csv     %llu follows: user, to_user, type, weight\n"
      "queries/      a picture, a sound and texts to search with; none of them is in the catalogue\n\n",
      report->items, report->images, report->sounds, report->clips, report->users, (unsigned long long)report->events,
      (unsigned long long)report->links);
  strbuf_append(
      &b,
      "The people have tastes over looks (kind, colour, pattern, form, light), sounds (timbre, tempo, register,\n"
      "rhythm) and words (theme). Words tell only some of a thing's looks and sounds, so the pictures and sounds\n"
      "are worth looking at; the newest things have no events at all.\n\n"
      "    medley init shop\n"
      "    medley import shop THIS\n"
      "    medley train shop\n"
      "    medley recommend shop --user u42 --why\n"
      "    medley search shop --image THIS/queries/blue-dotted-vase.jpg\n");
  if (path == NULL || b.failed)
    status = error_memory(err, "README.txt");
  else
    status = file_write(path, b.text, b.length, err);
  strbuf_deinit(&b);
  mem_free(path);
  return status;
}

/* ---- the folder ---- */

static medley_status folder_check(const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL;
  size_t count = 0;
  const char *name = path_name(folder);
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "the sample needs a folder of its own name, not '%s'", folder);
  if (!file_exists(folder)) goto done;
  if (!file_is_folder(folder))
    FAIL(err, MEDLEY_ERR_EXISTS, "'%s' is a file; choose a folder that does not exist or is empty", folder);
  TRY(folder_list(folder, &names, &count, err));
  if (count > 0)
    FAIL(err, MEDLEY_ERR_EXISTS, "folder '%s' is not empty (%zu entries, the first is '%s'); choose a new one", folder,
         count, names[0]);
done:
  folder_list_free(names, count);
  return status;
}

static medley_status folders_create(const char *folder, medley_error *err) {
  static const char *const inner[] = {"images", "sounds", "clips", "queries"};
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
    char *path = path_join(folder, inner[i]);
    status = path ? folder_create(path, err) : error_memory(err, "a folder name");
    mem_free(path);
    if (status != MEDLEY_OK) break;
  }
  return status;
}

static medley_sample_report world_count(const sample_world *w) {
  medley_sample_report r = {
      .items = w->options.items, .users = w->options.users, .events = w->event_count, .links = w->link_count};
  for (uint32_t i = 0; i < w->options.items; i++) {
    r.images += w->items[i].has_image;
    r.sounds += w->items[i].has_sound;
    r.clips += w->items[i].has_clip;
  }
  return r;
}

static medley_status world_write(const sample_world *w, const char *folder, const medley_sample_report *report,
                                 const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(folders_create(folder, err));
  TRY(items_write(w, folder, err));
  TRY(users_write(w, folder, err));
  TRY(events_write(w, folder, err));
  TRY(links_write(w, folder, err));
  TRY(media_write(w, folder, progress, err));
  TRY(queries_write(w, folder, err));
  TRY(readme_write(w, report, folder, err));
done:
  return status;
}

/* "<folder>.tmp-<pid>" from a folder whose trailing slashes are cut off in place. */
static char *temporary_name(char *folder) {
  size_t length = strlen(folder);
  while (length > 1 && folder[length - 1] == '/') folder[--length] = '\0';
  char *name = mem_alloc(length + 32, 1);
  if (name != NULL) snprintf(name, length + 32, "%s.tmp-%ld", folder, (long)getpid());
  return name;
}

medley_status medley_sample_create(const char *folder, const medley_sample_options *options,
                                   const medley_progress *progress, medley_sample_report *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sample_world w = {0};
  medley_sample_report counted = {0};
  double start_s = clock_now_s();
  char *wanted = mem_strdup(folder ? folder : ""), *temporary = wanted ? temporary_name(wanted) : NULL;
  bool written = false;
  if (temporary == NULL) {
    status = error_memory(err, "a folder name");
    goto done;
  }
  TRY(folder_check(wanted, err));
  TRY(sample_world_init(&w, options, err));
  counted = world_count(&w);
  TRY(folder_remove(temporary, err)); /* of an earlier process with our number that was killed */
  written = true;
  TRY(world_write(&w, temporary, &counted, progress, err));
  if (rename(temporary, wanted) != 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot rename '%s' to '%s'", temporary, wanted);
    goto done;
  }
  written = false;
  counted.seconds = clock_now_s() - start_s;
  if (report != NULL) *report = counted;
done:
  /* What could not be finished is removed; a failure of that would only hide the first one. */
  if (written) {
    medley_error ignored;
    medley_status removed = folder_remove(temporary, &ignored);
    (void)removed;
  }
  sample_world_deinit(&w);
  mem_free(temporary);
  mem_free(wanted);
  return status;
}
