# SPDX-License-Identifier: BSD-2-Clause
# Test programs. Every tests/unit/*/test_*.c and tests/fuzz/fuzz_*.c is one;
# what it is linked with stands in its first lines:
#
#	// LINK: folder/file.c folder/other.c -llib @group
#
# A group is what LINK_group below says.
#
# The lab's tests are scripts (tests/lab/all) and enter the lab by themselves.

UNIT_TESTS	:= $(sort $(wildcard tests/unit/*/test_*.c))
FUZZ_TESTS	:= $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS	?= 60
F		:= build/fuzz

# The monitor as a whole, but for main() and for unpacking kernels.
LINK_monitor := -lhwloc -ljansson -lmicrohttpd cowdisk/cow_format.c cowdisk/io.c \
	cowdisk/io_fd.c memory/lease.c monitor/control/adopt.c \
	monitor/control/agents.c monitor/control/api.c \
	monitor/control/api_cache.c monitor/control/api_exits.c \
	monitor/control/api_figures.c monitor/control/api_move.c \
	monitor/control/api_routes.c monitor/control/api_stalls.c \
	monitor/control/api_vm.c monitor/control/balancer.c \
	monitor/boot/boot_key.c \
	monitor/control/boot_copies.c monitor/control/boot_set.c \
	monitor/control/cache_dir.c monitor/control/cache_images.c \
	monitor/control/cache_peers.c monitor/control/cache_tell.c \
	monitor/control/caches.c monitor/control/cli.c \
	monitor/control/config_draft.c monitor/control/config_json.c \
	monitor/control/config_reader.c monitor/control/config_set.c \
	monitor/control/cow_files.c monitor/control/disk_files.c \
	monitor/control/figures.c monitor/control/http_client.c \
	monitor/control/launch.c monitor/control/layers.c \
	monitor/control/loop.c \
	monitor/control/monitor.c monitor/control/move.c \
	monitor/control/move_map.c monitor/control/outcome.c \
	monitor/control/plan.c monitor/control/process.c \
	monitor/control/ram_file.c monitor/control/sink.c \
	monitor/control/size.c monitor/control/spawn.c \
	monitor/control/spawn_child.c monitor/control/starter.c \
	monitor/control/state_dir.c monitor/control/state_vm.c \
	monitor/control/tap.c monitor/control/typed.c \
	monitor/control/vm_watch.c monitor/control/worker_code.c \
	monitor/control/worker_file.c monitor/ipc/fds.c \
	monitor/sandbox/privileges.c numa/balance.c numa/bind.c \
	numa/channel.c numa/place.c numa/region.c numa/topology.c
# disco-agent, but for its main().
LINK_agent = $(filter-out %/main.c,$(AGENT_SRCS)) -l:liburing.a

# A worker's buffer cache and its disks, beside the monitor.
LINK_cache := $(filter-out $(LINK_monitor),$(COWDISK_SRCS) $(MEMORY_SRCS)) \
	-l:liburing.a

# All LINK words as PROGRAM.c@WORD; links_of picks those of one program.
LINK_WORDS := $(shell awk 'FNR > 24 { nextfile } \
	sub(/^\/\/ LINK: */, "") { for (i = 1; i <= NF; i++) \
	print FILENAME "@" $$i }' $(UNIT_TESTS) $(FUZZ_TESTS) /dev/null)
words_of = $(patsubst $(1)@%,%,$(filter $(1)@%,$(LINK_WORDS)))
links_of = $(foreach w,$(call words_of,$(1)),$(if $(filter @%,$(w)),\
	   $(LINK_$(w:@%=%)),$(w)))
in_dir = $(patsubst %.c,$(1)/%.o,$(filter %.c,$(2)))

# $(1) test, $(2) its LINK words
define unit_rule
$(B)/$(1:.c=): $(call in_dir,$(B)/obj,$(1) $(2))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $(filter -l%,$(2)) -lcmocka
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(t),$(call links_of,$(t)))))
UNIT_BINS := $(UNIT_TESTS:%.c=$(B)/%)

# Texts for the model checker, as they are and with planted bugs: those that
# tests name in their LINK lines.
model_texts = $(sort $(filter $(G)/model/$(1)_%.c,$(subst @, ,$(LINK_WORDS))))

define mutate_rule
$(call model_texts,$(1)): $(G)/model/$(1)_%.c: $(2) tests/model/mutate
	$$(call say,MUTATE,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)tests/model/mutate $(1) $$* <$$< >$$@
endef
$(eval $(call mutate_rule,channel,numa/channel.c))
$(eval $(call mutate_rule,lease,memory/lease.c))

