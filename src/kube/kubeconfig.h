/* A kubeconfig's text without its surroundings: no file is read and no variable is looked at, so any bytes may be
 * given. */
#ifndef KUBE_KUBECONFIG_H
#define KUBE_KUBECONFIG_H

#include "berth/slice.h"
#include "kube/config.h"

struct kubeconfig_text {
	struct slice text;
	const char *name; /* what errors call it */
};

/* Files that the kubeconfig names, as written there; NULL where it has none or the text itself inline. */
struct kubeconfig_files {
	char *ca, *cert, *key;
	const char *cluster_in, *user_in; /* the names of the texts that hold cluster and user */
};

/* Fills `config` (zeroed before) and `files` from the current context. Several texts count as one: of the current
 * contexts, and of entries with the same name, the first is taken. config->token_file and a relative exec command stay
 * as written. Whatever the result, both are to be freed by the caller. */
BERTH_MUST_CHECK int kubeconfig_parse(const struct kubeconfig_text *texts, size_t count, struct kube_config *config,
    struct kubeconfig_files *files, struct err *err);
void kubeconfig_files_free(struct kubeconfig_files *files);
/* Frees a list of texts that ends with NULL, and the list. */
void kubeconfig_texts_free(char **texts);

#endif
