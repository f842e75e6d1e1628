# SPDX-License-Identifier: BSD-2-Clause
# Benchmarks: ratios against a peer in the same run; never part of `check`.

BENCH_OUT	:= build/lab-out
BENCHES		:= boot channel ring cache cow move scale footprint figures exec \
		   ipis locality pmake sim hints net nfs

.PHONY: bench
bench: $(BENCHES:%=bench-%)

# bench-NAME installs what benches need, then makes do-bench-NAME, below, which
# writes the result. CHECK=1: bench/check.py has the last line, and its exit
# status counts. (make -k bench CHECK=1 goes on after a bench that missed one.)
bench_result = $(BENCH_OUT)/bench-$(1).json
define bench_target
.PHONY: bench-$(1) do-bench-$(1)
bench-$(1):
	$$(Q)scripts/deps bench
	$$(Q)mkdir -p $$(BENCH_OUT)
	$$(Q)rm -f $$(call bench_result,$(1))
	$$(Q)$$(MAKE) --no-print-directory do-$$@
ifeq ($$(CHECK),1)
	$$(Q)bench/check.py $(1) $$(call bench_result,$(1))
endif
endef
$(foreach b,$(BENCHES),$(eval $(call bench_target,$(b))))

# $(call bench_args,NAME) - what every bench is given
bench_args = --commit '$(VERSION)' --out $(call bench_result,$(1))

# $(call in_labs,NAME,OPTIONS,LAB) - bench/NAME.py in a lab, and in another one,
# from its state, when the lab dies under it (125)
in_labs = $(Q)rm -f $(BENCH_OUT)/bench-$(1).state; \
	for lab in 1 2 3 4 5 6; do \
		lab/auto --timeout 6000 $(3) -- bench/$(1).py \
			$(call bench_args,$(1)) --disco $(B)/disco $(2) \
			--state $(BENCH_OUT)/bench-$(1).state; \
		status=$$?; [ $$status = 125 ] || exit $$status; \
		echo "bench-$(1): lab $$lab died; going on in a new one"; \
	done; exit 1

do-bench-boot: all images kernel-cache guests
	$(Q)bench/worker_start.py --disco $(B)/disco \
		--guest $(B)/guest/serial.elf --out $(BENCH_OUT)/start.json
	$(call in_labs,boot,--native $(BENCH_OUT)/start.json)

do-bench-exec: all images kernel-cache $(B)/bench/qga_exec
	$(call in_labs,exec,--client $(B)/bench/qga_exec)

# On one node: a guest of 8 virtual CPUs has all 8 CPUs only there.
do-bench-pmake: all images kernel-cache
	$(call in_labs,pmake,--plot $(BENCH_OUT)/bench-pmake.svg,--nodes 1)

# On one node, as no peer places its guests. NET, NFS: more options.
do-bench-net: all images kernel-cache
	$(call in_labs,net,$(NET),--nodes 1)

do-bench-nfs: all images kernel-cache
	$(call in_labs,nfs,$(NFS),--nodes 1)

do-bench-scale do-bench-footprint: do-bench-%: all images kernel-cache
	$(call in_labs,$*)

# Programs of benches. $(call bench_rule,NAME,ROOMS)
define bench_rule
$(B)/bench/$(1): $(call obj,bench/$(1).c) $(call lib,$(2))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -pie -o $$@ $$(call in_group,$$^) $$(LIBS)
endef
$(eval $(call bench_rule,channel,numa))
$(eval $(call bench_rule,ring,vnet numa))
$(eval $(call bench_rule,cache,cowdisk/cache cowdisk/base memory numa))
$(eval $(call bench_rule,cow_io,$(filter cowdisk/%,$(ROOMS)) monitor/ipc memory \
	numa))
$(eval $(call bench_rule,qga_exec,))
$(eval $(call bench_rule,hints,guest-hints/host memory/placement memory numa))
$(eval $(call bench_rule,move_loop,monitor/control/workers \
	monitor/control/base monitor/ipc numa))

# With a VM that has no KVM, of the unit tests.
$(B)/bench/net_path: $(call obj,bench/net_path.c \
		$(call closure,tests/unit/net/net_guests.c)) \
		$(call lib,$(sort $(ROOMS_net)))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -pie -Wl,-z,muldefs -o $@ $(filter %.o,$^) \
		$(call in_group,$(filter %.a,$^)) $(LIBS)

# Programs of guests, for this machine: to make what guests share, and to test.
$(B)/bench/raytrace $(B)/bench/radix: $(B)/bench/%: $(B)/obj/bench/guest/%.o
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $<

# On the machine itself, no guest: two processes and two CPUs are all that
# channels and rings need.
do-bench-channel do-bench-ring do-bench-cache do-bench-hints: do-bench-%: $(B)/bench/%
	$(Q)$< $(call bench_args,$*)

