/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/redis/command.h"

#include "lib/redis/connection.h"
#include "lib/redis/slot.h"
#include "lib/redis/slot_map.h"

enum { TAIL_BYTES_KEPT = 4096 };

void redis_commands_push(struct redis_commands *list, struct redis_command *command) {
    command->previous = list->last;
    command->next = NULL;
    if (list->last != NULL)
        list->last->next = command;
    else
        list->first = command;
    list->last = command;
}

void redis_commands_remove(struct redis_commands *list, struct redis_command *command) {
    if (command->previous != NULL)
        command->previous->next = command->next;
    else
        list->first = command->next;
    if (command->next != NULL)
        command->next->previous = command->previous;
    else
        list->last = command->previous;
    command->previous = command->next = NULL;
}

struct redis_command *redis_commands_pop(struct redis_commands *list) {
    struct redis_command *command = list->first;
    if (command != NULL) redis_commands_remove(list, command);
    return command;
}

bool redis_command_fill(struct redis_command *command, const struct redis_request *request) {
    struct buf tail = command->tail;
    if (tail.capacity > TAIL_BYTES_KEPT) buf_deinit(&tail);
    tail.n = 0;
    tail.failed = false;
    for (size_t i = 0; i < request->words_count; i++) redis_add_word(&tail, request->words[i]);
    *command = (struct redis_command){
        .tail = tail,
        .words_count = (uint32_t)request->words_count,
        .script = request->script,
        .slot = request->slot != NULL ? *request->slot : redis_slot_of(request->key),
        .asked_node = REDIS_NO_NODE,
        .flying_on = REDIS_NO_NODE,
        .is_repeatable = request->is_repeatable,
        .deadline_ms = request->deadline_ms,
        .last = "not sent yet",
        .on_done = request->on_done,
        .ctx = request->ctx,
    };
    return !tail.failed;
}

void redis_command_write(const struct redis_command *command, struct buf *out) {
    const struct redis_script *script = command->script;
    if (command->is_asking) buf_add_text(out, "*1\r\n$6\r\nASKING\r\n");
    buf_add(out, "*", 1);
    buf_add_u64(out, command->words_count + (script == NULL ? 0u : 2u));
    buf_add(out, "\r\n", 2);
    if (script != NULL) {
        redis_add_word(out, command->wants_text ? SLICE("EVAL") : SLICE("EVALSHA"));
        redis_add_word(out, command->wants_text ? script->text : script->sha1);
    }
    buf_add_slice(out, buf_slice(&command->tail));
}
