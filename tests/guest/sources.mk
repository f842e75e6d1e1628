# SPDX-License-Identifier: BSD-2-Clause
# Tiny guests: NAME.c, with start.S and guest.c, is $(B)/guest/NAME.elf. NAME may
# be in a folder.

GUESTS	:= pvh_entry poweroff reset reset_cf9 reset_fast triple_fault serial \
	   acpi pci_scan memory toucher ticker pmem busy halt hvc echo lan shm smp copies \
	   power/button
GUEST_CC ?= gcc
GUEST_CFLAGS := -std=gnu11 -g -O2 -m64 -ffreestanding -nostdlib -static \
	-mno-red-zone -mno-mmx -mno-sse -mno-80387 -fno-pic -no-pie \
	-fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns \
	-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes $(ERROR) -MMD -MP
GUEST_LDFLAGS := -Wl,--build-id=none -Wl,--fatal-warnings -Wl,-z,norelro
GUEST_BINS := $(GUESTS:%=$(B)/guest/%.elf)
GUEST_COMMON := $(B)/guest/obj/start.o $(B)/guest/obj/guest.o

LAB_TEST_DEPS += guests

.PHONY: guests
guests: $(GUEST_BINS)

$(B)/guest/obj/%.o: tests/guest/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) -c -o $@ $<

$(B)/guest/obj/%.o: tests/guest/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) -c -o $@ $<

# Kept: else make deletes the objects as intermediate files.
.SECONDARY: $(GUEST_COMMON) $(B)/guest/obj/virtio.o $(B)/guest/obj/cpus.o \
	$(GUESTS:%=$(B)/guest/obj/%.o)

# Guests that drive a device.
$(B)/guest/hvc.elf $(B)/guest/pmem.elf $(B)/guest/lan.elf \
	$(B)/guest/shm.elf: $(B)/guest/obj/virtio.o
# Guests with further CPUs.
$(B)/guest/smp.elf $(B)/guest/copies.elf: $(B)/guest/obj/cpus.o

$(GUEST_BINS): $(B)/guest/%.elf: $(B)/guest/obj/%.o $(GUEST_COMMON) \
		tests/guest/link.ld
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) \
		-T tests/guest/link.ld -o $@ $(filter %.o,$^)
