/* What host programs do, a case for each argument.  A case ends with status 0 if all was right. */
#define _GNU_SOURCE
#include "qrmi.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            char *reason = qrmi_get_last_error();                                                  \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, reason ? reason : "-");     \
            _exit(1);                                                                              \
        }                                                                                          \
    while (0)
#define DONE(call) CHECK((call) == QRMI_RETURN_CODE_SUCCESS)

static QrmiQuantumResource *resource(const char *name)
{
    QrmiResourceType type;
    DONE(qrmi_config_resource_type_from_str("bench", &type));
    QrmiQuantumResource *made = qrmi_resource_new(name, type);
    CHECK(made != NULL);
    return made;
}

static char *fact(QrmiQuantumResource *from, const char *key)
{
    QrmiResourceMetadata *metadata = NULL;
    DONE(qrmi_resource_metadata(from, &metadata));
    char *value = qrmi_resource_metadata_value(metadata, key);
    CHECK(value != NULL);
    DONE(qrmi_resource_metadata_free(metadata));
    return value;
}

static int helper_of(QrmiQuantumResource *from)
{
    char *text = fact(from, "pid");
    int pid = atoi(text);
    free(text);
    return pid;
}

static void wait_for_end(int pid)
{
    while (kill(pid, 0) == 0)
        usleep(1000);
}

static int number_of_descriptors(void)
{
    int found = 0;
    for (int number = 0; number < 100; number++)
        found += fcntl(number, F_GETFD) != -1;
    return found;
}

static int exit_status(pid_t child)
{
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* --- the helper ends --------------------------------------------------------------------------- */

static void killed_idle(void)
{
    QrmiQuantumResource *one = resource("one");
    int first = helper_of(one);
    kill(first, SIGKILL);
    wait_for_end(first);
    CHECK(helper_of(one) != first);
    DONE(qrmi_resource_free(one));
}

/* The plugin kills its process in one call, as a file says. */
static void killed_in(const char *call)
{
    QrmiQuantumResource *one = resource("one");
    char *text = NULL;
    bool value = false;
    QrmiTaskStatus status;
    QrmiPayload payload = {.tag = QRMI_PAYLOAD_QISKIT_PRIMITIVE, .QISKIT_PRIMITIVE = {"{}", "task"}};
    if (strcmp(call, "status") == 0) {
        DONE(qrmi_resource_is_accessible(one, &value));
        CHECK(value);
        return;
    }
    if (strcmp(call, "task_status") == 0) {
        DONE(qrmi_resource_task_status(one, "queued", &status));
        CHECK(status == QRMI_TASK_STATUS_QUEUED);
        return;
    }
    QrmiReturnCode code = QRMI_RETURN_CODE_SUCCESS;
    if (strcmp(call, "acquire") == 0)
        code = qrmi_resource_acquire(one, &text);
    if (strcmp(call, "release") == 0)
        code = qrmi_resource_release(one, "token");
    if (strcmp(call, "task_start") == 0)
        code = qrmi_resource_task_start(one, &payload, &text);
    if (strcmp(call, "task_stop") == 0)
        code = qrmi_resource_task_stop(one, "task");
    CHECK(code == QRMI_RETURN_CODE_ERROR && text == NULL);
    text = qrmi_get_last_error();
    CHECK(text != NULL && strstr(text, "not known") != NULL);
    free(text);
    DONE(qrmi_resource_is_accessible(one, &value));
}

static void tasks_stay_under_the_acquisition(void)
{
    QrmiQuantumResource *one = resource("one");
    char *token = NULL, *task = NULL;
    QrmiPayload payload = {.tag = QRMI_PAYLOAD_QISKIT_PRIMITIVE, .QISKIT_PRIMITIVE = {"{}", "task"}};
    DONE(qrmi_resource_acquire(one, &token));
    int first = helper_of(one);
    kill(first, SIGKILL);
    wait_for_end(first);
    DONE(qrmi_resource_task_start(one, &payload, &task));
    DONE(qrmi_resource_release(one, token));
    free(token);
    free(task);
    DONE(qrmi_resource_free(one));
}

/* With a short idle time. */
static void idle(void)
{
    QrmiQuantumResource *one = resource("one");
    for (int round = 0; round < 3; round++) {
        int helper = helper_of(one);
        wait_for_end(helper);
    }
    DONE(qrmi_resource_free(one));
}

/* Between calls and ends of the helper that meet by chance. */
static void idle_races(void)
{
    QrmiQuantumResource *one = resource("one");
    int last = 0, helpers = 0;
    for (int round = 0; helpers < 4 && round < 500; round++) {
        int helper = helper_of(one);
        helpers += helper != last;
        last = helper;
        usleep(47000 + 1000 * (unsigned)(round % 12));
    }
    CHECK(helpers == 4);
    DONE(qrmi_resource_free(one));
}

/* --- forks and threads ------------------------------------------------------------------------- */

static QrmiQuantumResource *shared;
static volatile bool stop;
static volatile int bad;

static void *calls(void *unused)
{
    (void)unused;
    int number = 0;
    while (!stop && number++ < 100000) {
        QrmiResourceMetadata *metadata = NULL;
        if (qrmi_resource_metadata(shared, &metadata) != QRMI_RETURN_CODE_SUCCESS)
            bad++;
        else
            qrmi_resource_metadata_free(metadata);
    }
    return NULL;
}

static void fork_idle(void)
{
    shared = resource("one");
    int parents = helper_of(shared);
    pid_t child = fork();
    if (child == 0) {
        CHECK(helper_of(shared) != parents);
        pid_t second = fork();
        if (second == 0)
            _exit(helper_of(shared) == parents);
        _exit(exit_status(second));
    }
    CHECK(exit_status(child) == 0);
    CHECK(helper_of(shared) == parents);
    DONE(qrmi_resource_free(shared));
}

static void fork_busy(int children)
{
    pthread_t threads[2];
    shared = resource("one");
    for (int number = 0; number < 2; number++)
        pthread_create(&threads[number], NULL, calls, NULL);
    int good = 0;
    for (int number = 0; number < children; number++) {
        usleep(500);
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            _exit(helper_of(shared) > 0 ? 0 : 1);
        }
        good += exit_status(child) == 0;
    }
    stop = true;
    for (int number = 0; number < 2; number++)
        pthread_join(threads[number], NULL);
    printf("%d of %d\n", good, children);
    CHECK(good == children && bad == 0);
}

