#include "scheduler/scheduler.h"

#include <stdlib.h>

#include "base/log.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/move.h"
#include "scheduler/repartition/repartition.h"
#include "scheduler/signal/signal.h"
#include "scheduler/team/team.h"

#define SWEEP_MS 60000
#define NEWS_MS 1000
#define BOOK_NAME_MAX 512

#define TIMERS_MAX 32

static size_t list_timers(struct scheduler *s, uv_timer_t *timers[TIMERS_MAX])
{
	uv_timer_t *const all[] = {&s->wake_timer, &s->sleepers_timer, &s->hint_timer, &s->gang_timer,
	    &s->gang_feed_timer, &s->news_timer, &s->expiry_timer, &s->sweep_timer, &s->lease_timer, &s->beat_timer,
	    &s->quarantine_timer, &s->headroom_timer, &s->move_timer, &s->team_timer, &s->reserve_timer,
	    &s->signal_timer, &s->repartition_timer, &s->pace_timer, &s->policy.timer};
	memcpy(timers, all, sizeof all);
	return sizeof all / sizeof *all;
}

static void start_timer(struct scheduler *s, uv_timer_t *timer)
{
	uv_timer_init(s->loop, timer);
	timer->data = s;
}

static void list_pods(struct scheduler *s)
{
	struct kube_watch_handlers pods = feed_pods;
	pods.ctx = s;
	s->pods = kube_watch_start(s->kube, &(struct kube_watch_options){.path = "/api/v1/pods"}, &pods);
}

static void list(struct scheduler *s)
{
	struct kube_watch_handlers nodes = feed_nodes;
	nodes.ctx = s;
	s->nodes = kube_watch_start(s->kube, &(struct kube_watch_options){.path = "/api/v1/nodes"}, &nodes);
	list_pods(s);
}

void scheduler_list_pods(struct scheduler *s)
{
	kube_watch_stop(s->pods);
	list_pods(s);
}

/* A reflector's first list names no resourceVersion: it is read from what a quorum has. */
void scheduler_list_anew(struct scheduler *s)
{
	kube_watch_stop(s->nodes);
	kube_watch_stop(s->pods);
	s->nodes_due = s->pods_due = true;
	list(s);
}

static int open_kube(struct scheduler *s, const struct kube_config *config, struct err *err)
{
	struct kube_watch_handlers volumes = feed_volumes;
	volumes.ctx = s;
	s->kube = kube_open(s->loop, config, &(struct kube_options){0}, err);
	if (!s->kube)
		return err_wrap(err, "cannot use the kubeconfig");
	lease_open(s);
	quarantine_open(s);
	list(s);
	moves_start(s);
	signals_start(s);
	kube_watch_start(
	    s->kube, &(struct kube_watch_options){.path = "/api/v1/persistentvolumes", .optional = true}, &volumes);
	gang_feed_start(s);
	return 0;
}

static int open_listeners(struct scheduler *s, const struct scheduler_options *options, struct err *err)
{
	s->verbs = verbs_start(s->loop, options->listen,
	    &(struct verbs_handlers){.filter = filter_answer,
	        .prioritize = prioritize_answer,
	        .preempt = preempt_answer,
	        .bind = bind_begin,
	        .bind_gone = bind_gone,
	        .answered = instruments_answered,
	        .holds = pace_holds,
	        .ctx = s},
	    err);
	if (!s->verbs)
		return err_wrap(err, "--listen %s", options->listen);
	s->ops = ops_start(s->loop, options->listen_ops,
	    &(struct ops_handlers){.ready = report_ready,
	        .metrics = instruments_print,
	        .state = report_state,
	        .status = status_answer,
	        .queue = queue_answer,
	        .moves = moves_answer,
	        .explain = explain_answer,
	        .ctx = s},
	    err);
	if (!s->ops)
		return err_wrap(err, "--listen-ops %s", options->listen_ops);
	return 0;
}

static void free_state(struct scheduler *s)
{
	runs_close(s);
	waiting_free(s->waiting);
	gangs_free(s->gangs);
	gang_feed_free(s);
	roster_free(s->roster);
	owners_free(s->owners);
	volumes_free(s->volumes);
	fleet_free(s->fleet);
	reload_close(s);
	quarantine_close(s);
	promises_close(s);
	repartition_close(s);
	headroom_close(s);
	metrics_free(s->instruments.registry);
	free(s->moves_name);
	free(s->jobs_missing);
	free(s->volumes_missing);
	lease_close(s);
	team_book_close(s);
	free(s->candidates);
	free(s->verdicts);
	free(s->refusals);
}

