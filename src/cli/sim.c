#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "sim/cluster.h"
#include "sim/fleet.h"

#define NODES_MAX 100000
#define PODS_MAX 1000000

static const char help[] =
    "Usage: berth sim [OPTIONS]\n"
    "\n"
    "Runs the embedded cluster alone: an API server look-alike over HTTP, with kubelets that are played, until it is "
    "ended.\n"
    "Prints `listening: ADDR:PORT`, `kubeconfig: PATH` and, when it serves, `ready`.\n"
    "\n"
    "      --listen ADDR:PORT     where to serve (default 127.0.0.1:0, a free port)\n"
    "      --fleet FILE           make the nodes of a fleet file\n"
    "      --nodes N              make N synthetic nodes of 8 GPUs\n"
    "      --pods N               and N running pods on them\n"
    "      --kubeconfig-out PATH  where to write the kubeconfig (default: a temporary file)\n"
    "      --drive URL            play kube-scheduler against the extender at URL (http://127.0.0.1:8765/v1)\n"
    "      --token T              ask for this bearer token\n"
    "      --help\n";

struct options {
	const char *listen, *fleet, *kubeconfig, *drive, *token;
	long nodes, pods;
};

static bool read_count(const char *text, long max, long *out)
{
	char *end;

	*out = strtol(text, &end, 10);
	return *text && !*end && *out >= 0 && *out <= max;
}

/* EXIT_YES to go on, else what to exit with; *done when the help was asked for. */
static int read_options(int argc, char **argv, struct options *o, bool *done)
{
	static const struct option options[] = {
	    {"listen", required_argument, NULL, 'l'},
	    {"fleet", required_argument, NULL, 'f'},
	    {"nodes", required_argument, NULL, 'n'},
	    {"pods", required_argument, NULL, 'p'},
	    {"kubeconfig-out", required_argument, NULL, 'k'},
	    {"drive", required_argument, NULL, 'd'},
	    {"token", required_argument, NULL, 't'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	bool good = true;

	optind = 1;
	for (int c; good && (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 'l':
			o->listen = optarg;
			break;
		case 'f':
			o->fleet = optarg;
			break;
		case 'n':
			good = read_count(optarg, NODES_MAX, &o->nodes);
			break;
		case 'p':
			good = read_count(optarg, PODS_MAX, &o->pods);
			break;
		case 'k':
			o->kubeconfig = optarg;
			break;
		case 'd':
			o->drive = optarg;
			break;
		case 't':
			o->token = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			*done = true;
			return EXIT_YES;
		default:
			good = false;
		}
	}
	if (good && optind == argc)
		return EXIT_YES;
	fputs("berth sim: bad options; see berth sim --help\n", stderr);
	return EXIT_USAGE;
}

static int fill(struct sim_store *store, const struct options *o, struct err *err)
{
	struct buf text;

	if (o->fleet) {
		buf_init(&text, YAML_TEXT_MAX);
		if (file_read(o->fleet, &text, err) != 0) {
			buf_free(&text);
			return err->code;
		}
		struct sim_fleet *fleet = sim_fleet_load(buf_slice(&text), o->fleet, err);
		int code = fleet ? sim_fleet_make(fleet, store, err) : err->code;

		if (fleet)
			sim_fleet_free(fleet);
		buf_free(&text);
		if (code != 0)
			return code;
	}
	return sim_nodes_synthetic(store, (size_t)o->nodes, (size_t)o->pods, err);
}

static void close_signals(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (handle->type == UV_SIGNAL && !uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	if (!uv_is_closing((uv_handle_t *)handle))
		sim_cluster_stop(handle->loop->data);
	uv_walk(handle->loop, close_signals, NULL);
}

static void watch_signals(uv_loop_t *loop, uv_signal_t signals[2])
{
	static const int numbers[] = {SIGTERM, SIGINT};

	for (size_t i = 0; i < 2; i++) {
		uv_signal_init(loop, &signals[i]);
		uv_signal_start(&signals[i], on_signal, numbers[i]);
	}
}

/* A file of our own in the temporary directory. */
static int temporary_path(char path[256], struct err *err)
{
	const char *dir = getenv("TMPDIR");

	snprintf(path, 256, "%.200s/berth-sim-XXXXXX", dir && *dir ? dir : "/tmp");
	int fd = mkstemp(path);

	if (fd < 0)
		return err_set(err, ERR_SYSTEM, "cannot make a temporary file in %.200s", path);
	close(fd);
	return 0;
}

static int announce(struct sim_cluster *cluster, const char *path, struct err *err)
{
	if (sim_cluster_kubeconfig(cluster, path, err) != 0)
		return err->code;
	printf("listening: 127.0.0.1:%u\nkubeconfig: %s\nready\n", sim_api_port(sim_cluster_api(cluster)), path);
	fflush(stdout);
	return 0;
}

/* Fills, serves and waits; the loop is empty again when it returns. */
static int run(uv_loop_t *loop, const struct options *o, const char *path, struct err *err)
{
	struct sim_cluster_options options = {.api = {.listen = o->listen, .token = o->token}};
	struct sim_cluster *cluster = sim_cluster_start(loop, &options, err);
	uv_signal_t signals[2];

	if (!cluster)
		return err->code;
	int code = fill(sim_cluster_store(cluster), o, err);

	if (code == 0 && o->drive)
		code = sim_cluster_drive(cluster, &(struct sim_driver_options){.url = o->drive}, err);
	/* Who reads the announcement may end this at once. */
	loop->data = cluster;
	watch_signals(loop, signals);
	if (code == 0)
		code = announce(cluster, path, err);
	if (code != 0) {
		sim_cluster_stop(cluster);
		uv_walk(loop, close_signals, NULL);
	}
	uv_run(loop, UV_RUN_DEFAULT);
	return code;
}

int cli_sim(int argc, char **argv)
{
	struct options o = {0};
	bool done = false;
	int code = read_options(argc, argv, &o, &done);
	char path[256] = "";
	uv_loop_t loop;
	struct err err;

	if (code != EXIT_YES || done)
		return code;
	if (!o.kubeconfig && temporary_path(path, &err) != 0) {
		fprintf(stderr, "berth sim: %s\n", err.text);
		return EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&loop);
	if (run(&loop, &o, o.kubeconfig ? o.kubeconfig : path, &err) != 0) {
		fprintf(stderr, "berth sim: %s\n", err.text);
		code = EXIT_USAGE;
	}
	uv_loop_close(&loop);
	if (path[0])
		unlink(path);
	return code;
}
