/* The client of the filter benchmark: one keep-alive connection over loopback, one call after the other, with plain
 * sockets so that what is measured is the server. Each call brings another pod; the names of the nodes stay, in one
 * shuffled order, as kube-scheduler's order is not the server's either.
 *
 *   bench_filter ports COUNT                        free ports
 *   bench_filter wait OPS-PORT                      until /readyz is 200
 *   bench_filter names OPS-PORT                     the names in /v1/state, one a line
 *   bench_filter run PORT PID NAMES-FILE CALLS TAG  p50, p99, CPU of process PID a call (µs), bytes */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/reader.h"

#define POD_BYTES 6400
#define WARM_UP_CALLS 50
#define WAIT_S 180
#define ANSWER_MAX ((size_t)512 << 20)
#define BODY_MAX ((size_t)64 << 20)
#define UID_TEXT "00000000-0000-4000-8000-000000000000"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_filter: %s\n", what);
	exit(1);
}

/* --- HTTP --- */

static int try_connect(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void send_all(int fd, struct iovec *parts, int count)
{
	while (count > 0) {
		ssize_t sent = writev(fd, parts, count);

		if (sent < 0)
			die("the connection broke while sending");
		for (; count > 0 && (size_t)sent >= parts->iov_len; parts++, count--)
			sent -= (ssize_t)parts->iov_len;
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + sent;
			parts->iov_len -= (size_t)sent;
		}
	}
}

/* Reads one answer with a Content-Length into `in`; returns its status, *body is in it. */
static unsigned receive(int fd, struct buf *in, struct slice *body)
{
	size_t wanted = SIZE_MAX, head = 0;

	buf_clear(in);
	while (in->len < wanted) {
		if (!buf_reserve(in, 64u << 10))
			die("the answer is too large");
		ssize_t got = recv(fd, in->data + in->len, 64u << 10, 0);
		if (got <= 0)
			die("the connection broke while receiving");
		in->len += (size_t)got;
		in->data[in->len] = '\0';
		const char *end = head ? NULL : strstr(in->data, "\r\n\r\n");
		if (!end)
			continue;
		const char *length = strcasestr(in->data, "\r\nContent-Length: ");
		if (!length || length > end)
			die("an answer without Content-Length");
		head = (size_t)(end + 4 - in->data);
		wanted = head + strtoul(length + 18, NULL, 10);
	}
	*body = (struct slice){in->data + head, in->len - head};
	return (unsigned)strtoul(in->data + 9, NULL, 10);
}

static unsigned get(unsigned port, const char *path, struct buf *in, struct slice *body)
{
	char head[256];
	int fd = try_connect(port);

	if (fd < 0)
		return 0;
	int len = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
	send_all(fd, &(struct iovec){head, (size_t)len}, 1);
	unsigned status = receive(fd, in, body);
	close(fd);
	return status;
}

/* --- getting ready --- */

static int print_free_ports(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct sockaddr_in address = {.sin_family = AF_INET};
		socklen_t len = sizeof(address);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
		    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
			die("no free port");
		/* Kept until the process ends, so that the next one is another. */
		printf("%s%u", i ? " " : "", ntohs(address.sin_port));
	}
	printf("\n");
	return 0;
}

static int wait_ready(unsigned ops_port)
{
	struct buf in;
	struct slice body = {0};
	unsigned status = 0;

	buf_init(&in, ANSWER_MAX);
	for (int64_t end = clock_now() + WAIT_S * NS_PER_S; status != 200 && clock_now() < end; usleep(20000))
		status = get(ops_port, "/readyz", &in, &body);
	if (status != 200)
		fprintf(stderr, "bench_filter: not ready in time\n%.*s", (int)body.len, body.at ? body.at : "");
	buf_free(&in);
	return status == 200 ? 0 : 1;
}