static char *moves_name(const struct scheduler_options *options)
{
	struct buf name;
	if (options->moves)
		return xstrdup(options->moves);
	buf_init(&name, 1024);
	buf_printf(&name, "%s/berth-moves", options->namespace_);
	return buf_take(&name);
}

static int name_book(struct scheduler *s, const struct scheduler_options *options, struct err *err)
{
	struct buf name;
	if (options->usage)
		return lease_take_name("--usage", options->usage, &s->book.name, err);
	buf_init(&name, BOOK_NAME_MAX);
	buf_printf(&name, "%s/berth-usage", options->namespace_);
	int code = lease_take_name("POD_NAMESPACE", name.overflow ? "" : name.data, &s->book.name, err);
	buf_free(&name);
	return code;
}

struct scheduler *scheduler_start(uv_loop_t *loop, const struct scheduler_options *options, struct err *err)
{
	struct scheduler *s = xcalloc(1, sizeof *s);
	uv_timer_t *timers[TIMERS_MAX];
	s->loop = loop;
	s->catalogue = options->catalogue;
	s->ttl_ns = options->reservation_ttl_ns;
	s->ttl_volumes_ns = options->reservation_ttl_volumes_ns;
	s->fleet = fleet_new(&options->catalogue->gpus);
	s->waiting = waiting_new();
	s->roster = roster_new();
	s->gangs = gangs_new();
	gang_feed_open(s);
	repartition_open(s);
	s->owners = owners_new();
	s->volumes = volumes_new();
	s->policy.namespace_ = xstrdup(options->namespace_);
	s->moves_name = moves_name(options);
	instruments_open(&s->instruments);
	size_t timer_count = list_timers(s, timers);
	for (size_t i = 0; i < timer_count; i++)
		start_timer(s, timers[i]);
	if (lease_init(s, options, err) != 0 || name_book(s, options, err) != 0 ||
	    reload_first(s, options->policy_file, err) != 0 || open_listeners(s, options, err) != 0 ||
	    open_kube(s, options->kube, err) != 0) {
		scheduler_stop(s, NULL, NULL);
		return NULL;
	}
	uv_timer_start(&s->sweep_timer, sweep_on_timer, SWEEP_MS, SWEEP_MS);
	uv_timer_start(&s->news_timer, gang_news_on_timer, NEWS_MS, NEWS_MS);
	uv_timer_start(&s->policy.timer, reload_on_timer, 0, 0);
	return s;
}

unsigned scheduler_port(const struct scheduler *s)
{
	return verbs_port(s->verbs);
}

unsigned scheduler_ops_port(const struct scheduler *s)
{
	return ops_port(s->ops);
}

/* --- the end --- */

static void one_closed(void *ctx)
{
	struct scheduler *s = ctx;
	if (--s->closing > 0)
		return;
	void (*done)(void *) = s->done;
	void *done_ctx = s->done_ctx;
	free_state(s);
	free(s);
	if (done)
		done(done_ctx);
}

static void timer_closed(uv_handle_t *handle)
{
	one_closed(handle->data);
}

void scheduler_stop(struct scheduler *s, void (*done)(void *ctx), void *ctx)
{
	uv_timer_t *timers[TIMERS_MAX];
	size_t timer_count = list_timers(s, timers);
	s->stopping = true;
	s->done = done;
	s->done_ctx = ctx;
	if (team_book_last(s))
		return;
	s->closing = (unsigned)timer_count + (s->verbs != NULL) + (s->ops != NULL);
	for (size_t i = 0; i < timer_count; i++)
		uv_close((uv_handle_t *)timers[i], timer_closed);
	signals_close(s);
	/* No write may follow the answers, so the client goes first. */
	if (s->kube)
		kube_close(s->kube);
	bind_close(s);
	wake_close(s);
	hint_close(s);
	gang_close(s);
	gang_news_close(s);
	gang_undo_close(s);
	moves_close(s);
	gang_reserve_drop(s);
	if (s->verbs)
		verbs_stop(s->verbs, one_closed, s);
	if (s->ops)
		ops_stop(s->ops, one_closed, s);
}
