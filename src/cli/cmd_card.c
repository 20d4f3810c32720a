/* cli/cmd_card.c: medley card: an item's title over its picture. */
#include <medley/content.h>

#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  const char *file = arguments_text(a, "output");
  const medley_card_options options = {.width = (uint32_t)arguments_integer(a, "width", 0),
                                       .height = (uint32_t)arguments_integer(a, "height", 0),
                                       .grey = arguments_has(a, "grey"),
                                       .opacity = arguments_number(a, "opacity", 0)};
  TRY(workspace_of(a, &w, err));
  TRY(medley_card(w, arguments_text(a, "item"), &options, file, err));
  if (c->json)
    console_json(c, "{\"written\":true}");
  else
    console_line(c, STYLE_PLAIN, "%s", file);
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_card = {
    .name = "card",
    .group = "Answers",
    .summary = "draws an item's title over its picture",
    .arguments =
        (const argument_spec[]){
            {"workspace", VALUE_FOLDER, "the workspace"}, {"item", VALUE_TEXT, "the item's key"}, {0}},
    .options = (const option_spec[]){{"output", 'o', VALUE_FILE, "FILE", "picture to write: .png, .jpg or .webp",
                                      .required = true},
                                     {"grey", 'g', VALUE_FLAG, NULL, "without colours"},
                                     {"width", 0, VALUE_INTEGER, "PIXELS", "width (600)", 64, 4096},
                                     {"height", 0, VALUE_INTEGER, "PIXELS", "height (400)", 64, 4096},
                                     {"opacity", 0, VALUE_NUMBER, "X", "of the band behind the title (0.65)", 0.01, 1},
                                     {0}},
    .examples = (const command_example[]){{"medley card shop i7 -o card.png", "A card of i7"},
                                          {"medley card shop i7 -o card.webp --grey --width 1200 --height 630",
                                           "Larger, in grey"},
                                          {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
