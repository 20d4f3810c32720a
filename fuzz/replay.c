/* fuzz/replay.c: runs a fuzz target over files and folders of files, where libFuzzer is not at hand. */
#include <stdint.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_path(const char *path) {
  int runs = 0;
  if (file_is_folder(path)) {
    char **names;
    size_t count;
    if (folder_list(path, &names, &count, NULL) != MEDLEY_OK) return 0;
    for (size_t i = 0; i < count; i++) {
      char *inner = path_join(path, names[i]);
      if (inner != NULL) runs += replay_path(inner);
      mem_free(inner);
    }
    folder_list_free(names, count);
    return runs;
  }
  char *bytes;
  size_t length;
  if (file_read(path, (size_t)64 << 20, &bytes, &length, NULL) != MEDLEY_OK) return 0;
  (void)LLVMFuzzerTestOneInput((const uint8_t *)bytes, length);
  mem_free(bytes);
  return 1;
}

int main(int argc, char **argv) {
  int runs = 0;
  for (int i = 1; i < argc; i++) runs += replay_path(argv[i]);
  printf("%d inputs replayed\n", runs);
  return runs > 0 ? 0 : 1;
}
