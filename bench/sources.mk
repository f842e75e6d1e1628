# SPDX-License-Identifier: BSD-2-Clause
# Benchmarks: ratios against a peer in the same run; never part of `check`.

BENCH_OUT	:= build/lab-out

.PHONY: bench bench-boot do-bench-boot bench-channel do-bench-channel
.PHONY: bench-cache do-bench-cache
.PHONY: bench-cow do-bench-cow bench-move do-bench-move
.PHONY: bench-scale do-bench-scale bench-footprint do-bench-footprint
bench: bench-boot bench-channel bench-cache bench-cow bench-move bench-scale \
       bench-footprint

# $(call in_labs,NAME,OPTIONS) - bench/NAME.py in a lab, and in another one,
# from its state, when the lab dies under it (125)
in_labs = $(Q)rm -f $(BENCH_OUT)/bench-$(1).state; \
	for lab in 1 2 3 4 5 6; do \
		lab/auto --timeout 6000 -- bench/$(1).py \
			--commit '$(VERSION)' --disco $(B)/disco $(2) \
			--state $(BENCH_OUT)/bench-$(1).state \
			--out $(BENCH_OUT)/bench-$(1).json; \
		status=$$?; [ $$status = 125 ] || exit $$status; \
		echo "bench-$(1): lab $$lab died; going on in a new one"; \
	done; exit 1

bench-boot:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-boot: all images kernel-cache guests
	@mkdir -p $(BENCH_OUT)
	$(Q)bench/worker_start.py --disco $(B)/disco \
		--guest $(B)/guest/serial.elf --out $(BENCH_OUT)/start.json
	$(call in_labs,boot,--native $(BENCH_OUT)/start.json)

bench-scale:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-scale: all images kernel-cache
	@mkdir -p $(BENCH_OUT)
	$(call in_labs,scale)

bench-footprint:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-footprint: all images kernel-cache
	@mkdir -p $(BENCH_OUT)
	$(call in_labs,footprint)

# On the machine itself: two processes and two CPUs are all it needs.
# $(call bench_rule,NAME,ROOMS)
define bench_rule
$(B)/bench/$(1): $(call obj,bench/$(1).c) $(call lib,$(2))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -pie -o $$@ $$(call in_group,$$^) $$(LIBS)
endef
$(eval $(call bench_rule,channel,numa))
$(eval $(call bench_rule,cache,cowdisk/cache cowdisk/base memory numa))
$(eval $(call bench_rule,cow_io,$(filter cowdisk/%,$(ROOMS)) monitor/ipc memory \
	numa))
$(eval $(call bench_rule,move_loop,monitor/control/workers \
	monitor/control/base monitor/ipc numa))

bench-channel:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-channel: $(B)/bench/channel
	@mkdir -p $(BENCH_OUT)
	$(Q)$< --commit '$(VERSION)' --out $(BENCH_OUT)/bench-channel.json

# On the machine itself, no guest.
BENCH_CACHE	:= $(B)/bench/cache
bench-cache:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-cache: $(BENCH_CACHE)
	@mkdir -p $(BENCH_OUT)
	$(Q)$< --commit '$(VERSION)' --out $(BENCH_OUT)/bench-cache.json

# On the machine itself, no guest: copy-on-write back-end against qcow2.
BENCH_COW	:= $(B)/bench/cow_io
bench-cow:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-cow: all $(BENCH_COW)
	@mkdir -p $(BENCH_OUT)
	$(Q)bench/cow.py --commit '$(VERSION)' --disco $(B)/disco \
		--io $(BENCH_COW) --agent $(B)/disco-agent --dir build \
		--out $(BENCH_OUT)/bench-cow.json

bench-move:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-move: all images kernel-cache $(B)/bench/move_loop
	@mkdir -p $(BENCH_OUT)
	$(Q)lab/auto --timeout 3000 -- bench/move.py --commit '$(VERSION)' \
		--disco $(B)/disco --loop $(B)/bench/move_loop \
		--out $(BENCH_OUT)/bench-move.json

# Built by every check, so that they go on being built.
BENCH_BINS := $(B)/bench/channel $(BENCH_CACHE) $(BENCH_COW) \
	      $(B)/bench/move_loop
