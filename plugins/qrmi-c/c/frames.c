/* One request and its reply on a connection. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Far below IOV_MAX, so that small stacks hold them. */
#define PIECES 32

static bool send_all(int descriptor, struct iovec *pieces, unsigned short number)
{
    while (number > 0) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = number};
        ssize_t sent = sendmsg(descriptor, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        size_t rest = (size_t)sent;
        while (number > 0 && rest >= pieces->iov_len) {
            rest -= pieces->iov_len;
            pieces++;
            number--;
        }
        if (number > 0) {
            pieces->iov_base = (char *)pieces->iov_base + rest;
            pieces->iov_len -= rest;
        }
    }
    return true;
}

static bool receive_all(int descriptor, void *place, size_t size)
{
    char *next = place;
    while (size > 0) {
        ssize_t got = recv(descriptor, next, size, MSG_WAITALL);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        next += got;
        size -= (size_t)got;
    }
    return true;
}

static qi_outcome send_request(int descriptor, uint32_t operation, const qi_field *fields,
                               size_t number)
{
    struct qi_header header = {operation, (uint32_t)number, 0};
    uint64_t *lengths = malloc((number + 1) * sizeof *lengths);
    if (lengths == NULL)
        return QI_NO_MEMORY;
    for (size_t field = 0; field < number; field++) {
        lengths[field] = fields[field].text == NULL ? QI_NO_VALUE : fields[field].length;
        if (fields[field].text != NULL)
            header.body += fields[field].length + 1;
    }
    struct iovec pieces[PIECES] = {{&header, sizeof header}, {lengths, number * sizeof *lengths}};
    unsigned short used = 2;
    bool sent = true;
    for (size_t field = 0; field < number && sent; field++) {
        if (fields[field].text == NULL)
            continue;
        if (used == PIECES) {
            sent = send_all(descriptor, pieces, used);
            used = 0;
        }
        /* sendmsg() does not write what iov_base points to. */
        pieces[used].iov_base = (void *)(uintptr_t)fields[field].text;
        pieces[used++].iov_len = fields[field].length + 1;
    }
    sent = sent && send_all(descriptor, pieces, used);
    free(lengths);
    return sent ? QI_DONE : QI_UNSENT;
}

/* Set the texts of a reply to the places of its lengths, which must fill the block exactly. */
static bool place_texts(qi_reply *reply, const uint64_t *lengths, uint64_t body)
{
    uint64_t place = 0;
    for (size_t field = 0; field < reply->number; field++) {
        if (lengths[field] == QI_NO_VALUE)
            continue;
        if (body - place < 1 || lengths[field] > body - place - 1)
            return false;
        reply->texts[field] = reply->block + place;
        place += lengths[field] + 1;
        reply->block[place - 1] = '\0';
    }
    return place == body;
}

static qi_outcome receive_frame(int descriptor, uint32_t *kind, qi_reply *reply)
{
    struct qi_header header;
    *reply = (qi_reply){0};
    if (!receive_all(descriptor, &header, sizeof header))
        return QI_LOST;
    if (header.number > QI_MAX_FIELDS || header.body > SIZE_MAX / 2)
        return QI_LOST;
    *kind = header.kind;
    reply->number = header.number;
    uint64_t *lengths = malloc((header.number + 1) * sizeof *lengths);
    reply->texts = calloc(header.number + 1, sizeof *reply->texts);
    reply->block = malloc((size_t)header.body + 1);
    qi_outcome outcome = QI_NO_MEMORY;
    if (lengths != NULL && reply->texts != NULL && reply->block != NULL) {
        bool right = receive_all(descriptor, lengths, header.number * sizeof *lengths) &&
                     receive_all(descriptor, reply->block, (size_t)header.body) &&
                     place_texts(reply, lengths, header.body);
        outcome = right ? QI_DONE : QI_LOST;
    }
    free(lengths);
    if (outcome != QI_DONE)
        qi_reply_free(reply);
    return outcome;
}

static void pass_record(const qi_reply *record)
{
    if (record->number == 3 && record->texts[0] && record->texts[1] && record->texts[2])
        qi_log(record->texts[0], record->texts[1], record->texts[2]);
}

qi_outcome qi_exchange(int descriptor, uint32_t operation, const qi_field *fields, size_t number,
                       qi_reply *reply)
{
    qi_outcome outcome = send_request(descriptor, operation, fields, number);
    while (outcome == QI_DONE) {
        uint32_t kind = 0;
        outcome = receive_frame(descriptor, &kind, reply);
        if (outcome != QI_DONE)
            break;
        if ((kind & QI_REPLY) != 0) {
            reply->code = (QrmiReturnCode)(kind & ~QI_REPLY);
            break;
        }
        if (kind == QI_LOG)
            pass_record(reply);
        else
            outcome = QI_LOST;
        qi_reply_free(reply);
    }
    return outcome;
}

void qi_reply_free(qi_reply *reply)
{
    free(reply->texts);
    free(reply->block);
    *reply = (qi_reply){0};
}

char *qi_reply_take(qi_reply *reply)
{
    char *text = NULL;
    if (reply->number == 1 && reply->texts[0] != NULL) {
        text = reply->block;
        reply->block = NULL;
    }
    qi_reply_free(reply);
    return text;
}
