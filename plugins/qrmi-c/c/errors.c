/* The last error of a thread, log records, and texts. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static __thread struct {
    QrmiReturnCode kind; /* 0 if there was no failure */
    char text[4096];
} last;

static _Atomic(QrmiLogCallback) callback;

/* Cut a text that was too long for its place where no UTF-8 character is cut. */
static void cut(char *text, size_t size)
{
    size_t length = size - 1;
    while (length > 0 && ((unsigned char)text[length - 1] & 0xC0u) == 0x80u)
        length--;
    if (length > 0)
        text[length - 1] = '\0';
}

QrmiReturnCode qi_fail(QrmiReturnCode code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(last.text, sizeof last.text, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof last.text)
        cut(last.text, sizeof last.text);
    last.kind = code;
#ifndef QRMI_NO_ERROR_RECORDS
    const char *filter = getenv("RUST_LOG");
    if (filter == NULL || strcmp(filter, "off") != 0)
        qi_log("ERROR", "qrmi", last.text);
#endif
    return code;
}

QrmiReturnCode qi_fail_memory(void)
{
    return qi_fail(QRMI_RETURN_CODE_ERROR, "out of memory");
}

char *qrmi_get_last_error(void)
{
    return last.kind == QRMI_RETURN_CODE_SUCCESS ? NULL : qi_copy(last.text);
}

QrmiReturnCode qrmi_get_last_error_kind(void)
{
    return last.kind == QRMI_RETURN_CODE_SUCCESS ? QRMI_RETURN_CODE_ERROR : last.kind;
}

QrmiReturnCode qrmi_log_callback_set(QrmiLogCallback function)
{
    atomic_store(&callback, function);
    return QRMI_RETURN_CODE_SUCCESS;
}

void qi_log(const char *level, const char *target, const char *message)
{
    QrmiLogCallback function = atomic_load(&callback);
    if (function != NULL)
        function(level, target, message);
    else
        fprintf(stderr, "[%s %s] %s\n", level, target, message);
}

char *qi_copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

qi_field qi_text(const char *text)
{
    return (qi_field){text, text == NULL ? 0 : strlen(text)};
}

QrmiReturnCode qrmi_string_free(char *ptr)
{
    if (ptr == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    free(ptr);
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_string_array_free(size_t size, char *array[])
{
    if (array == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    for (size_t number = 0; number < size; number++)
        free(array[number]);
    free(array);
    return QRMI_RETURN_CODE_SUCCESS;
}
