# SPDX-License-Identifier: BSD-2-Clause
# Test programs: every tests/unit/FOLDER/test_*.c is one, and so is every
# tests/fuzz/fuzz_*.c. One links tests/X.c for each tests/X.h that it includes,
# itself or through such a file, and then the archives of ROOMS_FOLDER. What a
# tests/X.c defines stands in for the product's function of that name (a fake).
#
# The lab's tests are scripts (tests/lab/all) and enter the lab by themselves.

# disco-uplink's own: where libslirp is, as it is built only there.
UNIT_TESTS	:= $(sort $(filter-out $(if $(UPLINK),,tests/unit/uplink/%), \
		   $(wildcard tests/unit/*/test_*.c)))
FUZZ_TESTS	:= $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS	?= 60

COWDISK_ROOMS	:= $(filter cowdisk/%,$(ROOMS))
ROOMS_numa	:= numa
ROOMS_lab	:= numa
ROOMS_ipc	:= monitor/ipc numa
ROOMS_memory	:= memory numa
ROOMS_sampling	:= memory/sampling memory numa
ROOMS_placement	:= memory/sources memory/sampling memory/placement memory numa
ROOMS_trace	:= $(filter memory/%,$(ROOMS)) memory numa
ROOMS_replica	:= memory/replica memory/trace memory/placement memory/sampling memory numa
ROOMS_vnet	:= vnet numa
ROOMS_hints	:= guest-hints/host guest-hints/guest
ROOMS_cowdisk	:= $(COWDISK_ROOMS) monitor/ipc memory numa
ROOMS_cache	:= $(ROOMS_cowdisk)
ROOMS_platform	:= $(WORKER_ROOMS)
ROOMS_virtio	:= $(WORKER_ROOMS)
ROOMS_net	:= $(WORKER_ROOMS)
ROOMS_worker	:= $(WORKER_ROOMS)
ROOMS_views	:= monitor/worker/views monitor/dev/platform monitor/sandbox \
		   memory/replica memory numa
ROOMS_agent	:= $(AGENT_ROOMS) monitor/control/workers monitor/control/base
ROOMS_boot	:= monitor/boot monitor/ipc numa
ROOMS_bootdisk	:= monitor/bootdisk monitor/bootentry monitor/boot monitor/ipc monitor/sandbox \
		   cowdisk/disk cowdisk/base memory numa
ROOMS_uplink	:= $(UPLINK_ROOMS)
ROOMS_control	:= $(CONTROL_ROOMS)
ROOMS_exec	:= $(CONTROL_ROOMS)
ROOMS_guests	:= $(CONTROL_ROOMS) $(AGENT_ROOMS) $(WORKER_ROOMS)
ROOMS_fuzz	:= $(CONTROL_ROOMS) $(WORKER_ROOMS)

# FILE@HELPER.c for each header of a helper that FILE includes.
HELPER_SRCS := $(filter-out $(UNIT_TESTS) $(FUZZ_TESTS),$(wildcard \
	tests/unit/*/*.c tests/fuzz/*.c tests/crash/*.c tests/model/*.c))
INCLUDES := $(shell awk 'FNR == 1 { f = FILENAME; sub(/\.h$$/, ".c", f) } \
	sub(/^.include "tests\//, "tests/") { sub(/\.h"/, ".c"); \
	print f "@" $$0 }' $(UNIT_TESTS) $(FUZZ_TESTS) $(HELPER_SRCS) \
	$(wildcard $(HELPER_SRCS:.c=.h)))
included = $(filter $(HELPER_SRCS),$(patsubst $(1)@%,%,$(filter $(1)@%,$(INCLUDES))))
# Helpers of $(1), files whose own have not been looked for; $(2), found so far.
closure = $(if $(1),$(call closure,$(filter-out $(1) $(2),$(sort \
	  $(foreach f,$(1),$(call included,$(f))))),$(2) $(1)),$(2))
folder_of = $(notdir $(patsubst %/,%,$(dir $(1))))

# $(1) the test, $(2) its folder's name. muldefs: the first definition counts.
define test_rule
$(B)/$(1:.c=): $(call obj,$(call closure,$(1))) \
		$(call lib,$(sort $(ROOMS_$(2))))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) $$(TEST_LDFLAGS) -Wl,-z,muldefs -o $$@ \
		$$(filter %.o,$$^) $$(call in_group,$$(filter %.a,$$^)) \
		$$(LIBS) $$(TEST_LIBS)
endef
$(foreach t,$(UNIT_TESTS) $(FUZZ_TESTS),\
	$(eval $(call test_rule,$(t),$(call folder_of,$(t)))))
UNIT_BINS := $(UNIT_TESTS:%.c=$(B)/%)
FUZZ_BINS := $(FUZZ_TESTS:%.c=$(B)/%)
$(UNIT_BINS): TEST_LIBS := -lcmocka -lutil
$(FUZZ_BINS): TEST_LDFLAGS := -fsanitize=fuzzer

# Plug-ins: the documented example, as its head says, and what must be refused.
PLUGIN_CC = gcc -O2 -shared -fPIC -nostdlib -Wall -Wextra $(ERROR) -I include
BAD_PLUGINS := clock constructor name sound abi pay
GOOD_PLUGINS := bounded
$(B)/examples/%.so: examples/%.c include/disco/policy.h
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PLUGIN_CC) -o $@ $<
$(BAD_PLUGINS:%=$(B)/tests/plugins/%.so): $(B)/tests/plugins/%.so: \
		tests/unit/placement/plugins/bad.c include/disco/policy.h
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PLUGIN_CC) -DBAD_$(shell echo $* | tr a-z A-Z) -o $@ $<
$(GOOD_PLUGINS:%=$(B)/tests/plugins/%.so): $(B)/tests/plugins/%.so: \
		tests/unit/placement/plugins/%.c include/disco/policy.h
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PLUGIN_CC) -o $@ $<
$(B)/tests/unit/placement/test_plugin: $(B)/examples/policy_nearest.so \
		$(BAD_PLUGINS:%=$(B)/tests/plugins/%.so) \
		$(GOOD_PLUGINS:%=$(B)/tests/plugins/%.so)

# The model checker gets texts of the product: as they are, and one for each
# bug that tests/model/mutate knows to plant.
define model_rules
MODEL_$(1) := $(foreach n,$(shell tests/model/mutate --list $(1)),\
	      $(G)/model/$(1)_$(n).c)
$$(MODEL_$(1)): $(G)/model/$(1)_%.c: $(2) tests/model/mutate
	$$(call say,MUTATE,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)tests/model/mutate $(1) $$* <$$< >$$@
$(B)/tests/unit/$(3): $$(call obj,tests/model/model.c $$(MODEL_$(1)))
endef
$(eval $(call model_rules,channel,numa/channel.c,numa/test_channel_model))
$(eval $(call model_rules,lease,memory/lease.c,memory/test_lease_model))
$(eval $(call model_rules,vring,vnet/ring.c,vnet/test_ring_model))
$(eval $(call model_rules,pairs,vnet/pairs.c,vnet/test_pairs_model))
$(eval $(call model_rules,home,memory/replica/home.c,replica/test_replica_model))
$(eval $(call model_rules,marks,memory/replica/marks.c,replica/test_marks_model))
$(eval $(call model_rules,holder,memory/replica/holder.c,replica/test_replica_model))

# ThreadSanitizer: tests with threads, in every check; check-tsan has all of
# them. It sees one process: what two share by a region is seen where a test
# plays both ends in threads. Not under it: tests/cli and the lab, as disco-vm
# and disco-agent are static-pie and sandboxed, and everything with KVM.
TSAN_TESTS := $(shell grep -l pthread_create $(UNIT_TESTS))
TSAN_BINS := $(TSAN_TESTS:%.c=build/tsan/%)
# A monitor with its workers and agents is several busy processes, which wait
# for each other, and so is a bench: those tests run one after the other.
CLI_ALONE := tests/cli/bench-measured tests/cli/workloads
ALONE := $(filter $(B)/tests/unit/guests/%,$(UNIT_BINS))
# It tries all interleavings, which takes 40 s of an idle CPU.
LONGEST := $(B)/tests/unit/replica/test_replica_model
ASIDE := $(filter-out $(ALONE) $(LONGEST),$(UNIT_BINS))
ifeq ($(VARIANT),tsan)
UNIT_RUNS := --long "tests/tsan $(LONGEST)" --unit $(ASIDE:%="tests/tsan %") \
	     --alone $(ALONE:%="tests/tsan %") --unit
else
UNIT_RUNS := --long $(LONGEST) --unit $(ASIDE) $(TSAN_BINS:%="tests/tsan %") \
	     --alone $(ALONE) $(CLI_ALONE) --unit
endif

.PHONY: tests check check-unit check-lab fuzz do-check do-check-lab do-fuzz
.PHONY: tsan-tests do-tsan-tests check-tsan do-check-tsan
tests: $(UNIT_BINS)

# Another variant: a make of its own, after this one, as both make build/gen.
tsan-tests: all tests
	$(Q)$(MAKE) --no-print-directory VARIANT=tsan do-$@
do-tsan-tests: $(TSAN_BINS)
	@:
check-tsan:
	$(Q)$(MAKE) --no-print-directory VARIANT=tsan do-$@
do-check-tsan: tests
	$(Q)TEST_TIMEOUT=$${TEST_TIMEOUT:-900} tests/run --unit $(UNIT_RUNS)

# LAB_TEST_DEPS: what tests/lab/all needs built besides, see tests/guest.
# A lab ends by itself when its tests hang; CI has 90 minutes for all of them.
# The lab itself comes first, beside the unit tests: of guests in a broken one
# nothing can be said.
# LAB_ENV: sizes of the lab's tests, see the heads of tests/lab/*.sh.
LAB_ENV := QUEUE_MIB HVC_LINES SERIAL_LINES FIO_MIB FIO_SECONDS MERGE_FILES \
	   MOVE_ROUNDS MOVE_MIB BALANCE_STOCK CACHE_MIB HOT_MIB PRIVATE_MIB \
	   CACHE_WRITES CACHE_ROUNDS KILLS KILL_SEED KILL_GUESTS FREE_MIB \
	   HINT_MIB BUTTON_ROUNDS NET_MIB LAB_JOBS EXECS EXEC_MIB EXEC_HOSTILE \
	   DEBIAN_IMAGES DEBIAN_STOPS CLUSTER_ROUNDS REFS_MIB WIDE_MIB WIDE_LOCAL \
	   IPI_ROUNDS VIEWS_SECONDS VIEWS_LOAD VIEWS_CALLS VIEWS_BOOTS HINTS_MIB \
	   HINTS_LOADS LAB_LONG
LAB_TESTS := tests/lab/labs $(LAB_ENV:%=--env %)
LAB_ITSELF := tests/lab/lab-run.sh
CLI_TESTS := tests/cli/refusals tests/cli/images tests/cli/import \
	     tests/cli/boot \
	     tests/cli/cluster tests/cli/monitor tests/cli/topology tests/cli/bench-check \
	     tests/cli/build tests/cli/limits tests/cli/kernels tests/cli/hardware-report \
	     tests/cli/placement tests/cli/hints tests/cli/wide tests/cli/huge \
	     tests/cli/traces tests/cli/bench-guests tests/cli/bench-traces
export VARIANT
check-unit: all tests tsan-tests $$(BENCH_BINS) $$(LAB_TEST_DEPS)
	$(Q)tests/run --unit $(CLI_TESTS) $(UNIT_RUNS)

# Copy-on-write disks: power cut at every write, every operation failing.
CRASH_TEST	:= $(B)/tests/unit/cowdisk/test_cow_crash
.PHONY: crash
crash: $(CRASH_TEST)
	$(Q)DISCO_CRASH=full CMOCKA_MESSAGE_OUTPUT=tap $<

# Sub-makes: what scripts/deps has just installed is there when they start.
# Each CPU builds, unless -j says otherwise.
ALL_CPUS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
check-lab check:
	$(Q)scripts/deps check
	$(Q)$(MAKE) --no-print-directory $(ALL_CPUS) do-$@
do-check-lab: all images kernel-cache $$(BENCH_BINS) $$(LAB_TEST_DEPS)
	$(Q)tests/run --lab $(LAB_ITSELF) "$(LAB_TESTS)"
do-check: all tests tsan-tests images kernel-cache $$(BENCH_BINS) \
	  $$(LAB_TEST_DEPS)
	$(Q)tests/run --long $(LAB_ITSELF) --unit $(CLI_TESTS) $(UNIT_RUNS) \
		--lab "$(LAB_TESTS)"

# check, with the sizes that are too long for every one, and what else is.
CHECK_ALL := QUEUE_MIB=32 HVC_LINES=20000 SERIAL_LINES=3000 FIO_MIB=24 \
	     FIO_SECONDS=10 MERGE_FILES=100000 BALANCE_STOCK=1 CACHE_ROUNDS=3 \
	     HOT_MIB=16 PRIVATE_MIB=32 MOVE_ROUNDS=2 MOVE_MIB=24 KILLS=12 \
	     FREE_MIB=100 HINT_MIB=160 BUTTON_ROUNDS=4 NET_MIB=8 DEBIAN_IMAGES=1 \
	     EXECS=1000 EXEC_MIB=64 EXEC_HOSTILE=4 CLUSTER_ROUNDS=40 \
	     HINTS_LOADS=100 VIEWS_SECONDS=60 VIEWS_LOAD=60 VIEWS_BOOTS=4 \
	     LAB_LONG=1 DISCO_STRESS_OPERATIONS=1000000 \
	     DISCO_COPIES_OPERATIONS=10000000 TEST_TIMEOUT=900
.PHONY: check-all
check-all: images-debian
	$(Q)$(CHECK_ALL) LAB_SECONDS=7200 LAB_TIMEOUT=14400 \
		$(MAKE) --no-print-directory check
	$(Q)tests/run --lab tests/lab/counters
	$(Q)$(MAKE) --no-print-directory examples
	$(Q)$(MAKE) --no-print-directory hint-modules check-deb
	$(Q)$(MAKE) --no-print-directory crash
	$(Q)$(MAKE) --no-print-directory check-tsan

# --- fuzzing: a variant of its own --------------------------------------------
fuzz:
	$(Q)scripts/deps build fuzz
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz do-fuzz
do-fuzz: $(FUZZ_BINS)
	$(Q)tests/fuzz/run $(FUZZ_SECONDS) $^

# --- for a night: everything again and again, until the time is over ----------
SOAK_SECONDS	?= 28800
LEASE_STRESS	:= $(B)/tests/unit/memory/test_lease_stress

.PHONY: soak
soak: $(B)/bench/channel $(LEASE_STRESS)
	$(Q)end=$$(($$(date +%s) + $(SOAK_SECONDS))); round=0; \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
		LAB_TIMEOUT=15000 LAB_SECONDS=14400 MOVE_ROUNDS=10 BALANCE_STOCK=1 \
			CACHE_MIB=1024 PRIVATE_MIB=32 CACHE_WRITES=13 \
			KILLS=300 KILL_SEED=$$round KILL_GUESTS=4 FIO_SECONDS=600 \
			$(MAKE) --no-print-directory check || exit; \
		$(MAKE) --no-print-directory crash || exit; \
		$(MAKE) --no-print-directory check-tsan || exit; \
		$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=300 || exit; \
		$< --check 100000000 || exit; \
		DISCO_SOAK=1 $(LEASE_STRESS) || exit; \
		round=$$((round + 1)); echo "soak: $$round rounds, 0 failed"; \
	done
