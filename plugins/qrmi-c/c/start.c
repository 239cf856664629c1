/* Starting the helper so that the host does not notice: no child of its own, no signal, no copied
   page table, no descriptor but one. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define STACK 65536u
#define CONTROL 3
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

struct launch {
    char *python;
    char **environment;
    char *stacks;
    int control;
    int messages;
    int error; /* of execve(), written by the new process into the host's memory */
};

static void close_from(int first)
{
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
        return;
    struct rlimit limit = {1024, 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    for (rlim_t number = (rlim_t)first; number < limit.rlim_cur; number++)
        close((int)number);
}

/* Return a copy above the descriptors that the helper gets.  fcntl() has a new version in glibc. */
static int above(int descriptor)
{
    return descriptor < 0 ? -1 : (int)syscall(SYS_fcntl, descriptor, F_DUPFD, CONTROL + 1);
}

/* The helper's process, until Python runs in it. */
static int become_python(void *argument)
{
    struct launch *launch = argument;
    setsid();
    for (int number = 1; number < _NSIG; number++)
        signal(number, SIG_DFL);
    int control = above(launch->control);
    int messages = above(launch->messages);
    int null = above(open("/dev/null", O_RDWR));
    dup2(null, 0);
    dup2(null, 1);
    dup2(messages < 0 ? null : messages, 2);
    dup2(control, CONTROL);
    close_from(CONTROL + 1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char *words[] = {launch->python, "-I", "-m", "qrmi_c.helper", NULL};
    execve(launch->python, words, launch->environment);
    launch->error = errno;
    _exit(127);
}

#ifdef QRMI_PLAIN_FORK
/* For ThreadSanitizer, which does not bear two processes in one memory.  Not fork(): its handlers
   would take the lock, which is held. */
static long copy_process(int signal_at_end)
{
    return syscall(SYS_clone, signal_at_end, 0, 0, 0, 0);
}
#endif

/* The process between host and helper: its end makes the helper nobody's child. */
static int start_and_end(void *argument)
{
    struct launch *launch = argument;
#ifdef QRMI_PLAIN_FORK
    long helper = copy_process(SIGCHLD);
    if (helper == 0)
        become_python(launch);
#else
    int helper = clone(become_python, launch->stacks + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, launch);
#endif
    if (helper < 0)
        launch->error = errno;
    _exit(0);
}

static void launch_helper(struct launch *launch)
{
    sigset_t all, before;
    int state = 0;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
#ifdef QRMI_PLAIN_FORK
    int between = (int)copy_process(0);
    if (between == 0)
        start_and_end(launch);
#else
    /* Without a signal at its end, so that only __WALL finds it. */
    int between = clone(start_and_end, launch->stacks + 2 * STACK, CLONE_VM | CLONE_VFORK, launch);
#endif
    if (between < 0)
        launch->error = errno;
    else
        while (waitpid(between, NULL, __WALL) < 0 && errno == EINTR)
            ;
    pthread_setcancelstate(state, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Return the environment of the helper, whose texts are the host's: nothing that changes Python, and
   next to nothing in a program with more rights than its user. */
static char **helper_environment(void)
{
    bool secure = getauxval(AT_SECURE) != 0;
    size_t number = 0;
    while (environ != NULL && environ[number] != NULL)
        number++;
    char **kept = calloc(number + 1, sizeof *kept);
    for (size_t from = 0, to = 0; kept != NULL && from < number; from++)
        if (secure ? strncmp(environ[from], "PATH=", 5) == 0
                   : strncmp(environ[from], "PYTHON", 6) != 0)
            kept[to++] = environ[from];
    return kept;
}

static bool prepare(struct launch *launch, char *reason, size_t size)
{
    launch->python = qi_find_python(reason, size);
    if (launch->python == NULL)
        return false;
    launch->environment = helper_environment();
    launch->stacks = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (launch->environment != NULL && launch->stacks != MAP_FAILED)
        return true;
    snprintf(reason, size, "out of memory");
    return false;
}

int qi_start(int *messages, char *reason, size_t size)
{
    struct launch launch = {.stacks = MAP_FAILED, .messages = -1};
    int sockets[2] = {-1, -1};
    reason[0] = '\0';
    if (prepare(&launch, reason, size)) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
            snprintf(reason, size, "no socket: %s", strerror(errno));
        } else {
            launch.control = sockets[1];
#ifdef SYS_memfd_create
            launch.messages = (int)syscall(SYS_memfd_create, "qrmi-c", 1u /* MFD_CLOEXEC */);
#endif
            launch_helper(&launch);
            close(sockets[1]);
        }
    }
    if (launch.error != 0)
        snprintf(reason, size, "%s cannot be started: %s", launch.python, strerror(launch.error));
    if (reason[0] != '\0') {
        if (sockets[0] >= 0)
            close(sockets[0]);
        if (launch.messages >= 0)
            close(launch.messages);
        sockets[0] = launch.messages = -1;
    }
    if (launch.stacks != MAP_FAILED)
        munmap(launch.stacks, 2 * STACK);
    free(launch.environment);
    free(launch.python);
    *messages = launch.messages;
    return sockets[0];
}
