#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/embedded.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "scheduler/scheduler.h"

#define LARGE_BYTES (1 << 20)
#define HOST_NAME_BYTES 256

static const char usage[] =
    "usage: berth serve --policy FILE [OPTION ...]\n\n"
    "  --policy FILE               the placement policy; read again when it changes\n"
    "  --kubeconfig FILE           default: KUBECONFIG, the pod's service account, ~/.kube/config\n"
    "  --listen ADDR:PORT          kube-scheduler's calls (127.0.0.1:8765)\n"
    "  --listen-ops ADDR:PORT      probes, metrics, state, explain (127.0.0.1:8766); :PORT is every address\n"
    "  --reservation-ttl TIME      from filter to bind (30s)\n"
    "  --reservation-ttl-volumes TIME  the same where volumes or claims are bound in between (660s)\n"
    "  --lease NAMESPACE/NAME      kube-scheduler's Lease where it elects a leader: active is the berth beside its\n"
    "                              holder, all others stand by; without it this berth is always active\n"
    "  --renew-deadline TIME       kube-scheduler's renewDeadline: nothing is written later than that after a\n"
    "                              renewal (10s)\n"
    "  --identity NAME             the host's name as kube-scheduler beside it has it (the host's name)\n"
    "  --usage NAMESPACE/NAME      the ConfigMap of what teams spend, where the policy has some (berth-usage in\n"
    "                              POD_NAMESPACE, or default)\n"
    "  --active-lease NAMESPACE/NAME  a Lease that this berth renews while it is active, for `berth guard`\n"
    "  --moves NAMESPACE/NAME      the ConfigMap that moves are written to while they last (berth-moves, in "
    "POD_NAMESPACE)\n"
    "  --catalogue FILE            GPU models beside, or instead of, the built-in ones\n"
    "  --log-level LEVEL           debug, info, warn or error (info)\n"
    "  --help\n"
    "\n"
    "exit codes: 0 ended by a signal, 2 bad usage, or a file or address that cannot be used\n";

struct serve {
	uv_loop_t loop;
	uv_signal_t term, interrupt, hangup;
	struct scheduler *scheduler;
	struct scheduler_options options;
	bool ending;
	int code;
};

/* Hundreds of parked binds are as many connections: the soft limit of descriptors is raised to the hard one. */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void stopped(void *ctx)
{
	struct serve *serve = ctx;
	uv_close((uv_handle_t *)&serve->term, NULL);
	uv_close((uv_handle_t *)&serve->interrupt, NULL);
	uv_close((uv_handle_t *)&serve->hangup, NULL);
}

/* Another berth leads now. What this one knows and promised goes, as if it were started only now. */
static void start_anew(void *ctx)
{
	struct serve *serve = ctx;
	struct err err;
	if (!serve->ending)
		serve->scheduler = scheduler_start(&serve->loop, &serve->options, &err);
	if (serve->scheduler)
		return;
	if (!serve->ending) {
		log_error("cannot begin anew", "error=%s", log_quote(err.text));
		serve->code = EXIT_USAGE;
	}
	stopped(serve);
}

static void lost(void *ctx)
{
	struct serve *serve = ctx;
	struct scheduler *scheduler = serve->scheduler;
	serve->scheduler = NULL;
	scheduler_stop(scheduler, start_anew, serve);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct serve *serve = signal->data;
	if (number == SIGHUP) {
		if (serve->scheduler)
			scheduler_reload(serve->scheduler);
		return;
	}
	if (serve->ending)
		return;
	serve->ending = true;
	uv_signal_stop(signal);
	log_info("stopping", "signal=%d", number);
	if (serve->scheduler)
		scheduler_stop(serve->scheduler, stopped, serve);
	serve->scheduler = NULL;
}

static void watch_signal(struct serve *serve, uv_signal_t *signal, int number)
{
	uv_signal_init(&serve->loop, signal);
	signal->data = serve;
	uv_signal_start(signal, on_signal, number);
}

/* Large buffers (a page of a list, a call of very many names, /v1/state) go back to the system when they are freed.
 * Left to itself glibc takes them from its heap once one of them was freed, and whatever small thing is put behind them
 * keeps their memory. Kept for the next call is what usual ones need. */
static void return_large_buffers(void)
{
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	mallopt(M_TRIM_THRESHOLD, 4 * LARGE_BYTES);
}

static int run(const struct scheduler_options *options)
{
	struct serve serve = {.options = *options, .code = EXIT_YES};
	struct err err;
	serve.options.lost = lost;
	serve.options.lost_ctx = &serve;
	return_large_buffers();
	raise_descriptors();
	uv_loop_init(&serve.loop);
	serve.scheduler = scheduler_start(&serve.loop, &serve.options, &err);
	if (!serve.scheduler) {
		fprintf(stderr, "berth serve: %s\n", err.text);
		uv_run(&serve.loop, UV_RUN_DEFAULT);
		uv_loop_close(&serve.loop);
		return EXIT_USAGE;
	}
	watch_signal(&serve, &serve.term, SIGTERM);
	watch_signal(&serve, &serve.interrupt, SIGINT);
	watch_signal(&serve, &serve.hangup, SIGHUP);
	log_info("serving", "listen_port=%u ops_port=%u version=%s", scheduler_port(serve.scheduler),
	    scheduler_ops_port(serve.scheduler), BERTH_VERSION);
	uv_run(&serve.loop, UV_RUN_DEFAULT);
	uv_loop_close(&serve.loop);
	return serve.code;
}