# ThreadSanitizer: tests with threads, in every check; check-tsan has all of
# them. It sees one process: what two share by a region is seen where a test
# plays both ends in threads. Not under it: tests/cli and the lab, as disco-vm
# and disco-agent are static-pie and sandboxed, and everything with KVM.
TSAN_TESTS := $(shell grep -l pthread_create $(UNIT_TESTS))
TSAN_BINS := $(TSAN_TESTS:%.c=build/tsan/%)
ifeq ($(VARIANT),tsan)
UNIT_RUNS := $(UNIT_BINS:%="tests/tsan %")
else
UNIT_RUNS := $(UNIT_BINS) $(TSAN_BINS:%="tests/tsan %")
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
# The lab itself comes first: of guests in a broken one nothing can be said.
LAB_TESTS := tests/lab/labs --timeout 2400
LAB_RUNS = tests/lab/lab-run.sh "$(LAB_TESTS)"
CLI_TESTS := tests/cli/refusals tests/cli/images tests/cli/monitor \
	     tests/cli/topology
export VARIANT
check-unit: all tests tsan-tests $$(BENCH_BINS) $$(LAB_TEST_DEPS)
	$(Q)tests/run --unit $(UNIT_RUNS) $(CLI_TESTS)

# Copy-on-write disks: power cut at every write, every operation failing.
CRASH_TEST	:= $(B)/tests/unit/cowdisk/test_cow_crash
.PHONY: crash
crash: $(CRASH_TEST)
	$(Q)DISCO_CRASH=full CMOCKA_MESSAGE_OUTPUT=tap $<

# Sub-makes: what scripts/deps has just installed is there when they start.
check-lab check:
	$(Q)scripts/deps check
	$(Q)$(MAKE) --no-print-directory do-$@
do-check-lab: all images kernel-cache $$(LAB_TEST_DEPS)
	$(Q)tests/run --lab $(LAB_RUNS)
do-check: all tests tsan-tests images kernel-cache $$(BENCH_BINS) \
	  $$(LAB_TEST_DEPS)
	$(Q)tests/run --unit $(UNIT_RUNS) $(CLI_TESTS) \
		--lab $(LAB_RUNS)

# --- fuzzing: clang's libFuzzer, with address and undefined sanitizers --------
FUZZ_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Wshadow -Wno-sign-conversion \
	       -fno-strict-aliasing -fno-omit-frame-pointer -MMD -MP -pthread \
	       -fsanitize=fuzzer-no-link,address,undefined \
	       -fno-sanitize-recover=undefined -DDISCO_SANITIZED -DDISCO_FUZZING

$(F)/obj/%.o: %.c
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)clang $(CPPFLAGS) $(FUZZ_CFLAGS) -c -o $@ $<

$(F)/obj/monitor/worker/acpi.o: build/gen/dsdt.hex

define fuzz_rule
$(F)/$(notdir $(1:.c=)): $(call in_dir,$(F)/obj,$(1) $(2))
	$$(call say,LINK,$$@)
	$$(Q)clang -pthread -fsanitize=fuzzer,address,undefined -o $$@ $$^ \
		$(filter -l%,$(2))
endef
$(foreach t,$(FUZZ_TESTS),$(eval $(call fuzz_rule,$(t),$(call links_of,$(t)))))
FUZZ_BINS := $(FUZZ_TESTS:tests/fuzz/%.c=$(F)/%)

-include $(shell find $(F)/obj -name '*.d' 2>/dev/null)

fuzz:
	$(Q)scripts/deps build fuzz
	$(Q)$(MAKE) --no-print-directory do-fuzz
do-fuzz: $(FUZZ_BINS)
	$(Q)tests/fuzz/run $(FUZZ_SECONDS) $^

# --- for a night: everything again and again, until the time is over ----------
SOAK_SECONDS	?= 28800
LEASE_STRESS	:= $(B)/tests/unit/memory/test_lease_stress

SOAK_ENV := MOVE_ROUNDS BALANCE_STOCK CACHE_MIB CACHE_WRITES KILLS KILL_SEED KILL_GUESTS FIO_SECONDS
.PHONY: soak
soak: $(B)/bench/channel $(LEASE_STRESS)
	$(Q)end=$$(($$(date +%s) + $(SOAK_SECONDS))); round=0; \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
		LAB_TIMEOUT=15000 MOVE_ROUNDS=10 BALANCE_STOCK=1 \
			CACHE_MIB=1024 CACHE_WRITES=13 \
			KILLS=300 KILL_SEED=$$round KILL_GUESTS=4 FIO_SECONDS=600 \
			$(MAKE) --no-print-directory check LAB_TESTS="tests/lab/labs \
			$(SOAK_ENV:%=--env %) --timeout 14400" || exit; \
		$(MAKE) --no-print-directory crash || exit; \
		$(MAKE) --no-print-directory check-tsan || exit; \
		$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=300 || exit; \
		$< --check 100000000 || exit; \
		DISCO_SOAK=1 $(LEASE_STRESS) || exit; \
		round=$$((round + 1)); echo "soak: $$round rounds, 0 failed"; \
	done
