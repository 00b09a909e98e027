#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/embedded.h"
#include "base/file.h"
#include "cli/cli.h"
#include "sim/daemon.h"
#include "sim/show.h"

#define POLICY_MAX (1u << 20)
#define LOG_MAX (64u << 20)
#define LOG_TAIL 2000   /* bytes of the child's log that are shown when it failed */
#define PICTURE_ROWS 26 /* lines that the picture of the shipped fleet needs */
#define WIDTH_MIN 64
#define SIGNALS 3

static const char help[] =
    "Usage: berth demo [OPTIONS]\n"
    "\n"
    "Runs berth against an embedded cluster: a fleet of several GPU models with its faults, a stream of training, "
    "inference,\n"
    "fine-tuning and batch pods, and a picture of the fleet as it fills. Nothing outside of this machine is touched.\n"
    "\n"
    "      --seconds S    length of the demo (default 40)\n"
    "      --speed X      run it X times as fast (default 1)\n"
    "      --seed N       another stream of pods (default 1)\n"
    "      --policy FILE  a policy other than the shipped one\n"
    "      --plain        lines instead of a picture; so it is without a terminal\n"
    "      --help\n"
    "\n"
    "Exit code 0: nothing was over-committed.\n";

struct demo {
	uv_loop_t loop;
	uv_signal_t signals[SIGNALS];
	struct sim_show_options show_options;
	const char *policy_file;
	char dir[256], policy[288], kubeconfig[288], log[288];
	struct sim_cluster *cluster;
	struct sim_fleet *fleet;
	struct sim_daemon *daemon;
	struct sim_show *show;
	bool stopping, interrupted;
	int code;
};

/* --- options --- */

static bool read_number(const char *text, double low, double high, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return *text && !*end && *out >= low && *out <= high;
}

