/* The resources that an account reaches, and those of a job. */
#include "internal.h"

#include <stdlib.h>

struct QrmiResourceProvider {
    QrmiResourceType type;
    qi_texts settings; /* behind type and filters, which qi_call() gets */
};

enum { TYPE, FILTERS, SETTINGS };

QrmiResourceProvider *qrmi_provider_new(QrmiResourceType type,
                                        const QrmiEnvironmentVariables *environments)
{
    const char *word = qi_type_string(type);
    if (environments == NULL || word == NULL) {
        qi_fail(environments == NULL ? QRMI_RETURN_CODE_ERROR
                                     : QRMI_RETURN_CODE_UNSUPPORTED_RESOURCE_TYPE_ERROR,
                environments == NULL ? "environments is NULL" : "no resource type has this number");
        return NULL;
    }
    QrmiResourceProvider *provider = calloc(1, sizeof *provider);
    if (provider == NULL || !qi_pairs_copy(&provider->settings, SETTINGS, environments)) {
        free(provider);
        qi_fail(QRMI_RETURN_CODE_ERROR, "a key or value is NULL, or out of memory");
        return NULL;
    }
    provider->type = type;
    qi_reply reply;
    provider->settings.fields[TYPE] = qi_text(qi_copy(word));
    if (qi_call(NULL, QI_PROVIDER, provider->settings.fields, provider->settings.number, &reply) !=
        QRMI_RETURN_CODE_SUCCESS) {
        qrmi_provider_free(provider);
        return NULL;
    }
    qi_reply_free(&reply);
    return provider;
}

QrmiReturnCode qrmi_provider_free(QrmiResourceProvider *provider)
{
    if (provider == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    qi_texts_free(&provider->settings);
    free(provider);
    return QRMI_RETURN_CODE_SUCCESS;
}

/* Makes a resource of the first of some texts; NULL with the error kept. */
typedef QrmiQuantumResource *maker(const QrmiResourceProvider *provider, char *const *texts);

static QrmiQuantumResource *found(const QrmiResourceProvider *provider, char *const *texts)
{
    qi_texts settings;
    if (!qi_texts_copy(&settings, QI_OPEN_SETTINGS, provider->settings.fields + SETTINGS,
                       provider->settings.number - SETTINGS)) {
        qi_fail_memory();
        return NULL;
    }
    return qi_resource_new(texts[0], provider->type, "map", &settings);
}

/* A resource of a pair of name and type. */
static QrmiQuantumResource *paired(const QrmiResourceProvider *none, char *const *texts)
{
    (void)none;
    return qrmi_resource_new(texts[0], (QrmiResourceType)qi_type_number(texts[1]));
}

/* Make a resource of each group of texts of a reply, which is freed: all of them or none. */
static QrmiReturnCode make_all(qi_reply *reply, size_t group, maker *make,
                               const QrmiResourceProvider *provider, QrmiQuantumResources *outp)
{
    size_t number = reply->number / group;
    QrmiQuantumResources made = {calloc(number + 1, sizeof *made.resources), 0};
    bool done = made.resources != NULL;
    if (!done)
        qi_fail_memory();
    while (done && made.length < number) {
        QrmiQuantumResource *resource = make(provider, reply->texts + group * made.length);
        done = resource != NULL;
        if (done)
            made.resources[made.length++] = resource;
    }
    qi_reply_free(reply);
    if (done) {
        *outp = made;
        return QRMI_RETURN_CODE_SUCCESS;
    }
    qi_resources_free(&made);
    return qrmi_get_last_error_kind();
}

/* Get the ids that match; the filters are a text for this call alone. */
static QrmiReturnCode matching(const QrmiResourceProvider *provider, const char *filters,
                               qi_reply *reply)
{
    size_t number = provider->settings.number;
    qi_field *fields = malloc(number * sizeof *fields);
    if (fields == NULL)
        return qi_fail_memory();
    for (size_t field = 0; field < number; field++)
        fields[field] = provider->settings.fields[field];
    fields[FILTERS] = qi_text(filters);
    QrmiReturnCode code = qi_call(NULL, QI_RESOURCES, fields, number, reply);
    free(fields);
    return code;
}

QrmiReturnCode qrmi_provider_resources(QrmiResourceProvider *provider, const char *filters,
                                       QrmiQuantumResources *outp)
{
    if (provider == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    qi_reply reply;
    QrmiReturnCode code = matching(provider, filters, &reply);
    if (code != QRMI_RETURN_CODE_SUCCESS)
        return code;
    return make_all(&reply, 1, found, provider, outp);
}

QrmiReturnCode qrmi_provider_resources_free(QrmiQuantumResources *resources)
{
    return qi_resources_free(resources);
}

QrmiReturnCode qrmi_provider_least_busy(QrmiResourceProvider *provider, const char *filters,
                                        QrmiQuantumResource **outp)
{
    if (provider == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    qi_reply reply;
    QrmiReturnCode code = matching(provider, filters, &reply);
    if (code != QRMI_RETURN_CODE_SUCCESS)
        return code;
    *outp = NULL;
    if (reply.number > 0) {
        *outp = found(provider, reply.texts);
        if (*outp == NULL)
            code = qrmi_get_last_error_kind();
    }
    qi_reply_free(&reply);
    return code;
}

QrmiReturnCode qrmi_service_resources(QrmiQuantumResources *outp)
{
    if (outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    qi_reply reply;
    qi_texts environment;
    if (!qi_environment_copy(&environment, 0))
        return qi_fail_memory();
    QrmiReturnCode code =
        qi_call(NULL, QI_SERVICE, environment.fields, environment.number, &reply);
    qi_texts_free(&environment);
    if (code != QRMI_RETURN_CODE_SUCCESS)
        return code;
    return make_all(&reply, 2, paired, NULL, outp);
}

QrmiReturnCode qrmi_service_resources_free(QrmiQuantumResources *resources)
{
    return qi_resources_free(resources);
}
