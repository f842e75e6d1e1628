# SPDX-License-Identifier: BSD-2-Clause
# Benchmarks: ratios against a peer in the same run; never part of `check`.

BENCH_OUT	:= build/lab-out

.PHONY: bench bench-boot
bench: bench-boot

bench-boot: deps-bench all images kernel-cache
	@mkdir -p $(BENCH_OUT)
	$(Q)lab/auto --timeout 3000 -- bench/boot.py --commit '$(VERSION)' \
		--disco $(B)/disco --out $(BENCH_OUT)/bench-boot.json
