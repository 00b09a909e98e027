#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <uv.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "guard/guard.h"

static const char usage[] =
    "usage: berth guard [OPTION ...]\n"
    "\n"
    "Watches over the pods behind berth's scheduling gate. While the active berth renews its Lease, nothing\n"
    "happens. Once that Lease is stale, or not there, pods that wait longer than the policy's\n"
    "gate.releaseAfter lose the gate, and kube-scheduler takes them as it takes all others.\n"
    "\n"
    "  --policy FILE           the placement policy, for its gate.releaseAfter (10m); read again when it changes\n"
    "  --lease NAMESPACE/NAME  the Lease that the active berth renews (berth-system/berth-active)\n"
    "  --kubeconfig FILE       default: KUBECONFIG, the pod's service account, ~/.kube/config\n"
    "  --listen ADDR:PORT      probes and metrics (127.0.0.1:8767)\n"
    "  --log-level LEVEL       debug, info, warn or error (info)\n"
    "  --help\n"
    "\n"
    "exit codes: 0 ended by a signal, 2 bad usage, or a file or address that cannot be used\n";

struct guarding {
	uv_loop_t loop;
	uv_signal_t term, interrupt;
	struct guard *guard;
};

static void stopped(void *ctx)
{
	struct guarding *guarding = ctx;
	uv_close((uv_handle_t *)&guarding->term, NULL);
	uv_close((uv_handle_t *)&guarding->interrupt, NULL);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct guarding *guarding = signal->data;
	if (!guarding->guard)
		return;
	log_info("stopping", "signal=%d", number);
	guard_stop(guarding->guard, stopped, guarding);
	guarding->guard = NULL;
}

static void watch_signal(struct guarding *guarding, uv_signal_t *signal, int number)
{
	uv_signal_init(&guarding->loop, signal);
	signal->data = guarding;
	uv_signal_start(signal, on_signal, number);
}

static int run(const struct guard_options *options)
{
	struct guarding guarding = {.guard = NULL};
	struct err err;
	uv_loop_init(&guarding.loop);
	guarding.guard = guard_start(&guarding.loop, options, &err);
	if (guarding.guard) {
		watch_signal(&guarding, &guarding.term, SIGTERM);
		watch_signal(&guarding, &guarding.interrupt, SIGINT);
		log_info("guarding", "lease=%s port=%u version=%s", options->lease, guard_port(guarding.guard),
		    BERTH_VERSION);
	} else {
		fprintf(stderr, "berth guard: %s\n", err.text);
	}
	int code = guarding.guard ? EXIT_YES : EXIT_USAGE;
	uv_run(&guarding.loop, UV_RUN_DEFAULT);
	uv_loop_close(&guarding.loop);
	return code;
}

static int bad_usage(const char *text, const char *value)
{
	fprintf(stderr, "berth guard: %s%s\n\n%s", text, value, usage);
	return EXIT_USAGE;
}

int cli_guard(int argc, char **argv)
{
	static const struct option known[] = {{"policy", required_argument, NULL, 'p'},
	    {"lease", required_argument, NULL, 'e'}, {"kubeconfig", required_argument, NULL, 'k'},
	    {"listen", required_argument, NULL, 'l'}, {"log-level", required_argument, NULL, 'L'},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct guard_options options = {.lease = "berth-system/berth-active", .listen = "127.0.0.1:8767"};
	const char *kubeconfig = NULL;
	struct kube_config kube = {0};
	struct err err;
	for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
		switch (option) {
		case 'p':
			options.policy_file = optarg;
			break;
		case 'e':
			options.lease = optarg;
			break;
		case 'k':
			kubeconfig = optarg;
			break;
		case 'l':
			options.listen = optarg;
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
	if (kube_config_load(kubeconfig, &kube, &err) != 0) {
		fprintf(stderr, "berth guard: %s\n", err.text);
		return EXIT_USAGE;
	}
	options.kube = &kube;
	int code = run(&options);
	kube_config_free(&kube);
	return code;
}
