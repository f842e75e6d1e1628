# SPDX-License-Identifier: BSD-2-Clause

# worker: devices, sandbox, the machine
WORKER_SRCS	+= monitor/dev/bus.c monitor/dev/pci.c monitor/dev/msix.c \
		   monitor/dev/virtqueue.c monitor/dev/virtio_pci.c \
		   monitor/dev/virtio_blk.c monitor/dev/virtio_console.c \
		   monitor/dev/virtio_rng.c monitor/dev/console.c \
		   monitor/dev/serial.c monitor/dev/power.c \
		   monitor/sandbox/sandbox.c \
		   monitor/worker/main.c monitor/worker/spec.c \
		   monitor/worker/machine.c monitor/worker/vm.c \
		   monitor/worker/vcpu.c monitor/worker/cpuid.c \
		   monitor/worker/boot_setup.c monitor/worker/acpi.c \
		   monitor/worker/io_loop.c monitor/worker/stats.c

# --- the programs ---------------------------------------------------------
# The archive: the shared one of Debian 12 lacks io_uring_enable_rings().
WORKER_LIBS	:= -l:liburing.a

WORKER_OBJS	:= $(call obj,$(WORKER_SRCS) $(MEMORY_SRCS) $(COWDISK_SRCS))

all: $(B)/disco-vm

$(B)/disco-vm: $(WORKER_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(WORKER_LDFLAGS) -o $@ $^ $(WORKER_LIBS)

# --- what is generated --------------------------------------------------------
$(G)/dsdt.hex: monitor/worker/dsdt.asl
	$(call say,IASL,$<)
	$(Q)mkdir -p $(@D)
	$(Q)iasl -p $(G)/dsdt -tc $< >$(G)/dsdt.log 2>&1 || \
		{ cat $(G)/dsdt.log; exit 1; }

$(G)/gen_filters: monitor/sandbox/gen_filters.c
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gcc $(CPPFLAGS) -std=gnu11 -Wall -Wextra -Werror -o $@ $< -lseccomp

$(G)/seccomp_filters.h: $(G)/gen_filters
	$(call say,GEN,$@)
	$(Q)$< >$@

$(B)/obj/monitor/worker/acpi.o: $(G)/dsdt.hex
$(B)/obj/monitor/sandbox/sandbox.o: $(G)/seccomp_filters.h
