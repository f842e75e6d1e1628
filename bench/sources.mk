# SPDX-License-Identifier: BSD-2-Clause
# Benchmarks: ratios against a peer in the same run; never part of `check`.

BENCH_OUT	:= build/lab-out

.PHONY: bench bench-boot do-bench-boot
bench: bench-boot

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
