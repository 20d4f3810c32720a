/* medley/workspace.h: the folder that holds a catalogue, what people did, and the models made from both.
 *
 *   medley.conf       INI, every key optional
 *   medley.db         SQLite: items, users, events, links, vectors, runs, generations
 *   media/            copies of media, only when they were asked for
 *   models/<number>/  one immutable generation each: safetensors, manifest.json, report
 *   current           the number of the generation that serves; replaced atomically
 *
 * A handle is used by one thread at a time; open one per thread. Several processes may read one workspace; writers wait
 * for each other. Strings handed in are UTF-8 and borrowed for the call.
 */
#ifndef MEDLEY_WORKSPACE_H
#define MEDLEY_WORKSPACE_H

#include <medley/error.h>
#include <medley/progress.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct medley_workspace medley_workspace;

/* "0.1.0"; static. */
MEDLEY_API const char *medley_version(void);

/* Makes the folder (its parent must be there) with an empty database and a commented medley.conf. MEDLEY_ERR_EXISTS
 * when there is a workspace already. */
MEDLEY_API medley_status medley_workspace_create(const char *path, medley_error *err) MEDLEY_CHECK;

/* Opens it; a current generation is mapped on first use. *workspace is the caller's (medley_workspace_close). */
MEDLEY_API medley_status medley_workspace_open(const char *path, medley_workspace **workspace,
                                               medley_error *err) MEDLEY_CHECK;
MEDLEY_API void medley_workspace_close(medley_workspace *workspace); /* NULL is fine */

/* Looks at the `current` file again and switches to a newer generation, if there is one. Requests do this by themselves
 * at most once a second; call it to switch at once. */
MEDLEY_API medley_status medley_workspace_refresh(medley_workspace *workspace, medley_error *err) MEDLEY_CHECK;

/* Counts, generation, disk use and settings as a JSON object; *json is the caller's (medley_free). */
MEDLEY_API medley_status medley_workspace_describe(medley_workspace *workspace, char **json,
                                                   medley_error *err) MEDLEY_CHECK;

/* Checks the database, the generations, media, limits and libraries. JSON:
 * {"ok":bool,"findings":[{"check":…,"ok":…,"text":…}]}. path may be NULL: then only the machine and the build are
 * looked at. */
MEDLEY_API medley_status medley_doctor(const char *path, char **json, medley_error *err) MEDLEY_CHECK;

/* An encrypted copy of the whole workspace (database snapshot, generations, settings; not the media that lie elsewhere)
 * in one file: Argon2id key from the passphrase, XChaCha20-Poly1305 in chunks (libsodium secretstream). */
MEDLEY_API medley_status medley_export(medley_workspace *workspace, const char *file, const char *passphrase,
                                       const medley_progress *progress, medley_error *err) MEDLEY_CHECK;
/* Restores such a file into a new folder. A wrong passphrase or any changed byte is refused and leaves nothing behind.
 */
MEDLEY_API medley_status medley_restore(const char *file, const char *folder, const char *passphrase,
                                        const medley_progress *progress, medley_error *err) MEDLEY_CHECK;

/* Frees strings and reports that Medley handed out. NULL is fine. */
MEDLEY_API void medley_free(void *block);

/* Media are decoded in worker processes: copies of the medley command, or of a program that calls this first thing in
 * main. When argv asks for worker mode it serves until done and returns 1 with *exit_status set; otherwise it returns 0
 * at once. */
MEDLEY_API int medley_worker_main(int argc, char **argv, int *exit_status);

#ifdef __cplusplus
}
#endif
#endif
