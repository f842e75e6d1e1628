# SPDX-License-Identifier: BSD-2-Clause
# The lab: kernels, QEMU, guest images; two ways to run a command with KVM.

LAB_KERNELS	:= build/kernels/.stamp
LAB_QEMU_PKG	:= build/qemu/package

.PHONY: kernels images
kernels: $(LAB_KERNELS) $(LAB_QEMU_PKG)

# Always looked at: lab/images itself sees (in 20 ms) whether something that
# make does not know, such as a Debian package's version, has changed.
images: kernels build/module/6.1/disco_hints.ko
	$(Q)scripts/deps images
	$(Q)$(MAKE) --no-print-directory VARIANT=release guest-hints
	$(Q)lab/images

# Whole systems, booted from their disks; made once, and anew when their maker
# changes. Root, or user namespaces; a few minutes and 1 GB each.
DEBIAN_IMAGES	:= build/debian/debian-12.img build/debian/debian-13.img
SUITE_12	:= bookworm
SUITE_13	:= trixie
.PHONY: images-debian
images-debian: $(DEBIAN_IMAGES)

build/debian/debian-%.img: lab/guest/build-debian
	$(Q)scripts/deps debian
	$(Q)mkdir -p $(@D)
	$(Q)lab/guest/build-debian $(SUITE_$*) $@

# The packages of examples/, for guests that boot as those of root.ext4 do.
EXAMPLES_IMAGE	:= build/examples/root.ext4
.PHONY: images-examples
images-examples: images $(EXAMPLES_IMAGE)

$(EXAMPLES_IMAGE): lab/guest/build-examples lab/guest/root-init \
		lab/guest/shutdown lab/guest/disco/cluster lab/lib.sh \
		| $(LAB_KERNELS)
	$(Q)scripts/deps debian
	$(Q)$(MAKE) --no-print-directory VARIANT=release guest-hints
	$(Q)mkdir -p $(@D)
	$(Q)lab/guest/build-examples $@

# All of examples/, or those of EXAMPLES, where guests can run; one table.
EXAMPLES ?=
.PHONY: examples
examples:
	$(Q)scripts/deps build lab images debian
	$(Q)$(MAKE) --no-print-directory all images-examples kernel-cache
	$(Q)lab/auto --timeout 7200 -- examples/all $(EXAMPLES)

$(LAB_KERNELS): lab/kernels
	$(Q)scripts/deps lab
	$(Q)lab/kernels
	$(Q)touch $@

# Without it the lab runs on the machine's own; lab/qemu says why.
$(LAB_QEMU_PKG): lab/qemu | $(LAB_KERNELS)
	$(Q)if lab/qemu; then touch $@; fi

# The lab's counters: a plugin of QEMU, without what the variant adds, and the
# command that reads them in the lab.
all: $(B)/lab/flash.so $(B)/lab/counters

$(B)/lab/flash.so: lab/flash.c include/abi/flash.h
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -I. -Iinclude -D_GNU_SOURCE -std=gnu11 -g -O2 -Wall -Wextra \
		$(ERROR) -fvisibility=hidden -fPIC -shared -pthread -o $@ $<

$(B)/lab/counters: $(call obj,lab/counters.c) $(call lib,numa)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $(call in_group,$^) $(LIBS)

# What lab/counters' test counts: see tests/lab/counters.
LAB_TEST_DEPS += $(B)/lab/touch $(B)/lab/follow $(B)/lab/samples \
		 $(B)/examples/policy_nearest.so

# What a hostile guest runs, which has the same C library: see tests/lab/hints.sh.
LAB_TEST_DEPS += $(B)/lab/hostile_hints
$(B)/lab/hostile_hints: tests/lab/hostile_hints.c
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -D_GNU_SOURCE -std=gnu11 -O1 -s -Wall -Wextra $(ERROR) -o $@ $<

$(B)/lab/touch: $(call obj,tests/lab/touch.c) $(call lib,numa)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $(call in_group,$^) $(LIBS)

# It has the agent's part of the placement in it.
$(B)/lab/follow: $(call obj,tests/lab/follow.c) $(call lib,$(AGENT_ROOMS))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $(call in_group,$^) $(LIBS)

$(B)/lab/samples: $(call obj,tests/lab/samples.c) $(call lib,$(AGENT_ROOMS))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $(call in_group,$^) $(LIBS)

# What tests/lab/views.sh runs: IPIs between views of a tiny guest.
LAB_TEST_DEPS += $(B)/lab/ipis

$(B)/obj/tests/lab/ipi_guest.o: tests/lab/ipi_guest.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -c -o $@ $<

$(B)/lab/ipis: $(call obj,tests/lab/ipis.c) $(B)/obj/tests/lab/ipi_guest.o \
		$(call lib,monitor/worker/views monitor/sandbox)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $(call in_group,$^) $(LIBS)

# The guest kernel, unpacked once. Read by every run; see unpack in disco(1).
export DISCO_CACHE_DIR ?= $(CURDIR)/build/cache
.PHONY: kernel-cache
kernel-cache: $$(B)/disco kernels
	$(Q)$(B)/disco unpack build/kernels/guest/vmlinuz

# Sub-makes: what scripts/deps has just installed is there when they start.
.PHONY: demo
demo:
	$(Q)scripts/deps build lab images
	$(Q)$(MAKE) --no-print-directory all images kernel-cache
	$(Q)lab/auto -- lab/demo $(B)/disco
