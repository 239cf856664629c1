/* Where the Python interpreter is. */
#include "internal.h"

#include <elf.h>
#include <link.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static int has_this_code(struct dl_phdr_info *object, size_t size, void *result)
{
    (void)size;
    char **path = result;
    bool program = *path == NULL; /* it comes first, and its name is empty or what it was called */
    uintptr_t here = (uintptr_t)&has_this_code;
    if (program)
        *path = "";
    for (int number = 0; number < object->dlpi_phnum; number++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[number];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && here >= start && here - start < segment->p_memsz) {
            *path = program ? "/proc/self/exe" : (char *)(uintptr_t)object->dlpi_name;
            return 1;
        }
    }
    return 0;
}

/* Return "HEAD" "TAIL" as a block of its own, the head cut to its length. */
static char *joined(const char *head, size_t length, const char *tail, size_t tail_length)
{
    char *path = malloc(length + tail_length + 1);
    if (path != NULL) {
        memcpy(path, head, length);
        memcpy(path + length, tail, tail_length);
        path[length + tail_length] = '\0';
    }
    return path;
}

/* Return the first line of the file libqrmi.python in the folder of a path. */
static char *named_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = slash ? joined(path, (size_t)(slash - path), "/libqrmi.python", 15) : NULL;
    FILE *file = name ? fopen(name, "re") : NULL;
    char *line = file ? malloc(PATH_MAX) : NULL;
    if (line != NULL && fgets(line, PATH_MAX, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
    } else {
        free(line);
        line = NULL;
    }
    if (file != NULL)
        fclose(file);
    free(name);
    return line;
}

/* Return PREFIX/bin/pythonX.Y for a path in PREFIX/lib/pythonX.Y or PREFIX/lib64/pythonX.Y. */
static char *of_environment(const char *path)
{
    char *found = NULL;
    for (const char *part = path; found == NULL && (part = strstr(part, "/lib")) != NULL; part++) {
        const char *python = part + (strncmp(part, "/lib64/", 7) == 0 ? 6 : 4);
        if (strncmp(python, "/python3.", 9) != 0)
            continue;
        char *bin = joined(path, (size_t)(part - path), "/bin", 4);
        if (bin != NULL)
            found = joined(bin, strlen(bin), python, 1 + strcspn(python + 1, "/"));
        free(bin);
        if (found != NULL && access(found, X_OK) != 0) {
            free(found);
            found = NULL;
        }
    }
    return found;
}

char *qi_find_python(char *reason, size_t size)
{
    const char *named = getauxval(AT_SECURE) ? NULL : getenv("QRMI_PYTHON");
    if (named != NULL && named[0] != '\0') {
        if (named[0] == '/')
            return qi_copy(named);
        snprintf(reason, size, "QRMI_PYTHON must be an absolute path, not %s", named);
        return NULL;
    }
    char *own = NULL;
    dl_iterate_phdr(has_this_code, &own);
    /* A link may lead into an environment, or out of it. */
    char *real = own && own[0] ? realpath(own, NULL) : NULL;
    char *found = NULL;
    if (own != NULL && own[0] == '/' && strcmp(own, "/proc/self/exe") != 0) {
        found = named_beside(own);
        found = found ? found : of_environment(own);
    }
    if (found == NULL && real != NULL) {
        found = named_beside(real);
        found = found ? found : of_environment(real);
    }
#ifdef QRMI_DEFAULT_PYTHON
    found = found ? found : qi_copy(QRMI_DEFAULT_PYTHON);
#endif
    if (found == NULL)
        snprintf(reason, size,
                 "no Python is known: set QRMI_PYTHON to the interpreter that has qrmi-c, "
                 "or write its path into libqrmi.python in the folder of %s",
                 real ? real : "the library");
    free(real);
    return found;
}