static struct catalogue *load_catalogue(const char *path, struct err *err)
{
	struct buf extra;
	struct slice builtin = embedded_text("gpus.yaml");
	buf_init(&extra, 4u << 20);
	if (path && file_read(path, &extra, err) != 0) {
		buf_free(&extra);
		return NULL;
	}
	struct catalogue *catalogue = catalogue_load(builtin, buf_slice(&extra), path, err);
	buf_free(&extra);
	return catalogue;
}

static int bad_usage(const char *text, const char *value)
{
	fprintf(stderr, "berth serve: %s%s\n\n%s", text, value, usage);
	return EXIT_USAGE;
}

/* NAMESPACE/NAME, of names that can stand in a path. */
static bool is_path(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t first = strspn(text, allowed), second = text[first] == '/' ? strspn(text + first + 1, allowed) : 0;
	return first > 0 && first <= 63 && second > 0 && second <= 253 && text[first + 1 + second] == '\0';
}

int cli_serve(int argc, char **argv)
{
	static const struct option options[] = {{"policy", required_argument, NULL, 'p'},
	    {"kubeconfig", required_argument, NULL, 'k'}, {"listen", required_argument, NULL, 'l'},
	    {"listen-ops", required_argument, NULL, 'o'}, {"reservation-ttl", required_argument, NULL, 't'},
	    {"reservation-ttl-volumes", required_argument, NULL, 'v'}, {"catalogue", required_argument, NULL, 'c'},
	    {"lease", required_argument, NULL, 'e'}, {"renew-deadline", required_argument, NULL, 'd'},
	    {"identity", required_argument, NULL, 'i'}, {"active-lease", required_argument, NULL, 'a'},
	    {"moves", required_argument, NULL, 'm'}, {"usage", required_argument, NULL, 'u'},
	    {"log-level", required_argument, NULL, 'L'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct scheduler_options chosen = {.listen = "127.0.0.1:8765",
	    .listen_ops = "127.0.0.1:8766",
	    .reservation_ttl_ns = 30 * NS_PER_S,
	    .reservation_ttl_volumes_ns = 660 * NS_PER_S};
	const char *kubeconfig = NULL, *catalogue_path = NULL;
	struct kube_config kube = {0};
	struct err err;
	int option;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			chosen.policy_file = optarg;
			break;
		case 'k':
			kubeconfig = optarg;
			break;
		case 'l':
			chosen.listen = optarg;
			break;
		case 'o':
			chosen.listen_ops = optarg;
			break;
		case 'c':
			catalogue_path = optarg;
			break;
		case 't':
			if (!options_duration(optarg, &chosen.reservation_ttl_ns))
				return bad_usage("--reservation-ttl takes a duration such as 30s, not ", optarg);
			break;
		case 'v':
			if (!options_duration(optarg, &chosen.reservation_ttl_volumes_ns))
				return bad_usage(
				    "--reservation-ttl-volumes takes a duration such as 660s, not ", optarg);
			break;
		case 'e':
			chosen.lease = optarg;
			break;
		case 'd':
			if (!options_duration(optarg, &chosen.renew_deadline_ns))
				return bad_usage("--renew-deadline takes a duration such as 10s, not ", optarg);
			break;
		case 'i':
			chosen.identity = optarg;
			break;
		case 'a':
			chosen.active_lease = optarg;
			break;
		case 'm':
			if (!is_path(optarg))
				return bad_usage("--moves takes NAMESPACE/NAME, not ", optarg);
			chosen.moves = optarg;
			break;
		case 'u':
			chosen.usage = optarg;
			break;
		case 'L':
			if (!options_level(optarg))
				return bad_usage("--log-level is debug, info, warn or error, not ", optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_YES;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return bad_usage("unexpected argument ", argv[optind]);
	if (!chosen.policy_file)
		return bad_usage("--policy FILE is needed", "");
	struct catalogue *catalogue = load_catalogue(catalogue_path, &err);
	if (!catalogue || kube_config_load(kubeconfig, &kube, &err) != 0) {
		fprintf(stderr, "berth serve: %s\n", err.text);
		if (catalogue)
			catalogue_free(catalogue);
		return EXIT_USAGE;
	}
	char host[HOST_NAME_BYTES] = "";
	if (!chosen.identity && gethostname(host, sizeof host - 1) == 0)
		chosen.identity = host;
	if (!chosen.identity)
		chosen.identity = "";
	chosen.catalogue = catalogue;
	chosen.namespace_ = getenv("POD_NAMESPACE") ? getenv("POD_NAMESPACE") : "default";
	chosen.kube = &kube;
	int code = run(&chosen);
	kube_config_free(&kube);
	catalogue_free(catalogue);
	return code;
}
