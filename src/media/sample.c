/* media/sample.c: owns the names of the modalities, the freeing of decoded samples, and the guess which modality a file
 * is.
 *
 * The guess reads the first bytes and believes them before the extension: catalogues are full of pictures named .jpg
 * that are WebP, and of downloads without any extension. The extension settles what bytes cannot (an Ogg or MP4 may
 * hold sound alone) and what has no signature (raw MPEG audio without a tag). Nothing here trusts the file: at most 4
 * KiB and the block headers of a GIF are looked at.
 */
#include "media/sample.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/memory.h"

#define SNIFF_BYTES ((size_t)4096)
/* A GIF is called animated at its second picture; this many blocks before it would be an absurd file. */
#define GIF_BLOCKS_MAX 100000

static const char *const modality_names[MODALITY_COUNT] = {
    [MODALITY_TEXT] = "text", [MODALITY_IMAGE] = "image", [MODALITY_AUDIO] = "audio", [MODALITY_VIDEO] = "video"};

const char *modality_name(modality m) { return (unsigned)m < MODALITY_COUNT ? modality_names[m] : "unknown"; }

modality modality_from_name(const char *name) {
  unsigned m = 0;
  while (m < MODALITY_COUNT && strcmp(name, modality_names[m]) != 0) m++;
  return (modality)m;
}

/* ---- what the extension says ---- */

static const struct {
  const char *extension;
  modality kind;
} extensions[] = {
    {"jpg", MODALITY_IMAGE},  {"jpeg", MODALITY_IMAGE}, {"jpe", MODALITY_IMAGE},  {"jfif", MODALITY_IMAGE},
    {"png", MODALITY_IMAGE},  {"apng", MODALITY_IMAGE}, {"gif", MODALITY_IMAGE},  {"webp", MODALITY_IMAGE},
    {"tif", MODALITY_IMAGE},  {"tiff", MODALITY_IMAGE}, {"bmp", MODALITY_IMAGE},  {"avif", MODALITY_IMAGE},
    {"heic", MODALITY_IMAGE}, {"heif", MODALITY_IMAGE}, {"jxl", MODALITY_IMAGE},  {"jp2", MODALITY_IMAGE},
    {"ppm", MODALITY_IMAGE},  {"pgm", MODALITY_IMAGE},  {"pbm", MODALITY_IMAGE},  {"qoi", MODALITY_IMAGE},
    {"wav", MODALITY_AUDIO},  {"mp3", MODALITY_AUDIO},  {"mp2", MODALITY_AUDIO},  {"mp1", MODALITY_AUDIO},
    {"flac", MODALITY_AUDIO}, {"ogg", MODALITY_AUDIO},  {"oga", MODALITY_AUDIO},  {"opus", MODALITY_AUDIO},
    {"spx", MODALITY_AUDIO},  {"m4a", MODALITY_AUDIO},  {"m4b", MODALITY_AUDIO},  {"aac", MODALITY_AUDIO},
    {"wma", MODALITY_AUDIO},  {"aif", MODALITY_AUDIO},  {"aiff", MODALITY_AUDIO}, {"aifc", MODALITY_AUDIO},
    {"ac3", MODALITY_AUDIO},  {"amr", MODALITY_AUDIO},  {"mpc", MODALITY_AUDIO},  {"ape", MODALITY_AUDIO},
    {"wv", MODALITY_AUDIO},   {"au", MODALITY_AUDIO},   {"mka", MODALITY_AUDIO},  {"weba", MODALITY_AUDIO},
    {"mp4", MODALITY_VIDEO},  {"m4v", MODALITY_VIDEO},  {"mov", MODALITY_VIDEO},  {"mkv", MODALITY_VIDEO},
    {"webm", MODALITY_VIDEO}, {"avi", MODALITY_VIDEO},  {"mpg", MODALITY_VIDEO},  {"mpeg", MODALITY_VIDEO},
    {"wmv", MODALITY_VIDEO},  {"asf", MODALITY_VIDEO},  {"flv", MODALITY_VIDEO},  {"ogv", MODALITY_VIDEO},
    {"3gp", MODALITY_VIDEO},  {"ts", MODALITY_VIDEO},   {"m2ts", MODALITY_VIDEO},
};

