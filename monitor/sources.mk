# SPDX-License-Identifier: BSD-2-Clause
# The three programs. Each has its main.c, and takes from archives what it uses.

WORKER_ROOMS	:= monitor/worker monitor/worker/net monitor/worker/shm \
		   monitor/worker/vm monitor/worker/views \
		   monitor/worker/sampling monitor/worker/huge \
		   monitor/dev/net monitor/dev/virtio \
		   monitor/dev/platform monitor/sandbox monitor/ipc \
		   $(filter cowdisk/%,$(ROOMS)) vnet guest-hints/host \
		   memory/replica memory/sampling memory numa
AGENT_ROOMS	:= monitor/agent monitor/agent/placing monitor/sandbox \
		   monitor/ipc cowdisk/store cowdisk/base \
		   $(filter memory/%,$(ROOMS)) memory numa
CONTROL_ROOMS	:= $(filter monitor/control%,$(ROOMS)) monitor/bootdisk \
		   monitor/bootentry monitor/boot monitor/ipc \
		   monitor/sandbox vnet cowdisk/disk cowdisk/base \
		   $(filter memory/%,$(ROOMS)) memory numa

UPLINK_ROOMS	:= monitor/uplink monitor/sandbox monitor/ipc vnet numa

# What systemd hears of the monitor: where libsystemd is.
ifeq ($(shell pkg-config --exists libsystemd 2>/dev/null && echo yes),yes)
$(B)/obj/monitor/control/notify.o: CPPFLAGS += -DDISCO_SYSTEMD
endif

MAN_PAGES	:= $(G)/disco.1 $(G)/disco.json.5

all: $(B)/disco $(B)/disco-vm $(B)/disco-agent $(MAN_PAGES)

# The way out of networks: where libslirp is. It is a shared library alone. Not
# by pkg-config, which wants to have GLib's headers too.
ifeq ($(shell echo '\#include <slirp/libslirp.h>' | $(CC) -E - >/dev/null 2>&1 && \
	echo yes),yes)
UPLINK		:= $(B)/disco-uplink
all: $(UPLINK)
endif

$(B)/disco-uplink: $(call obj,monitor/uplink/main.c) $(call lib,$(UPLINK_ROOMS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $(call in_group,$^) -lslirp $(NUMAIF)

$(B)/disco: $(call obj,monitor/control/main.c) $(call lib,$(CONTROL_ROOMS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $(call in_group,$^) $(LIBS)

$(B)/disco-vm: $(call obj,monitor/worker/main.c) $(call lib,$(WORKER_ROOMS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(WORKER_LDFLAGS) -o $@ $(call in_group,$^) \
		$(STATIC_LIBS)

$(B)/disco-agent: $(call obj,monitor/agent/main.c) $(call lib,$(AGENT_ROOMS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(WORKER_LDFLAGS) -o $@ $(call in_group,$^) \
		$(STATIC_LIBS)

# --- what is generated --------------------------------------------------------
$(G)/dsdt.hex: monitor/worker/vm/dsdt.asl
	$(call say,IASL,$<)
	$(Q)mkdir -p $(@D)
	$(Q)iasl -p $(G)/dsdt -tc $< >$(G)/dsdt.log 2>&1 || \
		{ cat $(G)/dsdt.log; exit 1; }

$(G)/gen_filters: monitor/sandbox/gen_filters.c
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gcc $(CPPFLAGS) -std=gnu11 -Wall -Wextra $(ERROR) -o $@ $< -lseccomp

$(G)/seccomp_filters.h: $(G)/gen_filters
	$(call say,GEN,$@)
	$(Q)$< >$@

# The pages have what the tables of options know.
$(B)/gen_man: $(call obj,monitor/control/gen_man.c) $(call lib,$(CONTROL_ROOMS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $(call in_group,$^) $(LIBS)

$(MAN_PAGES): $(G)/%: docs/%.in $(B)/gen_man
	$(call say,GEN,$@)
	$(Q)$(B)/gen_man <$< >$@

# Written only when it changes, so that its readers are as new as it is.
VERSION_LINE	:= \#define DISCO_VERSION "$(VERSION)"
ifneq ($(VERSION_LINE),$(shell cat $(G)/version.h 2>/dev/null))
.PHONY: $(G)/version.h
endif
$(G)/version.h:
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' '$(VERSION_LINE)' >$@

$(B)/obj/monitor/worker/vm/acpi.o: $(G)/dsdt.hex
$(B)/obj/monitor/sandbox/sandbox.o: $(G)/seccomp_filters.h
$(B)/obj/monitor/control/commands.o: $(G)/version.h
$(B)/obj/monitor/control/run/report.o: $(G)/version.h

.PHONY: install
install: all
	install -D -m 755 $(B)/disco $(DESTDIR)$(PREFIX)/bin/disco
	install -D -m 755 $(B)/disco-vm $(DESTDIR)$(PREFIX)/bin/disco-vm
	install -D -m 755 $(B)/disco-agent $(DESTDIR)$(PREFIX)/bin/disco-agent
	$(if $(UPLINK),install -m 755 $(UPLINK) $(DESTDIR)$(PREFIX)/bin/)
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in disco disco-guests; do \
		sed 's|@PREFIX@|$(PREFIX)|' dist/$$unit.service \
			>$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service \
			|| exit; \
	done
	install -D -m 644 docs/openapi.json \
		$(DESTDIR)$(PREFIX)/share/doc/disco/openapi.json
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions
	$(B)/disco completion bash \
		>$(DESTDIR)$(PREFIX)/share/bash-completion/completions/disco
	$(B)/disco completion zsh \
		>$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_disco
	install -D -m 644 $(G)/disco.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/disco.1
	install -D -m 644 $(G)/disco.json.5 \
		$(DESTDIR)$(PREFIX)/share/man/man5/disco.json.5
