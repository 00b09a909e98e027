#include "sim/picture.h"

#include <inttypes.h>
#include <stdlib.h>

#include "sim/workload.h"

#define MARGIN 8 /* columns before the nodes of a rack */

/* One GPU, or one MIG instance. */
struct cell {
	char *uid; /* NULL: free */
	enum sim_class class_;
};

struct tile {
	char *name;
	char *pool, *rack; /* of its first look */
	char *product;
	size_t whole, cells;
	struct cell *cell; /* whole GPUs first, then instances */
};

struct sim_picture {
	struct sim_view *view;
	size_t count;
	struct tile **tiles; /* by rack and name */
	struct map by_name;
};

/* --- cells --- */

static bool is_instance(const struct sim_view *view, resource_id id)
{
	return strncmp(resource_names_text(&view->names, id), "nvidia.com/mig-", 15) == 0;
}

static bool is_gpu(const struct sim_view *view, resource_id id)
{
	return strcmp(resource_names_text(&view->names, id), "nvidia.com/gpu") == 0;
}

static void units(const struct sim_view *view, const struct resources *resources, size_t *whole, size_t *instances)
{
	*whole = 0;
	*instances = 0;
	for (size_t i = 0; i < resources->count; i++) {
		if (is_gpu(view, resources->items[i].id))
			*whole += (size_t)resources->items[i].amount;
		else if (is_instance(view, resources->items[i].id))
			*instances += (size_t)resources->items[i].amount;
	}
}

static void take(struct tile *tile, size_t from, size_t to, size_t wanted, const struct sim_view_pod *pod)
{
	for (size_t i = from; i < to && wanted > 0; i++) {
		if (tile->cell[i].uid)
			continue;
		tile->cell[i].uid = xstrdup(pod->version->uid);
		tile->cell[i].class_ = sim_class_of(labels_get(&pod->pod->labels, SIM_CLASS_LABEL));
		wanted--;
	}
}

static void leave(struct tile *tile, const char *uid)
{
	for (size_t i = 0; i < tile->cells; i++) {
		if (tile->cell[i].uid && strcmp(tile->cell[i].uid, uid) == 0) {
			free(tile->cell[i].uid);
			tile->cell[i].uid = NULL;
		}
	}
}

static void happened(void *ctx, enum sim_view_event event, struct sim_view_pod *pod, struct sim_view_node *node)
{
	struct sim_picture *picture = ctx;
	struct tile *tile = node ? map_get(&picture->by_name, slice_of(node->name)) : NULL;
	size_t whole, instances;

	if (!tile || !pod)
		return;
	if (event == SIM_POD_BOUND) {
		units(picture->view, &pod->pod->demand, &whole, &instances);
		take(tile, 0, tile->whole, whole, pod);
		take(tile, tile->whole, tile->cells, instances, pod);
	} else if (event == SIM_POD_OVER) {
		leave(tile, pod->version->uid);
	}
}

/* --- life --- */

static struct tile *tile_of(const struct sim_view *view, const struct sim_view_node *node)
{
	const char *product = labels_get(&node->spec->labels, "nvidia.com/gpu.product");
	const char *rack = labels_get(&node->spec->labels, "fabric.topograph.run/tier-0");
	struct tile *tile = xcalloc(1, sizeof *tile);
	size_t instances;

	tile->name = xstrdup(node->name);
	tile->pool = xstrndup(node->name, strcspn(node->name, "-"));
	tile->rack = xstrdup(rack ? rack : "-");
	tile->product = xstrdup(product ? product : "-");
	units(view, &node->spec->capacity, &tile->whole, &instances);
	tile->cells = tile->whole + instances;
	tile->cell = xcalloc(tile->cells + 1, sizeof *tile->cell);
	return tile;
}

static int by_place(const void *a, const void *b)
{
	const struct tile *const *x = a, *const *y = b;
	/* Racks are numbered through the fleet, one kind of node in each. */
	int order = strverscmp((*x)->rack, (*y)->rack);

	return order ? order : strcmp((*x)->name, (*y)->name);
}

struct sim_picture *sim_picture_new(struct sim_view *view)
{
	struct sim_picture *picture = xcalloc(1, sizeof *picture);
	size_t cursor = 0;

	picture->view = view;
	picture->tiles = xcalloc(view->nodes.count + 1, sizeof(struct tile *));
	for (const struct sim_view_node *node; (node = map_next(&view->nodes, &cursor));)
		if (node->spec)
			picture->tiles[picture->count++] = tile_of(view, node);
	qsort(picture->tiles, picture->count, sizeof *picture->tiles, by_place);
	for (size_t i = 0; i < picture->count; i++)
		map_put(&picture->by_name, slice_of(picture->tiles[i]->name), picture->tiles[i]);
	sim_view_listen(view, happened, picture);
	return picture;
}

void sim_picture_free(struct sim_picture *picture)
{
	sim_view_unlisten(picture->view, picture);
	for (size_t i = 0; i < picture->count; i++) {
		struct tile *tile = picture->tiles[i];

		for (size_t c = 0; c < tile->cells; c++)
			free(tile->cell[c].uid);
		free(tile->cell);
		free(tile->name);
		free(tile->pool);
		free(tile->rack);
		free(tile->product);
		free(tile);
	}
	free(picture->tiles);
	map_free(&picture->by_name);
	free(picture);
}

/* --- drawing --- */

/* What the node looks like now. */
struct look {
	size_t lost;      /* units that it has but cannot allocate */
	bool ill, closed; /* a bad condition; cordoned or tainted for everybody */
};