static modality modality_of_extension(const char *path) {
  const char *extension = path_extension(path);
  for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
    if (strcasecmp(extension, extensions[i].extension) == 0) return extensions[i].kind;
  return MODALITY_COUNT;
}

/* ---- what the bytes say ---- */

static const struct {
  size_t offset, length;
  const char *magic;
  modality kind;
} magics[] = {
    {0, 3, "\xFF\xD8\xFF", MODALITY_IMAGE},
    {0, 8, "\x89PNG\r\n\x1A\n", MODALITY_IMAGE},
    {0, 4, "II*\0", MODALITY_IMAGE},
    {0, 4, "MM\0*", MODALITY_IMAGE},
    {0, 4, "II+\0", MODALITY_IMAGE}, /* BigTIFF */
    {0, 4, "MM\0+", MODALITY_IMAGE},
    {0, 4, "qoif", MODALITY_IMAGE},
    {0, 2, "\xFF\x0A", MODALITY_IMAGE}, /* JPEG XL codestream */
    {0, 12, "\0\0\0\x0CJXL \r\n\x87\n", MODALITY_IMAGE},
    {0, 12, "\0\0\0\x0CjP  \r\n\x87\n", MODALITY_IMAGE}, /* JPEG 2000 */
    {0, 4, "fLaC", MODALITY_AUDIO},
    {0, 3, "ID3", MODALITY_AUDIO},
    {0, 5, "#!AMR", MODALITY_AUDIO},
    {0, 4, "MPCK", MODALITY_AUDIO},
    {0, 4, "MAC ", MODALITY_AUDIO},
    {0, 4, "wvpk", MODALITY_AUDIO},
    {0, 4, ".snd", MODALITY_AUDIO},
    {0, 4, "FLV\x01", MODALITY_VIDEO},
    {0, 4, "\0\0\x01\xBA", MODALITY_VIDEO}, /* MPEG programme stream */
    {8, 4, "WAVE", MODALITY_AUDIO},         /* RIFF or RF64 */
    {8, 4, "AVI ", MODALITY_VIDEO},
    {8, 4, "AIFF", MODALITY_AUDIO},
    {8, 4, "AIFC", MODALITY_AUDIO},
};

static bool bytes_at(const unsigned char *bytes, size_t length, size_t offset, const char *magic, size_t magic_length) {
  return offset + magic_length <= length && memcmp(bytes + offset, magic, magic_length) == 0;
}

/* ISO base media: the brand after "ftyp" tells stills and sound from films. An extension of sound wins over a film's
 * brand, since .m4a files often carry "isom" or "mp42". */
static modality modality_of_iso_media(const unsigned char *bytes, modality by_extension) {
  static const char still[][5] = {"avif", "heic", "heix", "heim", "mif1", "avis", "msf1"};
  for (size_t i = 0; i < sizeof still / sizeof *still; i++)
    if (memcmp(bytes + 8, still[i], 4) == 0) return MODALITY_IMAGE;
  if (memcmp(bytes + 8, "M4A ", 4) == 0 || memcmp(bytes + 8, "M4B ", 4) == 0) return MODALITY_AUDIO;
  return by_extension == MODALITY_AUDIO ? MODALITY_AUDIO : MODALITY_VIDEO;
}

/* Ogg names its streams in the pages at the start. */
static modality modality_of_ogg(const unsigned char *bytes, size_t length) {
  static const char theora[] = "\x80theora", skeleton_video[] = "video/";
  size_t head = length < 4096 ? length : 4096;
  if (memmem(bytes, head, theora, 7) != NULL || memmem(bytes, head, skeleton_video, 6) != NULL) return MODALITY_VIDEO;
  return MODALITY_AUDIO;
}

