/* The nodes of a live cluster, read once: for subcommands that need no daemon. */
#ifndef CLI_NODES_H
#define CLI_NODES_H

#include "base/err.h"
#include "berth/slice.h"

/* One page: the text of a NodeList, valid during the call. An error ends the reading. */
typedef int nodes_page(void *ctx, struct slice list, struct err *err);

/* Lists them page by page; `kubeconfig` as in kube_config_load. Returns 0, ERR_UNREACHABLE where the API server did not
 * answer or refused, or another code. */
BERTH_MUST_CHECK int nodes_read(const char *kubeconfig, nodes_page *page, void *ctx, struct err *err);

#endif
