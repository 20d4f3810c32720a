/* media/entities.h: named character references of HTML ("amp" → U+0026). */
#ifndef MEDIA_ENTITIES_H
#define MEDIA_ENTITIES_H

#include <stddef.h>
#include <stdint.h>

#define ENTITY_NAME_MAX 8

/* name without & and ;. 0 when it is none of them. */
uint32_t entity_find(const char *name, size_t length);

#endif
