#include "sim/show.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "sim/report.h"
#include "sim/tally.h"
#include "sim/workload.h"

#define LOG_LINES 6
#define LOG_LINE_MAX_BYTES 512
#define PLAY_MS 20
#define FRAME_MS 125
#define PLAIN_MS 1000
#define QUIET_SECONDS 5 /* before the end nothing new arrives */

struct sim_show {
	uv_loop_t *loop;
	struct sim_show_options options;
	struct sim_cluster *cluster;
	struct sim_fleet *fleet;
	struct sim_workload *workload;
	struct sim_tally *tally;
	struct sim_picture *picture;
	uv_timer_t play, frame;
	unsigned closing;
	int64_t begun_ns;
	bool ended;
	char log[LOG_LINES][LOG_LINE_MAX_BYTES];
	unsigned log_count;
	size_t drawn; /* lines on the screen that the next frame goes over */
	unsigned long cycles_before;
	int64_t cycles_ns;
	double per_second;
};

struct sim_show *sim_show_new(uv_loop_t *loop, const struct sim_show_options *options)
{
	struct sim_show *show = xcalloc(1, sizeof *show);

	show->loop = loop;
	show->options = *options;
	uv_timer_init(loop, &show->play);
	uv_timer_init(loop, &show->frame);
	show->play.data = show;
	show->frame.data = show;
	return show;
}

/* --- the log --- */

static void log_event(struct sim_show *show, const char *text)
{
	time_t now = (time_t)(clock_wall() / NS_PER_S);
	char *line = show->log[show->log_count++ % LOG_LINES];
	struct tm tm;

	localtime_r(&now, &tm);
	snprintf(line, LOG_LINE_MAX_BYTES, "%02d:%02d:%02d %.480s", tm.tm_hour, tm.tm_min, tm.tm_sec, text);
	if (show->options.plain)
		fprintf(show->options.out, "%s\n", line);
}

/* "4 GPUs", "1 MIG 3g.40gb" */
static void describe_demand(const struct sim_view *view, const struct pod *pod, char *out, size_t room)
{
	snprintf(out, room, "no GPU");
	for (size_t i = 0; i < pod->demand.count; i++) {
		const char *name = resource_names_text(&view->names, pod->demand.items[i].id);
		int64_t amount = pod->demand.items[i].amount;

		if (strcmp(name, "nvidia.com/gpu") == 0)
			snprintf(out, room, "%" PRId64 " GPU%s", amount, amount == 1 ? "" : "s");
		else if (strncmp(name, "nvidia.com/mig-", 15) == 0)
			snprintf(out, room, "%" PRId64 " MIG %.40s", amount, name + 15);
	}
}

/* What berth wrote into the Binding: "class training, pool h100". */
static void describe_decision(const struct sim_version *version, char *out, size_t room)
{
	json_auto_t *pod = sim_store_tree(version);
	const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
	const char *text = json_string_value(json_object_get(annotations, "berth.dev/decision"));
	json_auto_t *decision = text ? json_loads(text, 0, NULL) : NULL;
	const char *class_ = json_string_value(json_object_get(decision, "class"));
	const char *pool = json_string_value(json_object_get(decision, "pool"));

	out[0] = '\0';
	if (class_)
		snprintf(out, room, "class %.60s%s%.60s", class_, pool ? ", pool " : "", pool ? pool : "");
}

void sim_show_decided(
    void *ctx, enum sim_decision decision, const struct sim_view_pod *pod, const char *node, const char *text)
{
	struct sim_show *show = ctx;
	const char *arrow = show->options.style.utf8 ? "→" : "->";
	char line[LOG_LINE_MAX_BYTES], demand[64], why[160];

	if (!show->cluster)
		return;
	describe_demand(sim_cluster_view(show->cluster), pod->pod, demand, sizeof demand);
	if (decision == SIM_BOUND) {
		describe_decision(pod->version, why, sizeof why);
		snprintf(line, sizeof line, "%s/%s %s %s  %s  %s", pod->pod->namespace_, pod->pod->name, arrow, node,
		    demand, why);
	} else if (decision == SIM_REJECTED && !sim_tally_told(show->tally, pod->version->uid)) {
		snprintf(
		    line, sizeof line, "%s/%s waits  %s  %.300s", pod->pod->namespace_, pod->pod->name, demand, text);
	} else if (decision == SIM_FAILED) {
		snprintf(line, sizeof line, "%s/%s failed  %.300s", pod->pod->namespace_, pod->pod->name, text);
	} else {
		return;
	}
	log_event(show, line);
}

/* --- playing --- */

static double second_of(const struct sim_show *show)
{
	return (double)(clock_now() - show->begun_ns) / (double)NS_PER_S * show->options.speed;
}

static void play(uv_timer_t *timer)
{
	struct sim_show *show = timer->data;
	double second = second_of(show);
	char what[256];
	struct err err;

	if (second >= show->options.seconds) {
		sim_show_end(show);
		show->options.over(show->options.ctx);
		return;
	}
	while (sim_fleet_play(show->fleet, sim_cluster_store(show->cluster), second, what, sizeof what))
		log_event(show, what);
	if (sim_workload_play(show->workload, sim_cluster_store(show->cluster), second, &err) != 0)
		log_event(show, err.text);
}