# On the machine itself, no guest: copy-on-write back-end against qcow2.
do-bench-cow: all $(B)/bench/cow_io
	$(Q)bench/cow.py $(call bench_args,cow) --disco $(B)/disco \
		--io $(B)/bench/cow_io --agent $(B)/disco-agent --dir build

# On the machine itself: files alone.
do-bench-sim: all
	$(Q)bench/sim.py $(call bench_args,sim) --disco $(B)/disco

do-bench-move: all images kernel-cache $(B)/bench/move_loop
	$(Q)lab/auto --timeout 3000 -- bench/move.py $(call bench_args,move) \
		--disco $(B)/disco --loop $(B)/bench/move_loop

do-bench-ipis: all $(B)/lab/ipis
	$(Q)lab/auto --timeout 1200 -- bench/ipis.py $(call bench_args,ipis) \
		--ipis $(B)/lab/ipis

# In a lab that counts: every remote miss takes three times as long as a local
# one, as on Disco's machine, and a page is hot after 32 misses. Runs that are
# done are kept, so that a lab may die, or be ended (124: its time was over; all
# workloads take longer than one lab has). LOCALITY: more options.
do-bench-locality: all images kernel-cache $(B)/bench/raytrace
	$(Q)rm -f $(BENCH_OUT)/bench-locality.state; \
	for lab in 1 2 3 4 5 6; do \
		lab/run --flash=trigger=32 --dist 30,30 --timeout 6000 -- \
			bench/locality.py $(call bench_args,locality) \
			--disco $(B)/disco --counters $(B)/lab/counters \
			--programs $(B)/bench \
			--plot $(BENCH_OUT)/bench-locality \
			--state $(BENCH_OUT)/bench-locality.state $(LOCALITY); \
		status=$$?; \
		[ $$status = 124 ] || [ $$status = 125 ] || exit $$status; \
		echo "bench-locality: lab $$lab died or is over; going on in a new one"; \
	done; exit 1

# The same lab. It promises nothing yet, so it is no part of `make bench`, and CHECK
# checks nothing. HINTS: more options.
.PHONY: bench-hints-lab do-bench-hints-lab
bench-hints-lab:
	$(Q)scripts/deps bench
	$(Q)mkdir -p $(BENCH_OUT)
	$(Q)rm -f $(call bench_result,hints-lab)
	$(Q)$(MAKE) --no-print-directory do-$@

do-bench-hints-lab: all images kernel-cache
	$(Q)rm -f $(BENCH_OUT)/bench-hints-lab.state; \
	for lab in 1 2 3 4 5 6; do \
		lab/run --flash=trigger=32 --dist 30,30 --timeout 6000 -- \
			bench/hints_lab.py $(call bench_args,hints-lab) \
			--disco $(B)/disco --counters $(B)/lab/counters \
			--state $(BENCH_OUT)/bench-hints-lab.state $(HINTS); \
		status=$$?; [ $$status = 125 ] || exit $$status; \
		echo "bench-hints-lab: lab $$lab died; going on in a new one"; \
	done; exit 1

# Runs for tests/fixtures/traces, which bench-sim takes: recorded in the same lab, what
# is lacking in a new one if it dies; then checked, and installed. TRACES: more options.
TRACES_OUT := $(BENCH_OUT)/traces
.PHONY: fixture-traces do-fixture-traces
fixture-traces:
	$(Q)scripts/deps bench
	$(Q)mkdir -p $(BENCH_OUT)
	$(Q)$(MAKE) --no-print-directory do-$@

do-fixture-traces: all images kernel-cache
	$(Q)rm -rf $(TRACES_OUT); \
	for lab in 1 2 3 4; do \
		lab/run --flash=trigger=32 --dist 30,30 --timeout 6000 -- \
			bench/fixture_traces.py record $(TRACES_OUT) \
			--commit '$(VERSION)' --disco $(B)/disco \
			--counters $(B)/lab/counters $(TRACES); \
		status=$$?; [ $$status = 125 ] || break; \
		echo "fixture-traces: lab $$lab died; going on in a new one"; \
	done; [ $$status = 0 ] || exit $$status; \
	bench/fixture_traces.py install $(TRACES_OUT) --disco $(B)/disco

# On the machine itself, if it has any KVM: the guest is a tiny one.
do-bench-figures: all guests
	$(Q)$$(test -w /dev/kvm || echo lab/auto --timeout 3000 --) \
		bench/figures.py $(call bench_args,figures) \
		--disco $(B)/disco --guest $(B)/guest/echo.elf

# Built by every check, so that they go on being built.
BENCH_BINS := $(patsubst %,$(B)/bench/%,channel ring cache cow_io move_loop \
	      qga_exec hints net_path raytrace radix)
