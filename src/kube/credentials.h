/* Who we are at the API server, kept fresh: a fixed token, a token file that is read again, or an exec plugin. */
#ifndef KUBE_CREDENTIALS_H
#define KUBE_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "kube/config.h"

struct credentials;

/* `config` must outlive it. `changed` is called when what a plugin gave is there, new or failed; it must not close. */
struct credentials *credentials_open(
    uv_loop_t *loop, const struct kube_config *config, void (*changed)(void *ctx), void *ctx);
void credentials_close(struct credentials *credentials);
/* Whether a request may be sent now. False while a plugin has not given anything yet (`changed` will say) or the token
 * file has no token (ask again). Starts whatever is needed to get there or to stay there. */
bool credentials_ready(struct credentials *credentials);
/* NULL when there is none. */
const char *credentials_token(struct credentials *credentials);
/* A plugin's own, otherwise the config's; NULL when there is none. */
const char *credentials_cert(const struct credentials *credentials);
const char *credentials_key(const struct credentials *credentials);
/* Grows whenever token or certificate change. */
unsigned credentials_generation(const struct credentials *credentials);
/* Grows whenever the certificate changes: connections made with the old one are of no use. */
unsigned credentials_cert_generation(const struct credentials *credentials);
/* The server answered 401 to a request made with this generation. Gets new ones unless that has happened since. False
 * when there is nothing that could become different. */
bool credentials_expired(struct credentials *credentials, unsigned generation);
/* Why there are none, or NULL. */
const char *credentials_error(const struct credentials *credentials);

#endif
