#include "sim/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/foreign.h"
#include "sim/kubelet.h"

struct sim_cluster {
	uv_loop_t *loop;
	struct sim_store *store;
	struct sim_api *api;
	struct sim_kubelet *kubelet;
	struct sim_audit *audit;
	struct sim_view *view;
	struct sim_driver *driver;
	struct sim_foreign *foreign;
	char *token;
};

struct sim_cluster *sim_cluster_start(uv_loop_t *loop, const struct sim_cluster_options *options, struct err *err)
{
	struct sim_cluster *cluster = xcalloc(1, sizeof *cluster);

	cluster->loop = loop;
	cluster->store = sim_store_new(options->history_max ? options->history_max : SIM_HISTORY_MAX);
	cluster->api = sim_api_start(loop, cluster->store, &options->api, err);
	if (!cluster->api) {
		sim_store_free(cluster->store);
		free(cluster);
		return NULL;
	}
	cluster->token = options->api.token ? xstrdup(options->api.token) : NULL;
	cluster->audit = options->audit ? sim_audit_new(cluster->store) : NULL;
	cluster->kubelet = sim_kubelet_start(loop, cluster->store, &(struct sim_kubelet_options){0});
	return cluster;
}

struct sim_store *sim_cluster_store(struct sim_cluster *cluster)
{
	return cluster->store;
}

struct sim_api *sim_cluster_api(struct sim_cluster *cluster)
{
	return cluster->api;
}

struct sim_audit *sim_cluster_audit(struct sim_cluster *cluster)
{
	return cluster->audit;
}

struct sim_driver *sim_cluster_driver(struct sim_cluster *cluster)
{
	return cluster->driver;
}

struct sim_view *sim_cluster_view(struct sim_cluster *cluster)
{
	return cluster->view;
}

int sim_cluster_drive(struct sim_cluster *cluster, const struct sim_driver_options *options, struct err *err)
{
	cluster->view = sim_view_new(cluster->store);
	cluster->driver = sim_driver_start(cluster->loop, cluster->view, options, err);
	if (!cluster->driver) {
		sim_view_free(cluster->view);
		cluster->view = NULL;
		return err->code;
	}
	cluster->foreign = sim_foreign_start(cluster->loop, cluster->view, cluster->driver);
	return 0;
}

int sim_cluster_kubeconfig(const struct sim_cluster *cluster, const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(err, ERR_SYSTEM, "cannot write %s: %s", path, strerror(errno));
	int written = dprintf(fd,
	    "apiVersion: v1\nkind: Config\ncurrent-context: sim\nclusters:\n- name: sim\n  cluster:\n    server: "
	    "http://127.0.0.1:%u\ncontexts:\n- name: sim\n  context: {cluster: sim, user: sim}\nusers:\n- name: sim\n  "
	    "user: {%s%s%s}\n",
	    sim_api_port(cluster->api), cluster->token ? "token: \"" : "", cluster->token ? cluster->token : "",
	    cluster->token ? "\"" : "");

	if (close(fd) != 0 || written < 0)
		return err_set(err, ERR_SYSTEM, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

static void api_stopped(void *ctx)
{
	struct sim_cluster *cluster = ctx;

	sim_store_free(cluster->store);
	free(cluster->token);
	free(cluster);
}

void sim_cluster_stop(struct sim_cluster *cluster)
{
	if (cluster->driver) {
		sim_foreign_stop(cluster->foreign);
		sim_driver_stop(cluster->driver);
		sim_view_free(cluster->view);
	}
	sim_kubelet_stop(cluster->kubelet);
	if (cluster->audit)
		sim_audit_free(cluster->audit);
	sim_api_stop(cluster->api, api_stopped, cluster);
}
