# SPDX-License-Identifier: BSD-2-Clause
# Benchmarks: ratios against a peer in the same run; never part of `check`.

BENCH_OUT	:= build/lab-out

.PHONY: bench bench-boot do-bench-boot bench-channel do-bench-channel
bench: bench-boot bench-channel

bench-boot:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-boot: all images kernel-cache guests
	@mkdir -p $(BENCH_OUT)
	$(Q)bench/worker_start.py --disco $(B)/disco \
		--guest $(B)/guest/serial.elf --out $(BENCH_OUT)/start.json
	$(Q)lab/auto --timeout 3000 -- bench/boot.py --commit '$(VERSION)' \
		--native $(BENCH_OUT)/start.json \
		--disco $(B)/disco --out $(BENCH_OUT)/bench-boot.json

# On the machine itself: two processes and two CPUs are all it needs.
BENCH_CHANNEL_OBJS := $(call obj,bench/channel.c numa/channel.c numa/region.c \
		      numa/bind.c)
$(B)/bench/channel: $(BENCH_CHANNEL_OBJS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

bench-channel:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory do-$@
do-bench-channel: $(B)/bench/channel
	@mkdir -p $(BENCH_OUT)
	$(Q)$< --commit '$(VERSION)' --out $(BENCH_OUT)/bench-channel.json
