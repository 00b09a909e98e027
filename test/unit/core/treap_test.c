#include "world.h"

#include "core/treap.h"

struct item {
	struct treap_node link;
	int64_t value;
	bool in;
};

static int by_value(const struct treap_node *a, const struct treap_node *b)
{
	int64_t left = ((const struct item *)a)->value, right = ((const struct item *)b)->value;
	return (left > right) - (left < right);
}

static void check(const struct treap_node *node, const struct treap_node *parent)
{
	if (!node)
		return;
	assert_ptr_equal(node->parent, parent);
	if (parent)
		assert_true(node->priority <= parent->priority);
	check(node->left, node);
	check(node->right, node);
}

static void keeps_order_whatever_comes(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("treap");
	static struct item items[500];
	struct treap treap = {0};
	for (int64_t i = 0; i < 500; i++)
		items[i].value = i;
	for (int step = 0; step < 20000; step++) {
		struct item *item = &items[pick(&prng, 500)];
		if (item->in)
			treap_remove(&treap, &item->link);
		else /* few priorities, so that many are equal */
			treap_insert(&treap, &item->link, prng_next(&prng) % 64, by_value);
		item->in = !item->in;
		if (step % 50)
			continue;
		check(treap.root, NULL);
		const struct treap_node *at = treap_first(&treap);
		size_t count = 0;
		for (size_t i = 0; i < 500; i++) {
			if (!items[i].in)
				continue;
			assert_ptr_equal(at, &items[i].link);
			at = treap_after(at);
			count++;
		}
		assert_null(at);
		assert_int_equal(treap.count, count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_order_whatever_comes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
