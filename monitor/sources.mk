# SPDX-License-Identifier: BSD-2-Clause

# control: options, configuration, doctor
CONTROL_SRCS	+= monitor/control/main.c monitor/control/options.c \
		   monitor/control/options_vm.c monitor/control/keyval.c \
		   monitor/control/size.c monitor/control/config_draft.c \
		   monitor/control/config_set.c \
		   monitor/control/config_reader.c \
		   monitor/control/config_json.c \
		   monitor/control/plan.c monitor/control/cache_dir.c \
		   monitor/control/unpack.c monitor/control/doctor.c \
		   monitor/control/doctor_print.c \
		   monitor/control/doctor_kvm.c monitor/control/doctor_numa.c \
		   monitor/control/doctor_memory.c \
		   monitor/control/doctor_perf.c \
		   monitor/control/doctor_sandbox.c

# control: disk images
CONTROL_SRCS	+= monitor/control/image.c monitor/control/image_make.c \
		   monitor/control/image_show.c monitor/control/image_copy.c \
		   monitor/control/image_import.c \
		   monitor/control/image_blocks.c \
		   monitor/control/cow_files.c monitor/control/progress.c

# worker: devices, sandbox, the machine
WORKER_SRCS	+= monitor/dev/bus.c monitor/dev/pci.c monitor/dev/msix.c \
		   monitor/dev/virtqueue.c monitor/dev/virtio_pci.c \
		   monitor/dev/virtio_blk.c monitor/dev/virtio_console.c \
		   monitor/dev/virtio_rng.c monitor/dev/virtio_balloon.c \
		   monitor/dev/console.c \
		   monitor/dev/virtio_pmem.c monitor/worker/regions.c \
		   monitor/dev/rate.c \
		   monitor/dev/serial.c monitor/dev/power.c \
		   monitor/sandbox/sandbox.c \
		   monitor/worker/main.c monitor/worker/adopt.c \
		   monitor/ipc/fds.c monitor/worker/rehome.c \
		   monitor/worker/spec.c \
		   monitor/worker/machine.c monitor/worker/buffers.c monitor/worker/vm.c monitor/worker/pause.c \
		   monitor/worker/paging.c monitor/worker/merge.c \
		   monitor/worker/vcpu.c monitor/worker/cpuid.c \
		   monitor/worker/boot_setup.c monitor/worker/boot_pages.c \
		   monitor/worker/acpi.c \
		   monitor/worker/io_loop.c monitor/worker/stats.c

# control: running guests in the foreground
CONTROL_SRCS	+= monitor/control/run.c monitor/control/launch.c \
		   monitor/control/boot_set.c \
		   monitor/control/kvm_open.c monitor/control/disk_files.c \
		   monitor/control/worker_code.c monitor/control/spawn.c \
		   monitor/control/spawn_child.c monitor/control/supervise.c \
		   monitor/control/ram_file.c monitor/sandbox/privileges.c \
		   monitor/control/vm_watch.c monitor/control/outcome.c \
		   monitor/control/keyboard.c monitor/control/terminal.c \
		   monitor/control/console.c monitor/control/typed.c \
		   monitor/control/console_text.c \
		   monitor/control/sink.c monitor/control/loop.c \
		   monitor/control/report.c monitor/control/state_dir.c \
		   monitor/control/state_vm.c monitor/control/process.c

# control: the monitor, its API, and the commands that use it
CONTROL_SRCS	+= monitor/control/monitor.c monitor/control/starter.c \
		   monitor/control/adopt.c monitor/control/tap.c \
		   monitor/control/notify.c monitor/control/api.c \
		   monitor/control/api_routes.c monitor/control/api_vm.c \
		   monitor/control/api_figures.c monitor/control/api_move.c \
		   monitor/control/api_exits.c monitor/control/api_stalls.c \
		   monitor/control/api_cache.c \
		   monitor/control/figures.c \
		   monitor/control/worker_file.c \
		   monitor/control/agents.c monitor/control/move.c \
		   monitor/control/caches.c monitor/control/layers.c monitor/control/cache_images.c \
		   monitor/control/cache_peers.c \
		   monitor/control/cache_tell.c \
		   monitor/control/balancer.c \
		   monitor/control/move_map.c monitor/control/boot_copies.c \
		   monitor/control/cli_move.c monitor/ipc/fds.c \
		   monitor/control/http_client.c monitor/control/cli.c \
		   monitor/control/cli_vm.c monitor/control/cli_run.c \
		   monitor/control/cli_stats.c monitor/control/cli_console.c \
		   monitor/control/completion.c monitor/control/top.c

