/* explain/report.h: the evaluation as a page with plots (F82): one self-contained HTML file, no scripts from elsewhere.
 */
#ifndef EXPLAIN_REPORT_H
#define EXPLAIN_REPORT_H

#include "base/json.h"
#include "base/strbuf.h"

/* report: what medley_evaluate returns (medley/train.h). Appends the page to out. */
medley_status report_html(const json_t *report, strbuf *out, medley_error *err) MEDLEY_CHECK;

#endif
