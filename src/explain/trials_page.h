/* explain/trials_page.h: a search over settings as a page with plots: how far each model came and when, and what each
 * setting does. One self-contained HTML file. */
#ifndef EXPLAIN_TRIALS_PAGE_H
#define EXPLAIN_TRIALS_PAGE_H

#include "base/json.h"
#include "base/strbuf.h"

/* report: what medley_tune returns (medley/train.h). Appends the page to out. */
medley_status trials_page_html(const json_t *report, strbuf *out, medley_error *err) MEDLEY_CHECK;

#endif
