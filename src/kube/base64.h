/* Base64 (RFC 4648, section 4), as kubeconfigs and exec plugins carry PEM texts: padding is required, line ends are
 * skipped, anything else is an error. */
#ifndef KUBE_BASE64_H
#define KUBE_BASE64_H

#include "berth/slice.h"

/* The decoded bytes, terminated, to be freed by the caller; NULL when `text` is not Base64. */
char *base64_decode(struct slice text, size_t *len);
/* The encoded text, terminated, to be freed by the caller. */
char *base64_encode(struct slice bytes);

#endif
