# SPDX-License-Identifier: BSD-2-Clause
# Test programs. Every tests/unit/*/test_*.c and tests/fuzz/fuzz_*.c is one;
# what it is linked with stands in its first lines:
#
#	// LINK: folder/file.c folder/other.c -llib
#
# AGENT among them stands for all of disco-agent but its main().
#
# The lab's tests are scripts (tests/lab/all) and enter the lab by themselves.

UNIT_TESTS	:= $(sort $(wildcard tests/unit/*/test_*.c))
FUZZ_TESTS	:= $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS	?= 60
F		:= build/fuzz

# All LINK words as PROGRAM.c@WORD; links_of picks those of one program.
LINK_WORDS := $(shell awk 'FNR > 24 { nextfile } \
	sub(/^\/\/ LINK: */, "") { for (i = 1; i <= NF; i++) \
	print FILENAME "@" $$i }' $(UNIT_TESTS) $(FUZZ_TESTS) /dev/null)
AGENT_LINKS := $(filter-out %/main.c,$(AGENT_SRCS)) -l:liburing.a
links_of = $(patsubst AGENT,$(AGENT_LINKS),\
	   $(patsubst $(1)@%,%,$(filter $(1)@%,$(LINK_WORDS))))
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

# The channel's text for the model checker: as it is, and with planted bugs.
MODEL_VARIANTS := $(foreach n,0 1 2 3 4 5 6 7 8 9 10 11 12,\
		  $(G)/model/channel_$(n).c)
$(MODEL_VARIANTS): $(G)/model/channel_%.c: numa/channel.c tests/model/mutate
	$(call say,MUTATE,$@)
	$(Q)mkdir -p $(@D)
	$(Q)tests/model/mutate $* <$< >$@

.PHONY: tests check check-unit check-lab fuzz do-check do-check-lab do-fuzz
tests: $(UNIT_BINS)

# LAB_TEST_DEPS: what tests/lab/all needs built besides, see tests/guest.
LAB_TESTS := lab/auto tests/lab/all
CLI_TESTS := tests/cli/refusals tests/cli/images tests/cli/monitor
export VARIANT
check-unit: all tests $$(LAB_TEST_DEPS)
	$(Q)tests/run --unit $(UNIT_BINS) $(CLI_TESTS)

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
	$(Q)tests/run --lab "$(LAB_TESTS)"
do-check: all tests images kernel-cache $$(LAB_TEST_DEPS)
	$(Q)tests/run --unit $(UNIT_BINS) $(CLI_TESTS) \
		--lab "$(LAB_TESTS)"

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

.PHONY: soak
soak: $(B)/bench/channel
	$(Q)end=$$(($$(date +%s) + $(SOAK_SECONDS))); round=0; \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
		MOVE_ROUNDS=10 BALANCE_IDLE=4 \
			$(MAKE) --no-print-directory check LAB_TESTS="lab/auto \
			--env MOVE_ROUNDS --env BALANCE_IDLE --timeout 3600 -- \
			tests/lab/all" || exit; \
		$(MAKE) --no-print-directory crash || exit; \
		$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=300 || exit; \
		$< --check 100000000 || exit; \
		round=$$((round + 1)); echo "soak: $$round rounds, 0 failed"; \
	done
