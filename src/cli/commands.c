/* cli/commands.c: the table of commands, in the order of `medley help`. */
#include "cli/command.h"

extern const command cmd_init, cmd_sample, cmd_import, cmd_item, cmd_event, cmd_forget, cmd_encoder, cmd_train,
    cmd_tune, cmd_bench, cmd_evaluate, cmd_recommend, cmd_similar, cmd_search, cmd_profile, cmd_explain, cmd_card,
    cmd_info, cmd_doctor, cmd_export, cmd_restore, cmd_list, cmd_model, cmd_index, cmd_help, cmd_man, cmd_completions,
    cmd_version;

const command *const commands[] = {
    &cmd_init, &cmd_sample,   &cmd_import,      &cmd_item,      &cmd_event,   &cmd_forget, &cmd_encoder, &cmd_train,
    &cmd_tune, &cmd_evaluate, &cmd_bench,       &cmd_recommend, &cmd_similar, &cmd_search, &cmd_profile, &cmd_explain,
    &cmd_card, &cmd_info,     &cmd_doctor,      &cmd_export,    &cmd_restore, &cmd_list,   &cmd_model,   &cmd_index,
    &cmd_help, &cmd_man,      &cmd_completions, &cmd_version,   NULL,
};
