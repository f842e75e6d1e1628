/* SPDX-License-Identifier: BSD-2-Clause */
/* Machines described by HWLOC_SYNTHETIC and by XML made from it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <hwloc.h>

#include "numa/topology.h"
#include "tests/unit/numa/machine.h"

static struct topology topo;

static void load(const char *synthetic)
{
	struct diag d = { 0 };

	unsetenv("HWLOC_XMLFILE");
	setenv("HWLOC_SYNTHETIC", synthetic, 1);
	if (topology_create(&topo, &d))
		fail_msg("'%s': %s", synthetic, d.text);
}

static int reset(void **state)
{
	(void)state;
	topology_destroy(&topo);
	unsetenv("HWLOC_SYNTHETIC");
	unsetenv("HWLOC_XMLFILE");
	return 0;
}

static void one_to_sixteen_nodes(void **state)
{
	char text[64];

	(void)state;
	for (unsigned n = 1; n <= 16; n++) {
		(void)snprintf(text, sizeof(text),
			       "numa:%u(memory=1073741824) pu:3", n);
		load(text);
		assert_int_equal(topo.nr_nodes, n);
		assert_false(topo.this_machine);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(topo.nodes[i].id, i);
			assert_int_equal(topo.nodes[i].nr_cpus, 3);
			assert_int_equal(topo.nodes[i].cpus[0], 3 * i);
			assert_int_equal(topo.nodes[i].cpus[2], 3 * i + 2);
			assert_int_equal(topo.nodes[i].total_bytes, GIB(1));
			assert_int_equal(topo.nodes[i].free_bytes, GIB(1));
		}
		topology_destroy(&topo);
	}
}

static void distances_default_to_10_and_20(void **state)
{
	(void)state;
	load("numa:3 pu:1");
	assert_int_equal(topology_distance(&topo, 1, 1), DISTANCE_LOCAL);
	assert_int_equal(topology_distance(&topo, 0, 2), DISTANCE_REMOTE);
	assert_int_equal(topology_distance(&topo, 0, 3), 0);
	assert_int_equal(topology_distance(&topo, -1, 0), 0);
}

static void find_is_by_number(void **state)
{
	(void)state;
	load("numa:2(indexes=7,3) pu:2");
	assert_int_equal(topo.nr_nodes, 2);
	assert_int_equal(topo.nodes[0].id, 3);
	assert_int_equal(topo.nodes[1].id, 7);
	assert_ptr_equal(topology_find(&topo, 7), &topo.nodes[1]);
	assert_null(topology_find(&topo, 0));
	/* CPUs 0 and 1 are of the first node in the text, number 7. */
	assert_int_equal(topology_find(&topo, 7)->cpus[0], 0);
	assert_int_equal(topology_find(&topo, 3)->cpus[0], 2);
}

/* A node on the whole machine is local to every CPU, but nearest to none. */
static void cpu_less_node(void **state)
{
	const struct topology_node *far;
	unsigned nr_cpus = 0;

	(void)state;
	load("[numa] pack:2 [numa] pu:2");
	assert_int_equal(topo.nr_nodes, 3);
	far = NULL;
	for (unsigned i = 0; i < 3; i++) {
		nr_cpus += topo.nodes[i].nr_cpus;
		if (topo.nodes[i].nr_cpus == 0)
			far = &topo.nodes[i];
	}
	assert_int_equal(nr_cpus, 4);
	assert_non_null(far);
	assert_int_equal(topology_cpus_near(&topo, far->id)->nr_cpus, 2);
	assert_null(topology_cpus_near(&topo, 99));
}

/* Two nodes on one package: the lower number has the CPUs. */
static void second_memory_of_a_package(void **state)
{
	(void)state;
	load("pack:2 [numa] [numa] pu:2");
	assert_int_equal(topo.nr_nodes, 4);
	for (unsigned i = 0; i < 4; i++) {
		const struct topology_node *n = &topo.nodes[i];

		assert_true(n->nr_cpus == 0 || n->nr_cpus == 2);
		assert_int_equal(topology_cpus_near(&topo, n->id)->nr_cpus, 2);
	}
	assert_int_equal(topo.nodes[0].nr_cpus, 2);
}

/* Changes a machine before it is written out. */
typedef void (*edit_fn)(hwloc_topology_t hw);

static void add_distances(hwloc_topology_t hw)
{
	uint64_t values[] = { 10, 21, 31, 21, 10, 41, 31, 41, 10 };

	machine_distances(hw, 3, values);
}

static void empty_node_1(hwloc_topology_t hw)
{
	hwloc_obj_t obj = hwloc_get_obj_by_type(hw, HWLOC_OBJ_NUMANODE, 1);

	obj->attr->numanode.local_memory = 0;
}