static void *some_calls(void *unused)
{
    (void)unused;
    for (int number = 0; number < 100; number++) {
        QrmiResourceMetadata *metadata = NULL;
        char *reason = NULL;
        QrmiResourceType type;
        if (qrmi_resource_metadata(shared, &metadata) == QRMI_RETURN_CODE_SUCCESS)
            qrmi_resource_metadata_free(metadata);
        else
            bad++;
        if (number % 20 == 0) {
            qrmi_config_resource_type_from_str("none", &type);
            reason = qrmi_get_last_error();
            if (reason == NULL)
                bad++;
            free(reason);
        }
    }
    return NULL;
}

static void threads(void)
{
    pthread_t all[8];
    shared = resource("one");
    for (int number = 0; number < 8; number++)
        pthread_create(&all[number], NULL, some_calls, NULL);
    for (int number = 0; number < 8; number++)
        pthread_join(all[number], NULL);
    CHECK(bad == 0);
    DONE(qrmi_resource_free(shared));
}

static void *one_call(void *unused)
{
    (void)unused;
    QrmiQuantumResource *one = resource("one");
    helper_of(one);
    DONE(qrmi_resource_free(one));
    return NULL;
}

static void small_stack(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 32768) == 0);
    CHECK(pthread_create(&thread, &attributes, one_call, NULL) == 0);
    pthread_join(thread, NULL);
}

/* --- the host's own state ---------------------------------------------------------------------- */

static volatile int signals_seen;

static void count(int number)
{
    (void)number;
    signals_seen++;
}

