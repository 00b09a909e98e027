/* The fleet as text: pool by pool, rack by rack, a node as a row of cells, one a GPU or MIG instance. Which GPU of a
 * node a pod holds is kubelet's secret, so cells are filled from the left. Colour only repeats what the letters say. */
#ifndef SIM_PICTURE_H
#define SIM_PICTURE_H

#include "base/buf.h"
#include "sim/view.h"

#define SIM_PICTURE_LINES_MAX 200
#define SIM_PICTURE_MAX (1u << 20)

struct sim_picture;

struct sim_picture_style {
	unsigned width; /* columns */
	bool color, utf8;
};

struct sim_gpus {
	int64_t all, used, unhealthy;
};

/* The nodes are those in the view now. */
struct sim_picture *sim_picture_new(struct sim_view *view);
/* Before the view. */
void sim_picture_free(struct sim_picture *picture);
/* Whole GPUs and MIG instances, each one unit. */
struct sim_gpus sim_picture_gpus(const struct sim_picture *picture);
/* Lines, each ended by a newline; always the same number for one width. */
void sim_picture_draw(const struct sim_picture *picture, const struct sim_picture_style *style, struct buf *out);
void sim_picture_legend(const struct sim_picture_style *style, struct buf *out);

#endif