/* Loads the XML of @synthetic as @edit changed it. */
static void load_xml(const char *synthetic, edit_fn edit)
{
	char path[] = "/tmp/disco-topology-XXXXXX";
	int fd = mkstemp(path);
	struct diag d = { 0 };
	hwloc_topology_t hw;

	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(hwloc_topology_init(&hw), 0);
	assert_int_equal(hwloc_topology_set_synthetic(hw, synthetic), 0);
	assert_int_equal(hwloc_topology_load(hw), 0);
	edit(hw);
	assert_int_equal(hwloc_topology_export_xml(hw, path, 0), 0);
	hwloc_topology_destroy(hw);
	setenv("HWLOC_XMLFILE", path, 1);
	if (topology_create(&topo, &d))
		fail_msg("%s", d.text);
	(void)unlink(path);
	assert_false(topo.this_machine);
}

static void distances_from_xml(void **state)
{
	static const uint32_t want[3][3] = {
		{ 10, 21, 31 },
		{ 21, 10, 41 },
		{ 31, 41, 10 },
	};

	(void)state;
	load_xml("numa:3 pu:1", add_distances);
	for (nodeid_t i = 0; i < 3; i++)
		for (nodeid_t j = 0; j < 3; j++)
			assert_int_equal(topology_distance(&topo, i, j),
					 want[i][j]);
}

static void memory_less_node(void **state)
{
	(void)state;
	load_xml("numa:3 pu:2", empty_node_1);
	assert_int_equal(topo.nr_nodes, 3);
	assert_int_equal(topo.nodes[0].total_bytes, GIB(1));
	assert_int_equal(topo.nodes[1].total_bytes, 0);
	assert_int_equal(topo.nodes[1].free_bytes, 0);
	assert_int_equal(topo.nodes[1].nr_cpus, 2);
}

static void refuse(const char *xml, const char *synthetic, const char *text)
{
	struct diag d = { 0 };

	setenv("HWLOC_XMLFILE", xml, 1);
	setenv("HWLOC_SYNTHETIC", synthetic, 1);
	topo.nr_nodes = 0;
	assert_int_equal(topology_create(&topo, &d), -ENODEV);
	assert_int_equal(d.status, ST_HOST);
	assert_string_equal(d.text, text);
	assert_int_equal(topo.nr_nodes, 0);
}

/* Never this machine instead: guests would be started on it. */
static void what_cannot_be_read_is_refused(void **state)
{
	(void)state;
	refuse("/nonexistent", "",
	       "HWLOC_XMLFILE: '/nonexistent' cannot be read, or is no "
	       "topology; see lstopo(1)");
	refuse("/nonexistent", "numa:2 pu:1",
	       "HWLOC_XMLFILE: '/nonexistent' cannot be read, or is no "
	       "topology; see lstopo(1)");
	refuse("", "numa:2 cpu:1 x",
	       "HWLOC_SYNTHETIC: 'numa:2 cpu:1 x' is no topology; see "
	       "hwloc(7)");
}

static void too_many_nodes(void **state)
{
	struct diag d = { 0 };

	(void)state;
	setenv("HWLOC_SYNTHETIC", "numa:65 pu:1", 1);
	topo.nr_nodes = 0;
	assert_int_equal(topology_create(&topo, &d), -E2BIG);
	assert_int_equal(d.status, ST_HOST);
	assert_string_equal(d.text, "more than 64 NUMA nodes");
	assert_int_equal(topo.nr_nodes, 0);
}

static void this_machine(void **state)
{
	struct diag d = { 0 };
	unsigned nr_cpus = 0;

	(void)state;
	if (topology_create(&topo, &d))
		fail_msg("%s", d.text);
	assert_true(topo.this_machine);
	for (unsigned i = 0; i < topo.nr_nodes; i++) {
		nr_cpus += topo.nodes[i].nr_cpus;
		assert_true(topo.nodes[i].free_bytes <=
			    topo.nodes[i].total_bytes);
	}
	assert_true(nr_cpus >= 1);
}

static void destroys_nothing_too(void **state)
{
	(void)state;
	topology_destroy(NULL);
	topology_destroy(&topo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_to_sixteen_nodes, reset),
		cmocka_unit_test_teardown(distances_default_to_10_and_20,
					  reset),
		cmocka_unit_test_teardown(find_is_by_number, reset),
		cmocka_unit_test_teardown(memory_less_node, reset),
		cmocka_unit_test_teardown(cpu_less_node, reset),
		cmocka_unit_test_teardown(second_memory_of_a_package, reset),
		cmocka_unit_test_teardown(distances_from_xml, reset),
		cmocka_unit_test_teardown(what_cannot_be_read_is_refused,
					  reset),
		cmocka_unit_test_teardown(too_many_nodes, reset),
		cmocka_unit_test_teardown(this_machine, reset),
		cmocka_unit_test(destroys_nothing_too),
	};

	return cmocka_run_group_tests_name("topology", tests, NULL, NULL);
}
