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
extern char **environ; /* of a hook at a job's ends what Slurm gives a Prolog, and no more */

int slurm_spank_init(spank_t spank, int argc, char *argv[])
{
    return spank_context() == S_CTX_SLURMD ? 0 : spank_option_register(spank, &qpu);
}

static void leave(int signal) /* slurmd drains the node of a hook that it had to end otherwise */
{
    _exit(0);
}

static void obey(spank_t spank, char *line) /* a line such as a TaskProlog may print */
{
    char *verb = strtok(line, " "), *what = strtok(NULL, "\n"), *value = what;
    if (what && !strcmp(verb, "print"))
        slurm_error("%s", what);
    else if (what && !strcmp(verb, "unset"))
        spank_unsetenv(spank, what);
    else if (what && !strcmp(verb, "export") && strsep(&value, "=") && value)
        spank_setenv(spank, what, value, 1);
}

static int run(spank_t spank, int argc, char *argv[], char *verb, char *option, char *env[])
{
    char *command[] = {argc ? argv[0] : "", verb, "--spank", option, NULL}, *line = NULL;
    int ends[2], status = -1;
    size_t size = 0;
    if (env == environ)
        signal(SIGTERM, leave);
    pid_t pid = pipe(ends) ? -1 : fork();
    if (pid == 0) {
        if (env == environ)
            setsid(); /* what a hook has begun is not ended with it */
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execve(command[0], command, env);
    }
    if (pid <= 0)
        slurm_error("spank_qrmi: cannot run '%s', which plugstack.conf names: %m", command[0]);
    if (pid == 0)
        _exit(127);
    if (pid < 0)
        return -1;
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    while (stream && getline(&line, &size, stream) > 0)
        obey(spank, line);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    free(line);
    if (stream)
        fclose(stream);
    return status;
}

int slurm_spank_job_prolog(spank_t spank, int argc, char *argv[])
{
    char *names, *option = NULL;
    if (spank_option_getopt(spank, &qpu, &names) == ESPANK_SUCCESS && names)
        option = asprintf(&option, "--qpu=%s", names) < 0 ? NULL : option;
    run(spank, argc, argv, "prolog", option, environ);
    return 0;
}

int slurm_spank_task_init(spank_t spank, int argc, char *argv[])
{
    char **env;
    return spank_get_item(spank, S_JOB_ENV, &env) != ESPANK_SUCCESS ||
           run(spank, argc, argv, "task-prolog", NULL, env) ? -1 : 0;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char *argv[])
{
    run(spank, argc, argv, "epilog", NULL, environ);
    return 0;
}
