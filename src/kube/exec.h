/* One run of an exec credential plugin (client.authentication.k8s.io) as a child process: without standard input, its
 * output bounded, ended after a time. */
#ifndef KUBE_EXEC_H
#define KUBE_EXEC_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "berth/slice.h"
#include "kube/config.h"

#define EXEC_TIMEOUT_MS 30000
#define EXEC_OUTPUT_MAX (1u << 20)

/* What a plugin gave. The texts are taken over by whoever gets it. */
struct exec_credential {
	char *token;
	char *cert_pem, *key_pem;
	int64_t expires_wall_ns; /* 0 = never */
};
void exec_credential_free(struct exec_credential *credential);
/* Of an ExecCredential's text. */
BERTH_MUST_CHECK int exec_credential_decode(
    struct slice text, const char *api_version, struct exec_credential *credential, struct err *err);

struct exec_run;

/* credential is NULL on failure, and err then says why. */
typedef void exec_done(void *ctx, struct exec_credential *credential, const struct err *err);

/* Never NULL; done is called on a later turn, exactly once, unless exec_cancel comes first. `config` is not kept. */
struct exec_run *exec_start(
    uv_loop_t *loop, const struct kube_config *config, unsigned timeout_ms, exec_done *done, void *ctx);
void exec_cancel(struct exec_run *run);

#endif
