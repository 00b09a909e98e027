#include "world.h"

#include "core/index.h"

static void cpu_keys(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("index");
	for (int i = 0; i < 100000; i++) {
		int64_t allocatable = (int64_t)(prng_next(&prng) >> (1 + pick(&prng, 62)));
		int64_t left = one_in(&prng, 10) ? allocatable : allocatable > 0 ? pick(&prng, allocatable) : 0;
		int64_t key = index_cpu_key(left, allocatable), most = index_cpu_key_most(key);
		int sixteenths = index_cpu_sixteenths(left, allocatable);
		assert_int_equal(index_cpu_key_sixteenths(key), sixteenths);
		assert_true(sixteenths >= 0 && sixteenths <= 16);
		assert_true(most >= left && most - left <= left / 8);
	}
	assert_int_equal(index_cpu_sixteenths(16000, 32000), 8);
	assert_int_equal(index_cpu_sixteenths(32000, 32000), 16);
	assert_int_equal(index_cpu_sixteenths(0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(cpu_keys)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
