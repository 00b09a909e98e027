/* Plays the default scheduler for foreign pods: each goes to the first node, by name, that the in-tree filters let it
 * on. It binds in the store, and only between the driver's cycles, so that the two do not race for one node (two real
 * schedulers would). */
#ifndef SIM_FOREIGN_H
#define SIM_FOREIGN_H

#include "sim/driver.h"

struct sim_foreign;

/* driver may be NULL. */
struct sim_foreign *sim_foreign_start(uv_loop_t *loop, struct sim_view *view, const struct sim_driver *driver);
/* Before the view and the driver. Frees on a later turn. */
void sim_foreign_stop(struct sim_foreign *foreign);

#endif