static void print_name(struct reader *node)
{
	struct slice key, name;

	if (!reader_object(node))
		return;
	while (reader_key(node, &key)) {
		if (!slice_is(key, "name"))
			reader_skip(node);
		else if (reader_string(node, &name))
			printf("%.*s\n", (int)name.len, name.at);
	}
}

static int print_names(unsigned ops_port)
{
	struct buf in;
	struct slice body, key;
	struct reader json;

	buf_init(&in, ANSWER_MAX);
	if (get(ops_port, "/v1/state", &in, &body) != 200)
		die("no /v1/state");
	reader_open(&json, body);
	if (reader_object(&json))
		while (reader_key(&json, &key)) {
			if (!slice_is(key, "nodes"))
				reader_skip(&json);
			else if (reader_array(&json))
				while (reader_next(&json))
					print_name(&json);
		}
	if (!reader_close(&json))
		die("/v1/state is no JSON");
	buf_free(&in);
	return 0;
}

/* --- the request --- */

/* A training pod as the scheduler's informer gives it, filled to its size with environment variables. */
static void write_pod(struct buf *out)
{
	size_t first = out->len;

	buf_text(out,
	    "{\"metadata\":{\"name\":\"bench-" UID_TEXT "\",\"namespace\":\"default\",\"uid\":\"" UID_TEXT "\","
	    "\"resourceVersion\":\"12345\",\"creationTimestamp\":\"2026-01-02T03:04:05Z\",\"labels\":{\"app\":"
	    "\"train\","
	    "\"team\":\"vision\"}},\"spec\":{\"volumes\":[{\"name\":\"shm\",\"emptyDir\":{\"medium\":\"Memory\"}},"
	    "{\"name\":\"data\",\"hostPath\":{\"path\":\"/data\",\"type\":\"\"}}],\"containers\":[{\"name\":\"main\","
	    "\"image\":\"registry.example/train:1\",\"command\":[\"python\",\"-m\",\"train\"],\"resources\":{"
	    "\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\",\"nvidia.com/gpu\":\"1\"},"
	    "\"requests\":{\"cpu\":\"1\",\"memory\":\"1Gi\",\"nvidia.com/gpu\":\"1\"}},\"env\":[");
	for (unsigned i = 0; out->len - first < POD_BYTES - 680; i++)
		buf_printf(out, "%s{\"name\":\"SETTING_%03u\",\"value\":\"/srv/run/with-some-path/%03u\"}",
		    i ? "," : "", i, i);
	buf_text(out,
	    "],\"volumeMounts\":[{\"name\":\"shm\",\"mountPath\":\"/dev/shm\"},{\"name\":\"data\",\"mountPath\":\"/"
	    "data\"}],"
	    "\"terminationMessagePath\":\"/dev/termination-log\",\"imagePullPolicy\":\"IfNotPresent\"}],"
	    "\"restartPolicy\":\"Never\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\","
	    "\"serviceAccountName\":\"default\",\"securityContext\":{},\"schedulerName\":\"berth\",\"tolerations\":["
	    "{\"key\":\"nvidia.com/gpu\",\"operator\":\"Exists\",\"effect\":\"NoSchedule\"},"
	    "{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
	    "\"tolerationSeconds\":300}],\"priority\":0,\"enableServiceLinks\":true},"
	    "\"status\":{\"phase\":\"Pending\",\"qosClass\":\"Burstable\"}}");
}

static void shuffle(struct slice *names, size_t count)
{
	uint64_t random = 42;

	for (size_t i = count; i > 1; i--) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		size_t other = (size_t)(random >> 33) % i;
		struct slice held = names[i - 1];
		names[i - 1] = names[other];
		names[other] = held;
	}
}

