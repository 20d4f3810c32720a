/* medley/medley.h: the whole public interface. See examples/ for programs that use it. */
#ifndef MEDLEY_MEDLEY_H
#define MEDLEY_MEDLEY_H

#include <medley/answer.h>
#include <medley/content.h>
#include <medley/encoder.h>
#include <medley/error.h>
#include <medley/index.h>
#include <medley/model.h>
#include <medley/progress.h>
#include <medley/sample.h>
#include <medley/train.h>
#include <medley/workspace.h>

#endif
