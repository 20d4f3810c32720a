/* cli/main.c: the medley command. */
#include <medley/error.h>
#include <stdio.h>

int main(void) {
  puts("medley");
  return 0;
}