static int read_options(int argc, char **argv, struct demo *demo, bool *done)
{
	static const struct option options[] = {
	    {"seconds", required_argument, NULL, 's'},
	    {"speed", required_argument, NULL, 'x'},
	    {"seed", required_argument, NULL, 'n'},
	    {"policy", required_argument, NULL, 'p'},
	    {"plain", no_argument, NULL, 'l'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	struct sim_show_options *show = &demo->show_options;
	double seed = 1;
	bool good = true;

	optind = 1;
	for (int c; good && (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 's':
			good = read_number(optarg, 1, 86400, &show->seconds);
			break;
		case 'x':
			good = read_number(optarg, 0.1, 100, &show->speed);
			break;
		case 'n':
			good = read_number(optarg, 0, 9e15, &seed);
			break;
		case 'p':
			demo->policy_file = optarg;
			break;
		case 'l':
			show->plain = true;
			break;
		case 'h':
			fputs(help, stdout);
			*done = true;
			return EXIT_YES;
		default:
			good = false;
		}
	}
	show->seed = (uint64_t)seed;
	if (good && optind == argc)
		return EXIT_YES;
	fputs("berth demo: bad options; see berth demo --help\n", stderr);
	return EXIT_USAGE;
}

/* What the terminal can show. */
static void look_at_terminal(struct sim_show_options *show)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool dumb = !term || strcmp(term, "dumb") == 0;
	struct winsize size = {0};

	setlocale(LC_CTYPE, "");
	show->style.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	show->style.width = 100;
	if (!isatty(STDOUT_FILENO) || dumb || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
		show->plain = true;
	} else if (size.ws_col) {
		show->style.width = size.ws_col - 1u;
		show->plain |= size.ws_col < WIDTH_MIN || size.ws_row < PICTURE_ROWS;
	}
	show->style.color = !show->plain && !(no_color && *no_color);
}

/* --- the end --- */

static void stop(struct demo *demo)
{
	if (demo->stopping)
		return;
	demo->stopping = true;
	if (demo->show)
		sim_show_free(demo->show);
	if (demo->daemon)
		sim_daemon_stop(demo->daemon);
	if (demo->cluster)
		sim_cluster_stop(demo->cluster);
	for (size_t i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&demo->signals[i], NULL);
}

static void got_state(void *ctx, struct slice state)
{
	struct demo *demo = ctx;

	if (demo->stopping)
		return;
	sim_show_report(demo->show, state);
	if (sim_audit_violations(sim_cluster_audit(demo->cluster)) > 0)
		demo->code = EXIT_NO;
	stop(demo);
}

static void over(void *ctx)
{
	struct demo *demo = ctx;

	sim_daemon_get(demo->daemon, "/v1/state", got_state, demo);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct demo *demo = handle->data;

	(void)number;
	if (demo->stopping)
		return;
	if (demo->interrupted || !sim_cluster_driver(demo->cluster)) {
		stop(demo);
		return;
	}
	demo->interrupted = true;
	sim_show_end(demo->show);
	over(demo);
}

/* --- the child --- */

static void show_log_tail(const struct demo *demo)
{
	struct buf log;
	struct err err;

	buf_init(&log, LOG_MAX);
	if (file_read(demo->log, &log, &err) == 0 && log.len > 0)
		fprintf(stderr, "%s", log.data + (log.len > LOG_TAIL ? log.len - LOG_TAIL : 0));
	buf_free(&log);
}

static void died(void *ctx, const char *text)
{
	struct demo *demo = ctx;

	if (demo->show)
		sim_show_end(demo->show);
	fprintf(stderr, "berth demo: %s\n", text);
	show_log_tail(demo);
	demo->code = EXIT_UNREACHABLE;
	stop(demo);
}

static void ready(void *ctx)
{
	struct demo *demo = ctx;
	struct sim_driver_options options = {
	    .url = sim_daemon_verbs(demo->daemon), .decided = sim_show_decided, .ctx = demo->show};
	struct err err;

	if (sim_cluster_drive(demo->cluster, &options, &err) != 0) {
		died(demo, err.text);
		return;
	}
	sim_show_begin(demo->show, demo->cluster, demo->fleet);
}

/* --- the beginning --- */

static int write_policy(struct demo *demo, struct err *err)
{
	struct slice shipped = embedded_text("policy.yaml");
	struct buf text;
	int code = 0;

	buf_init(&text, POLICY_MAX);
	if (demo->policy_file)
		code = file_read(demo->policy_file, &text, err);
	else
		buf_add(&text, shipped.at, shipped.len);
	FILE *file = code == 0 ? fopen(demo->policy, "we") : NULL;

	if (code == 0 && (!file || fwrite(text.data, 1, text.len, file) != text.len))
		code = err_set(err, ERR_SYSTEM, "cannot write %.200s", demo->policy);
	if (file && fclose(file) != 0 && code == 0)
		code = err_set(err, ERR_SYSTEM, "cannot write %.200s", demo->policy);
	buf_free(&text);
	return code;
}

static int make_directory(struct demo *demo, struct err *err)
{
	const char *base = getenv("TMPDIR");

	snprintf(demo->dir, sizeof demo->dir, "%.200s/berth-demo-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(demo->dir)) {
		demo->dir[0] = '\0';
		return err_set(err, ERR_SYSTEM, "cannot make a temporary directory");
	}
	snprintf(demo->policy, sizeof demo->policy, "%s/policy.yaml", demo->dir);
	snprintf(demo->kubeconfig, sizeof demo->kubeconfig, "%s/kubeconfig", demo->dir);
	snprintf(demo->log, sizeof demo->log, "%s/berth.log", demo->dir);
	return 0;
}

static void remove_directory(const struct demo *demo)
{
	if (!demo->dir[0])
		return;
	unlink(demo->policy);
	unlink(demo->kubeconfig);
	unlink(demo->log);
	rmdir(demo->dir);
}

static int begin(struct demo *demo, struct err *err)
{
	struct sim_cluster_options cluster = {.audit = true};
	int code = make_directory(demo, err);

	if (code != 0 || (code = write_policy(demo, err)) != 0)
		return code;
	demo->fleet = sim_fleet_load(embedded_text("fleet.yaml"), "fleet.yaml", err);
	demo->cluster = demo->fleet ? sim_cluster_start(&demo->loop, &cluster, err) : NULL;
	if (!demo->cluster)
		return err->code;
	if ((code = sim_fleet_make(demo->fleet, sim_cluster_store(demo->cluster), err)) != 0 ||
	    (code = sim_cluster_kubeconfig(demo->cluster, demo->kubeconfig, err)) != 0)
		return code;
	demo->show_options.over = over;
	demo->show_options.ctx = demo;
	demo->show = sim_show_new(&demo->loop, &demo->show_options);
	struct sim_daemon_options child = {.policy = demo->policy,
	    .kubeconfig = demo->kubeconfig,
	    .log = demo->log,
	    .ready = ready,
	    .died = died,
	    .ctx = demo};

	demo->daemon = sim_daemon_start(&demo->loop, &child, err);
	return demo->daemon ? 0 : err->code;
}

static void watch_signals(struct demo *demo)
{
	static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

	for (size_t i = 0; i < SIGNALS; i++) {
		uv_signal_init(&demo->loop, &demo->signals[i]);
		demo->signals[i].data = demo;
		uv_signal_start(&demo->signals[i], on_signal, numbers[i]);
	}
}

int cli_demo(int argc, char **argv)
{
	struct demo demo = {.show_options = {.seconds = 40, .speed = 1, .out = stdout}};
	bool done = false;
	struct err err;
	int code = read_options(argc, argv, &demo, &done);

	if (code != EXIT_YES || done)
		return code;
	look_at_terminal(&demo.show_options);
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&demo.loop);
	watch_signals(&demo);
	if (begin(&demo, &err) != 0) {
		fprintf(stderr, "berth demo: %s\n", err.text);
		demo.code = EXIT_USAGE;
		stop(&demo);
	}
	uv_run(&demo.loop, UV_RUN_DEFAULT);
	uv_loop_close(&demo.loop);
	if (demo.fleet)
		sim_fleet_free(demo.fleet);
	remove_directory(&demo);
	return demo.code;
}