static void measure(struct sim_show *show, const struct sim_driver_stats *stats)
{
	int64_t now = clock_now();

	if (now - show->cycles_ns < NS_PER_S)
		return;
	show->per_second =
	    (double)(stats->cycles - show->cycles_before) * (double)NS_PER_S / (double)(now - show->cycles_ns);
	show->cycles_before = stats->cycles;
	show->cycles_ns = now;
}

static void write_numbers(struct sim_show *show, struct buf *out)
{
	struct sim_driver_stats stats = sim_driver_stats(sim_cluster_driver(show->cluster));
	struct sim_gpus gpus = sim_picture_gpus(show->picture);
	double second = second_of(show);

	measure(show, &stats);
	buf_printf(out, "%3.0f s  GPUs %" PRId64 " used, %" PRId64 " of %" PRId64 " free",
	    fmin(second, show->options.seconds), gpus.used, gpus.all - gpus.used, gpus.all);
	buf_printf(out, "   pods %lu placed, %zu waiting   %.0f decisions/s   filter p50 %.2f ms", stats.placed,
	    stats.waiting, show->per_second, (double)stats.filter_p50_ns / (double)NS_PER_MS);
}

/* --- the picture --- */

/* The line cut to the width, by characters; colours do not occur in it. */
static void write_cut(struct buf *out, const char *line, unsigned width)
{
	unsigned columns = 0;
	const char *at = line;

	for (; *at; at++) {
		if (((unsigned char)*at & 0xc0) != 0x80 && columns++ == width)
			break;
	}
	buf_add(out, line, (size_t)(at - line));
	buf_char(out, '\n');
}

static void write_frame(struct sim_show *show, struct buf *out)
{
	const struct sim_picture_style *style = &show->options.style;
	struct buf numbers;

	buf_init(&numbers, 4096);
	write_numbers(show, &numbers);
	write_cut(out, numbers.data, style->width);
	buf_free(&numbers);
	buf_char(out, '\n');
	sim_picture_draw(show->picture, style, out);
	buf_char(out, '\n');
	sim_picture_legend(style, out);
	for (unsigned i = 0; i < LOG_LINES; i++) {
		unsigned from = show->log_count > LOG_LINES ? show->log_count - LOG_LINES : 0;

		write_cut(out, from + i < show->log_count ? show->log[(from + i) % LOG_LINES] : "", style->width);
	}
}

/* Each line over the one of the frame before. */
static void put_frame(struct sim_show *show, const struct buf *frame)
{
	struct buf screen;
	size_t lines = 0;

	buf_init(&screen, 4 * SIM_PICTURE_MAX);
	if (show->drawn)
		buf_printf(&screen, "\033[%zuA", show->drawn);
	for (const char *at = frame->data, *end; (end = strchr(at, '\n')); at = end + 1) {
		buf_text(&screen, "\r");
		buf_add(&screen, at, (size_t)(end - at));
		buf_text(&screen, "\033[K\n");
		lines++;
	}
	buf_text(&screen, "\033[J");
	fwrite(screen.data, 1, screen.len, show->options.out);
	fflush(show->options.out);
	buf_free(&screen);
	show->drawn = lines;
}

static void draw(struct sim_show *show)
{
	struct buf text;

	buf_init(&text, SIM_PICTURE_MAX);
	if (show->options.plain) {
		write_numbers(show, &text);
		fprintf(show->options.out, "%s\n", text.data);
		fflush(show->options.out);
	} else {
		write_frame(show, &text);
		put_frame(show, &text);
	}
	buf_free(&text);
}

static void frame(uv_timer_t *timer)
{
	draw(timer->data);
}

void sim_show_begin(struct sim_show *show, struct sim_cluster *cluster, struct sim_fleet *fleet)
{
	unsigned period = show->options.plain ? PLAIN_MS : FRAME_MS;
	double arriving = show->options.seconds - QUIET_SECONDS;

	show->cluster = cluster;
	show->fleet = fleet;
	show->tally = sim_tally_new(sim_cluster_view(cluster));
	show->picture = sim_picture_new(sim_cluster_view(cluster));
	show->workload =
	    sim_workload_new(show->options.seed, arriving > 1 ? arriving : show->options.seconds, show->options.speed);
	show->begun_ns = clock_now();
	show->cycles_ns = show->begun_ns;
	uv_timer_start(&show->play, play, 0, PLAY_MS);
	uv_timer_start(&show->frame, frame, 0, period);
	if (!show->options.plain)
		fputs("\033[?25l", show->options.out);
}

void sim_show_end(struct sim_show *show)
{
	if (show->ended || !show->cluster)
		return;
	show->ended = true;
	uv_timer_stop(&show->play);
	uv_timer_stop(&show->frame);
	draw(show);
	if (!show->options.plain)
		fputs("\033[?25h", show->options.out);
}

void sim_show_report(struct sim_show *show, struct slice state)
{
	if (show->cluster)
		sim_report(show->cluster, show->tally, show->options.speed, state, show->options.out);
}

static void closed(uv_handle_t *handle)
{
	struct sim_show *show = handle->data;

	if (--show->closing == 0)
		free(show);
}

void sim_show_free(struct sim_show *show)
{
	if (show->cluster) {
		sim_picture_free(show->picture);
		sim_tally_free(show->tally);
		sim_workload_free(show->workload);
	}
	show->closing = 2;
	uv_close((uv_handle_t *)&show->play, closed);
	uv_close((uv_handle_t *)&show->frame, closed);
}