static struct look look_at(const struct sim_picture *picture, const struct tile *tile)
{
	const struct sim_view_node *node = sim_view_node(picture->view, tile->name);
	struct look look = {0};
	size_t whole, instances;

	if (!node || !node->spec) {
		look.closed = true;
		return look;
	}
	units(picture->view, &node->spec->allocatable, &whole, &instances);
	look.lost = tile->whole > whole ? tile->whole - whole : 0;
	look.closed = node->spec->unschedulable || !node->spec->ready;
	for (size_t i = 0; i < node->spec->condition_count; i++)
		look.ill |= strncmp(node->spec->conditions[i].type, "Gpu", 3) == 0 &&
		            strcmp(node->spec->conditions[i].status, "True") == 0;
	return look;
}

static void paint(struct buf *out, const struct sim_picture_style *style, const char *color, const char *text)
{
	if (style->color)
		buf_printf(out, "\033[%sm%s\033[0m", color, text);
	else
		buf_text(out, text);
}

static const struct {
	const char *glyph, *color, *word;
} classes[SIM_CLASS_COUNT] = {
    [SIM_TRAINING] = {"T", "1;34", "training"},
    [SIM_INFERENCE] = {"I", "1;32", "inference"},
    [SIM_FINETUNE] = {"F", "1;35", "fine-tuning"},
    [SIM_BATCH] = {"B", "1;33", "batch"},
    [SIM_OTHER] = {"x", "36", "other scheduler"},
};

static void draw_cell(
    struct buf *out, const struct sim_picture_style *style, const struct cell *cell, const struct look *look, bool lost)
{
	if (cell->uid)
		paint(out, style, classes[cell->class_].color, classes[cell->class_].glyph);
	else if (lost || look->ill)
		paint(out, style, "1;31", "!");
	else if (look->closed)
		paint(out, style, "31", "-");
	else
		paint(out, style, "2", style->utf8 ? "·" : ".");
}

static void draw_tile(
    struct buf *out, const struct sim_picture_style *style, const struct tile *tile, const struct look *look)
{
	size_t lost = look->lost, free_whole = 0;

	for (size_t i = 0; i < tile->whole; i++)
		free_whole += tile->cell[i].uid == NULL;
	for (size_t i = 0; i < tile->cells; i++) {
		bool whole = i < tile->whole, is_free = tile->cell[i].uid == NULL;

		if (i == tile->whole)
			buf_char(out, '[');
		/* The last free ones stand for those that are lost. */
		draw_cell(out, style, &tile->cell[i], look, whole && is_free && free_whole <= lost);
		free_whole -= whole && is_free;
	}
	if (tile->cells > tile->whole)
		buf_char(out, ']');
}

static size_t tile_columns(const struct tile *tile)
{
	return tile->cells + (tile->cells > tile->whole ? 2 : 0) + 1;
}

static void draw_heading(
    const struct sim_picture *picture, const struct sim_picture_style *style, size_t at, struct buf *out)
{
	const struct tile *first = picture->tiles[at];
	size_t all = 0, used = 0;

	for (size_t i = 0; i < picture->count; i++) {
		const struct tile *tile = picture->tiles[i];

		if (strcmp(tile->pool, first->pool) != 0)
			continue;
		all += tile->cells;
		for (size_t c = 0; c < tile->cells; c++)
			used += tile->cell[c].uid != NULL;
	}
	paint(out, style, "1", first->pool);
	buf_printf(out, "  %s  %zu of %zu in use\n", first->product, used, all);
}

void sim_picture_draw(const struct sim_picture *picture, const struct sim_picture_style *style, struct buf *out)
{
	size_t column = 0;

	for (size_t i = 0; i < picture->count; i++) {
		const struct tile *tile = picture->tiles[i], *before = i ? picture->tiles[i - 1] : NULL;
		bool new_pool = !before || strcmp(before->pool, tile->pool) != 0;
		bool new_rack = new_pool || strcmp(before->rack, tile->rack) != 0;
		struct look look = look_at(picture, tile);

		if (before && (new_rack || column + tile_columns(tile) > style->width)) {
			buf_char(out, '\n');
			column = 0;
		}
		if (new_pool)
			draw_heading(picture, style, i, out);
		if (column == 0) {
			buf_printf(out, "  %-*s", MARGIN - 2, new_rack ? tile->rack : "");
			column = MARGIN;
		}
		draw_tile(out, style, tile, &look);
		buf_char(out, ' ');
		column += tile_columns(tile);
	}
	if (picture->count)
		buf_char(out, '\n');
}

void sim_picture_legend(const struct sim_picture_style *style, struct buf *out)
{
	for (unsigned c = 0; c < SIM_CLASS_COUNT; c++) {
		paint(out, style, classes[c].color, classes[c].glyph);
		buf_printf(out, " %s  ", classes[c].word);
	}
	paint(out, style, "1;31", "!");
	buf_text(out, " ill  ");
	paint(out, style, "31", "-");
	buf_text(out, " cordoned  ");
	paint(out, style, "2", style->utf8 ? "·" : ".");
	buf_text(out, " free\n");
}

struct sim_gpus sim_picture_gpus(const struct sim_picture *picture)
{
	struct sim_gpus sum = {0};

	for (size_t i = 0; i < picture->count; i++) {
		const struct tile *tile = picture->tiles[i];
		struct look look = look_at(picture, tile);

		sum.all += (int64_t)tile->cells;
		for (size_t c = 0; c < tile->cells; c++)
			sum.used += tile->cell[c].uid != NULL;
		sum.unhealthy += (int64_t)(look.ill ? tile->cells : look.lost);
	}
	return sum;
}