static void is_not_noticed(void)
{
    int before = number_of_descriptors();
    signal(SIGCHLD, count);
    signal(SIGPIPE, count);
    QrmiQuantumResource *one = resource("one");
    int helper = helper_of(one);
    CHECK(number_of_descriptors() == before + 2);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    kill(helper, SIGKILL);
    wait_for_end(helper);
    helper_of(one);
    DONE(qrmi_resource_free(one));
    CHECK(signals_seen == 0);
}

static void changed_environment(void)
{
    setenv("BENCH_WORD", "before", 1);
    QrmiQuantumResource *one = resource("one");
    char *word = fact(one, "BENCH_WORD");
    CHECK(strcmp(word, "before") == 0);
    free(word);
    setenv("BENCH_WORD", "after", 1);
    QrmiQuantumResource *two = resource("two");
    word = fact(two, "BENCH_WORD");
    CHECK(strcmp(word, "after") == 0);
    free(word);
    DONE(qrmi_resource_free(one));
    DONE(qrmi_resource_free(two));
}

static void signals_off(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int number = 1; number < 32; number++)
        signal(number, SIG_IGN);
    one_call(NULL);
}

static void closed_descriptors(void)
{
    int report = fcntl(2, F_DUPFD, 50);
    close(0);
    close(1);
    close(2);
    QrmiQuantumResource *one = resource("one");
    helper_of(one);
    dup2(report, 2);
}

static void no_descriptors(void)
{
    struct rlimit none = {(rlim_t)number_of_descriptors(), 100};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    QrmiResourceType type;
    CHECK(qrmi_config_resource_type_from_str("bench", &type) == QRMI_RETURN_CODE_ERROR);
    char *reason = qrmi_get_last_error();
    CHECK(strstr(reason, "Too many open files") != NULL);
    free(reason);
    none.rlim_cur = 100;
    setrlimit(RLIMIT_NOFILE, &none);
    one_call(NULL);
}

static void interrupted(void)
{
    signal(SIGINT, count);
    QrmiQuantumResource *one = resource("one");
    char *token = NULL;
    printf("%d\n", getpid());
    fflush(stdout);
    DONE(qrmi_resource_acquire(one, &token));
    CHECK(signals_seen == 1);
}

static void large_host(void)
{
    size_t size = (size_t)4 << 30;
    char *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(block != MAP_FAILED);
    for (size_t place = 0; place < size; place += 4096)
        block[place] = 1;
    struct timespec start, end;
    QrmiResourceType type;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    DONE(qrmi_config_resource_type_from_str("bench", &type));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    double used = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    printf("%.4f s\n", used);
    CHECK(used < 0.1);
}

