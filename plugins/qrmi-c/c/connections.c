/* The connections to the helper, and calls that survive its end. */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef QRMI_START_SECONDS
#define QRMI_START_SECONDS 60
#endif

struct connection {
    int descriptor;
    bool busy;
    bool greeted;
    uint64_t generation;
    struct connection *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Under the mutex. */
static struct {
    pid_t process;       /* whose connections these are */
    uint64_t generation; /* counts helpers, those of parents included */
    int control;         /* -1 if no helper is known to run */
    int messages;        /* what the helper has written, until it has greeted; -1 */
    bool forks_known;
    struct connection *connections;
} helper = {.control = -1, .messages = -1};

void qi_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void qi_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static void close_one(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

/* --- under the mutex -------------------------------------------------------------------------- */

/* Give the helper up: it ends when its running calls have.  Busy connections are their callers'. */
static void abandon(void)
{
    close_one(&helper.control);
    close_one(&helper.messages);
    struct connection **place = &helper.connections;
    while (*place != NULL) {
        struct connection *connection = *place;
        if (connection->busy) {
            place = &connection->next;
            continue;
        }
        *place = connection->next;
        close_one(&connection->descriptor);
        free(connection);
    }
}

static void in_child(void)
{
    /* The threads that used these are not there. */
    for (struct connection *one = helper.connections; one != NULL; one = one->next) {
        close_one(&one->descriptor);
        one->busy = false;
    }
    close_one(&helper.control);
    close_one(&helper.messages);
    pthread_mutex_unlock(&mutex);
}

/* Notice a fork that ran no handler, too. */
static void know_process(void)
{
    if (!helper.forks_known)
        helper.forks_known = pthread_atfork(qi_lock, qi_unlock, in_child) == 0;
    if (helper.process != getpid()) {
        for (struct connection *one = helper.connections; one != NULL; one = one->next)
            one->busy = false;
        abandon();
        helper.process = getpid();
    }
}

static bool pass_on(int descriptor)
{
    char byte = 'C';
    struct iovec piece = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    ssize_t sent;
    do
        sent = sendmsg(helper.control, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == 1;
}

/* Return a new connection, busy; NULL with a reason, which is empty if the helper has ended. */
static struct connection *connect_new(char *reason, size_t size)
{
    struct connection *connection = calloc(1, sizeof *connection);
    int sockets[2];
    if (connection == NULL) {
        snprintf(reason, size, "out of memory");
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
        snprintf(reason, size, "no socket for the helper: %s", strerror(errno));
        free(connection);
        return NULL;
    }
    bool passed = pass_on(sockets[1]);
    close(sockets[1]);
    if (!passed) {
        close(sockets[0]);
        free(connection);
        return NULL;
    }
    *connection = (struct connection){sockets[0], true, false, helper.generation, helper.connections};
    helper.connections = connection;
    return connection;
}

/* Write the last line that the helper has written; "it ended at once" if there is none. */
static void last_words(char *reason, size_t size)
{
    char text[512];
    off_t end = helper.messages < 0 ? 0 : lseek(helper.messages, 0, SEEK_END);
    off_t start = end < (off_t)sizeof text ? 0 : end - (off_t)sizeof text + 1;
    ssize_t got = end > 0 ? pread(helper.messages, text, sizeof text - 1, start) : 0;
    while (got > 0 && text[got - 1] == '\n')
        got--;
    text[got > 0 ? got : 0] = '\0';
    char *line = strrchr(text, '\n');
    snprintf(reason, size, "%.500s", got <= 0 ? "it ended at once" : line ? line + 1 : text);
}

/* --- without it ------------------------------------------------------------------------------- */

/* Return a connection that nobody uses, and start the helper if none runs; NULL with a reason. */
static struct connection *take(bool *started, char *reason, size_t size)
{
    reason[0] = '\0';
    qi_lock();
    know_process();
    struct connection *found = NULL;
    for (int attempt = 0; found == NULL && attempt < 2 && reason[0] == '\0'; attempt++) {
        if (helper.control < 0) {
            helper.control = qi_start(&helper.messages, reason, size);
            if (helper.control < 0)
                break;
            helper.generation++;
            *started = true;
        }
        for (struct connection *one = helper.connections; one != NULL; one = one->next)
            if (!one->busy && one->generation == helper.generation)
                found = one;
        if (found != NULL)
            found->busy = true;
        else
            found = connect_new(reason, size);
        if (found == NULL && *started && reason[0] == '\0')
            last_words(reason, size);
        if (found == NULL)
            abandon();
    }
    qi_unlock();
    return found;
}

/* Give a connection back that may be used again; false drops it, and its helper with it. */
static void give_back(struct connection *connection, bool usable)
{
    qi_lock();
    connection->busy = false;
    bool current = connection->generation == helper.generation;
    if (current && !usable) {
        abandon();
    } else if (!current || helper.control < 0) {
        struct connection **place = &helper.connections;
        while (*place != connection)
            place = &(*place)->next;
        *place = connection->next;
        close_one(&connection->descriptor);
        free(connection);
    }
    qi_unlock();
}

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

/* Wait for the helper's first bytes.  Return false with a reason, empty if it has ended. */
static bool greeted(struct connection *connection, char *reason, size_t size)
{
    struct qi_greeting greeting = {{0}, 0};
    size_t got = 0;
    long end = milliseconds() + QRMI_START_SECONDS * 1000L;
    while (got < sizeof greeting) {
        struct pollfd wait = {connection->descriptor, POLLIN, 0};
        long left = end - milliseconds();
        int ready = left > 0 ? poll(&wait, 1, (int)left) : 0;
        if (ready == 0) {
            snprintf(reason, size, "the helper has not started within %d seconds",
                     QRMI_START_SECONDS);
            return false;
        }
        ssize_t more = ready < 0 ? ready
                                 : recv(connection->descriptor, (char *)&greeting + got,
                                        sizeof greeting - got, 0);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    if (memcmp(greeting.magic, "QRMI", 4) != 0 || greeting.version != QI_PROTOCOL) {
        snprintf(reason, size,
                 "the installed Python package qrmi-c is of another release than the library; "
                 "install both together");
        return false;
    }
    qi_lock();
    if (connection->generation == helper.generation)
        close_one(&helper.messages);
    qi_unlock();
    return connection->greeted = true;
}

/* Return a connection that the helper has greeted.  NULL after recording an error; *restarted allows
   one more helper in the place of one that has ended. */
static struct connection *ready(bool *restarted)
{
    char reason[512];
    for (;;) {
        bool started = false;
        struct connection *connection = take(&started, reason, sizeof reason);
        if (connection == NULL) {
            qi_fail(QRMI_RETURN_CODE_ERROR, "the helper cannot be used: %s", reason);
            return NULL;
        }
        if (connection->greeted || greeted(connection, reason, sizeof reason))
            return connection;
        bool again = reason[0] == '\0' && !started && !*restarted;
        if (reason[0] == '\0') {
            qi_lock();
            last_words(reason, sizeof reason);
            qi_unlock();
        }
        give_back(connection, false);
        if (!again) {
            qi_fail(QRMI_RETURN_CODE_ERROR, "the helper cannot be started: %s", reason);
            return NULL;
        }
        *restarted = true;
    }
}

static qi_outcome open_resource(struct connection *connection, QrmiQuantumResource *resource,
                                qi_reply *reply)
{
    size_t number = resource->open.number;
    qi_field *fields = malloc(number * sizeof *fields);
    if (fields == NULL)
        return QI_NO_MEMORY;
    qi_lock();
    memcpy(fields, resource->open.fields, number * sizeof *fields);
    const char *token = fields[QI_OPEN_TOKEN].text;
    char *copy = token ? qi_copy(token) : NULL; /* another thread may release it */
    qi_unlock();
    fields[QI_OPEN_TOKEN] = qi_text(copy);
    qi_outcome outcome = token != NULL && copy == NULL
                             ? QI_NO_MEMORY
                             : qi_exchange(connection->descriptor, QI_OPEN, fields, number, reply);
    free(copy);
    free(fields);
    return outcome;
}

static qi_outcome on_connection(struct connection *connection, QrmiQuantumResource *resource,
                                enum qi_operation operation, const qi_field *fields, size_t number,
                                qi_reply *reply, bool *asked)
{
    *asked = false;
    if (resource != NULL && atomic_load(&resource->generation) != connection->generation) {
        qi_outcome outcome = open_resource(connection, resource, reply);
        if (outcome != QI_DONE || reply->code != QRMI_RETURN_CODE_SUCCESS)
            return outcome;
        qi_reply_free(reply);
        atomic_store(&resource->generation, connection->generation);
    }
    if (operation == QI_OPEN)
        return QI_DONE;
    *asked = true;
    return qi_exchange(connection->descriptor, operation, fields, number, reply);
}

static QrmiReturnCode call(QrmiQuantumResource *resource, enum qi_operation operation,
                           const qi_field *fields, size_t number, qi_reply *reply)
{
    bool changes = operation == QI_ACQUIRE || operation == QI_RELEASE || operation == QI_START ||
                   operation == QI_STOP;
    bool restarted = false;
    for (;;) {
        bool asked = false;
        *reply = (qi_reply){0};
        struct connection *connection = ready(&restarted);
        if (connection == NULL)
            return QRMI_RETURN_CODE_ERROR;
        qi_outcome outcome =
            on_connection(connection, resource, operation, fields, number, reply, &asked);
        if (outcome == QI_DONE) {
            give_back(connection, true);
            break;
        }
        give_back(connection, false);
        if (outcome == QI_NO_MEMORY)
            return qi_fail_memory();
        if (outcome == QI_LOST && asked && changes)
            return qi_fail(QRMI_RETURN_CODE_ERROR,
                           "the helper process ended before it responded; whether the call has "
                           "taken effect is not known");
        if (restarted)
            return qi_fail(QRMI_RETURN_CODE_ERROR,
                           "the helper process ended before it responded, also when it was started "
                           "again");
        restarted = true;
    }
    if (reply->code == QRMI_RETURN_CODE_SUCCESS)
        return QRMI_RETURN_CODE_SUCCESS;
    const char *text = reply->number == 1 && reply->texts[0] ? reply->texts[0] : "no reason given";
    QrmiReturnCode code = qi_fail(reply->code, "%s", text);
    qi_reply_free(reply);
    return code;
}

QrmiReturnCode qi_call(QrmiQuantumResource *resource, enum qi_operation operation,
                       const qi_field *fields, size_t number, qi_reply *reply)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    QrmiReturnCode code = call(resource, operation, fields, number, reply);
    pthread_setcancelstate(state, NULL);
    return code;
}

void qi_forget(QrmiQuantumResource *resource)
{
    qi_lock();
    bool open = helper.process == getpid() && helper.control >= 0 &&
                atomic_load(&resource->generation) == helper.generation;
    qi_unlock();
    qi_reply reply;
    bool started = false;
    char reason[512];
    struct connection *connection = open ? take(&started, reason, sizeof reason) : NULL;
    if (connection == NULL)
        return;
    qi_field number = qi_text(resource->number);
    if ((connection->greeted || greeted(connection, reason, sizeof reason)) &&
        qi_exchange(connection->descriptor, QI_FREE, &number, 1, &reply) == QI_DONE) {
        qi_reply_free(&reply);
        give_back(connection, true);
    } else {
        give_back(connection, false);
    }
}

/* At the end of the program, or when the library is unloaded. */
__attribute__((destructor)) static void leave(void)
{
    /* Not in a child that was forked past the handlers, which may have a locked mutex. */
    if (helper.process != getpid())
        return;
    qi_lock();
    if (helper.control >= 0) {
        send(helper.control, "B", 1, MSG_NOSIGNAL);
        abandon();
    }
    qi_unlock();
}