static void write_body(struct buf *out, const char *names_file)
{
	struct buf file;
	struct err err;
	size_t count = 0, room = 0;
	struct slice *names = NULL;

	buf_init(&file, BODY_MAX);
	if (file_read(names_file, &file, &err))
		die(err.text);
	for (char *line = strtok(file.data, "\n"); line; line = strtok(NULL, "\n")) {
		names = xgrow(names, count, &room, sizeof(*names));
		names[count++] = slice_of(line);
	}
	shuffle(names, count);
	buf_text(out, "{\"Pod\":");
	write_pod(out);
	buf_text(out, ",\"Nodes\":null,\"NodeNames\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_json_string(out, names[i]);
	}
	buf_text(out, "]}");
	free(names);
	buf_free(&file);
}

/* Another pod: its UID, twice in the text, gets the run and the call. */
static void set_pod(struct buf *body, unsigned tag, unsigned call)
{
	char digits[9];
	char *at = body->data;

	for (int i = 0; i < 2; i++) {
		at = strstr(at, "-4000-8000-");
		snprintf(digits, sizeof(digits), "%08x", tag);
		memcpy(at - 13, digits, 8);
		snprintf(digits, sizeof(digits), "%08x", call);
		memcpy(at + 11, digits, 8);
		at++;
	}
}

/* --- measuring --- */

static double cpu_seconds(const char *pid)
{
	char path[64], text[1024];
	unsigned long user, system;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	FILE *file = fopen(path, "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[len] = '\0';
	char *behind_name = strrchr(text, ')');
	if (!behind_name ||
	    sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		die("the server's process is not there");
	fclose(file);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static int64_t call_once(int fd, struct buf *body, struct buf *in)
{
	char head[256];
	struct slice answer;
	int len = snprintf(head, sizeof(head),
	    "POST /v1/filter HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %zu\r\n"
	    "Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
	    body->len);
	struct iovec parts[] = {{head, (size_t)len}, {body->data, body->len}};

	int64_t began = clock_now();
	send_all(fd, parts, 2);
	unsigned status = receive(fd, in, &answer);
	int64_t took = clock_now() - began;
	if (status != 200 || !strstr(answer.at, "\"NodeNames\":[\"")) {
		fprintf(stderr, "bench_filter: not placed: %u %.300s\n", status, answer.at);
		exit(1);
	}
	return took;
}

static int by_value(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static int measure(unsigned port, const char *pid, const char *names_file, unsigned calls, unsigned tag)
{
	struct buf body, in;
	int64_t *took = xcalloc(calls, sizeof(*took));
	int fd = try_connect(port);

	if (fd < 0)
		die("no server");
	buf_init(&body, BODY_MAX);
	buf_init(&in, ANSWER_MAX);
	write_body(&body, names_file);
	for (unsigned i = 0; i < WARM_UP_CALLS; i++) {
		set_pod(&body, tag, i);
		call_once(fd, &body, &in);
	}
	double cpu = cpu_seconds(pid);
	for (unsigned i = 0; i < calls; i++) {
		set_pod(&body, tag, WARM_UP_CALLS + i);
		took[i] = call_once(fd, &body, &in);
	}
	cpu = cpu_seconds(pid) - cpu;
	qsort(took, calls, sizeof(*took), by_value);
	printf("%.1f %.1f %.1f %zu\n", (double)took[calls / 2] / 1000, (double)took[calls * 99 / 100] / 1000,
	    cpu * 1e6 / calls, body.len);
	close(fd);
	free(took);
	buf_free(&body);
	buf_free(&in);
	return 0;
}

static unsigned number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 3 && strcmp(what, "ports") == 0)
		return print_free_ports(number(argv[2]));
	if (argc == 3 && strcmp(what, "wait") == 0)
		return wait_ready(number(argv[2]));
	if (argc == 3 && strcmp(what, "names") == 0)
		return print_names(number(argv[2]));
	if (argc == 7 && strcmp(what, "run") == 0 && number(argv[5]) > 0)
		return measure(number(argv[2]), argv[3], argv[4], number(argv[5]), number(argv[6]));
	fputs("usage: bench_filter ports COUNT | wait OPS-PORT | names OPS-PORT | run PORT PID NAMES-FILE CALLS TAG\n",
	    stderr);
	return 2;
}