/* Walks the blocks of a GIF89a to its second picture. Stops quietly at anything odd: the decoder will complain. */
static bool gif_is_animated(FILE *f) {
  unsigned char head[13];
  if (fseek(f, 0, SEEK_SET) != 0 || fread(head, 1, 13, f) != 13) return false;
  if ((head[10] & 0x80) && fseek(f, 3L << ((head[10] & 7) + 1), SEEK_CUR) != 0) return false;
  int pictures = 0;
  for (int blocks = 0; blocks < GIF_BLOCKS_MAX; blocks++) {
    int kind = fgetc(f);
    if (kind == 0x2C) {
      if (++pictures == 2) return true;
      unsigned char place[9];
      if (fread(place, 1, 9, f) != 9) return false;
      if ((place[8] & 0x80) && fseek(f, 3L << ((place[8] & 7) + 1), SEEK_CUR) != 0) return false;
      if (fgetc(f) == EOF) return false; /* the LZW code size */
    } else if (kind != 0x21 || fgetc(f) == EOF) {
      return false;
    }
    int size;
    while ((size = fgetc(f)) > 0)
      if (fseek(f, size, SEEK_CUR) != 0) return false;
    if (size == EOF) return false;
  }
  return false;
}

/* Two frame headers one frame apart would be surer, but the extension already stands behind this weak signature. */
static bool looks_like_mpeg_audio(const unsigned char *bytes, size_t length) {
  return length >= 2 && bytes[0] == 0xFF && (bytes[1] & 0xE0) == 0xE0;
}

static modality modality_of_bytes(FILE *f, const unsigned char *bytes, size_t length, modality by_extension) {
  if (bytes_at(bytes, length, 0, "GIF8", 4)) return gif_is_animated(f) ? MODALITY_VIDEO : MODALITY_IMAGE;
  if (bytes_at(bytes, length, 0, "RIFF", 4) && bytes_at(bytes, length, 8, "WEBP", 4)) {
    bool animated = bytes_at(bytes, length, 12, "VP8X", 4) && length > 20 && (bytes[20] & 0x02);
    return animated ? MODALITY_VIDEO : MODALITY_IMAGE;
  }
  if (bytes_at(bytes, length, 4, "ftyp", 4) && length >= 12) return modality_of_iso_media(bytes, by_extension);
  if (bytes_at(bytes, length, 0, "OggS", 4)) return modality_of_ogg(bytes, length);
  /* Matroska/WebM and ASF say what is inside only deep down; the extension knows. */
  if (bytes_at(bytes, length, 0, "\x1A\x45\xDF\xA3", 4) || bytes_at(bytes, length, 0, "\x30\x26\xB2\x75", 4))
    return by_extension == MODALITY_AUDIO ? MODALITY_AUDIO : MODALITY_VIDEO;
  if (bytes_at(bytes, length, 0, "BM", 2) && length > 18 && bytes[14] <= 124 && bytes[15] == 0) return MODALITY_IMAGE;
  for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
    if (bytes_at(bytes, length, magics[i].offset, magics[i].magic, magics[i].length)) return magics[i].kind;
  if (by_extension == MODALITY_COUNT && looks_like_mpeg_audio(bytes, length)) return MODALITY_AUDIO;
  return by_extension;
}

modality modality_of_file(const char *path) {
  modality by_extension = modality_of_extension(path), kind = by_extension;
  unsigned char *bytes = mem_alloc(SNIFF_BYTES, 1);
  FILE *f = bytes != NULL && !file_is_folder(path) ? fopen(path, "rbe") : NULL;
  if (f != NULL) kind = modality_of_bytes(f, bytes, fread(bytes, 1, SNIFF_BYTES, f), by_extension);
  if (f != NULL) fclose(f);
  mem_free(bytes);
  return kind;
}

/* ---- freeing ---- */

void image_deinit(image *i) {
  mem_free(i->rgb);
  *i = (image){0};
}

void sound_deinit(sound *s) {
  mem_free(s->samples);
  *s = (sound){0};
}

void video_deinit(video *v) {
  for (uint32_t i = 0; v->frames != NULL && i < v->frame_count; i++) image_deinit(&v->frames[i]);
  mem_free(v->frames);
  mem_free(v->frame_time_s);
  sound_deinit(&v->sound);
  *v = (video){0};
}

void media_sample_deinit(media_sample *s) {
  image_deinit(&s->image);
  sound_deinit(&s->sound);
  video_deinit(&s->video);
  *s = (media_sample){0};
}