# agent: pulls pages to its node, and keeps its buffer cache
AGENT_SRCS	+= monitor/agent/main.c monitor/agent/serve.c \
		   monitor/agent/request.c monitor/agent/pull.c \
		   monitor/agent/links.c monitor/agent/link.c monitor/ipc/fds.c \
		   monitor/sandbox/sandbox.c

# kernels and initrds
BOOT_SRCS	+= monitor/boot/bzimage.c monitor/boot/elf_image.c \
		   monitor/boot/unpack.c monitor/boot/kernel_cache.c \
		   monitor/boot/boot_image.c monitor/boot/boot_key.c

# --- the three programs -------------------------------------------------------
CONTROL_LIBS	:= -lhwloc -ljansson -llzma -lzstd -llz4 -lz -lmicrohttpd -lncursesw -ltinfo

# What systemd hears of the monitor: where libsystemd is.
ifeq ($(shell pkg-config --exists libsystemd && echo yes),yes)
CONTROL_LIBS	+= -lsystemd
$(B)/obj/monitor/control/notify.o: CPPFLAGS += -DDISCO_SYSTEMD
endif
# The archive: the shared one of Debian 12 lacks io_uring_enable_rings().
WORKER_LIBS	:= -l:liburing.a

DISCO_OBJS	:= $(call obj,$(CONTROL_SRCS) $(BOOT_SRCS) $(NUMA_SRCS) \
		   $(COWDISK_FORMAT))
AGENT_OBJS	:= $(call obj,$(AGENT_SRCS))
WORKER_OBJS	:= $(call obj,$(WORKER_SRCS) $(MEMORY_SRCS) $(COWDISK_SRCS))

all: $(B)/disco $(B)/disco-vm $(B)/disco-agent

$(B)/disco: $(DISCO_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ $(CONTROL_LIBS)

$(B)/disco-vm: $(WORKER_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(WORKER_LDFLAGS) -o $@ $^ $(WORKER_LIBS)

$(B)/disco-agent: $(AGENT_OBJS)
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

# Written only when it changes, so that its readers are as new as it is.
VERSION_LINE	:= \#define DISCO_VERSION "$(VERSION)"
ifneq ($(VERSION_LINE),$(shell cat $(G)/version.h 2>/dev/null))
.PHONY: $(G)/version.h
endif
$(G)/version.h:
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' '$(VERSION_LINE)' >$@

$(B)/obj/monitor/worker/acpi.o: $(G)/dsdt.hex
$(B)/obj/monitor/sandbox/sandbox.o: $(G)/seccomp_filters.h
$(B)/obj/monitor/control/main.o: $(G)/version.h
$(B)/obj/monitor/control/report.o: $(G)/version.h

PREFIX	?= /usr/local
.PHONY: install
install: all
	install -D -m 755 $(B)/disco $(DESTDIR)$(PREFIX)/bin/disco
	install -D -m 755 $(B)/disco-vm $(DESTDIR)$(PREFIX)/bin/disco-vm
	install -D -m 755 $(B)/disco-agent $(DESTDIR)$(PREFIX)/bin/disco-agent
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' dist/disco.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/disco.service
	install -D -m 644 docs/openapi.json \
		$(DESTDIR)$(PREFIX)/share/doc/disco/openapi.json
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions
	$(B)/disco completion bash \
		>$(DESTDIR)$(PREFIX)/share/bash-completion/completions/disco
	$(B)/disco completion zsh \
		>$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_disco
	install -D -m 644 docs/disco.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/disco.1
	install -D -m 644 docs/disco.json.5 \
		$(DESTDIR)$(PREFIX)/share/man/man5/disco.json.5
