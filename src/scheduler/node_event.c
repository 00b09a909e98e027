#include "scheduler/internal.h"

void node_tell(
    struct scheduler *s, const char *node, const char *action, const char *type, const char *reason, const char *note)
{
	/* Events of a node that kubectl describe shows bear its name as the UID, as kubelet's do. */
	kube_emit(s->kube,
	    &(struct kube_event){.api_version = "v1",
	        .kind = "Node",
	        .name = node,
	        .uid = node,
	        .type = type,
	        .reason = reason,
	        .action = action,
	        .note = note},
	    NULL, NULL);
}
