/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The option --qpu, and the hooks of qrmi-slurm. plugstack.conf: required spank_qrmi.so PROGRAM
 * The hooks at the ends of a job never fail, since that drains the node: what went wrong is in
 * the job's record, and PROGRAM tells it to the user before each task.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <slurm/spank.h>

SPANK_PLUGIN(spank_qrmi, 1)

static struct spank_option qpu = {
    "qpu", "names", "QPUs that the job uses, separated by commas", 1, 0, NULL};
extern char **environ; /* in a job's script context what Slurm gives a Prolog, no daemon's own */

int slurm_spank_init(spank_t spank, int argc, char *argv[])
{
    return spank_context() == S_CTX_SLURMD ? 0 : spank_option_register(spank, &qpu);
}

static void leave(int number) /* slurmd drains the node of a hook that it had to end */
{
    _exit(0);
}

static void obey(spank_t spank, char *line) /* what a TaskProlog may print */
{
    char *value = strchr(line, '=');
    line[strcspn(line, "\n")] = '\0';
    if (!strncmp(line, "print ", 6)) {
        slurm_error("%s", line + 6);
    } else if (!strncmp(line, "unset ", 6)) {
        spank_unsetenv(spank, line + 6);
    } else if (!strncmp(line, "export ", 7) && value) {
        *value = '\0';
        spank_setenv(spank, line + 7, value + 1, 1);
    }
}

static int run(spank_t spank, char *program, char *verb, char *option, char **env)
{
    char *line = NULL;
    size_t size = 0;
    int ends[2], status = -1;
    pid_t pid;
    FILE *stream;

    if (!program || pipe(ends) || (pid = fork()) < 0)
        return slurm_error("spank_qrmi: %s", program ? strerror(errno) : "no program is given"), -1;
    if (!pid) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (env == environ)
            setsid(); /* a hook goes on until what it began is done */
        execve(program, (char *[]){program, verb, "--spank", option, NULL}, env);
        slurm_error("spank_qrmi: cannot run %s: %m", program);
        _exit(127);
    }
    close(ends[1]);
    for (stream = fdopen(ends[0], "r"); stream && getline(&line, &size, stream) > 0;)
        obey(spank, line);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (stream)
        fclose(stream);
    free(line);
    return status;
}

int slurm_spank_job_prolog(spank_t spank, int argc, char *argv[])
{
    char *names = NULL, *option = NULL;
    signal(SIGTERM, leave);
    if (spank_option_getopt(spank, &qpu, &names) == ESPANK_SUCCESS && names &&
        asprintf(&option, "--qpu=%s", names) < 0)
        option = NULL;
    run(spank, argc ? argv[0] : NULL, "prolog", option, environ);
    free(option);
    return 0;
}

int slurm_spank_task_init(spank_t spank, int argc, char *argv[])
{
    char **env;
    if (spank_get_item(spank, S_JOB_ENV, &env) != ESPANK_SUCCESS)
        return -1;
    return run(spank, argc ? argv[0] : NULL, "task-prolog", NULL, env) ? -1 : 0;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char *argv[])
{
    signal(SIGTERM, leave);
    run(spank, argc ? argv[0] : NULL, "epilog", NULL, environ);
    return 0;
}
