/* engine/doctor.h: findings, and the two halves of medley_doctor: the machine with the build, and a workspace. */
#ifndef ENGINE_DOCTOR_H
#define ENGINE_DOCTOR_H

#include <stdbool.h>

#include "base/json.h"

struct medley_workspace;

/* Findings in the order they are made. */
typedef struct doctor {
  json_t *findings; /* array */
  bool ok;
} doctor;

/* One sentence. What is not ok says what to do. */
void doctor_find(doctor *d, const char *check, bool ok, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Processor, memory, libraries, threads of OpenBLAS, worker processes, fonts. */
void doctor_machine(doctor *d);
/* The files of a workspace folder and its disk, then what is inside it. */
void doctor_workspace(doctor *d, const char *path);

#endif