static long peak(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void large_texts(size_t bytes)
{
    QrmiQuantumResource *one = resource("one");
    helper_of(one);
    long idle_kilobytes = peak();
    char *text = NULL, *task = NULL;
    DONE(qrmi_resource_task_result(one, "done", &text));
    CHECK(strlen(text) == bytes);
    free(text);
    long result = peak();
    text = malloc(bytes + 1);
    CHECK(text != NULL);
    memset(text, 'p', bytes);
    text[bytes] = '\0';
    QrmiPayload payload = {.tag = QRMI_PAYLOAD_QISKIT_PRIMITIVE, .QISKIT_PRIMITIVE = {text, "task"}};
    DONE(qrmi_resource_task_start(one, &payload, &task));
    long payload_too = peak();
    printf("%ld %ld %ld\n", idle_kilobytes, result - idle_kilobytes, payload_too - idle_kilobytes);
    free(text);
    free(task);
    CHECK(result - idle_kilobytes < (long)(bytes / 1024) + 5120);
    CHECK(payload_too - idle_kilobytes < (long)(bytes / 1024) + 5120);
    DONE(qrmi_resource_free(one));
}

static void times(void)
{
    QrmiQuantumResource *one = resource("one");
    double least = 1;
    for (int number = 0; number < 2000; number++) {
        struct timespec start, end;
        QrmiResourceMetadata *metadata = NULL;
        clock_gettime(CLOCK_MONOTONIC, &start);
        DONE(qrmi_resource_metadata(one, &metadata));
        clock_gettime(CLOCK_MONOTONIC, &end);
        DONE(qrmi_resource_metadata_free(metadata));
        double took = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
        least = took < least ? took : least;
    }
    printf("%.1f us, peak %ld kB\n", least * 1e6, peak());
}

/* A host that is killed while it waits, or ends in order; its helper's number comes first. */
static void leaves(const char *how)
{
    QrmiQuantumResource *one = resource("one");
    char *token = NULL;
    DONE(qrmi_resource_acquire(one, &token));
    printf("%d %s\n", helper_of(one), token);
    fflush(stdout);
    if (strcmp(how, "killed") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(how, "waiting") == 0)
        pause();
    if (strcmp(how, "releasing") == 0)
        qrmi_resource_release(one, token);
}

/* As the public SPANK plugin does: export the token, release through a new handle. */
static void exported_token(void)
{
    QrmiQuantumResource *one = resource("one");
    char *token = NULL;
    DONE(qrmi_resource_acquire(one, &token));
    DONE(qrmi_resource_free(one));
    setenv("one_QRMI_JOB_ACQUISITION_TOKEN", token, 1);
    QrmiQuantumResource *again = resource("one");
    DONE(qrmi_resource_release(again, token));
    DONE(qrmi_resource_free(again));
    free(token);
}

static void schedulers_token(void)
{
    setenv("one_QRMI_JOB_ACQUISITION_TOKEN", "theirs", 1);
    QrmiQuantumResource *one = resource("one");
    char *token = NULL;
    DONE(qrmi_resource_acquire(one, &token));
    CHECK(strcmp(token, "theirs") == 0);
    DONE(qrmi_resource_release(one, token));
    free(token);
    DONE(qrmi_resource_free(one));
}

static void loaded(const char *library)
{
    int before = number_of_descriptors();
    for (int round = 0; round < 3; round++) {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        CHECK(handle != NULL);
        QrmiReturnCode (*call)(const char *, QrmiResourceType *) = NULL;
        QrmiResourceType type;
        *(void **)&call = dlsym(handle, "qrmi_config_resource_type_from_str");
        CHECK(call != NULL && call("bench", &type) == QRMI_RETURN_CODE_SUCCESS);
        CHECK(dlclose(handle) == 0);
        CHECK(dlopen(library, RTLD_NOW | RTLD_NOLOAD) == NULL);
        CHECK(number_of_descriptors() == before);
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        CHECK(exit_status(child) == 0);
    }
}

int main(int number, char **words)
{
    const char *name = number > 1 ? words[1] : "";
    const char *argument = number > 2 ? words[2] : "";
#define CASE(case_name, call)                                                                      \
    if (strcmp(name, case_name) == 0) {                                                            \
        call;                                                                                      \
        return 0;                                                                                  \
    }
    CASE("one call", one_call(NULL))
    CASE("killed idle", killed_idle())
    CASE("killed in", killed_in(argument))
    CASE("acquisition", tasks_stay_under_the_acquisition())
    CASE("idle", idle())
    CASE("idle races", idle_races())
    CASE("fork idle", fork_idle())
    CASE("fork busy", fork_busy(atoi(argument)))
    CASE("threads", threads())
    CASE("small stack", small_stack())
    CASE("not noticed", is_not_noticed())
    CASE("changed environment", changed_environment())
    CASE("signals off", signals_off())
    CASE("closed descriptors", closed_descriptors())
    CASE("no descriptors", no_descriptors())
    CASE("interrupted", interrupted())
    CASE("large host", large_host())
    CASE("large texts", large_texts((size_t)atol(argument)))
    CASE("times", times())
    CASE("leaves", leaves(argument))
    CASE("exported token", exported_token())
    CASE("scheduler's token", schedulers_token())
    CASE("loaded", loaded(argument))
    return 2;
}
